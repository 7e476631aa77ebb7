"""Redacting what a read opened: one list of spans, found in the opened transcripts, applied to everything that leaves.

Nothing is stored: spans are derived from the transcript under the Permit that opened it, and end with the read. Whoever was heard
without a transcript that may be opened cannot be redacted, and then nothing leaves. Finding is `analysis.redaction`'s.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from analysis.errors import RedactionImpossible
from analysis.redaction.finding import NAME, RECOGNIZERS, VERSION, find_all, known_from
from analysis.redaction.rewriting import Script, TranscriptUnreadable, scrubbed
from analysis.redaction.spans import Recognizer, Span
from consent.vocabulary import Scope

if TYPE_CHECKING:
    from analysis.reading import OpenedResult


@dataclass(frozen=True, slots=True)
class Located:
    """A span, and the transcript that it was found in."""

    span: Span
    result: "OpenedResult"

    def as_json(self) -> dict[str, Any]:
        return {
            "type": self.span.type.value,
            "start": round(self.span.start, 3),
            "end": round(self.span.end, 3),
            "score": self.span.score,
            "recognizer": self.span.recognizer,
            "subjects": list(self.result.subjects),
            "channels": list(self.result.channels),
            "result": self.result.code,
        }


@dataclass(frozen=True, slots=True)
class Redaction:
    """What was taken out, in order of its start; never the words."""

    spans: tuple[Located, ...]

    def as_json(self) -> dict[str, Any]:
        return {"name": NAME, "version": VERSION, "spans": [located.as_json() for located in self.spans]}


@lru_cache(maxsize=1)
def recognizers() -> tuple[Recognizer, ...]:
    """Ours, and those that the installation names in `VOXGOV_RECOGNIZERS`. Raises `ImproperlyConfigured`."""
    try:
        return (*RECOGNIZERS, *(import_string(name)() for name in settings.VOXGOV_RECOGNIZERS))
    except ImportError as error:
        raise ImproperlyConfigured(f"VOXGOV_RECOGNIZERS names what is not there: {error}. Correct it.") from error


def redact(opened: Sequence["OpenedResult"]) -> tuple[list["OpenedResult"], Redaction]:
    """The same results without personal data. Raises `RedactionImpossible`, and what a recognizer raises."""
    transcripts = [result for result in opened if result.scope == Scope.TRANSCRIBE]
    scripts = _scripts(transcripts)
    require_transcribed(transcripts, {voice for result in opened for voice in _voices(result)})
    found = find_all([script.words for script in scripts], recognizers())
    known = known_from([script.words for script in scripts], found)
    by_code = {result.code: (script, spans) for result, script, spans in zip(transcripts, scripts, found, strict=True)}
    every = [span for spans in found for span in spans]
    redacted = []
    for result in opened:
        if result.code in by_code:
            script, spans = by_code[result.code]
            # Which stretches were heard holds no word, and without it the rest would seem to be the whole.
            heard = {"heard": result.body["heard"]} if "heard" in result.body else {}
            redacted.append(dataclasses.replace(result, body={**script.redacted(spans), **heard}))
        elif _made_from_words(result):
            body = scrubbed(result.body, every, recognizers(), known)
            redacted.append(dataclasses.replace(result, body=body))
        else:
            redacted.append(result)
    return redacted, _located(transcripts, found)


def find_in(transcripts: Sequence["OpenedResult"]) -> Redaction:
    """The spans alone. Raises `RedactionImpossible`, and what a recognizer raises."""
    scripts = _scripts(transcripts)
    return _located(transcripts, find_all([script.words for script in scripts], recognizers()))


def require_transcribed(transcripts: Sequence["OpenedResult"], voices: set[tuple[int, str]]) -> None:
    """Raises `RedactionImpossible` unless what each of the people said on that channel is in an opened transcript."""
    if not voices <= {voice for result in transcripts for voice in _voices(result)}:
        raise RedactionImpossible(
            "somebody was heard of whom no transcript may be opened: where personal data was said is not known"
        )


def _voices(result: "OpenedResult") -> set[tuple[int, str]]:
    """Who was heard on which channel."""
    return {(channel, subject) for channel in result.channels for subject in result.subjects}


def _scripts(transcripts: Sequence["OpenedResult"]) -> list[Script]:
    try:
        return [Script(result.body) for result in transcripts]
    except TranscriptUnreadable as unreadable:
        raise RedactionImpossible(str(unreadable)) from unreadable


def _made_from_words(result: "OpenedResult") -> bool:
    return Scope.TRANSCRIBE in result.rests_on or result.scope == Scope.TRANSLATE


def _located(transcripts: Sequence["OpenedResult"], found: Sequence[Sequence[Span]]) -> Redaction:
    located = [Located(span, result) for result, spans in zip(transcripts, found, strict=True) for span in spans]
    return Redaction(tuple(sorted(located, key=lambda one: (one.span.start, one.span.end))))
