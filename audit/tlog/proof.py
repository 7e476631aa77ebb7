"""Transparency log proofs (https://c2sp.org/tlog-proof): one file that shows an entry to be in a log, offline."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audit.errors import CheckpointInvalid, ProofInvalid
from audit.tlog import notes
from audit.tlog.checkpoint import SignedCheckpoint, open_checkpoint, parse_size
from audit.tlog.merkle import HASH_BYTES, verify_inclusion
from audit.tlog.notes import Verifier

HEADER: Final = "c2sp.org/tlog-proof@v1"
MEDIA_SUFFIX: Final = ".tlog-proof"
MAX_PROOF_BYTES: Final = 1024 * 1024
MAX_HASHES: Final = 63


@dataclass(frozen=True, slots=True)
class LogProof:
    """`hashes` lead from the leaf's sibling up to a child of the root; `checkpoint` is the signed note, verbatim.

    `extra` is not authenticated by anything.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {base64.b64encode(self.extra).decode()}")
        lines += [f"index {self.index}", *encode_hashes(self.hashes), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.checkpoint

    def verify(self, leaf: bytes, keys: Sequence[Verifier], origin: str) -> SignedCheckpoint:
        """The checkpoint of the tree that holds the leaf hash at `index`. Raises a `LogInvalid`."""
        signed = open_checkpoint(self.checkpoint, keys, origin)
        verify_inclusion(leaf, self.index, signed.size, self.hashes, signed.root)
        return signed


def parse(data: bytes) -> LogProof:
    """Reads a proof; nothing in it is verified yet. Raises `ProofInvalid`."""
    head, blank, checkpoint = data.partition(b"\n\n")
    try:
        if len(data) > MAX_PROOF_BYTES or not blank:
            raise ValueError("no checkpoint")
        lines = head.decode().split("\n")
        if lines.pop(0) != HEADER:
            raise ValueError("another format")
        extra = None
        if lines[:1] and lines[0].startswith("extra "):
            extra = notes.decode_base64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise ValueError("no index")
        index = parse_size(lines.pop(0).removeprefix("index "))
        return LogProof(index, decode_hashes(lines), checkpoint, extra)
    except (ValueError, CheckpointInvalid) as error:
        raise ProofInvalid(f"not a transparency log proof: {error}") from error


def encode_hashes(hashes: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(one).decode() for one in hashes]


def decode_hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    """At most 63 hashes, one a line, in base64. Raises `ProofInvalid`."""
    if len(lines) > MAX_HASHES:
        raise ProofInvalid(f"{len(lines)} hashes; no proof has more than {MAX_HASHES}")
    try:
        hashes = tuple(notes.decode_base64(line) for line in lines)
    except ValueError as error:
        raise ProofInvalid("a hash is not base64") from error
    if any(len(one) != HASH_BYTES for one in hashes):
        raise ProofInvalid(f"a hash has {HASH_BYTES} bytes")
    return hashes
