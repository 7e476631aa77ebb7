"""Diarization errors that can be counted by hand."""

import pytest

from analysis.evaluation.speaking import Errors, Spoken, errors

TRUE = [Spoken(0.0, 4.0, "ann"), Spoken(5.0, 8.0, "ben"), Spoken(9.0, 12.0, "ann")]


def found(*turns: tuple[float, float, str | None]) -> list[Spoken]:
    return [Spoken(*turn) for turn in turns]


def test_the_same_turns_under_other_names_are_no_error() -> None:
    assert errors(TRUE, found((0, 4, "2"), (5, 8, "1"), (9, 12, "2"))) == Errors(10.0, 0.0, 0.0, 0.0)


def test_missed_invented_and_confused_speech_are_told_apart() -> None:
    assert errors(TRUE, found((1, 4, "1"), (5, 8, "2"), (9, 12, "1"))) == Errors(10.0, 1.0, 0.0, 0.0)
    assert errors(TRUE, found((0, 4.5, "1"), (5, 8, "2"), (9, 12, "1"))) == Errors(10.0, 0.0, 0.5, 0.0)
    assert errors(TRUE, found((0, 4, "1"), (5, 8, "2"), (9, 10, "1"), (10, 12, "2"))) == Errors(10.0, 0.0, 0.0, 2.0)


def test_one_voice_for_everybody_is_matched_with_whoever_speaks_most() -> None:
    assert errors(TRUE, found((0, 4, "1"), (5, 8, "1"), (9, 12, "1"))).confused == 3.0


def test_a_voice_split_in_two_costs_its_smaller_part() -> None:
    assert errors(TRUE, found((0, 4, "1"), (5, 8, "2"), (9, 12, "3"))).confused == 3.0


def test_speech_given_to_nobody_is_confused_and_not_missed() -> None:
    answer = errors(TRUE, found((0, 4, "1"), (5, 8, None), (9, 12, "1")))
    assert (answer.missed, answer.confused, answer.total) == (0.0, 3.0, 3.0)


def test_where_two_speak_both_must_be_found() -> None:
    both = [Spoken(0.0, 4.0, "ann"), Spoken(3.0, 6.0, "ben")]
    assert errors(both, found((0, 3, "1"), (3, 6, "2"))) == Errors(7.0, 1.0, 0.0, 0.0)


def test_the_collar_leaves_out_what_lies_around_true_edges() -> None:
    late = found((0.2, 4.2, "1"), (5.2, 8.2, "2"), (9.2, 12.2, "1"))
    assert errors(TRUE, late).total == pytest.approx(1.2)
    assert errors(TRUE, late, 0.25) == Errors(8.5, 0.0, 0.0, 0.0)


def test_nothing_found_is_all_missed_and_nothing_said_is_all_invented() -> None:
    assert errors(TRUE, []) == Errors(10.0, 10.0, 0.0, 0.0)
    assert errors([], found((0, 2, "1"))) == Errors(0.0, 0.0, 2.0, 0.0)
    assert errors([], []) == Errors(0.0, 0.0, 0.0, 0.0)
