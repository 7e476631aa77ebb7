"""Withdrawing consent, in one call and with no approval, and erasing a whole person.

The transaction that closes the gate also writes what must be destroyed; a worker carries it out (`destruction`).
"""

from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction

from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import subjects
from consent.closing import ERASURE, order_destruction
from consent.errors import NothingToWithdraw
from consent.models import ConsentRecord, CurrentGrant, DestructionOrder, Purpose, Subject
from consent.revising import revise
from consent.vocabulary import LIVE, GrantState, Scope
from vault import journal, sealing
from vault.models import KeyClass


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a withdrawal did: the scopes closed (per purpose code) and the orders that destroy what was derived."""

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

    Raises `NothingToWithdraw`, `SubjectErased`.

    With nothing named, everything the person ever granted is withdrawn.
    """
    organization = subject.project.organization.code
    with transaction.atomic():
        locked = subjects.lock(subject.pk)
        current = CurrentGrant.objects.filter(
            subject=locked, grant__state__in=[state.value for state in LIVE]
        ).select_related("grant__record", "purpose")
        if record is not None:
            current = current.filter(grant__record=record)
        if purpose is not None:
            current = current.filter(purpose=purpose)
        if scopes is not None:
            current = current.filter(scope__in=[scope.value for scope in scopes])
        matching = list(current.order_by("purpose_id", "scope"))
        if not matching:
            raise NothingToWithdraw("no consent in force matches")
        for row in matching:
            revise(row.grant.record, row.scope, GrantState.WITHDRAWN, actor=actor, reason=reason)
        epoch = subjects.move_consent_epoch(locked)
        orders = order_destruction(locked, organization, matching, "withdrawal")
        trail.record(
            EventName.GRANT_WITHDRAWN,
            organization=organization,
            actor=actor,
            objects=[
                *[Reference(ObjectKind.CONSENT, code) for code in sorted({row.grant.record.code for row in matching})],
                Reference(ObjectKind.SUBJECT, locked.code, epoch),
                *[Reference(ObjectKind.PURPOSE, code) for code in sorted({row.purpose.code for row in matching})],
            ],
            detail={"scopes": sorted({row.scope for row in matching}), "destruction_ordered": len(orders)},
        )
    return Withdrawal(
        subject=locked.code,
        closed=tuple((row.purpose.code, row.scope) for row in matching),
        orders=tuple(order.code for order in orders),
        consent_epoch=epoch,
    )


def erase(subject: Subject, *, actor: Actor) -> DestructionOrder:
    """Erases the whole person: every grant withdrawn, every key ordered destroyed, everything held ordered gone."""
    organization = subject.project.organization.code
    with transaction.atomic():
        locked = subjects.lock(subject.pk)
        for row in CurrentGrant.objects.filter(
            subject=locked, grant__state__in=[state.value for state in LIVE]
        ).select_related("grant__record"):
            revise(row.grant.record, row.scope, GrantState.WITHDRAWN, actor=actor, reason="erasure")
        subjects.mark_erased(locked)
        order = DestructionOrder.objects.create(
            organization=organization, project=locked.project, subject=locked.code, reason="erasure"
        )
        journal.note(ERASURE, {"project": locked.project.code, "subject": locked.code})
        sealing.shred(organization, owner=locked.code, key_class=KeyClass.SUBJECT, reason="erasure")
        sealing.shred(organization, owner=locked.code, key_class=KeyClass.RECORD, reason="erasure")
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
