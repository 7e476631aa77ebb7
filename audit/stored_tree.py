"""The tree of a log as the database holds it: leaves and full tiles, and every narrower tile read out of the level below.

Reads only; what grows the tree is `sequencing`.
"""

from typing import Final

from django.db import connection

from audit.errors import TileInvalid
from audit.models import FullTile, Leaf, Log
from audit.tlog import tiles
from audit.tlog.merkle import Frontier
from audit.tlog.proving import read_frontier, tree_head
from audit.tlog.tile_memory import TileMemory
from audit.tlog.tile_tree import TileHashReader
from audit.tlog.tiles import ENTRIES, WIDTH, Tile

_BUNDLE: Final = """
SELECT event.entry FROM audit_leaf AS leaf JOIN audit_event AS event ON event.id = leaf.event_id
WHERE leaf.log_id = %s AND leaf.index >= %s AND leaf.index < %s ORDER BY leaf.index
"""

_SIGNED: Final = TileMemory(512)
"""At most 8 MiB of signed tiles in each process: of a log of a million entries all tiles above the leaves, and many of theirs."""


def size_of(log: Log) -> int:
    """How many leaves there are."""
    last = Leaf.objects.filter(log=log).order_by("-index").values_list("index", flat=True).first()
    return 0 if last is None else last + 1


def fetch(log: Log, tile: Tile) -> bytes:
    """The content of a hash tile or an entry bundle. Raises `TileInvalid` where the tree has none of that width."""
    if tile.level == ENTRIES:
        return tiles.encode_entries(_entries(log, tile))
    if tile.width == WIDTH:
        found = FullTile.objects.filter(log=log, level=tile.level, index=tile.index).values_list("hashes", flat=True)
        parts = [bytes(hashes) for hashes in found]
    elif tile.level == 0:
        leaves = Leaf.objects.filter(log=log, index__gte=tile.first, index__lt=tile.first + tile.width)
        parts = [bytes(one) for one in leaves.order_by("index").values_list("hash", flat=True)]
    else:
        below = FullTile.objects.filter(
            log=log, level=tile.level - 1, index__gte=tile.first, index__lt=tile.first + tile.width
        )
        parts = [bytes(root) for root in below.order_by("index").values_list("root", flat=True)]
    content = b"".join(parts)
    if len(content) != tile.width * 32:
        raise TileInvalid(f"the log has no tile {tile.path}")
    return content


def reader(log: Log, size: int) -> TileHashReader:
    """Reads the hashes of the log's tree of `size` leaves, all of them from the database; for one request."""
    return TileHashReader(size, lambda tile: fetch(log, tile))


def signed_reader(log: Log, size: int) -> TileHashReader:
    """`reader` for a tree that was signed, which never changes: tiles that this process read before are not read again. For proofs
    alone; what judges the database reads the database."""
    return TileHashReader(size, lambda tile: fetch(log, tile), _SIGNED, log.origin)


def frontier(log: Log, size: int) -> Frontier:
    """The right edge of the tree of the first `size` leaves. Raises `TileInvalid`."""
    return read_frontier(size, reader(log, size))


def root(log: Log, size: int) -> bytes:
    """The root of the tree of the first `size` leaves. Raises `TileInvalid` where there are fewer."""
    return tree_head(size, reader(log, size))


def _entries(log: Log, tile: Tile) -> list[bytes]:
    with connection.cursor() as cursor:
        cursor.execute(_BUNDLE, [log.pk, tile.first, tile.first + tile.width])
        entries = [bytes(row[0]) for row in cursor.fetchall()]
    if len(entries) != tile.width:
        raise TileInvalid(f"the log has no bundle {tile.path}")
    return entries
