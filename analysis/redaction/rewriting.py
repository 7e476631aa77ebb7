"""Taking the words of spans out of what an engine wrote: a transcript's JSON, and anything else that was made from its words.

A redacted transcript is built from what is known to be safe, not cut from what was there: members that this module does not know
do not come along. Where words and text of an utterance do not agree, the text counts and every word has the utterance's times.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from analysis.redaction.finding import Known, find, placeholder
from analysis.redaction.spans import Recognizer, Span, Word

REMOVED: Final = "[REDACTED]"
"""What stands for text that was made from redacted words and has no words of its own."""


class TranscriptUnreadable(Exception):
    """A transcript without the members that say what was said when: nothing can be taken out of it."""

    code = "transcript_unreadable"


@dataclass(frozen=True, slots=True)
class _Token:
    """A word and the white space or punctuation before it in its utterance's text; `probability` where the engine gave one."""

    gap: str
    word: Word
    probability: float | None


@dataclass(frozen=True, slots=True)
class _Utterance:
    start: float
    end: float
    tokens: tuple[_Token, ...]
    timed: bool
    """Whether each word has times of its own."""
    more: dict[str, Any]


class Script:
    """A transcript's JSON, read for redaction. `words` are those of all its utterances, in order: what spans count in."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        """Raises `TranscriptUnreadable`."""
        try:
            self._utterances = [_utterance(piece) for piece in body["utterances"]]
        except (KeyError, TypeError, ValueError) as error:
            raise TranscriptUnreadable("the transcript does not say what was said when") from error
        self._more = _harmless(body, but={"utterances"})
        self.words = tuple(token.word for utterance in self._utterances for token in utterance.tokens)

    def redacted(self, spans: Sequence[Span]) -> dict[str, Any]:
        """The transcript with a placeholder where each span begins and nothing of its words anywhere."""
        utterances = []
        first = 0
        for utterance in self._utterances:
            within = range(first, first + len(utterance.tokens))
            first = within.stop
            rewritten = _rewritten(utterance, within, spans)
            if rewritten is not None:
                utterances.append(rewritten)
        return {**self._more, "utterances": utterances}


def scrubbed(body: Any, spans: Sequence[Span], recognizers: Sequence[Recognizer], known: Known) -> Any:
    """Another result that was made from the words: every text in a piece whose times meet a span is gone, and what the recognizers
    find, or is `known` from the transcripts, is gone from every other."""
    if isinstance(body, str):
        return text_redacted(body, recognizers, known)
    if isinstance(body, list | tuple):
        return [scrubbed(item, spans, recognizers, known) for item in body]
    if not isinstance(body, Mapping):
        return body
    start, end = body.get("start"), body.get("end")
    meets = (_number(start) and _number(end)) and any(span.start < end and start < span.end for span in spans)
    return {
        name: _emptied(value) if meets else scrubbed(value, spans, recognizers, known) for name, value in body.items()
    }


def text_redacted(text: str, recognizers: Sequence[Recognizer], known: Known | None = None) -> str:
    """A text by itself, redacted; white space between words is kept."""
    body = {"utterances": [{"start": 0.0, "end": 0.0, "text": text, "words": []}]}
    script = Script(body)
    utterances = script.redacted(find(script.words, recognizers, known))["utterances"]
    return str(utterances[0]["text"]) if utterances else ""


def _emptied(value: Any) -> Any:
    """The same without any text: numbers and truth values stay."""
    if isinstance(value, str):
        return REMOVED
    if isinstance(value, list | tuple):
        return [_emptied(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _emptied(item) for name, item in value.items()}
    return value


def _utterance(piece: Mapping[str, Any]) -> _Utterance:
    start, end, text = float(piece["start"]), float(piece["end"]), str(piece["text"])
    tokens = _aligned(text, piece.get("words") or ())
    timed = tokens is not None
    if tokens is None:
        split = re.finditer(r"(\s*)(\S+)", text)
        tokens = tuple(_Token(found[1], Word(found[2], start, end), None) for found in split)
    return _Utterance(start, end, tokens, timed, _harmless(piece, but={"start", "end", "text", "words"}))


def _aligned(text: str, words: Sequence[Mapping[str, Any]]) -> tuple[_Token, ...] | None:
    """The words at their places in the text; None where the text holds anything that no word does, or the other way round."""
    tokens = []
    at = 0
    for word in words:
        written = str(word["text"])
        place = text.find(written, at) if written else -1
        if place < 0 or _speaks(text[at:place]):
            return None
        probability = word.get("probability")
        tokens.append(
            _Token(
                text[at:place],
                Word(written, float(word["start"]), float(word["end"])),
                float(probability) if _number(probability) else None,
            )
        )
        at = place + len(written)
    return None if _speaks(text[at:]) else tuple(tokens)


def _speaks(gap: str) -> bool:
    return any(character.isalnum() for character in gap)


def _rewritten(utterance: _Utterance, within: range, spans: Sequence[Span]) -> dict[str, Any] | None:
    """The utterance's JSON; None where a span that began before it leaves nothing of it."""
    kept = list(_kept(utterance, within, spans))
    if utterance.tokens and not kept:
        return None
    text = "".join(token.gap + token.word.text for token in kept).strip()
    words = [
        {
            "text": token.word.text,
            "start": token.word.start,
            "end": token.word.end,
            **({} if token.probability is None else {"probability": token.probability}),
        }
        for token in kept
    ]
    return {
        "start": utterance.start,
        "end": utterance.end,
        "text": text,
        "words": words if utterance.timed else [],
        **utterance.more,
    }


def _kept(utterance: _Utterance, within: range, spans: Sequence[Span]) -> Iterator[_Token]:
    place = within.start
    by_word = {index: span for span in spans for index in span.words if index in within}
    while place < within.stop:
        span = by_word.get(place)
        token = utterance.tokens[place - within.start]
        if span is None:
            yield token
            place += 1
            continue
        here = [utterance.tokens[index - within.start] for index in span.words if index in within]
        if span.words.start == place:
            # Its ending is that of the span's last word, wherever that is.
            last = here[-1].word.text if span.words.stop <= within.stop else ""
            text = placeholder(span.type, last)
            ends = max(one.word.end for one in here)
            sure = [one.probability for one in here if one.probability is not None]
            yield _Token(token.gap, Word(text, min(one.word.start for one in here), ends), min(sure) if sure else None)
        place = min(span.words.stop, within.stop)


def _harmless(piece: Mapping[str, Any], *, but: set[str]) -> dict[str, Any]:
    """The members that cannot hold a word: numbers, truth values and nothing."""
    return {
        name: value
        for name, value in piece.items()
        if name not in but and (value is None or isinstance(value, bool | int | float))
    }


def _number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
