"""Arousal, dominance and valence by regression heads: checkpoints in both published forms, built here, load strictly."""

import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Wav2Vec2Config, Wav2Vec2Model, WavLMConfig, WavLMModel

from analysis.engines.calibration import abstention, expected_calibration_error, probabilities, temperature
from analysis.engines.clip import SAMPLE_RATE, Clip, ModelIdentity, Stretch, no_checkpoint
from analysis.engines.emotion import UNKNOWN, EmotionEngine, valence_of, without_valence
from analysis.engines.emotion_dimensions import TransformersDimensions
from analysis.engines.emotion_transformers import EmotionModelUnloadable
from tests.analysis.engines.signals import clip, noise

IDENTITY = ModelIdentity("tiny", "1", "0" * 64, "MIT", "permissive", False)
NAMES = {"0": "arousal", "1": "dominance", "2": "valence"}
SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": (8, 8),
    "conv_kernel": (10, 8),
    "conv_stride": (8, 8),
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}
SOUND = clip(noise(9.0, -20.0))
SPEECH = [Stretch(0.0, 4.0), Stretch(5.0, 5.5)]


def save(directory: Path, weights: dict[str, torch.Tensor], **files: dict[str, Any]) -> Path:
    directory.mkdir(exist_ok=True)
    save_file(
        {name: tensor.detach().contiguous().clone() for name, tensor in weights.items()},
        directory / "model.safetensors",
    )
    for name, content in files.items():
        (directory / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return directory


def linear(name: str, inputs: int, outputs: int, bias: float = 0.0) -> dict[str, torch.Tensor]:
    return {f"{name}.weight": torch.randn(outputs, inputs) * 0.05, f"{name}.bias": torch.full((outputs,), bias)}


def mean_pooled(directory: Path, *, bias: float = 0.5) -> Path:
    """As audEERING's are published: encoder under `wav2vec2`, head under `classifier`."""
    torch.manual_seed(3)
    config = Wav2Vec2Config(**SMALL)
    weights = {f"wav2vec2.{name}": tensor for name, tensor in Wav2Vec2Model(config).state_dict().items()}
    weights |= linear("classifier.dense", 16, 16) | linear("classifier.out_proj", 16, 3, bias)
    written = config.to_dict() | {"id2label": NAMES, "architectures": ["Wav2Vec2ForSpeechClassification"]}
    return save(directory, weights, config=written, preprocessor_config={"sampling_rate": 16_000, "do_normalize": True})


def attentive(directory: Path, *, bias: float = 0.5, layers: int = 2) -> Path:
    """As the Odyssey baselines are published: `ssl_model`, `pool_model`, `ser_model`; code of their own is asked for."""
    torch.manual_seed(4)
    config = WavLMConfig(**SMALL)
    weights = {f"ssl_model.{name}": tensor for name, tensor in WavLMModel(config).state_dict().items()}
    weights |= linear("pool_model.sap_linear", 16, 16) | {"pool_model.attention": torch.randn(16, 1)}
    for index, (wide, narrow) in enumerate(pairwise([32, *[16] * layers])):
        weights |= linear(f"ser_model.fc.{index}.0", wide, narrow)
        weights |= {
            f"ser_model.fc.{index}.1.weight": torch.ones(narrow),
            f"ser_model.fc.{index}.1.bias": torch.zeros(narrow),
        }
    weights |= linear("ser_model.out.0", 16, 3, bias)
    written = {
        "id2label": NAMES,
        "classifier_hidden_layers": layers,
        "mean": 0.01,
        "std": 0.2,
        "auto_map": {"AutoModelForAudioClassification": "own.SERModel"},
    }
    (directory.parent / "own.py").write_text("raise SystemExit('this code ran')", encoding="utf-8")
    return save(directory, weights, config=written, ssl_config=config.to_dict())


def load(directory: Path, threshold: float = 0.0) -> TransformersDimensions:
    return TransformersDimensions.load(directory, IDENTITY, threshold=threshold, device="cpu")


@pytest.mark.parametrize("made", [mean_pooled, attentive])
def test_a_checkpoint_in_either_form_is_loaded_and_run(made: Any, tmp_path: Path) -> None:
    engine: EmotionEngine = load(made(tmp_path / "model"))
    asked: list[float] = []
    found = engine.run(SOUND, SPEECH, asked.append)
    window, short = found.windows
    assert window.arousal is not None and 0.2 < window.arousal < 0.8
    assert window.valence is not None
    assert [score.name for score in window.scores] == ["arousal", "dominance", "valence"]
    assert window.label.endswith("arousal")
    assert short.label == UNKNOWN
    assert (found.summary.windows, found.summary.unknown) == (2, 1)
    assert asked[-1] == 1.0
    json.dumps(asdict(found), allow_nan=False)


def test_mean_pooling_says_what_the_published_head_says(tmp_path: Path) -> None:
    directory = mean_pooled(tmp_path / "model")
    weights = load_file(directory / "model.safetensors")
    encoder = Wav2Vec2Model(Wav2Vec2Config(**SMALL))
    encoder.train(False)
    encoder.load_state_dict({n.removeprefix("wav2vec2."): t for n, t in weights.items() if n.startswith("wav2vec2.")})
    sound = torch.from_numpy(SOUND.samples[: 4 * SAMPLE_RATE].copy())
    sound = (sound - sound.mean()) / torch.sqrt(sound.var(correction=0) + 1e-7)
    with torch.no_grad():
        pooled = encoder(sound[None]).last_hidden_state.mean(dim=1)
        hidden = torch.tanh(
            nn.functional.linear(pooled, weights["classifier.dense.weight"], weights["classifier.dense.bias"])
        )
        by_hand = nn.functional.linear(
            hidden, weights["classifier.out_proj.weight"], weights["classifier.out_proj.bias"]
        )
    found = load(directory).run(SOUND, SPEECH[:1], no_checkpoint).windows[0]
    assert [score.value for score in found.scores] == pytest.approx(by_hand[0].tolist(), abs=0.0002)


def test_attentive_pooling_says_what_the_published_head_says(tmp_path: Path) -> None:
    directory = attentive(tmp_path / "model", layers=1)
    weights = load_file(directory / "model.safetensors")
    encoder = WavLMModel(WavLMConfig(**SMALL))
    encoder.train(False)
    encoder.load_state_dict({n.removeprefix("ssl_model."): t for n, t in weights.items() if n.startswith("ssl_model.")})
    sound = (torch.from_numpy(SOUND.samples[: 4 * SAMPLE_RATE].copy()) - 0.01) / (0.2 + 1e-6)

    def dense(name: str, inputs: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(inputs, weights[f"{name}.weight"], weights[f"{name}.bias"])

    with torch.no_grad():
        states = encoder(sound[None]).last_hidden_state[0]
        share = torch.softmax(
            (torch.tanh(dense("pool_model.sap_linear", states)) @ weights["pool_model.attention"])[:, 0], 0
        )
        mean = (states * share[:, None]).sum(0)
        spread = torch.sqrt(((states**2 * share[:, None]).sum(0) - mean**2).clamp(min=1e-5))
        hidden = nn.functional.layer_norm(dense("ser_model.fc.0.0", torch.cat([mean, spread])), (16,))
        by_hand = dense("ser_model.out.0", torch.relu(hidden)).tolist()
    found = load(directory).run(SOUND, SPEECH[:1], no_checkpoint).windows[0]
    assert [score.value for score in found.scores] == pytest.approx(by_hand, abs=0.0002)


def test_the_code_that_a_model_wants_is_never_run(tmp_path: Path) -> None:
    directory = attentive(tmp_path / "model")
    (directory / "own.py").write_text("raise SystemExit('this code ran')", encoding="utf-8")
    assert load(directory).run(SOUND, SPEECH, no_checkpoint).windows


def test_names_of_older_files_are_understood(tmp_path: Path) -> None:
    directory = mean_pooled(tmp_path / "model")
    before = load(directory).run(SOUND, SPEECH, no_checkpoint)
    old = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for name, tensor in load_file(directory / "model.safetensors").items()
        if not name.endswith("masked_spec_embed")
    }
    assert any(name.endswith("weight_g") for name in old)
    save(directory, old)
    assert load(directory).run(SOUND, SPEECH, no_checkpoint) == before


def test_without_permission_for_words_valence_is_not_said_and_is_else_an_answer_of_its_own(tmp_path: Path) -> None:
    """Such models read valence off the words that they recognize on the way (Wagner et al. 2023)."""
    found = load(mean_pooled(tmp_path / "model")).run(SOUND, SPEECH, no_checkpoint)
    left = without_valence(found)
    assert [window.valence for window in left.windows] == [None, None]
    assert "valence" not in {score.name for window in left.windows for score in window.scores}
    assert (left.summary.valence_mean, left.summary.arousal_mean) == (None, found.summary.arousal_mean)
    valence = valence_of(found)
    assert valence is not None
    assert [(window.label, window.valence) for window in valence.windows] == [
        ("valence", found.windows[0].valence),
        (UNKNOWN, None),
    ]
    assert valence_of(left) is None


def test_it_abstains_below_the_threshold_and_beyond_the_scale(tmp_path: Path) -> None:
    noisy = Clip(np.concatenate([SOUND.samples[: 2 * SAMPLE_RATE] * 0.001, SOUND.samples[: 2 * SAMPLE_RATE]]))
    confident = load(attentive(tmp_path / "model")).run(noisy, [Stretch(0.0, 4.0)], no_checkpoint).windows[0].confidence
    assert 0.0 < confident < 1.0
    (window,) = (
        load(tmp_path / "model", min(1.0, confident + 0.01)).run(noisy, [Stretch(0.0, 4.0)], no_checkpoint).windows
    )
    assert (window.label, window.arousal, window.confidence) == (UNKNOWN, None, 0.0)
    assert len(window.scores) == 3
    for bias in (3.0, float("nan")):
        (beyond,) = load(mean_pooled(tmp_path / "beyond", bias=bias)).run(SOUND, SPEECH[:1], no_checkpoint).windows
        assert (beyond.label, beyond.scores) == (UNKNOWN, ())


def refusal(directory: Path) -> str:
    with pytest.raises(EmotionModelUnloadable) as refused:
        load(directory)
    return str(refused.value)


def test_weights_that_do_not_fit_exactly_are_refused(tmp_path: Path) -> None:
    directory = mean_pooled(tmp_path / "model")
    weights = load_file(directory / "model.safetensors")
    save(directory, {name: tensor for name, tensor in weights.items() if name != "classifier.dense.bias"})
    assert "classifier.dense.bias" in refusal(directory)
    save(directory, weights | {"something.else": torch.zeros(1)})
    assert "something.else" in refusal(directory)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]"])
@pytest.mark.parametrize("name", ["config.json", "ssl_config.json", "model.safetensors"])
def test_missing_and_damaged_files_are_typed_errors(tmp_path: Path, name: str, content: bytes | None) -> None:
    directory = attentive(tmp_path / "model")
    (directory / name).unlink()
    if content is not None:
        (directory / name).write_bytes(content)
    refusal(directory)


@pytest.mark.parametrize(
    "changes",
    [{"id2label": {"0": "happy", "1": "sad", "2": "angry"}}, {"model_type": "whisper"}, {"id2label": {}}],
)
def test_another_kind_of_model_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    directory = mean_pooled(tmp_path / "model")
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    refusal(directory)


# Calibration


def labelled(hotter: float) -> tuple[np.ndarray, np.ndarray]:
    """Windows whose labels were drawn by the probabilities of their logits, which are then made surer than they should be."""
    random = np.random.default_rng(5)
    logits = random.normal(0.0, 1.5, (4_000, 4))
    truth = np.array([random.choice(4, p=row) for row in probabilities(logits, 1.0)])
    return logits * hotter, truth


@pytest.mark.parametrize("hotter", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_made_the_model_too_sure(hotter: float) -> None:
    logits, truth = labelled(hotter)
    found = temperature(logits, truth)
    assert found == pytest.approx(hotter, rel=0.08)
    sure = probabilities(logits, found)
    assert expected_calibration_error(sure.max(axis=1), sure.argmax(axis=1) == truth) < 0.03
    if hotter > 1:
        before = probabilities(logits, 1.0)
        assert expected_calibration_error(before.max(axis=1), before.argmax(axis=1) == truth) > 0.15


def test_the_threshold_to_abstain_below_is_the_lowest_that_keeps_the_precision() -> None:
    confidence = np.array([0.9, 0.8, 0.8, 0.6, 0.5])
    right = np.array([True, True, False, True, False])
    found = abstention(confidence, right, 0.75)
    assert found is not None
    assert (found.threshold, found.answered, found.right) == (0.6, 0.8, 0.75)
    assert abstention(confidence, right, 0.9) is not None
    assert abstention(confidence[1:], right[1:], 0.9) is None
    assert abstention(np.zeros(0), np.zeros(0, bool), 0.5) is None
    assert expected_calibration_error(np.zeros(0), np.zeros(0, bool)) == 0.0
