"""`POST /v1/decisions:dry-run`: the gate's whole answer, and nothing recorded but that it was asked."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.roles import Role
from audit.events import EventName
from audit.models import EventReference
from consent import gate
from consent.models import Decision, GrantUse, RestrictedRole
from consent.vocabulary import Scope
from tests.callers import Answer, Caller
from tests.factories import World, make_world
from tests.people import events
from tests.voxgov.test_problems import is_problem


def question(world: World, *scopes: Scope, people: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    now = timezone.now()
    return {
        "purpose": world.purpose.code,
        "context": "support",
        "jurisdiction": "US-NY",
        "recorded_at": now.isoformat(),
        "exposure_notice_shown_at": (now - timedelta(minutes=1)).isoformat(),
        "participants": people or [{"subject": world.subject.code, "role": "customer"}],
        "scopes": [scope.value for scope in scopes],
        **more,
    }


def asked(world: World, body: dict[str, Any]) -> Answer:
    return Caller(world.project, Role.OPERATOR).post("/v1/decisions:dry-run", body)


def test_it_answers_per_participant_and_scope_with_remedies_and_the_rules(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE, Scope.EMOTION)
    employee = world.another_subject()
    world.consent(Scope.EMOTION, subject=employee)
    people = [
        {"subject": world.subject.code, "role": "customer", "channel": 0},
        {"subject": employee.code, "role": "employee", "channel": 1},
    ]
    answer = asked(world, question(world, Scope.TRANSCRIBE, Scope.EMOTION, people=people))
    assert answer.status == 200, answer
    body = answer.body
    assert body["allowed"] is False
    customer, other = body["participants"]
    assert [(s["scope"], s["answer"]) for s in customer["scopes"]] == [
        ("speech.transcribe", "allow"),
        ("voice.emotion", "allow"),
    ]
    assert customer["scopes"][0]["grant"] in {grant.code for grant in record.grants.all()}
    assert [(s["scope"], s["answer"]) for s in other["scopes"]] == [
        ("speech.transcribe", "deny"),
        ("voice.emotion", "deny"),
    ]
    (missing,) = other["scopes"][0]["denials"]
    assert (missing["reason"], missing["remedy"]) == (
        "not_granted",
        "Record a new consent for this scope and purpose.",
    )
    (law,) = other["scopes"][1]["denials"]
    assert (law["rule"], law["citation"]) == ("eu-ai-act-5-1-f", "Regulation (EU) 2024/1689, art. 5(1)(f)")
    assert {"id": "gdpr-9-2-a", "citation": "Regulation (EU) 2016/679, art. 9(2)(a)"}["id"] in {
        rule["id"] for rule in body["rules"]
    }
    assert all(rule["citation"] for rule in body["rules"])
    assert body["rule_set"] == gate.evaluate(world.ask(Scope.TRANSCRIBE)).rule_set


def test_it_says_whom_the_law_would_have_left_out(world: World) -> None:
    world.consent(Scope.AUDIO_STORE)
    other = world.another_subject()
    people = [
        {"subject": world.subject.code, "role": "customer", "channel": 0},
        {"subject": other.code, "role": "employee", "channel": 1},
    ]
    body = asked(world, question(world, Scope.AUDIO_STORE, people=people)).body
    assert body["allowed"] is True
    assert [person["scopes"][0]["answer"] for person in body["participants"]] == ["allow", "leave_out"]
    assert [(duty["kind"], duty["participant"]) for duty in body["obligations"]] == [("mask", 1)]


def test_nothing_is_recorded_but_that_it_was_asked(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, uses=1)
    world.consent(Scope.EMOTION)
    before = Decision.objects.count()
    allowed = asked(world, question(world, Scope.TRANSCRIBE))
    denied = asked(world, question(world, Scope.EMOTION, people=[{"subject": world.subject.code, "role": "employee"}]))
    assert (allowed.body["allowed"], denied.body["allowed"]) == (True, False)
    assert Decision.objects.count() == before
    assert not GrantUse.objects.filter(record__subject=world.subject).exists()
    assert not RestrictedRole.objects.filter(subject=world.subject).exists()
    tried = events(world, EventName.DECISION_TRIED)
    assert [event.outcome for event in tried] == ["allow", "deny"]
    for event in tried:
        assert EventReference.objects.filter(event=event, code=world.subject.code).exists()
        assert world.subject.code.encode() not in bytes(event.entry)


def test_the_answer_is_what_the_gate_then_gives(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    for scopes in ((Scope.TRANSCRIBE,), (Scope.TRANSCRIBE, Scope.PROSODY), (Scope.PROSODY,)):
        body = asked(world, question(world, *scopes)).body
        verdict = gate.evaluate(world.ask(*scopes, jurisdiction="US-NY"))
        assert body["allowed"] == verdict.allowed
        assert [s["scope"] for s in body["participants"][0]["scopes"] if s["answer"] == "allow"] == [
            pair.scope.value for pair in verdict.granted
        ]


def test_a_question_that_is_not_whole_or_names_strangers_is_refused(world: World) -> None:
    whole = question(world, Scope.TRANSCRIBE)
    for name in ("purpose", "context", "jurisdiction", "recorded_at", "participants", "scopes"):
        assert is_problem(asked(world, {k: v for k, v in whole.items() if k != name}), 400, "invalid_request")
    twice = whole["participants"] * 2
    assert is_problem(asked(world, {**whole, "participants": twice}), 400, "invalid_request")
    strangers = make_world()
    stranger = [{"subject": strangers.subject.code, "role": "customer"}]
    assert is_problem(asked(world, {**whole, "participants": stranger}), 422, "reference_unknown")
    assert is_problem(asked(world, {**whole, "purpose": strangers.purpose.code}), 422, "reference_unknown")
    assert not events(world, EventName.DECISION_TRIED)
