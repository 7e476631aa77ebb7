"""The sound of a corpus, through the same decoding as recordings go through."""

from pathlib import Path

from analysis import decode
from analysis.decode import DecodedAudio


def decoded(path: Path) -> DecodedAudio:
    """Raises what the decoder raises."""
    return decode.server().decode(_File(path))


class _File:
    """A file as the decoder reads one."""

    def __init__(self, path: Path) -> None:
        self._bytes = path.read_bytes()
        self.size = len(self._bytes)

    def read(self, offset: int, length: int, /) -> bytes:
        return self._bytes[offset : offset + length]
