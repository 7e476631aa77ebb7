"""Tiles (https://c2sp.org/tlog-tiles): where each hash and each entry of a log lies under its URL prefix, and entry bundles.

Coordinates, paths and encodings only. Reading proofs out of tiles and growing a tree tile by tile are in `tile_tree`.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from audit.errors import TileInvalid
from audit.tlog.merkle import HASH_BYTES, MAX_SIZE

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
ENTRIES: Final = -1
"""In place of a level: the bundle of the entries whose hashes are in the level 0 tile of the same index and width."""

MAX_LEVEL: Final = 63
MAX_ENTRY_BYTES: Final = 2**16 - 1
_PATH: Final = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?")


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A full tile (256 wide) or a partial one (1 to 255) at a level (0 to 63, or `ENTRIES`)."""

    level: int
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if not (ENTRIES <= self.level <= MAX_LEVEL and 0 <= self.index <= MAX_SIZE and 0 < self.width <= WIDTH):
            raise TileInvalid(f"there is no tile at level {self.level}, index {self.index}, width {self.width}")

    @property
    def path(self) -> str:
        """Below the log's prefix, without a leading slash: `tile/0/x001/x234/067.p/3`."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{_index_path(self.index)}{partial}"

    @property
    def first(self) -> int:
        """The index of its first hash among all hashes of its level."""
        return self.index * WIDTH


def parse_path(path: str) -> Tile:
    """The tile at a path, which must be spelled as `Tile.path` spells it. Raises `TileInvalid`."""
    match = _PATH.fullmatch(path)
    if not match:
        raise TileInvalid(f"{path[:80]!a} is no tile's path")
    level, index, width = match.groups()
    tile = Tile(
        ENTRIES if level == "entries" else int(level),
        int(index.replace("x", "").replace("/", "")),
        WIDTH if width is None else int(width),
    )
    if tile.path != path:
        raise TileInvalid(f"{path[:80]!a} is spelled otherwise: {tile.path}")
    return tile


def tile_at(level: int, index: int, size: int) -> Tile:
    """The tile of that index in a tree of `size` leaves, as wide as it is there. Raises `TileInvalid` if it is empty."""
    count = size >> (HEIGHT * max(level, 0))
    return Tile(level, index, min(WIDTH, count - index * WIDTH))


def hash_tiles_between(old_size: int, new_size: int) -> Iterator[Tile]:
    """The hash tiles that a tree of `new_size` leaves has and one of `old_size` had not, or not at that width.

    `hash_tiles_between(0, size)` are all of a tree's, partial ones of smaller sizes left out.
    """
    for level in range(MAX_LEVEL + 1):
        if not new_size >> (HEIGHT * level):
            return
        yield from _tiles_between(level, old_size >> (HEIGHT * level), new_size >> (HEIGHT * level))


def entry_tiles_between(old_size: int, new_size: int) -> Iterator[Tile]:
    """The same for entry bundles."""
    yield from _tiles_between(ENTRIES, old_size, new_size)


def split_hashes(data: bytes, tile: Tile) -> list[bytes]:
    """The hashes in a tile's content. Raises `TileInvalid` unless it is exactly as long as its width says."""
    if len(data) != HASH_BYTES * tile.width:
        raise TileInvalid(f"{tile.path} has {len(data)} bytes instead of {HASH_BYTES * tile.width}")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """An entry bundle: each entry behind its length in 2 bytes, big-endian. Raises `TileInvalid` above 65,535 bytes."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise TileInvalid(f"an entry of {len(entry)} bytes; at most {MAX_ENTRY_BYTES} fit into a bundle")
        parts += (struct.pack(">H", len(entry)), entry)
    return b"".join(parts)


def decode_entries(data: bytes, tile: Tile) -> list[bytes]:
    """The entries in a bundle's content. Raises `TileInvalid` unless there are exactly as many as its width says."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise TileInvalid(f"{tile.path} is cut short")
        (length,) = struct.unpack_from(">H", data, at)
        at += 2 + length
        if at > len(data):
            raise TileInvalid(f"{tile.path} is cut short")
        entries.append(data[at - length : at])
    if len(entries) != tile.width:
        raise TileInvalid(f"{tile.path} holds {len(entries)} entries instead of {tile.width}")
    return entries


def _index_path(index: int) -> str:
    """Groups of three digits, all but the last behind an `x`: 1234067 is `x001/x234/067`."""
    path = f"{index % 1000:03}"
    while index := index // 1000:
        path = f"x{index % 1000:03}/{path}"
    return path


def _tiles_between(level: int, old_count: int, new_count: int) -> Iterator[Tile]:
    if old_count == new_count:
        return
    full = new_count // WIDTH
    yield from (Tile(level, index) for index in range(old_count // WIDTH, full))
    if new_count % WIDTH:
        yield Tile(level, full, new_count % WIDTH)
