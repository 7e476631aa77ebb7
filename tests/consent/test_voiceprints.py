"""Voiceprints at the gate: who may be told from others on a shared channel, on which conditions; and where a voiceprint ends."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from analysis import voice_model
from audit.models import Event
from consent import (
    destruction,
    explaining,
    gate,
    inventory,
    restricting,
    retention,
    voiceprints,
    withdrawal,
)
from consent.errors import BeyondPermit
from consent.inventory import Category, Target
from consent.models import Decision, Subject, Voiceprint
from consent.vocabulary import (
    Action,
    DenialReason,
    ObligationKind,
    ParticipantRole,
    RestrictionGround,
    Scope,
)
from consent.voiceprints import Template
from tests.factories import ACTOR, World, make_world
from tests.people import manager

CUSTOMER, OTHER = 0, 1
HERE = "DE"
"""A place where no rule forbids to tell voices apart."""


def enrol(world: World, subject: Subject | None = None, *, model: str = "") -> Voiceprint:
    """A voiceprint of somebody who granted `voice.identify`; its template is no real one, which is no matter to the gate."""
    person = subject or world.subject
    people = [gate.Participant(person.code, ParticipantRole.CUSTOMER)]
    asked = world.ask(Scope.IDENTIFY, people=people, jurisdiction=HERE)
    permit = gate.require(asked, action=Action.COMMIT, actor=ACTOR)
    template = Template(b"template of a voice", "resemblyzer", model or voice_model.digest(), 12.0)
    with transaction.atomic():
        return voiceprints.keep(permit, person.code, template, actor=ACTOR)


@pytest.fixture
def world() -> World:
    """Its subject granted recognition, transcription and keeping, and has a voiceprint."""
    made = make_world()
    made.consent(Scope.IDENTIFY, Scope.TRANSCRIBE, Scope.AUDIO_STORE)
    enrol(made)
    return made


def shared(world: World, other: Subject, *scopes: Scope, jurisdiction: str = HERE) -> gate.GateRequest:
    """The customer and somebody else on one channel."""
    people = [
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER),
        gate.Participant(other.code, ParticipantRole.CALLER),
    ]
    return world.ask(*scopes, people=people, jurisdiction=jurisdiction)


def duties(verdict: gate.Verdict) -> set[tuple[ObligationKind, int, Scope]]:
    return {(duty.kind, duty.participant, duty.scope) for duty in verdict.obligations}


BOTH = (Scope.IDENTIFY, Scope.TRANSCRIBE)
APART = {
    (kind, who, scope)
    for scope in BOTH
    for kind, who in ((ObligationKind.ISOLATE, CUSTOMER), (ObligationKind.MASK, OTHER))
}


def test_with_a_voiceprint_the_person_is_isolated_and_the_other_left_out(world: World) -> None:
    other = world.another_subject()
    verdict = gate.evaluate(shared(world, other, *BOTH))
    assert verdict.allowed
    assert {(pair.subject, pair.scope) for pair in verdict.granted} == {(world.subject.code, scope) for scope in BOTH}
    assert duties(verdict) == APART


def unbound(world: World, request: gate.GateRequest) -> bool:
    """Whether transcription is denied as without a voiceprint, and nothing is granted on condition."""
    verdict = gate.evaluate(request)
    reasons = {(d.subject, d.scope): d.reason for d in verdict.denials}
    said: bool = reasons.get((world.subject.code, Scope.TRANSCRIBE)) is DenialReason.PARTICIPANT_UNBOUND
    return said and not verdict.obligations and not verdict.granted


def test_without_recognition_in_the_same_request_nobody_is_isolated(world: World) -> None:
    assert unbound(world, shared(world, world.another_subject(), Scope.TRANSCRIBE))


def test_without_a_voiceprint_nobody_is_isolated() -> None:
    world = make_world()
    world.consent(*BOTH)
    assert unbound(world, shared(world, world.another_subject(), *BOTH))


def test_a_voiceprint_of_another_model_isolates_nobody(world: World) -> None:
    enrol(world, model="0" * 64)
    assert unbound(world, shared(world, world.another_subject(), *BOTH))


def test_a_voiceprint_whose_term_is_over_isolates_nobody_even_before_the_sweep(world: World) -> None:
    Voiceprint.objects.filter(subject=world.subject).update(expires_at=timezone.now())
    assert unbound(world, shared(world, world.another_subject(), *BOTH))


@pytest.mark.parametrize("place", ["US-IL", "unknown", "US"])
def test_bipa_forbids_to_tell_voices_apart_where_somebody_may_be_in_illinois(world: World, place: str) -> None:
    verdict = gate.evaluate(shared(world, world.another_subject(), *BOTH, jurisdiction=place))
    assert not verdict.granted
    assert not verdict.obligations
    assert "bipa-15-b-others" in {denial.rule for denial in verdict.denials}


def test_bipa_holds_where_only_the_other_person_is_in_illinois(world: World) -> None:
    asked = shared(world, world.another_subject(), *BOTH)
    in_illinois = (asked.participants[0], replace(asked.participants[1], jurisdiction="US-IL"))
    verdict = gate.evaluate(replace(asked, participants=in_illinois))
    assert not verdict.granted
    assert not verdict.obligations


def test_bipa_holds_where_the_other_is_in_illinois_by_a_consent_to_something_else(world: World) -> None:
    other = world.another_subject()
    asked = shared(world, other, *BOTH)
    assert gate.evaluate(asked).granted
    world.consent(Scope.PROSODY, subject=other, jurisdiction="US-IL")
    verdict = gate.evaluate(asked)
    assert not verdict.granted
    assert not verdict.obligations
    assert "bipa-15-b-others" in {denial.rule for denial in verdict.denials}


def test_nothing_is_told_apart_from_whoever_is_unknown_erased_or_restricted(world: World) -> None:
    stranger = make_world().subject
    erased, restricted = world.another_subject(), world.another_subject()
    withdrawal.erase(erased, actor=ACTOR)
    restricting.restrict(restricted, RestrictionGround.INQUIRY, ACTOR)
    for other in (stranger, erased, restricted):
        assert unbound(world, shared(world, other, *BOTH))


def test_what_the_law_denies_about_the_other_stays_a_denial_and_is_remembered(world: World) -> None:
    employee = world.another_subject()
    world.consent(Scope.IDENTIFY, Scope.EMOTION)
    world.consent(Scope.EMOTION, subject=employee)
    asked = shared(world, employee, Scope.IDENTIFY, Scope.EMOTION)
    asked = replace(
        asked, participants=(asked.participants[0], replace(asked.participants[1], role=ParticipantRole.EMPLOYEE))
    )
    verdict = gate.evaluate(asked)
    assert not verdict.allowed
    assert {(d.subject, d.rule) for d in verdict.denials} == {(employee.code, "eu-ai-act-5-1-f")}
    # The customer in the same call may still be analysed, isolated.
    permit = gate.require(asked, action=Action.CLAIM, actor=ACTOR, partial=True)
    assert permit.must_isolate(CUSTOMER, Scope.EMOTION)
    assert permit.must_mask(OTHER, Scope.EMOTION)
    assert not permit.allows(employee.code, Scope.EMOTION)
    relabelled = gate.evaluate(
        world.ask(Scope.EMOTION, people=[gate.Participant(employee.code, ParticipantRole.CUSTOMER)])
    )
    assert {d.reason for d in relabelled.denials} == {DenialReason.ROLE_RELABELLED}


def test_two_who_consent_are_isolated_each_and_one_without_a_voiceprint_is_denied(world: World) -> None:
    second, third = world.another_subject(), world.another_subject()
    world.consent(*BOTH, subject=second)
    enrol(world, second)
    people = [gate.Participant(one.code, ParticipantRole.CUSTOMER) for one in (world.subject, second, third)]
    verdict = gate.evaluate(world.ask(*BOTH, people=people, jurisdiction=HERE))
    assert verdict.allowed
    kinds = {(kind, who) for kind, who, scope in duties(verdict) if scope is Scope.TRANSCRIBE}
    assert kinds == {(ObligationKind.ISOLATE, 0), (ObligationKind.ISOLATE, 1), (ObligationKind.MASK, 2)}
    Voiceprint.objects.filter(subject=second).delete()
    verdict = gate.evaluate(world.ask(*BOTH, people=people, jurisdiction=HERE))
    assert {(d.subject, d.reason) for d in verdict.denials} == {(second.code, DenialReason.PARTICIPANT_UNBOUND)}
    assert {pair.subject for pair in verdict.granted} == {world.subject.code}


def test_a_permit_is_not_in_force_once_somebody_else_is_to_be_left_out(world: World) -> None:
    other = world.another_subject()
    world.consent(*BOTH, subject=other)
    asked = shared(world, other, *BOTH)
    permit = gate.require(asked, action=Action.CLAIM, actor=ACTOR)
    assert not permit.obligations
    withdrawal.withdraw(other, scopes=[Scope.TRANSCRIBE], actor=ACTOR)
    assert gate.evaluate(asked).allowed
    assert not gate.still_in_force(permit, asked)
    isolated = gate.require(asked, action=Action.CLAIM, actor=ACTOR)
    assert gate.still_in_force(isolated, asked)
    withdrawal.withdraw(world.subject, scopes=[Scope.IDENTIFY], actor=ACTOR)
    assert not gate.still_in_force(isolated, asked)


KEPT = (Scope.IDENTIFY, Scope.AUDIO_STORE)


def test_audio_is_kept_apart_only_where_one_party_decides(world: World) -> None:
    other = world.another_subject()
    verdict = gate.evaluate(shared(world, other, *KEPT, jurisdiction="US-NY"))
    assert verdict.allowed
    assert {(kind, who) for kind, who, scope in duties(verdict) if scope is Scope.AUDIO_STORE} == {
        (ObligationKind.ISOLATE, CUSTOMER),
        (ObligationKind.MASK, OTHER),
    }
    for place in ("DE", "US-CA"):
        verdict = gate.evaluate(shared(world, other, *KEPT, jurisdiction=place))
        assert not verdict.allowed
        assert (world.subject.code, Scope.AUDIO_STORE) not in {(pair.subject, pair.scope) for pair in verdict.granted}


def test_reading_what_was_told_apart_needs_the_consent_but_no_voiceprint_any_more(world: World) -> None:
    asked = shared(world, world.another_subject(), *BOTH)
    Voiceprint.objects.filter(subject=world.subject).delete()
    assert not gate.evaluate(asked).granted
    reading = replace(asked, told_apart=True)
    assert duties(gate.evaluate(reading)) == APART
    withdrawal.withdraw(world.subject, scopes=[Scope.IDENTIFY], actor=ACTOR)
    assert not gate.evaluate(reading).granted


def test_the_decision_says_in_plain_words_what_it_obliges_to(world: World) -> None:
    other = world.another_subject()
    permit = gate.require(shared(world, other, *BOTH), action=Action.CLAIM, actor=ACTOR)
    said = " ".join(explaining.explain(Decision.objects.get(code=permit.decision)).sentences)
    assert "only what matches their own voiceprint may be used" in said
    assert f"The caller {other.code} must be left out" in said


# Where a voiceprint is kept, and where it ends


def template_of(world: World) -> bytes | None:
    permit = gate.require(world.ask(Scope.IDENTIFY, jurisdiction=HERE), action=Action.CLAIM, actor=ACTOR)
    enrolled = voiceprints.open_of(permit, world.subject.code)
    return None if enrolled is None else enrolled.template.values


def test_a_voiceprint_is_sealed_opens_under_a_permit_and_a_newer_one_takes_its_place(world: World) -> None:
    first = Voiceprint.objects.get(subject=world.subject)
    assert b"template of a voice" not in bytes(first.template)
    assert template_of(world) == b"template of a voice"
    second = enrol(world)
    assert [row.code for row in Voiceprint.objects.filter(subject=world.subject)] == [second.code]
    assert second.code != first.code
    made = Event.objects.filter(log=world.organization.code, name="consent:voiceprint:made")
    assert made.count() == 2
    without = gate.require(world.ask(Scope.TRANSCRIBE, jurisdiction=HERE), action=Action.CLAIM, actor=ACTOR)
    with pytest.raises(BeyondPermit):
        voiceprints.open_of(without, world.subject.code)
    with pytest.raises(BeyondPermit):
        voiceprints.keep(without, world.subject.code, Template(b"", "", "", 0.0), actor=ACTOR)


def test_withdrawal_of_recognition_closes_the_voiceprint_at_once_and_destroys_it(world: World) -> None:
    withdrawal.withdraw(world.subject, scopes=[Scope.IDENTIFY], actor=ACTOR)
    world.consent(Scope.IDENTIFY)
    # Consented to again before the worker came by: what was made before opens nothing, and isolates nobody.
    assert unbound(world, shared(world, world.another_subject(), *BOTH))
    assert template_of(world) is None
    destruction.carry_out_orders()
    assert not Voiceprint.objects.filter(subject=world.subject).exists()


def test_a_withdrawn_voiceprint_opens_never_again_even_where_another_purpose_keeps_the_key(world: World) -> None:
    world.under_another_purpose(Scope.IDENTIFY).consent(Scope.IDENTIFY)
    withdrawal.withdraw(world.subject, scopes=[Scope.IDENTIFY], purpose=world.purpose, actor=ACTOR)
    world.consent(Scope.IDENTIFY)
    assert template_of(world) is None
    enrol(world)
    assert template_of(world) == b"template of a voice", "a new one is not what was ordered destroyed"


def test_withdrawing_another_scope_or_another_purpose_leaves_it(world: World) -> None:
    withdrawal.withdraw(world.subject, scopes=[Scope.TRANSCRIBE], actor=ACTOR)
    destruction.carry_out_orders()
    assert template_of(world) == b"template of a voice"


def test_erasure_destroys_it(world: World) -> None:
    order = withdrawal.erase(world.subject, actor=ACTOR)
    assert destruction.carry_out(order.code)
    assert not Voiceprint.objects.filter(subject=world.subject).exists()


def test_its_term_is_the_shortest_of_policy_class_and_cap_and_the_sweep_keeps_it(world: World) -> None:
    row = Voiceprint.objects.get(subject=world.subject)
    assert row.expires_at - row.made_at == timedelta(days=365)
    retention.set_policy(world.project, Category.VOICEPRINTS, 30, actor=ACTOR)
    again = enrol(world)
    assert again.expires_at - again.made_at == timedelta(days=30)
    retention.sweep_project(world.project)
    assert Voiceprint.objects.filter(pk=again.pk).exists()
    Voiceprint.objects.filter(pk=again.pk).update(made_at=timezone.now() - timedelta(days=31))
    restricting.restrict(world.subject, RestrictionGround.INQUIRY, ACTOR)
    retention.sweep_project(world.project)
    assert Voiceprint.objects.filter(pk=again.pk).exists(), "terms stand still while somebody is restricted"
    restricting.lift(world.subject, ACTOR)
    retention.sweep_project(world.project)
    assert not Voiceprint.objects.filter(pk=again.pk).exists()


def test_what_a_person_may_see_of_it_is_that_it_is_there_and_never_the_template(world: World) -> None:
    holder = inventory.holder("voiceprints")
    target = Target(world.organization.code, world.project.pk, world.subject.code, timezone.now())
    (seen,) = holder.export(target)
    assert set(seen) == {"voiceprint", "purpose", "model", "seconds", "made_at", "expires_at"}
    assert "template of a voice" not in repr(seen)
    assert "template of a voice" not in repr(Template(b"template of a voice", "m", "d", 1.0))


def test_the_persons_page_says_that_there_is_one_and_shows_nothing_of_it(world: World) -> None:
    page = manager(world).see(f"/admin/consent/subject/{world.subject.code}/change/")
    kept = Voiceprint.objects.get(subject=world.subject)
    assert f"{world.purpose.name}: made" in page
    assert bytes(kept.template).hex() not in page
    nobodys = manager(world).see(f"/admin/consent/subject/{world.another_subject().code}/change/")
    assert "kept until" not in nobodys
