"""Break-glass access: for whom, for how long, what it opens and what it never opens, and that all of it is on the trail."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import Error, connection
from django.utils import timezone

from accounts import break_glass
from accounts.access import actor_of, may, projects_with
from accounts.causes import Cause
from accounts.errors import GlassRefused, OwnRole
from accounts.models import BreakGlass, User
from accounts.roles import Permission, Role
from audit.events import EventName
from consent import gate, relabelling
from consent.errors import ConsentDenied, SecondPersonNeeded
from consent.vocabulary import Action, ParticipantRole, Scope
from tests.browser import Browser
from tests.factories import ACTOR, World, make_client, make_member, make_world
from tests.people import events


@pytest.fixture
def user(world: World) -> User:
    return make_member(world.project)


def broken(user: User, minutes: int = 10) -> BreakGlass:
    return break_glass.break_(
        user, minutes=minutes, cause=Cause.INCIDENT, explanation="The manager is in hospital.", actor=ACTOR
    )


def over(patch: pytest.MonkeyPatch, minutes: int) -> None:
    later = timezone.now() + timedelta(minutes=minutes)
    patch.setattr(timezone, "now", lambda: later)


def test_it_gives_every_permission_in_the_own_organization_and_none_elsewhere(world: World, user: User) -> None:
    other = make_world()
    assert not projects_with(user, Permission.VIEW_CONSENT).exists()
    broken(user)
    for permission in Permission:
        assert may(user, permission, world.project.pk)
        assert not may(user, permission, other.project.pk)


def test_it_ends_by_itself_at_its_time_although_nothing_runs(
    world: World, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(user, minutes=10)
    with monkeypatch.context() as patch:
        over(patch, 11)
        assert not may(user, Permission.VIEW_CONSENT, world.project.pk)
        assert events(world, EventName.GLASS_CLOSED) == []
        assert break_glass.close_over() >= 1
    [closed] = events(world, EventName.GLASS_CLOSED)
    assert json.loads(bytes(closed.entry))["reason"] == "term"


def test_start_every_request_and_end_are_on_the_trail_without_the_explanation(world: World, user: User) -> None:
    glass = broken(user)
    browser = Browser(user)
    subject = world.another_subject("Somebody")
    page = browser.see(f"/admin/consent/subject/{subject.code}/change/")
    assert "Break-glass access until" in page
    browser.submit(f"/admin/consent/subject/{subject.code}/reveal/")
    break_glass.close(glass, actor=actor_of(user))
    assert browser.get("/admin/consent/subject/").status_code == 403
    assert len(events(world, EventName.GLASS_BROKEN)) == 1
    used = [json.loads(bytes(event.entry))["detail"] for event in events(world, EventName.GLASS_USED)]
    assert [(one["method"], one["view"]) for one in used] == [
        ("GET", "admin:consent_subject_change"),
        ("POST", "admin:consent_subject_reveal"),
    ]
    [closed] = events(world, EventName.GLASS_CLOSED)
    assert json.loads(bytes(closed.entry))["detail"]["acts"] == 2
    for event in (*events(world, EventName.GLASS_BROKEN), *events(world, EventName.GLASS_USED)):
        assert b"hospital" not in bytes(event.entry)
        assert subject.code.encode() not in bytes(event.entry)


def test_the_gate_and_the_second_person_hold_all_the_same(world: World, user: User) -> None:
    world.consent(Scope.EMOTION)
    broken(user)
    me = actor_of(user)
    employee = world.ask(Scope.EMOTION, role=ParticipantRole.EMPLOYEE)
    with pytest.raises(ConsentDenied):
        gate.require(employee, action=Action.SUBMIT, actor=me)
    change = relabelling.ask(world.subject, ParticipantRole.CUSTOMER, actor=me)
    with pytest.raises(SecondPersonNeeded):
        relabelling.approve(change, actor=me)
    record = world.consent(Scope.TRANSCRIBE)
    answered = Browser(user).submit(f"/admin/consent/consentrecord/{record.code}/delete/", post="yes")
    assert answered.status_code == 403


def test_somebody_else_is_told_on_the_start_page_and_looks_at_it(world: World, user: User) -> None:
    glass = broken(user)
    assert "0</strong><span>break-glass accesses" in Browser(user).see("/admin/")
    officer = make_member(world.project, Role.DATA_PROTECTION_OFFICER)
    browser = Browser(officer)
    assert "1</strong><span>break-glass accesses nobody looked at" in browser.see("/admin/")
    with pytest.raises(OwnRole):
        break_glass.see(glass, actor=actor_of(user))
    break_glass.close(glass, actor=ACTOR)
    assert "hospital" in browser.see(f"/admin/accounts/breakglass/{glass.code}/change/")
    browser.does(f"/admin/accounts/breakglass/{glass.code}/see/")
    assert "0</strong><span>break-glass accesses nobody looked at" in browser.see("/admin/")
    assert [event.actor_code for event in events(world, EventName.GLASS_SEEN)] == [officer.code]


def test_it_is_not_opened_twice_nor_for_long_nor_for_programs(world: World, user: User) -> None:
    for minutes in (0, break_glass.MOST_MINUTES + 1):
        with pytest.raises(GlassRefused):
            broken(user, minutes=minutes)
    broken(user)
    with pytest.raises(GlassRefused):
        broken(user)
    client, _ = make_client(world.project, Role.OPERATOR)
    with pytest.raises(GlassRefused):
        broken(client.user)


@pytest.mark.parametrize(
    "change", ["ends_at = now() + interval '1 year'", "user_id = NULL", "seen_at = now(), seen_by_code = user_code"]
)
def test_the_application_cannot_prolong_it_nor_look_at_it_for_oneself(user: User, change: str) -> None:
    glass = broken(user)
    with pytest.raises(Error), connection.cursor() as cursor:
        cursor.execute(f"UPDATE accounts_breakglass SET {change} WHERE id = %s", [glass.pk])
    with pytest.raises(Error), connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_breakglass WHERE id = %s", [glass.pk])


def test_the_command_opens_it_and_says_until_when(world: World, user: User, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError):
        call_command("staff", "break-glass", "nobody", "--cause", "incident", "--explanation", "x")
    call_command(
        "staff", "break-glass", user.username, "--cause", "incident", "--explanation", "A drill.", "--minutes", "5"
    )
    assert "open until" in capsys.readouterr().out
    assert may(user, Permission.VIEW_CONSENT, world.project.pk)
