"""Expressed emotion in categories, by any audio-classification model of the `transformers` library in a local directory.

Loading is `audio_classifier`'s, and as strict as it says there. Windows and answers are those of `emotion`; a window whose
best label is not probable enough is unknown.
"""

from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import ClassVar

from analysis.engines.audio_classifier import (
    AudioClassifier,
    AudioClassifierUnloadable,
    Device,
    batches,
    piece,
    require_in_range,
)
from analysis.engines.clip import Checkpoint, Clip, ModelIdentity, Stretch
from analysis.engines.emotion import (
    SHORTEST_WINDOW,
    ExpressedEmotion,
    ExpressedWindow,
    Score,
    summarize,
    unknown_window,
    windows,
)
from analysis.engines.pitch import Track


class EmotionModelUnloadable(Exception):
    """The directory holds no model of expressed emotion that is loaded here; the message says why."""

    code: ClassVar[str] = "emotion_model_unloadable"


class TransformersEmotion:
    """The engine on one loaded model. One may serve many clips, one after another."""

    def __init__(
        self, classifier: AudioClassifier, identity: ModelIdentity, *, threshold: float, temperature: float
    ) -> None:
        self._classifier = classifier
        self._identity = identity.ran_with(threshold=threshold, temperature=temperature, device=classifier.device)
        self._threshold = threshold
        self._temperature = temperature

    @classmethod
    def load(
        cls,
        directory: Path,
        identity: ModelIdentity,
        *,
        threshold: float = 0.5,
        temperature: float = 1.0,
        device: Device = "auto",
    ) -> "TransformersEmotion":
        """Loads `config.json`, `preprocessor_config.json` and the safetensors in `directory`.

        `threshold` (0.0 to 1.0) is the probability below which a window is unknown; `temperature` (above 0.0) is what
        `calibration` found on labelled speech, and 1.0 where nobody looked.

        Raises:
            EmotionModelUnloadable: the model cannot be loaded as strictly as `audio_classifier` asks, or gives more than
                one label at a time.
            ValueError: `threshold` or `temperature` is out of range.
        """
        require_in_range(threshold=threshold, temperature=temperature)
        try:
            classifier = AudioClassifier.load_exclusive(directory, device=device)
        except AudioClassifierUnloadable as problem:
            raise EmotionModelUnloadable(str(problem)) from problem
        return cls(classifier, identity, threshold=threshold, temperature=temperature)

    def run(
        self, clip: Clip, speech: Sequence[Stretch], checkpoint: Checkpoint, *, hertz: Track | None = None
    ) -> ExpressedEmotion:
        """A label per window; at most thirty seconds of audio are in a batch between two calls of `checkpoint`.

        `hertz` is not needed.
        """
        spans = windows(clip, speech)
        found: dict[Stretch, ExpressedWindow] = {}
        for batch in batches(span for span in spans if span.duration >= SHORTEST_WINDOW):
            found |= dict(zip(batch, self._classify(clip, batch), strict=True))
            checkpoint(len(found) / len(spans))
        checkpoint(1.0)
        answers = tuple(found.get(span) or unknown_window(span) for span in spans)
        return ExpressedEmotion(answers, summarize(answers), self._identity)

    def _classify(self, clip: Clip, batch: Sequence[Stretch]) -> Iterator[ExpressedWindow]:
        sound = [piece(clip, span) for span in batch]
        probabilities = self._classifier.probabilities(sound, temperature=self._temperature).tolist()
        return (self._window(span, row) for span, row in zip(batch, probabilities, strict=True))

    def _window(self, span: Stretch, probabilities: Sequence[float]) -> ExpressedWindow:
        if not all(map(isfinite, probabilities)):
            return unknown_window(span)
        labels = self._classifier.labels
        scores = tuple(Score(label, round(value, 4)) for label, value in zip(labels, probabilities, strict=True))
        best = max(scores, key=lambda score: score.value)
        if best.value < self._threshold:
            return unknown_window(span, scores)
        return ExpressedWindow(round(span.start, 3), round(span.end, 3), best.name, None, None, best.value, scores)
