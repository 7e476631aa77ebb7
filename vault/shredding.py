"""Orders to shred keys, and carrying them out. Resumable: what goes is written down first, then the keys are destroyed, then the
files that needed them are deleted, then the order is marked done with its signed certificate; every step may run again after a
crash."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from vault import certificate, journal, rewrapped, rotation, storage
from vault import format as sealed_format
from vault import keys as key_store
from vault.codes import new_code
from vault.errors import SealBroken, ShredOutsideTransaction
from vault.journal import Entry
from vault.keyring import CERTIFICATES
from vault.models import DataKey, KeyClass, SealedBlob, ShredOrder
from vault.ports import key_events

ORDER: Final = "shred-order"
"""What the journal calls an order."""
_NOTED: Final = ("code", "organization", "key_class", "owner", "scope", "reason")
_BATCH: Final = 500
_NO_KEY: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Shredded:
    """What one order destroyed."""

    order: str
    key_ids: tuple[str, ...]
    blobs: int


def place_order(organization: str, *, owner: str, key_class: KeyClass, scope: str, reason: str) -> ShredOrder:
    """A new order in the caller's transaction; in the journal before it is acknowledged. Raises `ShredOutsideTransaction`."""
    if not connection.in_atomic_block:
        raise ShredOutsideTransaction("a shred order must commit with what closes the gate")
    made: ShredOrder = ShredOrder.objects.create(
        code=new_code(), organization=organization, key_class=key_class, owner=owner, scope=scope, reason=reason
    )
    journal.note(ORDER, {name: str(getattr(made, name)) for name in _NOTED})
    return made


def replay(entry: Entry) -> bool:
    """Puts an order of the journal into force again where this database does not have it. True when it had not."""
    _, made = ShredOrder.objects.get_or_create(
        code=entry.body["code"], defaults={name: entry.body[name] for name in _NOTED if name != "code"}
    )
    return bool(made)


def carry_out_orders(limit: int = 200) -> list[Shredded]:
    """Carries out up to `limit` open orders, oldest first. One that fails holds up no other: its error is raised at the end."""
    codes = list(ShredOrder.objects.filter(done_at=None).order_by("id").values_list("code", flat=True)[:limit])
    done: list[Shredded] = []
    failures: list[Exception] = []
    for code in codes:
        try:
            shredded = carry_out(code)
        except Exception as error:
            failures.append(error)
        else:
            done += [shredded] if shredded is not None else []
    if failures:
        raise failures[0]
    return done


def carry_out(code: str) -> Shredded | None:
    """Carries out one order; None when it is done or another worker has it in hand.

    Raises `StorageUnavailable` and `ProviderUnavailable` (no signature), with the keys destroyed and the order still open.
    """
    if _write_down(code) is None:
        return None
    with transaction.atomic():
        order = _take(code)
        if order is None:
            return None
        planned: dict[str, list[str]] = order.certificate or {"keys": [], "blobs": []}
        ids = planned["keys"]
        # Its own database, its own commit: from here on the keys are gone, whatever becomes of this transaction.
        _destroy_keys([UUID(key) for key in ids])
        for blob in planned["blobs"]:
            storage.remove(blob)
        SealedBlob.objects.filter(code__in=planned["blobs"]).delete()
        order.done_at = timezone.now()
        order.certificate = _certificate(order, ids, len(planned["blobs"]))
        order.save(update_fields=["done_at", "certificate"])
        if ids:
            key_events.face.destroyed(order.organization, order.owner, ids, order.reason)
    return Shredded(order.code, tuple(ids), len(planned["blobs"]))


def destroy_stray_keys() -> int:
    """Destroys keys that an order closed but whose row came after the order was carried out (a crash between the two databases).

    Nothing was ever readable under them again; this ends their being there. Returns how many.
    """
    return sum(_destroy_keys(keys) for keys in stray_keys())


def stray_keys() -> Iterator[list[UUID]]:
    """The ids of keys that orders closed and that are there still, in batches; of open orders as well."""
    after = _NO_KEY
    while rows := list(DataKey.objects.filter(pk__gt=after).order_by("pk")[:_BATCH]):
        after = rows[-1].pk
        yield [key.pk for key in _closed(rows)]


def _destroy_keys(ids: Sequence[UUID]) -> int:
    """The rows first, then the copies that a rotation left: one that is under way holds the rows until its copies are written."""
    deleted: int = DataKey.objects.filter(pk__in=ids).delete()[0]
    key_store.forget_cached()
    rewrapped.drop(ids)
    return deleted


def _write_down(code: str) -> ShredOrder | None:
    """Notes in the order which keys and files go, before the first is gone: a second run then still knows them all."""
    with transaction.atomic():
        order = _take(code)
        if order is None:
            return None
        known: dict[str, Any] = order.certificate or {"keys": [], "blobs": []}
        rows = DataKey.objects.filter(organization=order.organization, key_class=order.key_class, owner=order.owner)
        if order.scope:
            rows = rows.filter(scope=order.scope)
        ids = {str(key.pk) for key in _closed(list(rows))} | set(known["keys"])
        blobs = set(_doomed_blobs(order, ids)) | set(known["blobs"])
        order.certificate = {"keys": sorted(ids), "blobs": sorted(blobs)}
        order.save(update_fields=["certificate"])
        return order


def _take(code: str) -> ShredOrder | None:
    found: ShredOrder | None = (
        ShredOrder.objects.select_for_update(skip_locked=True).filter(code=code, done_at=None).first()
    )
    return found


def _closed(keys: Sequence[DataKey]) -> list[DataKey]:
    """The keys that orders have closed: those of an older generation than the orders now count."""
    names = {key.pk: key_store.name_of(key) for key in keys}
    now = key_store.generations(list(set(names.values())))
    return [key for key in keys if key.generation < now[names[key.pk]]]


def _doomed_blobs(order: ShredOrder, doomed: Iterable[str]) -> list[str]:
    """The owner's files that need a key which goes or is gone. The file's own header says which it needs: no clock is asked, and
    what was sealed under a later consent's key stays."""
    blobs = SealedBlob.objects.filter(
        organization=order.organization, key_class=order.key_class, owners__contains=[order.owner]
    )
    if order.scope:
        blobs = blobs.filter(scope=order.scope)
    needed = {code: _needed_keys(code) for code in blobs.values_list("code", flat=True)}
    named = {key for keys in needed.values() for key in keys or ()}
    alive = set(DataKey.objects.filter(pk__in=named).values_list("pk", flat=True)) - {UUID(key) for key in doomed}
    return [code for code, keys in needed.items() if keys is not None and not keys <= alive]


def _needed_keys(blob: str) -> frozenset[UUID] | None:
    """The keys that a file names. None when it is not there: a disk that is not mounted must not cost a later file its row."""
    start = storage.read_start(blob, sealed_format.MAX_HEADER)
    if start is None:
        return None
    try:
        return frozenset(UUID(bytes=key) for key in sealed_format.parse_header(start).key_ids)
    except SealBroken:
        # Damaged beyond opening, and its owner asked for its end.
        return frozenset({_NO_KEY})


def _certificate(order: ShredOrder, ids: Sequence[str], blobs: int) -> dict[str, Any]:
    provider = key_store.provider()
    assert order.done_at is not None
    return certificate.signed(
        {
            "order": order.code,
            "organization": order.organization,
            "key_class": str(order.key_class),
            "owner": order.owner,
            "scope": order.scope,
            "reason": order.reason,
            "ordered_at": order.ordered_at.isoformat(),
            "destroyed_at": order.done_at.isoformat(),
            "keys": list(ids),
            "blobs": blobs,
            "backups_powerless_from": rotation.powerless_from().isoformat(),
        },
        provider.public_key(CERTIFICATES),
        lambda message: provider.sign(CERTIFICATES, message),
    )
