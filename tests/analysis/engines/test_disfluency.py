"""Repetitions and restarts in words with times."""

from dataclasses import dataclass

import pytest

from analysis.engines.disfluency import Disfluencies, DisfluencyReader, Kind


@dataclass(frozen=True)
class Word:
    text: str
    start: float
    end: float


def read(text: str, pauses: dict[int, float] | None = None) -> Disfluencies:
    """Words of 0.3 s one after another; `pauses` are seconds before the word of that number."""
    words, at = [], 0.0
    for index, piece in enumerate(text.split()):
        at += (pauses or {}).get(index, 0.0)
        words.append(Word(piece, at, at + 0.3))
        at += 0.3
    return DisfluencyReader().run(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I I think so", ["i"]),
        ("We want, we want to go", ["we want"]),
        ("it is the it is the end", ["it is the"]),
        ("the the the cat", ["the", "the"]),
    ],
)
def test_words_said_twice_in_a_row_are_repetitions(text: str, words: list[str]) -> None:
    found = read(text)
    assert [(each.kind, each.words) for each in found.disfluencies] == [(Kind.REPETITION, each) for each in words]
    assert found.summary.repetitions == len(words)


@pytest.mark.parametrize(
    "text", ["no no that is all", "very very good", "he had had enough", "the cat and the dog", ""]
)
def test_what_is_said_twice_rightly_is_none(text: str) -> None:
    assert read(text).disfluencies == ()


def test_words_far_apart_are_no_repetition() -> None:
    assert read("yours yours", {1: 3.0}).disfluencies == ()


def test_what_begins_again_after_a_break_is_a_restart() -> None:
    for found in (read("I was- I went home"), read("I was I went home", {2: 0.3}), read("I was going— I went home")):
        (restart,) = found.disfluencies
        assert (restart.kind, restart.words, restart.start) == (Kind.RESTART, "i", 0.0)
    assert read("I was I went home").disfluencies == ()


def test_the_place_is_that_of_both_sayings() -> None:
    (found,) = read("so we we go", {2: 0.5}).disfluencies
    assert (found.start, found.end) == pytest.approx((0.3, 1.4))
    assert read("so we we go").summary.words == 4
