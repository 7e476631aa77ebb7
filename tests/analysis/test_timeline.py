"""Spans of the timeline from what the engines of voice answer: kinds, places, and what each says of itself."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from analysis.engines.clip import Clip, ModelIdentity, Stretch, no_checkpoint
from analysis.engines.disfluency import DisfluencyReader
from analysis.engines.emotion import ExpressedValence, ValenceWindow
from analysis.engines.linking import link
from analysis.engines.manifest import load_manifest
from analysis.engines.prosody import ProsodyAnalyzer
from analysis.engines.sounds import ContextStretch, NonverbalEvents, Sound, SoundEvent, Surrounding
from analysis.engines.transcription import Transcript, Utterance
from analysis.engines.turns import Basis, Diarization, Turn, by_declaration, summary
from analysis.reading import OpenedResult, ResultsView
from analysis.timeline import Span, SpanType, assemble
from consent.vocabulary import Scope
from tests.analysis.engines.signals import read
from tests.analysis.engines.test_states import FINE, USUAL, said, spoken, states_of


@dataclass(frozen=True)
class Word:
    text: str
    start: float
    end: float


def spans(scope: Scope, answer: Any) -> list[Span]:
    """Of one result, sealed and opened as JSON."""
    body = json.loads(json.dumps(asdict(answer), allow_nan=False))
    model = body.pop("model")
    result = OpenedResult("r-1", scope, (scope,), ("anna",), ("customer",), (0,), model, "d-1", datetime.now(UTC), body)
    return list(assemble(ResultsView("a-1", "c-1", 60.0, "d-1", (result,), ())).spans)


def test_filled_pauses_are_spans_with_what_was_measured(data: Path) -> None:
    sound = read(data / "hesitation" / "en-us.flac")
    found = spans(Scope.PROSODY, ProsodyAnalyzer().run(sound, [Stretch(0.0, sound.duration)], no_checkpoint))
    fillers = [span for span in found if span.type is SpanType.FILLED_PAUSE]
    assert len(fillers) == 5
    assert {span.details["ending"] for span in fillers} == {"vowel", "nasal"}
    assert {SpanType.PAUSE, SpanType.PROSODY} <= {span.type for span in found}


def test_results_from_before_models_named_their_parameters_are_read_as_before() -> None:
    answer = asdict(DisfluencyReader().run([]))
    model = answer.pop("model")
    assert model.pop("parameters") == {}
    result = OpenedResult("r-1", "speech.prosody", (), (), (), (0,), model, "d-1", datetime.now(UTC), answer)
    timeline = assemble(ResultsView("a-1", "c-1", 60.0, "d-1", (result,), ()))
    assert timeline.models == ({"scope": "speech.prosody", "result": "r-1", **model},)


def test_repetitions_and_restarts_are_spans_beside_prosody() -> None:
    words = [
        Word(text, index * 0.3, index * 0.3 + 0.2) for index, text in enumerate(["we", "we", "was-", "we", "went"])
    ]
    found = spans(Scope.PROSODY, DisfluencyReader().run(words))
    assert [(span.type, span.label) for span in found] == [(SpanType.REPETITION, "we"), (SpanType.RESTART, "we")]


def test_a_translation_is_spans_of_its_own_beside_the_words() -> None:
    hola = Utterance(1.0, 2.0, "Good morning.", (), -0.3, 0.01, 0.0)
    found = spans(Scope.TRANSLATE, Transcript("es", 0.9, (hola,), load_manifest().model("whisper-base").identity()))
    assert [(span.type, span.start, span.end, span.label) for span in found] == [
        (SpanType.TRANSLATION, 1.0, 2.0, "Good morning.")
    ]


def test_states_are_spans_that_say_they_are_not_validated() -> None:
    found = spans(Scope.EMOTION, states_of(*USUAL, spoken(165.0, -14.0, rate=5.5)))
    assert [span.label for span in found if span.type is SpanType.STRESS] == ["unknown"] * 5 + ["usual"] * 2 + [
        "raised"
    ]
    (shift,) = (span for span in found if span.type is SpanType.TONE_SHIFT)
    assert (shift.label, shift.start) == ("raised", 35.0)
    assert {cue["name"] for cue in shift.details["cues"]} >= {"f0", "level"}
    assert all(span.details["validated"] is False for span in found)


def test_incongruence_is_a_span_with_both_pieces_of_evidence() -> None:
    found = spans(Scope.EMOTION, said(FINE, -6.0))
    assert {span.type for span in found} == {SpanType.WORDING, SpanType.DELIVERY, SpanType.INCONGRUENCE}
    (marker,) = (span for span in found if span.type is SpanType.INCONGRUENCE)
    assert marker.details["wording_evidence"] == ["fine"]
    assert marker.details["delivery"]["shape"] == "falling"


def test_turns_are_spans_with_their_speaker_and_no_score_where_it_is_declared() -> None:
    model = said(FINE, 0.0).model
    heard = (Turn(0.0, 1.5, "speaker 1", 0.8), Turn(1.5, 2.0, "unknown", 0.0))
    found = spans(Scope.DIARIZE, Diarization(heard, summary(heard, Basis.VOICE), model))
    assert [(span.type, span.label, span.score) for span in found] == [
        (SpanType.SPEAKER_TURN, "speaker 1", 0.8),
        (SpanType.SPEAKER_TURN, "unknown", 0.0),
    ]
    declared = by_declaration(Clip(np.zeros(16_000, np.float32)), [Stretch(0.2, 0.9)], model)
    (span,) = spans(Scope.DIARIZE, declared)
    assert (span.start, span.end, span.label, span.score) == (0.2, 0.9, "speaker 1", None)


def test_a_turn_says_who_speaks_only_where_the_link_to_its_own_result_was_opened() -> None:
    model = said(FINE, 0.0).model
    heard = (Turn(0.0, 5.0, "speaker 1", 0.8), Turn(5.0, 9.0, "speaker 2", 0.7))
    body = json.loads(json.dumps(asdict(Diarization(heard, summary(heard, Basis.VOICE), model))))
    told = body.pop("model")
    turns, others = (
        OpenedResult(code, Scope.DIARIZE, (), ("anna", "ben"), (), channels, told, "d-1", datetime.now(UTC), body)
        for code, channels in (("t-1", (0,)), ("t-2", (1,)))
    )
    (linked,) = link(heard, [[Stretch(5.0, 9.0)]], 2)
    says = {"summary": json.loads(json.dumps(asdict(linked)))}
    link_to = OpenedResult(
        "l-1", Scope.IDENTIFY, (), ("anna",), (), (0,), told, "d-1", datetime.now(UTC), says, made_from="t-1"
    )
    without = assemble(ResultsView("a-1", "c-1", 60.0, "d-1", (turns, others), ()))
    assert all(span.details == {} for span in without.spans)

    found = assemble(ResultsView("a-1", "c-1", 60.0, "d-1", (turns, others, link_to), ()))

    who = {"subject": "anna", "share": 1.0, "link": "l-1"}
    assert {(span.result, span.label): span.details for span in found.spans} == {
        ("t-1", "speaker 1"): {},
        ("t-1", "speaker 2"): who,
        ("t-2", "speaker 1"): {},
        ("t-2", "speaker 2"): {},
    }
    first, second, third = found.summaries
    assert [total.get("subject") for total in first["totals"]] == [None, "anna"]
    assert second == without.summaries[1]
    assert (third["result"], third["speaker"]) == ("l-1", "speaker 2")


def test_what_surrounds_people_is_context_and_no_sound_of_anybody() -> None:
    model = ModelIdentity("m", "1", "0" * 64, "MIT", "permissive", False)
    answer = NonverbalEvents(
        (SoundEvent(Sound.COUGH, 3.0, 3.4, 0.8),), (ContextStretch(Surrounding.MUSIC, 0.0, 9.0, 0.9),), model
    )
    found = spans(Scope.NONVERBAL, answer)
    assert [(span.type, span.label, span.score) for span in found] == [
        (SpanType.CONTEXT, "music", 0.9),
        (SpanType.SOUND, "cough", 0.8),
    ]


def test_valence_by_itself_is_a_span_of_expression() -> None:
    model = said(FINE, 0.0).model
    (span,) = spans(Scope.EMOTION, ExpressedValence((ValenceWindow(0.0, 4.0, "valence", 0.7, 0.5),), model))
    assert (span.type, span.label, span.score, span.details["valence"]) == (SpanType.EXPRESSION, "valence", 0.5, 0.7)
