"""The tasks of `manage.py evaluate`: figures of known answers, the committed corpora, and the command itself."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from analysis.evaluation.corpus import Corpus
from analysis.evaluation.report import Figure, Report
from analysis.evaluation.task import TASKS, Setup, evaluate, make
from benchmarks.corpora.conversations import corpus as make_conversations
from benchmarks.corpora.personal_data import corpus as make_corpus
from benchmarks.corpora.personal_data import sentences
from benchmarks.corpora.voices import read_voices


def setup() -> Setup:
    return Setup(settings.VOXGOV_MODELS_DIR, settings.VOXGOV_ASR_MODEL, 2)


def report_of(task: str, directory: Path) -> Report:
    told: list[float] = []
    report = evaluate(task, make(task, setup()), Corpus.read(directory), told.append)
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
    for task in ("speaker", "diarization"):
        with pytest.raises(CommandError, match=f"none for {task}"):
            run(str(data / "librivox"), "--task", task)
    with pytest.raises(CommandError, match=r"manifest\.json"):
        run(str(tmp_path), "--task", "redaction")
    with pytest.raises(CommandError, match="invalid choice"):
        run(str(data / "redaction"), "--task", "taste")


def test_every_task_that_is_named_is_there() -> None:
    assert set(TASKS) == {"asr", "diarization", "redaction", "speaker"}
