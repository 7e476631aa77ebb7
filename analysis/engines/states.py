"""Stress and tone shift: what a voice expresses beside what is usual for it, from measures and formulas that are written
out here and learnt from nothing.

Both compare a window of speech with earlier windows of the same voice in the same recording (`baseline`) and are unknown
until there are enough of them. The stress index is a weighted mean of z-scores in the directions that reviews of voice
under load report: F0 rises most consistently, then level and the energy of higher harmonics; findings for rate, pauses
and jitter disagree and weigh less (Giddens et al. 2013; Van Puyvelde et al. 2018; Mendoza and Carballo 1998; Kappen et al.
2021). The same signs come with joy, effort, noise in the room or a louder topic: the index says that a voice sounds
more strained than before, is validated against nothing, and is no diagnosis of anything. A tone shift is the moment where
several measures of expressed arousal move together and far. The baseline is what was said first: whoever began strained
is compared with that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from analysis.engines import arousal, own_code
from analysis.engines.baseline import SHORTEST, Baseline
from analysis.engines.clip import Checkpoint, Clip, ModelIdentity, Stretch
from analysis.engines.emotion import SHORTEST_WINDOW, UNKNOWN, Score, windows
from analysis.engines.levels import pauses, within
from analysis.engines.phonation import tally
from analysis.engines.pitch import HOP_SECONDS, Track, track

MODULES = ("arousal.py", "baseline.py", "emotion.py", "levels.py", "phonation.py", "pitch.py", "states.py")

STRESS_WEIGHTS: Mapping[str, float] = {
    "f0": 1.0,
    "level": 0.5,
    "tilt": 0.5,
    "articulation_rate": 0.25,
    "jitter": 0.25,
    "pauses": 0.25,
}
"""What a standard deviation upwards in each measure adds; tilt upwards is more energy in higher harmonics."""
RAISED = 0.75
"""The index from which on it is called raised: a weighted mean of one and a half standard deviations."""
_INDEX_PER_DEVIATION = 1 / 6
_LARGEST = 3.0
"""Standard deviations: a measure counts for no more, so that one mistake of measurement does not decide."""
_FEWEST_MEASURES = 3
"""Measures, F0 among them, below which the index is unknown."""

SHIFT = 2.0
"""Standard deviations by which a measure has moved."""
SHIFT_MEASURES: tuple[str, ...] = ("f0", "level", "f0_range", "tilt", "articulation_rate")
"""The correlates of arousal (`arousal`); two of them must move the same way, F0 or level among them, and none back."""
_TOGETHER = 2
MOST_CONFIDENCE = 0.6
"""Nothing learnt and nothing validated deserves more."""
_LONG_BASELINE = 60.0
"""Seconds of earlier speech with which confidence is at its most."""


class StressLabel(StrEnum):
    RAISED = "raised"
    USUAL = "usual"


class Direction(StrEnum):
    """Where expressed arousal moves to."""

    RAISED = "raised"
    LOWERED = "lowered"
    BACK = "back to usual"


@dataclass(frozen=True, slots=True)
class StressWindow:
    """`index` from 0.0 to 1.0: 0.5 is as usual for this voice, 1.0 three standard deviations above in everything.

    None, with the label "unknown" and confidence 0.0, until there is a baseline, and where too little can be measured.
    `cues` are the z-scores that it rests on.
    """

    start: float
    end: float
    label: str
    index: float | None
    confidence: float
    cues: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class ToneShift:
    """A window in which the voice moves away from what was usual before it, or back. `cues` are z-scores."""

    start: float
    end: float
    direction: Direction
    confidence: float
    cues: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class StateSummary:
    """Windows by what was said of their stress; "unknown" is counted like the others."""

    stress_windows: int
    stress_unknown: int
    stress_usual: int
    stress_raised: int
    stress_index_mean: float | None
    tone_shifts: int
    baseline_needed_seconds: float


@dataclass(frozen=True, slots=True)
class States:
    """Windows in order of start."""

    stress: tuple[StressWindow, ...]
    tone_shifts: tuple[ToneShift, ...]
    summary: StateSummary
    model: ModelIdentity


class StateAnalyzer:
    """The engine. It holds nothing but its identity; one may serve many clips side by side. Not validated."""

    def __init__(self) -> None:
        self._identity = own_code.identity("acoustic-states", "1", MODULES)

    def run(
        self,
        clip: Clip,
        speech: Sequence[Stretch],
        checkpoint: Checkpoint,
        *,
        hertz: Track | None = None,
        one_voice: bool = True,
    ) -> States:
        """Where more than one person may be heard (`one_voice` false) all is unknown: there is no baseline of one's own.

        At most 20 s of audio are worked on between two calls of `checkpoint`.
        """
        spans = windows(clip, speech)
        if hertz is None:
            hertz = track(clip.samples, lambda fraction: checkpoint(0.8 * fraction))
        silences = pauses(clip, within(clip, speech))
        usual = Baseline()
        found: list[StressWindow] = []
        shifts: list[ToneShift] = []
        direction: Direction | None = None
        for index, span in enumerate(spans):
            measures = measure(clip, span, hertz, silences) if one_voice else None
            moved = None
            if measures is not None and usual.ready:
                distances = usual.compare(measures)
                window = _stress(span, distances, usual.seconds)
                moved = _direction(distances)
                if moved is not direction:
                    shifts.append(_shift(span, moved or Direction.BACK, distances, usual.seconds))
                direction = moved
            else:
                window = StressWindow(round(span.start, 3), round(span.end, 3), UNKNOWN, None, 0.0, ())
            found.append(window)
            # What is far from usual does not become usual.
            if measures is not None and moved is None and window.label != StressLabel.RAISED:
                usual.add(measures, span.duration)
            checkpoint(0.8 + 0.2 * (index + 1) / len(spans))
        checkpoint(1.0)
        return States(
            tuple(found), tuple(shifts), _summary(found, shifts), self._identity.ran_with(one_voice=one_voice)
        )


def measure(clip: Clip, span: Stretch, hertz: Track, silences: Sequence[Stretch]) -> dict[str, float | None] | None:
    """The measures of one window by their names in `baseline`; None where it has too little voice."""
    cues = arousal.measure(clip, span, hertz) if span.duration >= SHORTEST_WINDOW else None
    if cues is None:
        return None
    own = hertz[round(span.start / HOP_SECONDS) : round(span.end / HOP_SECONDS)]
    voice = tally(clip.cut(span.start, span.end).samples, own).phonation()
    silent = sum(max(0.0, min(each.end, span.end) - max(each.start, span.start)) for each in silences)
    spoken = max(span.duration - silent, 0.1)
    low, high = np.nanpercentile(own, [5, 95]).tolist()
    return {
        "f0": cues.pitch,
        "f0_range": 12 * float(np.log2(high / low)),
        "level": cues.level,
        "articulation_rate": cues.rate * span.duration / spoken,
        "jitter": voice.jitter_local_percent,
        "tilt": voice.tilt_db_per_octave,
        "pauses": silent / span.duration,
    }


def _stress(span: Stretch, distances: Mapping[str, float | None], seconds: float) -> StressWindow:
    cues = tuple(Score(name, value) for name in STRESS_WEIGHTS if (value := distances.get(name)) is not None)
    start, end = round(span.start, 3), round(span.end, 3)
    if distances.get("f0") is None or len(cues) < _FEWEST_MEASURES:
        return StressWindow(start, end, UNKNOWN, None, 0.0, cues)
    total = sum(STRESS_WEIGHTS[cue.name] * min(_LARGEST, max(-_LARGEST, cue.value)) for cue in cues)
    index = 0.5 + _INDEX_PER_DEVIATION * total / sum(STRESS_WEIGHTS[cue.name] for cue in cues)
    label = StressLabel.RAISED if index >= RAISED else StressLabel.USUAL
    return StressWindow(start, end, label, round(index, 3), _confidence(seconds), cues)


def _direction(distances: Mapping[str, float | None]) -> Direction | None:
    """Raised or lowered where enough moves that way and nothing the other way; None for as usual."""
    values = {name: distances[name] for name in SHIFT_MEASURES if distances.get(name) is not None}
    up = {name for name, value in values.items() if value is not None and value >= SHIFT}
    down = {name for name, value in values.items() if value is not None and value <= -SHIFT}
    for moved, other, direction in ((up, down, Direction.RAISED), (down, up, Direction.LOWERED)):
        if len(moved) >= _TOGETHER and moved & {"f0", "level"} and not other:
            return direction
    return None


def _shift(span: Stretch, direction: Direction, distances: Mapping[str, float | None], seconds: float) -> ToneShift:
    cues = tuple(Score(name, value) for name in SHIFT_MEASURES if (value := distances.get(name)) is not None)
    return ToneShift(round(span.start, 3), round(span.end, 3), direction, _confidence(seconds), cues)


def _confidence(seconds: float) -> float:
    return round(MOST_CONFIDENCE * min(1.0, 0.5 + 0.5 * (seconds - SHORTEST) / (_LONG_BASELINE - SHORTEST)), 3)


def _summary(found: Sequence[StressWindow], shifts: Sequence[ToneShift]) -> StateSummary:
    known = [(window.index, window.end - window.start) for window in found if window.index is not None]
    seconds = sum(weight for _, weight in known)
    labels = [window.label for window in found]
    return StateSummary(
        stress_windows=len(found),
        stress_unknown=labels.count(UNKNOWN),
        stress_usual=labels.count(StressLabel.USUAL),
        stress_raised=labels.count(StressLabel.RAISED),
        stress_index_mean=round(sum(value * weight for value, weight in known) / seconds, 3) if seconds else None,
        tone_shifts=len(shifts),
        baseline_needed_seconds=SHORTEST,
    )
