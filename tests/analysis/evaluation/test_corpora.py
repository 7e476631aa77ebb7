"""A corpus is read strictly, so that a figure is never of something else than its reader thinks."""

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.evaluation import marked_text
from analysis.evaluation.corpus import Corpus, CorpusInvalid
from analysis.evaluation.marked_text import MarkedTextInvalid
from analysis.redaction.spans import DataType
from benchmarks.corpora import vocalizations


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "corpus"
    place.mkdir()
    (place / "a.wav").write_bytes(b"a")
    (place / "b.wav").write_bytes(b"b")
    (tmp_path / "outside.wav").write_bytes(b"o")
    return place


def write(directory: Path, manifest: Any, **files: Any) -> Path:
    (directory / "manifest.json").write_text(json.dumps(manifest))
    for name, content in files.items():
        (directory / f"{name}.json").write_text(json.dumps(content))
    return directory


def test_items_come_with_their_groups_truth_and_audio(directory: Path) -> None:
    items = [
        {"id": "first", "audio": "a.wav", "groups": {"speaker": "x"}, "truth": {"text": "hello"}},
        {"truth": {"sentences": "some.txt"}},
    ]
    corpus = Corpus.read(write(directory, {"name": "n", "source": "s", "licence": "l", "items": items}))
    assert (corpus.name, corpus.source, corpus.licence) == ("n", "s", "l")
    assert [(item.id, item.audio) for item in corpus.items] == [("first", directory / "a.wav"), ("2", None)]
    assert corpus.items[0].groups == {"speaker": "x"}


def test_transcripts_make_items_of_their_own_or_add_to_those_that_are_named(directory: Path) -> None:
    manifest = {"items": [{"audio": "a.wav", "groups": {"speaker": "x"}}], "transcripts": "said.json"}
    corpus = Corpus.read(write(directory, manifest, said={"a.wav": "hello", "b.wav": "bye"}))
    assert [(item.id, dict(item.groups), dict(item.truth)) for item in corpus.items] == [
        ("a.wav", {"speaker": "x"}, {"text": "hello"}),
        ("b.wav", {}, {"text": "bye"}),
    ]


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ([], "no JSON object"),
        ({}, "names no items"),
        ({"items": {}}, "is a list"),
        ({"items": [], "tasks": []}, "'tasks' is not known"),
        ({"items": [3]}, "is no object"),
        ({"items": [{"audio": "a.wav", "text": "hello"}]}, "'text' is not known"),
        ({"items": [{"audio": "c.wav"}]}, "c.wav is not there"),
        ({"items": [{"audio": "../outside.wav"}]}, "lies outside"),
        ({"items": [{"audio": "a.wav", "groups": []}]}, "are objects"),
        ({"items": [{"id": "x"}, {"id": "x"}]}, "one id to two"),
        ({"transcripts": "missing.json"}, "missing.json is not there"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_with_what_to_correct(directory: Path, manifest: Any, says: str) -> None:
    with pytest.raises(CorpusInvalid, match=says):
        Corpus.read(write(directory, manifest))


def test_a_directory_without_a_manifest_or_with_a_broken_one_is_no_corpus(directory: Path) -> None:
    with pytest.raises(CorpusInvalid, match="cannot be read"):
        Corpus.read(directory)
    (directory / "manifest.json").write_text("{")
    with pytest.raises(CorpusInvalid, match="not JSON"):
        Corpus.read(directory)


def test_marks_become_words_with_their_punctuation() -> None:
    text = "# a remark\n\nNo group {name|Anna Miller}, yes.\n[spoken]\n  Nothing here.\n"
    first, second = marked_text.read(text, "file.txt")
    assert (first.place, first.group, first.words) == ("file.txt:3", "", ("No", "group", "Anna", "Miller,", "yes."))
    assert [(truth.type, truth.words) for truth in first.truths] == [(DataType.NAME, range(2, 4))]
    assert (second.place, second.group, second.truths) == ("file.txt:5", "spoken", ())


@pytest.mark.parametrize("line", ["{name|Anna", "name|Anna}", "{nickname|Anna}", "{name|}", "a | b"])
def test_a_mark_that_is_wrong_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(MarkedTextInvalid, match=r"file\.txt:2"):
        list(marked_text.read(f"Fine.\n{line}\n", "file.txt"))


def test_the_two_halves_of_the_vocalizations_share_nobody_and_are_the_whole(tmp_path: Path) -> None:
    for name in (*vocalizations.SOUNDS, *vocalizations.OTHERS):
        (tmp_path / name).mkdir()
        for speaker in ("0C1S", "1TCO", "06RU", "0DYI", "LAA7", "WVST"):
            (tmp_path / name / f"{speaker}_4_8_0_27_0_0_1.wav").touch()

    def listed(half: str | None = None) -> set[str]:
        count = vocalizations.corpus(tmp_path, half)
        items = json.loads((tmp_path / "manifest.json").read_text())["items"]
        assert len(items) == count
        return {item["audio"] for item in items}

    tuning, held_out = (listed(half) for half in vocalizations.HALVES)
    speakers = [{Path(audio).name.split("_")[0] for audio in half} for half in (tuning, held_out)]
    assert tuning | held_out == listed()
    assert not speakers[0] & speakers[1]
    with pytest.raises(ValueError, match="sneezing"):
        vocalizations.corpus(tmp_path / "sighing")
