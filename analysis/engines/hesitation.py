"""Filled pauses (uh, um) found by how they sound: recognizers leave them out of the text, so they cannot be read there.

While somebody holds a filler, neither pitch nor articulation moves (Goto, Itou and Hayamizu 1999): F0 is level or falls
slowly (O'Shaughnessy 1992), the spectrum stands still, and the mouth rests, so that the vowel is a central one (Shriberg
1994; formants as in Peterson and Barney 1952), often closed by a nasal (um). It stands beside a silence, unlike most held
vowels of words. A stretch that meets all of this is reported as a measured event; a word drawn out in the same way beside
a pause ("a...", "the...") cannot be told apart and counts as well. What a hesitation may mean is not said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from analysis.engines.clip import SAMPLE_RATE, Clip, Samples, Stretch
from analysis.engines.pitch import HOP_SAMPLES, HOP_SECONDS, LOWEST, Track, semitones

SHORTEST = 0.2
"""Seconds of standing still: vowels of read words stand still for less than 0.15 s, fillers mostly last 0.25 to 0.6 s
(Clark and Fox Tree 2002)."""

_FFT = 512
_BANDS, _LOW, _HIGH = 16, 150.0, 3_800.0
"""Mel bands, and hertz from the lowest to the highest: what a telephone carries."""
_LAG = 3
"""Frames each side between which the spectrum is compared: 60 ms."""
_DEPTH = 20.0
"""dB below a frame's strongest band at which bands are cut off: what lies lower is mostly the room."""
_MOVES = 2.4
"""dB (RMS over bands, without the level) within that lag from which on the mouth moves: a fifth of the frames of read speech
move by less, but for no longer than 0.15 s."""
_SLOPE_LAG = 5
_GLIDES = 15.0
"""Semitones per second of F0 over 100 ms from which on pitch moves."""
_DRIFT = 10.0
"""The same over the whole: a word at the end of a sentence falls faster."""
_FEWEST = 8
"""Frames: a shorter standing still is part of a word."""
_JOIN = 15
"""Frames of a change from vowel to nasal inside one filler."""
_EDGE = 5
"""Frames each side in which the spectrum is already compared with what lies outside."""
_SHARE = 0.6
"""Part of its voiced surroundings that a filler is at least: otherwise it is part of a word."""
_BESIDE = 0.1
"""Seconds of silence before or after."""
_SILENT, _ROOM = 15.0, 3.0
"""dB below the filler, or above the room, that count as silence beside it."""
_ABOVE_ROOM = 6.0
"""dB by which a filler is louder than the room."""
_BRIDGE = 3
"""Unvoiced frames that do not end voiced surroundings."""
_F1, _F2 = (380.0, 830.0), (1_000.0, 1_750.0)
"""Hertz: formants of central vowels (schwa, ʌ, ɜ) of men and women, with their spread (Peterson and Barney 1952)."""
_LPC_ORDER, _LPC_WINDOW = 10, 240
_WIDEST = 500.0
"""Hertz of bandwidth up to which a pole is a formant."""
_NASAL = 5.0
"""dB that the energy above 800 Hz falls by, beside that below, from vowel to nasal."""


class Ending(StrEnum):
    """How a filled pause ends: in its vowel (uh) or in a nasal (um)."""

    VOWEL = "vowel"
    NASAL = "nasal"


@dataclass(frozen=True, slots=True)
class FilledPause:
    """`start` to `end` in seconds. `steady_seconds` is how long nothing moved in it; formants (hertz) are its vowel's."""

    start: float
    end: float
    ending: Ending
    steady_seconds: float
    f0_median_hz: float
    first_formant_hz: float
    second_formant_hz: float


def filled_pauses(clip: Clip, speech: Sequence[Stretch], hertz: Track) -> tuple[FilledPause, ...]:
    """Filled pauses in `speech`, in order. `hertz` is F0 of the whole clip every 10 ms, NaN outside of speech."""
    found: list[FilledPause] = []
    room = _room(clip.samples)
    for first, after in _islands(hertz):
        if (after - first) * HOP_SECONDS < SHORTEST:
            continue
        found.extend(_in_island(clip, hertz, first, after, room))
    inside = [(stretch.start, stretch.end) for stretch in speech]
    return tuple(each for each in found if any(start < each.end and each.start < end for start, end in inside))


def _in_island(clip: Clip, hertz: Track, first: int, after: int, room: float) -> Iterator[FilledPause]:
    """What stands still in one voiced stretch and has a silence at its side."""
    track = hertz[first:after]
    spectrum = _spectra(clip.samples, first, after)
    steady = _steady(track, _levels_of_bands(spectrum))
    runs = [run for run in _runs(steady) if run[1] - run[0] >= _FEWEST]
    for group in _joined(runs):
        still = sum(end - start for start, end in group) * HOP_SECONDS
        start, end = max(0, group[0][0] - _EDGE), min(len(track), group[-1][1] + _EDGE)
        if still < SHORTEST or end - start < _SHARE * len(track) or abs(_drift(track[start:end])) > _DRIFT:
            continue
        if not _silence_beside(clip, first + start, first + end, room):
            continue
        vowel = max(group, key=lambda run: _brightness(spectrum, run))
        formants = _formants(clip.samples, first + vowel[0], first + vowel[1])
        if formants is None or not _F1[0] <= formants[0] <= _F1[1] or not _F2[0] <= formants[1] <= _F2[1]:
            continue
        fallen = _brightness(spectrum, vowel) - _brightness(spectrum, group[-1])
        yield FilledPause(
            start=round((first + start) * HOP_SECONDS, 3),
            end=round((first + end) * HOP_SECONDS, 3),
            ending=Ending.NASAL if group[-1] != vowel and fallen >= _NASAL else Ending.VOWEL,
            steady_seconds=round(still, 2),
            f0_median_hz=round(float(np.nanmedian(track[start:end])), 1),
            first_formant_hz=round(formants[0]),
            second_formant_hz=round(formants[1]),
        )


def _islands(hertz: Track) -> Iterator[tuple[int, int]]:
    """First frame and the one after the last of each voiced stretch, short gaps bridged."""
    start = last = -1
    for frame in np.flatnonzero(~np.isnan(hertz)).tolist():
        if start < 0:
            start = frame
        elif frame - last > _BRIDGE + 1:
            yield start, last + 1
            start = frame
        last = frame
    if start >= 0:
        yield start, last + 1


def _spectra(samples: Samples, first: int, after: int) -> NDArray[np.float64]:
    """Power spectra (frames, bins) of the frames from `first` on, each centred in its window."""
    begin, size = first * HOP_SAMPLES - _FFT // 2, (after - first - 1) * HOP_SAMPLES + _FFT
    piece = samples[max(0, begin) : max(0, begin + size)].astype(np.float64)
    piece = np.pad(piece, (max(0, -begin), max(0, size - len(piece) - max(0, -begin))))
    views = np.lib.stride_tricks.sliding_window_view(piece, _FFT)[::HOP_SAMPLES]
    spectrum: NDArray[np.float64] = np.square(np.abs(np.fft.rfft(views * np.hanning(_FFT), axis=1)))
    return spectrum


def _levels_of_bands(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    power = np.pad(spectrum @ _BANK.T, ((1, 1), (0, 0)), mode="edge")
    levels = 10 * np.log10((power[:-2] + power[1:-1] + power[2:]) / 3 + 1e-9)
    levels = np.maximum(levels, levels.max(axis=1, keepdims=True) - _DEPTH)
    answer: NDArray[np.float64] = levels - levels.mean(axis=1, keepdims=True)
    return answer


def _steady(track: Track, levels: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where neither the spectrum nor pitch moves."""
    frames = len(track)
    if frames <= 2 * _SLOPE_LAG:
        return np.zeros(frames, bool)
    moved = np.full(frames, np.inf)
    moved[_LAG:-_LAG] = np.sqrt(np.mean(np.square(levels[2 * _LAG :] - levels[: -2 * _LAG]), axis=1))
    smooth = np.full(frames, np.inf)
    smooth[_LAG + 1 : -_LAG - 1] = (moved[_LAG : -_LAG - 2] + moved[_LAG + 1 : -_LAG - 1] + moved[_LAG + 2 : -_LAG]) / 3
    pitch = semitones(track, LOWEST)
    slope = np.full(frames, np.inf)
    slope[_SLOPE_LAG:-_SLOPE_LAG] = (pitch[2 * _SLOPE_LAG :] - pitch[: -2 * _SLOPE_LAG]) / (
        2 * _SLOPE_LAG * HOP_SECONDS
    )
    slope = np.nan_to_num(np.abs(slope), nan=np.inf)
    answer: NDArray[np.bool_] = (smooth < _MOVES) & (slope < _GLIDES)
    return answer


def _joined(runs: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    groups: list[list[tuple[int, int]]] = []
    for run in runs:
        if groups and run[0] - groups[-1][-1][1] <= _JOIN:
            groups[-1].append(run)
        else:
            groups.append([run])
    return groups


def _drift(track: Track) -> float:
    """Semitones per second of the line through a piece of the track."""
    voiced = np.flatnonzero(~np.isnan(track))
    return float(np.polyfit(voiced * HOP_SECONDS, semitones(track[voiced], LOWEST), 1)[0])


def _silence_beside(clip: Clip, first: int, after: int, room: float) -> bool:
    """Whether the sound before or after is much weaker than the frames from `first` to `after`; the clip's ends are silent."""
    start, end = first * HOP_SECONDS, after * HOP_SECONDS
    own = _power(clip.cut(start, end).samples)
    margin = 0.05
    sides = (clip.cut(start - margin - _BESIDE, start - margin), clip.cut(end + margin, end + margin + _BESIDE))
    if own < room * 10 ** (_ABOVE_ROOM / 10):
        return False
    silent = max(own * 10 ** (-_SILENT / 10), room * 10 ** (_ROOM / 10))
    return any(_power(side.samples) <= silent for side in sides)


def _room(samples: Samples) -> float:
    """Power of the quietest twentieth of the clip, in pieces of 50 ms."""
    pieces = samples[: len(samples) // 800 * 800].reshape(-1, 800)
    return float(np.percentile(np.mean(np.square(pieces, dtype=np.float64), axis=1), 5)) if len(pieces) else 0.0


def _power(samples: Samples) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0


def _brightness(spectrum: NDArray[np.float64], run: tuple[int, int]) -> float:
    """Energy from 800 Hz to 3.8 kHz over that below, dB."""
    power = spectrum[run[0] : run[1]].sum(axis=0)
    hertz = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    high, low = (hertz >= 800) & (hertz < _HIGH), (hertz >= _LOW) & (hertz < 800)
    return 10 * float(np.log10((power[high].sum() + 1e-12) / (power[low].sum() + 1e-12)))


def _formants(samples: Samples, first: int, after: int) -> tuple[float, float] | None:
    """Median first and second formant (hertz) of the frames, by linear prediction at 8 kHz; None where there are none."""
    begin, end = max(0, first * HOP_SAMPLES - 480), after * HOP_SAMPLES + 480
    narrow = np.convolve(samples[begin:end].astype(np.float64), _HALF, mode="same")[::2]
    narrow = narrow[1:] - 0.97 * narrow[:-1]
    found = []
    for middle in range(240, len(narrow) - 240, HOP_SAMPLES):
        frame = narrow[middle - _LPC_WINDOW // 2 : middle + _LPC_WINDOW // 2] * np.hamming(_LPC_WINDOW)
        poles = _poles(frame)
        if poles is not None and len(poles) >= 2:
            found.append(poles[:2])
    if not found:
        return None
    first_formant, second_formant = np.median(np.array(found), axis=0).tolist()
    return first_formant, second_formant


def _poles(frame: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Frequencies of narrow poles above 200 Hz, ascending."""
    correlation = np.correlate(frame, frame, mode="full")[len(frame) - 1 : len(frame) + _LPC_ORDER]
    if correlation[0] <= 1e-12:
        return None
    matrix = correlation[np.abs(np.subtract.outer(np.arange(_LPC_ORDER), np.arange(_LPC_ORDER)))]
    predictor = np.linalg.solve(matrix + np.eye(_LPC_ORDER) * correlation[0] * 1e-9, correlation[1:])
    roots = np.roots(np.concatenate([[1.0], -predictor]))
    roots = roots[roots.imag > 0]
    hertz = np.angle(roots) * 8_000 / (2 * np.pi)
    width = -np.log(np.abs(roots)) * 8_000 / np.pi
    kept: NDArray[np.float64] = np.sort(hertz[(width < _WIDEST) & (hertz > 200)])
    return kept


def _runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    yield from zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True)


def _bank() -> NDArray[np.float64]:
    """Triangles (bands, bins), evenly spaced on the mel scale."""

    def mel(hertz: float) -> float:
        return 1127 * float(np.log1p(hertz / 700))

    edges = 700 * np.expm1(np.linspace(mel(_LOW), mel(_HIGH), _BANDS + 2) / 1127)
    bins = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    left, middle, right = (edges[index : index + _BANDS, None] for index in range(3))
    triangles: NDArray[np.float64] = np.maximum(
        0.0, np.minimum((bins - left) / (middle - left), (right - bins) / (right - middle))
    )
    return triangles


def _half_band() -> NDArray[np.float64]:
    moments = np.arange(65) - 32
    taps = np.sinc(2 * 3_600 / SAMPLE_RATE * moments) * np.hanning(67)[1:-1]
    answer: NDArray[np.float64] = taps / taps.sum()
    return answer


_BANK = _bank()
_HALF = _half_band()
