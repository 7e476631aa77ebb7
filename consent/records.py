"""How consent is shown: a record with the state of each of its scopes and the history behind it. Pure reads, in a fixed number of
queries; nothing is decided here. What may be done is asked of `gate`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from consent.models import ConsentRecord, CurrentGrant, DestructionOrder, Grant, Representation, Subject
from consent.vocabulary import GrantState


@dataclass(frozen=True, slots=True)
class Revision:
    """One append-only revision of one scope."""

    code: str
    scope: str
    revision: int
    state: str
    at: datetime
    reason: str
    superseded_by: str


@dataclass(frozen=True, slots=True)
class ScopeState:
    """The newest revision of one scope. `in_force` means that, law and context aside, the gate would rest on it now."""

    scope: str
    state: str
    since: datetime
    in_force: bool


@dataclass(frozen=True, slots=True)
class RecordView:
    """A consent record as it stands now."""

    record: ConsentRecord
    scopes: tuple[ScopeState, ...]
    history: tuple[Revision, ...]


def readable(records: QuerySet[ConsentRecord]) -> QuerySet[ConsentRecord]:
    """The rows with everything that `describe` needs."""
    return records.select_related(
        "subject", "purpose", "notice__series", "representation", "statement"
    ).prefetch_related("grants__superseded_by", "superseded__record")


def describe(records: Sequence[ConsentRecord]) -> list[RecordView]:
    """Any number of records from `readable`, with one further query."""
    current = set(
        CurrentGrant.objects.filter(grant__record__in=[record.pk for record in records]).values_list(
            "grant_id", flat=True
        )
    )
    return [_describe(record, current) for record in records]


def with_state(records: QuerySet[ConsentRecord], state: GrantState) -> QuerySet[ConsentRecord]:
    """Records of which at least one scope is current and in that state."""
    if state is GrantState.SUPERSEDED:
        return records.filter(Exists(Grant.objects.filter(record=OuterRef("pk"), state=state.value)))
    matching = CurrentGrant.objects.filter(grant__record=OuterRef("pk"), grant__state=state.value)
    return records.filter(Exists(matching))


def erasure_of(subject: Subject) -> DestructionOrder | None:
    """The order that erased the person, if there is one."""
    if subject.erased_at is None:
        return None
    return DestructionOrder.objects.filter(
        project_id=subject.project_id, subject=subject.code, reason="erasure"
    ).first()


def _describe(record: ConsentRecord, current: set[int]) -> RecordView:
    grants = sorted(record.grants.all(), key=lambda grant: grant.pk)
    newest: dict[str, Grant] = {grant.scope: grant for grant in grants}
    open_now = _open_now(record)
    return RecordView(
        record=record,
        scopes=tuple(
            ScopeState(
                scope=scope,
                state=grant.state,
                since=grant.at,
                in_force=open_now and grant.state == GrantState.GIVEN and grant.pk in current,
            )
            for scope, grant in sorted(newest.items())
        ),
        history=tuple(_revisions(grants)),
    )


def _open_now(record: ConsentRecord) -> bool:
    return (
        record.subject.erased_at is None
        and record.purpose.active
        and (record.expires_at is None or record.expires_at > timezone.now())
        and record.notice.version >= record.notice.series.least_valid_version
        and (record.representation is None or _represents(record.representation))
    )


def _represents(representation: Representation) -> bool:
    ends = representation.ends_at
    return representation.ended_at is None and (ends is None or ends > timezone.now())


def _revisions(grants: Iterable[Grant]) -> Iterable[Revision]:
    for grant in grants:
        by = "" if grant.superseded_by is None else grant.superseded_by.code
        yield Revision(grant.code, grant.scope, grant.revision, grant.state, grant.at, grant.reason, by)
