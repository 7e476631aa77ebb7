"""One timeline of typed spans, in seconds from the start of the recording, assembled from the results that a read opened.

Pure. It adds nothing: every span points to the result it came from, and so to its model and decision. A turn says who speaks only
where a link between the two was opened, and points to that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from consent.vocabulary import Scope

if TYPE_CHECKING:
    from analysis.reading import OpenedResult, ResultsView

UNKNOWN = "unknown"


class SpanType(StrEnum):
    UTTERANCE = "utterance"
    TRANSLATION = "translation"
    WORD = "word"
    SPEAKER_TURN = "speaker_turn"
    SOUND = "sound"
    CONTEXT = "context"
    PAUSE = "pause"
    FILLED_PAUSE = "filled_pause"
    PROSODY = "prosody"
    REPETITION = "repetition"
    RESTART = "restart"
    EXPRESSION = "expression"
    STRESS = "stress"
    TONE_SHIFT = "tone_shift"
    WORDING = "wording"
    DELIVERY = "delivery"
    INCONGRUENCE = "incongruence"
    HEARD = "heard"


@dataclass(frozen=True, slots=True)
class Span:
    """Something between `start` and `end` (seconds, start <= end). `score` is 0.0-1.0 where the engine gives one.

    `subjects` are the codes of everyone who may be heard there; one code when a channel is one person's own.
    """

    type: SpanType
    start: float
    end: float
    label: str
    score: float | None
    subjects: tuple[str, ...]
    channels: tuple[int, ...]
    result: str
    details: dict[str, Any]
    """What else the engine says there. Of a turn whose speaker is linked: the `subject` who that is, the `share` of their voice
    that says so, and the result (`link`) that it stands in."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Spans in order of start; languages and summaries per result; what was not opened."""

    analysis: str
    recording: str
    duration: float
    decision: str
    spans: tuple[Span, ...]
    languages: tuple[dict[str, Any], ...]
    summaries: tuple[dict[str, Any], ...]
    models: tuple[dict[str, Any], ...]
    withheld: tuple[dict[str, Any], ...]
    redaction: dict[str, Any] | None = None
    """What was taken out of it, where it was redacted."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def assemble(view: "ResultsView") -> Timeline:
    """Every opened result's spans on one axis, earliest first; ties put the longer span first."""
    linked = _linked(view)
    spans = [span for result in view.results for span in _spans(result, linked)]
    spans.sort(key=lambda span: (span.start, -span.end, span.type.value))
    languages = [
        {"subjects": list(result.subjects), "channels": list(result.channels), "result": result.code, **result.body}
        for result in view.results
        if result.scope == Scope.LANGUAGE
    ]
    summaries = [
        {"scope": result.scope, "subjects": list(result.subjects), "result": result.code, **summary}
        for result in view.results
        if (summary := _summary(result, linked))
    ]
    return Timeline(
        analysis=view.analysis,
        recording=view.recording,
        duration=view.duration,
        decision=view.decision,
        spans=tuple(spans),
        languages=tuple(languages),
        summaries=tuple(summaries),
        models=tuple({"scope": result.scope, "result": result.code, **result.model} for result in view.results),
        withheld=tuple(item.as_json() for item in view.withheld),
        redaction=view.redaction.as_json() if view.redaction is not None else None,
    )


_Linked = Mapping[tuple[str, str], dict[str, Any]]
"""By the turns' result and the speaker's label: who that is, how much of their voice says so, and which result does."""


def _linked(view: "ResultsView") -> _Linked:
    """Of the links that were opened, those that name a speaker."""
    found = {}
    for result in view.results:
        if result.scope != Scope.IDENTIFY or not result.made_from:
            continue
        summary = result.body["summary"]
        if summary["speaker"] != UNKNOWN:
            (subject,) = result.subjects
            found[result.made_from, summary["speaker"]] = {
                "subject": subject,
                "share": summary["share"],
                "link": result.code,
            }
    return found


def _spans(result: "OpenedResult", linked: _Linked) -> Iterator[Span]:
    match result.scope:
        case Scope.TRANSCRIBE:
            yield from _transcript(result)
        case Scope.DIARIZE:
            for turn in result.body["turns"]:
                who = linked.get((result.code, turn["speaker"]), {})
                yield _span(result, SpanType.SPEAKER_TURN, turn, turn["speaker"], turn["confidence"], **who)
        case Scope.TRANSLATE:
            for utterance in result.body["utterances"]:
                yield _span(result, SpanType.TRANSLATION, utterance, utterance["text"], None)
        case Scope.NONVERBAL:
            for event in result.body["events"]:
                yield _span(result, SpanType.SOUND, event, event["label"], event["score"])
            # Results from before context was heard have none.
            for stretch in result.body.get("context", ()):
                yield _span(result, SpanType.CONTEXT, stretch, stretch["label"], stretch["score"])
        case Scope.PROSODY:
            yield from _prosody(result)
        case Scope.EMOTION:
            yield from _states(result)
        case Scope.IDENTIFY:
            for stretch in result.body.get("heard", {}).get("stretches", ()):
                yield _span(result, SpanType.HEARD, stretch, "told apart by voiceprint", None)


def _transcript(result: "OpenedResult") -> Iterator[Span]:
    for utterance in result.body["utterances"]:
        yield _span(result, SpanType.UTTERANCE, utterance, utterance["text"], None)
        for word in utterance["words"]:
            yield _span(result, SpanType.WORD, word, word["text"], word["probability"])


def _prosody(result: "OpenedResult") -> Iterator[Span]:
    for disfluency in result.body.get("disfluencies", ()):
        yield _span(result, SpanType(disfluency["kind"]), disfluency, disfluency["words"], None)
    for pause in result.body.get("pauses", ()):
        yield _span(result, SpanType.PAUSE, pause, "pause", None)
    # Results from before version 2 of the engine have none.
    for filler in result.body.get("filled_pauses", ()):
        details = {key: value for key, value in filler.items() if key not in ("start", "end")}
        yield _span(result, SpanType.FILLED_PAUSE, filler, "filled pause", None, **details)
    for utterance in result.body.get("utterances", ()):
        details = {key: value for key, value in utterance.items() if key not in ("start", "end")}
        yield _span(result, SpanType.PROSODY, utterance, str(utterance["final_movement"]), None, **details)


def _states(result: "OpenedResult") -> Iterator[Span]:
    """Each engine of expressed states has its own kinds of pieces; all of them say whether they were validated."""
    validated = result.model.get("validated", False)
    kinds = {
        "windows": (SpanType.EXPRESSION, "label"),
        "stress": (SpanType.STRESS, "label"),
        "tone_shifts": (SpanType.TONE_SHIFT, "direction"),
        "wording": (SpanType.WORDING, "label"),
        "delivery": (SpanType.DELIVERY, "shape"),
        "incongruences": (SpanType.INCONGRUENCE, "label"),
    }
    for member, (kind, label) in kinds.items():
        for piece in result.body.get(member, ()):
            details = {key: value for key, value in piece.items() if key not in ("start", "end", label, "confidence")}
            yield _span(result, kind, piece, piece[label], piece.get("confidence"), **details, validated=validated)


def _span(
    result: "OpenedResult", kind: SpanType, piece: dict[str, Any], label: str, score: float | None, **details: Any
) -> Span:
    return Span(
        type=kind,
        start=round(float(piece["start"]), 3),
        end=round(float(piece["end"]), 3),
        label=label,
        score=score,
        subjects=result.subjects,
        channels=result.channels,
        result=result.code,
        details=details,
    )


def _summary(result: "OpenedResult", linked: _Linked) -> dict[str, Any]:
    """What an engine says of the whole clip: its `summary`, where it makes one."""
    summary = result.body.get("summary")
    if not isinstance(summary, dict):
        return {}
    if result.scope != Scope.DIARIZE:
        return dict(summary)
    totals = [{**total, **linked.get((result.code, total["speaker"]), {})} for total in summary["totals"]]
    return {**summary, "totals": totals}
