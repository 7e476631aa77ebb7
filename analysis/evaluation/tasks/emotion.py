"""How well an engine of expressed emotion agrees with what listeners heard. An item's truth is `{"emotion": LABEL}`,
`{"arousal": 0.7, "dominance": 0.5, "valence": 0.3}` (0.0 to 1.0 each), or both; labels are the engine's own.

Clips go through the same decoding, voice activity and engine as recordings do. A clip's answer is the label that most seconds of
its windows carry, and the mean of each dimension, weighed by length; a clip of which all windows are unknown is an abstention.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analysis.engines import emotion_choice
from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import no_checkpoint
from analysis.engines.emotion import UNKNOWN, EmotionEngine, ExpressedWindow
from analysis.evaluation.agreement import concordance, macro_f1
from analysis.evaluation.corpus import Corpus, CorpusInvalid, Item
from analysis.evaluation.hearing import hear
from analysis.evaluation.report import Kind, Measure, Outcome
from analysis.evaluation.task import Progress, Setup

DIMENSIONS: Final = ("arousal", "dominance", "valence")
MEASURES: Final[Mapping[str, Measure]] = {
    "macro F1": Measure(
        Kind.AGREEMENT, "Mean over the labels of their F1; an abstention is a miss", statistic=macro_f1
    ),
    "coverage": Measure(Kind.SHARE, "Clips with a true label that were given one"),
    "accuracy where answered": Measure(Kind.SHARE, "Clips that were given a label and were given the true one"),
    **{
        f"{name} concordance": Measure(
            Kind.AGREEMENT, f"Lin's coefficient of {name}, over the clips with an answer", statistic=concordance
        )
        for name in DIMENSIONS
    },
    **{f"{name} coverage": Measure(Kind.SHARE, f"Clips with a true {name} that were given one") for name in DIMENSIONS},
}


def make(setup: Setup) -> "EmotionTask":
    entry = setup.manifest().model(setup.emotion_model)
    engine = emotion_choice.load(entry, setup.models, allowed=setup.allowed)
    parameters = ", ".join(f"{name} {value:g}" for name, value in sorted(entry.parameters.items()))
    model = f"{entry.name} {entry.version}, SHA-256 {entry.digest}"
    return EmotionTask(engine, SpeechActivity.load(), {"engine": model, "parameters": parameters})


@dataclass(frozen=True, slots=True)
class EmotionTask:
    _engine: EmotionEngine
    _activity: SpeechActivity
    _about: Mapping[str, str]

    @property
    def measures(self) -> Mapping[str, Measure]:
        return MEASURES

    def about(self) -> Mapping[str, str]:
        return self._about

    def outcomes(self, corpus: Corpus, progress: Progress) -> Iterator[Outcome]:
        judged = [(item, item.audio) for item in corpus.items if item.audio is not None and _truth(item)]
        if not judged:
            raise CorpusInvalid(
                "no item of this corpus has `audio` and an `emotion` or a dimension: it is none for emotion"
            )
        true = {str(item.truth["emotion"]).casefold() for item, _ in judged if "emotion" in item.truth}
        said = set()
        for number, (item, audio) in enumerate(judged, start=1):
            windows = self._heard(audio)
            label = _label(windows)
            if label is not None:
                said.add(label)
            if "emotion" in item.truth:
                yield from _category(item, label)
            for name in DIMENSIONS:
                if name in item.truth:
                    yield from _dimension(item, name, _mean(windows, name))
            progress(number / len(judged))
        if true and said and not true & said:
            # Two vocabularies: a macro F1 of 0.0 would say something of the engine that was not asked.
            raise CorpusInvalid(
                f"the engine says {', '.join(sorted(said))} and the corpus {', '.join(sorted(true))}: no label is the same"
            )

    def _heard(self, audio: Path) -> list[ExpressedWindow]:
        """The windows of all channels."""
        found: list[ExpressedWindow] = []
        for clip in hear(audio).clips:
            speech = self._activity.run(clip, no_checkpoint)
            found += self._engine.run(clip, speech, no_checkpoint).windows
        return found


def _truth(item: Item) -> bool:
    """Whether the item has one for this task. Raises `CorpusInvalid` for a dimension that is no number from 0.0 to 1.0."""
    for name in DIMENSIONS:
        value = item.truth.get(name, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
            raise CorpusInvalid(f"{item.id}: {name} is a number from 0.0 to 1.0")
    return not {"emotion", *DIMENSIONS}.isdisjoint(item.truth)


def _category(item: Item, label: str | None) -> Iterator[Outcome]:
    true, abstained = str(item.truth["emotion"]).casefold(), label is None
    groups = {**item.groups, "emotion": true}
    yield Outcome(item.id, "macro F1", float(not abstained), 1.0, item.groups, abstained, (true, label))
    yield Outcome(item.id, "coverage", float(not abstained), 1.0, groups, abstained)
    if not abstained:
        yield Outcome(item.id, "accuracy where answered", float(label == true), 1.0, groups)


def _dimension(item: Item, name: str, value: float | None) -> Iterator[Outcome]:
    abstained = value is None
    pair = (float(item.truth[name]), value)
    yield Outcome(item.id, f"{name} concordance", float(not abstained), 1.0, item.groups, abstained, pair)
    yield Outcome(item.id, f"{name} coverage", float(not abstained), 1.0, item.groups, abstained)


def _label(windows: Sequence[ExpressedWindow]) -> str | None:
    """That of most seconds; of two with as many, the first in the alphabet."""
    seconds: dict[str, float] = defaultdict(float)
    for window in windows:
        if window.label != UNKNOWN:
            seconds[window.label.casefold()] += window.end - window.start
    return min(seconds, key=lambda label: (-seconds[label], label), default=None)


def _mean(windows: Sequence[ExpressedWindow], name: str) -> float | None:
    known = [(value, window.end - window.start) for window in windows if (value := _value(window, name)) is not None]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None


def _value(window: ExpressedWindow, name: str) -> float | None:
    """Dominance is among the scores alone."""
    if window.label == UNKNOWN:
        return None
    if name == "arousal":
        return window.arousal
    if name == "valence":
        return window.valence
    return next((score.value for score in window.scores if score.name == name), None)
