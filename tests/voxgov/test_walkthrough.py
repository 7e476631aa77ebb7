"""The admin in a real browser: signing in with a second factor, a grant's history, an approval by a second person, registers."""

import base64
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application
from django.utils import timezone
from django_otp.oath import TOTP

from accounts.access import actor_of
from accounts.roles import Role
from audit.events import EventName
from consent import breaches, editorial, gate, importing, publishing, representing, withdrawal
from consent.errors import ConsentDenied
from consent.models import Decision
from consent.vocabulary import Action, AgeBand, BreachKind, ParticipantRole, RepresentativeRelation, Scope
from tests import walkthrough
from tests.browser import PASSWORD
from tests.factories import ACTOR, World, make_member, make_representative, make_world
from tests.people import events
from tests.walkthrough import page_at, picture

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(not walkthrough.chromium(), reason=f"no Chromium here: {walkthrough.HOW}"),
]
REFERENCE = "Wilhelmina Quartz, +44 20 7946 0958"


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The application itself, its static files included, on a free port of this machine."""
    server = Server(("127.0.0.1", 0), Quiet)
    server.set_app(StaticFilesHandler(get_wsgi_application()))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def pictures(var: Path) -> Path:
    return var / "pictures"


@pytest.fixture
def world() -> World:
    world = make_world()
    subject = world.another_subject(REFERENCE)
    world.consent(*Scope, subject=subject, evidence_origin="file 7-12", expires_at=timezone.now() + timedelta(days=20))
    withdrawal.withdraw(subject, scopes=[Scope.EMOTION, Scope.IDENTIFY], actor=ACTOR)
    world.consent(Scope.EMOTION, subject=subject)
    world.consent(Scope.EMOTION)
    with pytest.raises(ConsentDenied):
        question = world.ask(Scope.EMOTION, Scope.TRANSCRIBE, role=ParticipantRole.EMPLOYEE)
        gate.require(question, action=Action.SUBMIT, actor=ACTOR)
    return world


def sign_in(page: "Page", username: str, folder: Path, *, shots: bool = False) -> bytes:
    """As a newcomer: name, password, and a second factor that is set up."""
    page.goto("/admin/")
    page.fill("#id_username", username)
    page.fill("#id_password", PASSWORD)
    page.click("input[type=submit]")
    page.click("text=Show the key")
    if shots:
        picture(page, folder, "01-second-factor")
    secret = base64.b32decode("".join(page.locator("#secret code").all_inner_texts()))
    totp = TOTP(secret)
    totp.time = time.time()
    page.fill("#id_token", f"{totp.token():06d}")
    page.click("input[type=submit]")
    if shots:
        picture(page, folder, "02-recovery-codes")
    page.click("text=I have kept them")
    return secret


def test_a_consent_manager_finds_a_grants_history_and_reveals_a_reference(
    base: str, world: World, pictures: Path
) -> None:
    user = make_member(world.project, Role.CONSENT_MANAGER)
    with page_at(base) as page:
        sign_in(page, user.username, pictures, shots=True)
        picture(page, pictures, "03-start")
        page.click("#content-main >> text=Consent records")
        picture(page, pictures, "04-records")
        page.locator("#result_list tbody tr").nth(2).locator("a").first.click()
        page.wait_for_selector("ol.vg-timeline")
        assert page.locator("ol.vg-timeline code").count() > len(Scope)
        picture(page, pictures, "05-history")
        page.click("text=Home")
        page.click("#content-main >> text=Subjects")
        picture(page, pictures, "06-subjects")
        page.locator("#result_list tbody tr").first.locator("a").first.click()
        page.wait_for_selector("text=(sealed)")
        assert "Quartz" not in page.content()
        picture(page, pictures, "07-subject")
        page.click("text=Reveal reference")
        page.wait_for_selector(f"text={REFERENCE}")
        picture(page, pictures, "08-revealed")
        decision = Decision.objects.filter(project=world.project).latest("id")
        page.goto(f"/admin/consent/decision/{decision.code}/change/")
        picture(page, pictures, "09-decision")
    assert [event.actor_code for event in events(world, EventName.SUBJECT_REVEALED)] == [user.code]


def test_a_second_person_approves_what_the_first_asked_for(base: str, world: World, pictures: Path) -> None:
    first = make_member(world.project, Role.CONSENT_MANAGER)
    second = make_member(world.project, Role.DATA_PROTECTION_OFFICER)
    with page_at(base) as page:
        sign_in(page, first.username, pictures)
        page.goto(f"/admin/consent/subject/{world.subject.code}/change/")
        page.click("text=Ask for another role")
        page.select_option("#id_role", "customer")
        page.click("input[type=submit]")
        page.wait_for_selector("text=Somebody else has to approve it")
        assert page.locator(".object-tools >> text=Approve").count() == 0
        picture(page, pictures, "10-asked")
    with page_at(base) as page:
        sign_in(page, second.username, pictures)
        picture(page, pictures, "11-start-of-the-second")
        page.click("text=changes of role wait for you")
        picture(page, pictures, "12-waiting")
        page.locator("#result_list tbody tr").first.locator("a").first.click()
        page.click(".object-tools >> text=Approve")
        picture(page, pictures, "13-approve")
        page.click("input[type=submit]")
        page.wait_for_selector("text=Approved: the person counts")
        picture(page, pictures, "14-approved")
    assert gate.evaluate(world.ask(Scope.EMOTION)).allowed
    assert events(world, EventName.ROLE_CHANGE_APPROVED)[0].actor_code == second.code


def test_a_file_of_consents_is_checked_and_recorded_before_ones_eyes(
    base: str, world: World, pictures: Path, tmp_path: Path
) -> None:
    first = make_member(world.project, Role.CONSENT_MANAGER)
    second = make_member(world.project, Role.CONSENT_MANAGER)
    head = "external_reference,purpose,notice,scopes,answer,explicit,given_at,evidence_method\n"
    line = f"{{}},support quality,{world.notice.sha256},speech.transcribe,{{}},yes,2024-01-01T00:00:00Z,paper\n"
    wrong, right = tmp_path / "wrong.csv", tmp_path / "right.csv"
    wrong.write_text(head + line.format("A", "perhaps") + line.format("B", "given") + line.format("C", ""))
    right.write_text(head + "".join(line.format(f"person {number}", "given") for number in range(20)))
    with page_at(base) as page:
        sign_in(page, first.username, pictures)
        for file, name in ((wrong, "16-problems"), (right, "17-checked")):
            page.goto("/admin/consent/grantimport/add/")
            page.set_input_files("#id_file", file)
            if file is wrong:
                picture(page, pictures, "15-bring")
            page.click("input[type=submit]")
            page.wait_for_selector("text=Checked. Nothing is recorded yet.")
            picture(page, pictures, name)
        page.click("text=Ask for approval")
        page.click("input[type=submit]")
        page.wait_for_selector("text=Asked for.")
    with page_at(base) as page:
        sign_in(page, second.username, pictures)
        page.click("text=imports of consents wait for you")
        page.locator("#result_list tbody tr").first.locator("a").first.click()
        page.click(".object-tools >> text=Approve")
        page.click("input[type=submit]")
        page.wait_for_selector("text=Approved. The rows")

        class Halfway(Exception):
            pass

        def stop(place: int, _: int) -> None:
            if place == 9:
                raise Halfway

        with pytest.raises(Halfway):
            importing.carry_out(stop)
        page.reload()
        assert page.locator("progress").get_attribute("value") == "45"
        picture(page, pictures, "18-recording")


def test_what_an_editorial_notice_changes_is_seen_side_by_side(base: str, world: World, pictures: Path) -> None:
    notice = publishing.draft_notice(
        world.project,
        series="voice",
        language="en",
        title="How we use your voice",
        text="We transcribe this call. " * 30,
        material=False,
        actor=ACTOR,
    )
    asked = editorial.ask(notice, actor=actor_of(make_member(world.project, Role.CONSENT_MANAGER)))
    with page_at(base) as page:
        sign_in(page, make_member(world.project, Role.DATA_PROTECTION_OFFICER).username, pictures)
        page.goto(f"/admin/consent/editorialpublication/{asked.code}/change/")
        picture(page, pictures, "19-editorial")


def test_a_representative_is_found_among_those_without_a_document_and_revealed(
    base: str, world: World, pictures: Path
) -> None:
    child = world.another_subject()
    make_representative(world.subject)
    mother = representing.register(
        child,
        relation=RepresentativeRelation.PARENT,
        identity="Ottilie Quartz",
        proof_sha256="ab" * 32,
        of_child=True,
        ends_at=timezone.now() + timedelta(days=2000),
        actor=ACTOR,
    )
    world.consent(Scope.TRANSCRIBE, subject=child, age_band=AgeBand.UNDER_13, representation=mother)
    user = make_member(world.project, Role.CONSENT_MANAGER)
    with page_at(base) as page:
        sign_in(page, user.username, pictures)
        page.goto("/admin/consent/representation/")
        picture(page, pictures, "20-representatives")
        page.click("#changelist-filter >> text=nobody said")
        assert page.locator("#result_list tbody tr").count() == 1
        page.locator("#result_list tbody tr").first.locator("a").first.click()
        page.wait_for_selector("text=speech.transcribe")
        assert "Quartz" not in page.content()
        picture(page, pictures, "21-representative")
        page.click("text=Reveal representative")
        page.wait_for_selector("text=Ottilie Quartz")
        picture(page, pictures, "22-representative-revealed")
    assert [event.actor_code for event in events(world, EventName.REPRESENTATIVE_REVEALED)] == [user.code]


def test_a_protection_officer_keeps_the_registers(base: str, world: World, pictures: Path) -> None:
    known = breaches.Facts(timezone.now() - timedelta(hours=80), (BreachKind.AVAILABILITY,))
    breaches.register(world.project, known, actor=ACTOR)
    breaches.sweep()
    user = make_member(world.project, Role.DATA_PROTECTION_OFFICER)
    with page_at(base) as page:
        sign_in(page, user.username, pictures)
        picture(page, pictures, "23-start-of-the-officer")
        page.goto("/admin/consent/projectrecord/")
        picture(page, pictures, "24-records-of-processing")
        page.locator("#result_list tbody tr").first.locator("a").first.click()
        page.wait_for_selector("text=Controllers")
        picture(page, pictures, "25-record-of-processing")
        page.goto("/admin/consent/breach/add/")
        page.check("input[name=kinds][value=confidentiality]")
        page.select_option("#id_risk", "high")
        page.fill("#id_nature", "A laptop was stolen.")
        picture(page, pictures, "26-register-a-breach")
        page.click("input[type=submit]")
        page.wait_for_selector("text=Tell the people concerned")
        page.click("text=Amend")
        page.fill("#id_people_count", "40")
        page.click("input[type=submit]")
        page.wait_for_selector("text=revision 2")
        picture(page, pictures, "27-breach")
        page.click("text=Open texts")
        page.wait_for_selector("text=A laptop was stolen.")
        picture(page, pictures, "28-breach-opened")
        page.goto("/admin/consent/breach/?clock=overdue")
        assert page.locator("#result_list tbody tr").count() == 1
        page.goto("/admin/consent/breach/")
        picture(page, pictures, "29-breaches")
        page.locator("#result_list tbody tr").nth(1).locator("a").first.click()
        page.wait_for_selector("text=the trail said")
        picture(page, pictures, "30-breach-overdue")
    assert [event.actor_code for event in events(world, EventName.PROCESSING_RECORD_READ)] == [user.code]
