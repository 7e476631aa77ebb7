"""Withdrawing consent, in one call and with no approval; ending grants for other causes; and erasing a whole person.

The transaction that closes the gate also writes what must be destroyed; a worker carries it out (`destruction`). What passes by
itself, with time, is `expiring`.
"""

from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet

from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import subjects
from consent.closing import ERASURE, end_grants
from consent.errors import NothingToWithdraw
from consent.models import ConsentRecord, CurrentGrant, DestructionOrder, Ending, Purpose, Subject
from consent.revising import revise
from consent.vocabulary import HOLDS, LIVE, EndCause, GrantState, Scope
from vault import journal, sealing
from vault.models import KeyClass


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a withdrawal did: the scopes closed (per purpose code) and the orders that destroy what was derived. `code` is that of
    the ending, whose receipt can be asked for."""

    code: str
    subject: str
    closed: tuple[tuple[str, str], ...]
    orders: tuple[str, ...]
    consent_epoch: int


def withdraw(
    subject: Subject,
    *,
    actor: Actor,
    record: ConsentRecord | None = None,
    purpose: Purpose | None = None,
    scopes: Collection[Scope] | None = None,
    reason: str = "",
) -> Withdrawal:
    """Withdraws every grant that matches and is in force, or waits for renewal or for an answer; effective at this commit.

    Raises `NothingToWithdraw`, `SubjectErased`. With nothing named, everything the person ever granted is withdrawn.
    """
    with transaction.atomic():
        locked = subjects.lock(subject.pk)
        rows = _live(locked, record=record, purpose=purpose, scopes=scopes)
        return _end(locked, rows, GrantState.WITHDRAWN, EndCause.WITHDRAWAL, actor=actor, reason=reason)


def invalidate(record: ConsentRecord, *, actor: Actor, scopes: Collection[Scope] | None = None) -> Withdrawal:
    """Says that a record never was consent: forged, given by somebody else, under pressure. Ends it as a withdrawal would."""
    with transaction.atomic():
        locked = subjects.lock(record.subject_id)
        rows = _live(locked, record=record, scopes=scopes)
        return _end(locked, rows, GrantState.INVALIDATED, EndCause.INVALIDATION, actor=actor)


def report_event(subject: Subject, event: str, *, actor: Actor, purpose: Purpose | None = None) -> Withdrawal:
    """Ends every grant that was given until this event. Raises `NothingToWithdraw`, `SubjectErased`."""
    with transaction.atomic():
        locked = subjects.lock(subject.pk)
        rows = _live(locked, purpose=purpose).filter(grant__record__until_event=event, grant__state__in=_values(HOLDS))
        return _end(locked, rows, GrantState.EXPIRED, EndCause.EVENT, actor=actor)


def _live(
    subject: Subject,
    *,
    record: ConsentRecord | None = None,
    purpose: Purpose | None = None,
    scopes: Collection[Scope] | None = None,
) -> QuerySet[CurrentGrant]:
    current = CurrentGrant.objects.filter(subject=subject, grant__state__in=_values(LIVE))
    if record is not None:
        current = current.filter(grant__record=record)
    if purpose is not None:
        current = current.filter(purpose=purpose)
    if scopes is not None:
        current = current.filter(scope__in=[scope.value for scope in scopes])
    return current.select_related("grant__record", "purpose").order_by("purpose_id", "scope")


def _end(
    subject: Subject,
    rows: QuerySet[CurrentGrant],
    state: GrantState,
    cause: EndCause,
    *,
    actor: Actor,
    reason: str = "",
) -> Withdrawal:
    matching = list(rows)
    if not matching:
        raise NothingToWithdraw("no consent in force matches")
    ending, orders = end_grants(subject, matching, state=state, cause=cause, actor=actor, reason=reason)
    return Withdrawal(
        code=ending.code,
        subject=subject.code,
        closed=tuple((row.purpose.code, row.scope) for row in matching),
        orders=tuple(order.code for order in orders),
        consent_epoch=ending.consent_epoch,
    )


def _values(states: Collection[GrantState]) -> list[str]:
    return [state.value for state in states]


def erase(subject: Subject, *, actor: Actor) -> DestructionOrder:
    """Erases the whole person: every grant withdrawn, every key ordered destroyed, everything held ordered gone."""
    organization = subject.project.organization.code
    with transaction.atomic():
        locked = subjects.lock(subject.pk)
        rows = list(_live(locked))
        subjects.mark_erased(locked)
        ending = Ending.objects.create(
            project=locked.project,
            subject=locked,
            cause=EndCause.ERASURE.value,
            state=GrantState.WITHDRAWN.value,
            consent_epoch=locked.consent_epoch,
            actor_kind=actor.kind.value,
            actor_code=actor.code,
        )
        for row in rows:
            revise(row.grant.record, row.scope, GrantState.WITHDRAWN, actor=actor, reason="erasure", ending=ending)
        journal.note(ERASURE, {"project": locked.project.code, "subject": locked.code})
        shreds = [
            sealing.shred(organization, owner=locked.code, key_class=key_class, reason="erasure").code
            for key_class in (KeyClass.SUBJECT, KeyClass.RECORD)
        ]
        order = DestructionOrder.objects.create(
            organization=organization,
            project=locked.project,
            subject=locked.code,
            reason="erasure",
            ending=ending,
            shreds=shreds,
        )
        trail.record(
            EventName.SUBJECT_ERASED,
            organization=organization,
            actor=actor,
            objects=[
                Reference(ObjectKind.SUBJECT, locked.code, locked.consent_epoch),
                Reference(ObjectKind.PROJECT, locked.project.code),
            ],
        )
    return order
