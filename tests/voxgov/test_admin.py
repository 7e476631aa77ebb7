"""What people see and do in the admin, each in their role, through a browser's requests."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.test import override_settings
from django.utils import timezone
from knox.models import AuthToken

from accounts.access import may
from accounts.governed_admin import GovernedAdmin, governed
from accounts.models import ApiClient, Membership, User
from accounts.roles import Permission, Role
from audit.events import EventName
from audit.models import Event
from consent import gate, subjects, withdrawal
from consent.errors import ConsentDenied
from consent.models import ConsentRecord, Decision, DestructionOrder, Notice, Purpose, RetentionPolicy, Subject
from consent.vocabulary import Action, ParticipantRole, Scope
from tests.browser import Browser
from tests.factories import ACTOR, World, make_client, make_member, make_organization, make_project, make_world

REFERENCE = "Wilhelmina Quartz, +44 20 7946 0958"


@pytest.fixture(autouse=True)
def _quick_passwords() -> Iterator[None]:
    """Passwords are hashed in no time here: how slow a guess is made is Django's business."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture
def world() -> World:
    return make_world()


def events(world: World, name: EventName) -> list[Event]:
    return list(Event.objects.filter(log=world.organization.code, name=name.value).order_by("id"))


def manager(world: World) -> Browser:
    return Browser(make_member(world.project, Role.CONSENT_MANAGER))


def officer(world: World) -> Browser:
    return Browser(make_member(world.project, Role.DATA_PROTECTION_OFFICER))


def administrator(world: World) -> Browser:
    return Browser(make_member(world.project, Role.ADMINISTRATOR))


def answer(world: World, *scopes: Scope, **other: str) -> dict[str, object]:
    """A filled form that records consent."""
    now = timezone.now() - timedelta(minutes=1)
    return {
        "purpose": world.purpose.pk,
        "notice": world.notice.pk,
        "scopes": [scope.value for scope in scopes],
        "answer": "given",
        "explicit": "on",
        "given_at_0": now.strftime("%Y-%m-%d"),
        "given_at_1": now.strftime("%H:%M:%S"),
        "method": "paper",
        "shown": "on",
        **other,
    }


def listed(page: str) -> set[str]:
    """The pages that the start page offers."""
    return set(re.findall(r'href="/admin/(\w+/\w+)/"', page))


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
            },
        ),
        (Role.AUDITOR, {"audit/event"}),
        (Role.ADMINISTRATOR, {"accounts/membership", "accounts/apiclient"}),
        (
            Role.DATA_PROTECTION_OFFICER,
            {
                "consent/subject",
                "consent/consentrecord",
                "consent/notice",
                "consent/purpose",
                "consent/decision",
                "consent/destructionorder",
                "consent/retentionpolicy",
                "analysis/recording",
                "analysis/analysis",
                "audit/event",
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
        *("Recording", "Analysis", "Membership", "ApiClient", "Event"),
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


# Subjects


def test_a_consent_manager_registers_a_person_and_the_reference_stays_masked(world: World) -> None:
    browser = manager(world)
    where = browser.does("/admin/consent/subject/add/", project=world.project.pk, external_reference=REFERENCE)
    page = browser.see(where)
    assert "(sealed)" in page
    assert REFERENCE not in page
    assert "Quartz" not in browser.see("/admin/consent/subject/")


def test_revealing_a_reference_takes_a_post_and_is_recorded_first(world: World) -> None:
    subject = world.another_subject(REFERENCE)
    browser = manager(world)
    reveal = f"/admin/consent/subject/{subject.code}/reveal/"
    assert REFERENCE not in browser.see(reveal)
    assert events(world, EventName.SUBJECT_REVEALED) == []
    shown = browser.submit(reveal)
    assert REFERENCE in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    [event] = events(world, EventName.SUBJECT_REVEALED)
    assert event.actor_kind == "user"


def test_a_person_is_found_by_reference_without_it_standing_in_an_address(world: World) -> None:
    subject = world.another_subject(REFERENCE)
    browser = manager(world)
    where = browser.does("/admin/consent/subject/find/", project=world.project.pk, external_reference=REFERENCE)
    assert where == f"/admin/consent/subject/{subject.code}/change/"
    missed = browser.submit(
        "/admin/consent/subject/find/", project=world.project.pk, external_reference="somebody else"
    )
    assert "obody here has this reference" in missed.content.decode()


def test_a_second_person_with_the_same_reference_is_refused_in_words(world: World) -> None:
    world.another_subject(REFERENCE)
    page = manager(world).submit("/admin/consent/subject/add/", project=world.project.pk, external_reference=REFERENCE)
    assert page.status_code == 200
    assert "A subject with this external reference exists already." in page.content.decode()


def test_an_operator_sees_subjects_but_may_reveal_register_and_erase_nobody(world: World) -> None:
    subject = world.another_subject(REFERENCE)
    browser = Browser(make_member(world.project, Role.OPERATOR))
    page = browser.see(f"/admin/consent/subject/{subject.code}/change/")
    for act in ("reveal", "erase", "withdraw", "record-consent"):
        assert f"/{act}/" not in page
        assert browser.submit(f"/admin/consent/subject/{subject.code}/{act}/").status_code == 403
    assert browser.submit("/admin/consent/subject/add/", project=world.project.pk).status_code == 403


def test_a_data_protection_officer_erases_a_person_after_confirming(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    erase = f"/admin/consent/subject/{world.subject.code}/erase/"
    browser = officer(world)
    assert "cannot be undone" in browser.see(erase)
    assert browser.submit(erase).status_code == 200
    assert Subject.objects.get(pk=world.subject.pk).erased_at is None
    browser.does(erase, understood="on")
    assert Subject.objects.get(pk=world.subject.pk).erased_at is not None
    assert DestructionOrder.objects.filter(subject=world.subject.code, reason="erasure").exists()
    page = browser.see(f"/admin/consent/subject/{world.subject.code}/change/")
    assert "destroyed" in page
    assert "/erase/" not in page


# Consent


def test_a_consent_manager_records_an_answer_and_the_gate_rests_on_it(world: World) -> None:
    browser = manager(world)
    form = answer(world, Scope.TRANSCRIBE, Scope.PROSODY, origin="file 7-12")
    where = browser.does(f"/admin/consent/subject/{world.subject.code}/record-consent/", **form)
    record = ConsentRecord.objects.get(subject=world.subject)
    assert where == f"/admin/consent/consentrecord/{record.code}/change/"
    assert record.evidence_sha256 == world.notice.sha256
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE)).granted
    page = browser.see(where)
    assert "speech.transcribe: given" in page
    assert "file 7-12" not in page


def test_consent_is_recorded_from_the_list_by_the_code_of_the_person(world: World) -> None:
    form = answer(world, Scope.TRANSCRIBE, subject=world.subject.code, answer="refused")
    manager(world).does("/admin/consent/consentrecord/add/", **form)
    assert not gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed
    assert len(events(world, EventName.GRANT_REFUSED)) == 1


def test_what_the_domain_refuses_stands_beside_the_field(world: World) -> None:
    form = answer(world, Scope.TRANSCRIBE, expires_at_0="2001-01-01", expires_at_1="00:00:00")
    page = manager(world).submit(f"/admin/consent/subject/{world.subject.code}/record-consent/", **form)
    assert page.status_code == 200
    assert "Must lie in the future." in page.content.decode()
    assert not ConsentRecord.objects.filter(subject=world.subject).exists()


def test_consent_cannot_be_recorded_without_attesting_that_the_notice_was_shown(world: World) -> None:
    form = {name: value for name, value in answer(world, Scope.TRANSCRIBE).items() if name != "shown"}
    page = manager(world).submit(f"/admin/consent/subject/{world.subject.code}/record-consent/", **form)
    assert page.status_code == 200
    assert not ConsentRecord.objects.filter(subject=world.subject).exists()


def test_withdrawing_one_scope_on_the_confirmation_page_leaves_the_other(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    browser = manager(world)
    withdraw = f"/admin/consent/consentrecord/{record.code}/withdraw/"
    page = browser.see(withdraw)
    assert "speech.transcribe" in page
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed
    browser.does(withdraw, scopes=["speech.prosody"])
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed
    assert not gate.evaluate(world.ask(Scope.PROSODY)).allowed
    timeline = browser.see(f"/admin/consent/consentrecord/{record.code}/change/")
    assert "speech.prosody: withdrawn" in timeline
    assert "revision 2" in timeline


def test_withdrawing_everything_closes_the_gate_for_the_person(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    manager(world).does(f"/admin/consent/subject/{world.subject.code}/withdraw/")
    assert not gate.evaluate(world.ask(Scope.TRANSCRIBE)).granted
    assert not gate.evaluate(world.ask(Scope.PROSODY)).granted


def test_consent_that_ends_soon_is_counted_and_filtered(world: World) -> None:
    soon = world.consent(Scope.TRANSCRIBE, expires_at=timezone.now() + timedelta(days=5))
    later = world.consent(Scope.PROSODY, expires_at=timezone.now() + timedelta(days=60))
    browser = manager(world)
    page = browser.see("/admin/consent/consentrecord/?expiring=30")
    assert soon.code in page
    assert later.code not in page
    assert re.search(r"<strong>1</strong><span>consents end within 30 days", browser.see("/admin/"))
    assert later.code in browser.see("/admin/consent/consentrecord/?expiring=90")


def test_records_are_filtered_by_state_and_scope(world: World) -> None:
    kept, gone = world.consent(Scope.TRANSCRIBE), world.consent(Scope.PROSODY)
    withdrawal.withdraw(world.subject, scopes=[Scope.PROSODY], actor=ACTOR)
    browser = manager(world)
    for query, shown, hidden in (
        ("state=withdrawn", gone, kept),
        ("state=given", kept, gone),
        ("scope=speech.transcribe", kept, gone),
    ):
        page = browser.see(f"/admin/consent/consentrecord/?{query}")
        assert shown.code in page
        assert hidden.code not in page


def test_a_list_of_many_records_takes_no_query_per_row(world: World) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    browser = manager(world)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            browser.see("/admin/consent/consentrecord/")
        return len(captured)

    world.consent(Scope.TRANSCRIBE)
    few = queries()
    for scope in (Scope.PROSODY, Scope.LANGUAGE, Scope.EMOTION, Scope.NONVERBAL):
        world.consent(scope)
    assert queries() == few


# Notices, purposes, decisions, retention


def test_a_notice_is_drafted_then_published_then_fixed(world: World) -> None:
    browser = manager(world)
    where = browser.does(
        "/admin/consent/notice/add/",
        project=world.project.pk,
        series="research",
        language="de",
        title="Wie wir Ihre Stimme nutzen",
        text="Wir messen Tonhöhe.",
        material="on",
    )
    notice = Notice.objects.get(project=world.project, series__name="research")
    assert notice.published_at is None
    assert "Publish" in browser.see(where)
    browser.does(f"/admin/consent/notice/{notice.code}/publish/")
    assert Notice.objects.filter(pk=notice.pk, published_at__isnull=False).exists()
    assert f"{notice.code}/publish/" not in browser.see(where)
    again = browser.submit(f"/admin/consent/notice/{notice.code}/publish/")
    assert "already published" in again.content.decode()


def test_a_new_version_continues_the_same_notice(world: World) -> None:
    browser = manager(world)
    act = f"/admin/consent/notice/{world.notice.code}/new-version/"
    assert world.notice.text in browser.see(act)
    browser.does(act, language="en", title="How we use your voice", text="We also measure pitch.", material="on")
    assert Notice.objects.filter(series=world.notice.series, version=2, published_at=None).exists()


def test_a_purpose_is_created_closed_and_opened(world: World) -> None:
    browser = manager(world)
    browser.does(
        "/admin/consent/purpose/add/",
        project=world.project.pk,
        name="research on pauses",
        series=world.notice.series_id,
        lawful_basis="consent",
        scopes=["speech.prosody"],
        contexts=["research"],
        recipients="University\n\nLibrary",
    )
    purpose = Purpose.objects.get(project=world.project, name="research on pauses")
    assert purpose.recipients == ["University", "Library"]
    browser.does(f"/admin/consent/purpose/{purpose.code}/deactivate/")
    assert not Purpose.objects.get(pk=purpose.pk).active
    browser.does(f"/admin/consent/purpose/{purpose.code}/activate/")
    assert Purpose.objects.get(pk=purpose.pk).active
    assert len(events(world, EventName.PURPOSE_CHANGED)) == 2


def test_a_denial_is_explained_in_plain_words(world: World) -> None:
    world.consent(Scope.EMOTION)
    with pytest.raises(ConsentDenied) as denial:
        gate.require(
            world.ask(Scope.EMOTION, Scope.TRANSCRIBE, role=ParticipantRole.EMPLOYEE), action=Action.SUBMIT, actor=ACTOR
        )
    browser = manager(world)
    page = browser.see(f"/admin/consent/decision/{denial.value.decision}/change/")
    assert "May not estimate the emotion expressed" in page
    assert "Regulation (EU) 2024/1689, art. 5(1)(f)" in page
    assert "consent cannot waive this rule" in page
    assert "speech.transcribe was never granted for this purpose" in page
    assert world.subject.code in page
    decision = Decision.objects.get(code=denial.value.decision)
    lists = browser.see(f"/admin/consent/decision/?q={world.subject.code}")
    assert f"/admin/consent/decision/{decision.code}/change/" in lists
    assert "Nothing matches" in browser.see("/admin/consent/decision/?outcome=allowed")


def test_a_data_protection_officer_sees_every_term_and_sets_one(world: World) -> None:
    browser = officer(world)
    page = browser.see("/admin/consent/retentionpolicy/")
    assert "365 days" in page
    assert "until the person is erased" in page
    browser.does("/admin/consent/retentionpolicy/add/", project=world.project.pk, category="results", days="42")
    assert RetentionPolicy.objects.get(project=world.project, category="results").days == 42
    assert "42 days" in browser.see("/admin/consent/retentionpolicy/")
    assert len(events(world, EventName.RETENTION_POLICY_CHANGED)) == 1


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
    assert listed(newcomer.see("/admin/")) == {"audit/event"}


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
