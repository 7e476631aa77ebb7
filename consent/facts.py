"""What the gate needs to know, in one round trip: for each subject and scope the grant in force, and the purpose it is under.

Read by a function of the database because it is one question; whatever is absent comes back as absent, and `judging` turns that
into a denial.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from django.db import connection

from consent.ports import voice_model
from consent.vocabulary import Scope


@dataclass(frozen=True, slots=True)
class PurposeFacts:
    active: bool
    scopes: frozenset[str]
    contexts: frozenset[str]
    ground: str
    deidentified: bool
    least_valid_version: int


@dataclass(frozen=True, slots=True)
class PairFacts:
    """One subject and one scope. `state` is empty when nothing was ever recorded for the pair."""

    known: bool
    erased: bool
    restricted: bool
    """Whether nothing at all may be done with the person's data for now (GDPR art. 18)."""
    restricted_roles: frozenset[str]
    """Roles in which the law denied something about this person that it would not have denied in another."""
    approved_roles: frozenset[str]
    """Roles that a second person approved since."""
    state: str
    grant: str
    explicit: bool
    method: str
    age_band: str
    jurisdiction: str
    expires_at: datetime | None
    open_ended: bool
    record: int
    """Number of the consent record; 0 when there is none."""
    uses: int | None
    used: int
    used_here: bool
    """Whether one of its uses was for the recording that is asked about."""
    represented: bool
    representation_ends_at: datetime | None
    """When whoever answered for the person no longer represents them; None where nobody did, or for good."""
    notice_version: int
    covers_from: datetime | None
    """Recordings made from this time on are covered: when consent was given, or earlier where the person named them."""
    voiceprint: str
    """With `voice.identify`: digest of the model that made the person's voiceprint under this purpose; empty when there is none,
    its term is over, or it is ordered destroyed."""


@dataclass(frozen=True, slots=True)
class Facts:
    organization: str
    policy_epoch: int
    project_code: str
    now: datetime
    schedule_published: bool
    own_rules: tuple[str, ...]
    """Ids of the rules that the project lays upon itself."""
    own_rules_version: int
    voice_model: str
    """With `voice.identify`: digest of the model that voices are told apart by now; a voiceprint of another one serves nothing."""
    purpose: PurposeFacts | None
    consent_epochs: Mapping[str, int]
    pairs: Mapping[tuple[str, str], PairFacts]
    places: frozenset[str]
    """Where anybody asked about is protected, as their consents under this purpose say; where a voiceprint may be made, as any of
    them says and not only those to the scopes that are asked for."""

    def pair(self, subject: str, scope: str) -> PairFacts | None:
        return self.pairs.get((subject, scope))


class ProjectUnknown(LookupError):
    """The project of a gate request does not exist; nothing can be judged."""

    code = "project_unknown"


_MAKES_VOICEPRINTS: Final = frozenset({Scope.IDENTIFY.value, Scope.DIARIZE.value})

_QUESTION: Final = "SELECT * FROM consent_gate_facts(%s, %s, %s, %s, %s)"
"""A function of the database, so that its plan is made once per connection: `consent/migrations/0025_gate_facts.py`, and
`0035_voiceprints_at_the_gate.py`."""


class _Row(NamedTuple):
    """One row of the answer, in the function's order: what they all have in common, which only one of them carries, and then one
    subject and scope."""

    organization: str | None
    policy_epoch: int
    project_code: str
    asked_at: datetime
    schedule_published: bool
    own_rules: list[str] | None
    own_rules_version: int | None
    purpose: int | None
    active: bool
    purpose_scopes: list[str]
    contexts: list[str]
    ground: str
    deidentified: bool
    least_valid_version: int
    subject: str | None
    scope: str | None
    known: int | None
    erased: bool
    restricted: bool
    consent_epoch: int
    restricted_roles: list[str]
    approved_roles: list[str]
    state: str | None
    grant_code: str | None
    record: int | None
    explicit: bool | None
    method: str | None
    age_band: str | None
    jurisdiction: str | None
    expires_at: datetime | None
    open_ended: bool | None
    uses: int | None
    used: int | None
    used_here: bool | None
    represented: bool
    representation_ends_at: datetime | None
    notice_version: int | None
    covers_from: datetime | None
    voiceprint: str | None


def gather(project: int, purpose: str, subjects: Sequence[str], scopes: Sequence[str], recording: str = "") -> Facts:
    """One query for any number of subjects and scopes. Raises `ProjectUnknown`."""
    # Whoever consented to anything else as protected in Illinois is so when a voice is to be told from theirs, too.
    looked_at = [scope.value for scope in Scope] if _MAKES_VOICEPRINTS & set(scopes) else list(scopes)
    with connection.cursor() as cursor:
        cursor.execute(_QUESTION, [project, purpose, list(subjects), looked_at, recording])
        rows = [_Row._make(row) for row in cursor.fetchall()]
    asked = frozenset(scopes)
    first = next((row for row in rows if row.organization is not None), None)
    if first is None or first.organization is None:
        raise ProjectUnknown(f"no project {project}")
    return Facts(
        organization=first.organization,
        policy_epoch=first.policy_epoch,
        project_code=first.project_code,
        now=first.asked_at,
        schedule_published=first.schedule_published,
        own_rules=tuple(first.own_rules or ()),
        own_rules_version=first.own_rules_version or 0,
        voice_model=voice_model.face() if Scope.IDENTIFY.value in scopes else "",
        purpose=None if first.purpose is None else _purpose(first),
        consent_epochs={
            row.subject: row.consent_epoch for row in rows if row.subject and row.scope and row.known is not None
        },
        pairs={(row.subject, row.scope): _pair(row) for row in rows if row.subject and row.scope in asked},
        places=frozenset(row.jurisdiction for row in rows if row.jurisdiction),
    )


def _purpose(row: _Row) -> PurposeFacts:
    return PurposeFacts(
        active=row.active,
        scopes=frozenset(row.purpose_scopes),
        contexts=frozenset(row.contexts),
        ground=row.ground,
        deidentified=row.deidentified,
        least_valid_version=row.least_valid_version,
    )


def _pair(row: _Row) -> PairFacts:
    return PairFacts(
        known=row.known is not None,
        erased=row.erased,
        restricted=row.restricted,
        restricted_roles=frozenset(row.restricted_roles),
        approved_roles=frozenset(row.approved_roles),
        state=row.state or "",
        grant=row.grant_code or "",
        explicit=bool(row.explicit),
        method=row.method or "",
        age_band=row.age_band or "",
        jurisdiction=row.jurisdiction or "",
        expires_at=row.expires_at,
        open_ended=bool(row.open_ended),
        record=row.record or 0,
        uses=row.uses,
        used=row.used or 0,
        used_here=bool(row.used_here),
        represented=row.represented,
        representation_ends_at=row.representation_ends_at,
        notice_version=row.notice_version or 0,
        covers_from=row.covers_from,
        voiceprint=row.voiceprint or "",
    )
