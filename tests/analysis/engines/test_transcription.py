"""Transcription on real speech with the real weights: words, times, language, and nothing where nobody spoke."""

import json
import wave
import zlib
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import SAMPLE_RATE, Clip, ModelIdentity, Samples, Stretch, no_checkpoint
from analysis.engines.manifest import load_manifest
from analysis.engines.transcription import (
    LanguageUnsupported,
    Transcriber,
    Transcript,
    TranscriptionEngine,
    TranscriptionOptions,
    Word,
)
from analysis.engines.transcription_decoding import COMPRESSION_LIMIT, ModelUnloadable
from benchmarks.raw_whisper import Spoken, joined, librivox, word_error_rate
from voxgov.environment import models_dir

pytestmark = pytest.mark.models

HUMAN = Path(__file__).resolve().parents[2] / "data" / "human"
ENGLISH = TranscriptionOptions(language="en")
BEAM_OF_ONE = TranscriptionOptions(language="en", beam_size=1)


def load(name: str) -> Transcriber:
    entry = load_manifest().model(name)
    return Transcriber.load(entry.verified(models_dir()), entry.identity(), device="cpu", threads=2)


@pytest.fixture(scope="module")
def base() -> Transcriber:
    return load("whisper-base")


@pytest.fixture(scope="module")
def tiny() -> Transcriber:
    return load("whisper-tiny-en")


@pytest.fixture(scope="module")
def activity() -> SpeechActivity:
    return SpeechActivity.load()


@pytest.fixture(scope="module")
def readings() -> tuple[Spoken, ...]:
    return librivox()


def text_of(transcript: Transcript) -> str:
    return " ".join(utterance.text for utterance in transcript.utterances)


def words_of(transcript: Transcript) -> list[Word]:
    return [word for utterance in transcript.utterances for word in utterance.words]


def whole(clip: Clip) -> list[Stretch]:
    return [Stretch(0.0, clip.duration)]


def together(*parts: Samples) -> Clip:
    return Clip(np.concatenate(parts).astype(np.float32))


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)


def hiss(seconds: float, level: float) -> Samples:
    return np.random.default_rng(7).normal(0.0, level, round(seconds * SAMPLE_RATE)).astype(np.float32)


def chords(seconds: float) -> Samples:
    """Plucked chords, one each half second, with a drum of noise on every beat."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    beat = time % 0.5
    roots = np.array([220.0, 174.6, 196.0, 261.6])[(time // 2.0).astype(int) % 4]
    notes = sum(np.sin(2 * np.pi * roots * ratio * time) for ratio in (1.0, 1.26, 1.5, 2.0))
    drum = np.random.default_rng(3).normal(0.0, 1.0, len(time)) * np.exp(-beat * 40)
    return np.asarray(0.08 * notes * np.exp(-beat * 4) + 0.1 * drum, dtype=np.float32)


def test_at_most_five_words_in_a_hundred_are_wrong_on_the_librivox_clips(
    base: Transcriber, activity: SpeechActivity, readings: tuple[Spoken, ...]
) -> None:
    transcripts = [
        base.run(one.clip, activity.run(one.clip), TranscriptionOptions(), no_checkpoint) for one in readings
    ]

    assert word_error_rate([one.words for one in readings], [text_of(one) for one in transcripts]) <= 0.05
    assert {transcript.language for transcript in transcripts} == {"en"}
    assert min(transcript.language_probability for transcript in transcripts) > 0.9


def test_words_are_in_order_inside_the_clip_and_carry_their_model(
    base: Transcriber, activity: SpeechActivity, readings: tuple[Spoken, ...]
) -> None:
    for one in readings:
        transcript = base.run(one.clip, activity.run(one.clip), ENGLISH, no_checkpoint)
        words = words_of(transcript)

        assert transcript.model == load_manifest().model("whisper-base").identity()
        assert words[0].start >= 0.0
        assert words[-1].end <= one.clip.duration
        assert all(word.start < word.end and 0.0 <= word.probability <= 1.0 for word in words)
        assert all(before.end <= after.start for before, after in pairwise(words))
        for utterance in transcript.utterances:
            assert (utterance.start, utterance.end) == (utterance.words[0].start, utterance.words[-1].end)
            assert utterance.text.split() == [word.text for word in utterance.words]


def test_three_seconds_of_silence_before_the_speech_move_every_word_by_three_seconds(
    base: Transcriber, activity: SpeechActivity, readings: tuple[Spoken, ...]
) -> None:
    for one in readings:
        later = together(silence(3.0), one.clip.samples)
        first = words_of(base.run(one.clip, activity.run(one.clip), ENGLISH, no_checkpoint))
        moved = words_of(base.run(later, activity.run(later), ENGLISH, no_checkpoint))

        assert [word.text for word in moved] == [word.text for word in first]
        assert moved == [pytest.approx_word(word, 3.0) for word in first]
