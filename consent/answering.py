"""What an answer does to the answers before it: the newer one counts, scope by scope, and the older says which superseded it.

An answer given before a refusal or withdrawal that is known cannot undo it, however late it comes in. A refusal that replaces a
grant destroys what rested on it. A request opens nothing and closes nothing.
"""

from collections.abc import Collection

from django.db import transaction
from django.db.models import QuerySet

from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import subjects
from consent.closing import note_ended, order_destruction
from consent.errors import InvalidRecord
from consent.models import ConsentRecord, CurrentGrant, Grant, LostEnding, Subject
from consent.revising import revise
from consent.vocabulary import HOLDS, LIVE, GrantState, Scope

_EVENTS = {
    GrantState.GIVEN: EventName.GRANT_GIVEN,
    GrantState.REFUSED: EventName.GRANT_REFUSED,
    GrantState.REQUESTED: EventName.GRANT_REQUESTED,
    GrantState.DEFERRED: EventName.GRANT_DEFERRED,
}
FINAL = (GrantState.REFUSED, GrantState.WITHDRAWN, GrantState.INVALIDATED)


def answer(
    record: ConsentRecord,
    subject: Subject,
    scopes: Collection[Scope],
    state: GrantState,
    *,
    actor: Actor,
    reason: str = "",
) -> None:
    """Puts the record's scopes into that state, now: given, refused or requested. The caller holds the subject's lock.

    Raises `InvalidRecord` for an answer that a later refusal or withdrawal has overtaken.
    """
    named = sorted(set(scopes))
    if state is not GrantState.REFUSED:
        _require_latest(record, named)
    before = list(
        CurrentGrant.objects.filter(subject=subject, purpose=record.purpose_id, scope__in=named)
        .exclude(grant__record=record)
        .select_related("grant__record", "purpose")
    )
    held = [row for row in before if row.grant.state in HOLDS]
    if state is GrantState.REQUESTED:
        kept = {row.scope for row in held}
        for scope in named:
            revise(record, scope, state, actor=actor, reason=reason, current=scope.value not in kept)
    else:
        for row in before:
            if row.grant.state in LIVE:
                revise(
                    row.grant.record, row.scope, GrantState.SUPERSEDED, actor=actor, current=False, superseded_by=record
                )
        for scope in named:
            revise(record, scope, state, actor=actor, reason=reason)
    epoch = subjects.move_consent_epoch(subject)
    orders = []
    if state is GrantState.REFUSED and held:
        orders = order_destruction(subject, held, "refusal")
        note_ended(subject, held)
    elif state is GrantState.GIVEN and held:
        # The new terms may be narrower: a backup from before them must not open the gate on the old ones again.
        note_ended(subject, held, GrantState.SUPERSEDED)
    _record(record, subject, named, state, epoch=epoch, actor=actor, reason=reason, orders=len(orders))


def defer(record: ConsentRecord, *, actor: Actor, scopes: Collection[Scope] | None = None) -> None:
    """Writes down that the person put off their answer to what this record asked. Opens nothing, and closes nothing that is in
    force. Raises `InvalidRecord` where nothing of it still waits for an answer, `SubjectErased`."""
    with transaction.atomic():
        subject = subjects.lock(record.subject_id)
        latest = {grant.scope: grant.state for grant in record.grants.order_by("revision")}
        asked = [
            Scope(scope)
            for scope, state in sorted(latest.items())
            if state == GrantState.REQUESTED and (scopes is None or Scope(scope) in scopes)
        ]
        if not asked:
            raise InvalidRecord("scopes", "nothing of this consent waits for an answer")
        own = CurrentGrant.objects.filter(subject=subject, grant__record=record).values_list("scope", flat=True)
        current = set(own)
        for scope in asked:
            revise(record, scope, GrantState.DEFERRED, actor=actor, current=scope.value in current)
        epoch = subjects.move_consent_epoch(subject)
        _record(record, subject, asked, GrantState.DEFERRED, epoch=epoch, actor=actor, reason="")


def refuse_statement(
    record: ConsentRecord,
    subject: Subject,
    scopes: Collection[Scope],
    own: Collection[str],
    *,
    actor: Actor,
    reason: str,
) -> None:
    """Ends a request whose spoken statement did not hold. Only in the scopes in `own` it is what the gate goes by: the person
    did not refuse anything that is in force, they were only not heard to consent. The caller holds the subject's lock."""
    for scope in sorted(set(scopes)):
        revise(record, scope, GrantState.REFUSED, actor=actor, reason=reason, current=scope.value in own)
    epoch = subjects.move_consent_epoch(subject)
    _record(record, subject, scopes, GrantState.REFUSED, epoch=epoch, actor=actor, reason=reason)


def is_answered_since(record: ConsentRecord, scopes: Collection[Scope]) -> bool:
    """Whether the person refused or withdrew one of these scopes, or consented to it in a newer record, after this record's time:
    what was requested then is no longer open."""
    newer = _about(record, scopes).filter(state=GrantState.GIVEN.value, record__gt=record.pk)
    return newer.exists() or _ended_since(record, scopes)


def is_overtaken(record: ConsentRecord, scopes: Collection[Scope]) -> bool:
    """Whether an answer of that time (the record need not be saved) came before a refusal or withdrawal that is known."""
    return _ended_since(record, scopes)


def _require_latest(record: ConsentRecord, scopes: Collection[Scope]) -> None:
    if _ended_since(record, scopes):
        raise InvalidRecord(
            "given_at", "is earlier than a refusal or withdrawal; record what the person answered since"
        )


def _ended_since(record: ConsentRecord, scopes: Collection[Scope]) -> bool:
    final = [state.value for state in FINAL]
    lost = LostEnding.objects.filter(
        subject=record.subject_id, purpose=record.purpose.code, scope__in=list(scopes), at__gt=record.given_at
    )
    return _about(record, scopes).filter(state__in=final, at__gt=record.given_at).exists() or lost.exists()


def _about(record: ConsentRecord, scopes: Collection[Scope]) -> QuerySet[Grant]:
    """Every revision of these scopes for the record's person and purpose, in whichever record."""
    return Grant.objects.filter(
        record__subject=record.subject_id, record__purpose=record.purpose_id, scope__in=list(scopes)
    )


def _record(
    record: ConsentRecord,
    subject: Subject,
    scopes: Collection[Scope],
    state: GrantState,
    *,
    epoch: int,
    actor: Actor,
    reason: str,
    orders: int = 0,
) -> None:
    trail.record(
        _EVENTS[state],
        organization=subject.project.organization.code,
        actor=actor,
        objects=[
            Reference(ObjectKind.CONSENT, record.code),
            Reference(ObjectKind.SUBJECT, subject.code, epoch),
            Reference(ObjectKind.PURPOSE, record.purpose.code),
            Reference(ObjectKind.NOTICE, record.notice.code),
        ],
        reason=reason,
        detail={
            "scopes": sorted(scope.value for scope in scopes),
            "notice_sha256": record.notice.sha256,
            "evidence_sha256": record.evidence_sha256,
            "explicit": record.explicit,
            "represented": record.representation_id is not None,
            "destruction_ordered": orders,
        },
    )
