"""Acts of the admin about restriction and about withdrawals of many people's consent."""

import pytest

from consent import gate
from consent.models import BulkWithdrawal, Subject
from consent.vocabulary import DenialReason, Scope
from tests.factories import World, make_world
from tests.people import manager, officer


@pytest.fixture
def world() -> World:
    made = make_world()
    made.consent(Scope.PROSODY)
    return made


def test_a_person_is_restricted_and_freed_again(world: World) -> None:
    browser = manager(world)
    page = f"/admin/consent/subject/{world.subject.code}"
    assert "/lift-restriction/" not in browser.see(f"{page}/change/")
    browser.does(f"{page}/restrict/", ground="accuracy_contested")
    assert [denial.reason for denial in gate.evaluate(world.ask(Scope.PROSODY)).denials] == [DenialReason.RESTRICTED]
    shown = browser.see(f"{page}/change/")
    assert "accuracy contested" in shown
    assert "/restrict/" not in shown
    assert world.subject.code[:8] in browser.see("/admin/consent/subject/?restricted=yes")
    browser.does(f"{page}/lift-restriction/")
    assert gate.evaluate(world.ask(Scope.PROSODY)).allowed
    assert Subject.objects.get(pk=world.subject.pk).restricted_at is None


def test_consent_of_many_is_counted_then_withdrawn_then_seen_by_somebody_else(world: World) -> None:
    other = world.another_subject("somebody else")
    world.consent(Scope.PROSODY, subject=other)
    first, second = manager(world), officer(world)
    first.does(
        "/admin/consent/bulkwithdrawal/add/",
        project=world.project.pk,
        purpose=world.purpose.pk,
        scopes=["speech.prosody"],
    )
    row = BulkWithdrawal.objects.get(project=world.project)
    page = f"/admin/consent/bulkwithdrawal/{row.code}"
    assert "2 grants of 2 people" in first.see(f"{page}/change/")
    assert gate.evaluate(world.ask(Scope.PROSODY)).allowed, "counting withdraws nothing"
    first.does(f"{page}/begin/")
    assert not gate.evaluate(world.ask(Scope.PROSODY)).allowed
    assert "done: 2 of 2 people" in first.see(f"{page}/change/")
    assert "bulk withdrawals to look at" in second.see("/admin/")
    assert first.submit(f"{page}/acknowledge/").status_code == 200, "not by whoever withdrew"
    assert BulkWithdrawal.objects.get(pk=row.pk).seen_at is None
    second.does(f"{page}/acknowledge/")
    assert BulkWithdrawal.objects.get(pk=row.pk).seen_at is not None


def test_what_grew_since_it_was_counted_is_refused_in_words(world: World) -> None:
    browser = manager(world)
    browser.does("/admin/consent/bulkwithdrawal/add/", project=world.project.pk)
    row = BulkWithdrawal.objects.get(project=world.project)
    world.consent(Scope.TRANSCRIBE)
    answer = browser.submit(f"/admin/consent/bulkwithdrawal/{row.code}/begin/")
    assert (answer.status_code, "count again" in answer.content.decode()) == (200, True)
    assert gate.evaluate(world.ask(Scope.PROSODY)).allowed
