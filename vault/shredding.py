"""Orders to shred keys, and carrying them out. Resumable: what goes is written down first, then the keys are destroyed, then the
files that needed them are deleted, then the order is marked done with its signed certificate; every step may run again after a
crash."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from vault import certificate, journal, rotation, storage, stray
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


def carry_out_orders() -> list[Shredded]:
    """Carries out every open order, oldest first. One that fails holds up no other: its error is raised at the end."""
    codes = list(ShredOrder.objects.filter(done_at=None).order_by("id").values_list("code", flat=True))
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
    with transaction.atomic():
        order = _take(code)
        if order is None:
            return None
        planned = _note_keys(order)
    # Their own database, their own commit: from here on the keys are gone, whatever becomes of the files.
    stray.destroy([UUID(key) for key in planned["keys"]])
    with transaction.atomic():
        order = _take(code)
        if order is None:
            return None
        _note_files(order)
    with transaction.atomic():
        order = _take(code)
        if order is None:
            return None
        noted: dict[str, list[str]] = order.certificate or planned
        ids, blobs = noted["keys"], noted["blobs"]
        stray.destroy([UUID(key) for key in ids])
        for blob in blobs:
            storage.remove(blob)
        SealedBlob.objects.filter(code__in=blobs).delete()
        order.done_at = timezone.now()
        order.certificate = _certificate(order, ids, len(blobs))
        order.save(update_fields=["done_at", "certificate"])
        if ids:
            key_events.face.destroyed(order.organization, order.owner, ids, order.reason)
    return Shredded(order.code, tuple(ids), len(blobs))


def _note_keys(order: ShredOrder) -> dict[str, list[str]]:
    """Notes in the order which keys go, before the first is gone: a second run then still knows them all."""
    known: dict[str, list[str]] = order.certificate or {"keys": [], "blobs": []}
    rows = DataKey.objects.filter(organization=order.organization, key_class=order.key_class, owner=order.owner)
    if order.scope:
        rows = rows.filter(scope=order.scope)
    ids = {str(key.pk) for key in stray.closed(list(rows))} | set(known["keys"])
    order.certificate = {"keys": sorted(ids), "blobs": known["blobs"]}
    order.save(update_fields=["certificate"])
    return dict(order.certificate)


def _note_files(order: ShredOrder) -> None:
    """Notes in the order which files go. Raises `StorageUnavailable`: the disk is asked which keys each file needs."""
    known: dict[str, list[str]] = order.certificate or {"keys": [], "blobs": []}
    blobs = set(_doomed_blobs(order, known["keys"])) | set(known["blobs"])
    order.certificate = {"keys": known["keys"], "blobs": sorted(blobs)}
    order.save(update_fields=["certificate"])


def _take(code: str) -> ShredOrder | None:
    found: ShredOrder | None = (
        ShredOrder.objects.select_for_update(skip_locked=True).filter(code=code, done_at=None).first()
    )
    return found


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
    powerless = rotation.powerless_from()
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
            "backups_powerless_from": None if powerless is None else powerless.isoformat(),
        },
        provider.public_key(CERTIFICATES),
        lambda message: provider.sign(CERTIFICATES, message),
    )
