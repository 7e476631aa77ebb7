"""Checkpoints (https://c2sp.org/tlog-checkpoint): what a log signs about its tree. Origin, size, root, and nothing of the entries.

Whether two checkpoints fit together is for `merkle.verify_consistency`; cosignatures under one are in `cosignatures`.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audit.errors import CheckpointInvalid
from audit.tlog import notes
from audit.tlog.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from audit.tlog.notes import Note, Signer, Verifier

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: the log's origin line, the number of leaves, the root (32 bytes), extension lines (we write none)."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> bytes:
        """The note text. Raises `CheckpointInvalid` for what could not be read back."""
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions]
        text = "".join(f"{line}\n" for line in lines).encode()
        if _require_root(parse_text(text)) != self:
            raise CheckpointInvalid("lines of a checkpoint hold no newlines")
        return text


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint of which a known key of the log's signed every byte of the text."""

    checkpoint: Checkpoint
    note: Note
    signed_by: tuple[Verifier, ...]

    @property
    def size(self) -> int:
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        return self.checkpoint.root


def parse_text(text: bytes) -> Checkpoint:
    """Reads a note's text; that it makes sense as a tree is for `open_checkpoint`. Raises `CheckpointInvalid`."""
    try:
        lines = text.decode().split("\n")
    except UnicodeDecodeError as error:
        raise CheckpointInvalid("a checkpoint is valid UTF-8") from error
    if lines.pop() or len(lines) < 3 or not all(lines):
        raise CheckpointInvalid("a checkpoint has three or more lines, none of them empty")
    origin, size, encoded, *extensions = lines
    try:
        root = notes.decode_base64(encoded)
    except ValueError as error:
        raise CheckpointInvalid("the root hash is not base64") from error
    checkpoint = Checkpoint(origin, parse_size(size), root, tuple(extensions))
    if len(root) != HASH_BYTES:
        raise CheckpointInvalid(f"the root hash has {len(root)} bytes instead of {HASH_BYTES}")
    return checkpoint


def parse_size(text: str) -> int:
    """ASCII decimal without leading zeroes, below 2^63. Raises `CheckpointInvalid`."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise CheckpointInvalid(f"{text[:40]!a} is no tree size")
    return int(text)


def sign_checkpoint(checkpoint: Checkpoint, *signers: Signer) -> bytes:
    """The signed note. That it fits every earlier one is the caller's duty: a log that signs two views is found out."""
    return notes.sign(checkpoint.text(), *signers).encode()


def open_checkpoint(data: bytes, keys: Sequence[Verifier], origin: str) -> SignedCheckpoint:
    """Reads a checkpoint of the log `origin`, signed by one of `keys`. Raises `NoteInvalid`, `CheckpointInvalid`."""
    note = notes.parse(data)
    signed_by = notes.verified(note, keys)
    checkpoint = _require_root(parse_text(note.text))
    if checkpoint.origin != origin:
        raise CheckpointInvalid(f"the checkpoint is of the log {checkpoint.origin[:200]!a}, not of {origin!a}")
    return SignedCheckpoint(checkpoint, note, signed_by)


def _require_root(checkpoint: Checkpoint) -> Checkpoint:
    """RFC 6962, section 2.1: there is one empty tree."""
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise CheckpointInvalid("the empty tree has another root")
    return checkpoint
