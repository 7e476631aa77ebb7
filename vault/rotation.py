"""A new epoch, every key moved to it, the old epoch destroyed: a backup of the keys database from before then opens nothing.

Every step may be cut off anywhere and run again. The provider's new key comes first, then its row; a batch of keys is wrapped anew
under locks on its rows, copied outside the databases, and only then committed; an epoch's key is destroyed at the provider when
no row names it any more, and its row says so last.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone

from vault import epochs, journal, rewrapped, stray
from vault import keys as key_store
from vault.epochs import KEYS_DATABASE
from vault.errors import EpochDestroyed, KeysUnopenable, ProviderWrongKey, RotationUnderWay
from vault.models import DataKey, Epoch
from vault.ports import key_events
from vault.rewrapped import Copy

ALLOWANCE: Final = timedelta(days=1)
"""How long after its term an epoch may still be there: the schedule looks once an hour, and moving the keys takes its time."""
_BATCH: Final = 500
_LANES: Final = 8
"""Keys under way at once: a provider on the network answers each in milliseconds."""
_LOCK: Final = 0x766F_7867_6F76_0001
"""PostgreSQL advisory lock of the one rotation that may run."""
_NO_KEY: Final = UUID(int=0)
log = structlog.get_logger(__name__)

Progress = Callable[[int, int], None]
"""Told after each batch: keys moved, keys to move in all."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What one run did: the epoch that keys are now under, how many this run moved, which epochs it destroyed."""

    epoch: int
    moved: int
    destroyed: tuple[int, ...]


def rotate(progress: Progress = lambda moved, total: None) -> Rotation:
    """Begins an epoch, or goes on with a rotation that was cut off, to its end.

    Raises `RotationUnderWay` when another process rotates, `KeysUnopenable` when a key does not open at this provider (nothing
    is destroyed then; `manage.py vault recover` finds those that survived), `ProviderWrongKey` for another provider than the
    one that has the keys, `ProviderUnavailable`, `StorageUnavailable`.
    """
    with alone():
        journal.require_this_provider()
        # What orders closed moves nowhere: it goes first, whatever a restored keys database brought back.
        stray.destroy_stray_keys()
        if not under_way():
            _begin()
        newest = Epoch.objects.order_by("-number")[0].number
        moved = _move(newest, progress)
        destroyed = _destroy(newest)
        _drop_copies_without_row()
    return Rotation(newest, moved, destroyed)


def rotate_if_due() -> Rotation | None:
    """For the schedule: rotates when the epoch's days are over or a rotation was cut off. Raises as `rotate`."""
    newest = Epoch.objects.order_by("-number").first()
    if newest is None:
        return None  # no key was ever made
    if not under_way() and timezone.now() < newest.begun_at + _term():
        return None
    try:
        return rotate()
    except RotationUnderWay:
        return None


def under_way() -> bool:
    """Whether an epoch was retired and is not destroyed yet."""
    return Epoch.objects.filter(retired_at__isnull=False, destroyed_at=None).exists()


def residual_window() -> timedelta:
    """How long after a shredding a backup from before it may still open what was shredded, to somebody who has the provider too."""
    return _term() + ALLOWANCE + key_store.provider().deletion_delay + _keyring_backups()


def powerless_from() -> datetime | None:
    """From when on backups do not open what is shredded now: when the newest epoch is destroyed, and the provider and the
    keyring's own backups have forgotten it. None while that cannot be promised, because a rotation does not come to its end.
    Raises `ProviderUnavailable`."""
    late = timezone.now() - ALLOWANCE
    if Epoch.objects.filter(retired_at__lt=late, destroyed_at=None).exists():
        return None
    newest = Epoch.objects.order_by("-number").first() or epochs.adopt(key_store.provider())
    end = max(newest.begun_at + _term(), timezone.now())
    return end + ALLOWANCE + key_store.provider().deletion_delay + _keyring_backups()


def _term() -> timedelta:
    return timedelta(days=settings.VOXGOV_EPOCH_DAYS)


def _keyring_backups() -> timedelta:
    return timedelta(days=settings.VOXGOV_KEYRING_BACKUP_DAYS)


def _begin() -> None:
    provider = key_store.provider()
    newest = Epoch.objects.order_by("-number").first() or epochs.adopt(provider)
    held = provider.epochs()
    if not held or held[-1] < newest.number:
        raise ProviderWrongKey(f"the provider does not hold epoch {newest.number}: it is another one, or an older copy")
    # The provider is ahead of the rows where a run was cut off between the two.
    number = max(newest.number + 1, *held)
    provider.begin_epoch(number)
    key_events.face.epoch_begun(number)
    with transaction.atomic(using=KEYS_DATABASE):
        Epoch.objects.get_or_create(number=number, defaults={"begun_at": timezone.now()})
        # Waits for every key that is being made; from here on none is made under an older epoch.
        Epoch.objects.filter(number__lt=number, retired_at=None).update(retired_at=timezone.now())
    log.info("epoch_begun", epoch=number)


def _move(newest: int, progress: Progress) -> int:
    total = DataKey.objects.filter(epoch__lt=newest).count()
    moved = 0
    progress(moved, total)
    with ThreadPoolExecutor(_LANES) as lanes:
        while DataKey.objects.filter(epoch__lt=newest).exists():
            after, unopenable = _NO_KEY, 0
            while (batch := _move_batch(newest, after, lanes)) is not None:
                after = batch.last
                moved += batch.moved
                unopenable += batch.unopenable
                progress(moved, total)
            if unopenable:
                raise KeysUnopenable(f"{unopenable} keys do not open at this provider; no epoch was destroyed")
    return moved


@dataclass(frozen=True, slots=True)
class _Batch:
    last: UUID
    moved: int
    unopenable: int


def _move_batch(newest: int, after: UUID, lanes: ThreadPoolExecutor) -> _Batch | None:
    """The next keys in order of id; None when there are none. One that shredding holds is about to go, and is passed by."""
    with transaction.atomic(using=KEYS_DATABASE):
        rows = list(
            DataKey.objects.select_for_update(no_key=True, skip_locked=True)
            .filter(epoch__lt=newest, pk__gt=after)
            .order_by("pk")[:_BATCH]
        )
        if not rows:
            return None
        copies = [copy for copy in lanes.map(lambda row: _wrapped_anew(row, newest), rows) if copy is not None]
        # Shredding deletes the row first and the copy after it, so it waits for these rows and then finds the copy.
        rewrapped.keep(copies)
        _write(copies)
    return _Batch(rows[-1].pk, len(copies), len(rows) - len(copies))


def _wrapped_anew(row: DataKey, epoch: int) -> Copy | None:
    """None for a row that does not open: altered, wrapped by another provider, or lost with its epoch."""
    provider = key_store.provider()
    binding = key_store.binding_of(row)
    try:
        return Copy(
            row.pk, epoch, provider.wrap(epoch, provider.unwrap(row.epoch, bytes(row.wrapped), binding), binding)
        )
    except (ProviderWrongKey, EpochDestroyed):
        log.error("key_not_opened", key=str(row.pk), epoch=row.epoch)
        return None


def _write(copies: Sequence[Copy]) -> None:
    with connections[KEYS_DATABASE].cursor() as cursor:
        cursor.execute(
            "UPDATE vault_datakey AS held SET epoch = new.epoch, wrapped = new.wrapped"
            " FROM unnest(%s::uuid[], %s::int[], %s::bytea[]) AS new (id, epoch, wrapped) WHERE held.id = new.id",
            [[copy.id for copy in copies], [copy.epoch for copy in copies], [copy.wrapped for copy in copies]],
        )


def _destroy(newest: int) -> tuple[int, ...]:
    """Every epoch before the newest that the provider holds or a row names, one that came back with an old keyring included."""
    provider = key_store.provider()
    named = set(Epoch.objects.filter(number__lt=newest, destroyed_at=None).values_list("number", flat=True))
    destroyed = []
    for number in sorted(named | {number for number in provider.epochs() if number < newest}):
        if DataKey.objects.filter(epoch=number).exists():
            raise KeysUnopenable(f"epoch {number} still wraps keys; it was not destroyed")
        provider.destroy_epoch(number)
        key_events.face.epoch_destroyed(number)
        Epoch.objects.filter(number=number, destroyed_at=None).update(destroyed_at=timezone.now())
        log.info("epoch_destroyed", epoch=number)
        destroyed.append(number)
    return tuple(destroyed)


def _drop_copies_without_row() -> None:
    """A copy whose key was shredded between two steps of a crash."""
    copies = rewrapped.every()
    while batch := [copy.id for copy in islice(copies, _BATCH)]:
        there = set(DataKey.objects.filter(pk__in=batch).values_list("pk", flat=True))
        rewrapped.drop(set(batch) - there)


@contextmanager
def alone() -> Iterator[None]:
    """Nobody else rotates or recovers meanwhile; held by the session, it ends with the process. Raises `RotationUnderWay`."""
    with connections[KEYS_DATABASE].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        row = cursor.fetchone()
        if not (row and row[0]):
            raise RotationUnderWay("another process rotates the keys")
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
