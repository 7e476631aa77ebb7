"""Where the vault stands: epochs and their keys, orders and how late they are, orphans both ways, the journal. Pure reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Count, Min
from django.utils import timezone

from vault import journal, rotation, storage, stray
from vault import keys as key_store
from vault.models import DataKey, Epoch, JournalNote, ShredOrder

OVERDUE_AFTER: Final = timedelta(minutes=10)
"""An order is carried out within seconds; one that is open for so long needs somebody."""


@dataclass(frozen=True, slots=True)
class EpochStatus:
    """`held`: the provider can use its key now."""

    number: int
    begun_at: datetime
    retired_at: datetime | None
    destroyed_at: datetime | None
    held: bool
    keys: int


@dataclass(frozen=True, slots=True)
class Status:
    """Times are aware. `residual_days` is the window that SECURITY.md publishes, for these settings."""

    provider: str
    epochs: tuple[EpochStatus, ...]
    rotation_due_at: datetime | None
    rotation_under_way: bool
    residual_days: float
    orders_open: int
    orders_overdue: int
    oldest_order_at: datetime | None
    files_without_row: int
    rows_without_file: int
    stray_keys: int
    journal_waiting: int
    journal_last: int

    def concerns(self) -> Iterator[str]:
        """What somebody should look at, one sentence each; none when all is well."""
        now = timezone.now()
        if self.rotation_due_at is not None and now > self.rotation_due_at + rotation.ALLOWANCE:
            yield "rotation is overdue: run `manage.py vault rotate`"
        if self.rotation_under_way:
            yield "a rotation was begun and is not at its end: run `manage.py vault rotate`, which goes on with it"
        if self.orders_overdue:
            yield f"{self.orders_overdue} orders to shred are overdue: is a worker of the light queue running?"
        for epoch in self.epochs:
            if epoch.held and epoch.destroyed_at is not None:
                yield f"epoch {epoch.number} came back after it was destroyed: run `manage.py vault rotate`"
            if epoch.keys and not epoch.held:
                yield (
                    f"{epoch.keys} keys are wrapped under epoch {epoch.number}, which the provider does not hold: "
                    "run `manage.py vault recover`"
                )
        if self.rows_without_file:
            yield f"{self.rows_without_file} sealed files are gone although a row names them: data was lost"
        if self.stray_keys and not self.orders_open:
            yield f"{self.stray_keys} keys outlived their order: run `manage.py vault tidy`"
        if self.files_without_row:
            yield f"{self.files_without_row} files are named by no row: run `manage.py vault tidy`"
        if self.journal_waiting:
            yield f"{self.journal_waiting} notes are not in the journal yet: can {settings.VOXGOV_JOURNAL_DIR} be written?"


def look() -> Status:
    """Raises `ProviderUnavailable`, `StorageUnavailable`."""
    held = key_store.provider().epochs()
    counts = dict(DataKey.objects.order_by("epoch").values_list("epoch").annotate(keys=Count("id")))
    rows = list(Epoch.objects.order_by("number"))
    open_orders = ShredOrder.objects.filter(done_at=None)
    return Status(
        provider=settings.VOXGOV_KEY_PROVIDER["kind"],
        epochs=tuple(
            EpochStatus(
                row.number,
                row.begun_at,
                row.retired_at,
                row.destroyed_at,
                row.number in held,
                counts.get(row.number, 0),
            )
            for row in rows
        ),
        rotation_due_at=rows[-1].begun_at + timedelta(days=settings.VOXGOV_EPOCH_DAYS) if rows else None,
        rotation_under_way=rotation.under_way(),
        residual_days=rotation.residual_window() / timedelta(days=1),
        orders_open=open_orders.count(),
        orders_overdue=open_orders.filter(ordered_at__lt=timezone.now() - OVERDUE_AFTER).count(),
        oldest_order_at=open_orders.aggregate(oldest=Min("ordered_at"))["oldest"],
        files_without_row=sum(1 for _ in storage.find_orphans()),
        rows_without_file=sum(1 for _ in storage.rows_without_file()),
        stray_keys=sum(len(keys) for keys in stray.stray_keys()),
        journal_waiting=JournalNote.objects.count(),
        journal_last=journal.last_number(),
    )


def lines(status: Status) -> Iterator[str]:
    """For reading in a terminal."""
    yield f"provider         {status.provider}"
    for epoch in status.epochs:
        yield f"epoch {epoch.number:<10} {_fate(epoch)}, {epoch.keys} keys"
    due = status.rotation_due_at
    yield f"next rotation    {'when there is a first key' if due is None else f'due {due:%Y-%m-%d %H:%M} UTC'}"
    yield f"residual window  {status.residual_days:g} days: so long may a backup from before a shredding open what was shredded"
    oldest = (
        "" if status.oldest_order_at is None else f", the oldest from {status.oldest_order_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    yield f"shred orders     {status.orders_open} open, {status.orders_overdue} overdue{oldest}"
    yield (
        f"orphans          {status.files_without_row} files without a row, {status.rows_without_file} rows without a file, "
        f"{status.stray_keys} keys that outlived their order"
    )
    yield f"journal          {status.journal_last} lines, {status.journal_waiting} notes waiting"
    for concern in status.concerns():
        yield f"! {concern}"


def _fate(epoch: EpochStatus) -> str:
    if epoch.destroyed_at is not None:
        return f"destroyed {epoch.destroyed_at:%Y-%m-%d %H:%M} UTC"
    if epoch.retired_at is not None:
        return f"retired {epoch.retired_at:%Y-%m-%d %H:%M} UTC"
    return f"in use since {epoch.begun_at:%Y-%m-%d %H:%M} UTC"
