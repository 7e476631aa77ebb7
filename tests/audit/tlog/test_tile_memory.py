"""The memory of tiles: what it gives is what was read, and it forgets what was not asked for."""

import secrets

import pytest

from audit.errors import TileInvalid
from audit.tlog.proving import Node
from audit.tlog.tile_memory import TileMemory, levels_of
from audit.tlog.tile_tree import TileHashReader, subtree_root
from audit.tlog.tiles import Tile, split_hashes


@pytest.mark.parametrize("width", [1, 2, 3, 127, 128, 129, 255, 256])
def test_the_levels_above_a_tile_hold_every_complete_subtree(width: int) -> None:
    content = secrets.token_bytes(32 * width)
    hashes = split_hashes(content, Tile(0, 0, width))
    levels = levels_of(content)
    assert len(levels) == width.bit_length()
    for height, level in enumerate(levels):
        number = width >> height
        assert len(level) == 32 * number
        for at in range(number):
            assert level[32 * at : 32 * at + 32] == subtree_root(hashes[at << height : (at + 1) << height])


def test_a_tile_is_read_once_while_it_is_asked_for_and_the_oldest_goes() -> None:
    read: list[Tile] = []

    def fetch(tile: Tile) -> bytes:
        read.append(tile)
        return bytes(32 * tile.width)

    memory = TileMemory(2)
    one, two, three = (Tile(0, index, 256) for index in range(3))
    for tile in (one, two, one, three, one, two):
        memory.levels("log", tile, fetch)
    assert read == [one, two, three, two]
    assert len(memory) == 2


def test_two_logs_and_two_widths_never_answer_for_each_other() -> None:
    memory = TileMemory(8)
    contents = {(log, width): secrets.token_bytes(32 * width) for log in ("a", "b") for width in (2, 3)}
    for _ in range(2):
        for (log, width), content in contents.items():
            assert memory.levels(log, Tile(0, 0, width), lambda tile: contents[log, tile.width])[0] == content  # noqa: B023


def test_a_tile_that_is_cut_short_is_refused_and_not_kept() -> None:
    memory = TileMemory(8)
    with pytest.raises(TileInvalid):
        TileHashReader(2, lambda tile: bytes(32), memory).read_hashes([Node(1, 0)])
    assert len(memory) == 0
