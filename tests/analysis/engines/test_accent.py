"""The accent that a model perceives: one estimate per clip, never validated, often unknown; checkpoints load strictly."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from analysis.engines import accent
from analysis.engines.accent import LEAST_SPEECH, AccentModelUnloadable, PerceivedAccent, TransformersAccent
from analysis.engines.clip import Clip, ModelIdentity, Parameter, Stretch, no_checkpoint
from analysis.engines.emotion import UNKNOWN
from analysis.engines.manifest import ManifestInvalid, load_manifest
from tests.analysis.engines.checkpoints import edit, own_manifest, tiny
from tests.analysis.engines.signals import clip, noise, read

IDENTITY = ModelIdentity("tiny", "1", "0" * 64, "MIT", "permissive", True)
LABELS = ["england", "scotland", "us"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("models") / "tiny", LABELS)


@pytest.fixture(scope="module")
def reading(data: Path) -> Clip:
    return read(data / "reading" / "sense_and_sensibility_0870-0890.wav")


def perceived(
    directory: Path, sound: Clip, *speech: Stretch, threshold: float = 0.0, one_voice: bool = True
) -> PerceivedAccent:
    engine = TransformersAccent.load(directory, IDENTITY, threshold=threshold, device="cpu")
    return engine.run(sound, speech or [Stretch(0.0, sound.duration)], no_checkpoint, one_voice=one_voice)


def test_a_clip_gets_one_estimate_with_the_probability_of_each_accent(directory: Path, reading: Clip) -> None:
    found = perceived(directory, reading)
    summary = found.summary
    assert [score.name for score in summary.scores] == LABELS
    assert sum(score.value for score in summary.scores) == pytest.approx(1.0, abs=0.001)
    assert summary.label in LABELS
    assert summary.confidence == max(score.value for score in summary.scores)
    assert summary.seconds == pytest.approx(reading.duration, abs=0.01)
    assert len(found.windows) == 3
    json.dumps(asdict(found), allow_nan=False)


def test_the_estimate_is_the_mean_of_its_windows_weighed_by_their_length(directory: Path) -> None:
    found = perceived(directory, clip(noise(12.0, -20.0)), Stretch(0.0, 6.0), Stretch(8.0, 10.0))
    lengths = [window.end - window.start for window in found.windows]
    assert lengths == [6.0, 2.0]
    rows = [[score.value for score in window.scores] for window in found.windows]
    expected = np.average(rows, axis=0, weights=lengths).tolist()
    assert [score.value for score in found.summary.scores] == pytest.approx(expected, abs=0.0002)


def test_it_says_that_it_is_no_origin_and_is_never_validated(directory: Path, reading: Clip) -> None:
    found = perceived(directory, reading)
    assert found.summary.meaning == "accent as perceived by the model, not origin"
    ran: dict[str, Parameter] = {"threshold": 0.0, "temperature": 1.0, "device": "cpu"}
    assert found.model == replace(IDENTITY, validated=False, parameters=ran)


@pytest.mark.parametrize(
    ("seconds", "threshold", "one_voice"),
    [(LEAST_SPEECH - 0.5, 0.0, True), (12.0, 0.99, True), (12.0, 0.0, False), (0.5, 0.0, True)],
    ids=["too little speech", "nothing probable enough", "several people on the channel", "no window"],
)
def test_it_abstains(directory: Path, seconds: float, threshold: float, *, one_voice: bool) -> None:
    found = perceived(directory, clip(noise(seconds, -20.0)), threshold=threshold, one_voice=one_voice)
    assert (found.summary.label, found.summary.confidence) == (UNKNOWN, 0.0)
    if not one_voice:
        assert (found.windows, found.summary.scores) == ((), ())


def test_at_most_thirty_seconds_of_audio_are_between_two_checkpoints(directory: Path) -> None:
    engine = TransformersAccent.load(directory, IDENTITY, device="cpu")
    asked: list[float] = []
    engine.run(clip(noise(90.0, -20.0)), [Stretch(0.0, 90.0)], asked.append, one_voice=True)
    assert len(asked) >= 3
    assert asked[-1] == 1.0


def test_models_that_cannot_be_loaded_strictly_or_give_several_labels_are_refused(tmp_path: Path) -> None:
    def refusal(directory: Path) -> str:
        with pytest.raises(AccentModelUnloadable) as refused:
            TransformersAccent.load(directory, IDENTITY, device="cpu")
        assert refused.value.code == "accent_model_unloadable"
        return str(refused.value)

    refusal(tiny(tmp_path / "pickled", LABELS, safe=False))
    several = tiny(tmp_path / "several", LABELS)
    edit(several / "config.json", problem_type="multi_label_classification")
    assert "one label" in refusal(several)


def test_a_manifest_entry_for_another_engine_or_with_another_parameter_is_refused(directory: Path) -> None:
    for engine, parameters in (
        ("transformers-emotion", {}),
        (accent.ENGINE, {"volume": 1.0}),
        (accent.ENGINE, {"threshold": 2.0}),
    ):
        entry = load_manifest(own_manifest(directory, engine, **parameters)).model("tiny")
        with pytest.raises(ManifestInvalid):
            accent.load(entry, directory.parent)
    entry = load_manifest(own_manifest(directory, accent.ENGINE, threshold=0.0)).model("tiny")
    assert (
        accent.load(entry, directory.parent)
        .run(clip(noise(6.0, -20.0)), [Stretch(0.0, 6.0)], no_checkpoint, one_voice=True)
        .summary.label
        in LABELS
    )
