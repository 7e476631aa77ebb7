"""Signed notes (https://c2sp.org/signed-note): text under one or more signatures, and the keys that make and check them.

Only Ed25519 notes (type 0x01) are signed here; timestamped cosignatures live in `cosignatures`, and what the text says elsewhere.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import KeyInvalid, NoteInvalid

ED25519: Final = 0x01
MAX_NOTE_BYTES: Final = 512 * 1024
MAX_SIGNATURES: Final = 64
"""Well above the 16 that every verifier must take, each of up to 5 kB."""

KEY_ID_BYTES: Final = 4
KEY_BYTES: Final = 32
_DASH: Final = "— "
_SKEY_PREFIX: Final = "PRIVATE+KEY+"
_CONTROL: Final = re.compile(rb"[\x00-\x09\x0b-\x1f]")


class Signer(Protocol):
    """What signs a note: a key kept anywhere. `sign` answers the bytes that follow the key id in the signature line."""

    @property
    def name(self) -> str: ...
    @property
    def key_id(self) -> bytes: ...
    def sign(self, text: bytes) -> bytes: ...


class Verifier(Protocol):
    """A known key. `verify` raises `NoteInvalid`."""

    @property
    def name(self) -> str: ...
    @property
    def key_id(self) -> bytes: ...
    def verify(self, text: bytes, signature: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: key name, key id (4 bytes), and what the key's algorithm made of the text."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note as written: nothing in it is true until a known key's signature was verified."""

    text: bytes
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        return self.text + b"\n" + "".join(one.line() for one in self.signatures).encode()


def parse(data: bytes) -> Note:
    """Splits text from signatures and checks the form of both. Raises `NoteInvalid`."""
    if len(data) > MAX_NOTE_BYTES:
        raise NoteInvalid(f"a note of {len(data)} bytes; at most {MAX_NOTE_BYTES} are read")
    if _CONTROL.search(data):
        raise NoteInvalid("a note holds no control characters but newlines")
    text, blank, lines = data.rpartition(b"\n\n")
    if not blank or not lines:
        raise NoteInvalid("no signatures under the text")
    text += b"\n"
    try:
        text.decode()
        decoded = lines.decode()
    except UnicodeDecodeError as error:
        raise NoteInvalid("a note is valid UTF-8") from error
    if not decoded.endswith("\n"):
        raise NoteInvalid("the last signature line is cut short")
    return Note(text, parse_signature_lines(decoded))


def parse_signature_lines(lines: str) -> tuple[Signature, ...]:
    """Signature lines, each with its newline. Raises `NoteInvalid`."""
    each = lines[:-1].split("\n") if lines.endswith("\n") else []
    if not 0 < len(each) <= MAX_SIGNATURES:
        raise NoteInvalid(f"a note has 1 to {MAX_SIGNATURES} signature lines")
    return tuple(_parse_line(line) for line in each)


def verified(note: Note, known: Sequence[Verifier]) -> tuple[Verifier, ...]:
    """The known keys that signed, in the order of `known`. Signatures by others are passed over.

    Raises `NoteInvalid` if a signature that names a known key does not verify, or none is by a known key.
    """
    good: set[tuple[str, bytes]] = set()
    for signature in note.signatures:
        for key in known:
            if (key.name, key.key_id) == (signature.name, signature.key_id):
                key.verify(note.text, signature.signature)
                good.add((key.name, key.key_id))
    signed_by = tuple(key for key in known if (key.name, key.key_id) in good)
    if not signed_by:
        named = ", ".join(f"{one.name[:80]} ({one.key_id.hex()})" for one in note.signatures[:4])
        raise NoteInvalid(f"not signed by a known key; {len(note.signatures)} signatures, by {named}")
    return signed_by


def sign(text: bytes, *signers: Signer) -> Note:
    """Signs `text` with each key. Raises `NoteInvalid` for text that cannot stand in a note."""
    if not text.endswith(b"\n"):
        raise NoteInvalid("a note's text ends in a newline")
    lines = tuple(Signature(signer.name, signer.key_id, signer.sign(text)) for signer in signers)
    return parse(Note(text, lines).encode())


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """SHA-256(key name || 0x0A || signature type || public key), the first 4 bytes."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:KEY_ID_BYTES]


def require_name(name: str) -> str:
    """A key name: not empty, no spaces of any script, no plus, no control characters. Raises `KeyInvalid`."""
    if not name or "+" in name or any(one.isspace() or one < " " for one in name):
        raise KeyInvalid(f"{name!a} is no key name")
    return name


def decode_base64(text: str) -> bytes:
    """RFC 4648, section 4, in its one canonical spelling; raises `ValueError` for any other."""
    decoded = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    if base64.b64encode(decoded).decode() != text:
        raise ValueError("not the canonical spelling")
    return decoded


def encode_vkey(name: str, kind: int, public: bytes) -> str:
    """`<key name>+hex(key id)+base64(signature type || public key)`."""
    identity = key_id(require_name(name), kind, public)
    return f"{name}+{identity.hex()}+{base64.b64encode(bytes([kind]) + public).decode()}"


def parse_vkey(vkey: str) -> tuple[str, int, bytes]:
    """Key name, signature type and public key. Raises `KeyInvalid`, also where the id is not that of name and key."""
    try:
        name, identity, encoded = vkey.split("+", 2)
        material = decode_base64(encoded)
        kind, public = material[0], material[1:]
    except (ValueError, IndexError) as error:
        raise KeyInvalid(f"{vkey!a} is no verifier key: <name>+<key id>+<base64>") from error
    if encode_vkey(name, kind, public) != vkey:
        raise KeyInvalid(f"the verifier key of {name!a} carries {identity!a}, which is not its key id")
    return name, kind, public


@dataclass(frozen=True, slots=True)
class Ed25519Verifier:
    """Checks plain Ed25519 signatures over the text (type 0x01)."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> "Ed25519Verifier":
        """Raises `KeyInvalid`."""
        name, kind, public = parse_vkey(vkey)
        if kind != ED25519:
            raise KeyInvalid(f"the key of {name!a} is of type {kind:#04x}; a log's key is Ed25519, type 0x01")
        return cls(name, require_ed25519(public))

    @property
    def key_id(self) -> bytes:
        return key_id(self.name, ED25519, self.public)

    @property
    def vkey(self) -> str:
        return encode_vkey(self.name, ED25519, self.public)

    def verify(self, text: bytes, signature: bytes) -> None:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature as error:
            raise NoteInvalid(f"the signature by {self.name} ({self.key_id.hex()}) does not verify") from error


@dataclass(frozen=True, slots=True)
class Ed25519Signer:
    """Signs with a key in memory. The written form is that of golang.org/x/mod/sumdb/note: PRIVATE+KEY+name+id+base64."""

    name: str
    private: Ed25519PrivateKey

    @classmethod
    def generate(cls, name: str) -> "Ed25519Signer":
        return cls(require_name(name), Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, skey: str) -> "Ed25519Signer":
        """Raises `KeyInvalid`, without repeating the key."""
        name, kind, seed = parse_skey(skey)
        signer = cls(name, Ed25519PrivateKey.from_private_bytes(seed))
        if kind != ED25519 or signer.skey != skey:
            raise KeyInvalid(f"the signer key of {name!a} is of another type, or its key id is wrong")
        return signer

    @property
    def verifier(self) -> Ed25519Verifier:
        return Ed25519Verifier(self.name, self.private.public_key().public_bytes_raw())

    @property
    def key_id(self) -> bytes:
        return self.verifier.key_id

    @property
    def skey(self) -> str:
        """Secret."""
        return encode_skey(self.name, self.key_id, ED25519, self.private.private_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        return self.private.sign(text)


def encode_skey(name: str, identity: bytes, kind: int, seed: bytes) -> str:
    """Secret. The written form of a signer key."""
    return f"{_SKEY_PREFIX}{name}+{identity.hex()}+{base64.b64encode(bytes([kind]) + seed).decode()}"


def parse_skey(skey: str) -> tuple[str, int, bytes]:
    """Key name, signature type and 32-byte seed; whether the key id fits is for the caller. Raises `KeyInvalid`."""
    try:
        if not skey.startswith(_SKEY_PREFIX):
            raise ValueError
        name, _, encoded = skey.removeprefix(_SKEY_PREFIX).split("+", 2)
        material = decode_base64(encoded)
        if len(material) != 1 + KEY_BYTES:
            raise ValueError
    except ValueError:
        raise KeyInvalid("not a signer key: PRIVATE+KEY+<name>+<key id>+<base64>") from None
    return require_name(name), material[0], material[1:]


def require_ed25519(public: bytes) -> bytes:
    """A public key that Ed25519 can use. Raises `KeyInvalid`."""
    try:
        Ed25519PublicKey.from_public_bytes(public)
    except ValueError as error:
        raise KeyInvalid(f"an Ed25519 public key has {KEY_BYTES} bytes") from error
    return public


def _parse_line(line: str) -> Signature:
    if not line.startswith(_DASH):
        raise NoteInvalid(f"{line[:80]!a} is no signature line")
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    try:
        require_name(name)
        decoded = decode_base64(encoded)
    except (KeyInvalid, ValueError) as error:
        raise NoteInvalid(f"{line[:80]!a} is no signature line") from error
    if not space or len(decoded) <= KEY_ID_BYTES:
        raise NoteInvalid(f"{line[:80]!a} is no signature line")
    return Signature(name, decoded[:KEY_ID_BYTES], decoded[KEY_ID_BYTES:])
