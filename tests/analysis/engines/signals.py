"""Sound for the engines' tests: the shipped clips at 16 kHz, and made voices whose pitch, level and pauses are known."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from analysis.engines.clip import SAMPLE_RATE, Clip

Hertz = NDArray[np.float64]
"""Shape (samples,): F0 at each sample."""


def read(path: Path) -> Clip:
    """A file as one channel at 16 kHz."""
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
    pieces = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return Clip(np.concatenate(pieces).astype(np.float32))


def clip(samples: NDArray[np.floating]) -> Clip:
    return Clip(samples.astype(np.float32))


def silence(seconds: float) -> NDArray[np.float64]:
    return np.zeros(round(seconds * SAMPLE_RATE))


def glide(start: float, semitones: float, seconds: float) -> Hertz:
    """F0 that moves evenly on the semitone scale."""
    share = np.linspace(0.0, 1.0, round(seconds * SAMPLE_RATE))
    return np.asarray(start * 2 ** (semitones * share / 12))


def voice(hertz: Hertz, dbfs: float = -20.0) -> NDArray[np.float64]:
    """Harmonics that fall by 6 dB an octave, as a voice's do, at a known RMS level."""
    phase = 2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE
    sound = np.zeros(len(hertz))
    for harmonic in range(1, 25):
        sound += np.sin(harmonic * phase) / harmonic * (harmonic * hertz < SAMPLE_RATE / 2.2)
    return np.asarray(at_level(sound, dbfs))


def at_level(sound: NDArray[np.float64], dbfs: float) -> NDArray[np.float64]:
    return np.asarray(sound / np.sqrt(np.mean(np.square(sound))) * 10 ** (dbfs / 20))


def noise(seconds: float, dbfs: float, seed: int = 1) -> NDArray[np.float64]:
    """White noise."""
    return np.asarray(np.random.default_rng(seed).normal(0.0, 10 ** (dbfs / 20), round(seconds * SAMPLE_RATE)))


def syllables(count: int, per_second: float, hertz: float = 120.0, dbfs: float = -20.0) -> NDArray[np.float64]:
    """A voice that opens and closes `count` times, as evenly as `per_second` asks, falling by over 20 dB in between."""
    seconds = count / per_second
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    opening = 0.08 + 0.92 * np.sin(np.pi * per_second * time) ** 2
    return np.asarray(at_level(voice(np.full(len(time), hertz)) * opening, dbfs))


def pulses(periods: NDArray[np.float64], amplitudes: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """A voice with one cycle after another of known length (seconds) and strength: each rings two formants, decaying.

    Every cycle is written where it begins, between samples too, so that no period is rounded.
    """
    starts = np.concatenate([[0.0], np.cumsum(periods)]) + 0.01
    strength = np.ones(len(starts)) if amplitudes is None else amplitudes
    sound = np.zeros(round((starts[-1] + 0.05) * SAMPLE_RATE))
    for start, amplitude in zip(starts, strength, strict=True):
        first = int(np.ceil(start * SAMPLE_RATE))
        time = np.arange(first, min(len(sound), first + 640)) / SAMPLE_RATE - start
        rise = 1 - np.exp(-time * 4_000)
        ring = np.sin(2 * np.pi * 600 * time) + 0.5 * np.sin(2 * np.pi * 1_200 * time)
        sound[first : first + len(time)] += amplitude * rise * ring * np.exp(-time * 500)
    return sound


def perturbed(count: int, mean: float, percent: float, seed: int = 7) -> NDArray[np.float64]:
    """`count` values around `mean` whose mean difference from one to the next is exactly `percent` of the mean."""
    drawn = np.random.default_rng(seed).normal(0.0, 1.0, count)
    drawn -= drawn.mean()
    return np.asarray(mean * (1 + drawn * (percent / 100) / np.abs(np.diff(drawn)).mean()))


def tilted(hertz: float, per_octave: float, seconds: float, dbfs: float = -20.0) -> NDArray[np.float64]:
    """Harmonics whose levels change by `per_octave` dB from one octave to the next, up to 7 kHz."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = np.zeros(len(time))
    for harmonic in range(1, int(7_000 / hertz) + 1):
        sound += np.sin(2 * np.pi * harmonic * hertz * time) * harmonic ** (per_octave / (20 * np.log10(2)))
    return at_level(sound, dbfs)
