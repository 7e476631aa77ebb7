"""The registers in the admin: representatives, the record of processing, breaches; what is sealed opens by recorded acts only."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.roles import Role
from audit.events import EventName
from consent import breaches, gate, withdrawal
from consent.models import Breach, BreachRevision, Representation
from consent.vocabulary import AgeBand, BreachKind, BreachRisk, Scope
from tests.browser import Browser
from tests.factories import ACTOR, World, make_member, make_representative
from tests.people import administrator, events, manager, officer

IDENTITY = "Ottilie Quartz, mother"
NATURE = "A laptop of Wilhelmina Quartz was stolen."


# Reveals


def test_where_evidence_is_from_opens_by_a_recorded_act_only(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE, evidence_origin="file 7-12 of Mrs Quartz")
    page = f"/admin/consent/consentrecord/{record.code}"
    browser = manager(world)
    assert "Quartz" not in browser.see(f"{page}/change/")
    assert "Quartz" not in browser.see(f"{page}/reveal/")
    assert events(world, EventName.EVIDENCE_REVEALED) == []
    shown = browser.submit(f"{page}/reveal/")
    assert "file 7-12 of Mrs Quartz" in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    assert len(events(world, EventName.EVIDENCE_REVEALED)) == 1


def test_who_represents_somebody_opens_by_a_recorded_act_only(world: World) -> None:
    row = make_representative(world.subject, identity=IDENTITY)
    page = f"/admin/consent/representation/{row.code}"
    browser = officer(world)
    assert "Quartz" not in browser.see(f"{page}/change/")
    assert "Quartz" not in browser.see("/admin/consent/representation/")
    shown = browser.submit(f"{page}/reveal/").content.decode()
    assert IDENTITY in shown
    assert "file 7-12" in shown
    assert len(events(world, EventName.REPRESENTATIVE_REVEALED)) == 1
    operator = Browser(make_member(world.project, Role.OPERATOR))
    assert operator.submit(f"{page}/reveal/").status_code == 403


def test_nothing_is_revealed_of_somebody_who_was_erased(world: World) -> None:
    row = make_representative(world.subject, identity=IDENTITY)
    withdrawal.erase(world.subject, actor=ACTOR)
    answer = manager(world).submit(f"/admin/consent/representation/{row.code}/reveal/")
    assert "erased" in answer.content.decode()
    assert "Quartz" not in answer.content.decode()


# Representatives


def test_a_representative_is_registered_found_and_ended(world: World) -> None:
    browser = manager(world)
    where = browser.does(
        "/admin/consent/representation/add/",
        subject=world.subject.code,
        relation="guardian",
        identity=IDENTITY,
        proof_sha256="0" * 64,
        proof_reference="court file",
        ends_at_0="2099-01-01",
        ends_at_1="00:00:00",
    )
    row = Representation.objects.get(subject=world.subject)
    assert row.of_child
    world.consent(Scope.TRANSCRIBE, age_band=AgeBand.UNDER_13, representation=row)
    page = browser.see(where)
    assert "in force" in page
    assert "speech.transcribe: given" in page
    assert row.code in browser.see(f"/admin/consent/representation/?q={world.subject.code}")
    browser.does(f"/admin/consent/representation/{row.code}/end/")
    assert "ended before its time" in browser.see(where)
    assert not gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed
    assert "/end/" not in browser.see(where)


def test_representatives_whose_proof_nobody_can_find_are_counted_and_filtered(world: World) -> None:
    browser = manager(world)
    kept = make_representative(world.subject)
    fields: dict[str, Any] = {"subject": world.subject.code, "relation": "mandate", "proof_sha256": "0" * 64}
    browser.does("/admin/consent/representation/add/", identity="their lawyer", **fields)
    lost = Representation.objects.get(subject=world.subject, relation="mandate")
    page = browser.see("/admin/consent/representation/?document=missing")
    assert lost.code in page
    assert kept.code not in page
    assert "1</strong><span>representatives whose proof nobody can find" in browser.see("/admin/")


def test_what_makes_no_representative_is_refused_beside_its_field(world: World) -> None:
    answer = manager(world).submit(
        "/admin/consent/representation/add/",
        subject=world.subject.code,
        relation="parent",
        identity=IDENTITY,
        proof_sha256="0" * 64,
    )
    assert "A child comes of age: say when." in answer.content.decode()


def test_the_history_of_a_representative_is_in_the_trail(world: World) -> None:
    row = make_representative(world.subject)
    browser = officer(world)
    assert "History in the trail" in browser.see(f"/admin/consent/representation/{row.code}/change/")
    history = browser.get(f"/admin/consent/representation/{row.code}/history/")["location"]
    assert "representative registered" in browser.see(history)


# The record of processing


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.DATA_PROTECTION_OFFICER, Role.ADMINISTRATOR])
def test_the_record_of_processing_is_read_and_the_look_recorded(world: World, role: Role) -> None:
    browser = Browser(make_member(world.project, role))
    assert world.project.name in browser.see("/admin/consent/projectrecord/")
    assert events(world, EventName.PROCESSING_RECORD_READ) == []
    page = browser.see(f"/admin/consent/projectrecord/{world.project.code}/change/")
    assert "support quality" in page
    for letter in "abcdefg":
        assert f"30(1)({letter})" in page, letter
    assert "no data protection officer is named" in page.lower()
    assert len(events(world, EventName.PROCESSING_RECORD_READ)) == 1


def test_nothing_of_the_record_is_typed_in(world: World) -> None:
    browser = administrator(world)
    path = f"/admin/consent/projectrecord/{world.project.code}/change/"
    assert browser.submit(path, name="Another").status_code == 403
    assert events(world, EventName.PROCESSING_RECORD_READ) == []


# Breaches


def register(world: World, hours: int, **more: Any) -> Breach:
    known = breaches.Facts(timezone.now() - timedelta(hours=hours), (BreachKind.CONFIDENTIALITY,), **more)
    return breaches.register(world.project, known, actor=ACTOR)


def test_a_breach_is_registered_amended_and_its_words_open_by_a_recorded_act(world: World) -> None:
    browser = officer(world)
    now = timezone.now() - timedelta(hours=1)
    form = {
        "aware_at_0": now.strftime("%Y-%m-%d"),
        "aware_at_1": now.strftime("%H:%M:%S"),
        "kinds": ["confidentiality"],
        "risk": "undetermined",
    }
    where = browser.does("/admin/consent/breach/add/", project=world.project.pk, nature=NATURE, **form)
    breach = Breach.objects.get(project=world.project)
    page = browser.see(where)
    assert "running" in page
    assert "Notify the authority" in page
    assert "What happened" in page
    assert "Quartz" not in page
    amend = f"/admin/consent/breach/{breach.code}/amend/"
    assert "Quartz" not in browser.see(amend)
    browser.does(amend, **{**form, "risk": "high", "people": ["customer"], "people_count": "40"})
    page = browser.see(where)
    assert "revision 2" in page
    assert "about 40" in page
    assert "Tell the people concerned" in page
    shown = browser.submit(f"/admin/consent/breach/{breach.code}/open/").content.decode()
    assert NATURE in shown
    assert len(events(world, EventName.BREACH_READ)) == 1


def test_the_start_page_counts_what_is_overdue(world: World) -> None:
    late, early = register(world, 73), register(world, 1)
    register(world, 73, risk=BreachRisk.UNLIKELY)
    browser = officer(world)
    assert "1</strong><span>breaches of which the authority was not told in time" in browser.see("/admin/")
    page = browser.see("/admin/consent/breach/?clock=overdue")
    assert late.code in page
    assert early.code not in page


def test_what_a_breach_may_not_say_is_refused_beside_its_field(world: World) -> None:
    breach = register(world, 73)
    known = breaches.newest(breach)
    answer = officer(world).submit(
        f"/admin/consent/breach/{breach.code}/amend/",
        aware_at_0=known.aware_at.strftime("%Y-%m-%d"),
        aware_at_1=known.aware_at.strftime("%H:%M:%S"),
        kinds=["confidentiality"],
        risk="risk",
        authority_notified_at_0=timezone.now().strftime("%Y-%m-%d"),
        authority_notified_at_1=timezone.now().strftime("%H:%M:%S"),
    )
    assert "The authority was told after 72 hours: say why (art. 33(1))." in answer.content.decode()
    assert BreachRevision.objects.filter(breach=breach).count() == 1
