"""How loud a signal is over time, where speech sounds in it and where it pauses, and where its syllables are.

0 dBFS is a mean square of 1.0, so a sine at full scale reads -3.01 dBFS. Everything here rests on the level alone, or on
the level and a given F0 track; which stretches are speech at all is given. What is said about an utterance as a whole is
put together in `prosody`.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analysis.engines.clip import SAMPLE_RATE, Clip, Samples, Stretch
from analysis.engines.pitch import HOP_SAMPLES, Track

Levels = NDArray[np.float64]
"""Shape (frames,), dBFS, one value per step."""

QUIETEST = -120.0
"""dBFS: what silence reads."""

_FINE_SAMPLES = 80
"""5 ms: the step of the levels that pauses are found with."""

SHORTEST_PAUSE = 0.2
"""Seconds. Shorter silences are the closures of stops (Goldman-Eisler 1968 used 0.25, many since then 0.2)."""
_EDGES = 0.011
"""Seconds that the levels around both edges of a silence may take from it."""
_SHORTEST_SOUND = 0.04
"""Seconds. Anything shorter that rises out of a pause is a click and no speech."""
_MARGIN = 0.12
"""Seconds around a stretch of speech in which sound still belongs to it: voice activity cuts soft edges."""
_BELOW_SPEECH = 25.0
"""dB below the loud parts of a stretch at which sound becomes silence (de Jong and Wempe 2009)."""
_ABOVE_NOISE = 6.0
"""dB above the room below which nothing counts as sound."""
_LOUD, _ROOM = 95.0, 5.0
"""Percentiles of the level: of a stretch's loud parts, of the clip's room."""

_SYLLABLE_WINDOW = 64
"""Milliseconds of the window of the levels that syllables are found with: that of Praat's intensity at 50 Hz."""
_DIP = 2.0
"""dB that the level must fall before a syllable's peak since the last one (de Jong and Wempe 2009)."""


def rms_dbfs(samples: Samples) -> float:
    """Root mean square level, `QUIETEST` at least; also for no samples."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(QUIETEST, 10 * float(np.log10(power))) if power > 0 else QUIETEST


def within(clip: Clip, speech: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """Stretches in order, clamped to the clip, overlaps cut off, empty ones left out."""
    answer: list[Stretch] = []
    for stretch in sorted(speech, key=lambda stretch: stretch.start):
        start = max(stretch.start, answer[-1].end if answer else 0.0)
        end = min(stretch.end, clip.duration)
        if end > start:
            answer.append(Stretch(start, end))
    return tuple(answer)


def pauses(clip: Clip, speech: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """Silences of `SHORTEST_PAUSE` and more between sounds of speech, in order.

    Speech is given as `within` leaves it and tells where to listen; the level tells where its sounds begin and end,
    within 10 ms of a sharp edge. What sounds outside of speech (a breath, a door) does not end a pause.
    """
    levels = _fine_levels(clip.samples)
    sounding = np.zeros(len(levels), bool)
    room = float(np.percentile(levels, _ROOM)) if len(levels) else QUIETEST
    step = _FINE_SAMPLES / SAMPLE_RATE
    for index, stretch in enumerate(speech):
        # The margin ends where the next stretch's begins.
        first = max(stretch.start - _MARGIN, (speech[index - 1].end + stretch.start) / 2 if index else 0.0, 0.0)
        last = stretch.end + _MARGIN
        if index + 1 < len(speech):
            last = min(last, (stretch.end + speech[index + 1].start) / 2)
        span = slice(round(first / step), round(last / step))
        if len(levels[span]):
            loud = float(np.percentile(levels[span], _LOUD))
            threshold = min(max(loud - _BELOW_SPEECH, room + _ABOVE_NOISE), (loud + room) / 2)
            sounding[span] = levels[span] > threshold
    sounds = [run for run in _runs(sounding) if (run[1] - run[0]) * step >= _SHORTEST_SOUND]
    return tuple(
        Stretch(round(end * step, 3), round(start * step, 3))
        for (_, end), (start, _) in pairwise(sounds)
        if (start - end) * step >= SHORTEST_PAUSE - _EDGES
    )


def syllable_nuclei(samples: Samples, track: Track) -> tuple[float, ...]:
    """Times (seconds) of syllable nuclei: voiced peaks of the level with a dip before them (de Jong and Wempe 2009).

    `track` is F0 every 10 ms of the same samples. A peak counts when it lies less than 25 dB below the 99th percentile
    of the level, the level fell by 2 dB at least since the last peak, and its frame is voiced.
    """
    levels = _smooth_levels(samples)[: len(track)]
    if len(levels) < 3:
        return ()
    threshold = float(np.percentile(levels, 99)) - _BELOW_SPEECH
    inner = levels[1:-1]
    peaks = np.flatnonzero((inner > levels[:-2]) & (inner >= levels[2:]) & (inner > threshold)) + 1
    kept: list[int] = []
    for peak in peaks.tolist():
        if kept:
            valley = levels[kept[-1] : peak + 1].min()
            if levels[peak] - valley < _DIP or levels[kept[-1]] - valley < _DIP:
                # One hill with two tops: the higher one stands for it.
                if levels[peak] > levels[kept[-1]]:
                    kept[-1] = peak
                continue
        kept.append(peak)
    return tuple(peak * HOP_SAMPLES / SAMPLE_RATE for peak in kept if not np.isnan(track[peak]))


def _fine_levels(samples: Samples) -> Levels:
    """Level of each step of 5 ms with half of the power of its neighbours, so that an edge stays where it is."""
    whole = samples[: len(samples) // _FINE_SAMPLES * _FINE_SAMPLES].reshape(-1, _FINE_SAMPLES)
    power = np.mean(np.square(whole, dtype=np.float64), axis=1)
    if not len(power):
        return np.zeros(0)
    around = np.pad(power, 1, mode="edge")
    return _decibels(around[:-2] / 4 + around[1:-1] / 2 + around[2:] / 4)


def _smooth_levels(samples: Samples) -> Levels:
    """Level every 10 ms under a Hann window of 64 ms, centred."""
    power = np.square(samples, dtype=np.float64)
    window = np.hanning(_SYLLABLE_WINDOW * SAMPLE_RATE // 1000 + 2)[1:-1]
    # Every sample of the power is not needed: sums over 1 ms are smooth enough for a window of 64.
    coarse = power[: len(power) // 16 * 16].reshape(-1, 16).mean(axis=1)
    weights = window.reshape(-1, 16).mean(axis=1)
    if len(coarse) < len(weights):
        return np.zeros(0)
    return _decibels(np.convolve(coarse, weights / weights.sum(), mode="same")[::10])


def _decibels(power: NDArray[np.float64]) -> Levels:
    levels: Levels = 10 * np.log10(np.maximum(power, 10 ** (QUIETEST / 10)))
    return levels


def _runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First index and the one after the last of each run of true values."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    yield from zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True)
