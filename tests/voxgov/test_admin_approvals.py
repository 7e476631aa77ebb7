"""A second person approves in the admin: another role, an editorial notice, an import of consents with its dry run."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.roles import Role
from consent import gate, importing, publishing, relabelling
from consent.errors import ConsentDenied
from consent.models import ConsentRecord, EditorialPublication, GrantImport, Notice, RoleChange
from consent.vocabulary import Action, ParticipantRole, Scope
from tests.browser import Browser
from tests.factories import ACTOR, World, make_member, make_world
from tests.people import manager, officer

REFERENCE = "Wilhelmina Quartz"


@pytest.fixture
def world() -> World:
    world = make_world()
    world.consent(Scope.EMOTION)
    return world


def csv(world: World, reference: str = REFERENCE, answer: str = "given") -> SimpleUploadedFile:
    lines = (
        "external_reference,purpose,notice,scopes,answer,explicit,given_at,evidence_method\n"
        f"{reference},{world.purpose.name},{world.notice.sha256},speech.transcribe,{answer},yes,2024-01-01T00:00:00Z,paper\n"
    )
    return SimpleUploadedFile("consents.csv", lines.encode(), content_type="text/csv")


def test_another_role_is_asked_for_on_the_subjects_page_and_approved_by_somebody_else(world: World) -> None:
    ask = f"/admin/consent/subject/{world.subject.code}/ask-role/"
    asker = manager(world)
    assert ask not in asker.see(f"/admin/consent/subject/{world.subject.code}/change/")
    with pytest.raises(ConsentDenied):
        question = world.ask(Scope.EMOTION, role=ParticipantRole.EMPLOYEE)
        gate.require(question, action=Action.SUBMIT, actor=ACTOR)
    where = asker.does(ask, role="customer")
    assert "Approve" not in asker.see(where)
    approve = where.replace("/change/", "/approve/")
    assert "other than who asked" in asker.submit(approve).content.decode()
    second = officer(world)
    assert "1</strong><span>changes of role wait for you" in second.see("/admin/")
    assert "Approve" in second.see(where)
    second.does(approve)
    assert RoleChange.objects.get(subject=world.subject).approved_at is not None
    assert gate.evaluate(world.ask(Scope.EMOTION)).allowed


def test_who_asked_takes_it_back(world: World) -> None:
    with pytest.raises(ConsentDenied):
        question = world.ask(Scope.EMOTION, role=ParticipantRole.EMPLOYEE)
        gate.require(question, action=Action.SUBMIT, actor=ACTOR)
    user = make_member(world.project, Role.CONSENT_MANAGER)
    browser = Browser(user)
    where = browser.does(f"/admin/consent/subject/{world.subject.code}/ask-role/", role="customer")
    browser.does(where.replace("/change/", "/turn-down/"))
    page = browser.see(where)
    assert "taken back by who asked" in page
    assert user.username in page


def test_an_editorial_notice_is_not_published_by_one_person(world: World) -> None:
    notice = publishing.draft_notice(
        world.project, series="voice", language="en", title="Typo", text="Mended.", material=False, actor=ACTOR
    )
    page = f"/admin/consent/notice/{notice.code}"
    asker = manager(world)
    assert "/publish/" not in asker.see(f"{page}/change/")
    assert "second person must approve" in asker.submit(f"{page}/publish/").content.decode()
    where = asker.does(f"{page}/ask-editorial/")
    shown = officer(world).see(where)
    assert "We transcribe this call." in shown
    assert "Mended." in shown
    assert Notice.objects.get(pk=notice.pk).published_at is None
    officer(world).does(where.replace("/change/", "/approve/"))
    assert Notice.objects.get(pk=notice.pk).published_at is not None
    assert EditorialPublication.objects.get(notice=notice).approved_at is not None


def test_a_file_is_checked_asked_for_approved_and_recorded(world: World) -> None:
    user = make_member(world.project, Role.CONSENT_MANAGER)
    asker = Browser(user)
    where = asker.does("/admin/consent/grantimport/add/", project=world.project.pk, file=csv(world))
    page = asker.see(where)
    assert "Every row can be recorded." in page
    assert REFERENCE not in page
    asker.does(where.replace("/change/", "/ask/"))
    assert "other than who asked" in asker.submit(where.replace("/change/", "/approve/")).content.decode()
    second = officer(world)
    assert "1</strong><span>imports of consents wait for you" in second.see("/admin/")
    second.does(where.replace("/change/", "/approve/"))
    assert 'http-equiv="refresh"' in second.see(where)
    importing.carry_out()
    page = second.see(where)
    assert 'http-equiv="refresh"' not in page
    assert "1: 1 recorded, 0 recorded before, 0 refused" in page
    assert 'value="100"' in page
    assert ConsentRecord.objects.filter(project=world.project, grants__reason="import").exists()


def test_what_is_wrong_with_a_file_is_said_by_row_and_column_and_it_cannot_be_asked_for(world: World) -> None:
    asker = manager(world)
    where = asker.does(
        "/admin/consent/grantimport/add/", project=world.project.pk, file=csv(world, REFERENCE, "perhaps")
    )
    page = asker.see(where)
    assert "<td>2</td><td><code>answer</code></td><td>must be given or refused</td>" in page
    assert REFERENCE not in page
    assert "/ask/" not in page


def test_a_file_that_is_too_large_or_none_at_all_is_refused_in_words(world: World) -> None:
    asker = manager(world)
    add = "/admin/consent/grantimport/add/"
    large = SimpleUploadedFile("consents.csv", b"x" * (4 * 1024 * 1024 + 1))
    assert "at most 4 MiB" in asker.submit(add, project=world.project.pk, file=large).content.decode()
    wrong = SimpleUploadedFile("consents.csv", b"external_reference\nK\xfcnstler\n")
    assert "Line 2 is not UTF-8" in asker.submit(add, project=world.project.pk, file=wrong).content.decode()
    assert not GrantImport.objects.filter(project=world.project).exists()


def test_no_other_form_takes_a_file(world: World) -> None:
    asker = manager(world)
    asker.see("/admin/consent/subject/add/")
    file = SimpleUploadedFile("consents.csv", b"x" * 100)
    answered = asker.submit("/admin/consent/subject/add/", project=world.project.pk, external_reference="", file=file)
    assert answered.status_code in (400, 403)
    assert world.project.subjects.count() == 1


def test_an_operator_sees_that_something_waits_and_approves_nothing(world: World) -> None:
    with pytest.raises(ConsentDenied):
        question = world.ask(Scope.EMOTION, role=ParticipantRole.EMPLOYEE)
        gate.require(question, action=Action.SUBMIT, actor=ACTOR)
    change = relabelling.ask(world.subject, ParticipantRole.CUSTOMER, actor=ACTOR)
    operator = Browser(make_member(world.project, Role.OPERATOR))
    assert "/approve/" not in operator.see(f"/admin/consent/rolechange/{change.code}/change/")
    assert operator.submit(f"/admin/consent/rolechange/{change.code}/approve/").status_code == 403
