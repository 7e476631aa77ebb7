"""Another password is an event, whoever changes it and wherever: of the person, and never with anything of the password."""

import pytest
from django.core.management import CommandError, call_command

from accounts.management.commands import changepassword
from accounts.models import User
from accounts.roles import Role
from audit.entry import ActorKind
from audit.events import EventName
from tests.browser import PASSWORD, Browser
from tests.factories import World, make_client, make_member
from tests.people import events

CHANGED = "a staple, a horse, a battery"


@pytest.fixture
def user(world: World) -> User:
    return make_member(world.project, Role.AUDITOR)


def change(browser: Browser, old: str, new: str) -> int:
    answer = browser.submit("/admin/password_change/", old_password=old, new_password1=new, new_password2=new)
    return int(answer.status_code)


def test_who_changes_their_own_password_is_named_in_the_trail(world: World, user: User) -> None:
    assert change(Browser(user), PASSWORD, CHANGED) == 302
    user.refresh_from_db()
    assert user.check_password(CHANGED)
    (event,) = events(world, EventName.PASSWORD_CHANGED)
    assert (event.actor_kind, event.actor_code) == (ActorKind.USER, user.code)
    assert CHANGED.encode() not in bytes(event.entry)
    assert user.password.encode() not in bytes(event.entry)


def test_a_change_that_is_refused_is_no_event(world: World, user: User) -> None:
    assert change(Browser(user), "not the password", CHANGED) == 200
    assert change(Browser(user), PASSWORD, "short") == 200
    assert events(world, EventName.PASSWORD_CHANGED) == []


def test_a_program_has_no_password_to_change(world: World) -> None:
    assert Browser().get("/admin/password_change/").status_code == 302
    client, _ = make_client(world.project, Role.AUDITOR)
    assert Browser(client.user).get("/admin/password_change/").status_code == 302


def test_a_change_that_cannot_be_recorded_does_not_happen(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the trail is away")

    monkeypatch.setattr("accounts.people.trail.record", fails)
    browser = Browser(user)
    browser.raise_request_exception = False
    assert change(browser, PASSWORD, CHANGED) == 500
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_a_password_set_on_the_command_line_is_an_event_too(
    world: World, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changepassword.Command, "_get_pass", lambda self, prompt="": CHANGED)
    call_command("changepassword", user.username)
    user.refresh_from_db()
    assert user.check_password(CHANGED)
    (event,) = events(world, EventName.PASSWORD_CHANGED)
    assert event.actor_code == "command-line"
    with pytest.raises(CommandError, match="say whose"):
        call_command("changepassword")
