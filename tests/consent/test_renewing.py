"""A material notice closes the gate by one row; revisions and events follow in batches that may stop anywhere and go on."""

import io
import threading

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.roles import Role
from audit.events import EventName
from consent import gate, publishing, renewing, restoring, withdrawal
from consent.errors import NoticeNotPublished
from consent.models import CurrentGrant, DestructionOrder, Grant, Notice, NoticeSeries, RenewalRun, Subject
from consent.vocabulary import DenialReason, ParticipantRole, Scope
from tests import factories
from tests.callers import Caller
from tests.factories import ACTOR, World, make_world
from tests.people import events
from vault import journal
from vault.journal import Entry


def publish(world: World, *, material: bool = True) -> Notice:
    draft = publishing.draft_notice(
        world.project, series="voice", language="en", title="Anew", text="And more.", material=material, actor=ACTOR
    )
    return factories.publish(draft)


def consenting(world: World, count: int) -> list[Subject]:
    people = [world.another_subject() for _ in range(count)]
    for person in people:
        world.consent(Scope.TRANSCRIBE, Scope.PROSODY, subject=person)
    return people


def states(people: list[Subject]) -> list[str]:
    return list(CurrentGrant.objects.filter(subject__in=people).values_list("grant__state", flat=True))


def reasons(world: World, person: Subject) -> set[DenialReason]:
    people = [gate.Participant(person.code, ParticipantRole.CUSTOMER)]
    return {d.reason for d in gate.evaluate(world.ask(Scope.TRANSCRIBE, Scope.PROSODY, people=people)).denials}


def test_publishing_takes_as_many_statements_for_many_grants_as_for_one(world: World) -> None:
    def statements(world: World) -> int:
        """But for the one that wakes the sequencer, which is sent when none was a moment ago."""
        with CaptureQueriesContext(connection) as captured:
            publish(world)
        return len([one for one in captured.captured_queries if not one["sql"].startswith("NOTIFY")])

    consenting(world, 1)
    another = make_world()
    consenting(another, 25)
    assert statements(another) == statements(world)


def test_the_gate_is_closed_before_any_revision_is_written(world: World) -> None:
    people = consenting(world, 3)
    publish(world)
    assert set(states(people)) == {"given"}
    assert all(reasons(world, person) == {DenialReason.NOTICE_SUPERSEDED} for person in people)


def test_every_grant_gets_its_revision_and_every_person_an_event(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewing, "BATCH", 4)
    people = consenting(world, 5)
    epochs = {person.pk: Subject.objects.get(pk=person.pk).consent_epoch for person in people}
    publish(world)
    seen: list[tuple[int, int | None]] = []
    renewing.carry_out(lambda run: seen.append((run.done, run.total)))
    assert (4, 10) in seen
    assert (10, 10) in seen
    assert states(people) == ["renewal_due"] * 10
    assert all(reasons(world, person) == {DenialReason.NOTICE_SUPERSEDED} for person in people)
    # Somebody whose grants fell into two batches is told twice; nobody is told nothing.
    assert 5 <= len(events(world, EventName.GRANT_RENEWAL_DUE)) <= 7
    assert all(Subject.objects.get(pk=pk).consent_epoch > epoch for pk, epoch in epochs.items())
    assert not DestructionOrder.objects.filter(subject__in=[person.code for person in people]).exists()
    run = RenewalRun.objects.get(series=world.notice.series)
    assert run.finished_at is not None


def test_a_run_that_was_cut_off_goes_on_where_it_stood(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewing, "BATCH", 2)
    people = consenting(world, 3)
    publish(world)
    assert renewing.carry_out(batches=1) == 2
    assert sorted(states(people)) == ["given"] * 4 + ["renewal_due"] * 2

    class PowerCutError(Exception):
        pass

    def cut(run: RenewalRun) -> None:
        raise PowerCutError

    with pytest.raises(PowerCutError):
        renewing.carry_out(cut)
    renewing.carry_out()
    assert states(people) == ["renewal_due"] * 6
    assert Grant.objects.filter(record__subject__in=people, state="renewal_due").count() == 6
    assert renewing.carry_out() == 0


def test_what_people_answered_meanwhile_stays(world: World) -> None:
    people = consenting(world, 3)
    notice = publish(world)
    withdrawal.withdraw(people[0], actor=ACTOR)
    renewed = World(world.organization, world.project, notice, world.purpose, people[1])
    renewed.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    renewing.carry_out()
    assert sorted(states(people)) == ["given"] * 2 + ["renewal_due"] * 2 + ["withdrawn"] * 2
    assert reasons(world, people[1]) == set()


def test_due_consent_is_renewed_or_withdrawn(world: World) -> None:
    first, second = consenting(world, 2)
    notice = publish(world)
    renewing.carry_out()
    World(world.organization, world.project, notice, world.purpose, first).consent(Scope.TRANSCRIBE)
    assert withdrawal.withdraw(second, actor=ACTOR).orders
    assert "withdrawn" in states([second])
    assert Grant.objects.filter(record__subject=first, state="superseded").count() == 1


def test_an_editorial_notice_and_a_first_one_begin_no_run(world: World) -> None:
    consenting(world, 1)
    publish(world, material=False)
    assert not RenewalRun.objects.filter(series=world.notice.series).exists()


def test_an_answer_that_raced_the_publication_is_before_it_or_refused(world: World) -> None:
    person = world.another_subject()
    refused: list[Exception] = []
    began = threading.Event()

    def answer() -> None:
        began.set()
        try:
            world.consent(Scope.TRANSCRIBE, subject=person)
        except Exception as error:
            refused.append(error)
        finally:
            connections.close_all()

    draft = publishing.draft_notice(
        world.project, series="voice", language="en", title="Anew", text="And more.", material=True, actor=ACTOR
    )
    thread = threading.Thread(target=answer)
    with transaction.atomic():
        publishing.publish_notice(draft, actor=ACTOR)
        thread.start()
        began.wait()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(10)
    assert [type(error) for error in refused] == [NoticeNotPublished]
    assert not CurrentGrant.objects.filter(subject=person).exists()


def test_a_backup_from_before_a_material_notice_does_not_open_the_gate_again(world: World) -> None:
    person = consenting(world, 1)[0]
    before = journal.last_number()
    other = make_world()
    publish(other)
    noted = [entry for entry in journal.entries() if entry.number > before and entry.kind == "notice"]
    assert [entry.body["version"] for entry in noted] == [2]
    body = {"project": world.project.code, "series": world.notice.series.code, "version": 2}
    entry = Entry(1, timezone.now(), "notice", body)
    assert restoring.replay(entry)
    assert not restoring.replay(entry)
    assert reasons(world, person) == {DenialReason.NOTICE_SUPERSEDED}
    assert NoticeSeries.objects.get(pk=world.notice.series_id).least_valid_version == 2
    renewing.carry_out()
    assert set(states([person])) == {"renewal_due"}


def test_a_backup_from_before_a_purpose_was_closed_does_not_open_it_again(world: World) -> None:
    person = consenting(world, 1)[0]
    entry = Entry(1, timezone.now(), "purpose", {"project": world.project.code, "purpose": world.purpose.code})
    assert restoring.replay(entry)
    assert reasons(world, person) == {DenialReason.PURPOSE_INACTIVE}
    publishing.set_purpose_active(world.purpose, True, actor=ACTOR)
    # Opened since: what the entry says is history.
    assert not restoring.replay(entry)
    assert reasons(world, person) == set()


def test_the_command_shows_how_far_it_has_come(world: World) -> None:
    consenting(world, 2)
    publish(world)
    out = io.StringIO()
    call_command("consent", "renewals", stdout=out)
    assert "voice, version 2: 4 of 4" in out.getvalue()


def test_progress_is_read_with_the_notice(world: World) -> None:
    consenting(world, 2)
    notice = publish(world)
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    begun = manager.get(f"/v1/notices/{notice.code}").body["renewal"]
    assert (begun["total"], begun["done"], begun["finished_at"]) == (None, 0, None)
    renewing.carry_out()
    done = manager.get(f"/v1/notices/{notice.code}").body["renewal"]
    assert (done["total"], done["done"]) == (4, 4)
    assert done["finished_at"] is not None
