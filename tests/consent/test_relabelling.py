"""A role relabelled to unlock emotion: not believed until a second person approves, and all of it on the trail."""

import threading

import pytest
from django.db import Error, connection, connections, transaction

from accounts.access import actor_of
from accounts.roles import Role
from audit.entry import Actor, ActorKind
from audit.events import EventName
from consent import destruction, gate, locking, relabelling, withdrawal
from consent.errors import AlreadyDecided, ConsentDenied, InvalidRecord, SecondPersonNeeded
from consent.models import RestrictedRole, RoleChange
from consent.vocabulary import Action, DenialReason, ParticipantRole, Scope
from tests.callers import Caller
from tests.factories import ACTOR, World, make_member, make_world
from tests.people import events

CUSTOMER, EMPLOYEE = ParticipantRole.CUSTOMER, ParticipantRole.EMPLOYEE


@pytest.fixture
def world() -> World:
    world = make_world()
    world.consent(Scope.EMOTION, Scope.TRANSCRIBE)
    return world


def person(world: World) -> Actor:
    return actor_of(make_member(world.project, Role.CONSENT_MANAGER))


def denied_as(world: World, role: ParticipantRole) -> None:
    with pytest.raises(ConsentDenied):
        gate.require(world.ask(Scope.EMOTION, role=role), action=Action.SUBMIT, actor=ACTOR)


def reasons(world: World, role: ParticipantRole, *scopes: Scope) -> list[DenialReason]:
    return [denial.reason for denial in gate.evaluate(world.ask(*(scopes or (Scope.EMOTION,)), role=role)).denials]


def test_a_customer_who_was_never_denied_needs_nobodys_approval(world: World) -> None:
    assert reasons(world, CUSTOMER) == []


@pytest.mark.parametrize("before", ["employee", "student", "unknown"])
def test_a_role_relabelled_after_a_denial_unlocks_nothing(world: World, before: str) -> None:
    denied_as(world, ParticipantRole(before))
    for role in (CUSTOMER, ParticipantRole.CALLER, ParticipantRole.OTHER):
        assert reasons(world, role) == [DenialReason.ROLE_RELABELLED]
    assert reasons(world, CUSTOMER, Scope.TRANSCRIBE) == []


def test_asking_without_recording_restricts_nobody(world: World) -> None:
    gate.evaluate(world.ask(Scope.EMOTION, role=EMPLOYEE))
    assert reasons(world, CUSTOMER) == []


def test_a_second_person_opens_the_role_that_was_asked_for_and_no_other(world: World) -> None:
    denied_as(world, EMPLOYEE)
    first, second = person(world), person(world)
    change = relabelling.ask(world.subject, CUSTOMER, actor=first)
    assert reasons(world, CUSTOMER) == [DenialReason.ROLE_RELABELLED]
    with pytest.raises(SecondPersonNeeded):
        relabelling.approve(change, actor=first)
    with pytest.raises(SecondPersonNeeded):
        relabelling.approve(change, actor=Actor(ActorKind.CLIENT, "a program"))
    relabelling.approve(change, actor=second)
    assert reasons(world, CUSTOMER) == []
    assert reasons(world, ParticipantRole.CALLER) == [DenialReason.ROLE_RELABELLED]
    assert reasons(world, EMPLOYEE) == [DenialReason.LAW]
    with pytest.raises(AlreadyDecided):
        relabelling.approve(change, actor=second)
    assert len(events(world, EventName.ROLE_CHANGE_ASKED)) == 1
    assert events(world, EventName.ROLE_CHANGE_APPROVED)[0].actor_code == second.code


def test_there_is_nothing_to_relabel_without_a_denial_and_unknown_is_no_role(world: World) -> None:
    with pytest.raises(InvalidRecord):
        relabelling.ask(world.subject, CUSTOMER, actor=ACTOR)
    denied_as(world, EMPLOYEE)
    with pytest.raises(InvalidRecord):
        relabelling.ask(world.subject, ParticipantRole.UNKNOWN, actor=ACTOR)


def test_neither_sql_of_the_application_takes_a_restriction_back_nor_approves_for_oneself(world: World) -> None:
    denied_as(world, EMPLOYEE)
    change = relabelling.ask(world.subject, CUSTOMER, actor=person(world))
    for statement in (
        "DELETE FROM consent_restrictedrole",
        "UPDATE consent_restrictedrole SET role = 'customer'",
        "UPDATE consent_rolechange SET role = 'caller'",
        f"UPDATE consent_rolechange SET approved_at = now(), approved_by_code = asked_by_code WHERE id = {change.pk}",
        "SELECT consent_forget_roles('" + world.subject.code + "')",
    ):
        with pytest.raises(Error), connection.cursor() as cursor:
            cursor.execute(statement)
    assert reasons(world, CUSTOMER) == [DenialReason.ROLE_RELABELLED]


def test_another_tenants_denial_restricts_nobody_here(world: World) -> None:
    other = make_world()
    other.consent(Scope.EMOTION)
    people = [gate.Participant(world.subject.code, EMPLOYEE)]
    with pytest.raises(ConsentDenied):
        gate.require(other.ask(Scope.EMOTION, people=people), action=Action.SUBMIT, actor=ACTOR)
    assert reasons(world, CUSTOMER) == []


def test_roles_go_with_the_person(world: World) -> None:
    denied_as(world, EMPLOYEE)
    relabelling.ask(world.subject, CUSTOMER, actor=ACTOR)
    destruction.carry_out(withdrawal.erase(world.subject, actor=ACTOR).code)
    assert not RestrictedRole.objects.filter(subject=world.subject).exists()
    assert not RoleChange.objects.filter(subject=world.subject).exists()


def test_a_program_asks_over_http_and_cannot_approve(world: World) -> None:
    denied_as(world, EMPLOYEE)
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    asked = manager.post(f"/v1/subjects/{world.subject.code}/role-changes", {"role": "customer"})
    assert (asked.status, asked.body["approved_at"]) == (201, None), asked
    assert reasons(world, CUSTOMER) == [DenialReason.ROLE_RELABELLED]


def test_a_denial_leaves_only_when_no_commit_that_was_judged_before_it_is_under_way(world: World) -> None:
    """A commit holds its people; who is told that a role was denied can rely on it that nothing comes after that ignored it."""
    said = threading.Event()

    def come_as_an_employee() -> None:
        try:
            denied_as(world, EMPLOYEE)
            said.set()
        finally:
            connections.close_all()

    with transaction.atomic():
        locking.hold(world.project.pk, [world.subject.code])
        assert gate.evaluate(world.ask(Scope.EMOTION)).allowed
        other = threading.Thread(target=come_as_an_employee)
        other.start()
        assert not said.wait(0.5)
        assert RestrictedRole.objects.filter(subject=world.subject).exists()
    other.join(20)
    assert said.is_set()
    assert reasons(world, CUSTOMER) == [DenialReason.ROLE_RELABELLED]


def test_a_role_that_was_turned_down_opens_nothing_and_is_not_approved_later(world: World) -> None:
    denied_as(world, EMPLOYEE)
    first, second = person(world), person(world)
    change = relabelling.turn_down(relabelling.ask(world.subject, CUSTOMER, actor=first), actor=second)
    with pytest.raises(AlreadyDecided):
        relabelling.approve(change, actor=second)
    assert reasons(world, CUSTOMER) == [DenialReason.ROLE_RELABELLED]
    assert events(world, EventName.ROLE_CHANGE_TURNED_DOWN)[0].actor_code == second.code
