"""Tiles: paths and widths as the specification's examples have them, bundles of entries, and trees grown tile by tile."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import TileInvalid
from audit.tlog.tile_tree import subtree_root
from audit.tlog.tiles import (
    ENTRIES,
    MAX_ENTRY_BYTES,
    WIDTH,
    Tile,
    decode_entries,
    encode_entries,
    entry_tiles_between,
    hash_tiles_between,
    parse_path,
    split_hashes,
    tile_at,
)
from tests.audit.tlog import reference
from tests.audit.tlog.reference import leaf
from tests.audit.tlog.stored import StoredTree


def test_the_paths_of_the_specification() -> None:
    assert Tile(0, 1234067).path == "tile/0/x001/x234/067"
    assert Tile(ENTRIES, 0).path == "tile/entries/000"
    assert Tile(63, 5, 112).path == "tile/63/005.p/112"
    assert Tile(ENTRIES, 1000, 1).path == "tile/entries/x001/000.p/1"


@given(st.integers(-1, 63), st.integers(0, 2**63 - 1), st.integers(1, 256))
def test_every_path_reads_back(level: int, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert parse_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/tile/0/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/1000",
        "tile/00/000",
        "tile/64/000",
        "tile/0/x000/001",
        "tile/0/001/001",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/-1/000",
        "tile/entries/../000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/٠٠٠",
        "tile/8/" + "x001/" * 50 + "000",
    ],
)
def test_a_path_spelled_otherwise_is_refused(path: str) -> None:
    with pytest.raises(TileInvalid):
        parse_path(path)


def test_the_tiles_of_the_specification_s_tree_of_70000() -> None:
    tiles = list(hash_tiles_between(0, 70_000))
    assert [tile for tile in tiles if tile.width == WIDTH] == [*(Tile(0, n) for n in range(273)), Tile(1, 0)]
    assert [tile for tile in tiles if tile.width < WIDTH] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert list(hash_tiles_between(0, 256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(entry_tiles_between(0, 70_000)) == [*(Tile(-1, n) for n in range(273)), Tile(-1, 273, 112)]
    assert list(hash_tiles_between(0, 0)) == list(entry_tiles_between(0, 0)) == []


def test_what_a_larger_tree_needs_anew() -> None:
    assert list(hash_tiles_between(255, 256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(hash_tiles_between(256, 257)) == [Tile(0, 1, 1)]
    assert list(hash_tiles_between(300, 300)) == []
    random_ = random.Random(3)
    for _ in range(50):
        old = random_.randrange(3000)
        new = old + random_.randrange(3000)
        everything = set(hash_tiles_between(0, new))
        needed = set(hash_tiles_between(old, new))
        assert needed <= everything
        assert everything - needed <= set(hash_tiles_between(0, old))


def test_each_hash_in_a_tile_is_the_head_of_its_range() -> None:
    tree = StoredTree(70_000)
    assert set(hash_tiles_between(0, 70_000)) == set(tree.tiles)
    leaves = [leaf(number) for number in range(70_000)]
    for tile in (Tile(0, 0), Tile(0, 273, 112), Tile(1, 0), Tile(1, 1, 17), Tile(2, 0, 1)):
        hashes = split_hashes(tree.fetch(tile), tile)
        for at in {0, tile.width // 2, tile.width - 1}:
            span = 256**tile.level
            start = (tile.first + at) * span
            assert hashes[at] == reference.head(leaves[start : start + span])


@pytest.mark.parametrize("steps", [[1] * 600, [255, 1, 1], [256, 256], [1, 70_000, 3], [5, 251, 65_280, 1, 300]])
def test_a_tree_grown_in_steps_has_the_tiles_of_one_grown_at_once(steps: list[int]) -> None:
    tree = StoredTree()
    for step in steps:
        tree.add([leaf(number) for number in range(tree.size, tree.size + step)])
        for tile in hash_tiles_between(0, tree.size):
            assert tile in tree.tiles
    at_once = StoredTree(sum(steps))
    assert all(tree.tiles[tile] == content for tile, content in at_once.tiles.items())
    assert tree.frontier.root() == at_once.frontier.root()


def test_growing_by_nothing_makes_nothing() -> None:
    tree = StoredTree(300)
    before = dict(tree.tiles)
    tree.add([])
    assert tree.tiles == before


def test_a_tile_knows_its_width_in_a_tree() -> None:
    assert tile_at(0, 273, 70_000) == Tile(0, 273, 112)
    assert tile_at(ENTRIES, 0, 70_000) == Tile(ENTRIES, 0)
    for level, index, size in ((0, 274, 70_000), (3, 0, 70_000), (0, 0, 0)):
        with pytest.raises(TileInvalid):
            tile_at(level, index, size)


def test_a_subtree_root_is_the_head_of_its_hashes() -> None:
    for level in range(9):
        hashes = [leaf(number) for number in range(1 << level)]
        assert subtree_root(hashes) == reference.head(hashes)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=256))
def test_entries_come_back_from_their_bundle(entries: list[bytes]) -> None:
    assert decode_entries(encode_entries(entries), Tile(ENTRIES, 0, len(entries))) == entries


def test_the_longest_entry_fits_and_a_longer_one_is_refused() -> None:
    longest = bytes(MAX_ENTRY_BYTES)
    assert decode_entries(encode_entries([longest]), Tile(ENTRIES, 0, 1)) == [longest]
    with pytest.raises(TileInvalid):
        encode_entries([longest + b"x"])


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x01", b"\x00\x05abc", b"\x00\x01a\x00", b"\x00\x00\x00\x00"])
def test_a_bundle_that_is_cut_or_of_another_width_is_refused(data: bytes) -> None:
    with pytest.raises(TileInvalid):
        decode_entries(data, Tile(ENTRIES, 0, 1))


@pytest.mark.parametrize("length", [0, 31, 33, 63, 65])
def test_a_tile_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(TileInvalid):
        split_hashes(bytes(length), Tile(0, 0, 2))


@pytest.mark.parametrize(("level", "index", "width"), [(-2, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_there_is_no_such_tile(level: int, index: int, width: int) -> None:
    with pytest.raises(TileInvalid):
        Tile(level, index, width)
