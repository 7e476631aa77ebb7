"""The sealed format, version 1: a short header that names the keys, then a C2SP chunked-encryption stream (Cobblestone-256).

    version (1 byte) | number of keys (1 byte) | key ids (16 bytes each) | salt (24) | commitment (32) | chunks

The header is authenticated through the context. No Django here; docs/sealed-format.md describes it for other implementations.
"""

import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.compression import pack, unpack
from vault.context import FORMAT_VERSION, Context
from vault.errors import SealBroken

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 16
MAX_KEYS: Final = 255
MAX_HEADER: Final = 2 + MAX_KEYS * KEY_ID_BYTES
_SEVERAL: Final = b"voxgov/v1/several"


@dataclass(frozen=True, slots=True)
class Header:
    """The keys that a sealed piece needs: 1 to 255 different ids of 16 bytes in rising order. Raises `ValueError` for others."""

    key_ids: tuple[bytes, ...]
    _encoded: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < len(self.key_ids) <= MAX_KEYS or list(self.key_ids) != sorted(set(self.key_ids)):
            raise ValueError(f"sealed data names 1 to {MAX_KEYS} different keys in order")
        # Once, because a batch writes the same header before each of its values.
        encoded = bytes([FORMAT_VERSION, len(self.key_ids)]) + b"".join(self.key_ids)
        object.__setattr__(self, "_encoded", encoded)

    def encode(self) -> bytes:
        return self._encoded

    @property
    def size(self) -> int:
        return len(self._encoded)


def parse_header(start: bytes) -> Header:
    """Reads the header from the first bytes of a sealed piece. Raises `SealBroken`."""
    if len(start) < 2:
        raise SealBroken("cut short")
    if start[0] != FORMAT_VERSION:
        raise SealBroken(f"unknown format version {start[0]}")
    count = start[1]
    end = 2 + KEY_ID_BYTES * count
    if count == 0 or len(start) < end:
        raise SealBroken("cut short")
    try:
        return Header(tuple(start[at : at + KEY_ID_BYTES] for at in range(2, end, KEY_ID_BYTES)))
    except ValueError as error:
        raise SealBroken("key ids are not in order") from error


class InputKey:
    """The input key of one sealed piece. Shows nothing, cannot be pickled or copied.

    Code that handles keys keeps them in this class and never in a local variable of a frame that can raise: error reporters
    print the locals of every frame.
    """

    __slots__ = ("_bytes",)

    def __init__(self, value: bytes) -> None:
        size = len(value)
        if size != KEY_BYTES:
            del value
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {size}")
        self._bytes = value

    def __repr__(self) -> str:
        return "InputKey(...)"

    def __reduce__(self) -> str:
        raise TypeError("keys are not serialized")

    @classmethod
    def fresh(cls) -> "InputKey":
        """A random key from the operating system."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def encryptor(self, context: bytes) -> Cobblestone256Encryptor:
        return Cobblestone256Encryptor(self._bytes, context)

    def decryptor(self, context: bytes) -> Cobblestone256Decryptor:
        return Cobblestone256Decryptor(self._bytes, context)

    def reveal(self) -> bytes:
        """The raw bytes, for wrapping and range reading only; pass them on, do not name them."""
        return self._bytes


def combine(keys: Sequence[InputKey]) -> InputKey:
    """One key is the input key itself. Several are combined by HKDF-SHA512 (RFC 5869), so that every one is needed.

    `keys` come in the order of the header's key ids.
    """
    if not keys:
        raise ValueError("sealed data needs a key")
    if len(keys) == 1:
        return keys[0]
    return InputKey(
        HKDF(algorithm=SHA512(), length=KEY_BYTES, salt=None, info=_SEVERAL).derive(
            b"".join(struct.pack(">I", KEY_BYTES) + key.reveal() for key in keys)
        )
    )


def seal(key: InputKey, header: Header, context: Context, plaintext: bytes) -> bytes:
    """Seals a small value in one go; compressed first where its kind says so (`vault/compression.py`)."""
    encryptor = key.encryptor(context.encode(header.key_ids))
    return b"".join((header.encode(), encryptor.update(pack(context.kind, plaintext)), encryptor.finalize()))


def open_sealed(key: InputKey, header: Header, context: Context, sealed: bytes) -> bytes:
    """Opens a small value. Raises `SealBroken`; nothing is returned before the whole was authenticated."""
    decryptor = key.decryptor(context.encode(header.key_ids))
    try:
        body = decryptor.update(sealed[header.size :]) + decryptor.finalize()
    except (InvalidTag, ValueError) as error:
        raise SealBroken("does not open in this context") from error
    return unpack(context.kind, body)
