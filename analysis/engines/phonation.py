"""How regularly a voice repeats itself from cycle to cycle, and how its energy falls over frequency: jitter, shimmer,
harmonics-to-noise ratio and spectral tilt, by published definitions.

Physical quantities of the voiced parts of a signal, given its F0. Jitter (local, RAP) and shimmer (local) are those of
Baken and Orlikoff (2000), over cycles found by waveform matching (Titze and Liang 1993; the limits are Praat's: Boersma
2009). The harmonics-to-noise ratio is that of the autocorrelation (Boersma 1993). Tilt is the regression line through the
levels of the harmonics over octaves (Kakouros, Räsänen and Alku 2018 compare such measures). In noise jitter
and shimmer say more about the room than about the voice, so nothing is said of them there. What an utterance is in other
respects, and whatever it may mean, is for other modules.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from analysis.engines.clip import SAMPLE_RATE, Samples
from analysis.engines.pitch import HOP_SAMPLES, HOP_SECONDS, Track

FEWEST_CYCLES = 20
"""Cycles below which nothing is said about jitter and shimmer."""
NOISY = 7.0
"""dB of harmonics-to-noise below which nothing is said about jitter: noise alone would be read as 0.3 % of it."""
CLEAR, CLEAR_SHARE = 12.5, 0.1
"""dB that this part of the frames must reach for shimmer: in noise of 10 dB below the voice none does, in quiet speech a
fifth and more, although sounds that begin and end bring its mean down to 8 to 10 dB."""
_CHAINED = 0.3
"""Part of the cycles that F0 says there are which must have been found one after another."""
CLEANEST = 30.0
"""dB: the highest harmonics-to-noise ratio of a frame; windows of 4.5 periods tell no more."""

_PERIOD_FACTOR = 1.3
"""Two cycles whose lengths differ by more are no neighbours (Praat's maximum period factor)."""
_AMPLITUDE_FACTOR = 1.6
"""The same for amplitudes."""
_SHORTEST, _LONGEST = 0.8, 1.25
"""Of the expected period: where the next cycle is looked for (Praat's limits)."""
_ALIKE = 0.7
"""Correlation of a cycle with the one before it below which the chain of cycles breaks."""
_CUTOFF, _TAPS = 3_000.0, 65
"""Hertz of the low-pass before cycles are matched, and its length."""
_PERIODS = 4.5
"""Periods of the lowest F0 in a window of the autocorrelation (Boersma 1993)."""
_SHORTEST_WINDOW, _LONGEST_WINDOW = 400, 1_024
_STEP = 2
"""Frames: every other one is looked at for noise and tilt, so 20 ms."""
_REACH = 8
"""Samples each side of an autocorrelation's peak that the sinc interpolation uses."""
_TILT_FFT = 1_024
_TILT_LOW, _TILT_HIGH = 320.0, 3_300.0
"""Hertz: what a telephone leaves of a voice, so that tilt can be compared across recordings."""
_FEWEST_HARMONICS = 4
_FLAT, _FLAT_SAMPLES = 1e-4, 3
"""A peak is cut off where so many samples in a row lie within this part of the loudest one."""
_CUT_OFF = 0.02
"""Part of the cycles that may be cut off before nothing is said about shimmer, which clipping hides."""
_SILENCE = 1e-10


@dataclass(frozen=True, slots=True)
class Phonation:
    """None where there is too little voice to say it; jitter and shimmer also in noise, shimmer also where peaks are clipped.

    `jitter_local_percent`: mean difference of neighbouring periods over the mean period. `jitter_rap_percent`: the same of a
    period and the mean of itself and its neighbours. `shimmer_local_percent`: mean difference of neighbouring cycles' RMS
    amplitudes over the mean amplitude. `harmonics_to_noise_db`: mean over voiced frames, `CLEANEST` at most.
    `tilt_db_per_octave`: negative where energy falls with frequency, from 320 to 3,300 Hz.
    """

    cycles: int
    jitter_local_percent: float | None
    jitter_rap_percent: float | None
    shimmer_local_percent: float | None
    harmonics_to_noise_db: float | None
    tilt_db_per_octave: float | None


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums from which `Phonation` is made, so that pieces of a recording add up to the whole."""

    periods: float = 0.0
    period_count: int = 0
    period_steps: float = 0.0
    period_step_count: int = 0
    period_bends: float = 0.0
    period_bend_count: int = 0
    amplitudes: float = 0.0
    amplitude_count: int = 0
    amplitude_steps: float = 0.0
    amplitude_step_count: int = 0
    noise: float = 0.0
    noise_count: int = 0
    clear_count: int = 0
    clipped: int = 0
    expected: float = 0.0
    tilt: float = 0.0
    tilt_count: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def phonation(self) -> Phonation:
        """The measures, rounded."""
        ratio = self.noise / self.noise_count if self.noise_count else None
        chained = self.period_count >= max(FEWEST_CYCLES, _CHAINED * self.expected)
        steady = chained and ratio is not None and ratio >= NOISY
        clear = (
            steady
            and self.clear_count >= CLEAR_SHARE * self.noise_count
            and self.clipped <= _CUT_OFF * self.period_count
        )
        period = self.periods / self.period_count if self.period_count else 0.0
        amplitude = self.amplitudes / self.amplitude_count if self.amplitude_count else 0.0
        return Phonation(
            cycles=self.period_count,
            jitter_local_percent=_percent(self.period_steps, self.period_step_count, period) if steady else None,
            jitter_rap_percent=_percent(self.period_bends, self.period_bend_count, period) if steady else None,
            shimmer_local_percent=_percent(self.amplitude_steps, self.amplitude_step_count, amplitude)
            if clear
            else None,
            harmonics_to_noise_db=None if ratio is None else round(ratio, 1),
            tilt_db_per_octave=round(self.tilt / self.tilt_count, 1) if self.tilt_count else None,
        )


def tally(samples: Samples, hertz: Track) -> Tally:
    """Sums over one piece of sound. `hertz` is its F0 every 10 ms, NaN where unvoiced."""
    voiced = ~np.isnan(hertz)
    if voiced.sum() < 3 or len(samples) < _SHORTEST_WINDOW:
        return Tally()
    sound = samples.astype(np.float64)
    total = _of_cycles(sound, hertz)
    frames = np.flatnonzero(voiced)[::_STEP]
    noise = harmonics_to_noise(sound, hertz, frames)
    slopes = _tilts(sound, hertz, frames)
    return total + Tally(
        noise=float(noise.sum()),
        noise_count=len(noise),
        clear_count=int((noise >= CLEAR).sum()),
        clipped=_cut_off_peaks(sound),
        expected=float(hertz[voiced].sum()) * HOP_SECONDS,
        tilt=float(slopes.sum()),
        tilt_count=len(slopes),
    )


def harmonics_to_noise(sound: NDArray[np.float64], hertz: Track, frames: NDArray[np.intp]) -> NDArray[np.float64]:
    """dB for each of the voiced `frames` that is no silence and whose window lies in `sound`, 0.0 to `CLEANEST`."""
    lowest = float(np.percentile(hertz[frames], 5))
    size = int(np.clip(_PERIODS * SAMPLE_RATE / lowest, _SHORTEST_WINDOW, _LONGEST_WINDOW)) // 2 * 2
    centres = frames * HOP_SAMPLES
    frames = frames[(centres >= size // 2) & (centres + size // 2 <= len(sound))]
    views = _windows(sound, frames, size)
    views = views - views.mean(axis=1, keepdims=True)
    window = np.hanning(size + 2)[1:-1]
    length = 1 << int(np.ceil(np.log2(2 * size)))
    shape = _autocorrelation(window[None], length)[0]
    correlation = _autocorrelation(views * window, length)
    loud = correlation[:, 0] > _SILENCE * size
    if not loud.any():
        return np.zeros(0)
    correlation, period = correlation[loud], SAMPLE_RATE / hertz[frames][loud]
    longest = size // 2 + _REACH
    ratio = correlation[:, :longest] / correlation[:, :1] * (shape[0] / shape[:longest])
    # The peak that F0 names, within 6 %: another one would be another voice's.
    lags = np.arange(longest)
    near = np.abs(lags[None] - period[:, None]) <= np.maximum(0.06 * period[:, None], 1.5)
    near[:, -_REACH:] = False
    inside = near.any(axis=1)
    ratio, near = ratio[inside], near[inside]
    peak = np.where(near, ratio, -np.inf).argmax(axis=1)
    peak = np.maximum(peak, _REACH)
    around = ratio[np.arange(len(peak))[:, None], peak[:, None] + np.arange(-_REACH, _REACH + 1)]
    strength = np.maximum((around @ _SINC).max(axis=1, initial=0.0), 1e-9)
    # Dividing by the window's own autocorrelation may overshoot: then by as much as it would have fallen short.
    strength = np.minimum(np.minimum(strength, 1 / strength), 1 - 1e-9)
    ratios: NDArray[np.float64] = np.clip(10 * np.log10(strength / (1 - strength)), 0.0, CLEANEST)
    return ratios


def _cut_off_peaks(sound: NDArray[np.float64]) -> int:
    loud = np.abs(sound)
    flat = np.concatenate([[False], loud >= loud.max() * (1 - _FLAT), [False]])
    edges = np.flatnonzero(np.diff(flat.astype(np.int8)))
    return int((edges[1::2] - edges[::2] >= _FLAT_SAMPLES).sum())


def _of_cycles(sound: NDArray[np.float64], hertz: Track) -> Tally:
    smooth = np.convolve(sound, _LOW_PASS, mode="same")
    power = np.concatenate([[0.0], np.cumsum(np.square(smooth))])
    total = Tally()
    for periods, amplitudes in _chains(smooth, power, hertz):
        total += _differences(periods, amplitudes)
    return total


def _differences(periods: NDArray[np.float64], amplitudes: NDArray[np.float64]) -> Tally:
    near = np.maximum(periods[1:], periods[:-1]) <= _PERIOD_FACTOR * np.minimum(periods[1:], periods[:-1])
    bends = np.abs(periods[1:-1] - (periods[:-2] + periods[1:-1] + periods[2:]) / 3)[near[1:] & near[:-1]]
    louder, softer = np.maximum(amplitudes[1:], amplitudes[:-1]), np.minimum(amplitudes[1:], amplitudes[:-1])
    alike = near & (louder <= _AMPLITUDE_FACTOR * softer)
    return Tally(
        periods=float(periods.sum()),
        period_count=len(periods),
        period_steps=float(np.abs(np.diff(periods))[near].sum()),
        period_step_count=int(near.sum()),
        period_bends=float(bends.sum()),
        period_bend_count=len(bends),
        amplitudes=float(amplitudes.sum()),
        amplitude_count=len(amplitudes),
        amplitude_steps=float(np.abs(np.diff(amplitudes))[alike].sum()),
        amplitude_step_count=int(alike.sum()),
    )


def _chains(
    sound: NDArray[np.float64], power: NDArray[np.float64], hertz: Track
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Periods (samples) and RMS amplitudes of cycles that follow one another, for each voiced run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ~np.isnan(hertz), [False]]).astype(np.int8)))
    for first, after in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        start, end = max(0, (first - 1) * HOP_SAMPLES), min(len(sound), after * HOP_SAMPLES)
        period = SAMPLE_RATE / hertz[first:after]
        if end - start < 4 * period.max():
            continue
        # From a strong peak both ways: the edges of a voiced run are its least regular part.
        edge = int(period.max())
        strongest = start + edge + int(np.abs(sound[start + edge : end - edge]).argmax())
        forward = _matched(sound[start:end], power[start : end + 1], strongest - start, period)
        back = _matched(sound[start:end][::-1], _reversed(power[start : end + 1]), end - 1 - strongest, period[::-1])
        for chain in (forward, back):
            if len(chain) >= 3:
                periods, amplitudes = np.array(chain).T
                yield periods, amplitudes


def _matched(
    sound: NDArray[np.float64], power: NDArray[np.float64], mark: int, period: NDArray[np.float64]
) -> list[tuple[float, float]]:
    """Period and amplitude of each cycle from `mark` on, for as long as each looks like the one before it."""
    found: list[tuple[float, float]] = []
    while True:
        expected = float(period[min(len(period) - 1, mark // HOP_SAMPLES)])
        half = int(expected / 2)
        shortest, longest = int(_SHORTEST * expected), int(np.ceil(_LONGEST * expected)) + 1
        if mark < half or mark + longest + half + 1 >= len(sound):
            return found
        own = sound[mark - half : mark + half]
        begin = mark + shortest - half
        stretch = sound[begin : mark + longest + half]
        here = power[mark + half] - power[mark - half]
        count = len(stretch) - 2 * half + 1
        there = power[begin + 2 * half : begin + 2 * half + count] - power[begin : begin + count]
        alike = np.correlate(stretch, own, mode="valid") / np.sqrt(np.maximum(here * there, _SILENCE))
        best = int(alike.argmax())
        if alike[best] < _ALIKE or not 0 < best < count - 1:
            return found
        left, middle, right = alike[best - 1 : best + 2].tolist()
        curvature = left - 2 * middle + right
        shift = (left - right) / (2 * curvature) if curvature < 0 else 0.0
        found.append((shortest + best + shift, float(np.sqrt(here / (2 * half)))))
        mark += shortest + best


def _reversed(power: NDArray[np.float64]) -> NDArray[np.float64]:
    answer: NDArray[np.float64] = power[-1] - power[::-1]
    return answer


def _tilts(sound: NDArray[np.float64], hertz: Track, frames: NDArray[np.intp]) -> NDArray[np.float64]:
    """dB per octave of each frame: the line of least squares through the levels of its harmonics, each octave alike."""
    views = _windows(sound, frames, _TILT_FFT) * np.hanning(_TILT_FFT)
    spectrum = np.square(np.abs(np.fft.rfft(views, axis=1)))
    f0 = hertz[frames]
    numbers = np.arange(1, int(_TILT_HIGH / f0.min()) + 1)
    partials = f0[:, None] * numbers
    bins = np.rint(partials * _TILT_FFT / SAMPLE_RATE).astype(int)
    used = (partials >= _TILT_LOW) & (partials <= _TILT_HIGH)
    bins = np.clip(bins, 1, spectrum.shape[1] - 2)
    rows = np.arange(len(frames))[:, None]
    level = 10 * np.log10(np.maximum.reduce([spectrum[rows, bins + step] for step in (-1, 0, 1)]) + 1e-20)
    octave = np.log2(partials)
    weight = np.where(used, 1.0 / numbers, 0.0)
    kept = (used.sum(axis=1) >= _FEWEST_HARMONICS) & (spectrum.max(axis=1) > _SILENCE)
    weight, octave, level = weight[kept], octave[kept], level[kept]
    total = weight.sum(axis=1)
    centred = octave - (weight * octave).sum(axis=1, keepdims=True) / np.maximum(total, 1e-12)[:, None]
    slope: NDArray[np.float64] = (weight * centred * level).sum(axis=1) / (weight * np.square(centred)).sum(axis=1)
    return slope


def _windows(sound: NDArray[np.float64], frames: NDArray[np.intp], size: int) -> NDArray[np.float64]:
    """`size` samples around each frame's centre, zeros beyond the ends."""
    padded = np.pad(sound, (size // 2, size + HOP_SAMPLES))
    views = np.lib.stride_tricks.sliding_window_view(padded, size)
    answer: NDArray[np.float64] = views[np.minimum(frames * HOP_SAMPLES, len(views) - 1)]
    return answer


def _autocorrelation(views: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(views, length, axis=1)
    answer: NDArray[np.float64] = np.fft.irfft(np.square(np.abs(spectrum)), length, axis=1)
    return answer


def _percent(total: float, count: int, mean: float) -> float | None:
    return round(100 * total / count / mean, 3) if count and mean > 0 else None


def _low_pass() -> NDArray[np.float64]:
    moments = np.arange(_TAPS) - _TAPS // 2
    taps = np.sinc(2 * _CUTOFF / SAMPLE_RATE * moments) * np.hanning(_TAPS + 2)[1:-1]
    answer: NDArray[np.float64] = taps / taps.sum()
    return answer


def _sinc() -> NDArray[np.float64]:
    """Columns that interpolate between samples -1 and 1 around a peak, under a Hann window (Boersma 1993, equation 22)."""
    offsets = np.linspace(-1.0, 1.0, 33)
    distance = offsets[None] - np.arange(-_REACH, _REACH + 1)[:, None]
    weights: NDArray[np.float64] = np.sinc(distance) * (0.5 + 0.5 * np.cos(np.pi * distance / (_REACH + 1)))
    return weights


_LOW_PASS = _low_pass()
_SINC = _sinc()
