"""Reading a byte range of a Cobblestone-256 stream (C2SP chunked-encryption, "random access"), until the library does it itself.

A range that opens is authentic and stands at its place; it does not prove that the file is whole. No Django here.
"""

import hmac
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from vault.errors import SealBroken
from vault.format import InputKey

CHUNK: Final = 16 * 1024
TAG: Final = 16
SALT: Final = 24
COMMITMENT: Final = 32
OVERHEAD: Final = SALT + COMMITMENT
_INFO: Final = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"

ReadAt = Callable[[int, int], bytes]
"""(offset, length) -> bytes of the stream, which begins with the salt."""


def plaintext_size(stream_size: int) -> int:
    """Plaintext bytes in a stream of that many bytes. Raises `SealBroken` for a length that no message has."""
    chunks, last = divmod(stream_size - OVERHEAD, CHUNK + TAG)
    if stream_size < OVERHEAD + TAG or last < TAG:
        raise SealBroken("the stream is cut short")
    return chunks * CHUNK + last - TAG


class ChunkReader:
    """Opens single chunks of one stream."""

    def __init__(self, key: InputKey, context: bytes, read_at: ReadAt, stream_size: int) -> None:
        self.size = plaintext_size(stream_size)
        self._read_at = read_at
        self._chunks = self.size // CHUNK + 1
        self._held: tuple[int, bytes] = (-1, b"")
        self._aead, self._nonce = _derive(key, context, read_at(0, OVERHEAD))
        # The last chunk, at the place that the length gives it, authenticates the length.
        self._chunk(self._chunks - 1)

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; shorter at the end, empty past it. Raises `SealBroken`."""
        if offset < 0 or length < 0:
            raise ValueError("offset and length are not negative")
        end = min(self.size, offset + length)
        pieces = []
        while offset < end:
            number, within = divmod(offset, CHUNK)
            piece = self._chunk(number)[within : within + end - offset]
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)

    def _chunk(self, number: int) -> bytes:
        if self._held[0] != number:
            expected = CHUNK if number < self._chunks - 1 else self.size % CHUNK
            sealed = self._read_at(OVERHEAD + number * (CHUNK + TAG), expected + TAG)
            nonce = (self._nonce ^ number).to_bytes(12, "big")
            try:
                self._held = (number, self._aead.decrypt(nonce, sealed, None))
            except InvalidTag as error:
                raise SealBroken("does not open in this context") from error
        return self._held[1]


def _derive(key: InputKey, context: bytes, start: bytes) -> tuple[AESGCM, int]:
    """The message's key and base nonce (section "Key derivation"), in a frame of its own that ends before anything can raise
    with them in sight. Raises `SealBroken` when the commitment is another."""
    kdf = HKDFExpand(algorithm=SHA512(), length=32 + 12 + COMMITMENT, info=_INFO + start[:SALT] + context)
    derived = kdf.derive(key.reveal())
    same = hmac.compare_digest(derived[44:], start[SALT:OVERHEAD])
    message = (AESGCM(derived[:32]), int.from_bytes(derived[32:44], "big"))
    del derived
    if not same:
        raise SealBroken("does not open in this context")
    return message
