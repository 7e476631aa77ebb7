"""How pitch moves at the end of an utterance, in semitones: the last straight piece of its contour.

A rise or fall is a measured quantity here. What it may mean (a question, doubt, an end) is not said.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from analysis.engines.pitch import HOP_SECONDS, LOWEST, Track, semitones

_SPAN = 1.5
"""Seconds before the last voiced frame in which the movement is looked for."""
_TAIL = 0.5
"""Seconds. When the last of an utterance is unvoiced for longer, its end has no pitch."""
_GAP = 0.3
"""Seconds. Voice before an unvoiced gap of this length is no part of the movement."""
_FEWEST = 8
"""Voiced frames (80 ms) that a movement is measured on."""
_SHORTEST_PIECE = 8
"""Frames: a piece of the contour is 80 ms long at least, so that a consonant's pull on pitch is none."""
_BETTER = 0.5
"""A contour of two pieces must leave less than this part of the error that one piece leaves."""
_STRAIGHT = 0.15
"""Semitones of error (RMS) up to which one piece is straight enough."""
_LEAP = 7.0
"""Semitones from one voiced frame to the next beyond which the tracker may have leapt by an octave."""

LEVEL_WITHIN = 1.0
"""Semitones. Less is heard as level: at 0.16 to 0.32/T² semitones per second a movement of T = 0.3 s is just heard to move
('t Hart 1976, Mertens 2004), which is 0.5 to 1.1 semitones."""


class Movement(StrEnum):
    """Where pitch goes at the end of an utterance."""

    FALL = "fall"
    RISE = "rise"
    LEVEL = "level"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FinalMovement:
    """`semitones` from the beginning of the last piece to its end (negative falls), lasting `seconds`; None if unknown."""

    movement: Movement
    semitones: float | None
    seconds: float | None


UNKNOWN = FinalMovement(Movement.UNKNOWN, None, None)


def final_movement(track: Track) -> FinalMovement:
    """The last movement in `track`, the F0 of one utterance every 10 ms (hertz, NaN where unvoiced)."""
    voiced = np.flatnonzero(~np.isnan(track))
    if len(voiced) < _FEWEST or (len(track) - 1 - voiced[-1]) * HOP_SECONDS > _TAIL:
        return UNKNOWN
    frames = voiced[voiced > voiced[-1] - _SPAN / HOP_SECONDS]
    gaps = np.flatnonzero(np.diff(frames) * HOP_SECONDS > _GAP)
    frames = frames[gaps[-1] + 1 :] if len(gaps) else frames
    frames, pitch = _without_leaps(frames, semitones(track[frames], LOWEST))
    if len(frames) < _FEWEST:
        return UNKNOWN
    change, seconds = _last_piece(frames, pitch)
    return FinalMovement(_named(change), round(change, 2), round(seconds, 2))


def _named(change: float) -> Movement:
    if abs(change) < LEVEL_WITHIN:
        return Movement.LEVEL
    return Movement.RISE if change > 0 else Movement.FALL


def _without_leaps(frames: NDArray[np.intp], pitch: Track) -> tuple[NDArray[np.intp], Track]:
    """The contour without runs that leap away from it and are too short to be a movement."""
    runs = np.split(np.arange(len(frames)), np.flatnonzero(np.abs(np.diff(pitch)) > _LEAP) + 1)
    kept = np.concatenate([np.zeros(0, np.intp), *(run for run in runs if len(run) >= _SHORTEST_PIECE)])
    return frames[kept], pitch[kept]


def _last_piece(frames: NDArray[np.intp], pitch: Track) -> tuple[float, float]:
    """Semitones and seconds of the last of one or two straight, joined pieces that fit the contour with least error."""
    time = (frames - frames[0]) * HOP_SECONDS
    error, fitted = _fit(np.stack([np.ones_like(time), time], axis=1), pitch)
    best = (fitted[-1] - fitted[0], time[-1])
    if error <= len(frames) * _STRAIGHT**2:
        return float(best[0]), float(best[1])
    limit = _BETTER * error
    for knot in range(_SHORTEST_PIECE, len(frames) - _SHORTEST_PIECE):
        bent = np.stack([np.ones_like(time), time, np.maximum(0.0, time - time[knot])], axis=1)
        error, fitted = _fit(bent, pitch)
        if error < limit:
            limit, best = error, (fitted[-1] - fitted[knot], time[-1] - time[knot])
    return float(best[0]), float(best[1])


def _fit(basis: NDArray[np.float64], pitch: Track) -> tuple[float, Track]:
    solution = np.linalg.lstsq(basis, pitch, rcond=None)[0]
    fitted: Track = basis @ solution
    return float(np.sum(np.square(pitch - fitted))), fitted
