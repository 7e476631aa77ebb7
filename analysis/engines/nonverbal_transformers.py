"""Nonverbal sounds by any audio-classification model of the `transformers` library, such as an Audio Spectrogram Transformer.

Its labels are matched to our sounds by name (`sounds.RULES`); what has no name there is not reported. Its scores are its own:
thresholds chosen for YAMNet say nothing about them, so they are parameters of the manifest entry. Loading is
`audio_classifier`'s, and as strict as it says there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from analysis.engines.audio_classifier import AudioClassifier, AudioClassifierUnloadable, Device
from analysis.engines.clip import SAMPLE_RATE, Checkpoint, Clip, ModelIdentity
from analysis.engines.sound_events import Grid, events, levels, stretches
from analysis.engines.sounds import RULES, SURROUNDINGS, NonverbalEvents, Sound, Surrounding, columns

_BATCH_SECONDS = 30.0
"""Seconds of windows per batch, between two calls of the checkpoint."""
_SHORTEST_CONTEXT = 2.0
"""Seconds."""
PARAMETERS: Final = frozenset({"window", "hop", "threshold", "exclusive", *Sound, *Surrounding})
"""What a manifest entry may set."""


class NonverbalModelUnloadable(Exception):
    """The directory holds no model of nonverbal sounds that is loaded here; the message says why."""

    code: ClassVar[str] = "nonverbal_model_unloadable"


@dataclass(frozen=True, slots=True)
class Looking:
    """How a model listens. A window of `window` seconds begins every `hop` seconds; a score above the sound's own threshold,
    or `threshold` where it has none, is heard. `exclusive`: the model's labels exclude each other, where its own configuration
    does not say."""

    window: float = 2.0
    hop: float = 0.5
    threshold: float = 0.3
    exclusive: bool = False
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0.1 <= self.hop <= self.window <= _BATCH_SECONDS:
            raise ValueError(f"hop and window are 0.1 to {_BATCH_SECONDS:g} s, hop the shorter")
        for name, value in {"threshold": self.threshold, **self.thresholds}.items():
            if not 0.0 < value < 1.0:
                raise ValueError(f"{name} is between 0.0 and 1.0, not {value}")

    @classmethod
    def of(cls, parameters: Mapping[str, float]) -> "Looking":
        """From a manifest entry. Raises `ValueError` for a parameter that is not known or out of range."""
        if unknown := sorted(set(parameters) - PARAMETERS):
            raise ValueError(f"{unknown[0]!r} is no parameter of this engine")
        own = {name: value for name, value in parameters.items() if name in {"window", "hop", "threshold"}}
        thresholds = {name: value for name, value in parameters.items() if name in {*Sound, *Surrounding}}
        return cls(**own, exclusive=bool(parameters.get("exclusive", 0.0)), thresholds=thresholds)

    def as_parameters(self) -> dict[str, float | bool]:
        """As a result names them."""
        own = {name: getattr(self, name) for name in ("window", "hop", "threshold", "exclusive")}
        return {**own, **{f"threshold {name}": value for name, value in self.thresholds.items()}}

    def of_sound(self, name: str) -> float:
        return self.thresholds.get(name, self.threshold)


class TransformersSounds:
    """The engine on one loaded model. One may serve many clips, one after another."""

    def __init__(self, classifier: AudioClassifier, identity: ModelIdentity, looking: Looking) -> None:
        self._classifier = classifier
        self._identity = identity.ran_with(**looking.as_parameters(), device=classifier.device)
        self._looking = looking
        exclusive = classifier.exclusive
        self._exclusive = looking.exclusive if exclusive is None else exclusive
        named = {rule.sound: columns((*rule.classes, *rule.others, rule.sound), classifier.labels) for rule in RULES}
        around = {name: columns((*each, name), classifier.labels) for name, each in SURROUNDINGS.items()}
        self._columns: dict[Sound, list[int]] = {name: each for name, each in named.items() if each}
        self._surroundings: dict[Surrounding, list[int]] = {name: each for name, each in around.items() if each}

    @classmethod
    def load(
        cls, directory: Path, identity: ModelIdentity, looking: Looking | None = None, *, device: Device = "auto"
    ) -> "TransformersSounds":
        """Loads `config.json`, `preprocessor_config.json` and the safetensors in `directory`.

        Raises:
            NonverbalModelUnloadable: the model cannot be loaded as strictly as `audio_classifier` asks, none of its labels is
                a sound that is reported, or it would cut away part of a window.
        """
        looking = looking or Looking()
        try:
            classifier = AudioClassifier.load(directory, device=device)
        except AudioClassifierUnloadable as problem:
            raise NonverbalModelUnloadable(str(problem)) from problem
        if classifier.longest is not None and looking.window > classifier.longest:
            raise NonverbalModelUnloadable(
                f"{directory.name} hears {classifier.longest:g} s at a time, less than a window of {looking.window:g} s"
            )
        engine = cls(classifier, identity, looking)
        if not engine.sounds:
            raise NonverbalModelUnloadable(f"{directory.name} has no label that is a sound reported here")
        return engine

    @property
    def sounds(self) -> frozenset[Sound]:
        """The sounds that this model has labels for."""
        return frozenset(self._columns)

    def run(self, clip: Clip, checkpoint: Checkpoint) -> NonverbalEvents:
        """The sounds in `clip`; at most thirty seconds of audio are in a batch between two calls of `checkpoint`."""
        if not len(clip.samples):
            checkpoint(1.0)
            return NonverbalEvents((), (), self._identity)
        looking = self._looking
        # Half a window of silence before and behind, so that sounds at the edges are seen whole.
        margin = round(looking.window / 2 * SAMPLE_RATE)
        padded = np.pad(clip.samples, (margin, margin + round(looking.window * SAMPLE_RATE)))
        scores = np.concatenate(list(self._scores(padded, checkpoint)))
        grid = Grid(looking.hop, looking.window, margin / SAMPLE_RATE)
        return NonverbalEvents(
            events(
                {sound: scores[:, each].max(axis=1) for sound, each in self._columns.items()},
                {sound: looking.of_sound(sound) for sound in self._columns},
                levels(padded),
                grid,
                clip.duration,
            ),
            stretches(
                {name: scores[:, each].max(axis=1) for name, each in self._surroundings.items()},
                {name: looking.of_sound(name) for name in self._surroundings},
                grid,
                clip.duration,
                _SHORTEST_CONTEXT,
            ),
            self._identity,
        )

    def _scores(self, padded: NDArray[np.float32], checkpoint: Checkpoint) -> Iterator[NDArray[np.float32]]:
        """Scores of all labels, (windows, labels) per batch."""
        length, hop = round(self._looking.window * SAMPLE_RATE), self._looking.hop * SAMPLE_RATE
        starts = [round(index * hop) for index in range(ceil((len(padded) - length + 1) / hop))]
        size = max(1, int(_BATCH_SECONDS / self._looking.window))
        for first in range(0, len(starts), size):
            logits = self._classifier.logits([padded[at : at + length] for at in starts[first : first + size]])
            scores = logits.softmax(dim=-1) if self._exclusive else logits.sigmoid()
            # A score that is no number is no sound.
            yield scores.nan_to_num(nan=0.0).numpy()
            checkpoint(min(1.0, (first + size) / len(starts)))
