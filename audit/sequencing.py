"""Giving committed events their place: gap-free indexes and leaf hashes, and the tiles that became full. Signing is `signing`'s.

One log at a time, under an advisory lock that ends with the transaction, so that any number of sequencers may run. Across people
the order is that of sequencing; the events of one person are ordered by the consent epoch that each carries.
"""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final

from django.conf import settings
from django.db import connection, transaction

from audit import stored_tree
from audit.models import FullTile, Log
from audit.tlog.merkle import leaf_hash
from audit.tlog.tile_tree import grow, subtree_root
from audit.tlog.tiles import WIDTH, Tile, split_hashes

BATCH: Final = 4096
_LOCK: Final = 0x6C6F_6700
"""First half of the advisory lock of a log; the other is a hash of the log's code."""
_LOGS: Final = """
WITH RECURSIVE logs AS (
    (SELECT log FROM audit_unsequenced ORDER BY log LIMIT 1)
    UNION ALL
    SELECT (SELECT log FROM audit_unsequenced WHERE log > logs.log ORDER BY log LIMIT 1) FROM logs WHERE logs.log IS NOT NULL
)
SELECT log FROM logs WHERE log IS NOT NULL
"""
"""One look at the index for each log, however many events wait."""
_WAITING: Final = "SELECT event_id FROM audit_unsequenced WHERE log = %s ORDER BY event_id LIMIT %s"
_ENTRIES: Final = """
SELECT event.id, event.entry FROM audit_event AS event
WHERE event.id = ANY(%s) AND event.log = %s AND NOT EXISTS (SELECT FROM audit_leaf AS leaf WHERE leaf.event_id = event.id)
ORDER BY event.id
"""
_STALE: Final = """
DELETE FROM audit_unsequenced AS waiting USING audit_event AS event LEFT JOIN audit_leaf AS leaf ON leaf.event_id = event.id
WHERE event.id = waiting.event_id AND waiting.log = %s AND (leaf.event_id IS NOT NULL OR event.log <> waiting.log)
"""
"""Queued again by whoever looked for missed events while the event was given its leaf, or queued for another log than its own."""


def logs_with_events() -> list[str]:
    """Codes of the logs that have events without a leaf."""
    with connection.cursor() as cursor:
        cursor.execute(_LOGS)
        return [row[0] for row in cursor.fetchall()]


def sequence(code: str) -> int:
    """Gives up to `BATCH` waiting events of the log their leaves; returns how many, 0 when another sequencer has the log."""
    with transaction.atomic():
        if not hold(code):
            return 0
        with connection.cursor() as cursor:
            cursor.execute(_WAITING, [code, BATCH])
            cursor.execute(_ENTRIES, [[row[0] for row in cursor.fetchall()], code])
            waiting = [(event, bytes(entry)) for event, entry in cursor.fetchall()]
            if not waiting:
                cursor.execute(_STALE, [code])
        if waiting:
            append(newest(code), waiting)
    return len(waiting)


def newest(code: str) -> Log:
    """The generation of the log that events go to now; the first is made when it is first needed. The caller holds the log."""
    log = Log.objects.filter(code=code).order_by("-generation").first()
    return log if log is not None else begin(code, 1)


def begin(code: str, generation: int) -> Log:
    """A further generation under an origin that is never used again, whatever becomes of the database. The caller holds the log.

    The last part of an origin is the organization's code; auditors compare it with what entries say.
    """
    apart = "" if generation == 1 else f"/{generation}-{secrets.token_hex(4)}"
    log: Log = Log.objects.create(
        code=code, generation=generation, origin=f"{settings.VOXGOV_LOG_ORIGIN}{apart}/{code}"
    )
    return log


def append(log: Log, events: Sequence[tuple[int, bytes]]) -> None:
    """Leaves for these events (id and entry), in this order, behind those that are there. The caller holds the log."""
    size = stored_tree.size_of(log)
    hashes = [leaf_hash(entry) for _, entry in events]
    grown = grow(size, hashes, lambda tile: stored_tree.fetch(log, tile))
    FullTile.objects.bulk_create(_full(log, tile, content) for tile, content in grown if tile.width == WIDTH)
    ids = [event for event, _ in events]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_leaf (log_id, event_id, index, hash)"
            " SELECT %s, * FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[])",
            [log.pk, ids, list(range(size, size + len(events))), hashes],
        )
        cursor.execute("DELETE FROM audit_unsequenced WHERE event_id = ANY(%s)", [ids])


def hold(code: str, *, wait: bool = False) -> bool:
    """Takes the log for the rest of the transaction; False, unless it is waited for, when another sequencer has it."""
    half = int.from_bytes(hashlib.sha256(code.encode()).digest()[:4], "big", signed=True)
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK, half])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [_LOCK, half])
        row = cursor.fetchone()
    return bool(row and row[0])


def adopt_missed_events() -> int:
    """Queues events that have neither a leaf nor a place in the queue: somebody went round the trigger. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_unsequenced (event_id, log) SELECT event.id, event.log FROM audit_event AS event"
            " WHERE NOT EXISTS (SELECT FROM audit_leaf AS leaf WHERE leaf.event_id = event.id)"
            " ON CONFLICT DO NOTHING"
        )
        return int(cursor.rowcount)


def _full(log: Log, tile: Tile, content: bytes) -> FullTile:
    return FullTile(
        log=log,
        level=tile.level,
        index=tile.index,
        hashes=content,
        root=subtree_root(split_hashes(content, tile)),
    )
