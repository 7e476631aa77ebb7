"""Withdrawing the consent of many at once: counted first, begun with the count's token, effective at once for each, and seen by
somebody else."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import Error, connection

from accounts.access import actor_of
from accounts.roles import Role
from audit import outside
from audit.entry import Actor, ActorKind
from audit.events import EventName
from consent import bulk_withdrawal, closing, destruction, gate, withdrawal
from consent.bulk_withdrawal import Selection
from consent.errors import InvalidRecord, NothingToWithdraw, PreviewInvalid, SecondPersonNeeded, SelectionGrew
from consent.models import BulkWithdrawal, CurrentGrant, DestructionOrder, Subject
from consent.vocabulary import ParticipantRole, Scope
from tests.callers import Caller
from tests.factories import ACTOR, World, make_member, make_world
from tests.people import events
from tests.voxgov.test_problems import is_problem
from vault import journal


def people(world: World, count: int, *scopes: Scope) -> list[Subject]:
    found = [world.another_subject() for _ in range(count)]
    for subject in found:
        world.consent(*(scopes or (Scope.TRANSCRIBE, Scope.PROSODY)), subject=subject)
    return found


def open_scopes(world: World, subject: Subject) -> set[Scope]:
    asked = world.ask(
        Scope.TRANSCRIBE, Scope.PROSODY, people=[gate.Participant(subject.code, ParticipantRole.CUSTOMER)]
    )
    return {pair.scope for pair in gate.evaluate(asked).granted}


def counted(world: World, **selection: Any) -> BulkWithdrawal:
    return bulk_withdrawal.preview(world.project, Selection(**selection), actor=ACTOR)


def execute(row: BulkWithdrawal, **more: Any) -> BulkWithdrawal:
    return bulk_withdrawal.execute(row, bulk_withdrawal.token_of(row), **{"actor": ACTOR, **more})


def test_counting_withdraws_nothing_and_says_how_many(world: World) -> None:
    some = people(world, 3)
    withdrawal.withdraw(some[0], actor=ACTOR)
    row = counted(world)
    assert (row.subjects_counted, row.grants_counted) == (2, 4)
    assert open_scopes(world, some[1]) == {Scope.TRANSCRIBE, Scope.PROSODY}


def test_the_selection_is_withdrawn_and_nothing_besides(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_withdrawal, "BATCH", 2)
    some, other = people(world, 5), make_world()
    other.consent(Scope.PROSODY)
    done = execute(counted(world, purpose=world.purpose, scopes=(Scope.PROSODY,)))
    assert (done.subjects_done, done.grants_done) == (5, 5)
    assert done.finished_at is not None
    assert [open_scopes(world, one) for one in some] == [{Scope.TRANSCRIBE}] * 5
    assert gate.evaluate(other.ask(Scope.PROSODY)).allowed
    assert len(events(world, EventName.GRANT_WITHDRAWN)) == 5


def test_named_people_are_withdrawn_and_their_names_forgotten(world: World) -> None:
    some = people(world, 3)
    done = execute(counted(world, subjects=(some[0].code, some[1].code)))
    assert [len(open_scopes(world, one)) for one in some] == [0, 0, 2]
    assert done.subjects == []


def test_a_withdrawal_of_a_bulk_is_one_like_any_other(world: World) -> None:
    (one,) = people(world, 1)
    since = journal.last_number()
    execute(counted(world))
    ending = one.endings.get()
    assert (ending.cause, ending.state) == ("withdrawal", "withdrawn")
    assert ending.orders.count() == 1
    assert any(
        n.number > since and n.kind == closing.WITHDRAWAL and n.body["subject"] == one.code for n in journal.entries()
    )


def test_gates_are_closed_first_and_nothing_is_destroyed_in_between(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = people(world, 3)
    monkeypatch.setattr(destruction, "carry_out", lambda code: pytest.fail("destroyed while others waited"))
    execute(counted(world))
    orders = DestructionOrder.objects.filter(subject__in=[one.code for one in some])
    assert (orders.count(), orders.filter(done_at=None).count()) == (3, 3)


def test_the_token_of_another_preview_or_of_an_old_one_begins_nothing(world: World) -> None:
    (one,) = people(world, 1)
    row, other = counted(world), counted(world, scopes=(Scope.PROSODY,))
    with pytest.raises(PreviewInvalid):
        bulk_withdrawal.execute(row, bulk_withdrawal.token_of(other), actor=ACTOR)
    row.grants_counted += 1  # a count that somebody made up gives another token
    made_up = bulk_withdrawal.token_of(row)
    with pytest.raises(PreviewInvalid):
        bulk_withdrawal.execute(BulkWithdrawal.objects.get(pk=row.pk), made_up, actor=ACTOR)
    assert len(open_scopes(world, one)) == 2


def test_a_count_is_good_for_a_quarter_of_an_hour(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = people(world, 1)
    row = counted(world)
    monkeypatch.setattr(bulk_withdrawal, "LIFE", timedelta(0))
    with pytest.raises(PreviewInvalid):
        execute(row)
    assert len(open_scopes(world, one)) == 2


def test_it_refuses_when_the_set_grew_and_not_when_it_shrank(world: World) -> None:
    some = people(world, 2)
    shrunk = counted(world)
    withdrawal.withdraw(some[0], actor=ACTOR)
    assert execute(shrunk).subjects_done == 1
    world.consent(Scope.TRANSCRIBE, subject=some[0])
    row = counted(world)
    # As many as before, and not the same: one went, another came.
    withdrawal.withdraw(some[0], actor=ACTOR)
    newcomer = people(world, 1, Scope.TRANSCRIBE)[0]
    with pytest.raises(SelectionGrew):
        execute(row)
    assert open_scopes(world, newcomer) == {Scope.TRANSCRIBE}


def test_somebody_who_consents_again_while_it_runs_keeps_that(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_withdrawal, "BATCH", 1)
    some = people(world, 3, Scope.TRANSCRIBE)
    row = execute(counted(world), seconds=0)
    assert row.subjects_done == 1
    world.consent(Scope.TRANSCRIBE, subject=some[2])
    bulk_withdrawal.carry_out()
    assert [open_scopes(world, one) for one in some] == [set(), set(), {Scope.TRANSCRIBE}]


def test_it_goes_on_where_it_stood_by_the_schedule_by_hand_or_by_calling_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_withdrawal, "BATCH", 1)
    people(world, 4)
    row = execute(counted(world), seconds=0)
    assert (row.subjects_done, row.finished_at) == (1, None)
    row = execute(row, seconds=0)
    assert row.subjects_done == 2
    out = io.StringIO()
    call_command("consent", "withdrawals", stdout=out)
    assert f"{row.code}: 4 of 4 people" in out.getvalue()
    row.refresh_from_db()
    assert (row.subjects_done, row.grants_done) == (4, 8)
    assert row.finished_at is not None
    assert bulk_withdrawal.carry_out() == 0


def test_each_is_effective_at_the_commit_of_its_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_withdrawal, "BATCH", 1)
    some = people(world, 2)
    execute(counted(world), seconds=0)
    assert [len(open_scopes(world, one)) for one in some] == [0, 2]


def test_one_whose_withdrawal_fails_holds_up_nobody_and_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = people(world, 3)
    real = closing.end_grants

    def failing(subject: Subject, *args: Any, **more: Any) -> Any:
        if subject.pk == some[1].pk:
            raise RuntimeError
        return real(subject, *args, **more)

    monkeypatch.setattr(bulk_withdrawal, "end_grants", failing)
    row = execute(counted(world), seconds=5)
    assert [len(open_scopes(world, one)) for one in some] == [0, 2, 0]
    assert row.finished_at is None
    monkeypatch.setattr(bulk_withdrawal, "end_grants", real)
    bulk_withdrawal.carry_out()
    row.refresh_from_db()
    assert (row.subjects_done, row.finished_at is not None) == (3, True)
    assert open_scopes(world, some[1]) == set()


def test_the_trail_says_when_it_began_and_ended_and_names_nobody(world: World) -> None:
    some = people(world, 2)
    row = execute(counted(world))
    for name in (EventName.BULK_WITHDRAWAL_BEGUN, EventName.BULK_WITHDRAWAL_FINISHED):
        (event,) = events(world, name)
        assert row.code.encode() in bytes(event.entry)
        assert not any(one.code.encode() in bytes(event.entry) for one in some)
    assert b'"subjects_done":2' in bytes(events(world, EventName.BULK_WITHDRAWAL_FINISHED)[0].entry)


def test_a_second_person_sees_it_afterwards_and_nothing_waits_for_them(world: World) -> None:
    people(world, 1)
    first = actor_of(make_member(world.project, Role.CONSENT_MANAGER))
    second = actor_of(make_member(world.project, Role.DATA_PROTECTION_OFFICER))
    row = bulk_withdrawal.preview(world.project, Selection(), actor=first)
    with pytest.raises(InvalidRecord):
        bulk_withdrawal.acknowledge(row, actor=second)
    row = execute(row, actor=first)
    assert row.finished_at is not None
    for nobody in (first, Actor(ActorKind.CLIENT, "a program")):
        with pytest.raises(SecondPersonNeeded):
            bulk_withdrawal.acknowledge(row, actor=nobody)
    bulk_withdrawal.acknowledge(row, actor=second)
    with pytest.raises(InvalidRecord):
        bulk_withdrawal.acknowledge(row, actor=second)
    assert events(world, EventName.BULK_WITHDRAWAL_SEEN)[0].actor_code == second.code


def test_neither_sql_of_the_application_changes_what_was_counted_nor_sees_for_oneself(world: World) -> None:
    people(world, 1)
    row = execute(counted(world))
    for statement in (
        "DELETE FROM consent_bulkwithdrawal",
        "UPDATE consent_bulkwithdrawal SET grants_counted = 0",
        f"UPDATE consent_bulkwithdrawal SET seen_at = now(), seen_by_code = begun_by_code WHERE id = {row.pk}",
    ):
        with pytest.raises(Error), connection.cursor() as cursor:
            cursor.execute(statement)


def test_whoever_is_erased_is_no_longer_named_and_the_rest_is_not_everybody(world: World) -> None:
    some = people(world, 2)
    row = counted(world, subjects=(some[0].code,))
    destruction.carry_out(withdrawal.erase(some[0], actor=ACTOR).code)
    row.refresh_from_db()
    assert row.subjects == ["erased"]
    assert execute(row).subjects_done == 0
    assert len(open_scopes(world, some[1])) == 2


def test_nothing_to_withdraw_is_no_selection(world: World) -> None:
    with pytest.raises(NothingToWithdraw):
        counted(world)


def test_over_http_count_then_withdraw_also_while_the_service_is_closed(world: World) -> None:
    people(world, 2)
    manager, officer = Caller(world.project, Role.CONSENT_MANAGER), Caller(world.project, Role.DATA_PROTECTION_OFFICER)
    outside.close(["for the test"])
    try:
        preview = manager.post("/v1/bulk-withdrawals", {"purpose": world.purpose.code})
        assert preview.status == 201, preview
        assert (preview.body["subjects_counted"], preview.body["grants_counted"]) == (2, 4)
        path = f"/v1/bulk-withdrawals/{preview.body['code']}"
        assert is_problem(manager.post(f"{path}/execute", {"token": "0" * 64}), 409, "preview_invalid")
        done = manager.post(f"{path}/execute", {"token": preview.body["token"]})
        assert (done.status, done.body["subjects_done"], done.body["grants_done"]) == (200, 2, 4)
    finally:
        outside.open_again()
    (listed,) = officer.get("/v1/bulk-withdrawals").body["results"]
    assert listed == officer.get(path).body
    assert (listed["finished_at"] is not None, listed["seen_at"]) == (True, None)
    people(world, 1)
    again = manager.post("/v1/bulk-withdrawals", {}).body
    people(world, 1)
    grown = manager.post(f"/v1/bulk-withdrawals/{again['code']}/execute", {"token": again["token"]})
    assert is_problem(grown, 409, "selection_grew")
    assert CurrentGrant.objects.filter(subject__project=world.project, grant__state="given").count() == 4
