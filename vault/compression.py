"""How a small value is laid out before it is sealed: as it is, or, for the kinds named here, compressed and padded.

Compression makes the sealed length depend on the content, not only on its size. Such a value is sealed once and never together
with a secret of somebody else, so nobody can ask for the length of a guess; and the padding (Padmé: Nikitin et al., "Reducing
Metadata Leakage from Encrypted Files and Communication with PURBs", PETS 2019) leaves at most O(log log size) bits of the
length to see, at a cost under 12 %. No Django here.
"""

import zlib
from typing import Final

from vault.errors import SealBroken

COMPRESSED_KINDS: Final = frozenset({"result"})
MAX_OPENED: Final = 256 * 1024 * 1024
"""Bytes that a compressed value may open to: far above any result, far below a worker's memory."""
_LEVEL: Final = 6


def pack(kind: str, plaintext: bytes) -> bytes:
    """The bytes to seal. Raises `ValueError` for a compressed kind over `MAX_OPENED`."""
    if kind not in COMPRESSED_KINDS:
        return plaintext
    if len(plaintext) > MAX_OPENED:
        raise ValueError(f"a value of this kind has at most {MAX_OPENED} bytes")
    stream = zlib.compress(plaintext, _LEVEL)
    return stream.ljust(padded_size(len(stream)), b"\x00")


def unpack(kind: str, body: bytes) -> bytes:
    """What `pack` was given. Raises `SealBroken` for a body that `pack` cannot have made."""
    if kind not in COMPRESSED_KINDS:
        return body
    inflater = zlib.decompressobj()
    try:
        plaintext = inflater.decompress(body, MAX_OPENED + 1)
    except zlib.error as error:
        raise SealBroken("the opened value is not a compressed one") from error
    padding = inflater.unused_data
    if not inflater.eof or padding.strip(b"\x00") or len(body) != padded_size(len(body) - len(padding)):
        raise SealBroken("the opened value is not a compressed one")
    return plaintext


def padded_size(size: int) -> int:
    """The smallest Padmé length that holds `size` bytes: its last E - S bits are zero, where E = floor(log2 size) and
    S = floor(log2 E) + 1."""
    if size < 2:
        return size
    exponent = size.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (size + mask) & ~mask
