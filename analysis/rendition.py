"""A recording without some of its channels: what is kept where somebody in it is to be left out. Pure, in flat memory."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import numpy as np

from analysis.engines.clip import SAMPLE_RATE, Samples
from analysis.redaction import waves
from analysis.redaction.blanking import Layout

_FRAMES: Final = 16_384
"""Frames written at a time."""


def fits(channels: Sequence[Samples]) -> bool:
    """Whether a WAV file can hold the channels."""
    return waves.fits(_layout(channels), len(channels[0])) if channels else False


def wav(channels: Sequence[Samples], silent: Collection[int]) -> Iterator[bytes]:
    """The channels as a WAV file (16-bit PCM at `SAMPLE_RATE`), in pieces; those in `silent` hold nothing but zeros.

    A silent channel stays in its place, so that the others keep their numbers. Raises `ValueError` for what does not fit.
    """
    layout = _layout(channels)
    yield waves.header(layout, len(channels[0]) * layout.frame)
    yield from frames(channels, silent)


def frames(channels: Sequence[Samples], silent: Collection[int]) -> Iterator[bytes]:
    """The samples of that file, without its header."""
    count = len(channels[0])
    for start in range(0, count, _FRAMES):
        piece = np.zeros((min(_FRAMES, count - start), len(channels)), dtype="<i2")
        for channel, samples in enumerate(channels):
            if channel not in silent:
                heard = samples[start : start + _FRAMES]
                piece[:, channel] = np.clip(np.round(heard * 32_767), -32_768, 32_767)
        yield piece.tobytes()


def _layout(channels: Sequence[Samples]) -> Layout:
    return Layout(len(channels), SAMPLE_RATE, 2)
