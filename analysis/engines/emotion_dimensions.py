"""Expressed arousal, dominance and valence as numbers, by regression heads on a `transformers` speech encoder.

The published models of this kind want code of their own from the hub, which is never run: their two heads are written out
here, and the encoder is the library's. `EncoderPooling.MEAN` is that of audEERING's models (Wagner et al. 2023): the mean
over time, a dense layer, tanh, a projection. `EncoderPooling.ATTENTIVE` is that of the Odyssey 2024 baselines (Goncalves et
al. 2024): attentive statistics, layers with normalization, a projection; its encoder's own configuration lies beside it as
`ssl_config.json`. Weights come from safetensors alone and must fit exactly. A regression gives no probability: confidence
is how well the halves of a window agree with each other, which is not calibrated; below the threshold a window is unknown.
"""

import json
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analysis.engines.arousal import HIGH, LOW
from analysis.engines.audio_classifier import Device
from analysis.engines.clip import SAMPLE_RATE, Checkpoint, Clip, ModelIdentity, Stretch
from analysis.engines.emotion import (
    SHORTEST_WINDOW,
    ArousalLabel,
    ExpressedEmotion,
    ExpressedWindow,
    Score,
    summarize,
    unknown_window,
    windows,
)
from analysis.engines.emotion_transformers import EmotionModelUnloadable
from analysis.engines.pitch import Track

WEIGHTS = "model.safetensors"
DIMENSIONS = frozenset({"arousal", "dominance", "valence"})
_HALF = 0.5
"""Difference between the halves of a window, on the scale of 0 to 1, at which nothing of confidence is left."""
_OUTSIDE = 0.25
"""How far beyond 0 to 1 a value may lie before the window is unknown: heads overshoot a little."""
_FEWEST_SAMPLES = 8_000
"""Half a second, the shortest piece that an encoder is given."""
_NEVER_USED = ".masked_spec_embed"
"""A weight that training alone needs; some files lack it."""
_OLD_NORM = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
"""How files from before 2023 name the two parts of a normalized convolution."""


class EncoderPooling(StrEnum):
    MEAN = "mean"
    ATTENTIVE = "attentive"


class _MeanHead(nn.Module):
    """Names are those of the checkpoints."""

    def __init__(self, encoder: nn.Module, hidden: int, outputs: int) -> None:
        super().__init__()
        self.wav2vec2 = encoder
        self.classifier = nn.ModuleDict({"dense": nn.Linear(hidden, hidden), "out_proj": nn.Linear(hidden, outputs)})

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        pooled = self.wav2vec2(sound).last_hidden_state.mean(dim=1)
        answer: torch.Tensor = self.classifier["out_proj"](torch.tanh(self.classifier["dense"](pooled)))
        return answer


class _Pool(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.sap_linear = nn.Linear(hidden, hidden)
        self.attention = nn.Parameter(torch.zeros(hidden, 1))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        weight = torch.softmax(torch.tanh(self.sap_linear(states)) @ self.attention, dim=1)
        mean = (states * weight).sum(dim=1)
        spread = torch.sqrt(((states.square() * weight).sum(dim=1) - mean.square()).clamp(min=1e-5))
        return torch.cat([mean, spread], dim=1)


class _AttentiveHead(nn.Module):
    def __init__(self, encoder: nn.Module, hidden: int, *, layers: int, outputs: int) -> None:
        super().__init__()
        self.ssl_model = encoder
        self.pool_model = _Pool(hidden)
        widths = [2 * hidden, *[hidden] * layers]
        steps = [
            nn.Sequential(nn.Linear(wide, narrow), nn.LayerNorm(narrow), nn.ReLU()) for wide, narrow in pairwise(widths)
        ]
        self.ser_model = nn.ModuleDict({"fc": nn.ModuleList(steps), "out": nn.Sequential(nn.Linear(hidden, outputs))})

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        hidden = self.pool_model(self.ssl_model(sound).last_hidden_state)
        for step in self.ser_model["fc"]:  # type: ignore[attr-defined]  # it is a list of modules
            hidden = step(hidden)
        answer: torch.Tensor = self.ser_model["out"](hidden)
        return answer


class TransformersDimensions:
    """The engine on one loaded model. One may serve many clips, one after another."""

    def __init__(
        self,
        model: nn.Module,
        names: Sequence[str],
        scaling: tuple[float, float] | None,
        identity: ModelIdentity,
        *,
        threshold: float,
        device: torch.device,
    ) -> None:
        self._model = model
        self._names = tuple(names)
        self._scaling = scaling
        self._identity = identity.ran_with(threshold=threshold, device=device.type)
        self._threshold = threshold
        self._device = device

    @classmethod
    def load(
        cls, directory: Path, identity: ModelIdentity, *, threshold: float = 0.5, device: Device = "auto"
    ) -> "TransformersDimensions":
        """Loads `config.json`, `model.safetensors` and, for attentive pooling, `ssl_config.json` in `directory`.

        `threshold` (0.0 to 1.0) is the confidence below which a window is unknown. What the configuration says about code
        of its own is not looked at.

        Raises:
            EmotionModelUnloadable: files are missing or damaged, weights do not fit exactly, or the model is of another kind.
            ValueError: `threshold` is out of range.
        """
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"threshold is 0.0 to 1.0, not {threshold}")
        config = _configuration(directory, "config.json")
        try:
            names = [str(config["id2label"][str(index)]).lower() for index in range(len(config["id2label"]))]
            if "arousal" not in names or not set(names) <= DIMENSIONS:
                raise ValueError(f"its dimensions are {names}")
            model = _built(directory, config, len(names))
            _fill(model, directory / WEIGHTS)
        except EmotionModelUnloadable:
            raise
        except Exception as problem:  # whatever a damaged or foreign directory makes the libraries raise
            raise EmotionModelUnloadable(f"{directory.name} cannot be loaded: {problem}") from problem
        chosen = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        scaling = _scaling(directory, config)
        return cls(model.to(chosen).eval(), names, scaling, identity, threshold=threshold, device=chosen)

    def run(
        self, clip: Clip, speech: Sequence[Stretch], checkpoint: Checkpoint, *, hertz: Track | None = None
    ) -> ExpressedEmotion:
        """Dimensions per window; one window is worked on between two calls of `checkpoint`. `hertz` is not needed."""
        spans = windows(clip, speech)
        found = []
        for index, span in enumerate(spans):
            found.append(self._window(clip, span) if span.duration >= SHORTEST_WINDOW else unknown_window(span))
            checkpoint((index + 1) / len(spans))
        checkpoint(1.0)
        return ExpressedEmotion(tuple(found), summarize(found), self._identity)

    def _window(self, clip: Clip, span: Stretch) -> ExpressedWindow:
        middle = (span.start + span.end) / 2
        whole, *halves = (
            self._answer(clip, Stretch(start, end))
            for start, end in ((span.start, span.end), (span.start, middle), (middle, span.end))
        )
        scores = tuple(Score(name, round(value, 4)) for name, value in zip(self._names, whole, strict=True))
        apart = max(abs(first - second) for first, second in zip(*halves, strict=True))
        confidence = round(max(0.0, 1.0 - apart / _HALF), 3)
        # A value that is no number is in no range either.
        in_range = all(-_OUTSIDE <= value <= 1.0 + _OUTSIDE for value in whole)
        if not in_range or not confidence >= self._threshold:
            return unknown_window(span, scores if in_range else ())
        value = {name: min(1.0, max(0.0, score)) for name, score in zip(self._names, whole, strict=True)}
        arousal = value["arousal"]
        label = ArousalLabel.HIGH if arousal >= HIGH else ArousalLabel.LOW if arousal <= LOW else ArousalLabel.MEDIUM
        return ExpressedWindow(
            start=round(span.start, 3),
            end=round(span.end, 3),
            label=label.value,
            arousal=round(arousal, 3),
            valence=round(value["valence"], 3) if "valence" in value else None,
            confidence=confidence,
            scores=scores,
        )

    @torch.inference_mode()
    def _answer(self, clip: Clip, span: Stretch) -> list[float]:
        sound = torch.from_numpy(clip.cut(span.start, span.end).samples.copy())
        if len(sound) < _FEWEST_SAMPLES:
            sound = nn.functional.pad(sound, (0, _FEWEST_SAMPLES - len(sound)))
        if self._scaling is None:
            sound = (sound - sound.mean()) / torch.sqrt(sound.var(correction=0) + 1e-7)
        else:
            mean, deviation = self._scaling
            sound = (sound - mean) / (deviation + 1e-6)
        answer: list[float] = self._model(sound[None].to(self._device))[0].float().cpu().tolist()
        return answer


def _configuration(directory: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads((directory / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise EmotionModelUnloadable(f"{name} of {directory.name} cannot be read: {problem}") from problem
    if not isinstance(found, dict):
        raise EmotionModelUnloadable(f"{name} of {directory.name} is no configuration")
    return found


def _built(directory: Path, config: dict[str, Any], outputs: int) -> nn.Module:
    pooling = EncoderPooling.ATTENTIVE if "classifier_hidden_layers" in config else EncoderPooling.MEAN
    if pooling is EncoderPooling.ATTENTIVE:
        encoder, hidden = _encoder(_configuration(directory, "ssl_config.json"))
        return _AttentiveHead(encoder, hidden, layers=int(config["classifier_hidden_layers"]), outputs=outputs)
    encoder, hidden = _encoder(config)
    return _MeanHead(encoder, hidden, outputs)


def _encoder(config: dict[str, Any]) -> tuple[nn.Module, int]:
    """The library's own model of the configuration's type, without weights; no other type is built."""
    # Imported late: transformers takes seconds, and most workers never need it.
    import transformers  # noqa: PLC0415 (it takes seconds)

    kinds: dict[str, tuple[Any, Any]] = {
        "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model),
        "hubert": (transformers.HubertConfig, transformers.HubertModel),
        "wavlm": (transformers.WavLMConfig, transformers.WavLMModel),
    }
    configuration, model = kinds[str(config.get("model_type"))]
    made = configuration.from_dict(config)
    return model(made), int(made.hidden_size)


def _fill(model: nn.Module, weights: Path) -> None:
    from safetensors.torch import load_file  # noqa: PLC0415 (needed here alone)

    given = {}
    for name, tensor in load_file(weights).items():
        stem, _, last = name.rpartition(".")
        given[f"{stem}.{_OLD_NORM[last]}" if last in _OLD_NORM else name] = tensor
    missing, unexpected = model.load_state_dict(given, strict=False)
    missing = [name for name in missing if not name.endswith(_NEVER_USED)]
    if missing or unexpected:
        raise EmotionModelUnloadable(f"weights do not fit: {', '.join([*missing, *unexpected][:3])}")


def _scaling(directory: Path, config: dict[str, Any]) -> tuple[float, float] | None:
    """Mean and standard deviation that sound is scaled by, or None for each piece's own."""
    if "mean" in config and "std" in config:
        return float(config["mean"]), float(config["std"])
    extractor = _configuration(directory, "preprocessor_config.json")
    if extractor.get("sampling_rate") != SAMPLE_RATE:
        raise EmotionModelUnloadable(f"{directory.name} wants {extractor.get('sampling_rate')} Hz, not {SAMPLE_RATE}")
    return None if extractor.get("do_normalize", True) else (0.0, 1.0)
