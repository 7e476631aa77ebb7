"""Carrying out destruction orders: every holder in the inventory destroys its part, the vault destroys the keys, then the order is
marked done, with what went and when backups open nothing of it any more.

Resumable: an order is done only when its last step is; a crash anywhere runs it again, and every step is idempotent. Counts add up
over the runs.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime

import structlog
from django.db import transaction
from django.utils import timezone

from audit import trail
from audit.entry import ObjectKind, Reference
from audit.events import EventName
from consent import inventory
from consent.inventory import Target
from consent.models import ConsentRecord, Decision, DestructionOrder, Subject
from vault import shredding
from vault.models import ShredOrder

ACTOR = trail.system("destruction")
log = structlog.get_logger(__name__)


def carry_out_orders(limit: int = 100) -> int:
    """Carries out up to `limit` open orders, oldest first; returns how many were finished."""
    done = 0
    for code in list(_open_orders(limit)):
        try:
            done += carry_out(code)
        except Exception as error:
            log.error("destruction_failed", order=code, error=type(error).__name__)
    return done


def carry_out(code: str) -> bool:
    """Carries out one order. False when another worker has it in hand, it is done, or a key of it is still to be destroyed."""
    shreds = _empty(code)
    if shreds is None:
        return False
    for shred in shreds:
        shredding.carry_out(shred)
    return _finish(code)


def open_orders(project: int, purpose: str, subjects: Collection[str]) -> list[DestructionOrder]:
    """The orders about these people and this purpose that are not carried out yet: what they name opens never again, even where a
    further consent was given meanwhile and another purpose keeps the key."""
    return list(
        DestructionOrder.objects.filter(
            project=project, purpose__in=["", purpose], subject__in=list(subjects), done_at=None
        )
    )


def names(order: DestructionOrder, subjects: Collection[str], scopes: Collection[str], made_at: datetime) -> bool:
    """Whether the order is about something that was made then, about these people, resting on these scopes."""
    return (
        order.subject in subjects
        and made_at <= order.ordered_at
        and (not order.scopes or not set(order.scopes).isdisjoint(scopes))
    )


def _empty(code: str) -> list[str] | None:
    """Everything that the holders hold goes, in one transaction. Gives the vault's orders that remain; None when nothing does."""
    with transaction.atomic():
        order = _take(code)
        if order is None:
            return None
        target = Target(
            organization=order.organization,
            project=order.project_id,
            subject=order.subject,
            made_until=order.ordered_at,
            purpose=order.purpose,
            scopes=frozenset(order.scopes),
        )
        linked = _codes_that_link(order) if target.whole_person else set()
        counts = Counter(order.destroyed)
        counts.update({holder.name: holder.destroy(target) for holder in inventory.holders()})
        order.destroyed = {name: count for name, count in counts.items() if count}
        order.save(update_fields=["destroyed"])
        # After a whole person went, the salts that tie log entries to them go too.
        trail.forget(order.organization, linked)
        return list(order.shreds)


def _finish(code: str) -> bool:
    with transaction.atomic():
        order = _take(code)
        if order is None:
            return False
        done = ShredOrder.objects.filter(code__in=order.shreds, done_at__isnull=False)
        certificates = list(done.values_list("certificate", flat=True))
        if len(certificates) < len(order.shreds):
            return False
        if certificates:
            order.unrecoverable_from = max(
                datetime.fromisoformat(one["backups_powerless_from"]) for one in certificates if one is not None
            )
        order.done_at = timezone.now()
        order.save(update_fields=["done_at", "unrecoverable_from"])
        whole_person = not order.scopes
        until = order.unrecoverable_from
        trail.record(
            EventName.DATA_DESTROYED,
            organization=order.organization,
            actor=ACTOR,
            objects=[Reference(ObjectKind.PROJECT, order.project.code)]
            if whole_person or _is_erased(order)
            else [Reference(ObjectKind.SUBJECT, order.subject), Reference(ObjectKind.PROJECT, order.project.code)],
            reason=order.reason,
            detail={
                "scopes": sorted(order.scopes),
                "unrecoverable_from": None if until is None else until.isoformat(),
                **{f"destroyed_{name}": n for name, n in order.destroyed.items()},
            },
        )
    return True


def _take(code: str) -> DestructionOrder | None:
    found: DestructionOrder | None = (
        DestructionOrder.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
        .select_related("project")
        .filter(code=code, done_at=None)
        .first()
    )
    return found


def _open_orders(limit: int) -> Iterator[str]:
    yield from DestructionOrder.objects.filter(done_at=None).order_by("id").values_list("code", flat=True)[:limit]


def _is_erased(order: DestructionOrder) -> bool:
    """An order that is late must not tie an entry to somebody who was erased meanwhile."""
    return Subject.objects.filter(code=order.subject, erased_at__isnull=False).exists()


def _codes_that_link(order: DestructionOrder) -> set[str]:
    """The person's own code, their consents', and the decisions' that are about nobody else; recordings see to their own."""
    codes = {order.subject}
    codes.update(
        Decision.objects.filter(project=order.project, subjects=[order.subject]).values_list("code", flat=True)
    )
    codes.update(ConsentRecord.objects.filter(subject__code=order.subject).values_list("code", flat=True))
    return codes
