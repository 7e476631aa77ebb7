"""A sealed message in pieces of any size, on its way in or out: from the salt on, without the header and without a file.

What comes out lies in the stream's one buffer, which every piece uses again, so that memory stays flat and nothing is copied but
by the cipher: whoever wants to keep it takes a copy before the next call. No Django here.
"""

from typing import Final

from cryptography.exceptions import InvalidTag

from vault.errors import SealBroken
from vault.format import InputKey
from vault.ranges import CHUNK, OVERHEAD, TAG

PIECE: Final = 256 * 1024
"""Plaintext bytes that the buffer has room for in one call, whatever waits for its chunk to fill; whole chunks."""
SEALED_PIECE: Final = PIECE // CHUNK * (CHUNK + TAG)
"""Likewise sealed bytes. After the first `OVERHEAD`, pieces of this size begin and end with chunks, and the library moves none."""


class SealStream:
    """Seals one message. For one thread."""

    __slots__ = ("_encryptor", "buffer")

    def __init__(self, key: InputKey, context: bytes) -> None:
        self._encryptor = key.encryptor(context)
        self.buffer = memoryview(bytearray(OVERHEAD + SEALED_PIECE))

    def __repr__(self) -> str:
        return "SealStream(...)"

    def update(self, plaintext: bytes | bytearray | memoryview) -> int:
        """How many sealed bytes now lie at the start of `buffer`: the chunks that these complete. Raises `ValueError`, with
        nothing taken, for more than there is room for."""
        return self._encryptor.update_into(plaintext, self.buffer)

    def finish(self) -> bytes:
        """The rest, with the last chunk."""
        return self._encryptor.finalize()


class OpenStream:
    """Opens one message. What it gives is authentic and in place; only `finish` proves that nothing is missing. For one thread."""

    __slots__ = ("_decryptor", "buffer")

    def __init__(self, key: InputKey, context: bytes) -> None:
        self._decryptor = key.decryptor(context)
        self.buffer = memoryview(bytearray(PIECE))

    def __repr__(self) -> str:
        return "OpenStream(...)"

    def update(self, sealed: bytes | bytearray | memoryview) -> int:
        """How many bytes of plaintext now lie at the start of `buffer`: those of the chunks that these complete. Raises
        `SealBroken`, and `ValueError`, with nothing taken, for more than there is room for."""
        try:
            return self._decryptor.update_into(sealed, self.buffer)
        except InvalidTag as error:
            # The library may have written what did not authenticate.
            self.buffer[:] = bytes(len(self.buffer))
            raise SealBroken("does not open in this context") from error

    def finish(self) -> bytes:
        """The rest. Raises `SealBroken` when anything is missing."""
        try:
            return self._decryptor.finalize()
        except InvalidTag as error:
            raise SealBroken("does not open in this context") from error
