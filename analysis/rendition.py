"""A recording without some of its channels: what is kept where somebody in it is to be left out. Pure, in flat memory."""

import struct
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import numpy as np

from analysis.engines.clip import SAMPLE_RATE, Samples

_FRAMES: Final = 16_384
"""Frames written at a time."""
_LARGEST: Final = 0xFFFF_FFFF - 36
"""Bytes of samples that a RIFF header can state."""


def fits(channels: Sequence[Samples]) -> bool:
    """Whether a WAV file can hold the channels."""
    return len(channels) * len(channels[0]) * 2 <= _LARGEST if channels else False


def wav(channels: Sequence[Samples], silent: Collection[int]) -> Iterator[bytes]:
    """The channels as a WAV file (16-bit PCM at `SAMPLE_RATE`), in pieces; those in `silent` hold nothing but zeros.

    A silent channel stays in its place, so that the others keep their numbers. Raises `ValueError` for what does not fit.
    """
    if not fits(channels):
        raise ValueError("a WAV file cannot hold that much")
    count, frames = len(channels), len(channels[0])
    size = count * frames * 2
    yield b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt "
    yield struct.pack("<IHHIIHH", 16, 1, count, SAMPLE_RATE, SAMPLE_RATE * count * 2, count * 2, 16)
    yield b"data" + struct.pack("<I", size)
    for start in range(0, frames, _FRAMES):
        piece = np.zeros((min(_FRAMES, frames - start), count), dtype="<i2")
        for channel, samples in enumerate(channels):
            if channel not in silent:
                heard = samples[start : start + _FRAMES]
                piece[:, channel] = np.clip(np.round(heard * 32_767), -32_768, 32_767)
        yield piece.tobytes()
