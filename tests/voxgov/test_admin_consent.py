"""What a consent manager and a data protection officer do in the admin: subjects, consent, notices, purposes, decisions, terms."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.roles import Role
from audit.events import EventName
from consent import gate, publishing, renewing, withdrawal
from consent.errors import ConsentDenied
from consent.models import ConsentRecord, Decision, DestructionOrder, Notice, Purpose, RetentionPolicy, Subject
from consent.vocabulary import Action, AgeBand, ParticipantRole, Scope
from tests.browser import Browser
from tests.factories import ACTOR, World, make_member, make_representative
from tests.people import answer, events, manager, officer

REFERENCE = "Wilhelmina Quartz, +44 20 7946 0958"


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
        controller_name="Example University",
        controller_address="1 Example Street, Dublin",
        controller_contact="privacy@example.edu",
        storage_locations="IE",
        jurisdictions="IE DE",
        withdrawal_method="Write to privacy@example.edu.",
        retention_class="brief",
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
    assert "eu-ai-act-5-1-f: Regulation (EU) 2024/1689" in page, "the rules that had a say stand together"
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


# What has to be looked after


def test_what_must_be_renewed_is_found_from_the_publication_on(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE)
    browser = manager(world)
    due = "/admin/consent/consentrecord/?renewal=due"
    assert record.code not in browser.see(due)
    newer = publishing.draft_notice(
        world.project, series="voice", language="en", title="Anew", text="And more.", material=True, actor=ACTOR
    )
    publishing.publish_notice(newer, actor=ACTOR)
    assert record.code in browser.see(due)
    renewing.carry_out()
    assert record.code in browser.see(due)
    assert "1</strong><span>consents wait to be renewed" in browser.see("/admin/")


def test_children_without_proof_of_representation_are_found(world: World) -> None:
    missing = "/admin/consent/consentrecord/?proof=missing"
    child, other = world.another_subject(), world.another_subject()
    alone = world.consent(Scope.TRANSCRIBE, subject=child, age_band=AgeBand.UNDER_13)
    representation = make_representative(other)
    represented = world.consent(
        Scope.TRANSCRIBE, subject=other, age_band=AgeBand.UNDER_13, representation=representation
    )
    adult = world.consent(Scope.TRANSCRIBE)
    browser = manager(world)
    page = browser.see(missing)
    assert alone.code in page
    assert represented.code not in page
    assert adult.code not in page
    assert "1</strong><span>consents of children lack proof" in browser.see("/admin/")


def test_the_history_reads_as_acts_with_the_name_of_who_did_them(world: World) -> None:
    user = make_member(world.project, Role.CONSENT_MANAGER)
    browser = Browser(user)
    form = answer(world, Scope.TRANSCRIBE, Scope.PROSODY)
    where = browser.does(f"/admin/consent/subject/{world.subject.code}/record-consent/", **form)
    withdrawal.withdraw(world.subject, scopes=[Scope.PROSODY], actor=ACTOR)
    page = browser.see(where)
    history = page[page.index("vg-timeline") : page.index("</ol>")]
    assert history.count("<time>") == 3
    assert f"by {user.username}" in history
    assert history.index("Was permitted") < history.index("Was withdrawn")
    assert history.count("<code>speech.prosody</code>") == 2


def test_a_decisions_page_says_what_judged_it(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    gate.require(world.ask(Scope.TRANSCRIBE), action=Action.SUBMIT, actor=ACTOR)
    row = Decision.objects.get(project=world.project)
    page = manager(world).see(f"/admin/consent/decision/{row.code}/change/")
    assert f"rule set {row.rule_set}" in page
