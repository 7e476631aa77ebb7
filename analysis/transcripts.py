"""One transcript out of the results that a read opened, written as `json`, `verbose_json` or `text`; subtitles are `subtitles`.

Pure. The members are named as in the field: `segments` with `avg_logprob`, `no_speech_prob`, `temperature` and `words`
(openai/whisper, and the interfaces that took it over). It adds nothing: every segment points to the result that it came from.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from consent.vocabulary import Scope

if TYPE_CHECKING:
    from analysis.reading import OpenedResult, ResultsView


class TranscriptFormat(StrEnum):
    JSON = "json"
    VERBOSE_JSON = "verbose_json"
    TEXT = "text"
    SRT = "srt"
    VTT = "vtt"


class Task(StrEnum):
    """What was done with the words: written down as they were said, or put into English."""

    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


SCOPES: Final[Mapping[Task, Scope]] = {Task.TRANSCRIBE: Scope.TRANSCRIBE, Task.TRANSLATE: Scope.TRANSLATE}


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word as it is written; seconds; `probability` (0.0 to 1.0) is None where a redaction left none."""

    text: str
    start: float
    end: float
    probability: float | None


@dataclass(frozen=True, slots=True)
class Segment:
    """What one voice said between two pauses. `speaker` is empty where the recording has one participant, and names everyone who
    may be heard there. `language` only where `speech.language` was opened. Confidences are None where an engine gave none."""

    start: float
    end: float
    text: str
    words: tuple[TimedWord, ...]
    speaker: str
    subjects: tuple[str, ...]
    channels: tuple[int, ...]
    language: str | None
    avg_logprob: float | None
    no_speech_prob: float | None
    temperature: float | None
    result: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """Segments in order of their start, of every voice that the read opened. `language` where it is one for all of them."""

    task: Task
    view: "ResultsView"
    segments: tuple[Segment, ...]
    language: str | None

    @property
    def text(self) -> str:
        """A segment a line, led by the speaker where there are several."""
        return "\n".join(f"{said.speaker}: {said.text}" if said.speaker else said.text for said in self.segments)

    @property
    def withheld(self) -> tuple[str, ...]:
        """Why parts of it are missing: `not_permitted`, `destroyed`; empty when it is whole."""
        wanted = SCOPES[self.task]
        return tuple(sorted({item.reason for item in self.view.withheld if item.scope == wanted}))

    def as_json(self, *, verbose: bool) -> dict[str, Any]:
        brief = {
            "analysis": self.view.analysis,
            "recording": self.view.recording,
            "decision": self.view.decision,
            "text": self.text,
            "withheld": [item.as_json() for item in self.view.withheld],
            "redaction": self.view.redaction.as_json() if self.view.redaction is not None else None,
        }
        if not verbose:
            return brief
        return {
            **brief,
            "task": self.task.value,
            "language": self.language,
            "duration": self.view.duration,
            "segments": [_verbose(number, segment) for number, segment in enumerate(self.segments)],
            "models": [{"result": result.code, **result.model} for result in self.view.results],
        }


def assemble(view: "ResultsView", task: Task, *, several: bool) -> Transcript:
    """The transcript in what was opened; `several` says that the recording has more than one participant, so that speakers are
    named, by role and place."""
    languages = {
        (result.subjects, result.channels): str(result.body["language"])
        for result in view.results
        if result.scope == Scope.LANGUAGE
    }
    segments = [
        segment
        for result in view.results
        if result.scope == SCOPES[task]
        for segment in _segments(result, languages.get((result.subjects, result.channels)), several=several)
    ]
    segments.sort(key=lambda segment: (segment.start, segment.end))
    spoken = {segment.language for segment in segments}
    return Transcript(task, view, tuple(segments), spoken.pop() if len(spoken) == 1 else None)


def _segments(result: "OpenedResult", language: str | None, *, several: bool) -> Iterator[Segment]:
    speaker = _name(result) if several else ""
    for utterance in result.body["utterances"]:
        text = _plain(utterance["text"])
        if text:
            yield Segment(
                start=float(utterance["start"]),
                end=float(utterance["end"]),
                text=text,
                words=tuple(_words(utterance["words"])),
                speaker=speaker,
                subjects=result.subjects,
                channels=result.channels,
                language=language,
                avg_logprob=utterance.get("avg_logprob"),
                no_speech_prob=utterance.get("no_speech_probability"),
                temperature=utterance.get("temperature"),
                result=result.code,
            )


def _words(words: Sequence[Mapping[str, Any]]) -> Iterator[TimedWord]:
    for word in words:
        yield TimedWord(_plain(word["text"]), float(word["start"]), float(word["end"]), word.get("probability"))


def _plain(text: object) -> str:
    """One line without control characters: files of lines have no room for them."""
    printable = (
        " " if sign.isspace() else sign for sign in str(text) if sign.isspace() or unicodedata.category(sign) != "Cc"
    )
    return " ".join("".join(printable).split())


def _name(result: "OpenedResult") -> str:
    """Everyone who may be heard on the channels, in the order in which the submission named them."""
    people = sorted(zip(result.positions, result.roles, strict=True))
    return " or ".join(f"{role} {position}" for position, role in people)


def _verbose(number: int, segment: Segment) -> dict[str, Any]:
    return {
        "id": number,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "speaker": segment.speaker or None,
        "subjects": list(segment.subjects),
        "channels": list(segment.channels),
        "language": segment.language,
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "no_speech_prob": segment.no_speech_prob,
        "words": [
            {"word": word.text, "start": word.start, "end": word.end, "probability": word.probability}
            for word in segment.words
        ],
        "result": segment.result,
    }
