"""Reading with `redact=true`: one list of spans takes personal data out of everything that leaves, or nothing leaves."""

import dataclasses
import json
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.test import override_settings

from analysis import claiming, reading, redacting
from analysis.errors import RedactionImpossible
from analysis.models import Analysis, Recording, Result
from analysis.redaction.spans import DataType, Found
from analysis.sealed_results import result_context, result_keys
from analysis.states import AnalysisState
from audit.events import EventName
from audit.models import Event
from consent import gate, withdrawal
from consent.errors import ConsentDenied
from consent.vocabulary import ParticipantRole, Scope
from tests.analysis.redaction.test_rewriting import transcript
from tests.callers import Caller
from tests.factories import ACTOR, World
from vault import sealing
from vault.codes import new_code

SAID = "My name is Anna Miller, write to anna.miller@example.com please."
SECRETS = ("Anna", "Miller", "anna.miller", "example.com")
SOUNDS = {"events": [{"start": 0.9, "end": 1.4, "label": "laughter", "score": 0.9}]}


def done(recording: Recording, *found: tuple[Scope, list[int], dict[str, Any]]) -> Analysis:
    """A job that ended with these results, as a worker would end it."""
    job = Analysis.objects.get(recording=recording)
    organization = recording.project.organization.code
    people = list(recording.participants.select_related("subject"))
    held = claiming.claim(job.code)
    assert held is not None
    with transaction.atomic():
        for scope, channels, body in found:
            heard = [person for person in people if person.channel is None or person.channel in channels]
            subjects = tuple(sorted(person.subject.code for person in heard))
            rests_on = {scope} | ({Scope.TRANSCRIBE} if body.pop("from_words", False) else set())
            code = new_code()
            row = Result.objects.create(
                code=code,
                analysis=job,
                scope=scope.value,
                rests_on=sorted(one.value for one in rests_on),
                channels=channels,
                sealed=sealing.seal(
                    result_context(organization, subjects, scope, code),
                    result_keys(organization, subjects, frozenset(rests_on)),
                    json.dumps(body).encode(),
                ),
                model={"name": "a model", "validated": False},
                decision=new_code(),
                input_commitment="0" * 64,
            )
            row.participants.set(heard)
        claiming.finish(held, AnalysisState.DONE, EventName.RESULTS_COMMITTED)
    job.refresh_from_db()
    return job


def told(world: World, *more: tuple[Scope, list[int], dict[str, Any]]) -> Analysis:
    """One person says their name and address."""
    scopes = (Scope.TRANSCRIBE, *(scope for scope, _, _ in more))
    world.consent(*scopes)
    return done(world.upload(b"audio" * 100, *scopes), (Scope.TRANSCRIBE, [0], transcript(SAID)), *more)


def test_results_and_timelines_come_without_the_words_and_say_where_they_were(world: World, operator: Caller) -> None:
    job = told(world, (Scope.NONVERBAL, [0], SOUNDS))
    for path in (
        f"/v1/analyses/{job.code}/results",
        f"/v1/analyses/{job.code}/timeline",
        f"/v1/recordings/{job.recording.code}/timeline",
    ):
        plain = operator.get(path)
        assert all(secret.encode() in plain.content for secret in SECRETS)
        assert plain.body["redaction"] is None
        answer = operator.get(f"{path}?redact=true")
        assert answer.status == 200, answer
        assert not any(secret.encode() in answer.content for secret in SECRETS)
        redaction = answer.body["redaction"]
        assert [(span["type"], span["start"], span["end"]) for span in redaction["spans"]] == [
            ("name", 1.2, 1.9),
            ("email", 2.8, 3.1),
        ]
        assert (redaction["name"], redaction["version"]) == ("voxgov-redaction", "1")
        assert b"laughter" in answer.content
    spans = answer.body["spans"]
    assert spans[0]["label"] == "My name is [NAME], write to [EMAIL] please."
    assert [span["label"] for span in spans if span["type"] == "word"][3] == "[NAME],"


def test_a_redacted_read_is_on_the_trail_as_one(world: World, operator: Caller) -> None:
    job = told(world)
    operator.get(f"/v1/analyses/{job.code}/results")
    operator.get(f"/v1/analyses/{job.code}/results?redact=true")
    events = Event.objects.filter(log=world.organization.code, name=EventName.RESULTS_READ.value).order_by("id")
    details = [json.loads(bytes(event.entry))["detail"] for event in events]
    assert ["redacted" in detail for detail in details] == [False, True]


@pytest.mark.parametrize("query", ["redact=perhaps", "redact=", "redacted=true", "redact=true&redact=false"])
def test_an_option_that_is_not_understood_is_refused(world: World, operator: Caller, query: str) -> None:
    job = told(world)
    for path in (f"/v1/analyses/{job.code}/results", f"/v1/recordings/{job.recording.code}/timeline"):
        answer = operator.get(f"{path}?{query}")
        assert answer.status == 400, answer
        assert not any(secret.encode() in answer.content for secret in SECRETS)


def test_what_was_made_from_the_words_loses_them_too(world: World, operator: Caller) -> None:
    evidence = {"windows": [], "from_words": True, "summary": {"wording": "she said Miller owes it"}}
    job = told(world, (Scope.EMOTION, [0], evidence))
    answer = operator.get(f"/v1/analyses/{job.code}/results?redact=true")
    assert answer.body["results"][1]["result"] == {"windows": [], "summary": {"wording": "she said [NAME] owes it"}}
    assert b"Miller" not in operator.get(f"/v1/analyses/{job.code}/timeline?redact=true").content


def test_a_translation_loses_them_too_and_only_beside_a_transcript(world: World, operator: Caller) -> None:
    foreign = {"start": 0.0, "end": 3.3, "text": "Mi nombre es Anna Miller.", "words": []}
    english = {
        "utterances": [
            {**foreign, "text": "My name is Anna Miller."},
            {**foreign, "start": 9.0, "end": 9.9, "text": "Miller said yes."},
        ]
    }
    job = told(world, (Scope.TRANSLATE, [0], english))
    for path in ("results", "timeline", "transcript?task=translate"):
        plain = operator.get(f"/v1/analyses/{job.code}/{path}")
        assert b"Miller said yes." in plain.content
        answer = operator.get(f"/v1/analyses/{job.code}/{path}{'&' if '?' in path else '?'}redact=true")
        assert answer.status == 200, answer
        assert b"said yes." in answer.content
        assert not any(secret.encode() in answer.content for secret in SECRETS)
    assert answer.body["text"] == "[REDACTED]\n[NAME] said yes."

    withdrawal.withdraw(world.subject, scopes=[Scope.TRANSCRIBE], actor=ACTOR)

    assert operator.get(f"/v1/analyses/{job.code}/transcript?task=translate").status == 200
    refused = operator.get(f"/v1/analyses/{job.code}/transcript?task=translate&redact=true")
    assert (refused.status, refused.body["code"]) == (409, "redaction_impossible")


def call_of_two(world: World) -> tuple[Recording, gate.Participant]:
    other = world.another_subject()
    world.consent(Scope.TRANSCRIBE, Scope.NONVERBAL)
    world.consent(Scope.TRANSCRIBE, Scope.NONVERBAL, subject=other)
    people = (
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channel=0),
        gate.Participant(other.code, ParticipantRole.EMPLOYEE, channel=1),
    )
    return world.upload(b"audio" * 100, Scope.TRANSCRIBE, Scope.NONVERBAL, people=people), people[1]


def test_whoever_was_heard_without_a_transcript_that_may_be_opened_cannot_be_redacted(
    world: World, operator: Caller
) -> None:
    recording, other = call_of_two(world)
    job = done(
        recording,
        (Scope.TRANSCRIBE, [0], transcript(SAID)),
        (Scope.TRANSCRIBE, [1], transcript("Thank you, Anna.")),
        (Scope.NONVERBAL, [1], SOUNDS),
    )
    path = f"/v1/analyses/{job.code}/results"
    both = operator.get(f"{path}?redact=true")
    assert both.status == 200
    assert not any(secret.encode() in both.content for secret in SECRETS)
    employee = recording.participants.get(subject__code=other.subject).subject
    withdrawal.withdraw(employee, scopes=[Scope.TRANSCRIBE], actor=ACTOR)
    answer = operator.get(f"{path}?redact=true")
    assert (answer.status, answer.body["code"]) == (409, "redaction_impossible")
    assert b"laughter" not in answer.content
    assert operator.get(path).status == 200
    withdrawal.withdraw(employee, actor=ACTOR)
    alone = operator.get(f"{path}?redact=true")
    assert alone.status == 200, alone
    assert not any(secret.encode() in alone.content for secret in SECRETS)


def test_without_consent_there_is_nothing_to_redact(world: World, operator: Caller) -> None:
    job = told(world)
    withdrawal.withdraw(world.subject, actor=ACTOR)
    answer = operator.get(f"/v1/analyses/{job.code}/results?redact=true")
    assert (answer.status, answer.body["code"]) == (403, "consent_denied")
    with pytest.raises(ConsentDenied):
        reading.read_timeline(job, actor=ACTOR, redacted=True)


def test_a_refused_redaction_leaves_no_trace_of_a_read(world: World) -> None:
    world.consent(Scope.NONVERBAL)
    job = done(world.upload(b"audio" * 100, Scope.NONVERBAL), (Scope.NONVERBAL, [0], SOUNDS))
    with pytest.raises(RedactionImpossible):
        reading.read_results(job, actor=ACTOR, redacted=True)
    assert not Event.objects.filter(log=world.organization.code, name=EventName.RESULTS_READ.value).exists()


@pytest.mark.parametrize("body", [{}, {"utterances": [{"start": 0.0, "text": "Anna Miller"}]}])
def test_a_transcript_of_another_form_is_never_passed_through(world: World, body: dict[str, Any]) -> None:
    world.consent(Scope.TRANSCRIBE)
    job = done(world.upload(b"audio" * 100, Scope.TRANSCRIBE), (Scope.TRANSCRIBE, [0], body))
    with pytest.raises(RedactionImpossible):
        reading.read_results(job, actor=ACTOR, redacted=True)


def test_what_was_found_on_one_channel_is_taken_out_of_the_other(world: World) -> None:
    recording, _ = call_of_two(world)
    job = done(
        recording,
        (Scope.TRANSCRIBE, [0], transcript("my name is Oduya Mbeki")),
        (Scope.TRANSCRIBE, [1], transcript("and how do you write Mbeki then")),
    )
    view = reading.read_results(job, actor=ACTOR, redacted=True)
    assert "Mbeki" not in str(view.as_json())


@dataclasses.dataclass(frozen=True)
class Badges:
    """A recognizer as an installation might add one."""

    name: str = "badges"

    def find(self, heard: Any, /) -> Any:
        return [Found(DataType.IDENTIFIER, at, at, 0.9) for at, word in enumerate(heard.lower) if word == "zq-771"]


def test_an_installation_may_add_recognizers(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    job = done(
        world.upload(b"audio" * 100, Scope.TRANSCRIBE), (Scope.TRANSCRIBE, [0], transcript("take ZQ-771 please"))
    )
    redacting.recognizers.cache_clear()
    try:
        with override_settings(VOXGOV_RECOGNIZERS=["tests.analysis.test_redacted_reading.Badges"]):
            view = reading.read_results(job, actor=ACTOR, redacted=True)
    finally:
        redacting.recognizers.cache_clear()
    assert view.results[0].body["utterances"][0]["text"] == "take [IDENTIFIER] please"


def test_a_recognizer_that_is_not_there_stops_the_start() -> None:
    redacting.recognizers.cache_clear()
    try:
        with (
            override_settings(VOXGOV_RECOGNIZERS=["nowhere.Badges"]),
            pytest.raises(ImproperlyConfigured, match="nowhere"),
        ):
            redacting.recognizers()
    finally:
        redacting.recognizers.cache_clear()
