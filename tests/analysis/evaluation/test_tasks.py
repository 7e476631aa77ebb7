"""The tasks of `manage.py evaluate`: figures of known answers, the committed corpora, and the command itself."""

import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from analysis.engines.clip import SAMPLE_RATE
from analysis.engines.manifest import ManifestInvalid
from analysis.evaluation.corpus import Corpus, CorpusInvalid
from analysis.evaluation.report import Figure, Report
from analysis.evaluation.task import TASKS, Setup, evaluate, make
from benchmarks.corpora.conversations import corpus as make_conversations
from benchmarks.corpora.personal_data import corpus as make_corpus
from benchmarks.corpora.personal_data import sentences
from benchmarks.corpora.voices import read_voices
from tests.analysis.engines.checkpoints import own_manifest, tiny
from tests.analysis.engines.signals import noise, read, silence
from tests.analysis.sounds import wav


def setup() -> Setup:
    return Setup(settings.VOXGOV_MODELS_DIR, settings.VOXGOV_ASR_MODEL, 2)


def report_of(task: str, directory: Path, chosen: Setup | None = None) -> Report:
    told: list[float] = []
    report = evaluate(task, make(task, chosen or setup()), Corpus.read(directory), told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    return report


def figure(report: Report, measure: str, group: str = "all") -> Figure:
    return next(one for one in report.figures if (one.measure, one.group) == (measure, group))


def test_redaction_is_judged_by_words_taken_out(tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text(
        "[written]\n"
        "My name is {name|Anna Miller}.\n"  # found
        "Give it to {name|Zorblax Quux}.\n"  # nothing says that this is a name
        "Write to a@b.example now.\n"  # found, though it is not marked
        "Nothing here.\n"
    )
    (tmp_path / "manifest.json").write_text(
        json.dumps({"items": [{"groups": {"set": "s"}, "truth": {"sentences": "some.txt"}}]})
    )
    report = report_of("redaction", tmp_path)
    recall, precision = figure(report, "recall"), figure(report, "precision")
    assert (recall.part, recall.whole) == (1, 2)
    assert (precision.part, precision.whole) == (1, 2)
    assert figure(report, "precision", "type: email").value == 0.0
    assert figure(report, "sentences left alone", "set: s").value == 0.5
    assert figure(report, "words of personal data left").value == 0.5
    # "now.", "Nothing" and the like stay; one of twelve other words went.
    assert (figure(report, "other words taken out").part, figure(report, "other words taken out").whole) == (1, 12)
    assert report.missed == ("some.txt:3", "some.txt:4")


def test_the_hand_written_sentences_are_many_and_redaction_is_as_good_as_the_docs_say(data: Path) -> None:
    report = report_of("redaction", data / "redaction")
    assert figure(report, "recall").items + figure(report, "sentences left alone").items >= 120
    for group in ("set: development", "set: held out at first"):
        assert (figure(report, "recall", group).value or 0) >= 0.95
        assert (figure(report, "precision", group).value or 0) >= 0.95


def test_the_generated_sentences_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    assert list(sentences(3, 100)) == list(sentences(3, 100)) != list(sentences(4, 100))
    make_corpus(tmp_path, 3, 300)
    report = report_of("redaction", tmp_path)
    assert figure(report, "sentences left alone").whole == 60
    assert (figure(report, "recall").value or 0) >= 0.95
    assert (figure(report, "precision").value or 0) >= 0.95


@pytest.mark.models
def test_the_word_error_rate_is_of_the_real_engine_on_the_real_clips(data: Path) -> None:
    report = report_of("asr", data / "librivox")
    rate = figure(report, "word error rate")
    assert (rate.whole, rate.items, rate.abstained) == (71, 5, 0)
    assert rate.value is not None
    assert rate.value <= 0.06
    assert rate.low <= rate.value <= rate.high
    assert figure(report, "word error rate", "length: under 5 s").items == 2


@pytest.mark.models
def test_a_clip_without_words_is_an_abstention_and_costs_all_of_them(tmp_path: Path, data: Path) -> None:
    (tmp_path / "laugh.wav").write_bytes((data / "human" / "sneeze-male.wav").read_bytes())
    (tmp_path / "said.json").write_text(json.dumps({"laugh.wav": "two words"}))
    (tmp_path / "manifest.json").write_text(json.dumps({"transcripts": "said.json"}))
    rate = figure(report_of("asr", tmp_path), "word error rate")
    assert (rate.part, rate.whole, rate.abstained) == (2, 2, 1)


def voices_manifest(directory: Path, data: Path) -> None:
    """The committed voices, two clips each, as a corpus for the task speaker."""
    items = []
    for clip in sorted((data / "voices").glob("*/*.flac")):
        name = f"{clip.parent.name}-{clip.name}"
        shutil.copy(clip, directory / name)
        items.append({"audio": name, "groups": {"line": "clean"}, "truth": {"speaker": clip.parent.name}})
    (directory / "manifest.json").write_text(json.dumps({"items": items}))


@pytest.mark.models
def test_voices_are_compared_each_with_each_other(tmp_path: Path, data: Path) -> None:
    voices_manifest(tmp_path, data)
    report = report_of("speaker", tmp_path)
    error = figure(report, "equal error rate")
    assert (error.value, error.part, error.whole, error.items) == (0.0, 6, 30, 3)
    assert figure(report, "minimum detection cost").value == 0.0
    assert figure(report, "same voice accepted", "line: clean").value == 1.0
    assert figure(report, "another voice refused").value == 1.0
    assert report.missed == ()
    assert "resemblyzer" in report.about["engine"]
    assert "| all | 0.000 | 0.000 to 0.000 | 6 of 30 | 3 | 0 |" in report.as_markdown()


@pytest.mark.models
def test_a_clip_without_enough_voice_is_an_abstention_and_never_accepted(tmp_path: Path, data: Path) -> None:
    voices_manifest(tmp_path, data)
    body = json.loads((tmp_path / "manifest.json").read_text())
    shutil.copy(data / "human" / "sneeze-male.wav", tmp_path / "sneeze.wav")
    body["items"].append({"audio": "sneeze.wav", "truth": {"speaker": "carlo-flora"}})
    (tmp_path / "manifest.json").write_text(json.dumps(body))
    accepted = figure(report_of("speaker", tmp_path), "same voice accepted")
    assert (accepted.part, accepted.whole, accepted.abstained) == (6, 10, 1)


@pytest.mark.models
def test_turns_are_judged_on_conversations_made_of_real_voices(tmp_path: Path, data: Path) -> None:
    make_conversations(tmp_path, read_voices(data / "voices"), seed=3, each=1, speakers=[2], seconds=20.0)
    report = report_of("diarization", tmp_path)
    assert figure(report, "number of speakers", "speakers: 2").whole == 3
    rate, inner = figure(report, "diarization error rate"), figure(report, "diarization error rate, collar")
    assert rate.value is not None
    assert inner.value is not None
    assert inner.value < rate.value < 0.3
    parts = [figure(report, name, "sound: clean").part for name in ("missed", "false alarm", "confused")]
    assert sum(parts) == pytest.approx(figure(report, "diarization error rate", "sound: clean").part)


@pytest.mark.models
@pytest.mark.parametrize("turns", ["none", [{"start": 0.0, "end": 1.0}], [{"start": "a", "end": 1.0, "speaker": "b"}]])
def test_turns_that_are_none_are_refused(tmp_path: Path, data: Path, turns: object) -> None:
    shutil.copy(data / "human" / "sneeze-male.wav", tmp_path / "a.wav")
    (tmp_path / "manifest.json").write_text(json.dumps({"items": [{"audio": "a.wav", "truth": {"turns": turns}}]}))
    with pytest.raises(CommandError, match="start, end"):
        run(str(tmp_path), "--task", "diarization")


def corpus_of(directory: Path, **items: tuple[np.ndarray, Mapping[str, Any]]) -> Path:
    """A corpus of sounds made on the spot, each with what is true of it; the group of each is its first letter."""
    listed = []
    for name, (samples, truth) in items.items():
        (directory / f"{name}.wav").write_bytes(wav([samples.astype(np.float32)], SAMPLE_RATE))
        listed.append({"id": name, "audio": f"{name}.wav", "groups": {"letter": name[0]}, "truth": truth})
    (directory / "manifest.json").write_text(json.dumps({"items": listed}))
    return directory


def crying(*times: float) -> dict[str, Any]:
    return {"label": "crying", **dict(zip(("start", "end"), times, strict=False))}


@pytest.mark.models
def test_sounds_are_judged_by_events_with_their_times(tmp_path: Path, data: Path) -> None:
    cry = read(data / "human" / "baby-cry.wav").samples
    spoken = read(data / "librivox" / "sense_and_sensibility_01_austen_64kb-0870.wav").samples
    within = np.concatenate([silence(3.0), cry, silence(3.0)])
    end = 3.0 + len(cry) / SAMPLE_RATE
    report = report_of(
        "nonverbal",
        corpus_of(
            tmp_path,
            a_hit=(within, {"sounds": [crying(3.0, end)]}),
            a_hit_somewhere=(within, {"sounds": [crying()]}),
            b_elsewhere=(within, {"sounds": [crying(0.5, 1.5)]}),
            b_something_else=(within, {"sounds": [{"label": "cough"}]}),
            c_nothing=(spoken, {"sounds": [], "context": []}),
            c_not_heard=(silence(2.0), {"sounds": [{"label": "sigh"}]}),
            c_not_judged=(spoken, {"text": "for another task"}),
        ),
    )
    recall, precision = figure(report, "recall"), figure(report, "precision")
    assert (recall.part, recall.whole, recall.items, recall.abstained) == (2, 5, 5, 1)
    assert (precision.part, precision.whole) == (2, 4)
    assert figure(report, "F1").value == pytest.approx(4 / (4 + 3 + 2))
    assert (figure(report, "recall", "letter: a").value, figure(report, "recall", "letter: b").value) == (1.0, 0.0)
    assert figure(report, "precision", "sound: crying").whole == 4
    false = figure(report, "false alarms per hour")
    seconds = 4 * len(within) / SAMPLE_RATE + len(spoken) / SAMPLE_RATE + 2.0
    assert false.part == 2
    assert false.whole == pytest.approx(seconds / 3_600, rel=1e-3)
    assert false.low < (false.value or 0) < false.high
    none = figure(report, "false alarms per hour", "letter: c")
    assert (none.part, none.low) == (0, 0.0)
    assert none.high > 100, "none in a few seconds says little"
    assert figure(report, "context invented", "letter: c").whole == 2
    assert report.missed == ("b_elsewhere", "b_something_else", "c_not_heard")
    assert "recall, plain YAMNet" in report.measures


@pytest.mark.models
@pytest.mark.parametrize(
    "truth",
    [
        {"sounds": "laughter"},
        {"sounds": [{"label": "joy"}]},
        {"sounds": [{"label": "cough", "start": 2.0, "end": 1.0}]},
        {"sounds": [{"label": "cough", "start": 1.0}]},
        {"sounds": [], "context": ["a kitchen"]},
    ],
)
def test_a_sound_that_is_none_of_ours_or_has_no_times_to_speak_of_is_refused(
    tmp_path: Path, truth: dict[str, Any]
) -> None:
    with pytest.raises(CorpusInvalid, match="wrong"):
        report_of("nonverbal", corpus_of(tmp_path, wrong=(silence(1.0), truth)))


@pytest.mark.models
def test_the_committed_clips_are_a_corpus_of_sounds_and_speech_is_one_without_any(data: Path) -> None:
    sounds, speech = report_of("nonverbal", data / "human"), report_of("nonverbal", data / "librivox")
    ours, plain = figure(sounds, "F1"), figure(sounds, "F1, plain YAMNet")
    assert (ours.value or 0) > (plain.value or 0)
    assert figure(speech, "false alarms per hour").part == 0
    assert figure(speech, "context invented").part == 0


@pytest.fixture
def spoken(data: Path) -> np.ndarray:
    return read(data / "librivox" / "sense_and_sensibility_01_austen_64kb-0920.wav").samples


def test_expressed_emotion_is_judged_with_its_abstentions_counted(tmp_path: Path, spoken: np.ndarray) -> None:
    report = report_of(
        "emotion",
        corpus_of(
            tmp_path,
            a=(spoken, {"emotion": "Medium arousal", "arousal": 0.5, "valence": 0.5}),
            b=(spoken[: 3 * SAMPLE_RATE], {"emotion": "high arousal", "arousal": 0.9}),
            c=(noise(4.0, -20.0), {"emotion": "medium arousal", "arousal": 0.2}),
        ),
    )
    coverage = figure(report, "coverage")
    assert (coverage.part, coverage.whole, coverage.abstained) == (2, 3, 1)
    assert figure(report, "coverage", "letter: c").value == 0.0
    right = figure(report, "accuracy where answered")
    assert (right.part, right.whole) == (1, 2)
    assert figure(report, "accuracy where answered", "emotion: medium arousal").value == 1.0
    # One of two of the medium ones is found, and one that is none is taken for it; the high one is missed.
    assert figure(report, "macro F1").value == pytest.approx((2 / (2 + 2) + 0) / 2)
    arousal = figure(report, "arousal concordance")
    assert (arousal.part, arousal.whole, arousal.abstained) == (2, 3, 1)
    assert arousal.value is not None
    assert -1.0 <= arousal.low <= arousal.value <= arousal.high <= 1.0
    valence = figure(report, "valence concordance")
    assert (valence.value, valence.whole, valence.abstained) == (None, 1, 1), "the default says nothing of valence"


def test_a_model_of_ones_own_is_judged_by_its_own_labels(tmp_path: Path, spoken: np.ndarray) -> None:
    directory = tiny(tmp_path / "mine", ["angry", "calm"])
    chosen = Setup(
        models=tmp_path,
        asr_model="whisper-base",
        threads=2,
        emotion_model="mine",
        own_models=own_manifest(directory, "transformers-emotion", threshold=0.0),
    )
    made = tmp_path / "corpus"
    made.mkdir()
    report = report_of("emotion", corpus_of(made, a=(spoken, {"emotion": "angry"})), chosen)
    assert figure(report, "coverage").value == 1.0
    assert report.about["parameters"] == "threshold 0"
    with pytest.raises(CorpusInvalid, match="no label is the same"):
        report_of("emotion", corpus_of(made, a=(spoken, {"emotion": "joy"})), chosen)
    with pytest.raises(ManifestInvalid, match="no engine of expressed emotion"):
        make("emotion", Setup(tmp_path, "whisper-base", 2, emotion_model="yamnet"))


@pytest.mark.parametrize("truth", [{"arousal": 1.5}, {"valence": "high"}, {"arousal": True}])
def test_a_dimension_off_its_scale_is_refused(tmp_path: Path, truth: dict[str, Any]) -> None:
    with pytest.raises(CorpusInvalid, match=r"0\.0 to 1\.0"):
        report_of("emotion", corpus_of(tmp_path, a=(silence(1.0), truth)))


def run(*arguments: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("evaluate", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_prints_markdown_or_json(data: Path) -> None:
    corpus = str(data / "redaction")
    text, progress = run(corpus, "--task", "redaction")
    assert text.startswith("# Evaluation: redaction")
    assert progress == ""
    body = json.loads(run(corpus, "--task", "redaction", "--json")[0])
    assert body["about"]["engine"] == "voxgov-redaction 1"
    assert {"measure", "group", "value", "low", "high"} <= set(body["figures"][0])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_somebody_who_looks_sees_a_progress_bar(data: Path) -> None:
    screen = Terminal()
    call_command("evaluate", str(data / "redaction"), "--task", "redaction", stdout=io.StringIO(), stderr=screen)
    assert "50%" in screen.getvalue()
    assert screen.getvalue().endswith("\r\033[K")


def test_a_corpus_for_another_task_and_a_task_that_is_not_there_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="none for redaction"):
        run(str(data / "librivox"), "--task", "redaction")
    for task in ("speaker", "diarization", "emotion"):
        with pytest.raises(CommandError, match=f"none for {task}"):
            run(str(data / "librivox"), "--task", task)
    with pytest.raises(CommandError, match="none for nonverbal"):
        run(str(data / "redaction"), "--task", "nonverbal")
    with pytest.raises(CommandError, match=r"manifest\.json"):
        run(str(tmp_path), "--task", "redaction")
    with pytest.raises(CommandError, match="invalid choice"):
        run(str(data / "redaction"), "--task", "taste")


def test_every_task_that_is_named_is_there() -> None:
    assert set(TASKS) == {"asr", "diarization", "emotion", "nonverbal", "redaction", "speaker"}
