"""What a rule of law is asked about and what it may answer. Rules see roles, places, times and how consent was given, never who
somebody is. No Django here.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from consent.vocabulary import AgeBand, Context, EvidenceMethod, Ground, ObligationKind, ParticipantRole, Scope


@dataclass(frozen=True, slots=True)
class Consent:
    """How the consent in force for a pair was given. `open_ended`: it names no time, no event and no number of uses."""

    explicit: bool
    method: EvidenceMethod
    age_band: AgeBand = AgeBand.UNSTATED
    represented: bool = False
    open_ended: bool = True


@dataclass(frozen=True, slots=True)
class Companion:
    """Somebody else in the recording, as far as the same scope goes.

    `consents`: nothing is missing for them and no rule about them alone says no. `shares_a_channel`: they may be heard where the
    participant is heard. `maskable`: they are bound to channels that nobody shares, so that leaving these out leaves them out.
    """

    position: int
    consents: bool
    consent: Consent | None
    shares_a_channel: bool
    maskable: bool


@dataclass(frozen=True, slots=True)
class Case:
    """One participant, one scope, and what the law may need to know about the recording.

    `places` are the jurisdictions of everyone in it and its own: the strictest among them wins. `unknown` is one of them.
    """

    scope: Scope
    role: ParticipantRole
    context: Context
    places: frozenset[str]
    consent: Consent | None
    """The consent in force; None when there is none."""
    recorded_at: datetime
    exposure_notice_shown_at: datetime | None = None
    ground: Ground = Ground.NONE
    deidentified: bool = False
    """Whether the purpose hands its results on as de-identified."""
    schedule_published: bool = False
    """Whether the public can read how long the project keeps what."""
    position: int = 0
    consents: bool = True
    """Whether nothing is missing for this participant, as for a companion."""
    maskable: bool = False
    alone: bool = False
    """Whether nobody else may be heard where they are: on a channel of their own, or because nobody else was recorded."""
    apart: bool = False
    """Whether their voice can be told from every other by a voiceprint that they let be used for it."""
    companions: tuple[Companion, ...] = ()


@dataclass(frozen=True, slots=True)
class Prohibition:
    """A rule's no: which rule, where it stands in law, and what would have to change. `by_role`: with another role it would not."""

    rule: str
    citation: str
    message: str
    remedy: str
    by_role: bool = False


@dataclass(frozen=True, slots=True)
class Obligation:
    """A rule's yes, if: what must be done besides, about which participant (by position, from 0), under which scope."""

    rule: str
    citation: str
    kind: ObligationKind
    participant: int
    scope: Scope


class Rule(Protocol):
    """One rule of law. `verdict` is asked where `applies`; None means that the rule has nothing against it."""

    id: str
    citation: str

    def applies(self, case: Case) -> bool: ...

    def verdict(self, case: Case) -> Prohibition | Obligation | None: ...
