"""How far found turns lie from true ones: the diarization error, as NIST counts it (Rich Transcription 2009, md-eval).

Time is counted for each speaker: where two speak at once, it counts twice. Found voices have no names of their own, so they are
matched with true speakers in the way that gives the least error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

_PER_SECOND: Final = 100
"""Time is counted in steps of 10 ms."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """`speaker` speaks from `start` to `end`, seconds; None: somebody, and it is not said who."""

    start: float
    end: float
    speaker: str | None


@dataclass(frozen=True, slots=True)
class Errors:
    """Seconds: of true speech, and of each kind of error in it.

    `missed` was found as silence, `false_alarm` is silence that was found as speech, `confused` was given to another speaker or
    to nobody.
    """

    speech: float
    missed: float
    false_alarm: float
    confused: float

    @property
    def total(self) -> float:
        return self.missed + self.false_alarm + self.confused


def errors(true: Sequence[Spoken], found: Sequence[Spoken], collar: float = 0.0) -> Errors:
    """Errors outside of `collar` seconds before and after each true beginning and end."""
    steps = 1 + max((_step(turn.end) for turn in (*true, *found)), default=0)
    counted = np.ones(steps, bool)
    for edge in (edge for turn in true for edge in (turn.start, turn.end)) if collar else ():
        counted[max(0, _step(edge - collar)) : _step(edge + collar)] = False
    really, supposed = _by_speaker(true, steps) & counted, _by_speaker(found, steps) & counted
    nameless = _during([turn for turn in found if turn.speaker is None], steps) & counted
    speaking, heard = really.sum(axis=0), supposed.sum(axis=0) + nameless
    right = _most_matched(really.astype(np.int64) @ supposed.T)
    return Errors(
        speech=float(speaking.sum()) / _PER_SECOND,
        missed=float(np.maximum(0, speaking - heard).sum()) / _PER_SECOND,
        false_alarm=float(np.maximum(0, heard - speaking).sum()) / _PER_SECOND,
        confused=float(np.minimum(speaking, heard).sum() - right) / _PER_SECOND,
    )


def _by_speaker(turns: Sequence[Spoken], steps: int) -> NDArray[np.bool_]:
    """Shape (speakers, steps): whether each of them speaks."""
    names = sorted({turn.speaker for turn in turns if turn.speaker is not None})
    rows = [_during([turn for turn in turns if turn.speaker == name], steps) for name in names]
    return np.array(rows, bool).reshape(len(names), steps)


def _during(turns: Sequence[Spoken], steps: int) -> NDArray[np.bool_]:
    speaking = np.zeros(steps, bool)
    for turn in turns:
        speaking[_step(turn.start) : _step(turn.end)] = True
    return speaking


def _step(seconds: float) -> int:
    return round(seconds * _PER_SECOND)


def _most_matched(together: NDArray[np.int64]) -> int:
    """The most steps that true speakers (rows) and found ones (columns) have together when each is matched once at most."""
    rows: list[list[int]] = (together if len(together) >= together.shape[1] else together.T).tolist()

    @cache
    def best(row: int, taken: int) -> int:
        if row == len(rows):
            return 0
        free = (column for column in range(len(rows[0])) if not taken >> column & 1)
        return max([best(row + 1, taken), *(rows[row][one] + best(row + 1, taken | 1 << one) for one in free)])

    return best(0, 0)
