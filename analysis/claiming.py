"""Who holds a job: claiming by conditional UPDATE with a lease and a fencing token, reporting progress, letting go.

Every write of a running job repeats the token; a worker whose token is old changes nothing and is told so by `LeaseLost`.
"""

from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from analysis import bell
from analysis.errors import CancelRequested, ConsentChanged, LeaseLost, NotCancellable
from analysis.models import Analysis, Participant
from analysis.states import UNFINISHED, AnalysisState, Stage
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent.models import ScopedQuerySet

LEASE = timedelta(seconds=90)
"""A job whose worker has not reported for this long may be claimed by another. Longer than the slowest single batch."""

RING_AGAIN_AFTER = timedelta(seconds=30)
"""How long a bell has to be heard before the sweep rings again for the same job."""

MAX_ATTEMPTS = 5
ACTOR = trail.system("worker")


@dataclass(frozen=True, slots=True)
class Claim:
    """A held job."""

    analysis: int
    code: str
    token: int
    attempt: int


def claim(code: str) -> Claim | None:
    """Takes the job if it is due, or if its holder's lease ran out. None when somebody else has it or it is finished.

    Call inside the transaction that asks the gate, so that a denial and the claim are one, and under the locks of everybody in
    the recording: a job waits as long as somebody's data is restricted.
    """
    now = timezone.now()
    due = Q(state=AnalysisState.QUEUED.value, due_at__lte=now)
    abandoned = Q(state=AnalysisState.RUNNING.value, lease_until__lt=now)
    taken = Analysis.objects.filter(due | abandoned, ~_restricted(), code=code).update(
        state=AnalysisState.RUNNING.value,
        fencing_token=F("fencing_token") + 1,
        attempts=F("attempts") + 1,
        lease_until=now + LEASE,
        started_at=now,
        stage=Stage.WAITING.value,
        progress=0.0,
    )
    if not taken:
        return None
    row = Analysis.objects.get(code=code)
    return Claim(analysis=row.pk, code=code, token=row.fencing_token, attempt=row.attempts)


def report(held: Claim, stage: Stage, progress: float) -> None:
    """Renews the lease and shows progress (0.0 to 1.0). Raises `LeaseLost`, `CancelRequested`."""
    renewed = _held(held).update(
        lease_until=timezone.now() + LEASE, stage=stage.value, progress=min(1.0, max(0.0, progress))
    )
    if not renewed:
        raise LeaseLost("another worker holds this job")
    if _held(held).filter(cancel_requested=True).exists():
        raise CancelRequested("the job was cancelled")


def require_held(held: Claim) -> None:
    """Locks the job's row for the rest of the caller's transaction. Raises `LeaseLost`, `CancelRequested`."""
    row = _held(held).select_for_update(no_key=True).first()
    if row is None:
        raise LeaseLost("another worker holds this job")
    if row.cancel_requested:
        raise CancelRequested("the job was cancelled")


def finish(
    held: Claim,
    state: AnalysisState,
    event: EventName,
    *,
    decision: str = "",
    error_code: str = "",
    error_message: str = "",
) -> Analysis:
    """Ends the job within the caller's transaction and records it. Raises `LeaseLost` when the token is old."""
    ended = _held(held).update(
        state=state.value,
        stage=Stage.FINISHED.value,
        progress=1.0 if state is AnalysisState.DONE else F("progress"),
        lease_until=None,
        finished_at=timezone.now(),
        decision=decision,
        error_code=error_code,
        error_message=error_message[:300],
    )
    if not ended:
        raise LeaseLost("another worker holds this job")
    analysis: Analysis = Analysis.objects.select_related("recording__project__organization").get(pk=held.analysis)
    record_job(event, analysis, ACTOR, decision=decision, reason=error_code)
    return analysis


def release(held: Claim, *, wait: timedelta, reason: str, count_attempt: bool = True) -> None:
    """Puts the job back in the queue, to be claimed again after `wait`."""
    with transaction.atomic():
        put_back = _held(held).update(
            state=AnalysisState.QUEUED.value,
            stage=Stage.WAITING.value,
            progress=0.0,
            lease_until=None,
            due_at=timezone.now() + wait,
            # A job that goes back for later is rung by the sweep as soon as it is due.
            rung_at=None if wait else timezone.now(),
            attempts=F("attempts") if count_attempt else F("attempts") - 1,
        )
        if not put_back:
            raise LeaseLost("another worker holds this job")
        analysis = Analysis.objects.select_related("recording__project__organization").get(pk=held.analysis)
        record_job(EventName.ANALYSIS_REQUEUED, analysis, ACTOR, reason=reason)
        if not wait:
            transaction.on_commit(lambda: bell.ring(held.code))


def cancel(analysis: Analysis, *, actor: Actor) -> Analysis:
    """Cancels a job: a queued one at once, a running one at its next check. Raises `NotCancellable` when it has ended."""
    with transaction.atomic():
        row: Analysis = Analysis.objects.select_for_update(no_key=True).get(pk=analysis.pk)
        if row.state not in UNFINISHED:
            raise NotCancellable(f"the job is {row.state}")
        row.cancel_requested = True
        if row.state == AnalysisState.QUEUED:
            row.state = AnalysisState.CANCELLED.value
            row.stage = Stage.FINISHED.value
            row.finished_at = timezone.now()
            record_job(EventName.ANALYSIS_CANCELLED, row, actor)
        row.save(update_fields=["cancel_requested", "state", "stage", "finished_at"])
    return row


def sweep(limit: int = 500, ring_again_after: timedelta = RING_AGAIN_AFTER) -> int:
    """Rings again for jobs that are due or abandoned: whatever the broker lost is found here. Returns how many were rung.

    A job that was rung within `ring_again_after` is left alone: its bell may lie behind others, and more would bury them.
    """
    now = timezone.now()
    due = Q(state=AnalysisState.QUEUED.value, due_at__lte=now)
    abandoned = Q(state=AnalysisState.RUNNING.value, lease_until__lt=now)
    unrung = Q(rung_at=None) | Q(rung_at__lte=now - ring_again_after)
    waiting = Analysis.objects.filter(due | abandoned).filter(unrung, ~_restricted()).order_by("due_at")
    rung = list(takewhile(bell.ring, waiting.values_list("code", flat=True)[:limit]))
    Analysis.objects.filter(code__in=rung).update(rung_at=now)
    return len(rung)


def record_job(name: EventName, analysis: Analysis, actor: Actor, *, decision: str = "", reason: str = "") -> None:
    """One event about a job, in the caller's transaction."""
    recording = analysis.recording
    trail.record(
        name,
        organization=recording.project.organization.code,
        actor=actor,
        objects=[
            Reference(ObjectKind.ANALYSIS, analysis.code),
            Reference(ObjectKind.RECORDING, recording.code),
            *([Reference(ObjectKind.DECISION, decision)] if decision else []),
            Reference(ObjectKind.PROJECT, recording.project.code),
        ],
        reason=reason,
        detail={"attempt": analysis.attempts, "fencing_token": analysis.fencing_token},
    )


def require_unrestricted(held: Claim) -> None:
    """Raises `ConsentChanged`, after which the job waits, where the data of somebody in the recording is restricted by now. Under
    their locks this holds until the caller's transaction ends."""
    if Analysis.objects.filter(_restricted(), pk=held.analysis).exists():
        raise ConsentChanged("the processing of somebody's data was restricted while the job ran")


def _restricted() -> Exists:
    """Nothing is done about somebody whose data is restricted, and nothing is lost: their jobs stay in the queue."""
    return Exists(Participant.objects.filter(recording=OuterRef("recording"), subject__restricted_at__isnull=False))


def _held(held: Claim) -> ScopedQuerySet:
    return Analysis.objects.filter(pk=held.analysis, fencing_token=held.token, state=AnalysisState.RUNNING.value)
