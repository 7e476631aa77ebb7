"""Fundamental frequency (F0) of a voice every 10 ms, or that there is none.

Candidates and their probabilities are those of pYIN (Mauch and Dixon 2014: the YIN difference function of de Cheveigné
and Kawahara 2002, its threshold replaced by a distribution of thresholds); the path through them is found by the Viterbi
algorithm over the candidates themselves, as in RAPT (Talkin 1995), so that F0 is not rounded to a grid. Only the ratio of
a signal to itself is looked at: its level does not matter. Before that everything above 1.5 kHz is taken off: the
harmonics below it tell the period, and most noise lies above. What F0 says about an utterance is measured in `prosody`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.engines.clip import SAMPLE_RATE, Checkpoint, Samples

Track = NDArray[np.float64]
"""Shape (frames,): F0 in hertz, NaN where unvoiced. Frame i is centred on sample 160 i."""

HOP_SAMPLES = 160
HOP_SECONDS = HOP_SAMPLES / SAMPLE_RATE
LOWEST, HIGHEST = 60.0, 600.0
"""Hertz: the range in which F0 is looked for."""

_SHORTEST_LAG = int(SAMPLE_RATE / HIGHEST)
_LONGEST_LAG = int(np.ceil(SAMPLE_RATE / LOWEST))
_WINDOW = 512
"""Samples that are compared with their shifted copy: 32 ms, nearly two periods of the lowest F0."""
_SPAN = _WINDOW + _LONGEST_LAG + 1
_CENTRE = (_WINDOW + 100) // 2
"""Where in its span a frame has its time: the middle of window and copy together, for a lag of 100 samples (160 Hz)."""
_CUTOFF = 1_500.0
"""Hertz."""
_TAPS = 129
_FFT = 1024
_BATCH_FRAMES = 2_000
"""Frames per batch: 20 s of audio between two calls of the checkpoint."""
_CANDIDATES = 6
"""Kept per frame, the most probable ones."""
_SHAPE = 34 / 3
"""Thresholds follow the beta distribution (2, 34/3), whose mean is 0.15: one of the three of Mauch and Dixon 2014,
section 2.1; a mean of 0.1 loses the voice in noise of 10 dB below it."""
_FALLBACK = 0.01
"""Probability of the lowest dip for thresholds that no dip goes below: the same, section 2.1."""
_SILENCE = 1e-8
"""Mean square (-80 dBFS) below which a frame is unvoiced, whatever repeats in it."""
_SWITCH = -np.log(0.01)
"""Cost of going from voiced to unvoiced or back: 1 in 100 frames, as in pYIN."""
_UNVOICED = np.log(30.0)
"""Added cost of an unvoiced frame: what no candidate explains is shared among many unvoiced states in pYIN, and there is
one here. At 30, read speech is voiced for 0.5 to 0.65 of its frames and white noise for none."""
_JUMP = 1.0
"""Cost per semitone between two frames: an octave costs more than a short loss of voice."""
_LARGEST_JUMP = 2.5 * _SWITCH
_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Per frame up to `_CANDIDATES` F0 (hertz) with probabilities (0.0 where there is none), shape (frames, candidates)."""

    hertz: NDArray[np.float64]
    probability: NDArray[np.float64]


def track(samples: Samples, checkpoint: Checkpoint) -> Track:
    """F0 of `samples` at 16 kHz, `len(samples) // 160 + 1` frames; none for no samples.

    `checkpoint` is called with 0.0 to 1.0 at least every 20 s of audio.
    """
    if not len(samples):
        return np.zeros(0)
    frames = len(samples) // HOP_SAMPLES + 1
    reach = _TAPS // 2
    padded = np.pad(samples, (_CENTRE + reach, _SPAN + HOP_SAMPLES + reach))
    path = _Path(frames)
    for first in range(0, frames, _BATCH_FRAMES):
        count = min(_BATCH_FRAMES, frames - first)
        start = first * HOP_SAMPLES
        heard = padded[start : start + (count - 1) * HOP_SAMPLES + _SPAN + 2 * reach]
        block = np.convolve(heard.astype(np.float64), _LOW_PASS, mode="valid")
        path.extend(first, _candidates(np.lib.stride_tricks.sliding_window_view(block, _SPAN)[::HOP_SAMPLES]))
        checkpoint((first + count) / frames)
    return path.best()


def semitones(track: Track, reference: float) -> Track:
    """Distance from `reference` (hertz) in semitones, NaN where unvoiced."""
    distance: Track = 12 * np.log2(track / reference)
    return distance


def _candidates(windows: NDArray[np.float64]) -> _Candidates:
    """From frames (frames, `_SPAN`) to their candidates, most probable first."""
    normalized, difference = _difference(windows)
    lags = np.arange(_SHORTEST_LAG, _LONGEST_LAG)
    here = normalized[:, lags]
    dip = (here < normalized[:, lags - 1]) & (here <= normalized[:, lags + 1])
    depth = np.where(dip, here, np.inf)
    # A threshold picks the first dip below it: those between this dip and the lowest dip before it pick this one.
    before = np.minimum.accumulate(np.pad(depth, ((0, 0), (1, 0)), constant_values=np.inf), axis=1)[:, :-1]
    probability = np.where(depth < before, _share_below(before) - _share_below(np.minimum(depth, before)), 0.0)
    lowest = np.argmin(depth, axis=1)
    every = np.arange(len(windows))
    found = np.isfinite(depth[every, lowest])
    probability[every[found], lowest[found]] += _FALLBACK * _share_below(depth[every[found], lowest[found]])
    probability[np.mean(np.square(windows), axis=1) < _SILENCE] = 0.0

    best = np.argsort(-probability, axis=1)[:, :_CANDIDATES]
    chosen = lags[best]
    rows = every[:, None]
    left, middle, right = (difference[rows, chosen + step] for step in (-1, 0, 1))
    curvature = left - 2 * middle + right
    shift = np.divide((left - right) / 2, curvature, out=np.zeros_like(curvature), where=curvature > 0)
    return _Candidates(SAMPLE_RATE / (chosen + np.clip(shift, -1, 1)), probability[rows, best])


def _difference(windows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """YIN's cumulative mean normalized difference and the difference itself, (frames, lags), lags from 0 to the longest + 1."""
    lags = _LONGEST_LAG + 1
    spectrum = np.fft.rfft(windows, _FFT)
    # Circular correlation reaches round the end only for products that the shorter window leaves at zero.
    head = np.fft.rfft(windows[:, :_WINDOW], _FFT)
    correlation = np.fft.irfft(spectrum * head.conj(), _FFT)[:, :lags]
    energy = np.cumsum(np.pad(np.square(windows), ((0, 0), (1, 0))), axis=1)
    shifted = energy[:, _WINDOW : _WINDOW + lags] - energy[:, :lags]
    difference = np.maximum(shifted[:, :1] + shifted - 2 * correlation, 0.0)
    running = np.cumsum(difference[:, 1:], axis=1)
    normalized = np.ones_like(difference)
    np.divide(difference[:, 1:] * np.arange(1, lags), running, out=normalized[:, 1:], where=running > 0)
    return normalized, difference


def _share_below(threshold: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distribution function of the beta distribution (2, `_SHAPE`) in closed form; 1.0 at and above one."""
    x = np.clip(threshold, 0.0, 1.0)
    share: NDArray[np.float64] = 1 - (1 - x) ** _SHAPE * (1 + _SHAPE * x)
    return share


def _low_pass() -> NDArray[np.float64]:
    """Taps of a linear-phase low-pass: a sinc under a Hann window, gain 1 at 0 Hz."""
    moments = np.arange(_TAPS) - _TAPS // 2
    taps = np.sinc(2 * _CUTOFF / SAMPLE_RATE * moments) * np.hanning(_TAPS + 2)[1:-1]
    answer: NDArray[np.float64] = taps / taps.sum()
    return answer


_LOW_PASS = _low_pass()


class _Path:
    """The most probable path, frame after frame. State 0 is unvoiced, the others are the frame's candidates."""

    def __init__(self, frames: int) -> None:
        self._hertz = np.zeros((frames, _CANDIDATES + 1))
        self._came_from = np.zeros((frames, _CANDIDATES + 1), np.int8)
        self._cost = np.zeros(_CANDIDATES + 1)
        self._pitch = np.zeros(_CANDIDATES)

    def extend(self, first: int, candidates: _Candidates) -> None:
        """Goes on with the frames from `first`."""
        voiced = np.minimum(candidates.probability.sum(axis=1), 1.0)
        own = -np.log(
            np.concatenate(
                [np.maximum(1 - voiced, _FLOOR)[:, None], np.maximum(candidates.probability, _FLOOR)], axis=1
            )
        )
        own[:, 0] += _UNVOICED
        pitch = 12 * np.log2(candidates.hertz)
        self._hertz[first : first + len(pitch), 1:] = candidates.hertz
        step = np.empty((_CANDIDATES + 1, _CANDIDATES + 1))
        step[0, 0] = 0.0
        step[0, 1:] = step[1:, 0] = _SWITCH
        for index in range(len(pitch)):
            step[1:, 1:] = np.minimum(_JUMP * np.abs(self._pitch[:, None] - pitch[index]), _LARGEST_JUMP)
            total = self._cost[:, None] + step
            source = total.argmin(axis=0)
            self._came_from[first + index] = source
            cost = total[source, np.arange(_CANDIDATES + 1)] + own[index]
            self._cost = cost - cost.min()
            self._pitch = pitch[index]

    def best(self) -> Track:
        """F0 along the path that costs least."""
        frames = len(self._hertz)
        answer = np.full(frames, np.nan)
        state = int(self._cost.argmin())
        for index in range(frames - 1, -1, -1):
            if state:
                answer[index] = self._hertz[index, state]
            state = int(self._came_from[index, state])
        return answer
