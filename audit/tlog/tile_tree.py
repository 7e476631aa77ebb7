"""A tree kept as tiles: reading the hashes that a proof needs out of few of them, and growing it by new leaves.

Where tiles are kept (a table, a directory, a server) is the caller's: here they are fetched through one function.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from audit.errors import TileInvalid
from audit.tlog import tiles
from audit.tlog.merkle import HASH_BYTES, node_hash
from audit.tlog.proving import Node
from audit.tlog.tile_memory import TileMemory
from audit.tlog.tiles import HEIGHT, WIDTH, Tile

Fetch = Callable[[Tile], bytes]
"""The content of one hash tile, cut to the width asked for; raises a `LogInvalid` where there is none."""

_KEPT: Final = 64


class TileHashReader:
    """A `proving.HashReader` over the tiles of one tree size.

    It keeps what it read, some tiles at most, or reads through a memory that outlives it, under the origin of its log.

    A proof in a tree of a million leaves takes three tiles on the leaf's path and up to three at the right edge.
    """

    def __init__(self, size: int, fetch: Fetch, memory: TileMemory | None = None, origin: str = "") -> None:
        self._size = size
        self._fetch = fetch
        self._memory = TileMemory(_KEPT) if memory is None else memory
        self._origin = origin

    def read_hashes(self, nodes: Sequence[Node]) -> list[bytes]:
        """Raises `TileInvalid` for a node that is not complete in the tree or a tile of the wrong length."""
        return [self._read(node) for node in nodes]

    def _read(self, node: Node) -> bytes:
        if (node.index + 1) << node.level > self._size:
            raise TileInvalid(f"the tree of {self._size} leaves has no complete node {node.level}/{node.index}")
        level, within = divmod(node.level, HEIGHT)
        first = node.index << within
        tile = tiles.tile_at(level, first // WIDTH, self._size)
        start = (first % WIDTH >> within) * HASH_BYTES
        return self._memory.levels(self._origin, tile, self._content)[within][start : start + HASH_BYTES]

    def _content(self, tile: Tile) -> bytes:
        content = self._fetch(tile)
        tiles.split_hashes(content, tile)
        return content


def subtree_root(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of adjacent hashes."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


def grow(old_size: int, leaves: Iterable[bytes], fetch: Fetch) -> Iterator[tuple[Tile, bytes]]:
    """The hash tiles that adding `leaves` (hashes) makes: every new full one, and at each level the new partial one.

    `fetch` gives the partial tiles of the old tree's right edge. Nothing else is read, so the cost does not depend on the size.
    """
    level, count, new = 0, old_size, list(leaves)
    while new:
        roots: list[bytes] = []
        if count % WIDTH:
            edge = Tile(level, count // WIDTH, count % WIDTH)
            new = tiles.split_hashes(fetch(edge), edge) + new
        first = count // WIDTH
        for at in range(0, len(new), WIDTH):
            hashes = new[at : at + WIDTH]
            yield Tile(level, first + at // WIDTH, len(hashes)), b"".join(hashes)
            if len(hashes) == WIDTH:
                roots.append(subtree_root(hashes))
        level, count, new = level + 1, count // WIDTH, roots
