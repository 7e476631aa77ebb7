"""An audio-classification model of the `transformers` library in a local directory: strict loading, and scores of pieces.

Loading is strict: safetensors only, no code from the model's directory, no network, no weight that the file does not
hold. What the labels mean is for the engines that rest on it: `emotion_transformers`, `nonverbal_transformers`, `accent`.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.engines.clip import SAMPLE_RATE, Clip, Samples, Stretch

Device = Literal["auto", "cpu", "cuda"]

_BATCH_SECONDS = 30.0
"""Audio per batch."""
_REMOTE_CODE = "auto_map"
"""The key by which a configuration asks for code of its own."""
_FRAME_SECONDS = 0.01
"""From one frame to the next in extractors that cut what has more frames than the model takes."""


class AudioClassifierUnloadable(Exception):
    """The directory holds no audio classifier that is loaded here; the message says why."""

    code: ClassVar[str] = "audio_classifier_unloadable"


class AudioClassifier:
    """One loaded model. It may serve many clips, one after another."""

    def __init__(self, model: Any, extractor: Any, device: torch.device) -> None:
        self._model = model
        self._extractor = extractor
        self._device = device
        self.labels = tuple(str(model.config.id2label[index]) for index in range(model.config.num_labels))

    @classmethod
    def load(cls, directory: Path, *, device: Device = "auto") -> "AudioClassifier":
        """Loads `config.json`, `preprocessor_config.json` and the safetensors in `directory`.

        Raises:
            AudioClassifierUnloadable: files are missing or damaged, weights are pickled or incomplete, the model wants code
                of its own or another sampling rate, its labels have no names, or it fails on a second of silence.
        """
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
            raise AudioClassifierUnloadable(f"{directory.name} cannot be loaded: {problem}") from problem
        if loading["missing_keys"] or loading["mismatched_keys"]:
            raise AudioClassifierUnloadable(f"{directory.name} lacks weights: {_first(loading['missing_keys'])}")
        _require_usable(directory.name, model.config, extractor)
        chosen = torch.device(device)
        loaded = cls(model.to(chosen).eval(), extractor, chosen)
        try:
            loaded.logits([np.zeros(SAMPLE_RATE, np.float32)])
        except Exception as problem:  # as above
            raise AudioClassifierUnloadable(f"{directory.name} does not take a second of sound: {problem}") from problem
        return loaded

    @classmethod
    def load_exclusive(cls, directory: Path, *, device: Device = "auto") -> "AudioClassifier":
        """`load`, of a model that gives one label at a time. Raises `AudioClassifierUnloadable`."""
        loaded = cls.load(directory, device=device)
        if loaded.exclusive is False:
            raise AudioClassifierUnloadable(f"{directory.name} is no classifier of one label at a time")
        return loaded

    @property
    def device(self) -> str:
        """Where it runs: "cpu" or "cuda"."""
        return str(self._device.type)

    @property
    def exclusive(self) -> bool | None:
        """Whether labels exclude each other, as the configuration says; None where it says nothing."""
        kind = self._model.config.problem_type
        return None if kind is None else kind == "single_label_classification"

    @property
    def longest(self) -> float | None:
        """Seconds of a piece of which nothing is cut away; None where pieces may be of any length."""
        frames = getattr(self._extractor, "max_length", None)
        return frames * _FRAME_SECONDS if isinstance(frames, int) else None

    @torch.inference_mode()
    def logits(self, pieces: Sequence[Samples]) -> torch.Tensor:
        """Float32 (pieces, labels) on the CPU, of pieces of one length."""
        inputs = self._extractor(list(pieces), sampling_rate=SAMPLE_RATE, return_tensors="pt", padding=True)
        logits: torch.Tensor = self._model(**inputs.to(self._device)).logits.float().cpu()
        return logits

    def probabilities(self, pieces: Sequence[Samples], *, temperature: float = 1.0) -> NDArray[np.float32]:
        """Of labels that exclude each other: (pieces, labels), each row sums to 1.0 unless the model says no number."""
        answer: NDArray[np.float32] = torch.softmax(self.logits(pieces) / temperature, dim=-1).numpy()
        return answer


def require_in_range(*, threshold: float, temperature: float) -> None:
    """Raises `ValueError` unless `threshold` is 0.0 to 1.0 and `temperature` above 0.0."""
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold is 0.0 to 1.0, not {threshold}")
    if not temperature > 0.0:
        raise ValueError(f"temperature is above 0.0, not {temperature}")


def batches(spans: Iterable[Stretch]) -> Iterator[list[Stretch]]:
    """Spans of one length together, so that none is padded; at most thirty seconds of audio in a batch."""
    alike: dict[int, list[Stretch]] = defaultdict(list)
    for span in spans:
        alike[_length(span)].append(span)
    for length, group in alike.items():
        size = max(1, int(_BATCH_SECONDS * SAMPLE_RATE / length))
        for first in range(0, len(group), size):
            yield group[first : first + size]


def piece(clip: Clip, span: Stretch) -> Samples:
    """As many samples for each span of one length, shifted by one where rounding would run over the end."""
    first = max(0, min(round(span.start * SAMPLE_RATE), len(clip.samples) - _length(span)))
    return clip.samples[first : first + _length(span)]


def _length(span: Stretch) -> int:
    return round(span.duration * SAMPLE_RATE)


def _require_no_remote_code(directory: Path) -> None:
    """`trust_remote_code=False` alone is not enough: a known architecture would load without the head it asks for."""
    for name in ("config.json", "preprocessor_config.json"):
        try:
            configuration = json.loads((directory / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise AudioClassifierUnloadable(f"{name} of {directory.name} cannot be read: {problem}") from problem
        if not isinstance(configuration, dict) or _REMOTE_CODE in configuration:
            raise AudioClassifierUnloadable(f"{directory.name} wants to run code of its own, which is never done")


def _require_usable(name: str, config: Any, extractor: Any) -> None:
    if extractor.sampling_rate != SAMPLE_RATE:
        raise AudioClassifierUnloadable(f"{name} wants {extractor.sampling_rate} Hz, not {SAMPLE_RATE}")
    unnamed = [label for label in config.id2label.values() if str(label).startswith("LABEL_")]
    if unnamed or len(config.id2label) != config.num_labels:
        raise AudioClassifierUnloadable(f"{name} does not name its labels")


def _first(names: Any) -> str:
    return ", ".join(sorted(map(str, names))[:3])
