"""Ending what is past its term: the oldest entries of a log go, up to a minimum index (C2SP tlog-tiles, "Pruning"). Their hashes
stay in the tiles, so that every proof about what is left, and between any two checkpoints, can still be made.

The application may not delete an event; a function of `voxgov_prune` may, and checks for itself that everything below the index is
signed, fills whole tiles and is old enough. That entries went is an entry itself.
"""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from audit import sequencing, trail
from audit.entry import ObjectKind, Reference
from audit.events import EventName
from audit.models import Leaf, Log, SignedCheckpoint
from audit.tlog.tiles import WIDTH

ACTOR: Final = trail.system("pruning")
_AT_ONCE: Final = 100 * WIDTH
"""Entries that go in one transaction."""


def prune_what_is_due() -> int:
    """For the schedule: prunes every log by the term in the settings, if there is one. Returns how many entries went."""
    days: int = settings.VOXGOV_AUDIT_DAYS
    if not days:
        return 0
    before = timezone.now() - timedelta(days=days)
    return sum(prune(log, before) for log in Log.objects.order_by("pk"))


def prune(log: Log, before: datetime) -> int:
    """Prunes the log's whole tiles of which every event was recorded before that time, some at a time; how many entries went."""
    total = 0
    while gone := _prune_some(log, before):
        total += gone
    return total


def _prune_some(log: Log, before: datetime) -> int:
    with transaction.atomic():
        if not sequencing.hold(log.code):
            return 0
        log.refresh_from_db()
        index = min(_whole_tiles_before(log, before), log.minimum_index + _AT_ONCE)
        if index <= log.minimum_index:
            return 0
        with connection.cursor() as cursor:
            cursor.execute("SELECT audit_prune(%s, %s)", [log.pk, index])
            row = cursor.fetchone()
        gone = int(row[0]) if row else 0
        trail.record(
            EventName.LOG_PRUNED,
            organization=log.code,
            actor=ACTOR,
            objects=[Reference(ObjectKind.LOG, log.code)],
            detail={"generation": log.generation, "minimum_index": index, "entries": gone},
        )
    return gone


def _whole_tiles_before(log: Log, before: datetime) -> int:
    """The first index that has to stay, down to the edge of its tile. The newest signed entry always stays."""
    signed = SignedCheckpoint.objects.filter(log=log).order_by("-size").values_list("size", flat=True).first() or 0
    leaves = Leaf.objects.filter(log=log, event__at__gte=before).order_by("index")
    young = leaves.values_list("index", flat=True).first()
    first = signed - 1 if young is None else min(signed - 1, young)
    return max(0, int(first)) // WIDTH * WIDTH
