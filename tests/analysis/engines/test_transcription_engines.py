"""Two libraries behind one engine: the same weights, the same clips, the same words at the same times, within what is stated.

The weights are Whisper tiny.en of the model pack, once as CTranslate2 has them (int8 on a CPU) and once rebuilt for
`transformers` (float32).
"""

import dataclasses
import json
import shutil
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from analysis.engines import transcription_choice, transcription_transformers
from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import Clip, no_checkpoint
from analysis.engines.manifest import Manifest, ManifestInvalid, ModelDigestMismatch, load_manifest, with_own
from analysis.engines.transcription import (
    LanguageUnsupported,
    Transcriber,
    TranscriptionOptions,
    TranslationUnsupported,
)
from analysis.engines.transcription_decoding import ModelUnloadable, Request
from analysis.engines.transcription_judging import TEMPERATURES, Hypothesis
from benchmarks.raw_whisper import Spoken, joined, word_error_rate
from benchmarks.whisper_checkpoint import rebuilt
from tests.analysis.engines.test_transcription import chords, hiss, silence, text_of, together, whole, words_of
from tests.factories import sha256
from voxgov.environment import models_dir

pytestmark = pytest.mark.models

TIMES_APART = 0.1
"""Seconds between the two engines' times of the same word, for nine edges of words in ten."""
FURTHEST_APART = 0.5
"""Seconds, for every edge."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of models with one checkpoint in it."""
    home = tmp_path_factory.mktemp("models")
    rebuilt(load_manifest().model("whisper-tiny-en").verified(models_dir()), home / "own-tiny-en")
    return home


def own(home: Path, engine: str = "transformers-whisper") -> Manifest:
    """The shipped models and the checkpoint, as an operator's own manifest names it."""
    files = [
        {"path": path.name, "size": path.stat().st_size, "sha256": sha256(path.read_bytes())}
        for path in sorted((home / "own-tiny-en").iterdir())
    ]
    listed = ",\n".join(
        f'{{ path = "{one["path"]}", size = {one["size"]}, sha256 = "{one["sha256"]}" }}' for one in files
    )
    manifest = home / "own.toml"
    manifest.write_text(
        f"""
schema = 1
[models.own-tiny-en]
task = "transcription"
engine = "{engine}"
version = "openai/whisper-tiny.en, float16"
licence = "MIT"
licence_class = "permissive"
languages = ["en"]
scopes = ["speech.transcribe"]
intended_use = "Tests."
limits = []
validated = false
files = [{listed}]
"""
    )
    return with_own(load_manifest(), manifest)


@pytest.fixture(scope="module")
def torched(home: Path) -> Transcriber:
    return transcription_choice.load(own(home).model("own-tiny-en"), home, device="cpu", threads=2)


def test_both_engines_hear_the_same_words_and_neither_is_worse_than_the_model_is(
    torched: Transcriber, tiny: Transcriber, activity: SpeechActivity, readings: tuple[Spoken, ...]
) -> None:
    spoken = [one.words for one in readings]
    heard = {
        name: [
            text_of(engine.run(one.clip, activity.run(one.clip), TranscriptionOptions(), no_checkpoint))
            for one in readings
        ]
        for name, engine in (("transformers", torched), ("ctranslate2", tiny))
    }
    wrong = {name: word_error_rate(spoken, texts) for name, texts in heard.items()}
    print(
        f"\nword error rate: {wrong}, of one against the other {word_error_rate(heard['ctranslate2'], heard['transformers']):.3f}"
    )
    assert wrong["transformers"] <= 0.1
    assert wrong["transformers"] <= wrong["ctranslate2"] + 0.02
    assert word_error_rate(heard["ctranslate2"], heard["transformers"]) <= 0.05


def test_both_engines_place_the_words_at_the_same_times(
    torched: Transcriber, tiny: Transcriber, activity: SpeechActivity, readings: tuple[Spoken, ...]
) -> None:
    apart: list[float] = []
    count = 0
    for one in readings:
        speech = activity.run(one.clip)
        first, second = (
            words_of(engine.run(one.clip, speech, TranscriptionOptions(), no_checkpoint)) for engine in (torched, tiny)
        )
        assert all(before.end <= after.start for before, after in pairwise(first))
        count += len(first)
        matcher = SequenceMatcher(None, [word.text for word in first], [word.text for word in second], autojunk=False)
        for here, there, length in matcher.get_matching_blocks():
            for left, right in zip(first[here : here + length], second[there : there + length], strict=True):
                apart += [abs(left.start - right.start), abs(left.end - right.end)]
                assert abs(left.probability - right.probability) < 0.5
    print(
        f"\nedges {len(apart)}: median {np.median(apart):.3f} s, 90 % {np.quantile(apart, 0.9):.3f} s, most {max(apart):.3f} s"
    )
    assert len(apart) > 1.7 * count
    assert np.quantile(apart, 0.9) <= TIMES_APART
    assert max(apart) <= FURTHEST_APART


def test_a_long_recording_is_heard_in_batches_with_the_words_that_it_has_window_by_window(
    torched: Transcriber, activity: SpeechActivity, readings: tuple[Spoken, ...]
) -> None:
    long = joined(readings, 70.0)
    speech = activity.run(long.clip)
    fractions: list[float] = []
    batched = torched.run(long.clip, speech, TranscriptionOptions(beam_size=1), fractions.append)
    single = torched.run(long.clip, speech, TranscriptionOptions(beam_size=1, batch_size=1), no_checkpoint)
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert word_error_rate([text_of(single)], [text_of(batched)]) <= 0.02
    assert word_error_rate([long.words], [text_of(batched)]) <= 0.15


@pytest.mark.parametrize("sound", [silence(4.0), hiss(6.0, 0.02), chords(8.0)], ids=["silence", "hiss", "music"])
def test_neither_engine_invents_words_on_what_is_wrongly_taken_for_speech(
    torched: Transcriber, tiny: Transcriber, sound: Any
) -> None:
    clip = Clip(sound)
    for engine in (torched, tiny):
        assert engine.run(clip, whole(clip), TranscriptionOptions(), no_checkpoint).utterances == ()


def test_where_beam_search_failed_a_rising_temperature_finds_the_words(
    torched: Transcriber, readings: tuple[Spoken, ...]
) -> None:
    runtime = torched._runtime
    looped = Hypothesis((11, 12, *[21, 22] * 40), "ah oh " * 40, 6.0, -0.1, 0.1, 0.0, endless=True)
    found = runtime.fall_back(runtime.encode(readings[1].clip.samples), Request("en"), looped)
    assert found.temperature in TEMPERATURES
    assert word_error_rate([readings[1].words], [found.text]) <= 0.3


def test_what_the_checkpoint_raises_ends_a_batch_that_is_being_decoded(
    torched: Transcriber, readings: tuple[Spoken, ...]
) -> None:
    class Withdrawn(Exception):
        pass

    calls: list[float] = []

    def withdrawn_while_decoding(fraction: float) -> None:
        calls.append(fraction)
        if len(calls) > 2:
            raise Withdrawn

    clip = joined(readings, 60.0).clip
    with pytest.raises(Withdrawn):
        torched.run(clip, whole(clip), TranscriptionOptions(beam_size=10), withdrawn_while_decoding)


def test_it_refuses_languages_and_translations_that_the_weights_do_not_know(
    torched: Transcriber, readings: tuple[Spoken, ...]
) -> None:
    clip = readings[1].clip
    with pytest.raises(LanguageUnsupported):
        torched.run(clip, whole(clip), TranscriptionOptions(language="de"), no_checkpoint)
    with pytest.raises(TranslationUnsupported) as refused:
        torched.run(clip, whole(clip), TranscriptionOptions(task="translate"), no_checkpoint)
    assert refused.value.code == "transcription_translation_unsupported"


def test_the_manifest_says_which_library_runs_a_model(home: Path, torched: Transcriber) -> None:
    clip = Clip(silence(1.0))
    identity = own(home).model("own-tiny-en").identity()
    made = torched.run(clip, [], TranscriptionOptions(), no_checkpoint).model
    assert (made.name, made.digest) == ("own-tiny-en", identity.digest)
    assert (made.parameters["device"], made.parameters["compute_type"]) == ("cpu", "float32")
    with pytest.raises(ManifestInvalid):
        transcription_choice.load(own(home, engine="yamnet").model("own-tiny-en"), home, threads=1)


def test_a_checkpoint_that_is_not_the_one_named_is_not_loaded(home: Path, tmp_path: Path) -> None:
    manifest = own(home)
    shutil.copytree(home / "own-tiny-en", tmp_path / "own-tiny-en")
    with (tmp_path / "own-tiny-en" / "config.json").open("a") as file:
        file.write(" ")
    with pytest.raises(ModelDigestMismatch):
        transcription_choice.load(manifest.model("own-tiny-en"), tmp_path, threads=1)


@pytest.mark.parametrize("damage", ["pickled", "remote code", "incomplete", "no tokenizer"])
def test_only_whole_safetensors_without_code_of_their_own_are_loaded(home: Path, tmp_path: Path, damage: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(home / "own-tiny-en", copy)
    if damage == "pickled":
        (copy / "model.safetensors").unlink()
        torch.save({}, copy / "pytorch_model.bin")
    elif damage == "remote code":
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "own.Model"}}))
    elif damage == "incomplete":
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps({**config, "decoder_layers": 5}))
    else:
        (copy / "tokenizer.json").unlink()
    with pytest.raises(ModelUnloadable):
        transcription_transformers.load(copy, device="cpu")


def test_heads_that_nobody_measured_are_those_of_the_later_layers(
    home: Path, tmp_path: Path, readings: tuple[Spoken, ...]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(home / "own-tiny-en", copy)
    (copy / "generation_config.json").unlink()
    engine = Transcriber(
        transcription_transformers.load(copy, device="cpu"), load_manifest().model("whisper-tiny-en").identity()
    )
    one = readings[1]
    words = words_of(engine.run(one.clip, whole(one.clip), TranscriptionOptions(beam_size=1), no_checkpoint))
    assert words
    assert words[-1].end > 0.7 * one.clip.duration


def test_a_voice_that_begins_later_has_its_words_later(torched: Transcriber, readings: tuple[Spoken, ...]) -> None:
    clip = readings[1].clip
    later = together(silence(2.0), clip.samples)
    speech = whole(clip)
    first = words_of(torched.run(clip, speech, TranscriptionOptions(beam_size=1), no_checkpoint))
    moved = [dataclasses.replace(one, start=one.start + 2.0, end=one.end + 2.0) for one in speech]
    second = words_of(torched.run(later, moved, TranscriptionOptions(beam_size=1), no_checkpoint))
    assert [word.text for word in first] == [word.text for word in second]
    assert max(abs(after.start - before.start - 2.0) for before, after in zip(first, second, strict=True)) < 0.33
