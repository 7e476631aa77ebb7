"""A sealed message in pieces of any size, on its way in or out: from the salt on, without the header and without a file.

What comes out lies in one buffer that every piece uses again, so that memory stays flat and nothing is copied but by the
cipher. A piece that was given out ends with the next call: whoever reads it later meets a `ValueError` and never other bytes.
No Django here.
"""

from typing import Final

from cryptography.exceptions import InvalidTag

from vault.errors import SealBroken
from vault.format import InputKey
from vault.ranges import CHUNK, OVERHEAD, TAG

PIECE: Final = 256 * 1024
"""Plaintext bytes that one call takes at most; whole chunks."""
SEALED_PIECE: Final = PIECE // CHUNK * (CHUNK + TAG)
"""Sealed bytes that one call takes at most. After `OVERHEAD` bytes, pieces of this size meet the chunks and are not moved."""


class SealStream:
    """Seals one message. For one thread."""

    __slots__ = ("_buffer", "_encryptor", "_given")

    def __init__(self, key: InputKey, context: bytes) -> None:
        self._encryptor = key.encryptor(context)
        # What an earlier call left waiting is less than a chunk, so it adds at most the one that the last piece cuts short.
        self._buffer = memoryview(bytearray(OVERHEAD + SEALED_PIECE))
        self._given = self._buffer[:0]

    def __repr__(self) -> str:
        return "SealStream(...)"

    def update(self, plaintext: bytes | bytearray | memoryview) -> memoryview:
        """The sealed bytes that these complete; the next call ends them. Raises `ValueError`, with nothing taken, for more than
        the buffer has room for."""
        self._given.release()
        self._given = given = self._buffer[: self._encryptor.update_into(plaintext, self._buffer)]
        return given

    def finish(self) -> bytes:
        """The rest, with the last chunk."""
        self._given.release()
        return self._encryptor.finalize()


class OpenStream:
    """Opens one message. What it gives is authentic and in place; only `finish` proves that nothing is missing. For one thread."""

    __slots__ = ("_buffer", "_decryptor", "_given")

    def __init__(self, key: InputKey, context: bytes) -> None:
        self._decryptor = key.decryptor(context)
        self._buffer = memoryview(bytearray(PIECE))
        self._given = self._buffer[:0]

    def __repr__(self) -> str:
        return "OpenStream(...)"

    def update(self, sealed: bytes | bytearray | memoryview) -> memoryview:
        """The plaintext of the chunks that these complete; the next call ends it. Raises `SealBroken`, and `ValueError`, with
        nothing taken, for more than the buffer has room for."""
        self._given.release()
        try:
            self._given = given = self._buffer[: self._decryptor.update_into(sealed, self._buffer)]
        except InvalidTag as error:
            # The library may have written what did not authenticate.
            self._buffer[:] = bytes(len(self._buffer))
            raise SealBroken("does not open in this context") from error
        return given

    def finish(self) -> bytes:
        """The rest. Raises `SealBroken` when anything is missing."""
        self._given.release()
        try:
            return self._decryptor.finalize()
        except (InvalidTag, ValueError) as error:
            raise SealBroken("does not open in this context") from error
