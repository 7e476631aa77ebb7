"""Carrying out shred orders. Resumable: keys go first, then the files that needed them, then the order is marked done with its
certificate; every step may run again after a crash."""

from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from vault import keys as key_store
from vault import storage
from vault.keys import KeyName
from vault.models import DataKey, KeyClass, SealedBlob, ShredOrder
from vault.ports import key_events


@dataclass(frozen=True, slots=True)
class Shredded:
    """What one order destroyed."""

    order: str
    key_ids: tuple[str, ...]
    blobs: int


def carry_out_orders(limit: int = 200) -> list[Shredded]:
    """Carries out up to `limit` open orders, oldest first."""
    codes = list(ShredOrder.objects.filter(done_at=None).order_by("id").values_list("code", flat=True)[:limit])
    return [done for code in codes if (done := carry_out(code)) is not None]


def carry_out(code: str) -> Shredded | None:
    """Carries out one order; None when it is done or another worker has it in hand."""
    with transaction.atomic():
        order = ShredOrder.objects.select_for_update(skip_locked=True).filter(code=code, done_at=None).first()
        if order is None:
            return None
        doomed = _doomed(order)
        ids = tuple(sorted(str(key.pk) for key in doomed))
        DataKey.objects.filter(pk__in=[key.pk for key in doomed]).delete()
        key_store.forget_cached()
        blobs = _remove_blobs(order)
        order.done_at = timezone.now()
        order.certificate = {
            "order": order.code,
            "keys": list(ids),
            "blobs": blobs,
            "destroyed_at": order.done_at.isoformat(),
        }
        order.save(update_fields=["done_at", "certificate"])
        if ids:
            key_events.face.destroyed(order.organization, order.owner, ids, order.reason)
    return Shredded(order.code, ids, blobs)


def _doomed(order: ShredOrder) -> list[DataKey]:
    """The keys that the order closed: those of an older generation than the orders now count."""
    rows = DataKey.objects.filter(organization=order.organization, key_class=order.key_class, owner=order.owner)
    if order.scope:
        rows = rows.filter(scope=order.scope)
    found = list(rows)
    names = {key.pk: KeyName(key.organization, KeyClass(key.key_class), key.owner, key.scope) for key in found}
    now = key_store.generations(list(set(names.values())))
    return [key for key in found if key.generation < now[names[key.pk]]]


def _remove_blobs(order: ShredOrder) -> int:
    """Deletes the files that needed a destroyed key and were sealed before the order."""
    blobs = SealedBlob.objects.filter(
        organization=order.organization,
        key_class=order.key_class,
        owners__contains=[order.owner],
        created_at__lte=order.ordered_at,
    )
    if order.scope:
        blobs = blobs.filter(scope=order.scope)
    codes = list(blobs.values_list("code", flat=True))
    for code in codes:
        storage.remove(code)
    SealedBlob.objects.filter(code__in=codes).delete()
    return len(codes)
