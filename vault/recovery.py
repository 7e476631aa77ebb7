"""After a database was restored from a backup: what the journal knows and the backup does not comes into force again, and the keys
that survived the last rotation are found again. Everything here may be run twice, and over a database that needs none of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from vault import journal, rewrapped, rotation, shredding, stray
from vault import keys as key_store
from vault.epochs import KEYS_DATABASE
from vault.models import DataKey, Epoch
from vault.ports import journal_replay

_BATCH: Final = 500
_NO_KEY: Final = UUID(int=0)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was put right. `lost` keys are wrapped under an epoch that is gone, and no copy of them survived."""

    entries: int
    replayed: int
    keys_found: int
    lost: int
    orders_carried_out: int


def recover(say: Say = lambda line: None) -> Recovered:
    """Replays the journal, finds the surviving keys, and carries out every order that is open then.

    Raises `JournalBroken`, `ProviderUnavailable`, `StorageUnavailable`, `RotationUnderWay`; may be run again.
    """
    journal.flush()
    with rotation.alone():
        return _recover(say)


def _recover(say: Say) -> Recovered:
    total = replayed = 0
    # The journal opens with this provider's standing key alone, so a wrong provider ends here, before anything was changed.
    for entry in journal.entries():
        total += 1
        replay = shredding.replay if entry.kind == shredding.ORDER else journal_replay.face
        replayed += replay(entry)
    say(f"journal: {total} entries, {replayed} of them were not in this database")
    _adopt_epochs()
    carried_out = len(shredding.carry_out_orders())
    # A restored keys database may hold keys whose orders were done long ago.
    destroyed = stray.destroy_stray_keys()
    say(f"orders to shred: {carried_out} carried out; keys that came back although they were shredded: {destroyed}")
    found, lost = _find_keys()
    say(f"keys: {found} found among the rewrapped ones, {lost} lost with their epoch")
    return Recovered(total, replayed, found, lost, carried_out)


def _adopt_epochs() -> None:
    """The rows as the provider has them: what it holds is there, what it does not hold is destroyed, the newest is in use."""
    held = key_store.provider().epochs()
    now = timezone.now()
    with transaction.atomic(using=KEYS_DATABASE):
        for number in held:
            # It may be as old as an epoch gets: certificates promised its end by then.
            begun = now - timedelta(days=settings.VOXGOV_EPOCH_DAYS)
            Epoch.objects.get_or_create(number=number, defaults={"begun_at": begun})
        Epoch.objects.exclude(number=held[-1]).filter(retired_at=None).update(retired_at=now)
        Epoch.objects.exclude(number__in=held).filter(destroyed_at=None).update(destroyed_at=now)


def _find_keys() -> tuple[int, int]:
    held = key_store.provider().epochs()
    found = lost = 0
    after = _NO_KEY
    while True:
        with transaction.atomic(using=KEYS_DATABASE):
            rows = list(
                DataKey.objects.select_for_update(no_key=True)
                .filter(pk__gt=after)
                .exclude(epoch__in=held)
                .order_by("pk")[:_BATCH]
            )
            if not rows:
                return found, lost
            after = rows[-1].pk
            copies = rewrapped.find([row.pk for row in rows])
            usable = [copies[row.pk] for row in rows if row.pk in copies and copies[row.pk].epoch in held]
            for copy in usable:
                DataKey.objects.filter(pk=copy.id).update(epoch=copy.epoch, wrapped=copy.wrapped)
            found += len(usable)
            lost += len(rows) - len(usable)


def drop_lost() -> int:
    """Deletes the rows of keys that no epoch of the provider opens and of which no copy survived: their data is lost already, and
    they would stand in the way of every rotation. Returns how many. Raises `ProviderUnavailable`, `RotationUnderWay`."""
    with rotation.alone():
        journal.require_this_provider()
        _find_keys()
        held = key_store.provider().epochs()
        return int(DataKey.objects.exclude(epoch__in=held).delete()[0])
