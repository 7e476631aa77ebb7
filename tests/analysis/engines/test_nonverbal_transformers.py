"""Nonverbal sounds by an Audio Spectrogram Transformer: real loading code on a small checkpoint; labels matched by name."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import ASTFeatureExtractor, ASTForAudioClassification

from analysis.engines import nonverbal_choice
from analysis.engines.clip import SAMPLE_RATE, ModelIdentity, no_checkpoint
from analysis.engines.manifest import ManifestInvalid, ModelDigestMismatch, load_manifest
from analysis.engines.nonverbal_transformers import Looking, NonverbalModelUnloadable, TransformersSounds
from analysis.engines.sounds import Sound, Surrounding
from tests.analysis.engines.checkpoints import edit, own_manifest, tiny, tiny_spectrogram_transformer
from tests.analysis.engines.signals import clip, noise, silence

IDENTITY = ModelIdentity("tiny", "1", "0" * 64, "MIT", "permissive", False)
AUDIOSET = ["Speech", "Laughter", "Belly laugh", "Crying, sobbing", "Sneeze", "Music", "Wail, moan"]
LOOKING = Looking(window=1.0, hop=0.5, threshold=0.5)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_spectrogram_transformer(tmp_path_factory.mktemp("models") / "tiny", AUDIOSET, frames=112)


def always(directory: Path, **scores: float) -> Path:
    """A copy of the checkpoint that gives every window these scores, whatever is in it; other labels score 0.001."""
    model: Any = ASTForAudioClassification.from_pretrained(directory)
    with torch.no_grad():
        chosen = [scores.get(label.split(",")[0].replace(" ", "_"), 0.001) for label in AUDIOSET]
        model.classifier.dense.weight.copy_(torch.zeros(len(AUDIOSET), model.config.hidden_size))
        model.classifier.dense.bias.copy_(torch.logit(torch.tensor(chosen)))
    copy = directory.parent / "-".join(["always", *scores])
    model.save_pretrained(copy)
    ASTFeatureExtractor.from_pretrained(directory).save_pretrained(copy)
    return copy


def load(directory: Path, looking: Looking = LOOKING) -> TransformersSounds:
    return TransformersSounds.load(directory, IDENTITY, looking, device="cpu")


def test_labels_are_matched_by_their_audioset_names(directory: Path) -> None:
    assert load(directory).sounds == {Sound.LAUGHTER, Sound.CRYING, Sound.SNEEZE, Sound.MOAN}


def test_labels_of_other_collections_are_matched_by_their_names_in_any_case(tmp_path: Path) -> None:
    engine = load(tiny(tmp_path / "vocal", ["Sobbing", "inhale", "exhale", "Coughing", "throat-clearing", "other"]))
    assert engine.sounds == {Sound.SOB, Sound.BREATH_IN, Sound.BREATH_OUT, Sound.COUGH, Sound.THROAT_CLEARING}


def test_the_highest_of_a_sounds_classes_counts_and_context_is_no_event(directory: Path) -> None:
    found = load(always(directory, Laughter=0.6, Belly_laugh=0.8, Music=0.7)).run(
        clip(noise(4.0, -20.0)), no_checkpoint
    )
    (event,) = found.events
    assert (event.label, event.start, event.end) == (Sound.LAUGHTER, 0.0, 4.0)
    assert event.score == pytest.approx(0.8, abs=0.001)
    (stretch,) = found.context
    assert (stretch.label, stretch.start, stretch.end) == (Surrounding.MUSIC, 0.0, 4.0)
    assert found.model.parameters == {**LOOKING.as_parameters(), "device": "cpu"}
    assert replace(found.model, parameters={}) == IDENTITY
    json.dumps(asdict(found), allow_nan=False)


def test_an_event_begins_and_ends_with_its_sound(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = np.concatenate([noise(3.0, -80.0), noise(1.0, -20.0), noise(3.0, -80.0)])
    # Stands in for a model that hears, which one with random weights does not: high wherever the burst is in the window.
    engine = load(directory)
    monkeypatch.setattr(
        engine._classifier,
        "logits",
        lambda pieces: torch.tensor(
            [
                [9.0 if name == "Sneeze" and np.abs(piece).max() > 0.05 else -9.0 for name in AUDIOSET]
                for piece in pieces
            ]
        ),
    )
    (event,) = engine.run(clip(sound), no_checkpoint).events
    assert event.label is Sound.SNEEZE
    assert (event.start, event.end) == pytest.approx((3.0, 4.0), abs=0.02)


def test_each_sound_may_have_a_threshold_of_its_own(directory: Path) -> None:
    copy = always(directory, Laughter=0.6, Sneeze=0.6)
    looking = Looking.of({"window": 1.0, "hop": 0.5, "threshold": 0.5, "sneeze": 0.7})
    assert {event.label for event in load(copy, looking).run(clip(noise(2.0, -20.0)), no_checkpoint).events} == {
        Sound.LAUGHTER
    }


def test_it_says_what_the_model_says_when_called_by_hand(directory: Path) -> None:
    sound = noise(1.0, -20.0).astype(np.float32)
    extractor = ASTFeatureExtractor.from_pretrained(directory)
    model = ASTForAudioClassification.from_pretrained(directory)
    model.train(False)
    with torch.no_grad():
        by_hand = torch.sigmoid(model(**extractor(sound, sampling_rate=SAMPLE_RATE, return_tensors="pt")).logits)[0]
    ours = load(directory)._classifier.logits([sound]).sigmoid()[0]
    assert ours.tolist() == pytest.approx(by_hand.tolist(), abs=1e-5)


def test_labels_that_exclude_each_other_share_one_probability(tmp_path: Path) -> None:
    vocal = tiny(tmp_path / "vocal", ["laugh", "cough"])
    edit(vocal / "config.json", problem_type="single_label_classification")
    found = load(vocal, Looking(window=1.0, hop=1.0, threshold=0.5)).run(clip(noise(1.0, -20.0)), no_checkpoint)
    assert len({event.label for event in found.events}) == 1


def test_nothing_is_in_nothing_and_the_checkpoint_is_asked_at_least_every_thirty_seconds(directory: Path) -> None:
    engine = load(directory)
    assert engine.run(clip(silence(0.0)), no_checkpoint).events == ()
    asked: list[float] = []
    engine.run(clip(noise(40.0, -40.0)), asked.append)
    assert len(asked) >= 3
    assert asked == sorted(asked)
    assert asked[-1] == 1.0


def test_a_checkpoint_that_raises_stops_the_engine(directory: Path) -> None:
    class Withdrawn(Exception):
        pass

    def refuse(_fraction: float) -> None:
        raise Withdrawn

    with pytest.raises(Withdrawn):
        load(directory).run(clip(noise(1.0, -50.0)), refuse)


def test_a_model_without_our_sounds_with_code_of_its_own_or_pickled_is_refused(directory: Path, tmp_path: Path) -> None:
    def refusal(refused: Path, looking: Looking = LOOKING) -> str:
        with pytest.raises(NonverbalModelUnloadable) as problem:
            load(refused, looking)
        assert problem.value.code == "nonverbal_model_unloadable"
        return str(problem.value)

    assert "no label that is a sound" in refusal(tiny(tmp_path / "foreign", ["dog", "cat"]))
    wanting = tiny(tmp_path / "wanting", ["laugh", "cough"])
    edit(wanting / "config.json", auto_map={"AutoModelForAudioClassification": "own.Model"})
    assert "code of its own" in refusal(wanting)
    refusal(tiny(tmp_path / "pickled", ["laugh", "cough"], safe=False))
    assert "less than a window of 2 s" in refusal(directory, Looking(window=2.0))


@pytest.mark.parametrize(
    "parameters", [{"volume": 1.0}, {"threshold": 1.5}, {"hop": 2.0, "window": 1.0}, {"laughter": 0.0}]
)
def test_a_parameter_that_is_not_known_or_out_of_range_is_refused(
    directory: Path, parameters: dict[str, float]
) -> None:
    entry = load_manifest(own_manifest(directory, "transformers-sounds", **parameters)).model("tiny")
    with pytest.raises(ManifestInvalid):
        nonverbal_choice.load(entry, directory.parent)


def test_a_manifest_entry_chooses_the_engine_and_its_weights_are_checked(tmp_path: Path) -> None:
    directory = tiny_spectrogram_transformer(tmp_path / "own", AUDIOSET, frames=112)
    entry = load_manifest(own_manifest(directory, "transformers-sounds", window=1.0)).model("own")
    engine = nonverbal_choice.load(entry, tmp_path)
    assert engine.run(clip(silence(1.0)), no_checkpoint).model.name == "own"
    edit(directory / "config.json", own="change")
    with pytest.raises(ModelDigestMismatch):
        nonverbal_choice.load(entry, tmp_path)
    other = load_manifest(own_manifest(directory, "transformers-emotion")).model("own")
    with pytest.raises(ManifestInvalid, match="no engine of nonverbal sounds"):
        nonverbal_choice.load(other, tmp_path)
