"""The body of an `add-checkpoint` request: the size that the witness knows, a consistency proof from there, and a checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audit.errors import CheckpointInvalid, ProofInvalid, RequestInvalid
from audit.tlog.checkpoint import parse_size
from audit.tlog.notes import MAX_NOTE_BYTES
from audit.tlog.proof import MAX_HASHES, decode_hashes, encode_hashes

PATH: Final = "add-checkpoint"
SIZE_TYPE: Final = "text/x.tlog.size"
MAX_REQUEST_BYTES: Final = MAX_NOTE_BYTES + (MAX_HASHES + 2) * 64
_OLD: Final = "old "


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """`checkpoint` is the signed note as the log wrote it."""

    old_size: int
    proof: Sequence[bytes]
    checkpoint: bytes

    def encode(self) -> bytes:
        lines = [f"{_OLD}{self.old_size}", *encode_hashes(self.proof), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.checkpoint


def parse(body: bytes) -> AddCheckpoint:
    """Reads a request's form; nothing in it is verified yet. Raises `RequestInvalid`."""
    head, blank, checkpoint = body.partition(b"\n\n")
    try:
        first, *hashes = head.decode("ascii").split("\n")
        if len(body) > MAX_REQUEST_BYTES or not blank or not first.startswith(_OLD):
            raise ValueError("no old size, or no checkpoint")
        return AddCheckpoint(parse_size(first.removeprefix(_OLD)), decode_hashes(hashes), checkpoint)
    except (ValueError, CheckpointInvalid, ProofInvalid) as error:
        raise RequestInvalid(f"not an {PATH} request: {error}") from error
