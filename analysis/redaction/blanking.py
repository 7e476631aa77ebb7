"""Taking the sound of spans out of audio: a tone or silence over them, every other sample as it was. Sound goes through in pieces,
so that memory does not grow with the recording. What a sample is (16-bit, 24-bit, floating point) is `Layout`'s.
"""

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from analysis.redaction.spans import Span

MARGIN: Final = 0.3
"""Seconds before the first and after the last word of a span that are taken out with it: word times are that uncertain.

Two models place the same words of one reading 0.16 s apart (median), 0.34 s at the 95th percentile (docs/redaction.md)."""
TONE_HZ: Final = 1000
TONE_LEVEL: Final = 0.1
"""Of full scale: -20 dBFS."""


class Fill(StrEnum):
    """What is heard instead."""

    TONE = "tone"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class Layout:
    """How samples lie in bytes: little-endian, frame after frame. `width` in bytes per sample; one-byte integers are unsigned."""

    channels: int
    rate: int
    width: int
    floating: bool = False

    def __post_init__(self) -> None:
        if self.channels < 1 or self.rate < 1 or self.width not in ((4, 8) if self.floating else (1, 2, 3, 4)):
            raise ValueError("no such layout of samples")

    @property
    def frame(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * self.width

    def encoded(self, value: float) -> bytes:
        """One frame with this value (full scale is 1.0) on every channel."""
        if self.floating:
            sample = struct.pack("<f" if self.width == 4 else "<d", value)
        elif self.width == 1:
            sample = bytes([round(value * 127) + 128])
        else:
            sample = round(value * (2 ** (8 * self.width - 1) - 1)).to_bytes(self.width, "little", signed=True)
        return sample * self.channels


def stretches(spans: Iterable[Span], margin: float = MARGIN) -> list[tuple[float, float]]:
    """The seconds to take out: in order, apart from one another, each with its margin."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted((max(0.0, span.start - margin), span.end + margin) for span in spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def blanked(
    pieces: Iterable[bytes], layout: Layout, taken: Sequence[tuple[float, float]], fill: Fill
) -> Iterator[bytes]:
    """The same frames, piece by piece, with `fill` on every channel over each stretch of `taken` (seconds, in order).

    A stretch takes every frame that it touches. Pieces are whole frames. Raises `ValueError` for one that is not.
    """
    frames = [(int(start * layout.rate), int(-(-end * layout.rate // 1))) for start, end in taken]
    at = 0
    for piece in pieces:
        count, rest = divmod(len(piece), layout.frame)
        if rest:
            raise ValueError("a piece of audio is not whole frames")
        changed: bytearray | None = None
        for first, last in frames:
            low, high = max(first, at), min(last, at + count)
            if low < high:
                changed = bytearray(piece) if changed is None else changed
                changed[(low - at) * layout.frame : (high - at) * layout.frame] = _filling(low, high, layout, fill)
        at += count
        yield piece if changed is None else bytes(changed)


def _filling(first: int, last: int, layout: Layout, fill: Fill) -> bytes:
    """Frames `first` to `last` of what is heard instead, counted from the recording's start, wherever pieces are cut."""
    if fill is Fill.SILENCE:
        return layout.encoded(0.0) * (last - first)
    tone, count = _tone(layout)
    start = first % count
    whole = tone * (-(-(start + last - first) // count))
    return whole[start * layout.frame : (start + last - first) * layout.frame]


@lru_cache(maxsize=8)
def _tone(layout: Layout) -> tuple[bytes, int]:
    """The tone until it repeats itself, and its length in frames."""
    count = layout.rate // math.gcd(layout.rate, TONE_HZ)
    values = (
        TONE_LEVEL * math.sin(2 * math.pi * (TONE_HZ * place % layout.rate) / layout.rate) for place in range(count)
    )
    return b"".join(map(layout.encoded, values)), count
