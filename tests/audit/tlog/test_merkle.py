"""The tree against published vectors, against a second writing of the RFC, and against every forged proof we could think of."""

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.errors import ProofInvalid
from audit.tlog.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    MAX_SIZE,
    Frontier,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)
from tests.audit.tlog import reference
from tests.audit.tlog.reference import leaf

VECTORS = json.loads((Path(__file__).parents[3] / "docs" / "vectors" / "merkle-proofs.json").read_text())
LEAVES = [leaf(number) for number in range(130)]
EDGES = sorted({0, 1} | {2**k + d for k in range(1, 7) for d in (-1, 0, 1)})


def decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def proof_of(vector: dict[str, Any]) -> list[bytes]:
    return [decoded(one) for one in vector["proof"] or []]


@pytest.mark.parametrize("vector", VECTORS["inclusion"], ids=lambda vector: vector["file"])
def test_published_inclusion_proofs(vector: dict[str, Any]) -> None:
    def verify() -> None:
        verify_inclusion(
            decoded(vector["leafHash"]),
            vector["leafIdx"],
            vector["treeSize"],
            proof_of(vector),
            decoded(vector["root"]),
        )

    if vector["wantErr"]:
        with pytest.raises(ProofInvalid):
            verify()
    else:
        verify()


@pytest.mark.parametrize("vector", VECTORS["consistency"], ids=lambda vector: vector["file"])
def test_published_consistency_proofs(vector: dict[str, Any]) -> None:
    def verify() -> None:
        verify_consistency(
            vector["size1"], vector["size2"], proof_of(vector), decoded(vector["root1"]), decoded(vector["root2"])
        )

    # One published test takes roots that are no hashes, only equal; here nothing but a hash is a root.
    no_hashes = any(len(decoded(vector[name])) != HASH_BYTES for name in ("root1", "root2"))
    if vector["wantErr"] or no_hashes:
        with pytest.raises(ProofInvalid):
            verify()
    else:
        verify()


def test_hashes_of_rfc_6962() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert leaf_hash(b"\x00" * 32) != node_hash(b"\x00" * 16, b"\x00" * 16)


def test_the_frontier_has_the_root_of_every_size() -> None:
    frontier = Frontier()
    assert frontier.root() == EMPTY_ROOT
    for size, one in enumerate(LEAVES, start=1):
        frontier.append(one)
        assert frontier.size == size
        assert frontier.root() == reference.head(LEAVES[:size])
        resumed = Frontier(size, frontier.hashes)
        resumed.extend(LEAVES[size:])
        assert resumed.root() == reference.head(LEAVES)


@pytest.mark.parametrize(
    ("size", "hashes"),
    [(1, []), (0, [bytes(32)]), (3, [bytes(32)]), (1, [bytes(31)]), (-1, []), (MAX_SIZE + 1, [bytes(32)])],
)
def test_an_impossible_frontier_is_refused(size: int, hashes: list[bytes]) -> None:
    with pytest.raises(ProofInvalid):
        Frontier(size, hashes)


def test_every_inclusion_proof_up_to_seventy_leaves_verifies() -> None:
    for size in range(1, 71):
        root = reference.head(LEAVES[:size])
        for index in range(size):
            verify_inclusion(LEAVES[index], index, size, reference.path(index, LEAVES[:size]), root)


def test_every_consistency_proof_up_to_seventy_leaves_verifies() -> None:
    roots = [reference.head(LEAVES[:size]) for size in range(71)]
    for new in range(1, 71):
        for old in range(1, new + 1):
            verify_consistency(old, new, reference.proof(old, LEAVES[:new]), roots[old], roots[new])
        verify_consistency(0, new, [], roots[0], roots[new])


def forged(proof: list[bytes]) -> list[list[bytes]]:
    """What somebody might send in place of `proof`: a bit changed anywhere, cut, doubled, swapped, extended."""
    others = [[], *([*proof[:at], *proof[at + 1 :]] for at in range(len(proof)))]
    others += [[*proof[:at], extra, *proof[at:]] for at in range(len(proof) + 1) for extra in (bytes(32), EMPTY_ROOT)]
    others += [[*proof[:at], proof[at], *proof[at:]] for at in range(len(proof))]
    others += [proof[:at] + proof[at : at + 2][::-1] + proof[at + 2 :] for at in range(len(proof) - 1)]
    others += [[*proof, *proof], proof[::-1], [one[::-1] for one in proof], [b"" for _ in proof]]
    for at in range(len(proof)):
        for bit in (0, 7, 100, 255):
            flipped = (int.from_bytes(proof[at], "big") ^ (1 << bit)).to_bytes(32, "big")
            others.append([*proof[:at], flipped, *proof[at + 1 :]])
        others.append([*proof[:at], proof[at][:-1], *proof[at + 1 :]])
    return [other for other in others if other != proof]


@pytest.mark.parametrize("size", [size for size in EDGES if size])
def test_forged_inclusion_proofs_are_refused(size: int) -> None:
    leaves = LEAVES[:size]
    root = reference.head(leaves)
    for index in {0, size // 2, size - 1}:
        proof = reference.path(index, leaves)
        attempts: list[tuple[bytes, int, int, list[bytes], bytes]] = [
            (leaves[index], index, size, other, root) for other in forged(proof)
        ]
        attempts += [(leaves[index], other, size, proof, root) for other in range(-1, size + 2) if other != index]
        attempts += [(leaves[other], index, size, proof, root) for other in range(size) if other != index]
        attempts += [
            (leaves[index], index, size, proof, reference.head(LEAVES[:other])) for other in EDGES if other != size
        ]
        attempts += [(leaf(9999), index, size, proof, root), (leaves[index], index, MAX_SIZE + 1, proof, root)]
        for attempt in attempts:
            with pytest.raises(ProofInvalid):
                verify_inclusion(*attempt)


def test_an_inclusion_proof_for_another_size_is_refused_or_says_the_same() -> None:
    """A proof's hashes may fit two sizes (RFC 9162 checks no more); what it proves is still the same leaf under that root."""
    for size in range(1, 40):
        root = reference.head(LEAVES[:size])
        for index in range(size):
            proof = reference.path(index, LEAVES[:size])
            for other in range(1, 80):
                try:
                    verify_inclusion(LEAVES[index], index, other, proof, root)
                except ProofInvalid:
                    continue
                assert len(reference.path(index, LEAVES[:other])) == len(proof)


@pytest.mark.parametrize("new", [size for size in EDGES if size])
def test_forged_consistency_proofs_are_refused(new: int) -> None:
    roots = [reference.head(LEAVES[:size]) for size in range(new + 2)]
    another = reference.head([leaf(5000 + number) for number in range(new)])
    for old in {0, 1, new // 2, new - 1, new}:
        proof = reference.proof(old, LEAVES[:new]) if old else []
        attempts: list[tuple[int, int, list[bytes], bytes, bytes]] = [
            (old, new, other, roots[old], roots[new]) for other in forged(proof)
        ]
        attempts += [(old, new, proof, another, roots[new]), (-1, new, proof, roots[old], roots[new])]
        attempts += [(old, new, proof, root, roots[new]) for root in roots if root != roots[old]]
        if old:
            attempts += [(old, new, proof, roots[old], root) for root in (*roots, another) if root != roots[new]]
        if old < new:
            attempts += [(new, old, proof, roots[new], roots[old])]
        for attempt in attempts:
            with pytest.raises(ProofInvalid):
                verify_consistency(*attempt)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 130), st.data())
def test_any_leaf_and_any_older_tree(size: int, data: st.DataObject) -> None:
    leaves = LEAVES[:size]
    index = data.draw(st.integers(0, size - 1))
    verify_inclusion(leaves[index], index, size, reference.path(index, leaves), reference.head(leaves))
    old = data.draw(st.integers(1, size))
    verify_consistency(old, size, reference.proof(old, leaves), reference.head(leaves[:old]), reference.head(leaves))


def test_a_split_view_has_no_proof() -> None:
    """Two trees that differ in one leaf: whatever hashes of either are offered, the one never extends the other."""
    random_ = random.Random(7)
    for _ in range(40):
        new = random_.randrange(3, 100)
        old = random_.randrange(2, new)
        at = random_.randrange(old)
        other = [*LEAVES[:at], leaf(777), *LEAVES[at + 1 : new]]
        for proof in (reference.proof(old, LEAVES[:new]), reference.proof(old, other)):
            with pytest.raises(ProofInvalid):
                verify_consistency(old, new, proof, reference.head(LEAVES[:old]), reference.head(other))
