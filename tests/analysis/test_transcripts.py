"""Reading a transcript as JSON, text or subtitles: one more way to read, under the same gate, and on the same trail."""

import json
from typing import Any

import pytest

from accounts.roles import Role
from analysis.models import Analysis
from audit.events import EventName
from audit.models import Event
from consent import gate, withdrawal
from consent.vocabulary import ParticipantRole, Scope
from tests.analysis.test_redacted_reading import SAID, SECRETS, done
from tests.callers import Answer, Caller
from tests.factories import ACTOR, World, make_world

FORMATS = {
    "json": "application/json",
    "verbose_json": "application/json",
    "text": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}


def said(text: str, start: float = 0.0) -> dict[str, Any]:
    """A transcript's body as the engine writes it; a third of a second for each word."""
    words = [
        {"text": word, "start": start + index * 0.3, "end": start + index * 0.3 + 0.3, "probability": 0.9}
        for index, word in enumerate(text.split())
    ]
    utterance = {"start": start, "end": words[-1]["end"], "text": text, "words": words}
    return {"utterances": [{**utterance, "avg_logprob": -0.2, "no_speech_probability": 0.01, "temperature": 0.0}]}


def read(caller: Caller, job: Analysis, query: str = "") -> Answer:
    return caller.get(f"/v1/analyses/{job.code}/transcript{'?' if query else ''}{query}")


def alone(world: World, *more: tuple[Scope, list[int], dict[str, Any]]) -> Analysis:
    scopes = (Scope.TRANSCRIBE, *(scope for scope, _, _ in more))
    world.consent(*scopes)
    return done(world.upload(b"audio" * 100, *scopes), (Scope.TRANSCRIBE, [0], said(SAID)), *more)


def call(world: World) -> Analysis:
    """A customer and an employee, a channel each."""
    other = world.another_subject()
    world.consent(Scope.TRANSCRIBE)
    world.consent(Scope.TRANSCRIBE, subject=other)
    people = (
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channel=0),
        gate.Participant(other.code, ParticipantRole.EMPLOYEE, channel=1),
    )
    recording = world.upload(b"audio" * 100, Scope.TRANSCRIBE, people=people)
    return done(
        recording,
        (Scope.TRANSCRIBE, [0], said("Good morning.")),
        (Scope.TRANSCRIBE, [1], said("How can I help?", 0.7)),
    )


def test_each_format_holds_the_words_in_its_own_media_type(world: World, operator: Caller) -> None:
    job = alone(world)
    for form, media in FORMATS.items():
        answer = read(operator, job, f"format={form}")
        assert answer.status == 200, answer
        assert answer.headers["Content-Type"] == media
        assert answer.headers["Cache-Control"] == "no-store"
        assert b"Anna" in answer.content
        assert "X-Withheld" not in answer.headers
    assert read(operator, job).body["text"] == SAID
    assert read(operator, job, "format=text").content.decode() == SAID
    assert read(operator, job, "format=vtt").content.startswith(b"WEBVTT\n\n00:00:00.000 --> ")
    assert read(operator, job, "format=srt").content.startswith(b"1\n00:00:00,000 --> ")


def test_verbose_json_carries_segments_and_their_confidences(world: World, operator: Caller) -> None:
    body = read(operator, alone(world), "format=verbose_json").body
    assert (body["task"], body["language"]) == ("transcribe", None)
    (segment,) = body["segments"]
    assert (segment["id"], segment["start"], segment["text"], segment["speaker"]) == (0, 0.0, SAID, None)
    assert (segment["avg_logprob"], segment["no_speech_prob"], segment["temperature"]) == (-0.2, 0.01, 0.0)
    assert segment["subjects"] == [world.subject.code]
    assert segment["words"][0] == {"word": "My", "start": 0.0, "end": 0.3, "probability": 0.9}


def test_the_language_is_there_only_where_it_may_be_opened(world: World, operator: Caller) -> None:
    job = alone(world, (Scope.LANGUAGE, [0], {"language": "en", "language_probability": 0.98}))
    body = read(operator, job, "format=verbose_json").body
    assert (body["language"], body["segments"][0]["language"]) == ("en", "en")

    withdrawal.withdraw(world.subject, scopes=[Scope.LANGUAGE], actor=ACTOR)

    body = read(operator, job, "format=verbose_json").body
    assert (body["language"], body["segments"][0]["language"]) == (None, None)
    assert body["text"] == SAID


def test_several_participants_are_named_by_role_and_place(world: World, operator: Caller) -> None:
    job = call(world)
    assert read(operator, job, "format=text").content.decode() == (
        "customer 0: Good morning.\nemployee 1: How can I help?"
    )
    assert b"<v employee 1>How can I help?" in read(operator, job, "format=vtt").content
    segments = read(operator, job, "format=verbose_json").body["segments"]
    assert [segment["speaker"] for segment in segments] == ["customer 0", "employee 1"]


def test_whose_words_may_not_be_opened_is_left_out_of_every_format_and_the_answer_says_so(
    world: World, operator: Caller
) -> None:
    job = call(world)
    withdrawal.withdraw(world.subject, scopes=[Scope.TRANSCRIBE], actor=ACTOR)
    for form in FORMATS:
        answer = read(operator, job, f"format={form}")
        assert answer.status == 200
        assert b"How can I help?" in answer.content
        assert b"Good morning" not in answer.content
        assert b"customer" not in answer.content
        assert answer.headers["X-Withheld"] == "not_permitted"
    assert read(operator, job).body["withheld"] == [{"scope": "speech.transcribe", "reason": "not_permitted"}]


def test_without_anybodys_consent_no_format_is_given(world: World, operator: Caller) -> None:
    job = alone(world)
    withdrawal.withdraw(world.subject, scopes=[Scope.TRANSCRIBE], actor=ACTOR)
    for form in FORMATS:
        answer = read(operator, job, f"format={form}")
        assert (answer.status, answer.body["code"]) == (403, "consent_denied")


def test_the_gate_is_asked_for_nothing_but_what_a_transcript_needs(world: World, operator: Caller) -> None:
    job = alone(
        world, (Scope.NONVERBAL, [0], {"events": [{"start": 0.0, "end": 1.0, "label": "laughter", "score": 0.9}]})
    )
    assert b"laughter" not in read(operator, job, "format=verbose_json").content
    event = Event.objects.filter(log=world.organization.code, name=EventName.RESULTS_READ.value).latest("id")
    detail = json.loads(bytes(event.entry))["detail"]
    assert (detail["scopes"], detail["results"]) == (["speech.transcribe"], 1)


def test_a_format_that_does_not_say_the_language_does_not_read_it(world: World, operator: Caller) -> None:
    job = alone(world, (Scope.LANGUAGE, [0], {"language": "en", "language_probability": 0.98}))
    for form, scopes in (("srt", ["speech.transcribe"]), ("verbose_json", ["speech.language", "speech.transcribe"])):
        read(operator, job, f"format={form}")
        event = Event.objects.filter(log=world.organization.code, name=EventName.RESULTS_READ.value).latest("id")
        assert json.loads(bytes(event.entry))["detail"]["scopes"] == scopes


def test_a_redacted_transcript_holds_none_of_the_words_in_any_format(world: World, operator: Caller) -> None:
    job = alone(world)
    for form in FORMATS:
        answer = read(operator, job, f"format={form}&redact=true")
        assert answer.status == 200, answer
        assert not any(secret.encode() in answer.content for secret in SECRETS)
        assert b"[NAME]" in answer.content
    assert [span["type"] for span in read(operator, job, "redact=true").body["redaction"]["spans"]] == ["name", "email"]
    event = Event.objects.filter(log=world.organization.code, name=EventName.RESULTS_READ.value).latest("id")
    assert json.loads(bytes(event.entry))["detail"]["redacted"] is True


def test_a_job_that_was_not_for_words_has_no_transcript(world: World, operator: Caller) -> None:
    world.consent(Scope.NONVERBAL)
    job = done(world.upload(b"audio" * 100, Scope.NONVERBAL), (Scope.NONVERBAL, [0], {"events": []}))
    answer = read(operator, job)
    assert (answer.status, answer.body["code"]) == (409, "transcript_absent")


@pytest.mark.parametrize("query", ["format=docx", "format=", "task=summarize", "format=srt&format=vtt", "lines=3"])
def test_an_option_that_is_not_understood_is_refused(world: World, operator: Caller, query: str) -> None:
    assert read(operator, alone(world), query).status == 400


def test_who_may_not_read_results_reads_no_transcript(world: World) -> None:
    job = alone(world)
    stranger = Caller(make_world().project, Role.OPERATOR)
    assert read(stranger, job).status == 404
    assert read(Caller(world.project, Role.CONSENT_MANAGER), job).status == 403
