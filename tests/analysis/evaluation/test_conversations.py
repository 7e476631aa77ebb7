"""Conversations put together from clips: the same for the same seed, and true as they say they are."""

import random
from pathlib import Path

import numpy as np

from analysis.engines.clip import SAMPLE_RATE
from analysis.evaluation.speaking import Spoken, errors
from benchmarks.corpora.conversations import Conversation, conversation
from benchmarks.corpora.voices import CONDITIONS, read_voices


def made(data: Path, seed: int) -> Conversation:
    return conversation(read_voices(data / "voices"), random.Random(seed), 40.0)


def test_the_same_seed_makes_the_same_conversation_in_which_every_voice_speaks(data: Path) -> None:
    one, again, other = made(data, 1), made(data, 1), made(data, 2)
    assert one.turns == again.turns != other.turns
    assert np.array_equal(one.sound, again.sound)
    assert {turn.speaker for turn in one.turns} == {"allison-smith", "carlo-flora", "june-wallack"}


def test_nobody_sounds_outside_of_the_turns(data: Path) -> None:
    talked = made(data, 1)
    seconds = len(talked.sound) / SAMPLE_RATE
    assert all(0.0 < turn.start < turn.end < seconds for turn in talked.turns)
    silent = np.ones(len(talked.sound), bool)
    for turn in talked.turns:
        silent[round((turn.start - 0.02) * SAMPLE_RATE) : round((turn.end + 0.02) * SAMPLE_RATE)] = False
    spoken = 10 * np.log10(np.mean(np.square(talked.sound[~silent])))
    assert 10 * np.log10(np.mean(np.square(talked.sound[silent])) + 1e-12) < spoken - 25.0


def test_every_condition_keeps_the_time(data: Path) -> None:
    talked = made(data, 1)
    for spoil in CONDITIONS.values():
        assert abs(len(spoil(talked.sound)) - len(talked.sound)) <= 2


def test_a_conversation_judged_against_itself_has_no_error(data: Path) -> None:
    turns = [Spoken(turn.start, turn.end, turn.speaker) for turn in made(data, 1).turns]
    assert errors(turns, turns).total == 0.0
