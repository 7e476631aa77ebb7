"""Expressed emotion in categories, by any audio-classification model of the `transformers` library in a local directory.

Loading is strict: safetensors only, no code from the model's directory, no network, no weight that the file does not
hold. Windows and answers are those of `emotion`; a window whose best label is not probable enough is unknown.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from analysis.engines.clip import SAMPLE_RATE, Checkpoint, Clip, ModelIdentity, Samples, Stretch
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

Device = Literal["auto", "cpu", "cuda"]

_BATCH_SECONDS = 30.0
"""Audio per batch, between two calls of the checkpoint."""
_REMOTE_CODE = "auto_map"
"""The key by which a configuration asks for code of its own."""


class EmotionModelUnloadable(Exception):
    """The directory holds no audio classifier that is loaded here; the message says why."""

    code: ClassVar[str] = "emotion_model_unloadable"


class TransformersEmotion:
    """The engine on one loaded model. One may serve many clips, one after another."""

    def __init__(
        self,
        model: Any,
        extractor: Any,
        identity: ModelIdentity,
        *,
        threshold: float,
        temperature: float,
        device: torch.device,
    ) -> None:
        self._model = model
        self._extractor = extractor
        self._identity = identity.ran_with(threshold=threshold, temperature=temperature, device=device.type)
        self._threshold = threshold
        self._temperature = temperature
        self._device = device
        self._labels = [model.config.id2label[index] for index in range(model.config.num_labels)]

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
            EmotionModelUnloadable: files are missing or damaged, weights are pickled or incomplete, the model wants code
                of its own, another sampling rate or more than one label at a time, or its labels have no names.
            ValueError: `threshold` or `temperature` is out of range.
        """
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"threshold is 0.0 to 1.0, not {threshold}")
        if not temperature > 0.0:
            raise ValueError(f"temperature is above 0.0, not {temperature}")
        _require_no_remote_code(directory)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        # Imported late: transformers takes seconds, and most workers never need it.
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification  # noqa: PLC0415

        strict = {"local_files_only": True, "trust_remote_code": False}
        try:
            extractor = AutoFeatureExtractor.from_pretrained(directory, **strict)  # type: ignore[no-untyped-call]  # it has no types
            model, loading = AutoModelForAudioClassification.from_pretrained(
                directory, **strict, use_safetensors=True, output_loading_info=True, dtype=torch.float32
            )
        except Exception as problem:  # whatever a damaged or foreign directory makes the library raise
            raise EmotionModelUnloadable(f"{directory.name} cannot be loaded: {problem}") from problem
        if loading["missing_keys"] or loading["mismatched_keys"]:
            raise EmotionModelUnloadable(f"{directory.name} lacks weights: {_first(loading['missing_keys'])}")
        _require_usable(directory.name, model.config, extractor)
        chosen = torch.device(device)
        return cls(
            model.to(chosen).eval(),
            extractor,
            identity,
            threshold=threshold,
            temperature=temperature,
            device=chosen,
        )

    def run(
        self, clip: Clip, speech: Sequence[Stretch], checkpoint: Checkpoint, *, hertz: Track | None = None
    ) -> ExpressedEmotion:
        """A label per window; at most thirty seconds of audio are in a batch between two calls of `checkpoint`.

        `hertz` is not needed.
        """
        spans = windows(clip, speech)
        found: dict[Stretch, ExpressedWindow] = {}
        for batch in _batches(span for span in spans if span.duration >= SHORTEST_WINDOW):
            found |= dict(zip(batch, self._classify(clip, batch), strict=True))
            checkpoint(len(found) / len(spans))
        checkpoint(1.0)
        answers = tuple(found.get(span) or unknown_window(span) for span in spans)
        return ExpressedEmotion(answers, summarize(answers), self._identity)

    @torch.inference_mode()
    def _classify(self, clip: Clip, batch: Sequence[Stretch]) -> Iterator[ExpressedWindow]:
        sound = [_samples(clip, span) for span in batch]
        inputs = self._extractor(sound, sampling_rate=SAMPLE_RATE, return_tensors="pt", padding=True).to(self._device)
        probabilities = torch.softmax(self._model(**inputs).logits.float() / self._temperature, dim=-1).cpu().tolist()
        return (self._window(span, row) for span, row in zip(batch, probabilities, strict=True))

    def _window(self, span: Stretch, probabilities: Sequence[float]) -> ExpressedWindow:
        if not all(map(isfinite, probabilities)):
            return unknown_window(span)
        scores = tuple(Score(label, round(value, 4)) for label, value in zip(self._labels, probabilities, strict=True))
        best = max(scores, key=lambda score: score.value)
        if best.value < self._threshold:
            return unknown_window(span, scores)
        return ExpressedWindow(round(span.start, 3), round(span.end, 3), best.name, None, None, best.value, scores)


def _require_no_remote_code(directory: Path) -> None:
    """`trust_remote_code=False` alone is not enough: a known architecture would load without the head it asks for."""
    for name in ("config.json", "preprocessor_config.json"):
        try:
            configuration = json.loads((directory / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise EmotionModelUnloadable(f"{name} of {directory.name} cannot be read: {problem}") from problem
        if not isinstance(configuration, dict) or _REMOTE_CODE in configuration:
            raise EmotionModelUnloadable(f"{directory.name} wants to run code of its own, which is never done")


def _require_usable(name: str, config: Any, extractor: Any) -> None:
    if extractor.sampling_rate != SAMPLE_RATE:
        raise EmotionModelUnloadable(f"{name} wants {extractor.sampling_rate} Hz, not {SAMPLE_RATE}")
    if config.problem_type not in (None, "single_label_classification"):
        raise EmotionModelUnloadable(f"{name} is no classifier of one label at a time ({config.problem_type})")
    unnamed = [label for label in config.id2label.values() if str(label).startswith("LABEL_")]
    if unnamed or len(config.id2label) != config.num_labels:
        raise EmotionModelUnloadable(f"{name} does not name its labels")


def _first(names: Any) -> str:
    return ", ".join(sorted(map(str, names))[:3])


def _length(span: Stretch) -> int:
    """Samples of a window: windows of one length go through the model together, so that none is padded."""
    return round(span.duration * SAMPLE_RATE)


def _samples(clip: Clip, span: Stretch) -> Samples:
    """Exactly `_length` samples, shifted by one where rounding would run over the end."""
    first = max(0, min(round(span.start * SAMPLE_RATE), len(clip.samples) - _length(span)))
    return clip.samples[first : first + _length(span)]


def _batches(spans: Iterator[Stretch]) -> Iterator[list[Stretch]]:
    alike: dict[int, list[Stretch]] = defaultdict(list)
    for span in spans:
        alike[_length(span)].append(span)
    for length, group in alike.items():
        size = max(1, int(_BATCH_SECONDS * SAMPLE_RATE / length))
        for first in range(0, len(group), size):
            yield group[first : first + size]
