"""From the scores of overlapping windows to events: which windows belong to one sound, and where it begins and ends.

A network says that a sound is somewhere in its window. Windows that hold a short sound whole have just that sound in common;
those of a long one begin and end in its midst. From there the edges move to where the level falls.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.engines.clip import SAMPLE_RATE, Samples
from analysis.engines.sounds import RULES, ContextStretch, Sound, SoundEvent, Surrounding

Levels = NDArray[np.float64]
"""dBFS of each 10 ms."""

DIGITAL_SILENCE = -100.0
"""dBFS. Frames below it are no room, but padding or a muted line."""
QUIET_SHARE = 0.1
"""The quietest tenth of what is heard is taken for the room."""
TINY = 1e-12
"""Keeps logarithms of silence finite: -120 dB."""

_RELEASE = 0.5
"""An event that reached its threshold lasts while the score stays above this part of it."""
_REACH = 0.3
"""Seconds that an event may grow beyond what the windows say, while the sound goes on."""
_FALL = 20.0
"""dB below its loudest frame at which a sound has begun or ended."""
_ABOVE_ROOM = 6.0
"""dB above the quietest tenth of the clip that a sound has at least."""
_BRIDGE = 0.25
"""Seconds of quiet that do not end a sound."""
_FRAME_SAMPLES = SAMPLE_RATE // 100


@dataclass(frozen=True, slots=True)
class Grid:
    """Where a network looked: windows of `window` seconds, one each `hop` seconds, the first `lead` seconds before the clip."""

    hop: float
    window: float
    lead: float


def levels(samples: Samples) -> Levels:
    """dBFS of each 10 ms of `samples`."""
    whole = samples[: len(samples) // _FRAME_SAMPLES * _FRAME_SAMPLES].reshape(-1, _FRAME_SAMPLES)
    answer: Levels = 10 * np.log10(np.mean(np.square(whole, dtype=np.float64), axis=1) + TINY)
    return answer


def events(
    scores: Mapping[Sound, NDArray[np.float32]],
    thresholds: Mapping[Sound, float],
    heard: Levels,
    grid: Grid,
    duration: float,
    *,
    rivalry: Mapping[Sound, float] | None = None,
) -> tuple[SoundEvent, ...]:
    """Events of all sounds in order of start, of scores (one per place) and levels that both begin `grid.lead` before the clip.

    `rivalry` are the scores that weigh the same where sounds of one family compete: the thresholds, unless given.
    """
    found = [
        event for sound, each in scores.items() for event in _of_one_sound(sound, each, thresholds[sound], heard, grid)
    ]
    return tuple(_in_clip(_strongest(found, rivalry or thresholds), grid.lead, duration))


def stretches(
    scores: Mapping[Surrounding, NDArray[np.float32]],
    thresholds: Mapping[Surrounding, float],
    grid: Grid,
    duration: float,
    shortest: float,
) -> tuple[ContextStretch, ...]:
    """Context in order of start: windows above the threshold that touch, as they stood; `shortest` seconds at least, unless
    the clip is shorter than that."""
    found = []
    for surrounding, each in scores.items():
        for first, last in _runs(each >= thresholds[surrounding]):
            start = max(0.0, first * grid.hop - grid.lead)
            end = min(duration, last * grid.hop + grid.window - grid.lead)
            if end - start >= min(shortest, duration):
                score = float(each[first : last + 1].max())
                found.append(ContextStretch(surrounding, round(start, 3), round(end, 3), round(score, 4)))
    return tuple(sorted(found, key=lambda stretch: (stretch.start, stretch.end)))


def _of_one_sound(
    sound: Sound, scores: NDArray[np.float32], threshold: float, heard: Levels, grid: Grid
) -> list[SoundEvent]:
    """Events of one sound, in the time of the padded clip, in order."""
    found: list[SoundEvent] = []
    sounding = heard[heard > DIGITAL_SILENCE]
    room = float(np.percentile(sounding, 100 * QUIET_SHARE)) if len(sounding) else DIGITAL_SILENCE
    shortest = next(rule.shortest for rule in RULES if rule.sound is sound)
    for first, last in _runs(scores >= _RELEASE * threshold):
        score = float(scores[first : last + 1].max())
        if score < threshold:
            continue
        start, end = _edges(first * grid.hop, last * grid.hop, grid.window, heard, room)
        if found and start - found[-1].end < _BRIDGE:
            before = found.pop()
            start, end, score = before.start, max(before.end, end), max(before.score, score)
        found.append(SoundEvent(sound, start, end, score))
    return [event for event in found if event.end - event.start >= shortest]


def _runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and last index of each run of true values."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    for first, after in changes.reshape(-1, 2).tolist():
        yield first, after - 1


def _edges(first: float, last: float, window: float, heard: Levels, room: float) -> tuple[float, float]:
    """From where the windows stood (starts of the first and the last, seconds) to where the sound itself begins and ends.

    The edges never move past what the windows saw.
    """
    start, end = min(last, first + window / 2), max(first + window, last + window / 2)
    earliest = round(max(first, start - _REACH) * 100)
    latest = min(round(min(last + window, end + _REACH) * 100), len(heard))
    first_core, last_core = round(start * 100), round(end * 100)
    span = heard[earliest:latest]
    # Of the loud pieces, those belong to the sound that the core touches; a core that missed it takes the loudest.
    pieces: list[list[int]] = []
    core = float(heard[first_core:last_core].max())
    loudest = core if core >= room + _ABOVE_ROOM else float(span.max())
    if loudest < room + _ABOVE_ROOM:
        # The sound is as loud as everything else, as applause that lasts: its level does not show where it ends.
        return start, end
    quietest = max(loudest - _FALL, room + _ABOVE_ROOM)
    for begin, final in _runs(span >= quietest):
        if pieces and begin - pieces[-1][1] <= _BRIDGE * 100:
            pieces[-1][1] = final
        else:
            pieces.append([begin, final])
    peak = int(span.argmax())
    touching = [piece for piece in pieces if first_core - earliest <= piece[1] and piece[0] < last_core - earliest] or [
        piece for piece in pieces if piece[0] <= peak <= piece[1]
    ]
    return (touching[0][0] + earliest) / 100, (touching[-1][1] + 1 + earliest) / 100


def _strongest(found: Sequence[SoundEvent], rivalry: Mapping[Sound, float]) -> Iterator[SoundEvent]:
    """The events without those that a stronger one of the same family covers by more than half.

    Strength is the log odds of a score less those of the score that it is weighed against.
    """
    family = {rule.sound: rule.family for rule in RULES}

    def strength(event: SoundEvent) -> float:
        return _log_odds(event.score) - _log_odds(rivalry[event.label])

    kept: list[SoundEvent] = []
    for event in sorted(found, key=strength, reverse=True):
        rivals = (other for other in kept if family[other.label] == family[event.label])
        half = (event.end - event.start) / 2
        if all(min(event.end, other.end) - max(event.start, other.start) <= half for other in rivals):
            kept.append(event)
    return iter(kept)


def _log_odds(score: float) -> float:
    score = min(max(score, TINY), 1 - TINY)
    return math.log(score / (1 - score))


def _in_clip(found: Iterator[SoundEvent], lead: float, duration: float) -> Iterator[SoundEvent]:
    """Events in the clip's own time, in order of start."""
    for event in sorted(found, key=lambda event: (event.start, event.end)):
        start, end = max(0.0, event.start - lead), min(duration, event.end - lead)
        if start < end:
            yield SoundEvent(event.label, round(start, 3), round(end, 3), round(event.score, 4))
