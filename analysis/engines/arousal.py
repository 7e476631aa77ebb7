"""Expressed arousal from documented acoustic correlates, by a formula that is written out here and learnt from nothing.

Higher, louder, livelier, faster and brighter speech is expressed with more arousal: so say the reviews of Scherer (2003,
table 2) and Juslin and Laukka (2003, table 7), and the measures are among those of eGeMAPS (Eyben et al. 2016). A voice
is compared with itself wherever a microphone, a body or a language would otherwise decide: level, pitch, brightness and
rate are taken against the middle of the same recording; only rate and liveliness also against ordinary speech. Units and
weights are choices, equal for all cues where the sources give no reason to differ. What windows there are, and what
becomes of the estimate, is for `emotion`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.engines.clip import SAMPLE_RATE, Clip, Stretch
from analysis.engines.levels import rms_dbfs, syllable_nuclei
from analysis.engines.pitch import HOP_SAMPLES, HOP_SECONDS, Track, semitones

FEWEST_VOICED_SECONDS = 0.5
"""With less voice than that nothing is said about a window."""
_ENOUGH_VOICED_SECONDS = 2.0
"""With this much voice a window needs no more."""
_ENOUGH_OTHER_SECONDS = 10.0
"""With this much voice outside the window the recording says well what is usual in it."""
MOST_CONFIDENCE = 0.6
"""Nothing learnt and nothing validated deserves more."""

HIGH, LOW = 0.7, 0.3
"""From here up (down) the arousal that is expressed is called high (low)."""

_LEVEL_UNIT = 6.0
"""dB from the recording's middle that count as one: speaking at twice the distance."""
_PITCH_UNIT = 3.0
"""Semitones from the recording's middle: what is plainly heard as higher ('t Hart 1981)."""
_BRIGHTNESS_UNIT = 4.0
"""dB of the alpha ratio from the recording's middle."""
_RATE_UNIT, _ORDINARY_RATE = 2.0, 4.0
"""Syllable nuclei per second (a window of five seconds counts them to about 0.8), and what ordinary speech has."""
_LIVELY_UNIT, _ORDINARY_LIVELINESS = 1.5, 2.7
"""Semitones of standard deviation, and what ordinary speech has (Traunmüller and Eriksson 1995: 2 to 4)."""
_OWN_WEIGHT = 0.6
_ORDINARY_WEIGHT = 0.25
_LARGEST = 3.0
"""Units: a cue counts for no more, so that one mistake of measurement does not decide."""

_FFT = 512
_LOW_BAND, _HIGH_BAND = (50.0, 1_000.0), (1_000.0, 5_000.0)
"""Hertz: the bands of the alpha ratio (Eyben et al. 2016, section 3.2)."""


@dataclass(frozen=True, slots=True)
class Cues:
    """What is measured in one window. All but `voiced_seconds` rest on voiced frames.

    `level` in dBFS, `pitch` in semitones above 60 Hz (median), `liveliness` its standard deviation, `brightness` the
    energy from 1 to 5 kHz over that below in dB, `rate` in syllable nuclei per second.
    """

    voiced_seconds: float
    level: float
    pitch: float
    liveliness: float
    brightness: float
    rate: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """`arousal` and `confidence` from 0.0 to 1.0; `cues` are the terms of the sum, named, positive towards high arousal."""

    arousal: float
    confidence: float
    cues: tuple[tuple[str, float], ...]


def measure(clip: Clip, window: Stretch, track: Track) -> Cues | None:
    """Cues of one window, or None where it has too little voice. `track` is F0 of the whole clip every 10 ms."""
    first, last = round(window.start / HOP_SECONDS), round(window.end / HOP_SECONDS)
    hertz = track[first:last]
    voiced = ~np.isnan(hertz)
    voiced_seconds = float(voiced.sum()) * HOP_SECONDS
    if voiced_seconds < FEWEST_VOICED_SECONDS:
        return None
    samples = clip.cut(window.start, window.end).samples
    frames = _frames(samples.astype(np.float64), len(hertz))[voiced]
    pitch = semitones(hertz[voiced], 60.0)
    return Cues(
        voiced_seconds=voiced_seconds,
        level=rms_dbfs(frames.astype(np.float32).ravel()),
        pitch=float(np.median(pitch)),
        liveliness=float(pitch.std()),
        brightness=_brightness(frames),
        rate=len(syllable_nuclei(samples, hertz)) / window.duration,
    )


def estimate(cues: Cues, every: Sequence[Cues]) -> Estimate:
    """The arousal that one window expresses, beside `every` measured window of the recording (itself among them)."""

    def own(name: str, unit: float) -> float:
        middle = float(np.median([getattr(each, name) for each in every]))
        return _OWN_WEIGHT * _limited((getattr(cues, name) - middle) / unit)

    terms = (
        ("level", own("level", _LEVEL_UNIT)),
        ("pitch", own("pitch", _PITCH_UNIT)),
        ("brightness", own("brightness", _BRIGHTNESS_UNIT)),
        ("rate", own("rate", _RATE_UNIT) + _ORDINARY_WEIGHT * _limited((cues.rate - _ORDINARY_RATE) / _RATE_UNIT)),
        ("liveliness", _ORDINARY_WEIGHT * _limited((cues.liveliness - _ORDINARY_LIVELINESS) / _LIVELY_UNIT)),
    )
    total = sum(term for _, term in terms)
    other = sum(each.voiced_seconds for each in every) - cues.voiced_seconds
    confidence = (
        MOST_CONFIDENCE
        * min(1.0, cues.voiced_seconds / _ENOUGH_VOICED_SECONDS)
        * (0.5 + 0.5 * min(1.0, other / _ENOUGH_OTHER_SECONDS))
    )
    return Estimate(
        arousal=round(1 / (1 + float(np.exp(-total))), 3),
        confidence=round(confidence, 3),
        cues=tuple((name, round(term, 3)) for name, term in terms),
    )


def _limited(units: float) -> float:
    return min(_LARGEST, max(-_LARGEST, units))


def _frames(samples: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """`count` frames of `_FFT` samples, centred every 10 ms."""
    padded = np.pad(samples, (_FFT // 2, _FFT + HOP_SAMPLES))
    views = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::HOP_SAMPLES]
    frames: NDArray[np.float64] = views[:count]
    return frames


def _brightness(frames: NDArray[np.float64]) -> float:
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(_FFT), axis=1))).sum(axis=0)
    hertz = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    low, high = (float(power[(hertz >= start) & (hertz < end)].sum()) + 1e-12 for start, end in (_LOW_BAND, _HIGH_BAND))
    return 10 * float(np.log10(high / low))
