"""The Merkle tree of RFC 6962: its hashes, the frontier that grows it in constant memory, and the checking of proofs.

Making proofs from stored hashes lives in `proving`, how hashes are stored in `tiles` and `tile_tree`.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from audit.errors import ProofInvalid

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
MAX_SIZE: Final = 2**63 - 1


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962, section 2.1: SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962, section 2.1: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over adjacent perfect subtrees, largest first; of none, the root of the empty tree."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


class Frontier:
    """The right edge of a growing tree: one hash for each perfect subtree of the leaves so far, largest first.

    That is all it takes to add leaves and to know the root: at most 63 hashes, whatever the size. There is one hash for
    each bit that is set in the size.
    """

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        """Resumes a tree of `size` leaves. Raises `ProofInvalid` if `hashes` cannot be its edge."""
        self._size = size
        self._hashes = list(hashes)
        if not 0 <= size <= MAX_SIZE or len(self._hashes) != size.bit_count():
            raise ProofInvalid(f"{len(self._hashes)} hashes cannot be the edge of a tree of {size} leaves")
        _require_hashes(*self._hashes)

    @property
    def size(self) -> int:
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Adds one leaf hash."""
        size, hashes = self._size, self._hashes
        self._size = size + 1
        # Each trailing one bit of the size is a subtree as large as the one that just became complete.
        while size & 1:
            leaf = sha256(b"\x01" + hashes.pop() + leaf).digest()
            size >>= 1
        hashes.append(leaf)

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Adds leaf hashes in order."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """The tree head (RFC 6962, section 2.1)."""
        return fold(self._hashes)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162, section 2.1.3.2. Raises `ProofInvalid` unless `leaf` is the leaf hash at `index` of that tree."""
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofInvalid(f"a tree of {size} leaves has none at index {index}")
    _require_hashes(leaf, root, *proof)
    position, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofInvalid("the inclusion proof is too long")
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            # An only child on the right edge stands for its parents until one of them has a left sibling.
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise ProofInvalid("the inclusion proof is too short")
    if computed != root:
        raise ProofInvalid("the inclusion proof leads to another root")


def verify_consistency(old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """RFC 9162, section 2.1.4.2. Raises `ProofInvalid` unless the old tree is a prefix of the new one.

    Anything extends the empty tree and every tree extends itself; both are shown by an empty proof.
    """
    _require_hashes(old_root, new_root, *proof)
    if _needs_no_proof(old_size, new_size, old_root, new_root):
        if proof:
            raise ProofInvalid("the consistency proof must be empty")
        return
    if not proof:
        raise ProofInvalid("the consistency proof is empty")
    # The old root is left out where it is itself a node of the new tree.
    path = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofInvalid("the consistency proof is too long")
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise ProofInvalid("the consistency proof is too short")
    if old != old_root:
        raise ProofInvalid("the consistency proof does not contain the old tree")
    if new != new_root:
        raise ProofInvalid("the consistency proof leads to another root")


def _needs_no_proof(old_size: int, new_size: int, old_root: bytes, new_root: bytes) -> bool:
    if not 0 <= old_size <= new_size <= MAX_SIZE:
        raise ProofInvalid(f"a tree of {new_size} leaves cannot extend one of {old_size}")
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise ProofInvalid("the empty tree has another root")
    if old_size == new_size and old_root != new_root:
        raise ProofInvalid(f"two different roots for one size, {new_size}")
    return old_size in (0, new_size)


def _require_hashes(*hashes: bytes) -> None:
    if any(len(one) != HASH_BYTES for one in hashes):
        raise ProofInvalid(f"a hash has {HASH_BYTES} bytes")
