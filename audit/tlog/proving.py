"""Making proofs (RFC 6962, sections 2.1.1 and 2.1.2) from stored hashes, reading no more of them than a proof needs.

Each proof first becomes a list of leaf ranges, then the perfect subtrees that make those up, then one read. Where the hashes lie
is the `HashReader`'s business; checking proofs is in `merkle`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from audit.errors import ProofInvalid
from audit.tlog.merkle import MAX_SIZE, Frontier, fold

Range = tuple[int, int]
"""Leaves from the first number up to, not including, the second."""


@dataclass(frozen=True, slots=True)
class Node:
    """A perfect subtree: that over the leaves from `index << level` up to `(index + 1) << level`."""

    level: int
    index: int


class HashReader(Protocol):
    """Reads hashes of perfect subtrees that are complete in the tree; raises a `LogInvalid` where it cannot."""

    def read_hashes(self, nodes: Sequence[Node]) -> Sequence[bytes]: ...


def perfect_nodes(start: int, end: int) -> Iterator[Node]:
    """The perfect subtrees that make up one subtree of the RFC's tree, largest and leftmost first."""
    while start < end:
        level = (end - start).bit_length() - 1
        yield Node(level, start >> level)
        start += 1 << level


def tree_head(size: int, reader: HashReader) -> bytes:
    """The root of the tree of the first `size` leaves."""
    return read_frontier(size, reader).root()


def read_frontier(size: int, reader: HashReader) -> Frontier:
    """The edge of the tree of the first `size` leaves, ready to take more."""
    nodes = list(perfect_nodes(0, size))
    return Frontier(size, reader.read_hashes(nodes) if nodes else ())


def prove_inclusion(index: int, size: int, reader: HashReader) -> list[bytes]:
    """PATH(index, D[size]), from the leaf's sibling up. Raises `ProofInvalid` if there is no such leaf."""
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofInvalid(f"a tree of {size} leaves has none at index {index}")
    return _read(_inclusion_ranges(index, size), reader)


def prove_consistency(old_size: int, new_size: int, reader: HashReader) -> list[bytes]:
    """PROOF(old_size, D[new_size]); empty where nothing needs proof. Raises `ProofInvalid` for impossible sizes."""
    if not 0 <= old_size <= new_size <= MAX_SIZE:
        raise ProofInvalid(f"a tree of {new_size} leaves cannot extend one of {old_size}")
    if old_size in (0, new_size):
        return []
    return _read(_consistency_ranges(old_size, new_size), reader)


def _inclusion_ranges(index: int, size: int) -> list[Range]:
    ranges: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        split = start + _left_width(end - start)
        if index < split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((start, split))
            start = split
    return ranges[::-1]


def _consistency_ranges(old_size: int, new_size: int) -> list[Range]:
    ranges: list[Range] = []
    start, end = 0, new_size
    while end != old_size:
        split = start + _left_width(end - start)
        if old_size <= split:
            ranges.append((split, end))
            end = split
        else:
            ranges.append((start, split))
            start = split
    # When the old tree is one whole node of the new one, the checker has its root already.
    if start:
        ranges.append((start, end))
    return ranges[::-1]


def _left_width(width: int) -> int:
    """The largest power of two below `width`: how many leaves go left (RFC 6962, section 2.1)."""
    return 1 << ((width - 1).bit_length() - 1)


def _read(ranges: Sequence[Range], reader: HashReader) -> list[bytes]:
    """One hash for each range, from a single read."""
    parts = [list(perfect_nodes(start, end)) for start, end in ranges]
    hashes = iter(reader.read_hashes([node for nodes in parts for node in nodes]))
    return [fold([next(hashes) for _ in nodes]) for nodes in parts]
