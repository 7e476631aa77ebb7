"""The second factor: set up at the first sign-in, asked for at every other, lost and taken away; and how guessing it ends."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import override_settings

from accounts import second_factor
from accounts.access import actor_of
from accounts.errors import SecondFactorThere
from accounts.models import Authenticator, Membership, RecoveryCode, User
from accounts.roles import Role
from audit.events import EventName
from tests.browser import PASSWORD, Browser
from tests.factories import World, make_member
from tests.people import administrator, events


@pytest.fixture
def user(world: World) -> User:
    return make_member(world.project, Role.AUDITOR)


def enrolled(user: User) -> tuple[Browser, list[str]]:
    browser = Browser()
    browser.submit("/admin/login/", username=user.username, password=PASSWORD)
    return browser, browser.set_up("/admin/second-factor/set-up/")


def test_the_password_alone_opens_nothing(user: User) -> None:
    browser = Browser()
    answered = browser.submit("/admin/login/", username=user.username, password=PASSWORD)
    assert answered["location"].startswith("/admin/second-factor/?next=")
    for path in ("/admin/", "/admin/audit/event/", "/admin/password_change/"):
        refused = browser.get(path)
        assert refused.status_code == 302
        assert refused["location"].startswith("/admin/login/")
    assert browser.get("/admin/login/")["location"].startswith("/admin/second-factor/")


def test_it_is_set_up_at_the_first_sign_in_and_the_key_is_shown_once(world: World, user: User) -> None:
    browser, codes = enrolled(user)
    assert len(set(codes)) == second_factor.RECOVERY_CODES
    assert browser.get("/admin/").status_code == 200
    assert browser.get("/admin/second-factor/set-up/").status_code == 302
    with pytest.raises(SecondFactorThere):
        second_factor.begin(user)
    assert [len(events(world, name)) for name in (EventName.SECOND_FACTOR_ENROLLED, EventName.LOGIN_SUCCEEDED)] == [
        1,
        1,
    ]


def test_a_wrong_code_while_setting_up_does_not_show_the_key_again(user: User) -> None:
    browser = Browser()
    browser.submit("/admin/login/", username=user.username, password=PASSWORD)
    first = browser.submit("/admin/second-factor/set-up/", begin="1").content.decode()
    assert 'id="secret"' in first
    again = browser.submit("/admin/second-factor/set-up/", token="000000").content.decode()
    assert 'id="secret"' not in again
    assert "Start again with another key" in again
    assert second_factor.device_of(user) is None


def test_signing_in_again_takes_a_code_of_now_and_takes_it_once(user: User) -> None:
    secret = enrolled(user)[0].secret
    Authenticator.objects.filter(user=user).update(last_step=-1)
    browser = Browser()
    browser.secret = secret
    browser.submit("/admin/login/", username=user.username, password=PASSWORD)
    token = browser.token()
    assert (
        browser.submit("/admin/second-factor/", token=token, next="/admin/audit/log/")["location"]
        == "/admin/audit/log/"
    )
    other = Browser()
    other.submit("/admin/login/", username=user.username, password=PASSWORD)
    assert other.submit("/admin/second-factor/", token=token).status_code == 200
    assert other.get("/admin/").status_code == 302


def test_it_leads_nowhere_else_afterwards(user: User) -> None:
    secret = enrolled(user)[0].secret
    Authenticator.objects.filter(user=user).update(last_step=-1)
    browser = Browser()
    browser.secret = secret
    browser.submit("/admin/login/", username=user.username, password=PASSWORD)
    assert browser.submit("/admin/second-factor/", token=browser.token(), next="//elsewhere/")["location"] == "/admin/"


def test_a_recovery_code_signs_in_once(world: World, user: User) -> None:
    _, codes = enrolled(user)
    for attempt, status in ((1, 302), (2, 200)):
        browser = Browser()
        browser.submit("/admin/login/", username=user.username, password=PASSWORD)
        answered = browser.submit("/admin/second-factor/", token=codes[0].upper())
        assert answered.status_code == status, attempt
    assert len(events(world, EventName.RECOVERY_CODE_USED)) == 1


def test_neither_the_key_nor_a_recovery_code_lies_in_the_clear(user: User) -> None:
    browser, codes = enrolled(user)
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM accounts_authenticator WHERE user_id = %s", [user.pk])
        assert browser.secret not in bytes(cursor.fetchone()[0])
        cursor.execute("SELECT string_agg(digest::text, '') FROM accounts_recoverycode WHERE user_id = %s", [user.pk])
        stored = cursor.fetchone()[0]
    assert all(code.replace("-", "").encode().hex() not in stored for code in codes)
    assert browser.secret.hex() not in stored


def test_wrong_codes_are_recorded_wait_longer_and_end_in_the_lockout_of_the_sign_in(world: World, user: User) -> None:
    enrolled(user)
    browser = Browser()
    browser.submit("/admin/login/", username=user.username, password=PASSWORD)
    answers = [browser.submit("/admin/second-factor/", token="000000").status_code for _ in range(9)]
    assert answers[0] == 200
    assert answers[-1] == 429
    assert Authenticator.objects.get(user=user).throttling_failure_count >= 1
    assert len(events(world, EventName.SECOND_FACTOR_FAILED)) == 8
    assert Browser().submit("/admin/login/", username=user.username, password=PASSWORD).status_code == 429
    refused = [event for event in events(world, EventName.LOGIN_FAILED) if b"locked_out" in bytes(event.entry)]
    assert len(refused) == 2


def test_a_right_code_is_not_taken_while_the_wait_lasts(user: User) -> None:
    secret = enrolled(user)[0].secret
    Authenticator.objects.filter(user=user).update(last_step=-1)
    browser = Browser()
    browser.secret = secret
    browser.submit("/admin/login/", username=user.username, password=PASSWORD)
    browser.submit("/admin/second-factor/", token="000000")
    assert browser.submit("/admin/second-factor/", token=browser.token()).status_code == 200


def test_an_administrator_takes_a_lost_one_away_and_never_their_own(world: World, user: User) -> None:
    browser, _ = enrolled(user)
    row = Membership.objects.get(user=user)
    administrator(world).does(f"/admin/accounts/membership/{row.pk}/reset-second-factor/")
    assert browser.get("/admin/").status_code == 302
    assert not RecoveryCode.objects.filter(user=user).exists()
    assert len(events(world, EventName.SECOND_FACTOR_RESET)) == 1
    assert enrolled(user)[0].get("/admin/").status_code == 200
    own = make_member(world.project, Role.ADMINISTRATOR)
    mine = Membership.objects.get(user=own)
    page = Browser(own).submit(f"/admin/accounts/membership/{mine.pk}/reset-second-factor/")
    assert "obody changes their own" in page.content.decode()


def test_the_last_administrator_gets_in_again_through_the_machine(world: World, user: User) -> None:
    enrolled(user)
    call_command("staff", "reset-second-factor", user.username)
    assert second_factor.device_of(user) is None
    assert not second_factor.reset(user, actor=actor_of(user))


def test_it_can_be_switched_off_for_a_trial(world: World, user: User) -> None:
    with override_settings(VOXGOV_SECOND_FACTOR=False):
        browser = Browser()
        assert browser.submit("/admin/login/", username=user.username, password=PASSWORD)["location"] == "/admin/"
        assert browser.get("/admin/").status_code == 200
    assert browser.get("/admin/").status_code == 302
    assert len(events(world, EventName.LOGIN_SUCCEEDED)) == 1
