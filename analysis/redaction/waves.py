"""The plainest WAV files, read by range: one `fmt ` chunk of linear samples, one `data` chunk. Anything else is not for this module
and goes through the decoder. Titles, places and whatever else a file says besides its sound is passed over.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from analysis.redaction.blanking import Layout

_PCM: Final = 1
_FLOAT: Final = 3
_EXTENSIBLE: Final = 0xFFFE
_GUID_TAIL: Final = bytes.fromhex("000000001000800000aa00389b71")
"""What follows the format's code in the sub-format of an extensible header (KSDATAFORMAT_SUBTYPE)."""
_MOST_CHUNKS: Final = 64
_PIECE: Final = 256 * 1024
_LARGEST: Final = 0xFFFF_FFFF - 36
"""Bytes of samples that a RIFF header can state."""


class Ranges(Protocol):
    """Bytes that can be read by range."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, length: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Wave:
    """Where the samples lie in a file and how. `length` in bytes, whole frames."""

    layout: Layout
    offset: int
    length: int

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.length / self.layout.frame / self.layout.rate

    def pieces(self, source: Ranges) -> Iterator[bytes]:
        """The samples as they lie there. Raises `ValueError` when the source ends before its size."""
        at, end = self.offset, self.offset + self.length
        step = _PIECE // self.layout.frame * self.layout.frame
        while at < end:
            piece = source.read(at, min(step, end - at))
            if len(piece) != min(step, end - at):
                raise ValueError("the audio ended too soon")
            at += len(piece)
            yield piece


def parse(source: Ranges) -> Wave | None:
    """None for what is not plain: another container, a coding, a second `fmt ` or `data`, sizes that do not fit the file."""
    head = source.read(0, 12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    layout: Layout | None = None
    data: tuple[int, int] | None = None
    at = 12
    for _ in range(_MOST_CHUNKS):
        start = source.read(at, 8)
        if len(start) < 8:
            break
        name, length = start[:4], int(struct.unpack("<I", start[4:])[0])
        if at + 8 + length > source.size:
            return None
        if name == b"fmt ":
            if layout is not None:
                return None
            layout = _layout(source.read(at + 8, min(length, 40)))
            if layout is None:
                return None
        elif name == b"data":
            if data is not None:
                return None
            data = (at + 8, length)
        at += 8 + length + length % 2
    else:
        return None
    if layout is None or data is None or data[1] < layout.frame or data[1] % layout.frame:
        return None
    return Wave(layout, *data)


def fits(layout: Layout, frames: int) -> bool:
    """Whether a WAV file can hold so many frames."""
    return frames * layout.frame <= _LARGEST


def header(layout: Layout, length: int) -> bytes:
    """A WAV header for so many bytes of samples. Raises `ValueError` for more than it can state."""
    if length > _LARGEST:
        raise ValueError("a WAV file cannot hold that much")
    code = _FLOAT if layout.floating else _PCM
    form = struct.pack(
        "<HHIIHH", code, layout.channels, layout.rate, layout.rate * layout.frame, layout.frame, layout.width * 8
    )
    riff = b"RIFF" + struct.pack("<I", 36 + length + length % 2) + b"WAVE"
    return riff + b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", length)


def _layout(form: bytes) -> Layout | None:
    if len(form) < 16:
        return None
    code, channels, rate, byte_rate, frame, bits = struct.unpack("<HHIIHH", form[:16])
    if code == _EXTENSIBLE:
        if len(form) < 40 or form[26:40] != _GUID_TAIL or int(struct.unpack("<H", form[18:20])[0]) != bits:
            return None
        code = int(struct.unpack("<H", form[24:26])[0])
    if code not in (_PCM, _FLOAT) or bits % 8 or frame != channels * bits // 8 or byte_rate != rate * frame:
        return None
    try:
        return Layout(channels, rate, bits // 8, floating=code == _FLOAT)
    except ValueError:
        return None
