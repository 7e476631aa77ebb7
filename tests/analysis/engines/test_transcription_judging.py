"""What is believed of a decoded text: thresholds at their edges, and where a loop begins."""

import pytest

from analysis.engines.transcription_judging import Hypothesis, before_loop, is_echo


def decoded(
    text: str,
    *,
    seconds: float = 10.0,
    avg_logprob: float = -0.2,
    no_speech: float = 0.01,
) -> Hypothesis:
    return Hypothesis(
        tokens=tuple(range(len(text.split()))),
        text=text,
        seconds=seconds,
        avg_logprob=avg_logprob,
        no_speech_probability=no_speech,
        temperature=0.0,
    )


READ = "He was not an ill-disposed young man."
CHANT = "Polymsia, " * 20


def test_likely_words_are_text_and_need_no_second_try() -> None:
    assert decoded(READ).is_text
    assert not decoded(READ).failed
    assert decoded(READ, avg_logprob=-1.0).is_text


def test_on_doubted_sound_only_a_certain_text_is_believed() -> None:
    assert decoded(READ, avg_logprob=-0.7, no_speech=0.9).is_text
    assert not decoded(READ, avg_logprob=-0.71, no_speech=0.26).is_text
    assert decoded(READ, avg_logprob=-0.71, no_speech=0.25).is_text


def test_unlikely_words_are_drawn_for_again_only_where_the_sound_is_not_doubted() -> None:
    assert decoded(READ, avg_logprob=-1.01, no_speech=0.25).failed
    assert not decoded(READ, avg_logprob=-1.01, no_speech=0.26).failed
    assert not decoded(READ, avg_logprob=-1.01, no_speech=0.25).is_text
    assert not decoded(READ, avg_logprob=-1.01, no_speech=0.26).is_text


def test_repetition_is_drawn_for_again_and_on_doubted_sound_never_reported() -> None:
    assert decoded(CHANT).failed
    assert decoded(CHANT).is_text
    assert decoded(CHANT, no_speech=0.5).failed
    assert not decoded(CHANT, no_speech=0.5).is_text


def test_more_characters_than_can_be_spoken_are_not_reported() -> None:
    assert decoded("a" * 45, seconds=1.0).is_text
    assert not decoded("ab" * 23, seconds=1.0).is_text
    assert decoded("ab" * 23, seconds=1.0).failed


def test_nothing_is_no_text() -> None:
    assert not decoded("").is_text


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        ([], []),
        ([1, 2, 3], [1, 2, 3]),
        ([1, 2, 9, 9, 9], [1, 2, 9, 9, 9]),
        ([1, 2, *[9] * 7], [1, 2, 9]),
        ([1, 2, *[7, 8] * 4], [1, 2, 7, 8]),
        ([1, 2, *[7, 8, 6] * 5, 4, 5], [1, 2, 7, 8, 6]),
        ([1, *[2, 3, 4, 5] * 2, 6], [1, 2, 3, 4, 5, 2, 3, 4, 5, 6]),
        ([*[1, 2, 3] * 40], [1, 2, 3]),
    ],
)
def test_a_phrase_that_goes_round_is_kept_once_with_what_came_before_it(tokens: list[int], kept: list[int]) -> None:
    assert list(before_loop(tokens)) == kept


@pytest.mark.parametrize(
    ("text", "echo"),
    [
        ("She spoke of the house.", True),
        ("She spoke of the house. She spoke of the house.", True),
        ("the HOUSE, she", True),
        ("She spoke of the garden.", False),
        ("house the of", False),
        ("", False),
        ("...", False),
    ],
)
def test_a_text_is_an_echo_where_its_words_stand_in_the_prompt_one_after_another(text: str, echo: bool) -> None:
    assert is_echo(text, "She spoke of the house. She spoke of the house.") is echo
    assert not is_echo(text, "")
