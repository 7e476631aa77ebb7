"""Restriction of processing (GDPR art. 18): everything stored stays as it is, and nothing is done with it."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.roles import Role
from audit import outside
from audit.events import EventName
from consent import destruction, expiring, gate, restoring, restricting, retention, withdrawal
from consent.errors import ConsentDenied, NotRestricted, SubjectErased, SubjectRestricted
from consent.inventory import DEFAULT_DAYS, Category
from consent.models import CurrentGrant, Decision, DestructionOrder, Subject
from consent.restricting import RESTRICTION
from consent.vocabulary import Action, DenialReason, GrantState, ParticipantRole, RestrictionGround, Scope
from tests.callers import Caller
from tests.factories import ACTOR, World, make_world
from tests.people import events
from tests.voxgov.test_problems import is_problem
from vault import journal
from vault.journal import Entry
from vault.models import ShredOrder

OBJECTION = RestrictionGround.OBJECTION


@pytest.fixture
def world() -> World:
    world = make_world()
    world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    return world


def epoch(world: World) -> int:
    return int(Subject.objects.get(pk=world.subject.pk).consent_epoch)


def reasons(world: World, *people: gate.Participant) -> list[tuple[str, DenialReason]]:
    verdict = gate.evaluate(world.ask(Scope.TRANSCRIBE, people=people or None))
    return [(denial.subject, denial.reason) for denial in verdict.denials]


@pytest.mark.parametrize("action", list(Action))
def test_everything_that_is_asked_of_the_gate_about_a_restricted_person_is_denied(world: World, action: Action) -> None:
    restricting.restrict(world.subject, OBJECTION, ACTOR)
    with pytest.raises(ConsentDenied) as denied:
        gate.require(world.ask(Scope.TRANSCRIBE, Scope.PROSODY), action=action, actor=ACTOR, partial=True)
    assert {denial.reason for denial in denied.value.verdict.denials} == {DenialReason.RESTRICTED}


def test_a_permit_from_before_is_no_longer_in_force_and_one_from_after_the_lifting_is(world: World) -> None:
    request = world.ask(Scope.TRANSCRIBE)
    before = gate.require(request, action=Action.READ, actor=ACTOR)
    restricting.restrict(world.subject, OBJECTION, ACTOR)
    assert not gate.still_in_force(before, request)
    restricting.lift(world.subject, ACTOR)
    assert gate.still_in_force(before, request)
    assert reasons(world) == []


def test_others_in_the_recording_are_heard_where_the_restricted_person_is_not(world: World) -> None:
    other = world.another_subject()
    world.consent(Scope.TRANSCRIBE, subject=other)
    restricting.restrict(world.subject, OBJECTION, ACTOR)
    apart = [
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channel=0),
        gate.Participant(other.code, ParticipantRole.CUSTOMER, channel=1),
    ]
    assert reasons(world, *apart) == [(world.subject.code, DenialReason.RESTRICTED)]
    together = [gate.Participant(person.subject, person.role) for person in apart]
    assert reasons(world, *together) == [
        (world.subject.code, DenialReason.RESTRICTED),
        (other.code, DenialReason.PARTICIPANT_UNBOUND),
    ]


def test_no_recording_is_kept_by_leaving_a_restricted_person_out(world: World) -> None:
    """To leave somebody out of what is kept, their voice has to be handled."""
    other = world.another_subject()
    world.consent(Scope.AUDIO_STORE, subject=other)
    people = [
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channel=0),
        gate.Participant(other.code, ParticipantRole.CUSTOMER, channel=1),
    ]
    asked = world.ask(Scope.AUDIO_STORE, people=people, jurisdiction="US-NY")
    assert [o.kind for o in gate.evaluate(asked).obligations] == ["mask"]
    restricting.restrict(world.subject, OBJECTION, ACTOR)
    verdict = gate.evaluate(asked)
    assert verdict.obligations == ()
    assert DenialReason.RESTRICTED in {denial.reason for denial in verdict.denials}


def test_restricting_and_lifting_move_the_epoch_and_stand_on_the_trail_with_their_ground(world: World) -> None:
    before = epoch(world)
    restricting.restrict(world.subject, RestrictionGround.LEGAL_CLAIMS, ACTOR)
    assert epoch(world) == before + 1
    restricting.lift(world.subject, ACTOR)
    assert epoch(world) == before + 2
    for name in (EventName.SUBJECT_RESTRICTED, EventName.RESTRICTION_LIFTED):
        (event,) = events(world, name)
        assert b'"reason":"legal_claims"' in bytes(event.entry)


def test_nobody_is_restricted_twice_nor_lifted_who_is_not_nor_restricted_once_erased(world: World) -> None:
    with pytest.raises(NotRestricted):
        restricting.lift(world.subject, ACTOR)
    restricting.restrict(world.subject, OBJECTION, ACTOR)
    with pytest.raises(SubjectRestricted):
        restricting.restrict(world.subject, RestrictionGround.INQUIRY, ACTOR)
    withdrawal.erase(world.subject, actor=ACTOR)
    with pytest.raises(SubjectErased):
        restricting.restrict(world.subject, OBJECTION, ACTOR)
    with pytest.raises(SubjectErased):
        restricting.lift(world.subject, ACTOR)


def test_keys_stay(world: World) -> None:
    restricting.restrict(world.subject, OBJECTION, ACTOR)
    assert not ShredOrder.objects.filter(owner=world.subject.code).exists()
    assert not DestructionOrder.objects.filter(subject=world.subject.code).exists()


def test_withdrawal_works_during_a_restriction_and_lifts_nothing(world: World) -> None:
    restricting.restrict(world.subject, OBJECTION, ACTOR)
    done = withdrawal.withdraw(world.subject, scopes=[Scope.TRANSCRIBE], actor=ACTOR)
    assert all(destruction.carry_out(order) for order in done.orders)
    assert reasons(world) == [(world.subject.code, DenialReason.RESTRICTED)]
    restricting.lift(world.subject, ACTOR)
    assert reasons(world) == [(world.subject.code, DenialReason.WITHDRAWN)]


def test_erasure_works_during_a_restriction_and_takes_the_restriction_with_it(world: World) -> None:
    restricting.restrict(world.subject, OBJECTION, ACTOR)
    assert destruction.carry_out(withdrawal.erase(world.subject, actor=ACTOR).code)
    row = Subject.objects.get(pk=world.subject.pk)
    assert (row.restricted_at, row.restriction_ground, row.restriction_lifted_at) == (None, "", None)
    assert reasons(world) == [(world.subject.code, DenialReason.SUBJECT_ERASED)]


def test_a_person_can_answer_while_restricted_and_it_opens_nothing_until_that_is_lifted(world: World) -> None:
    restricting.restrict(world.subject, OBJECTION, ACTOR)
    world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    assert reasons(world) == [(world.subject.code, DenialReason.RESTRICTED)]
    restricting.lift(world.subject, ACTOR)
    assert reasons(world) == []


def test_what_ends_with_its_term_is_closed_at_once_and_destroyed_only_after_the_restriction(world: World) -> None:
    ends = timezone.now() + timedelta(seconds=1)
    world.consent(Scope.TRANSCRIBE, expires_at=ends)
    restricting.restrict(world.subject, OBJECTION, ACTOR)
    grant = CurrentGrant.objects.get(subject=world.subject, scope=Scope.TRANSCRIBE.value)
    while timezone.now() <= ends:
        time.sleep(0.05)
    expiring.sweep()
    assert not DestructionOrder.objects.filter(subject=world.subject.code).exists()
    restricting.lift(world.subject, ACTOR)
    assert reasons(world) == [(world.subject.code, DenialReason.EXPIRED)]
    expiring.sweep()
    grant.refresh_from_db()
    assert grant.grant.state == GrantState.EXPIRED
    assert DestructionOrder.objects.filter(subject=world.subject.code, scopes=[Scope.TRANSCRIBE.value]).exists()


def test_decisions_about_a_restricted_person_outlive_their_term_until_that_is_lifted(
    world: World, superuser: Callable[[str], object]
) -> None:
    code = gate.require(world.ask(Scope.TRANSCRIBE), action=Action.READ, actor=ACTOR).decision
    long_ago = timezone.now() - timedelta(days=DEFAULT_DAYS[Category.DECISIONS] + 1)
    superuser(f"UPDATE consent_decision SET at = '{long_ago.isoformat()}' WHERE code = '{code}'")
    restricting.restrict(world.subject, OBJECTION, ACTOR)
    retention.sweep_project(world.project)
    assert Decision.objects.filter(code=code).exists()
    restricting.lift(world.subject, ACTOR)
    retention.sweep_project(world.project)
    assert not Decision.objects.filter(code=code).exists()


def test_a_restored_backup_is_restricted_again_and_one_that_knows_of_the_lifting_is_not(world: World) -> None:
    before = journal.last_number()
    restricting.restrict(world.subject, OBJECTION, ACTOR)
    (entry,) = [one for one in journal.entries() if one.number > before and one.kind == RESTRICTION]
    assert not restoring.replay(entry)
    restricting.lift(world.subject, ACTOR)
    assert not restoring.replay(entry)
    Subject.objects.filter(pk=world.subject.pk).update(restriction_lifted_at=None)
    assert restoring.replay(Entry(entry.number, entry.at, entry.kind, entry.body))
    assert reasons(world) == [(world.subject.code, DenialReason.RESTRICTED)]


def test_restricting_over_http_is_taken_by_a_closed_service_and_lifting_is_not(world: World) -> None:
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    path = f"/v1/subjects/{world.subject.code}"
    outside.close(["for the test"])
    try:
        done = manager.post(f"{path}/restrict", {"ground": "accuracy_contested"})
        assert (done.status, done.body["restriction_ground"]) == (200, "accuracy_contested"), done
        assert is_problem(manager.post(f"{path}/lift-restriction"), 503, "service_closed")
    finally:
        outside.open_again()
    assert is_problem(manager.post(f"{path}/restrict", {"ground": "objection"}), 409, "subject_restricted")
    lifted = manager.post(f"{path}/lift-restriction")
    assert (lifted.status, lifted.body["restricted_at"]) == (200, None), lifted
    assert is_problem(manager.post(f"{path}/lift-restriction"), 409, "not_restricted")


@pytest.mark.parametrize("role", [Role.CONSENT_MANAGER, Role.DATA_PROTECTION_OFFICER])
def test_a_consent_manager_and_a_protection_officer_restrict_and_lift(world: World, role: Role) -> None:
    caller = Caller(world.project, role)
    path = f"/v1/subjects/{world.subject.code}"
    assert caller.post(f"{path}/restrict", {"ground": "inquiry"}).status == 200
    assert caller.post(f"{path}/lift-restriction").status == 200


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR, Role.ADMINISTRATOR])
def test_nobody_else_restricts_or_lifts(world: World, role: Role) -> None:
    caller = Caller(world.project, role)
    path = f"/v1/subjects/{world.subject.code}"
    assert caller.post(f"{path}/restrict", {"ground": "inquiry"}).status == 403
    restricting.restrict(world.subject, OBJECTION, ACTOR)
    assert caller.post(f"{path}/lift-restriction").status == 403


def test_a_protection_officer_restricts_and_withdraws_for_nobody(world: World) -> None:
    officer = Caller(world.project, Role.DATA_PROTECTION_OFFICER)
    assert officer.post("/v1/bulk-withdrawals", {}).status == 403
    assert officer.post(f"/v1/subjects/{world.subject.code}/withdraw", {}).status == 403
    assert reasons(world) == []
