"""What is found as personal data, in which forms, and what is left alone. Recall and precision over many sentences are measured by
`manage.py evaluate`; here stand the promises that hold for every one.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.redaction.finding import RECOGNIZERS, RecognizerFailed, find, find_all
from analysis.redaction.heard import Heard
from analysis.redaction.spans import DataType, Found, Word
from tests.analysis.redaction.said import found, text_of, words

CARD = "4111 1111 1111 1111"


@pytest.mark.parametrize(
    ("text", "kind", "inside"),
    [
        ("write to anna.miller@example.com today", "email", "anna.miller@example.com"),
        ("it is anna dot miller at g mail dot com thanks", "email", "anna dot miller at g mail dot com"),
        ("call four one five triple five oh one three two", "phone", "four one five triple five oh one three two"),
        ("call +49 30 901820 please", "phone", "+49 30 901820"),
        (f"the card is {CARD} okay", "card", CARD),
        ("forty one eleven eleven eleven eleven eleven eleven eleven", "card", "forty one" + " eleven" * 7),
        (
            "to D E eight nine three seven oh four double oh double four oh five three two oh one three double oh oh",
            "iban",
            "",
        ),
        ("my social is 219-09-9999 sir", "national_id", "219-09-9999"),
        ("I live at 221B Baker Street, London NW1 6XE.", "address", "221B Baker Street, London NW1 6XE."),
        (
            "born on the twelfth of March nineteen eighty four",
            "birth_date",
            "the twelfth of March nineteen eighty four",
        ),
        ("my name is Anna Miller and", "name", "Anna Miller"),
        ("call 415.555.0132 today", "phone", "415.555.0132"),
        ("it's six one seven, hold on, five five five um oh one four four", "phone", ""),
        ("it's six one seven five, no sorry, six one seven five five six oh one four four", "phone", ""),
        ("my name is, um, Gareth Pemberton", "name", "Gareth Pemberton"),
        ("he was my late husband, Quill Pemberton,", "name", "Quill Pemberton,"),
        ("the amount of 415.555.132 or 5,555,555,555 for Anna", "name", "Anna"),
        ("my passport number is K 4 4 1 9 2 X", "identifier", "K 4 4 1 9 2 X"),
    ],
)
def test_each_kind_is_found_as_it_is_written_and_as_it_is_said(text: str, kind: str, inside: str) -> None:
    (span,) = found(text)
    assert span[0] == kind
    assert span[1] == inside or not inside


@given(st.text("0123456789", min_size=15, max_size=15))
def test_a_number_that_fails_luhn_is_no_card(digits: str) -> None:
    total = sum((2 * int(d) - 9 if int(d) > 4 else 2 * int(d)) if i % 2 == 0 else int(d) for i, d in enumerate(digits))
    right = (10 - total % 10) % 10
    for check in range(10):
        number = digits + str(check)
        kinds = {kind for kind, _ in found(f"my card is {number}")}
        if check != right:
            assert "card" not in kinds
        elif number[0] == "4":
            assert kinds == {"card"}


def test_a_misheard_card_number_is_still_taken_out_where_the_speaker_calls_it_one() -> None:
    assert found("my card number is 4111 1111 1111 1112") == [("identifier", "4111 1111 1111 1112")]
    assert found("the total of 4111 1111 1111 1112 units") == []


def test_a_date_is_a_date_of_birth_only_where_somebody_says_so() -> None:
    assert found("it happened on March 12, 1984, a cold day") == []
    assert found("I was born on March 12, 1984, a cold day") == [("birth_date", "March 12, 1984,")]


def test_what_was_found_once_is_found_wherever_it_stands() -> None:
    text = "My name is Anna Miller. Later Miller paid, and Anna Miller left. A miller grinds."
    assert [said for _, said in found(text)] == ["Anna Miller.", "Miller", "Anna Miller"]


def test_a_question_on_one_channel_is_heard_with_the_answer_on_another() -> None:
    agent = words("And what is your date of birth please?")
    caller = words("March 12, 1984.", start=3.0)
    assert find(caller) == ()
    spans = find_all([agent, caller])
    assert spans[0] == ()
    assert [(span.type, text_of(caller, span)) for span in spans[1]] == [(DataType.BIRTH_DATE, "March 12, 1984.")]
    # Long after the question it is a date like any other.
    assert find_all([agent, words("March 12, 1984.", start=60.0)])[1] == ()


def test_a_name_beside_a_name_is_one_and_what_stands_beside_a_dot_is_none() -> None:
    assert [said for _, said in found("we met Marta and Zdravko or Quill there")] == ["Marta", "Zdravko", "Quill"]
    assert found("this is Booking dot com, please hold") == []


def test_a_number_that_one_repeats_is_found_on_both_channels() -> None:
    caller = words("my phone number is 555 0132 99")
    agent = words("so 555 0132 99 it is", start=30.0)
    assert [len(spans) for spans in find_all([caller, agent])] == [1, 1]


def test_a_span_has_the_times_of_its_words_and_says_who_found_it() -> None:
    said = words("my card is 4111 1111 1111 1111 okay")
    (span,) = find(said)
    assert (span.start, span.end) == (said[3].start, said[6].end)
    assert (span.words, span.recognizer, span.score) == (range(3, 7), "card", 0.99)


@dataclass(frozen=True)
class Fixed:
    """A recognizer that answers the same whatever it hears, but for what is gone."""

    stretches: tuple[tuple[int, int], ...]
    kind: DataType = DataType.NAME
    name: str = "fixed"

    def find(self, heard: Heard, /) -> Iterator[Found]:
        for first, last in self.stretches:
            if last < len(heard) and not any(heard.taken[first : last + 1]):
                yield Found(self.kind, first, last, 0.5)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 6)), max_size=8))
def test_overlapping_spans_merge(stretches: list[tuple[int, int]]) -> None:
    said = words(" ".join(f"w{number}," for number in range(27)))
    wanted = tuple((first, first + more) for first, more in stretches)
    spans = find(said, [Fixed(wanted)])
    covered = {index for first, last in wanted for index in range(first, last + 1)}
    assert {index for span in spans for index in span.words} >= covered
    for before, after in pairwise(spans):
        assert before.words.stop <= after.words.start
        assert before.end <= after.start
    for span in spans:
        assert span.start == said[span.words[0]].start
        assert span.end == said[span.words[-1]].end


def test_the_surest_of_overlapping_spans_gives_the_type() -> None:
    said = words("a b c d e")
    loose, sure = Fixed(((0, 2),)), Fixed(((2, 4),), DataType.PHONE)
    (span,) = find(said, [loose, sure])
    assert (span.words, span.type) == (range(5), DataType.NAME)


def test_a_recognizer_of_ones_own_takes_part_and_a_wrong_one_is_told() -> None:
    @dataclass(frozen=True)
    class Badges:
        name: str = "badges"

        def find(self, heard: Heard, /) -> Iterator[Found]:
            for index, word in enumerate(heard.lower):
                if word.startswith("badge-"):
                    yield Found(DataType.IDENTIFIER, index, index, 0.9)

    (span,) = find(words("take badge-771 with you"), [*RECOGNIZERS, Badges()])
    assert (span.recognizer, span.words) == ("badges", range(1, 2))

    @dataclass(frozen=True)
    class Wild:
        name: str = "wild"

        def find(self, heard: Heard, /) -> Iterator[Found]:
            yield Found(DataType.NAME, 0, len(heard), 1.0)

    with pytest.raises(RecognizerFailed):
        find(words("one word"), [Wild()])


@pytest.mark.parametrize("times", [(1.0, 0.5), (-1.0, 0.0), (0.0, float("nan")), (float("inf"), float("inf"))])
def test_a_word_without_right_times_is_refused(times: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="start and an end"):
        Word("word", *times)


def test_many_words_take_time_in_proportion() -> None:
    text = "my name is Anna Miller and my number is four one five five five five zero one three two okay thank you bye now "

    def seconds(times: int) -> float:
        said = words(text * times)
        began = time.perf_counter()
        find(said)
        return time.perf_counter() - began

    seconds(5)
    assert seconds(200) < 30 * seconds(20)


def test_a_recital_of_digits_without_end_ends() -> None:
    began = time.perf_counter()
    find(words("1 " * 3000))
    find(words("x 7 " * 3000))
    assert time.perf_counter() - began < 20
