"""What people see and do in the admin, each in their role, through a browser's requests."""

import json
import re

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from knox.models import AuthToken

from accounts.access import may
from accounts.governed_admin import GovernedAdmin, governed
from accounts.models import ApiClient, Membership, User
from accounts.roles import Permission, Role
from audit.events import EventName
from consent import subjects, withdrawal
from consent.models import Subject
from consent.vocabulary import Scope
from tests.browser import Browser
from tests.factories import ACTOR, World, make_client, make_member, make_organization, make_project, make_world
from tests.people import administrator, events, listed, manager, officer

REFERENCE = "Wilhelmina Quartz, +44 20 7946 0958"


# Who sees what


@pytest.mark.parametrize(
    ("role", "pages"),
    [
        (
            Role.CONSENT_MANAGER,
            {
                "consent/subject",
                "consent/consentrecord",
                "consent/notice",
                "consent/purpose",
                "consent/decision",
                "consent/destructionorder",
                "consent/rolechange",
                "consent/editorialpublication",
                "consent/grantimport",
                "consent/bulkwithdrawal",
                "consent/representation",
            },
        ),
        (Role.AUDITOR, {"audit/event", "audit/log", "audit/export", "accounts/breakglass", "consent/projectrecord"}),
        (Role.ADMINISTRATOR, {"accounts/membership", "accounts/apiclient", "audit/webhook", "consent/projectrecord"}),
        (
            Role.DATA_PROTECTION_OFFICER,
            {
                "consent/subject",
                "consent/consentrecord",
                "consent/notice",
                "consent/purpose",
                "consent/decision",
                "consent/destructionorder",
                "consent/rolechange",
                "consent/editorialpublication",
                "consent/grantimport",
                "consent/bulkwithdrawal",
                "consent/representation",
                "consent/retentionpolicy",
                "consent/projectrecord",
                "consent/breach",
                "analysis/recording",
                "analysis/analysis",
                "audit/event",
                "audit/log",
                "audit/export",
                "accounts/breakglass",
                "audit/webhook",
            },
        ),
        (
            Role.OPERATOR,
            {
                "consent/subject",
                "consent/consentrecord",
                "consent/notice",
                "consent/purpose",
                "consent/decision",
                "consent/destructionorder",
                "consent/rolechange",
                "consent/editorialpublication",
                "consent/grantimport",
                "consent/bulkwithdrawal",
                "consent/representation",
                "analysis/recording",
                "analysis/analysis",
            },
        ),
    ],
)
def test_the_start_page_offers_what_the_role_may_see(world: World, role: Role, pages: set[str]) -> None:
    assert listed(Browser(make_member(world.project, role)).see("/admin/")) == pages


def test_somebody_without_a_role_sees_an_empty_house(world: World) -> None:
    page = Browser(make_member(world.project)).see("/admin/")
    assert "You hold no role in any project yet" in page
    assert listed(page) == set()


def test_only_governed_pages_are_registered() -> None:
    assert all(isinstance(page, GovernedAdmin) for page in admin.site._registry.values())
    assert {page.model.__name__ for page in governed(admin.site)} == {
        *("Subject", "ConsentRecord", "Notice", "Purpose", "Decision", "DestructionOrder", "RetentionPolicy"),
        *("RoleChange", "EditorialPublication", "GrantImport", "BulkWithdrawal"),
        *("Representation", "ProjectRecord", "Breach"),
        *("Recording", "Analysis", "Membership", "ApiClient", "Event", "Log", "Export", "Webhook", "BreakGlass"),
    }


def test_a_new_column_never_appears_by_itself() -> None:
    for page in governed(admin.site):
        assert page.fieldsets, page


# Signing in


def test_signing_in_is_recorded_with_the_person_who_did(world: World) -> None:
    user = make_member(world.project, Role.AUDITOR)
    assert Browser().sign_in(user.username).status_code == 302
    [event] = events(world, EventName.LOGIN_SUCCEEDED)
    assert event.actor_code == user.code


def test_a_failed_sign_in_is_recorded_without_naming_an_actor_or_the_password(world: World) -> None:
    user = make_member(world.project, Role.AUDITOR)
    page = Browser().sign_in(user.username, "open sesame please")
    assert page.status_code == 200
    [event] = events(world, EventName.LOGIN_FAILED)
    assert (event.actor_kind, event.outcome) == ("system", "deny")
    assert user.code in bytes(event.entry).decode()
    assert user.username not in bytes(event.entry).decode()
    assert "sesame" not in bytes(event.entry).decode()


def test_an_unknown_name_a_wrong_password_and_a_program_read_the_same(world: World) -> None:
    user = make_member(world.project, Role.AUDITOR)
    client, _ = make_client(world.project, Role.AUDITOR)
    client.user.set_password("correct horse battery")
    client.user.save()

    def refusal(username: str, password: str) -> list[str]:
        page = Browser().sign_in(username, password)
        assert page.status_code == 200
        return re.findall(r'class="errornote">\s*(.*?)\s*</p>', page.content.decode(), re.DOTALL)

    wrong = refusal(user.username, "not the password")
    assert len(wrong) == 1
    assert refusal("nobody-of-this-name", "correct horse battery") == wrong
    assert refusal(client.user.username, "correct horse battery") == wrong


def test_somebody_who_is_no_staff_does_not_get_in(world: World) -> None:
    user = make_member(world.project, Role.CONSENT_MANAGER)
    user.is_staff = False
    user.save()
    assert Browser().sign_in(user.username).status_code == 200
    assert events(world, EventName.LOGIN_SUCCEEDED) == []


def test_guessing_passwords_ends_in_a_lockout(world: World) -> None:
    user = make_member(world.project, Role.AUDITOR)
    browser = Browser()
    answers = [browser.sign_in(user.username, f"guess number {number}").status_code for number in range(9)]
    assert answers[0] == 200
    assert answers[-1] == 429
    assert browser.sign_in(user.username).status_code == 429


# Members and clients


def test_an_administrator_adds_a_person_who_can_then_sign_in(world: World) -> None:
    browser = administrator(world)
    name = f"new-{world.organization.code}"
    shown = browser.submit(
        "/admin/accounts/membership/new-person/", project=world.project.pk, username=name, role="auditor"
    ).content.decode()
    password = re.findall(r"<dd><code>(.*?)</code>", shown)[1]
    user = User.objects.get(username=name)
    assert password not in user.password
    assert may(user, Permission.READ_LOG, world.project.pk)
    newcomer = Browser()
    assert newcomer.sign_in(name, password).status_code == 302
    assert listed(newcomer.see("/admin/")) == {
        *("audit/event", "audit/log", "audit/export", "accounts/breakglass", "consent/projectrecord"),
    }


def test_a_role_is_given_and_taken_away_through_the_trail(world: World) -> None:
    other = make_member(world.project)
    browser = administrator(world)
    where = browser.does(
        "/admin/accounts/membership/add/", project=world.project.pk, person=other.username, role="consent_manager"
    )
    assert may(other, Permission.MANAGE_CONSENT, world.project.pk)
    row = Membership.objects.get(user=other)
    assert str(row.pk) in where
    browser.does(f"/admin/accounts/membership/{row.pk}/remove/")
    assert not may(other, Permission.MANAGE_CONSENT, world.project.pk)
    assert any(other.code.encode() in bytes(event.entry) for event in events(world, EventName.MEMBER_REMOVED))


def test_nobody_changes_their_own_roles(world: World) -> None:
    user = make_member(world.project, Role.ADMINISTRATOR)
    browser = Browser(user)
    page = browser.submit(
        "/admin/accounts/membership/add/", project=world.project.pk, person=user.username, role="consent_manager"
    )
    assert page.status_code == 200
    own = Membership.objects.get(user=user)
    assert (
        "obody changes their own roles"
        in browser.submit(f"/admin/accounts/membership/{own.pk}/remove/").content.decode()
    )
    assert list(Membership.objects.filter(user=user).values_list("role", flat=True)) == ["administrator"]


def test_a_clients_token_is_shown_once_and_works_until_it_is_revoked(world: World) -> None:
    browser = administrator(world)
    shown = browser.submit(
        "/admin/accounts/apiclient/add/", project=world.project.pk, name="shop", roles=["consent_manager"], days="30"
    ).content.decode()
    secret = re.findall(r"<dd><code>(.*?)</code>", shown)[0]
    client = ApiClient.objects.get(project=world.project, name="shop")
    caller = Browser()
    bearer = {"Authorization": f"Bearer {secret}"}
    assert caller.get("/v1/notices", headers=bearer).status_code == 200
    assert secret not in browser.see(f"/admin/accounts/apiclient/{client.code}/change/")
    browser.does(f"/admin/accounts/apiclient/{client.code}/revoke/")
    assert caller.get("/v1/notices", headers=bearer).status_code == 401
    assert not AuthToken.objects.filter(user=client.user).exists()


# The trail


def test_an_auditor_reads_entries_that_name_nobody_and_the_look_is_recorded(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    browser = Browser(make_member(world.project, Role.AUDITOR))
    page = browser.see("/admin/audit/event/")
    assert "grant given" in page
    assert world.subject.code not in page
    [event] = events(world, EventName.GRANT_GIVEN)
    detail = browser.see(f"/admin/audit/event/{event.code}/change/")
    assert '"name": "consent:grant:given"' in detail
    assert "blinded" in detail
    assert world.subject.code not in detail
    looks = events(world, EventName.TRAIL_READ)
    assert len(looks) == 2
    assert json.loads(bytes(looks[1].entry))["detail"]["events"] == 1


def test_an_auditor_cannot_find_events_by_the_code_of_a_person(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    page = Browser(make_member(world.project, Role.AUDITOR)).see(f"/admin/audit/event/?q={world.subject.code}")
    assert "Nothing matches" in page


def test_a_data_protection_officer_gets_from_a_record_to_its_history_in_the_trail(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE)
    withdrawal.withdraw(world.subject, actor=ACTOR)
    browser = officer(world)
    assert "History in the trail" in browser.see(f"/admin/consent/consentrecord/{record.code}/change/")
    history = browser.get(f"/admin/consent/consentrecord/{record.code}/history/")["location"]
    page = browser.see(history)
    assert "grant given" in page
    assert "grant withdrawn" in page
    rows = page[page.index('id="result_list"') :]
    assert "subject registered" not in rows[: rows.index("</table>")]


def test_names_behind_actor_codes_are_for_those_who_manage_members(world: World) -> None:
    user = make_member(world.project, Role.CONSENT_MANAGER)
    Browser(user).does("/admin/consent/subject/add/", project=world.project.pk, external_reference="")
    assert user.username not in Browser(make_member(world.project, Role.AUDITOR)).see("/admin/audit/event/")
    both = make_member(world.project, Role.AUDITOR, Role.ADMINISTRATOR)
    assert user.username in Browser(both).see("/admin/audit/event/")


# Recordings


def test_recordings_and_jobs_show_states_and_no_content(world: World) -> None:
    from tests.factories import ALL_SCOPES

    world.consent(*ALL_SCOPES)
    recording = world.upload(b"RIFF" + bytes(2000), Scope.TRANSCRIBE, Scope.AUDIO_STORE)
    browser = officer(world)
    assert recording.code in browser.see("/admin/analysis/recording/")
    page = browser.see(f"/admin/analysis/recording/{recording.code}/change/")
    assert world.subject.code in page
    assert "waiting for analysis, sealed" in page
    job = recording.analyses.get()
    assert "queued" in browser.see(f"/admin/analysis/analysis/{job.code}/change/")


# What Django would do by itself


def test_djangos_own_log_is_never_written(world: World) -> None:
    browser = manager(world)
    where = browser.does("/admin/consent/subject/add/", project=world.project.pk, external_reference=REFERENCE)
    browser.submit(where, code="x")
    browser.submit("/admin/consent/subject/", action="delete_selected", _selected_action=world.subject.pk)
    assert not LogEntry.objects.exists()
    assert Subject.objects.filter(pk=world.subject.pk).exists()


def test_sealed_and_indexed_columns_cannot_be_probed_through_the_address(world: World) -> None:
    world.another_subject(REFERENCE)
    browser = manager(world)
    for probe in (
        "external_index__isnull=1",
        "external_reference__gt=a",
        "consent_epoch__gte=1",
        "project__name__startswith=P",
    ):
        answered = browser.get(f"/admin/consent/subject/?{probe}")
        assert answered.status_code in (302, 400), probe


def test_nothing_is_deleted_or_changed_outside_an_act(world: World) -> None:
    browser = officer(world)
    for path in ("delete", "change"):
        assert browser.submit(f"/admin/consent/subject/{world.subject.code}/{path}/", post="yes").status_code == 403
    assert Subject.objects.filter(pk=world.subject.pk, erased_at=None).exists()


def test_an_act_needs_the_form_token(world: World) -> None:
    browser = officer(world)
    assert browser.post(f"/admin/consent/subject/{world.subject.code}/erase/", {"understood": "on"}).status_code == 403
    assert Subject.objects.get(pk=world.subject.pk).erased_at is None


def test_pages_carry_a_content_security_policy_and_load_nothing_from_elsewhere(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    browser = manager(world)
    for path in (
        "",
        "consent/consentrecord/",
        "consent/consentrecord/add/",
        f"consent/subject/{world.subject.code}/change/",
    ):
        answered = browser.get(f"/admin/{path}")
        assert "script-src 'self'" in answered["Content-Security-Policy"]
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', answered.content.decode())


def test_a_role_in_one_project_shows_nothing_of_another_project_of_the_organization() -> None:
    organization = make_organization()
    mine, other = (make_world(project=make_project(organization)) for _ in range(2))
    browser = manager(mine)
    page = browser.see("/admin/consent/subject/")
    assert mine.subject.code in page
    assert other.subject.code not in page
    assert subjects.find_by_reference(other.project, "x") is None
