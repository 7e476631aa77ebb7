"""Ordering export bundles and making them in the background. The row is the job: claimed by a conditional UPDATE with a lease, so
that a killed worker's export is made by the next; the bell and the sweep only say that there is one.

What a bundle is lives in `export`; here it is fed from the database, in flat memory, and its file is looked after.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, F, Q
from django.utils import timezone

from audit import signing, stored_tree, trail, witnessing
from audit.entry import Actor, ObjectKind, Reference
from audit.errors import AuditError, ExportImpossible, ExportNotReady
from audit.events import EventName
from audit.export import sealed
from audit.export.lines import LeftOut
from audit.export.writing import Order, pack, write_bundle
from audit.models import Export, ExportState, Leaf, Log, SignedCheckpoint
from audit.tlog.checkpoint import SignedCheckpoint as Opened
from audit.tlog.checkpoint import open_checkpoint
from vault.errors import VaultError

TERM: Final = timedelta(days=7)
"""How long a file lies there after it was made."""
MAX_ATTEMPTS: Final = 3
MADE_BY: Final = "voxgov"
_LEASE: Final = timedelta(minutes=5)
_AT_ONCE: Final = 1000
log = structlog.get_logger(__name__)


def order(
    log_: Log, *, start: int, end: int | None, filter_: Mapping[str, Sequence[str]], recipient: str, actor: Actor
) -> Export:
    """Queues an export of the entries between two signed checkpoints, and rings for it. Raises `ExportImpossible`, `KeyInvalid`.

    A filter names event names (`name`), codes of actors (`actor`), outcomes, and one time from which on (`since`) and before which
    (`until`), ISO 8601.
    """
    _condition(filter_)
    newest = SignedCheckpoint.objects.filter(log=log_).order_by("-size").values_list("size", flat=True).first()
    last = newest if end is None else end
    if last is None or not SignedCheckpoint.objects.filter(log=log_, size=last).exists():
        raise ExportImpossible("no checkpoint of that size was signed")
    if start and not SignedCheckpoint.objects.filter(log=log_, size=start).exists():
        raise ExportImpossible(f"no checkpoint over {start} entries was signed")
    if start > last:
        raise ExportImpossible("the range ends before it begins")
    if start < log_.minimum_index:
        raise ExportImpossible(f"entries below {log_.minimum_index} were pruned")
    if recipient:
        sealed.require_public_key(recipient)
    with transaction.atomic():
        export: Export = Export.objects.create(
            log=log_,
            start=start,
            end=last,
            filter={name: list(values) for name, values in filter_.items()},
            recipient=recipient,
            actor_kind=actor.kind.value,
            actor_code=actor.code,
            state=ExportState.QUEUED.value,
        )
        _record(EventName.EXPORT_ORDERED, export, actor)
    return export


def make(code: str) -> bool:
    """Makes one export if it can be claimed. Whatever happens, the row says so. False when somebody else has it."""
    now = timezone.now()
    due = Q(state=ExportState.QUEUED.value) | Q(state=ExportState.RUNNING.value, lease_until__lt=now)
    claimed = Export.objects.filter(due, code=code).update(
        state=ExportState.RUNNING.value, lease_until=now + _LEASE, attempts=F("attempts") + 1, done_entries=0
    )
    if not claimed:
        return False
    export: Export = Export.objects.select_related("log").get(code=code)
    if export.attempts > MAX_ATTEMPTS:
        _end(export, ExportState.FAILED, error_code="attempts_exhausted")
        return True
    work = _root() / f"{code}.{export.attempts}.partial"
    try:
        work.mkdir(mode=0o700, parents=True)
        file = _build(export, work)
        _publish(export, file)
    except (AuditError, VaultError, OSError) as error:
        log.error("export_failed", export=code, error=type(error).__name__)
        if getattr(error, "transient", False) or isinstance(error, OSError):
            Export.objects.filter(pk=export.pk, attempts=export.attempts).update(
                state=ExportState.QUEUED.value, lease_until=None
            )
        else:
            _end(export, ExportState.FAILED, error_code=str(getattr(error, "code", "internal_error")))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return True


def make_what_is_due() -> int:
    """For the sweep: makes every export that waits or whose worker died; returns how many were claimed."""
    now = timezone.now()
    due = Q(state=ExportState.QUEUED.value) | Q(state=ExportState.RUNNING.value, lease_until__lt=now)
    return sum(make(code) for code in Export.objects.filter(due).order_by("id").values_list("code", flat=True)[:10])


def expire() -> int:
    """Deletes files whose term is over, and whatever a crash left; returns how many exports expired."""
    old = Export.objects.filter(state=ExportState.DONE.value, finished_at__lt=timezone.now() - TERM)
    count = 0
    for export in old:
        file_of(export).unlink(missing_ok=True)
        count += Export.objects.filter(pk=export.pk, state=ExportState.DONE.value).update(
            state=ExportState.EXPIRED.value
        )
    running = set(Export.objects.filter(state=ExportState.RUNNING.value).values_list("code", flat=True))
    for left in _root().glob("*.partial"):
        if left.name.split(".")[0] not in running:
            shutil.rmtree(left, ignore_errors=True)
    return count


def read(export: Export, *, actor: Actor) -> Path:
    """The bundle's file, for whoever may read the log; recorded first. Raises `ExportNotReady`."""
    path = file_of(export)
    if export.state != ExportState.DONE or not path.exists():
        raise ExportNotReady(f"the export is {export.state}")
    with transaction.atomic():
        _record(EventName.EXPORT_READ, export, actor)
    return path


def file_of(export: Export) -> Path:
    return _root() / f"{export.code}.{'sealed' if export.recipient else 'zip'}"


def _build(export: Export, work: Path) -> Path:
    bundle = work / "bundle"
    bundle.mkdir(mode=0o700)
    start = _opened(export.log, export.start) if export.start else None
    end = _opened(export.log, export.end)
    ordered = Order(
        log=export.log.code,
        start=start,
        end=end,
        made_by=MADE_BY,
        filter={name: tuple(values) for name, values in export.filter.items()},
        made_at=timezone.now(),
    )
    reader = stored_tree.reader(export.log, export.end)
    write_bundle(bundle, ordered, _items(export), reader, signing.ProviderSigner(export.log.origin))
    archive = work / "bundle.zip"
    pack(bundle, archive)
    if not export.recipient:
        return archive
    target = work / "bundle.sealed"
    with archive.open("rb") as source, target.open("xb") as into:
        sealed.seal(source, into, export.recipient)
    return target


def _publish(export: Export, file: Path) -> None:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    size = file.stat().st_size
    held = Export.objects.filter(pk=export.pk, state=ExportState.RUNNING.value, attempts=export.attempts)
    with transaction.atomic():
        if held.update(
            state=ExportState.DONE.value, finished_at=timezone.now(), lease_until=None, size=size, sha256=digest
        ):
            file.replace(file_of(export))


def _items(export: Export) -> Iterator[tuple[int, bytes | LeftOut]]:
    """Every index of the range in order: the entry, or its hash where the filter leaves it out. Renews the lease on the way."""
    wanted = ExpressionWrapper(_condition(export.filter), output_field=BooleanField())
    leaves = Leaf.objects.filter(log=export.log).annotate(wanted=wanted).order_by("index")
    for first in range(export.start, export.end, _AT_ONCE):
        rows = leaves.filter(index__gte=first, index__lt=min(first + _AT_ONCE, export.end))
        for index, leaf, entry, kept in rows.values_list("index", "hash", "event__entry", "wanted"):
            yield index, bytes(entry) if kept else LeftOut(bytes(leaf))
        Export.objects.filter(pk=export.pk, attempts=export.attempts).update(
            done_entries=first - export.start, lease_until=timezone.now() + _LEASE
        )


def _condition(filter_: Mapping[str, Sequence[str]]) -> Q:
    condition = Q(index__gte=0)
    for name, values in filter_.items():
        match name:
            case "name":
                condition &= Q(event__name__in=list(values))
            case "actor":
                condition &= Q(event__actor_code__in=list(values))
            case "outcome":
                condition &= Q(event__outcome__in=list(values))
            case "since":
                condition &= Q(event__at__gte=values[0])
            case "until":
                condition &= Q(event__at__lt=values[0])
            case _:
                raise ExportImpossible(f"a filter cannot name {name!r}")
    return condition


def _opened(log_: Log, size: int) -> Opened:
    note = witnessing.with_cosignatures(SignedCheckpoint.objects.get(log=log_, size=size))
    return open_checkpoint(note, [signing.ProviderSigner(log_.origin).verifier], log_.origin)


def _end(export: Export, state: ExportState, *, error_code: str) -> None:
    Export.objects.filter(pk=export.pk, attempts=export.attempts).update(
        state=state.value, lease_until=None, finished_at=timezone.now(), error_code=error_code
    )


def _record(name: EventName, export: Export, actor: Actor) -> None:
    trail.record(
        name,
        organization=export.log.code,
        actor=actor,
        objects=[Reference(ObjectKind.LOG, export.log.code)],
        detail={
            "export": export.code,
            "generation": export.log.generation,
            "from": export.start,
            "to": export.end,
            "filtered_by": sorted(export.filter),
            "sealed": bool(export.recipient),
        },
    )


def _root() -> Path:
    root: Path = settings.VOXGOV_EXPORT_DIR
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return root
