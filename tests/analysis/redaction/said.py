"""Transcripts for tests: words a third of a second apart, from plain text."""

from analysis.redaction.finding import find
from analysis.redaction.spans import Span, Word


def words(text: str, start: float = 0.0) -> list[Word]:
    return [Word(word, start + 0.4 * place, start + 0.4 * place + 0.3) for place, word in enumerate(text.split())]


def found(text: str) -> list[tuple[str, str]]:
    """Type and words of each span."""
    said = words(text)
    return [(span.type.value, text_of(said, span)) for span in find(said)]


def text_of(said: list[Word], span: Span) -> str:
    return " ".join(said[index].text for index in span.words)
