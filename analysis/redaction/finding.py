"""The face of the package: words with times in, spans of personal data out.

Recognizers are asked again over what is left until they find nothing more, with what was found standing there as its placeholder.
So redacted text redacted once more stays as it is. What was found once is then found wherever it stands in the recording.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from analysis.redaction.addresses import Addresses
from analysis.redaction.births import BirthDates
from analysis.redaction.heard import Heard
from analysis.redaction.mail_addresses import MailAddresses
from analysis.redaction.names import Names, parts_of_name
from analysis.redaction.numbers import Cards, Ibans, NationalNumbers, SaidToBePersonal
from analysis.redaction.phones import Phones
from analysis.redaction.spans import DataType, Found, Recognizer, Span, Word

NAME: Final = "voxgov-redaction"
VERSION: Final = "1"
RECOGNIZERS: Final[tuple[Recognizer, ...]] = (
    Cards(),
    Ibans(),
    NationalNumbers(),
    SaidToBePersonal(),
    MailAddresses(),
    Phones(),
    BirthDates(),
    Addresses(),
    Names(),
)
_ENDINGS: Final = ".,;:!?…"
_AGAIN: Final = "said again"
"""The recognizer of what was found elsewhere in the recording."""


class RecognizerFailed(Exception):
    """A recognizer answered what it may not: words that are not there, or nothing but words that were found already."""

    code = "recognizer_failed"


@dataclass(frozen=True, slots=True)
class _Piece:
    """Words `first` to `last` of a transcript as recognizers see them in one round: a word, or a placeholder."""

    word: Word
    first: int
    last: int


Known = Mapping[tuple[str, ...], DataType]
"""Words, one after another, that are personal data wherever they stand in a recording."""


def find(
    words: Sequence[Word], recognizers: Sequence[Recognizer] = RECOGNIZERS, known: Known | None = None
) -> tuple[Span, ...]:
    """The personal data in one transcript: spans in order, none overlapping. Raises `RecognizerFailed` and what they raise."""
    return find_all([words], recognizers, known)[0]


def find_all(
    transcripts: Sequence[Sequence[Word]],
    recognizers: Sequence[Recognizer] = RECOGNIZERS,
    known: Known | None = None,
) -> list[tuple[Span, ...]]:
    """The same over all transcripts of one recording, one for each voice or channel: a question on one is heard with the answer on
    another, and what was found in one, or is `known`, is found in all."""
    spans: list[list[Span]] = [[] for _ in transcripts]
    while True:
        found = False
        for place, words in enumerate(transcripts):
            others = sorted((w for p, o in enumerate(transcripts) if p != place for w in o), key=lambda w: w.start)
            pieces = _pieces(words, spans[place])
            new = list(_recognized(pieces, others, recognizers, words))
            found = found or bool(new)
            spans[place] = _merged([*spans[place], *new], words)
        said = {**(known or {}), **known_from(transcripts, spans)}
        for place, words in enumerate(transcripts):
            new = list(_said_again(words, spans[place], said))
            found = found or bool(new)
            spans[place] = _merged([*spans[place], *new], words)
        if not found:
            return [tuple(each) for each in spans]


def placeholder(kind: DataType, last: str) -> str:
    """What stands for a span in the text, with the punctuation that its last word ended with."""
    kept = last[len(last.rstrip(_ENDINGS)) :]
    return kind.placeholder + kept


def _pieces(words: Sequence[Word], spans: Sequence[Span]) -> list[_Piece]:
    pieces = []
    at = 0
    for span in spans:
        pieces += [_Piece(words[index], index, index) for index in range(at, span.words.start)]
        text = placeholder(span.type, words[span.words[-1]].text)
        pieces.append(_Piece(Word(text, span.start, span.end), span.words[0], span.words[-1]))
        at = span.words.stop
    return pieces + [_Piece(words[index], index, index) for index in range(at, len(words))]


def _recognized(
    pieces: Sequence[_Piece], others: Sequence[Word], recognizers: Sequence[Recognizer], words: Sequence[Word]
) -> Iterator[Span]:
    heard = Heard([piece.word for piece in pieces], others)
    for recognizer in recognizers:
        for one in recognizer.find(heard):
            if not 0 <= one.first <= one.last < len(pieces):
                raise RecognizerFailed(f"{recognizer.name} found words that are not there")
            if all(heard.taken[one.first : one.last + 1]):
                raise RecognizerFailed(f"{recognizer.name} found what was found already")
            yield _span(one, range(pieces[one.first].first, pieces[one.last].last + 1), words, recognizer.name)


def _span(one: Found, within: range, words: Sequence[Word], recognizer: str) -> Span:
    chosen = [words[index] for index in within]
    return Span(
        type=one.type,
        start=min(word.start for word in chosen),
        end=max(word.end for word in chosen),
        words=within,
        score=one.score,
        recognizer=recognizer,
    )


def _merged(spans: Sequence[Span], words: Sequence[Word]) -> list[Span]:
    """Overlapping spans as one: the words of all, and the type, score and recognizer of the surest, the longer where two are as
    sure. Neighbours of one type that nothing separates are one as well."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.words.start, -span.words.stop)):
        last = merged[-1] if merged else None
        if last is None or not _together(last, span, words):
            merged.append(span)
            continue
        surest = max(last, span, key=lambda one: (one.score, len(one.words)))
        within = range(last.words.start, max(last.words.stop, span.words.stop))
        merged[-1] = _span(Found(surest.type, 0, 0, surest.score), within, words, surest.recognizer)
    return merged


def _together(one: Span, next_one: Span, words: Sequence[Word]) -> bool:
    if next_one.words.start < one.words.stop:
        return True
    adjacent = next_one.words.start == one.words.stop and next_one.type is one.type
    return adjacent and not words[one.words[-1]].text.endswith(tuple(_ENDINGS))


def known_from(
    transcripts: Sequence[Sequence[Word]], spans: Sequence[Sequence[Span]]
) -> dict[tuple[str, ...], DataType]:
    """What was found, as it was said: bare words, in capitals as they were where it is a name."""
    known: dict[tuple[str, ...], DataType] = {}
    for words, found in zip(transcripts, spans, strict=True):
        heard = Heard(words)
        for span in found:
            said = tuple(_said(heard, index, span.type) for index in span.words)
            if any(said):
                known.setdefault(said, span.type)
            if span.type is DataType.NAME:
                known.update({(part,): span.type for part in parts_of_name(heard, span.words)})
    return known


def _said(heard: Heard, index: int, kind: DataType) -> str:
    return heard.bare[index] if kind is DataType.NAME else heard.lower[index]


def _said_again(words: Sequence[Word], spans: Sequence[Span], known: dict[tuple[str, ...], DataType]) -> Iterator[Span]:
    heard = Heard(words)
    taken = {index for span in spans for index in span.words}
    by_first: dict[str, list[tuple[tuple[str, ...], DataType]]] = {}
    for said, kind in known.items():
        by_first.setdefault(said[0], []).append((said, kind))
    for index in range(len(words)):
        for start in {heard.bare[index], heard.lower[index]}:
            for said, kind in by_first.get(start, ()):
                within = range(index, index + len(said))
                if within.stop > len(words) or taken.issuperset(within):
                    continue
                if all(_said(heard, place, kind) == text for place, text in zip(within, said, strict=True)):
                    yield _span(Found(kind, 0, 0, 0.5), within, words, _AGAIN)
