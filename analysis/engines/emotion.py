"""Emotion as a voice expresses it: what such an engine answers, which windows it looks at, and the default engine.

Expressed, never felt: an answer is about how speech sounds, and "unknown" is one of the answers. The default needs no
weights and estimates arousal alone, by `arousal`; categories by a trained model are in `emotion_transformers`. Valence is
None here: no acoustic correlate of it is documented well enough.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil
from typing import Protocol

from analysis.engines import arousal, own_code
from analysis.engines.clip import Checkpoint, Clip, ModelIdentity, Stretch
from analysis.engines.levels import within
from analysis.engines.pitch import Track, track

UNKNOWN = "unknown"
"""The label of a window about which an engine says nothing."""

MODULES = ("arousal.py", "emotion.py", "levels.py", "pitch.py")
"""Every source that decides what `AcousticArousal` says."""

LONGEST_WINDOW = 6.0
"""Seconds."""
SHORTEST_WINDOW = 1.0
"""Seconds. Shorter windows are unknown to every engine."""
LEAST_CONFIDENCE = 0.15
"""Below it the default engine abstains: less than a second of voice, with little other speech to compare it with."""
_JOINED_GAP = 0.6
"""Seconds of silence across which stretches of speech share a window."""
_TRACK_SHARE = 0.9
"""How much of the work F0 is, for the fraction that the checkpoint is told."""


class ArousalLabel(StrEnum):
    """Labels of the default engine."""

    HIGH = "high arousal"
    MEDIUM = "medium arousal"
    LOW = "low arousal"


@dataclass(frozen=True, slots=True)
class Score:
    """What an engine's answer rests on: the probability of a label, or what one acoustic cue contributed."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class ExpressedWindow:
    """`start` to `end` in seconds. `arousal`, `valence` and `confidence` lie between 0.0 and 1.0.

    `label` is one of the engine's labels or "unknown"; what is unknown has neither arousal nor valence and confidence
    0.0. Confidence is what the engine says of itself and is calibrated only where its model says so.
    """

    start: float
    end: float
    label: str
    arousal: float | None
    valence: float | None
    confidence: float
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class LabelShare:
    """How many windows, and how many seconds of them, carry a label."""

    label: str
    windows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ExpressionSummary:
    """The clip as a whole; "unknown" is counted among the labels. Means weigh windows by their length."""

    windows: int
    unknown: int
    known_seconds: float
    unknown_seconds: float
    labels: tuple[LabelShare, ...]
    arousal_mean: float | None
    valence_mean: float | None


@dataclass(frozen=True, slots=True)
class ExpressedEmotion:
    """Windows in order of start, without overlap."""

    windows: tuple[ExpressedWindow, ...]
    summary: ExpressionSummary
    model: ModelIdentity


class EmotionEngine(Protocol):
    """What every engine of expressed emotion does. It looks at `speech` alone and may answer "unknown" for all of it.

    `hertz` is F0 of the whole clip every 10 ms, where somebody has it already; engines that need none ignore it.
    """

    def run(
        self, clip: Clip, speech: Sequence[Stretch], checkpoint: Checkpoint, *, hertz: Track | None = None
    ) -> ExpressedEmotion: ...


def windows(clip: Clip, speech: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """Windows of at most `LONGEST_WINDOW` over the speech: close stretches together, long ones in equal parts."""
    joined: list[Stretch] = []
    for stretch in within(clip, speech):
        before = joined[-1] if joined else None
        if (
            before is not None
            and stretch.start - before.end <= _JOINED_GAP
            and stretch.end - before.start <= LONGEST_WINDOW
        ):
            joined[-1] = Stretch(before.start, stretch.end)
        else:
            joined.append(stretch)
    return tuple(part for stretch in joined for part in _parts(stretch))


def unknown_window(window: Stretch, scores: Iterable[Score] = ()) -> ExpressedWindow:
    """A window about which nothing is said."""
    return ExpressedWindow(round(window.start, 3), round(window.end, 3), UNKNOWN, None, None, 0.0, tuple(scores))


def summarize(found: Sequence[ExpressedWindow]) -> ExpressionSummary:
    """Counts and means over windows."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for window in found:
        seconds[window.label].append(window.end - window.start)
    unknown = seconds.get(UNKNOWN, [])
    return ExpressionSummary(
        windows=len(found),
        unknown=len(unknown),
        known_seconds=round(sum(map(sum, seconds.values())) - sum(unknown), 3),
        unknown_seconds=round(sum(unknown), 3),
        labels=tuple(LabelShare(label, len(each), round(sum(each), 3)) for label, each in sorted(seconds.items())),
        arousal_mean=_mean((window.arousal, window) for window in found),
        valence_mean=_mean((window.valence, window) for window in found),
    )


def without_valence(found: ExpressedEmotion) -> ExpressedEmotion:
    """The same answer with nothing said about valence, for where words are not permitted.

    Models that judge valence by ear were found to do so by the words that they recognize on the way (Wagner et al. 2023).
    """
    kept = tuple(
        replace(window, valence=None, scores=tuple(score for score in window.scores if score.name.lower() != "valence"))
        for window in found.windows
    )
    return replace(found, windows=kept, summary=summarize(kept))


@dataclass(frozen=True, slots=True)
class ValenceWindow:
    """Valence of one window, 0.0 to 1.0; None, and the label "unknown", where the engine says nothing."""

    start: float
    end: float
    label: str
    valence: float | None
    confidence: float


@dataclass(frozen=True, slots=True)
class ExpressedValence:
    """The valence of an answer by itself, which rests on the permission to hear words as well."""

    windows: tuple[ValenceWindow, ...]
    model: ModelIdentity


def valence_of(found: ExpressedEmotion) -> ExpressedValence | None:
    """None for an engine that says nothing about valence."""
    if all(window.valence is None for window in found.windows):
        return None
    kept = (
        ValenceWindow(
            window.start,
            window.end,
            UNKNOWN if window.valence is None else "valence",
            window.valence,
            window.confidence,
        )
        for window in found.windows
    )
    return ExpressedValence(tuple(kept), found.model)


class AcousticArousal:
    """The default engine: arousal from level, pitch, liveliness, rate and brightness of the voice. Not validated.

    A window with less confidence than `threshold` (0.0 to 1.0) is unknown; its cues are given all the same. It holds
    nothing else; one may serve many clips side by side.
    """

    def __init__(self, *, threshold: float = LEAST_CONFIDENCE) -> None:
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"threshold is 0.0 to 1.0, not {threshold}")
        self._threshold = threshold
        self._identity = own_code.identity("acoustic-arousal", "2", MODULES).ran_with(threshold=threshold)

    def run(
        self, clip: Clip, speech: Sequence[Stretch], checkpoint: Checkpoint, *, hertz: Track | None = None
    ) -> ExpressedEmotion:
        """Arousal per window; unknown where less than 0.5 s of it is voiced, or confidence is below the threshold.

        At most 20 s of audio are worked on between two calls of `checkpoint`.
        """
        spans = windows(clip, speech)
        if hertz is None and spans:
            hertz = track(clip.samples, lambda fraction: checkpoint(_TRACK_SHARE * fraction))
        measured: list[arousal.Cues | None] = []
        for index, span in enumerate(spans):
            long_enough = span.duration >= SHORTEST_WINDOW and hertz is not None
            measured.append(arousal.measure(clip, span, hertz) if long_enough and hertz is not None else None)
            checkpoint(_TRACK_SHARE + (1 - _TRACK_SHARE) * (index + 1) / len(spans))
        checkpoint(1.0)
        every = [cues for cues in measured if cues is not None]
        found = tuple(
            unknown_window(span) if cues is None else _window(span, arousal.estimate(cues, every), self._threshold)
            for span, cues in zip(spans, measured, strict=True)
        )
        return ExpressedEmotion(found, summarize(found), self._identity)


def _window(span: Stretch, estimate: arousal.Estimate, threshold: float) -> ExpressedWindow:
    cues = tuple(Score(name, value) for name, value in estimate.cues)
    if estimate.confidence < threshold:
        return unknown_window(span, cues)
    if estimate.arousal >= arousal.HIGH:
        label = ArousalLabel.HIGH
    elif estimate.arousal <= arousal.LOW:
        label = ArousalLabel.LOW
    else:
        label = ArousalLabel.MEDIUM
    return ExpressedWindow(
        start=round(span.start, 3),
        end=round(span.end, 3),
        label=label.value,
        arousal=estimate.arousal,
        valence=None,
        confidence=estimate.confidence,
        scores=cues,
    )


def _parts(stretch: Stretch) -> list[Stretch]:
    count = max(1, ceil(stretch.duration / LONGEST_WINDOW))
    step = stretch.duration / count
    return [Stretch(stretch.start + index * step, stretch.start + (index + 1) * step) for index in range(count)]


def _mean(values: Iterable[tuple[float | None, ExpressedWindow]]) -> float | None:
    known = [(value, window.end - window.start) for value, window in values if value is not None]
    total = sum(weight for _, weight in known)
    return round(sum(value * weight for value, weight in known) / total, 3) if total else None
