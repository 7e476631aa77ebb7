"""A redacted transcript holds nothing of what was found, stays as it is when it is redacted again, and keeps the rest."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.redaction.finding import RECOGNIZERS, find, known_from
from analysis.redaction.rewriting import REMOVED, Script, TranscriptUnreadable, scrubbed, text_redacted
from analysis.redaction.spans import DataType, Span, Word

PARTS = (
    "my name is",
    "Anna Miller",
    "Miller,",
    "Hello",
    "hi,",
    "my son Oliver.",
    "Dr. Lindqvist",
    "M I L L E R",
    "my phone number is",
    "415-555-0132.",
    "four one five five five five oh one three two",
    "card",
    "4111 1111 1111 1111",
    "4111 1111 1111 1112",
    "anna.miller@example.com,",
    "anna dot miller at example dot com",
    "at gmail.com",
    "I live at",
    "221B Baker Street, London NW1 6XE.",
    "forty eight birchwood avenue",
    "I was born on",
    "March 12, 1984.",
    "1984",
    "DE89 3704 0044 0532 0130 00",
    "219-09-9999",
    "security code 123",
    "123.",
    "order number",
    "okay.",
    "Will you",
    "[NAME]",
    "one",
)
texts = st.lists(st.sampled_from(PARTS), min_size=1, max_size=9).map(" ".join)


def transcript(*texts: str, start: float = 0.0) -> dict[str, Any]:
    """As the engine writes one: an utterance for each text, a second between them."""
    utterances = []
    for text in texts:
        times = [start + 0.4 * place for place in range(len(text.split()))]
        utterances.append(
            {
                "start": start,
                "end": round(times[-1] + 0.3, 3),
                "text": text,
                "words": [
                    {"text": word, "start": round(time, 3), "end": round(time + 0.3, 3), "probability": 0.9}
                    for word, time in zip(text.split(), times, strict=True)
                ],
                "avg_logprob": -0.2,
                "temperature": 0.0,
            }
        )
        start = times[-1] + 1.3
    return {"utterances": utterances}


def redacted(body: dict[str, Any]) -> tuple[dict[str, Any], tuple[Span, ...], tuple[Word, ...]]:
    script = Script(body)
    spans = find(script.words)
    return script.redacted(spans), spans, script.words


def bare(text: str) -> list[str]:
    return [word.strip(".,;:!?") for word in text.split()]


def contains(sequence: list[str], part: list[str]) -> bool:
    return any(sequence[at : at + len(part)] == part for at in range(len(sequence) - len(part) + 1))


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, min_size=1, max_size=3))
def test_redacted_text_never_holds_what_was_found(utterances: list[str]) -> None:
    result, spans, words = redacted(transcript(*utterances))
    everything = [word for utterance in result["utterances"] for word in bare(utterance["text"])]
    listed = [word["text"].strip(".,;:!?") for utterance in result["utterances"] for word in utterance["words"]]
    assert everything == listed
    for span in spans:
        said = [words[index].text.strip(".,;:!?") for index in span.words]
        if span.type is not DataType.NAME:
            assert not contains([word.lower() for word in everything], [word.lower() for word in said])
        if not any(word in ("[NAME]",) for word in said):
            assert not contains(everything, said)


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, min_size=1, max_size=3))
def test_redacted_once_more_nothing_changes(utterances: list[str]) -> None:
    once, _, _ = redacted(transcript(*utterances))
    again, spans, _ = redacted(once)
    assert spans == ()
    assert again == once


@settings(max_examples=200, deadline=None)
@given(st.lists(texts, min_size=1, max_size=3))
def test_every_other_word_stays_with_its_times(utterances: list[str]) -> None:
    body = transcript(*utterances)
    result, spans, words = redacted(body)
    taken = {index for span in spans for index in span.words}
    left = [(word.text, word.start, word.end) for index, word in enumerate(words) if index not in taken]
    listed = [(w["text"], w["start"], w["end"]) for u in result["utterances"] for w in u["words"]]
    assert [word for word in listed if word in left] == left
    assert len(listed) == len(left) + len(spans)


def test_one_placeholder_stands_for_all_words_of_a_span_and_has_their_times() -> None:
    result, _, _ = redacted(transcript("so my name is Anna Miller, okay"))
    (utterance,) = result["utterances"]
    assert utterance["text"] == "so my name is [NAME], okay"
    assert utterance["words"][4] == {"text": "[NAME],", "start": 1.6, "end": 2.3, "probability": 0.9}
    assert (utterance["avg_logprob"], utterance["temperature"]) == (-0.2, 0.0)


def test_a_number_said_across_utterances_is_one_span_and_nothing_of_it_stays() -> None:
    body = transcript("my number is four one five", "five five five", "oh one three two okay")
    result, spans, _ = redacted(body)
    assert len(spans) == 1
    assert [utterance["text"] for utterance in result["utterances"]] == ["my number is [PHONE]", "okay"]


def test_members_that_nobody_knows_do_not_come_along() -> None:
    body = transcript("my name is Anna Miller")
    body["text"] = "my name is Anna Miller"
    body["utterances"][0]["raw"] = {"text": "Anna Miller"}
    body["utterances"][0]["words"][3]["tokens"] = ["Anna"]
    assert "Anna" not in json.dumps(redacted(body)[0])


@pytest.mark.parametrize("words", [[], [{"text": "my", "start": 0.0, "end": 0.2, "probability": 1.0}]])
def test_where_words_do_not_cover_the_text_the_text_counts_and_its_words_have_the_utterances_times(
    words: list[dict[str, Any]],
) -> None:
    body = {"utterances": [{"start": 1.0, "end": 4.0, "text": "my name is Anna Miller", "words": words}]}
    result, spans, _ = redacted(body)
    assert result["utterances"] == [{"start": 1.0, "end": 4.0, "text": "my name is [NAME]", "words": []}]
    assert [(span.start, span.end) for span in spans] == [(1.0, 4.0)]


def test_writing_without_spaces_stays_without() -> None:
    words = [
        {"text": text, "start": at, "end": at + 0.3} for at, text in enumerate(["我的", "是", "a@b.example", "吗"])
    ]
    body = {"utterances": [{"start": 0.0, "end": 4.0, "text": "我的是a@b.example吗", "words": words}]}
    assert redacted(body)[0]["utterances"][0]["text"] == "我的是[EMAIL]吗"


@pytest.mark.parametrize(
    "body", [{}, {"utterances": None}, {"utterances": [{"text": "no times"}]}, {"utterances": [3]}]
)
def test_a_transcript_that_does_not_say_what_was_said_when_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(TranscriptUnreadable):
        Script(body)


def test_what_else_was_made_from_the_words_loses_them_by_time_and_by_text() -> None:
    script = Script(transcript("my name is Anna Miller okay"))
    spans = find(script.words)
    evidence = {
        "markers": [
            {"start": 1.5, "end": 2.0, "words": ["Ann"], "label": "flat", "score": 0.5},
            {"start": 5.0, "end": 6.0, "wording": "fine", "label": "falling", "score": 0.7},
        ],
        "note": "Anna Miller said so, write to a@b.example",
        "count": 2,
    }
    assert scrubbed(evidence, spans, RECOGNIZERS, known_from([script.words], [spans])) == {
        "markers": [
            {"start": 1.5, "end": 2.0, "words": [REMOVED], "label": REMOVED, "score": 0.5},
            {"start": 5.0, "end": 6.0, "wording": "fine", "label": "falling", "score": 0.7},
        ],
        "note": "[NAME] said so, write to [EMAIL]",
        "count": 2,
    }


def test_a_text_by_itself_keeps_its_lines() -> None:
    assert text_redacted("Hi Sarah,\nmy card is\n  4111 1111 1111 1111.", RECOGNIZERS) == (
        "Hi [NAME],\nmy card is\n  [CARD]."
    )
