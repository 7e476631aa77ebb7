"""Trees kept in memory for the tests: every tile ever made, partial ones cut from wider ones, and how often each was fetched."""

from collections import Counter

from audit.errors import TileInvalid
from audit.tlog.merkle import Frontier
from audit.tlog.tile_tree import TileHashReader, grow
from audit.tlog.tiles import Tile
from tests.audit.tlog.reference import leaf


class StoredTree:
    """Grows through `tile_tree.grow` and keeps every tile that it ever made."""

    def __init__(self, size: int = 0, step: int = 100_000) -> None:
        self.tiles: dict[Tile, bytes] = {}
        self.widest: dict[tuple[int, int], bytes] = {}
        self.fetched: Counter[Tile] = Counter()
        self.frontier = Frontier()
        while self.size < size:
            first = self.size
            self.add([leaf(number) for number in range(first, min(first + step, size))])

    @property
    def size(self) -> int:
        return self.frontier.size

    def add(self, leaves: list[bytes]) -> None:
        for tile, content in grow(self.size, leaves, self.fetch):
            assert tile not in self.tiles, "a tile is made once"
            self.tiles[tile] = content
            self.widest[tile.level, tile.index] = content
        self.frontier.extend(leaves)

    def fetch(self, tile: Tile) -> bytes:
        self.fetched[tile] += 1
        content = self.widest.get((tile.level, tile.index), b"")[: 32 * tile.width]
        if len(content) < 32 * tile.width:
            raise TileInvalid(f"no tile {tile.path}")
        return content

    def reader(self, size: int | None = None) -> TileHashReader:
        return TileHashReader(self.size if size is None else size, self.fetch)
