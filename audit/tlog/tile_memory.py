"""Tiles that were read, with the hashes above them, so that neither reading nor hashing is done twice; the oldest go first.

A tile of one width never changes, whatever becomes of its log, so that nothing here is ever out of date: the key is the log's
origin, which is never used again for another log. Threads may share one.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from audit.tlog.merkle import HASH_BYTES, node_hash
from audit.tlog.tiles import Tile

Levels = tuple[bytes, ...]
"""The hashes of a tile, those of the complete pairs of them, and so on up, each level one string: at most 16 KiB."""


def levels_of(content: bytes) -> Levels:
    """`content` holds the hashes of a tile."""
    levels = [content]
    while len(level := levels[-1]) >= 2 * HASH_BYTES:
        pairs = range(0, len(level) - HASH_BYTES, 2 * HASH_BYTES)
        levels.append(
            b"".join(
                node_hash(level[at : at + HASH_BYTES], level[at + HASH_BYTES : at + 2 * HASH_BYTES]) for at in pairs
            )
        )
    return tuple(levels)


class TileMemory:
    """Keeps the `limit` tiles that were asked for last."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[tuple[str, Tile], Levels] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def levels(self, origin: str, tile: Tile, read: Callable[[Tile], bytes]) -> Levels:
        """What is kept, or what `read` gives; whatever that raises."""
        key = (origin, tile)
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        levels = levels_of(read(tile))
        with self._lock:
            self._kept[key] = levels
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)
        return levels
