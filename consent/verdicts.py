"""What the gate is asked and what it answers, as frozen values. How an answer comes about is in `judging`; the Permit, which only
the gate makes, is in `gate`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from consent.law import Obligation
from consent.vocabulary import Context, DenialReason, ParticipantRole, Scope


@dataclass(frozen=True, slots=True)
class Participant:
    """One person in one recording. `channel` is None when no channel is theirs alone; `jurisdiction` is empty where it is the
    recording's."""

    subject: str
    role: ParticipantRole
    channel: int | None = None
    jurisdiction: str = ""


@dataclass(frozen=True, slots=True)
class GateRequest:
    """A question to the gate. Role, context, jurisdiction and recording time are mandatory; `unknown` is a value and is judged by
    the strictest rule. `exposure_notice_shown_at` is when people were told what would be used on them; None: they were not.
    """

    project: int
    purpose: str
    context: Context
    jurisdiction: str
    recorded_at: datetime
    participants: tuple[Participant, ...]
    scopes: tuple[Scope, ...]
    exposure_notice_shown_at: datetime | None = None
    recording: str = ""
    """The recording that it is about, where there is one already: a grant for a number of recordings knows them by their code."""
    told_apart: bool = False
    """Whether nothing is to be heard any more, as for reading what was heard: voices on shared channels were told apart when there
    was a voiceprint to do it by, and none is needed again. Everything else is judged as ever."""

    def __post_init__(self) -> None:
        if self.recorded_at.tzinfo is None:
            raise ValueError("recorded_at must be an aware time")
        if self.exposure_notice_shown_at is not None and self.exposure_notice_shown_at.tzinfo is None:
            raise ValueError("exposure_notice_shown_at must be an aware time")
        if len({person.subject for person in self.participants}) != len(self.participants):
            # Two roles for one person would be two answers about one voice.
            raise ValueError("a participant is named once")

    @property
    def places(self) -> frozenset[str]:
        """Every jurisdiction in the recording: its own and its participants'."""
        return frozenset({self.jurisdiction, *(person.jurisdiction for person in self.participants)} - {""})


@dataclass(frozen=True, slots=True)
class Denial:
    """One participant, one scope, one reason; `rule` and `citation` are set when the law said no. `by_role`: the law would not
    have said so of another role."""

    subject: str
    scope: str
    reason: DenialReason
    message: str
    remedy: str
    rule: str = ""
    citation: str = ""
    by_role: bool = False


@dataclass(frozen=True, slots=True)
class Granted:
    """One participant, one scope, and the grant revision that it rests on. `uses` is set where this takes one of the uses of the
    record (its number): how many there are in all."""

    subject: str
    scope: Scope
    grant: str
    record: int = 0
    uses: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The whole answer. `allowed` means that every pair asked for is granted, or left out by an obligation."""

    request: GateRequest
    granted: tuple[Granted, ...]
    denials: tuple[Denial, ...]
    obligations: tuple[Obligation, ...]
    rules: frozenset[str]
    """Ids of the rules of law that were asked about what is granted."""
    consent_epochs: Mapping[str, int]
    policy_epoch: int
    organization: str
    project_code: str
    judged_at: datetime
    valid_until: datetime | None
    erased: frozenset[str]
    rule_set: str

    @property
    def allowed(self) -> bool:
        return not self.denials and bool(self.granted)
