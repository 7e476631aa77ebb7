"""Proofs made from tiles: the same as the RFC's definitions make them, and read from few tiles."""

import random

import pytest

from audit.errors import ProofInvalid, TileInvalid
from audit.tlog.merkle import verify_consistency, verify_inclusion
from audit.tlog.proving import Node, perfect_nodes, prove_consistency, prove_inclusion, read_frontier, tree_head
from tests.audit.tlog import reference
from tests.audit.tlog.reference import leaf
from tests.audit.tlog.stored import StoredTree

LEAVES = [leaf(number) for number in range(70)]


@pytest.fixture(scope="module")
def seventy() -> StoredTree:
    return StoredTree(70, step=1)


@pytest.fixture(scope="module")
def million() -> StoredTree:
    return StoredTree(1_000_000)


def test_every_proof_up_to_seventy_leaves_is_the_one_of_the_rfc(seventy: StoredTree) -> None:
    for size in range(71):
        reader = seventy.reader(size)
        assert tree_head(size, reader) == reference.head(LEAVES[:size])
        for index in range(size):
            assert prove_inclusion(index, size, reader) == reference.path(index, LEAVES[:size])
            assert prove_consistency(index + 1, size, reader) == reference.proof(index + 1, LEAVES[:size])
        assert prove_consistency(0, size, reader) == []


@pytest.mark.parametrize("size", [255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 70_000])
def test_proofs_around_the_width_of_a_tile(size: int) -> None:
    tree = StoredTree(size)
    root = tree.frontier.root()
    for index in {0, 1, 254, size // 2, size - 1}:
        verify_inclusion(leaf(index), index, size, prove_inclusion(index, size, tree.reader()), root)
    for old in {1, 255, size // 3, size - 1, size}:
        frontier = read_frontier(old, tree.reader())
        verify_consistency(old, size, prove_consistency(old, size, tree.reader()), frontier.root(), root)


def test_a_proof_in_a_million_leaves_reads_few_tiles(million: StoredTree) -> None:
    size = million.size
    root = million.frontier.root()
    random_ = random.Random(11)
    for index in (0, size - 1, *(random_.randrange(size) for _ in range(50))):
        million.fetched.clear()
        proof = prove_inclusion(index, size, million.reader())
        assert million.fetched.total() <= 6
        assert len(proof) <= 20
        verify_inclusion(leaf(index), index, size, proof, root)
    for old in (1, 2**19, size - 1, *(random_.randrange(1, size) for _ in range(50))):
        million.fetched.clear()
        proof = prove_consistency(old, size, million.reader())
        assert million.fetched.total() <= 6
        verify_consistency(old, size, proof, read_frontier(old, million.reader()).root(), root)


def test_a_tree_resumed_from_its_tiles_grows_on(seventy: StoredTree) -> None:
    for size in (0, 1, 31, 32, 33, 69):
        resumed = read_frontier(size, seventy.reader(size))
        resumed.extend(LEAVES[size:])
        assert resumed.root() == reference.head(LEAVES)
        assert resumed.hashes == seventy.frontier.hashes


def test_perfect_nodes_cover_a_range_once() -> None:
    for size in range(200):
        nodes = list(perfect_nodes(0, size))
        covered = [n for node in nodes for n in range(node.index << node.level, (node.index + 1) << node.level)]
        assert covered == list(range(size))
        assert len(nodes) == size.bit_count()


def test_impossible_proofs_are_refused(seventy: StoredTree) -> None:
    reader = seventy.reader()
    for index, size in ((-1, 70), (70, 70), (0, 0), (5, -1)):
        with pytest.raises(ProofInvalid):
            prove_inclusion(index, size, reader)
    for old, new in ((-1, 70), (71, 70)):
        with pytest.raises(ProofInvalid):
            prove_consistency(old, new, reader)
    with pytest.raises(TileInvalid):
        reader.read_hashes([Node(0, 70)])
    with pytest.raises(TileInvalid):
        prove_inclusion(3, 200, reader)
