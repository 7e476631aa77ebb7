"""Cosignatures (https://c2sp.org/tlog-cosignature): a witness's timestamped statement that a checkpoint extends what it saw before.

Both published types are made and checked: Ed25519 (0x04) and ML-DSA-44 (0x06). When to cosign is decided in `audit.witness`.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import KeyInvalid, NoteInvalid
from audit.tlog import notes
from audit.tlog.checkpoint import Checkpoint, parse_text
from audit.tlog.notes import Note, Signature

ED25519: Final = 0x04
ML_DSA_44: Final = 0x06
MAX_TIMESTAMP: Final = 2**63 - 1
_TIMESTAMP_BYTES: Final = 8
_ML_DSA_44_PUBLIC_BYTES: Final = 1312
_SUBTREE_LABEL: Final = b"subtree/v1\n\x00"


@dataclass(frozen=True, slots=True)
class Cosignature:
    """Who cosigned a checkpoint and when (seconds since the Epoch; 0 where an ML-DSA-44 cosigner gives no time)."""

    name: str
    key_id: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness's public key, checked as a note's verifier would be."""

    name: str
    kind: int
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> "Witness":
        """Raises `KeyInvalid`."""
        name, kind, public = notes.parse_vkey(vkey)
        if kind == ED25519:
            notes.require_ed25519(public)
        elif kind != ML_DSA_44:
            raise KeyInvalid(f"the key of {name!a} is of type {kind:#04x}; witnesses' keys are 0x04 or 0x06")
        elif len(public) != _ML_DSA_44_PUBLIC_BYTES:
            raise KeyInvalid(f"an ML-DSA-44 public key has {_ML_DSA_44_PUBLIC_BYTES} bytes")
        return cls(name, kind, public)

    @property
    def key_id(self) -> bytes:
        return notes.key_id(self.name, self.kind, self.public)

    @property
    def vkey(self) -> str:
        return notes.encode_vkey(self.name, self.kind, self.public)

    def verify(self, text: bytes, signature: bytes) -> None:
        """Raises `NoteInvalid`, and `KeyInvalid` where this installation cannot check ML-DSA-44."""
        timestamp = timestamp_of(signature)
        try:
            if self.kind == ED25519:
                message = _ed25519_message(text, timestamp)
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature[_TIMESTAMP_BYTES:], message)
            else:
                message = _ml_dsa_44_message(self.name, parse_text(text), timestamp)
                key = _ml_dsa().MLDSA44PublicKey.from_public_bytes(self.public)
                key.verify(signature[_TIMESTAMP_BYTES:], message)
        except InvalidSignature as error:
            raise NoteInvalid(f"the cosignature by {self.name} ({self.key_id.hex()}) does not verify") from error
        except UnsupportedAlgorithm as error:
            raise KeyInvalid(f"this installation cannot check the ML-DSA-44 key of {self.name}") from error


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness's key in memory: makes cosignatures. Written as `PRIVATE+KEY+<name>+<key id>+<base64 of type and seed>`."""

    name: str
    kind: int
    seed: bytes

    @classmethod
    def parse(cls, skey: str) -> "Cosigner":
        """Raises `KeyInvalid`, without repeating the key."""
        name, kind, seed = notes.parse_skey(skey)
        cosigner = cls(name, kind, seed)
        if kind not in (ED25519, ML_DSA_44) or cosigner.skey != skey:
            raise KeyInvalid(f"the signer key of {name!a} is of another type, or its key id is wrong")
        return cosigner

    @property
    def witness(self) -> Witness:
        return Witness(self.name, self.kind, self._private().public_key().public_bytes_raw())

    @property
    def skey(self) -> str:
        """Secret."""
        return notes.encode_skey(self.name, self.witness.key_id, self.kind, self.seed)

    def cosign(self, text: bytes, timestamp: int) -> Signature:
        """Cosigns a checkpoint's text as of `timestamp`, in seconds since the Epoch."""
        checkpoint = parse_text(text)
        if self.kind == ED25519:
            message = _ed25519_message(text, timestamp)
        else:
            message = _ml_dsa_44_message(self.name, checkpoint, timestamp)
        signed = struct.pack(">Q", timestamp) + self._private().sign(message)
        return Signature(self.name, self.witness.key_id, signed)

    def _private(self) -> Any:
        if self.kind == ED25519:
            return Ed25519PrivateKey.from_private_bytes(self.seed)
        try:
            return _ml_dsa().MLDSA44PrivateKey.from_seed_bytes(self.seed)
        except UnsupportedAlgorithm as error:
            raise KeyInvalid(f"this installation cannot use the ML-DSA-44 key of {self.name}") from error


def cosignatures(note: Note, witnesses: Sequence[Witness]) -> tuple[Cosignature, ...]:
    """The cosignatures by `witnesses` under a checkpoint, the latest of each; others are passed over.

    Raises `NoteInvalid` if one that names a known witness does not verify.
    """
    latest: dict[tuple[str, bytes], int] = {}
    for signature in note.signatures:
        for witness in witnesses:
            identity = (witness.name, witness.key_id)
            if identity == (signature.name, signature.key_id):
                witness.verify(note.text, signature.signature)
                latest[identity] = max(latest.get(identity, 0), timestamp_of(signature.signature))
    return tuple(Cosignature(name, key_id, timestamp) for (name, key_id), timestamp in latest.items())


def timestamp_of(signature: bytes) -> int:
    """The time that a timestamped signature carries, in seconds since the Epoch. Raises `NoteInvalid`."""
    if len(signature) <= _TIMESTAMP_BYTES:
        raise NoteInvalid("a cosignature is cut short")
    (timestamp,) = struct.unpack_from(">Q", signature)
    if timestamp > MAX_TIMESTAMP:
        raise NoteInvalid("the time of a cosignature is out of range")
    return int(timestamp)


def _ed25519_message(text: bytes, timestamp: int) -> bytes:
    return b"cosignature/v1\ntime %d\n" % timestamp + text


def _ml_dsa_44_message(name: str, checkpoint: Checkpoint, timestamp: int) -> bytes:
    """The `cosigned_message` structure for a whole tree: start is zero, and extension lines are not part of it."""
    return b"".join(
        (
            _SUBTREE_LABEL,
            _short(name),
            struct.pack(">Q", timestamp),
            _short(checkpoint.origin),
            struct.pack(">QQ", 0, checkpoint.size),
            checkpoint.root,
        )
    )


def _short(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) > 255:
        raise NoteInvalid("names in an ML-DSA-44 cosignature have at most 255 bytes")
    return bytes([len(encoded)]) + encoded


def _ml_dsa() -> Any:
    """The module, absent from older releases of the library, which can do everything else here."""
    try:
        from cryptography.hazmat.primitives.asymmetric import mldsa  # noqa: PLC0415
    except ImportError as error:
        raise UnsupportedAlgorithm("ML-DSA-44") from error
    return mldsa
