"""A project's own rules: they only forbid, the law's stay whatever is chosen, and a change holds from its commit on."""

from datetime import timedelta

import pytest
from django.db import Error, connection
from django.utils import timezone

from accounts.models import Organization
from accounts.roles import Role
from audit.events import EventName
from consent import gate, law, restoring, rule_sets
from consent.errors import ConsentDenied, InvalidRecord
from consent.models import Decision, RuleSet
from consent.vocabulary import Action, Context, DenialReason, EvidenceMethod, ParticipantRole, Scope
from tests.callers import Caller
from tests.factories import ACTOR, World, make_world
from tests.people import events
from tests.voxgov.test_problems import is_problem
from vault import journal


def denied_by(world: World, *scopes: Scope, **more: object) -> set[str]:
    verdict = gate.evaluate(world.ask(*scopes, **more))  # type: ignore[arg-type]  # whatever a question takes
    assert all(denial.reason is DenialReason.LAW for denial in verdict.denials)
    return {denial.rule for denial in verdict.denials}


def choose(world: World, *rules: str) -> rule_sets.Rules:
    return rule_sets.choose(world.project, rules, actor=ACTOR)


def epoch(world: World) -> int:
    return int(Organization.objects.get(pk=world.organization.pk).policy_epoch)


def test_own_explicit_denies_what_was_not_granted_explicitly_and_nothing_else(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, explicit=False)
    world.consent(Scope.PROSODY, explicit=True)
    assert denied_by(world, Scope.TRANSCRIBE) == set()
    choose(world, "own-explicit")
    assert denied_by(world, Scope.TRANSCRIBE) == {"own-explicit"}
    assert denied_by(world, Scope.PROSODY) == set()


def test_own_end_denies_open_ended_consent_and_allows_one_with_an_end(world: World) -> None:
    choose(world, "own-end")
    world.consent(Scope.TRANSCRIBE)
    world.consent(Scope.PROSODY, expires_at=timezone.now() + timedelta(days=1))
    assert denied_by(world, Scope.TRANSCRIBE) == {"own-end"}
    assert denied_by(world, Scope.PROSODY) == set()


def test_own_evidence_denies_special_categories_on_an_attestation_and_nothing_else(world: World) -> None:
    choose(world, "own-evidence")
    world.consent(Scope.EMOTION, Scope.TRANSCRIBE, evidence_method=EvidenceMethod.API_ATTESTATION)
    assert denied_by(world, Scope.EMOTION) == {"own-evidence"}
    assert denied_by(world, Scope.TRANSCRIBE) == set()
    world.consent(Scope.EMOTION, evidence_method=EvidenceMethod.PAPER)
    assert denied_by(world, Scope.EMOTION) == set()


def test_own_known_denies_an_unknown_role_and_allows_a_known_one(world: World) -> None:
    choose(world, "own-known")
    world.consent(Scope.TRANSCRIBE)
    assert denied_by(world, Scope.TRANSCRIBE, role=ParticipantRole.UNKNOWN) == {"own-known"}
    assert denied_by(world, Scope.TRANSCRIBE) == set()


def test_own_no_emotion_denies_emotion_about_anybody_and_no_other_scope(world: World) -> None:
    choose(world, "own-no-emotion")
    world.consent(Scope.EMOTION, Scope.PROSODY)
    assert denied_by(world, Scope.EMOTION) == {"own-no-emotion"}
    assert denied_by(world, Scope.PROSODY) == set()


@pytest.mark.parametrize("rule", sorted(law.OWN))
def test_no_choice_opens_anything_and_the_laws_rules_stay(rule: str) -> None:
    world = make_world(contexts=[Context.SUPPORT, Context.EMPLOYMENT])
    world.consent(Scope.EMOTION, Scope.TRANSCRIBE)

    def granted() -> set[tuple[str, str, Scope]]:
        return {
            (role, context, pair.scope)
            for role in ParticipantRole
            for context in (Context.SUPPORT, Context.EMPLOYMENT)
            for pair in gate.evaluate(world.ask(Scope.EMOTION, Scope.TRANSCRIBE, role=role, context=context)).granted
        }

    before = granted()
    choose(world, rule)
    assert granted() <= before
    choose(world)
    assert granted() == before
    assert "eu-ai-act-5-1-f" in denied_by(world, Scope.EMOTION, role=ParticipantRole.EMPLOYEE)


def test_what_is_no_own_rule_cannot_be_chosen_and_one_of_the_laws_not_either(world: World) -> None:
    for rule in ("gdpr-9-2-a", "no-such-rule"):
        with pytest.raises(InvalidRecord):
            choose(world, rule)
    assert rule_sets.of(world.project).own == ()


def test_a_change_moves_the_policy_epoch_and_stands_on_the_trail_and_the_same_choice_does_not(world: World) -> None:
    before = epoch(world)
    choose(world, "own-end", "own-explicit")
    choose(world, "own-explicit", "own-end")
    assert epoch(world) == before + 1
    choose(world, "own-explicit")
    assert epoch(world) == before + 2
    first, second = events(world, EventName.RULE_SET_CHANGED)
    assert b'"added":["own-end","own-explicit"],"removed":[]' in bytes(first.entry)
    assert b'"added":[],"removed":["own-end"]' in bytes(second.entry)


def test_a_permit_from_before_is_not_in_force_and_decisions_name_the_set_they_were_judged_by(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, explicit=False)
    request = world.ask(Scope.TRANSCRIBE)
    permit = gate.require(request, action=Action.READ, actor=ACTOR)
    assert permit.rule_set == law.RULE_SET_VERSION
    choose(world, "own-explicit")
    assert not gate.still_in_force(permit, request)
    with pytest.raises(ConsentDenied) as denied:
        gate.require(request, action=Action.READ, actor=ACTOR)
    assert Decision.objects.get(code=denied.value.decision).rule_set == f"{law.RULE_SET_VERSION}+1"


def test_an_own_rule_that_had_a_say_is_named_by_the_decision(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    choose(world, "own-explicit")
    code = gate.require(world.ask(Scope.TRANSCRIBE), action=Action.READ, actor=ACTOR).decision
    assert Decision.objects.get(code=code).citations["own-explicit"] == "the project's own rule"


def test_another_projects_choice_changes_nothing_here(world: World) -> None:
    other = make_world()
    world.consent(Scope.TRANSCRIBE, explicit=False)
    choose(other, "own-explicit")
    assert denied_by(world, Scope.TRANSCRIBE) == set()


def test_a_rule_that_this_version_does_not_know_allows_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.consent(Scope.TRANSCRIBE)
    choose(world, "own-explicit")
    monkeypatch.setattr(law, "OWN", {})
    with pytest.raises(KeyError):
        gate.require(world.ask(Scope.TRANSCRIBE), action=Action.READ, actor=ACTOR)


def test_a_restored_backup_gets_its_rules_back_and_loses_none(world: World) -> None:
    before = journal.last_number()
    choose(world, "own-explicit")
    (entry,) = [one for one in journal.entries() if one.number > before and one.kind == rule_sets.RULES]
    assert not restoring.replay(entry)
    long_ago = timezone.now() - timedelta(days=1)
    RuleSet.objects.filter(project=world.project).update(rules=["own-end"], changed_at=long_ago)
    assert restoring.replay(entry)
    assert rule_sets.of(world.project).own == ("own-end", "own-explicit")


def test_the_application_deletes_no_rule_set(world: World) -> None:
    choose(world, "own-explicit")
    with pytest.raises(Error), connection.cursor() as cursor:
        cursor.execute("DELETE FROM consent_ruleset")


def test_it_is_read_and_chosen_over_http(world: World) -> None:
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    chosen = manager.call("PUT", "/v1/rule-set", {"rules": ["own-no-emotion"]})
    assert chosen.status == 200, chosen
    read = manager.get("/v1/rule-set").body
    assert read == chosen.body
    assert {rule["id"]: rule["chosen"] for rule in read["own"]}["own-no-emotion"] is True
    assert "gdpr-9-2-a" in {rule["id"] for rule in read["law"]}
    assert read["name"] == f"{law.RULE_SET_VERSION}+1"
    assert is_problem(manager.call("PUT", "/v1/rule-set", {"rules": ["gdpr-9-2-a"]}), 400, "invalid_request")
