"""Expressed emotion: the default engine orders what is louder, higher and faster, and abstains; checkpoints load strictly."""

import ast
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

from analysis.engines import emotion
from analysis.engines.clip import SAMPLE_RATE, Clip, ModelIdentity, Stretch, no_checkpoint
from analysis.engines.emotion import UNKNOWN, AcousticArousal, EmotionEngine, ExpressedEmotion, windows
from analysis.engines.emotion_transformers import EmotionModelUnloadable, TransformersEmotion
from tests.analysis.engines.checkpoints import edit, tiny
from tests.analysis.engines.signals import clip, noise, read, silence, syllables

IDENTITY = ModelIdentity("tiny", "1", "0" * 64, "Apache-2.0", "permissive", False)
LABELS = ["angry", "happy", "neutral", "sad"]


@pytest.fixture(scope="module")
def reading(data: Path) -> Clip:
    return read(data / "librivox" / "sense_and_sensibility_01_austen_64kb-0920.wav")


def expressed(sound: Clip, *speech: Stretch) -> ExpressedEmotion:
    return AcousticArousal().run(sound, speech or [Stretch(0.0, sound.duration)], no_checkpoint)


def first_and_second(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Mean arousal of two pieces of one recording, half a second apart."""
    cut, start = len(first) / SAMPLE_RATE, len(first) / SAMPLE_RATE + 1.0
    sound = clip(np.concatenate([first, silence(1.0), second]))
    found = expressed(sound, Stretch(0.0, cut), Stretch(start, sound.duration))
    halves = [
        [w.arousal for w in found.windows if w.arousal is not None and (w.start < cut) is side]
        for side in (True, False)
    ]
    return float(np.mean(halves[0])), float(np.mean(halves[1]))


def faster_and_higher(samples: np.ndarray, by: float) -> np.ndarray:
    return np.asarray(np.interp(np.arange(0, len(samples) - 1, by), np.arange(len(samples)), samples))


@pytest.mark.parametrize("gain", [6.0, 12.0])
def test_the_same_words_said_louder_express_more_arousal(reading: Clip, gain: float) -> None:
    quiet, loud = first_and_second(reading.samples * 10 ** (-gain / 20), reading.samples)
    assert loud > quiet + 0.05


@pytest.mark.parametrize("by", [1.15, 1.3])
def test_the_same_words_said_higher_and_faster_express_more_arousal(reading: Clip, by: float) -> None:
    plain, raised = first_and_second(reading.samples, faster_and_higher(reading.samples, by))
    assert raised > plain + 0.05


def test_a_faster_voice_expresses_more_arousal() -> None:
    slow, fast = first_and_second(syllables(9, 3.0), syllables(18, 6.0))
    assert fast > slow + 0.1


def test_a_livelier_voice_expresses_more_arousal(reading: Clip) -> None:
    found = expressed(reading)
    names = [score.name for score in found.windows[0].scores]
    assert names == ["level", "pitch", "brightness", "rate", "liveliness"]


def test_the_gain_of_the_microphone_does_not_matter(reading: Clip) -> None:
    loud, quiet = expressed(reading), expressed(clip(reading.samples * 0.05))
    assert [w.arousal for w in quiet.windows] == pytest.approx([w.arousal for w in loud.windows], abs=0.02)


@pytest.mark.parametrize(
    "sound", [silence(4.0), noise(4.0, -20.0), syllables(3, 4.0)], ids=["silence", "noise", "short"]
)
def test_without_enough_voice_the_answer_is_unknown(sound: np.ndarray) -> None:
    found = expressed(clip(sound))
    assert [window.label for window in found.windows] == [UNKNOWN]
    window = found.windows[0]
    assert (window.arousal, window.valence, window.confidence) == (None, None, 0.0)
    assert (found.summary.windows, found.summary.unknown, found.summary.arousal_mean) == (1, 1, None)
    assert found.summary.unknown_seconds == pytest.approx(len(sound) / SAMPLE_RATE, abs=0.01)


def test_without_speech_there_are_no_windows() -> None:
    found = AcousticArousal().run(clip(silence(2.0)), [], no_checkpoint)
    assert (found.windows, found.summary.windows, found.summary.labels) == ((), 0, ())


def test_the_default_says_that_it_is_not_validated_and_is_never_sure(reading: Clip) -> None:
    found = expressed(reading)
    assert found.model.validated is False
    assert all(0.0 < window.confidence <= 0.6 for window in found.windows)
    assert all(window.valence is None for window in found.windows)
    assert {window.label for window in found.windows} <= {"high arousal", "medium arousal", "low arousal"}
    json.dumps(asdict(found), allow_nan=False)


def test_an_even_reading_is_of_medium_arousal(reading: Clip) -> None:
    assert {window.label for window in expressed(reading).windows} == {"medium arousal"}


def test_the_checkpoint_is_asked_often_and_can_stop_the_default() -> None:
    class Withdrawn(Exception):
        pass

    sound = clip(syllables(180, 4.0))
    asked: list[float] = []
    AcousticArousal().run(sound, [Stretch(0.0, 45.0)], asked.append)
    assert len(asked) >= 4
    assert asked == sorted(asked)
    assert asked[-1] == 1.0

    def refuse(_fraction: float) -> None:
        raise Withdrawn

    with pytest.raises(Withdrawn):
        AcousticArousal().run(sound, [Stretch(0.0, 45.0)], refuse)


def test_the_digest_of_the_default_covers_every_module_it_rests_on() -> None:
    """`clip` is types, `own_code` makes the digest itself."""
    directory = Path(emotion.__file__).parent
    reached, pending = set(), ["emotion"]
    while pending:
        name = pending.pop()
        if name in reached:
            continue
        reached.add(name)
        for node in ast.walk(ast.parse((directory / f"{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "analysis.engines":
                pending += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("analysis.engines."):
                pending.append(node.module.rsplit(".", 1)[1])
    assert {f"{name}.py" for name in reached - {"clip", "own_code"}} == set(emotion.MODULES)


def test_windows_join_close_stretches_and_cut_long_ones() -> None:
    speech = [Stretch(0.0, 1.0), Stretch(1.3, 2.0), Stretch(4.0, 4.5), Stretch(6.0, 19.0)]
    found = windows(clip(silence(20.0)), speech)
    assert found[:2] == (Stretch(0.0, 2.0), Stretch(4.0, 4.5))
    assert [window.duration for window in found[2:]] == pytest.approx([13 / 3] * 3)


# The transformers engine


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("models") / "tiny", LABELS)


def test_a_checkpoint_in_the_librarys_format_is_loaded_and_run(directory: Path, reading: Clip) -> None:
    engine: EmotionEngine = TransformersEmotion.load(directory, IDENTITY, threshold=0.0, device="cpu")
    found = engine.run(reading, [Stretch(0.2, reading.duration)], no_checkpoint)
    (window,) = found.windows
    assert window.label in LABELS
    assert [score.name for score in window.scores] == LABELS
    assert sum(score.value for score in window.scores) == pytest.approx(1.0, abs=0.001)
    assert window.confidence == max(score.value for score in window.scores)
    assert (window.arousal, window.valence) == (None, None)
    assert found.model == IDENTITY.ran_with(threshold=0.0, temperature=1.0, device="cpu")
    json.dumps(asdict(found), allow_nan=False)


def test_it_says_what_the_model_says_when_called_by_hand(directory: Path, reading: Clip) -> None:
    found = TransformersEmotion.load(directory, IDENTITY, threshold=0.0, device="cpu").run(
        reading, [Stretch(0.0, 3.0)], no_checkpoint
    )
    model = Wav2Vec2ForSequenceClassification.from_pretrained(directory)
    model.train(False)
    inputs = Wav2Vec2FeatureExtractor.from_pretrained(directory)(
        reading.samples[: 3 * SAMPLE_RATE], sampling_rate=SAMPLE_RATE, return_tensors="pt"
    )
    with torch.no_grad():
        by_hand = torch.softmax(model(**inputs).logits, dim=-1)[0].tolist()
    assert [score.value for score in found.windows[0].scores] == pytest.approx(by_hand, abs=0.0002)


def test_windows_in_a_batch_say_the_same_as_alone(directory: Path) -> None:
    engine = TransformersEmotion.load(directory, IDENTITY, threshold=0.0, device="cpu")
    sound = clip(noise(40.0, -20.0))
    together = engine.run(sound, [Stretch(0.0, 36.0)], no_checkpoint).windows
    assert len(together) == 6
    for window in together:
        (alone,) = engine.run(sound, [Stretch(window.start, window.end)], no_checkpoint).windows
        assert [s.value for s in alone.scores] == pytest.approx([s.value for s in window.scores], abs=0.0002)


def test_below_the_threshold_it_abstains_and_the_abstention_is_counted(directory: Path) -> None:
    engine = TransformersEmotion.load(directory, IDENTITY, threshold=0.99, device="cpu")
    found = engine.run(clip(noise(12.0, -20.0)), [Stretch(0.0, 12.0)], no_checkpoint)
    assert {window.label for window in found.windows} == {UNKNOWN}
    assert all(len(window.scores) == len(LABELS) for window in found.windows)
    assert (found.summary.windows, found.summary.unknown, found.summary.unknown_seconds) == (2, 2, 12.0)


def test_too_short_a_stretch_is_unknown_to_the_model_too(directory: Path) -> None:
    engine = TransformersEmotion.load(directory, IDENTITY, threshold=0.0, device="cpu")
    found = engine.run(clip(noise(5.0, -20.0)), [Stretch(0.0, 0.4), Stretch(2.0, 4.0)], no_checkpoint)
    assert [window.label == UNKNOWN for window in found.windows] == [True, False]


def test_at_most_thirty_seconds_of_audio_are_between_two_checkpoints(directory: Path) -> None:
    engine = TransformersEmotion.load(directory, IDENTITY, threshold=0.0, device="cpu")
    asked: list[float] = []
    engine.run(clip(noise(90.0, -20.0)), [Stretch(0.0, 90.0)], asked.append)
    assert len(asked) >= 3
    assert asked[-1] == 1.0


def refusal(directory: Path) -> str:
    with pytest.raises(EmotionModelUnloadable) as refused:
        TransformersEmotion.load(directory, IDENTITY, device="cpu")
    assert refused.value.code == "emotion_model_unloadable"
    return str(refused.value)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    pickled = tiny(tmp_path / "pickled", LABELS, safe=False)
    assert (pickled / "pytorch_model.bin").is_file()
    refusal(pickled)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_model_that_wants_code_of_its_own_is_refused(tmp_path: Path, name: str) -> None:
    wanting = tiny(tmp_path / "wanting", LABELS)
    (wanting / "own.py").write_text("raise SystemExit('this code ran')", encoding="utf-8")
    edit(wanting / name, auto_map={"AutoModelForAudioClassification": "own.Model", "AutoFeatureExtractor": "own.Own"})
    assert "code of its own" in refusal(wanting)


def test_a_model_whose_head_is_not_in_the_file_is_refused(tmp_path: Path) -> None:
    headless = tiny(tmp_path / "headless", LABELS)
    Wav2Vec2ForSequenceClassification.from_pretrained(headless).wav2vec2.save_pretrained(headless)
    edit(headless / "config.json", architectures=["Wav2Vec2ForSequenceClassification"])
    assert "lacks weights" in refusal(headless)


def test_labels_without_names_another_rate_and_several_labels_are_refused(tmp_path: Path) -> None:
    assert "name its labels" in refusal(tiny(tmp_path / "unnamed", ["LABEL_0", "LABEL_1"]))
    assert "8000 Hz" in refusal(tiny(tmp_path / "narrow", LABELS, rate=8_000))
    several = tiny(tmp_path / "several", LABELS)
    edit(several / "config.json", problem_type="multi_label_classification")
    assert "one label" in refusal(several)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"{"])
def test_missing_and_damaged_files_are_typed_errors(tmp_path: Path, name: str, content: bytes | None) -> None:
    spoiled = tiny(tmp_path / "spoiled", LABELS)
    (spoiled / name).unlink()
    if content is not None:
        (spoiled / name).write_bytes(content)
    refusal(spoiled)


def test_a_threshold_out_of_range_is_refused(directory: Path) -> None:
    with pytest.raises(ValueError, match="threshold"):
        TransformersEmotion.load(directory, IDENTITY, threshold=1.5)
