"""Audio classifiers in the format of the `transformers` library, as small as their architectures allow, with random weights."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
)

from analysis.engines.clip import SAMPLE_RATE


def tiny(directory: Path, labels: Sequence[str], *, safe: bool = True, rate: int = SAMPLE_RATE) -> Path:
    """A wav2vec 2.0 of one layer that gives one label at a time."""
    torch.manual_seed(3)
    config = Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8),
        conv_kernel=(10, 8),
        conv_stride=(8, 8),
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        classifier_proj_size=8,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    model = Wav2Vec2ForSequenceClassification(config)
    directory.mkdir(exist_ok=True)
    extractor = Wav2Vec2FeatureExtractor(sampling_rate=rate)  # type: ignore[no-untyped-call]  # the library's own gap
    extractor.save_pretrained(directory)
    if safe:
        model.save_pretrained(directory)
    else:
        config.architectures = ["Wav2Vec2ForSequenceClassification"]
        config.save_pretrained(directory)
        torch.save(model.state_dict(), directory / "pytorch_model.bin")
    return directory


def tiny_spectrogram_transformer(directory: Path, labels: Sequence[str], *, frames: int = 1_024) -> Path:
    """An Audio Spectrogram Transformer of one layer, whose labels do not exclude each other; it hears `frames` of 10 ms."""
    torch.manual_seed(4)
    config = ASTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_length=frames,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    directory.mkdir(exist_ok=True)
    ASTFeatureExtractor(max_length=frames).save_pretrained(directory)  # type: ignore[no-untyped-call]  # as above
    ASTForAudioClassification(config).save_pretrained(directory)
    return directory


def edit(path: Path, **changes: object) -> None:
    """Changes members of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def own_manifest(directory: Path, engine: str, **parameters: float) -> Path:
    """A manifest beside `directory` that names the checkpoint in it, every file with its digest."""
    files = [
        f'  {{ path = "{path.name}", size = {path.stat().st_size}, '
        f'sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}" }},'
        for path in sorted(directory.iterdir())
    ]
    chosen = ", ".join(f'"{name}" = {value}' for name, value in parameters.items())
    manifest = directory.with_suffix(".toml")
    manifest.write_text(
        "\n".join(
            [
                "schema = 1",
                f"[models.{directory.name}]",
                'task = "test"',
                f'engine = "{engine}"',
                'version = "1"',
                'licence = "MIT"',
                'licence_class = "permissive"',
                'languages = ["en"]',
                'scopes = ["voice.nonverbal", "voice.emotion", "voice.accent"]',
                'intended_use = "A test."',
                "limits = []",
                "validated = true",
                f"parameters = {{ {chosen} }}",
                "files = [",
                *files,
                "]",
            ]
        ),
        encoding="utf-8",
    )
    return manifest
