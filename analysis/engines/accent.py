"""The accent that a model perceives in a voice: one estimate per clip, by an audio classifier of the `transformers` library.

An accent as a model perceives it is no statement about where somebody comes from: that is said with every answer. The
estimate rests on windows of speech; it is "unknown" where there is too little speech, where several people may be heard, or
where no accent is probable enough. Which windows of speech is decided as for emotion (`emotion.windows`). No model ships.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from analysis.engines.audio_classifier import (
    AudioClassifier,
    AudioClassifierUnloadable,
    Device,
    batches,
    piece,
    require_in_range,
)
from analysis.engines.clip import Checkpoint, Clip, ModelIdentity, Stretch
from analysis.engines.emotion import SHORTEST_WINDOW, UNKNOWN, Score, windows
from analysis.engines.manifest import ManifestInvalid, ModelEntry

ENGINE = "transformers-accent"
"""The value of `engine` in the manifest."""
MEANING = "accent as perceived by the model, not origin"
LEAST_SPEECH = 5.0
"""Seconds of speech, without which the accent is unknown."""
THRESHOLD = 0.6
"""Probability below which the accent is unknown, where the manifest entry names no other."""


class AccentModelUnloadable(Exception):
    """The directory holds no accent classifier that is loaded here; the message says why."""

    code: ClassVar[str] = "accent_model_unloadable"


@dataclass(frozen=True, slots=True)
class AccentWindow:
    """A part of the voice that was heard, in seconds, and the probability of each accent in it."""

    start: float
    end: float
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class AccentSummary:
    """The one estimate. `label` is one of the model's or "unknown", whose confidence is 0.0.

    `scores` are the probabilities of all accents over the windows, weighed by their length; they sum to 1.0 unless there is no
    window. `seconds` is the speech that they rest on.
    """

    label: str
    confidence: float
    scores: tuple[Score, ...]
    seconds: float
    meaning: str


@dataclass(frozen=True, slots=True)
class PerceivedAccent:
    """The estimate and its windows in order of start. `model.validated` is always false."""

    summary: AccentSummary
    windows: tuple[AccentWindow, ...]
    model: ModelIdentity


class TransformersAccent:
    """The engine on one loaded model. One may serve many clips, one after another."""

    def __init__(
        self, classifier: AudioClassifier, identity: ModelIdentity, *, threshold: float, temperature: float
    ) -> None:
        self._classifier = classifier
        # Whatever was measured elsewhere: how people of this installation are heard was not.
        ran = identity.ran_with(threshold=threshold, temperature=temperature, device=classifier.device)
        self._identity = replace(ran, validated=False)
        self._threshold = threshold
        self._temperature = temperature

    @classmethod
    def load(
        cls,
        directory: Path,
        identity: ModelIdentity,
        *,
        threshold: float = THRESHOLD,
        temperature: float = 1.0,
        device: Device = "auto",
    ) -> "TransformersAccent":
        """Loads `config.json`, `preprocessor_config.json` and the safetensors in `directory`.

        `threshold` is 0.0 to 1.0; `temperature` (above 0.0) is what `calibration` found on labelled speech.

        Raises:
            AccentModelUnloadable: the model cannot be loaded as strictly as `audio_classifier` asks, or gives more than one
                label at a time.
            ValueError: `threshold` or `temperature` is out of range.
        """
        require_in_range(threshold=threshold, temperature=temperature)
        try:
            classifier = AudioClassifier.load_exclusive(directory, device=device)
        except AudioClassifierUnloadable as problem:
            raise AccentModelUnloadable(str(problem)) from problem
        return cls(classifier, identity, threshold=threshold, temperature=temperature)

    def run(self, clip: Clip, speech: Sequence[Stretch], checkpoint: Checkpoint, *, one_voice: bool) -> PerceivedAccent:
        """At most thirty seconds of audio are in a batch between two calls of `checkpoint`.

        `one_voice`: nobody else may be heard in the clip. Where several may, nothing is estimated.
        """
        spans = [span for span in windows(clip, speech) if span.duration >= SHORTEST_WINDOW] if one_voice else []
        heard: dict[Stretch, NDArray[np.float32]] = {}
        for batch in batches(spans):
            probabilities = self._classifier.probabilities(
                [piece(clip, span) for span in batch], temperature=self._temperature
            )
            heard |= dict(zip(batch, probabilities, strict=True))
            checkpoint(len(heard) / len(spans))
        checkpoint(1.0)
        kept = {span: heard[span] for span in spans if np.isfinite(heard[span]).all()}
        found = tuple(
            AccentWindow(round(span.start, 3), round(span.end, 3), self._scores(each)) for span, each in kept.items()
        )
        return PerceivedAccent(self._summary(kept), found, self._identity)

    def _summary(self, heard: dict[Stretch, NDArray[np.float32]]) -> AccentSummary:
        lengths = [span.duration for span in heard]
        seconds = round(sum(lengths), 3)
        if not heard:
            return AccentSummary(UNKNOWN, 0.0, (), seconds, MEANING)
        scores = self._scores(np.average(np.stack(list(heard.values())), axis=0, weights=lengths))
        best = max(scores, key=lambda score: score.value)
        if seconds < LEAST_SPEECH or best.value < self._threshold:
            return AccentSummary(UNKNOWN, 0.0, scores, seconds, MEANING)
        return AccentSummary(best.name, best.value, scores, seconds, MEANING)

    def _scores(self, probabilities: NDArray[np.float32]) -> tuple[Score, ...]:
        pairs = zip(self._classifier.labels, probabilities.tolist(), strict=True)
        return tuple(Score(label, round(value, 4)) for label, value in pairs)


def load(entry: ModelEntry, models_dir: Path, *, allowed: frozenset[str] = frozenset()) -> TransformersAccent:
    """The engine of a manifest entry, its weights checked first; it takes the parameters `threshold` and `temperature`.

    `allowed` names the models whose restricted licence was accepted.

    Raises:
        ManifestInvalid: the entry is for another kind of engine, or has another parameter or one out of range.
        ModelProblem: its files are missing, not the ones named, or not licensed for this.
        AccentModelUnloadable: its files hold no such model.
    """
    if entry.engine != ENGINE:
        raise ManifestInvalid(f"{entry.name} is run by {entry.engine}, which is no engine of accents.")
    chosen = dict(entry.parameters)
    threshold, temperature = chosen.pop("threshold", THRESHOLD), chosen.pop("temperature", 1.0)
    if chosen:
        raise ManifestInvalid(f"{entry.name}: {min(chosen)!r} is no parameter of this engine.")
    directory = entry.verified(models_dir, allowed=allowed)
    try:
        return TransformersAccent.load(directory, entry.identity(), threshold=threshold, temperature=temperature)
    except ValueError as problem:
        raise ManifestInvalid(f"{entry.name}: {problem}.") from problem
