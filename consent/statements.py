"""Spoken statements: taking in a clip in which a person says that they consent, and the job that finds out whether they did.

Until it was heard the consent is *requested* and opens nothing. At or above the threshold it is *given*, below it *refused:
statement not matched*, which replaces no answer that is in force. The row is the job, Celery only the bell; whoever holds the
newest token may write. What the clip is heard under is an `EvidencePermit`, and that it was is on the trail.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from audit import standing, trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import answering, bell, evidence, matching, subjects
from consent.errors import (
    StatementCutShort,
    StatementEmpty,
    StatementNotExpected,
    StatementNotHeard,
    StatementTooLarge,
    SubjectErased,
)
from consent.evidence import Heard
from consent.models import ConsentRecord, CurrentGrant, SpokenStatement, Subject
from consent.ports import statement_transcriber
from consent.vocabulary import EvidenceMethod, GrantState, Scope, StatementState
from vault import sealing, storage
from vault.codes import new_code
from vault.context import Context
from vault.errors import KeyShredded
from vault.keys import KeyName
from vault.models import SealedBlob

HEAR: Final = "consent.statement"
"""The task's name."""
MAX_BYTES: Final = 24 * 1024 * 1024
"""A minute of the largest samples that anybody records."""
CHUNK: Final = 64 * 1024
LEASE: Final = timedelta(minutes=5)
"""Far longer than a minute of speech takes to transcribe."""
RING_AGAIN_AFTER: Final = timedelta(seconds=30)
MAX_ATTEMPTS: Final = 5
ACTOR: Final = trail.system("statements")
_UNFINISHED: Final = [StatementState.WAITING.value, StatementState.RUNNING.value]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Held:
    """A claimed statement."""

    pk: int
    token: int
    attempt: int


def receive(record: ConsentRecord, read: Callable[[int], bytes], length: int, *, actor: Actor) -> SpokenStatement:
    """Seals the clip while it arrives and queues it to be heard. `read(n)` gives up to n bytes, empty at the end.

    Raises `StatementNotExpected`, `StatementTooLarge`, `StatementEmpty`, `StatementCutShort`, `SubjectErased`, vault errors.
    """
    if length > MAX_BYTES:
        raise StatementTooLarge(f"at most {MAX_BYTES} bytes are accepted")
    if length == 0:
        raise StatementEmpty("the body is empty")
    _require_expected(record)
    code = new_code()
    organization = record.project.organization.code
    context = clip_context(organization, record.subject.code, record.code, code)
    with sealing.seal_stream(context, [KeyName.record(organization, record.subject.code)], code=code) as writer:
        received = 0
        while received < length:
            chunk = read(min(CHUNK, length - received))
            if not chunk:
                raise StatementCutShort(f"the body ended after {received} of {length} bytes")
            writer.write(chunk)
            received += len(chunk)
        blob = writer.finish()
    try:
        return _queue(record, blob, actor)
    except (StatementNotExpected, SubjectErased):
        # What a failed commit leaves is for the sweep of orphans, which asks the database: it may be the only copy.
        storage.remove(blob.code)
        raise


def hear(code: str) -> bool:
    """Hears one statement if it can be claimed; what became of it stands in its row. False when it was not this worker's."""
    standing.require_open()
    held = _claim(code)
    if held is None:
        return False
    statement = SpokenStatement.objects.select_related(
        "record__project__organization", "record__subject", "record__notice", "record__purpose"
    ).get(pk=held.pk)
    if held.attempt > MAX_ATTEMPTS:
        return _finish(held, statement, None, StatementState.NOT_HEARD)
    if not _open_scopes(statement.record):
        # Whoever withdrew meanwhile is not listened to any more, not even for proof.
        return _finish(held, statement, None, StatementState.OVERTAKEN)
    try:
        heard = _listen(statement)
    except (StatementNotHeard, KeyShredded):
        return _finish(held, statement, None, StatementState.NOT_HEARD)
    except Exception as error:
        log.error("statement_failed", statement=code, error=type(error).__name__)
        _release(held)
        return True
    return _finish(held, statement, heard, None)


def sweep(limit: int = 100) -> int:
    """Rings again for statements that are due or whose worker is gone; returns how many were rung."""
    now = timezone.now()
    unrung = Q(rung_at=None) | Q(rung_at__lte=now - RING_AGAIN_AFTER)
    waiting = SpokenStatement.objects.filter(_claimable(), unrung).order_by("due_at")
    rung = [code for code in waiting.values_list("code", flat=True)[:limit] if bell.ring(HEAR, code, queue="model")]
    SpokenStatement.objects.filter(code__in=rung).update(rung_at=now)
    return len(rung)


def clip_context(organization: str, subject: str, record: str, blob: str) -> Context:
    return Context(
        organization=organization,
        subjects=(subject,),
        scope="record",
        kind="statement",
        field=record,
        object_code=blob,
    )


def _queue(record: ConsentRecord, blob: SealedBlob, actor: Actor) -> SpokenStatement:
    with transaction.atomic():
        locked = subjects.lock(record.subject_id)
        _require_expected(record)
        blob.save()
        statement: SpokenStatement = SpokenStatement.objects.create(
            record=record, blob=blob.code, rung_at=timezone.now()
        )
        _record(EventName.STATEMENT_RECEIVED, record, locked, actor)
        code = statement.code
        transaction.on_commit(lambda: bell.ring(HEAR, code, queue="model") and None, robust=True)
    return statement


def _require_expected(record: ConsentRecord) -> None:
    pending = record.grants.exclude(state=GrantState.REQUESTED.value)
    spoken = record.evidence_method == EvidenceMethod.SPOKEN and bool(record.notice.required_phrase)
    if not spoken or pending.exists() or SpokenStatement.objects.filter(record=record).exists():
        raise StatementNotExpected("no statement is awaited for this consent")


def _listen(statement: SpokenStatement) -> Heard:
    """Only this clip, only transcription, as proof of consent; on the trail before it is opened."""
    record = statement.record
    organization = record.project.organization.code
    permit = evidence.permit_for(statement.code, record.subject.code, organization)
    with transaction.atomic():
        _record(EventName.STATEMENT_HEARD, record, record.subject, ACTOR, basis=permit.basis)
    blob = SealedBlob.objects.filter(code=statement.blob).first()
    if blob is None:
        raise StatementNotHeard("the clip is not here any more")
    context = clip_context(organization, record.subject.code, record.code, blob.code)
    with sealing.open_range(context, [KeyName.record(organization, record.subject.code)], blob) as clip:
        return statement_transcriber.face(permit, clip, record.notice.language)


def _finish(held: _Held, statement: SpokenStatement, heard: Heard | None, state: StatementState | None) -> bool:
    """Writes down what was heard and answers the consent, unless the person answered otherwise meanwhile."""
    record = statement.record
    ratio = None if heard is None else matching.ratio(record.notice.required_phrase, heard.text)
    if state is None:
        matched = ratio is not None and ratio >= matching.THRESHOLD
        state = StatementState.MATCHED if matched else StatementState.NOT_MATCHED
    with transaction.atomic():
        try:
            locked = subjects.lock(record.subject_id)
        except SubjectErased:
            state, locked = StatementState.OVERTAKEN, None
        if not _is_held(held):
            return False
        if locked is not None and locked.restricted_at is not None:
            # What was heard is forgotten, and heard again when the restriction is lifted.
            _release(held)
            return False
        if locked is not None and not _answer(record, locked, state):
            state = StatementState.OVERTAKEN
        SpokenStatement.objects.filter(pk=held.pk).update(
            state=state.value,
            ratio=None if ratio is None else round(ratio, 4),
            transcript_sha256="" if heard is None else hashlib.sha256(heard.text.encode()).hexdigest(),
            seconds=None if heard is None else heard.seconds,
            model=None if heard is None else heard.model,
            lease_until=None,
            finished_at=timezone.now(),
        )
    return True


def _answer(record: ConsentRecord, subject: Subject, state: StatementState) -> bool:
    """False when the request is no longer open."""
    scopes = _open_scopes(record)
    if not scopes:
        return False
    if state is StatementState.MATCHED:
        answering.answer(record, subject, scopes, GrantState.GIVEN, actor=ACTOR, reason="statement matched")
        return True
    reason = "statement not matched" if state is StatementState.NOT_MATCHED else "statement not heard"
    # Whether it counts depends on whose row is current: a statement that failed takes nothing away that is in force.
    own = CurrentGrant.objects.filter(subject=subject, grant__record=record).values_list("scope", flat=True)
    answering.refuse_statement(record, subject, scopes, set(own), actor=ACTOR, reason=reason)
    return True


def _open_scopes(record: ConsentRecord) -> list[Scope]:
    """What the statement is to answer; empty once it was withdrawn, superseded, or overtaken by what the person answered since."""
    latest = {grant.scope: grant for grant in record.grants.order_by("revision")}
    scopes = [Scope(scope) for scope in latest]
    if any(grant.state != GrantState.REQUESTED for grant in latest.values()):
        return []
    return [] if answering.is_answered_since(record, scopes) else scopes


def _claimable() -> Q:
    """Nobody is listened to while their data is restricted: the statement waits."""
    now = timezone.now()
    due = Q(state=StatementState.WAITING.value, due_at__lte=now)
    due |= Q(state=StatementState.RUNNING.value, lease_until__lt=now)
    return due & Q(record__subject__restricted_at=None)


def _claim(code: str) -> _Held | None:
    taken = SpokenStatement.objects.filter(_claimable(), code=code).update(
        state=StatementState.RUNNING.value,
        fencing_token=F("fencing_token") + 1,
        attempts=F("attempts") + 1,
        lease_until=timezone.now() + LEASE,
    )
    if not taken:
        return None
    row = SpokenStatement.objects.get(code=code)
    return _Held(row.pk, row.fencing_token, row.attempts)


def _is_held(held: _Held) -> bool:
    mine = SpokenStatement.objects.select_for_update().filter(
        pk=held.pk, fencing_token=held.token, state=StatementState.RUNNING.value
    )
    return mine.exists()


def _release(held: _Held) -> None:
    SpokenStatement.objects.filter(pk=held.pk, fencing_token=held.token, state=StatementState.RUNNING.value).update(
        state=StatementState.WAITING.value,
        lease_until=None,
        due_at=timezone.now() + timedelta(seconds=2**held.attempt),
        rung_at=None,
    )


def _record(name: EventName, record: ConsentRecord, subject: Subject, actor: Actor, basis: str = "") -> None:
    trail.record(
        name,
        organization=record.project.organization.code,
        actor=actor,
        objects=[
            Reference(ObjectKind.CONSENT, record.code),
            Reference(ObjectKind.SUBJECT, subject.code, subject.consent_epoch),
            Reference(ObjectKind.PROJECT, record.project.code),
        ],
        reason=basis,
        detail={"notice_sha256": record.notice.sha256},
    )
