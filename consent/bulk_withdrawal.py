"""Withdrawing the consent of many people at once: what it would withdraw is counted first, and a token that only the count gives
lets it begin. Nobody approves it; a second person sees it afterwards.

In a batch only gates are closed and orders written: what is to be destroyed is destroyed by other workers, later, so that nobody's
withdrawal waits for somebody else's files. Each person's is effective at the commit of their batch, and one that fails holds up no
other. Resumable: a batch is a transaction that also moves the mark. It depends on no queue: whoever began it may call again until
it is done, and the schedule goes on with what is left.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Final

import structlog
from django.db import transaction
from django.db.models import Count, F, Max, QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.models import Project
from audit import trail
from audit.entry import Actor, ActorKind, ObjectKind, Reference
from audit.events import EventName
from consent.closing import end_grants
from consent.errors import InvalidRecord, NothingToWithdraw, PreviewInvalid, SecondPersonNeeded, SelectionGrew
from consent.models import BulkWithdrawal, CurrentGrant, Purpose, Subject
from consent.vocabulary import LIVE, EndCause, GrantState, Scope

LIFE: Final = timedelta(minutes=15)
"""How long a count lets it begin."""
BATCH: Final = 50
"""People in one transaction."""
AT_ONCE: Final = 15.0
"""Seconds that the call which begins it works on it itself."""
MAX_SUBJECTS: Final = 1000
"""As many people may be named one by one."""

Progress = Callable[[BulkWithdrawal], None]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose consent to what. What is left out is not limited."""

    purpose: Purpose | None = None
    scopes: tuple[Scope, ...] = ()
    subjects: tuple[str, ...] = ()


def preview(project: Project, selection: Selection, *, actor: Actor) -> BulkWithdrawal:
    """Counts what would be withdrawn and keeps the count. Raises `NothingToWithdraw`, `InvalidRecord` for too many names."""
    if len(selection.subjects) > MAX_SUBJECTS:
        raise InvalidRecord("subjects", f"at most {MAX_SUBJECTS}; select by purpose or scope")
    with transaction.atomic():
        row = BulkWithdrawal(
            project=project,
            purpose=selection.purpose,
            scopes=sorted({scope.value for scope in selection.scopes}),
            subjects=sorted(set(selection.subjects)),
            asked_by_kind=actor.kind.value,
            asked_by_code=actor.code,
        )
        found = _selected(row).aggregate(
            grants=Count("pk"), subjects=Count("subject", distinct=True), newest=Max("grant__record")
        )
        if not found["grants"]:
            raise NothingToWithdraw("no consent in force matches")
        row.grants_counted, row.subjects_counted = found["grants"], found["subjects"]
        row.newest_record = found["newest"]
        row.save()
    return row


def token_of(row: BulkWithdrawal) -> str:
    """What lets it begin: bound to this selection and this count, and to nothing else."""
    bound = f"{row.code}|{row.grants_counted}|{row.subjects_counted}|{row.newest_record}"
    return salted_hmac("voxgov.consent.bulk_withdrawal", bound, algorithm="sha256").hexdigest()


def execute(row: BulkWithdrawal, token: str, *, actor: Actor, seconds: float = AT_ONCE) -> BulkWithdrawal:
    """Begins it, or goes on with it, and works on it for that long. Raises `PreviewInvalid`, `SelectionGrew`."""
    if not constant_time_compare(token, token_of(row)):
        raise PreviewInvalid("this is not the token of this preview")
    _begin(row.pk, actor)
    until = time.monotonic() + seconds
    while _batch(row.pk) and time.monotonic() < until:
        pass
    done: BulkWithdrawal = BulkWithdrawal.objects.select_related("purpose").get(pk=row.pk)
    return done


def carry_out(progress: Progress = lambda row: None) -> int:
    """Goes on with what was begun, oldest first; returns of how many people consent was withdrawn."""
    total = 0
    for pk in list(
        BulkWithdrawal.objects.filter(begun_at__isnull=False, finished_at=None).values_list("pk", flat=True)
    ):
        while done := _batch(pk):
            total += done
            progress(BulkWithdrawal.objects.get(pk=pk))
    return total


def acknowledge(row: BulkWithdrawal, *, actor: Actor) -> BulkWithdrawal:
    """Says that somebody else saw it. Raises `SecondPersonNeeded` unless it is a person who neither counted nor began it,
    `InvalidRecord` when it was not begun or was seen before."""
    with transaction.atomic():
        locked: BulkWithdrawal = BulkWithdrawal.objects.select_for_update(no_key=True).get(pk=row.pk)
        if actor.kind is not ActorKind.USER or actor.code in (locked.asked_by_code, locked.begun_by_code):
            raise SecondPersonNeeded("a person other than who withdrew must see this")
        if locked.begun_at is None or locked.seen_at is not None:
            raise InvalidRecord("seen_at", "there is nothing new to see")
        locked.seen_by_code = actor.code
        locked.seen_at = timezone.now()
        locked.save(update_fields=["seen_by_code", "seen_at"])
        _record(EventName.BULK_WITHDRAWAL_SEEN, locked, actor)
    return locked


def _begin(pk: int, actor: Actor) -> None:
    with transaction.atomic():
        row = (
            BulkWithdrawal.objects.select_for_update(no_key=True, of=("self",))
            .select_related("project__organization")
            .get(pk=pk)
        )
        if row.begun_at is not None:
            return
        if row.asked_at + LIFE < timezone.now():
            raise PreviewInvalid("the count is too old: count again")
        if _selected(row).filter(grant__record__gt=row.newest_record).exists():
            raise SelectionGrew("more was granted since it was counted: count again")
        row.begun_at = timezone.now()
        row.begun_by_kind, row.begun_by_code = actor.kind.value, actor.code
        row.save(update_fields=["begun_at", "begun_by_kind", "begun_by_code"])
        _record(EventName.BULK_WITHDRAWAL_BEGUN, row, actor)


def _batch(pk: int) -> int:
    """Withdraws from the next people; 0 when it is done, or somebody else has it in hand."""
    with transaction.atomic():
        row = (
            BulkWithdrawal.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
            .select_related("project__organization", "purpose")
            .filter(pk=pk, begun_at__isnull=False, finished_at=None)
            .first()
        )
        if row is None:
            return 0
        actor = Actor(ActorKind(row.begun_by_kind), row.begun_by_code)
        people = _next(row)
        if not people:
            if row.after and _next(row, after=0):
                # Whoever failed in this round is tried in the next.
                row.after = 0
                row.save(update_fields=["after"])
                return 0
            row.finished_at = timezone.now()
            row.subjects = []
            row.save(update_fields=["finished_at", "subjects"])
            _record(EventName.BULK_WITHDRAWAL_FINISHED, row, actor)
            return 0
        closed = _withdraw(row, people, actor)
        row.after = max(people)
        row.subjects_done = F("subjects_done") + len(closed)
        row.grants_done = F("grants_done") + sum(closed)
        row.save(update_fields=["after", "subjects_done", "grants_done"])
    return len(people)


def _next(row: BulkWithdrawal, after: int | None = None) -> list[int]:
    counted = _selected(row).filter(
        grant__record__lte=row.newest_record, subject__gt=row.after if after is None else after
    )
    return list(counted.order_by("subject").values_list("subject", flat=True).distinct()[:BATCH])


def _withdraw(row: BulkWithdrawal, people: Collection[int], actor: Actor) -> list[int]:
    """Closes the gate for these people, under their locks, taken in order of id as everybody takes them. Gives how many grants were
    withdrawn of each whose withdrawal did not fail."""
    locked = {
        subject.pk: subject
        for subject in Subject.objects.select_for_update(no_key=True, of=("self",))
        .select_related("project__organization")
        .filter(pk__in=people)
        .order_by("pk")
    }
    rows = _selected(row).filter(grant__record__lte=row.newest_record, subject__in=people)
    closed = []
    for pk, theirs in groupby(
        rows.select_related("grant__record__subject", "grant__record__purpose", "purpose").order_by(
            "subject", "purpose", "scope"
        ),
        key=lambda current: current.subject_id,
    ):
        closing = list(theirs)
        try:
            with transaction.atomic():
                end_grants(
                    locked[pk],
                    closing,
                    state=GrantState.WITHDRAWN,
                    cause=EndCause.WITHDRAWAL,
                    actor=actor,
                    reason=f"bulk withdrawal {row.code}",
                )
        except Exception as error:
            log.error("bulk_withdrawal_failed", bulk_withdrawal=row.code, error=type(error).__name__)
        else:
            closed.append(len(closing))
    return closed


def _selected(row: BulkWithdrawal) -> QuerySet[CurrentGrant]:
    current = CurrentGrant.objects.filter(
        subject__project=row.project_id,
        subject__erased_at=None,
        grant__state__in=[state.value for state in LIVE],
    )
    if row.purpose_id is not None:
        current = current.filter(purpose=row.purpose_id)
    if row.scopes:
        current = current.filter(scope__in=row.scopes)
    if row.subjects:
        current = current.filter(subject__code__in=row.subjects)
    return current


def _record(name: EventName, row: BulkWithdrawal, actor: Actor) -> None:
    row.refresh_from_db(fields=["subjects_done", "grants_done"])
    trail.record(
        name,
        organization=row.project.organization.code,
        actor=actor,
        objects=[
            *([] if row.purpose is None else [Reference(ObjectKind.PURPOSE, row.purpose.code)]),
            Reference(ObjectKind.PROJECT, row.project.code),
        ],
        detail={
            "bulk_withdrawal": row.code,
            "scopes": row.scopes,
            "subjects_counted": row.subjects_counted,
            "grants_counted": row.grants_counted,
            "subjects_done": row.subjects_done,
            "grants_done": row.grants_done,
        },
    )
