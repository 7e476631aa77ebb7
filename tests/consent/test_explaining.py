"""A decision explained in plain words, with the grants and rules that it rests on: as of the decision, whatever came since."""

from typing import Any

import pytest

from accounts.roles import Role
from consent import destruction, gate, law, publishing, withdrawal
from consent.errors import ConsentDenied
from consent.vocabulary import Action, ParticipantRole, Scope
from tests.callers import Caller
from tests.factories import ACTOR, World


def read(world: World, code: str) -> Any:
    answer = Caller(world.project, Role.CONSENT_MANAGER).get(f"/v1/decisions/{code}")
    assert answer.status == 200, answer
    return answer.body


def asked(world: World, *scopes: Scope, people: list[gate.Participant] | None = None, **more: Any) -> str:
    request = world.ask(*scopes, people=people, **more)
    try:
        return gate.require(request, action=Action.READ, actor=ACTOR, partial=True).decision
    except ConsentDenied as denied:
        return denied.decision


def test_an_allowed_decision_names_each_grant_with_its_notice_and_each_rule_with_its_citation(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE, Scope.EMOTION)
    body = read(world, asked(world, Scope.TRANSCRIBE, Scope.EMOTION, jurisdiction="DE"))
    relied = {one["scope"]: one for one in body["basis"]["grants"]}
    assert set(relied) == {"speech.transcribe", "voice.emotion"}
    for one in relied.values():
        assert (one["subject"], one["consent"], one["explicit"]) == (world.subject.code, record.code, True)
        assert one["notice"]["sha256"] == world.notice.sha256
    rules = {rule["id"]: rule["citation"] for rule in body["basis"]["rules"]}
    assert rules["eu-ai-act-5-1-f"] == "Regulation (EU) 2024/1689, art. 5(1)(f)"
    assert set(rules) == set(body["rules"])
    words = " ".join(body["explanation"])
    assert "The answer was yes." in words
    assert f"The customer {world.subject.code} let us write down what was said" in words
    assert "version 1 of the notice “voice” (en)" in words


def test_a_denial_says_why_in_words_with_the_law_and_what_would_help(world: World) -> None:
    world.consent(Scope.EMOTION)
    body = read(world, asked(world, Scope.EMOTION, Scope.PROSODY, role=ParticipantRole.EMPLOYEE))
    words = " ".join(body["explanation"])
    assert "The answer was no." in words
    assert "No emotion inference about a participant in the role employee" in words
    assert "(Regulation (EU) 2024/1689, art. 5(1)(f))" in words
    assert "Record a new consent for this scope and purpose." in words
    assert "eu-ai-act-5-1-f" in {rule["id"] for rule in body["basis"]["rules"]}


def test_what_is_allowed_in_part_and_whom_is_left_out_is_said(world: World) -> None:
    world.consent(Scope.AUDIO_STORE)
    other = world.another_subject()
    people = [
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channel=0),
        gate.Participant(other.code, ParticipantRole.EMPLOYEE, channel=1),
    ]
    words = " ".join(
        read(world, asked(world, Scope.AUDIO_STORE, Scope.TRANSCRIBE, people=people, jurisdiction="US-NY"))[
            "explanation"
        ]
    )
    assert "The answer was yes in part" in words
    assert f"The employee {other.code} must be left out of what is kept (Cal. Penal Code 632" in words


def test_it_stays_as_it_was_whatever_changes_afterwards(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.consent(Scope.TRANSCRIBE, Scope.EMOTION)
    code = asked(world, Scope.TRANSCRIBE, Scope.EMOTION)
    before = read(world, code)
    withdrawal.withdraw(world.subject, actor=ACTOR)
    newer = publishing.draft_notice(
        world.project, series="voice", language="en", title="Anew", text="And more.", material=True, actor=ACTOR
    )
    publishing.publish_notice(newer, actor=ACTOR)
    monkeypatch.setattr(law, "CITATIONS", {})
    monkeypatch.setattr(law, "RULE_SET_VERSION", "another")
    monkeypatch.setattr(law, "RULES", ())
    assert read(world, code) == before


def test_nobody_who_was_erased_is_named_by_an_explanation(world: World) -> None:
    other = world.another_subject()
    world.consent(Scope.TRANSCRIBE)
    world.consent(Scope.TRANSCRIBE, subject=other)
    people = [
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channel=0),
        gate.Participant(other.code, ParticipantRole.EMPLOYEE, channel=1),
    ]
    code = asked(world, Scope.TRANSCRIBE, people=people)
    destruction.carry_out(withdrawal.erase(other, actor=ACTOR).code)
    body = read(world, code)
    assert [one["subject"] for one in body["basis"]["grants"]] == [world.subject.code]
    assert other.code not in str(body)
