"""A database that is not the one whose checkpoints were signed: closed, until somebody recovered, and then under a new origin."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction

from accounts.roles import Role
from analysis import pipeline, submission
from analysis.models import Analysis
from audit import continuing, exports, outside, signing, standing, stored_tree
from audit.errors import LogInconsistent, ServiceClosed
from audit.export.container import open_container
from audit.models import Leaf, Log
from audit.tlog.checkpoint import open_checkpoint
from audit.tlog.notes import Ed25519Verifier
from audit.verify.bundle import verify_bundle
from audit.verify.report import Result
from audit.verify.trust import Trust
from consent import gate, revealing
from consent.vocabulary import Action, Scope
from tests.callers import Caller, Nobody
from tests.factories import ACTOR, World, make_world, sign_log
from tests.voxgov.test_problems import is_problem
from voxgov import health, tasks

Superuser = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, superuser: Superuser) -> Iterator[World]:
    """An organization whose log is the only signed one, with a place outside the database of its own."""
    monkeypatch.setattr(django_settings, "VOXGOV_CHECKPOINT_DIR", tmp_path / "checkpoints")
    standing.compare_again()
    superuser("DELETE FROM audit_signedcheckpoint")
    world = make_world()
    world.consent(Scope.TRANSCRIBE)
    sign(world)
    yield world
    superuser("DELETE FROM audit_signedcheckpoint")
    standing.compare_again()


def sign(world: World) -> Log:
    return sign_log(world.organization)


def go_back(world: World, superuser: Superuser, entries: int) -> None:
    """What restoring an older dump does to the log: its last leaves, checkpoints and events are not there."""
    log = Log.objects.get(code=world.organization.code)
    size = stored_tree.size_of(log) - entries
    superuser(f"DELETE FROM audit_signedcheckpoint WHERE log_id = {log.pk} AND size > {size}")
    superuser(f"DELETE FROM audit_leaf WHERE log_id = {log.pk} AND index >= {size}")
    superuser(f"DELETE FROM audit_unsequenced WHERE log = '{log.code}'")


def test_a_database_that_is_what_was_signed_is_open(world: World) -> None:
    standing.check()
    standing.require_open()


def test_an_older_database_closes_the_service_when_a_process_first_asks(world: World, superuser: Superuser) -> None:
    standing.require_open()
    go_back(world, superuser, 2)
    connection.close()
    standing.compare_again()
    with pytest.raises(ServiceClosed, match="audit recover"):
        standing.require_open()
    assert outside.is_closed()
    with pytest.raises(ServiceClosed):
        standing.require_open()  # every other process sees the same file


@pytest.mark.parametrize("what", ["the server was started anew", "a term is over"])
def test_a_process_that_compared_before_compares_again(world: World, superuser: Superuser, what: str) -> None:
    """Files that were copied back keep the database's number, and so does a standby that takes over; not the server's start."""
    standing.require_open()
    assert standing._compared is not None
    database, compared_at = standing._compared
    oid, started = cast("tuple[int, datetime]", database)
    go_back(world, superuser, 2)
    connection.close()
    standing._thread.driver = None
    standing.require_open()  # nothing tells this connection from the last one
    if what == "a term is over":
        standing._compared = ((oid, started), compared_at - standing.RECHECK - 1)
    else:
        standing._compared = ((oid, started - timedelta(seconds=1)), compared_at)
    connection.close()
    with pytest.raises(ServiceClosed):
        standing.require_open()


def test_while_closed_nothing_is_read_or_run_and_a_withdrawal_is_taken(world: World) -> None:
    recording = world.upload(b"never decoded", Scope.TRANSCRIBE)
    request = submission.gate_request(recording)
    outside.close(["for the test"])
    with pytest.raises(ServiceClosed):
        gate.require(request, action=Action.READ, actor=ACTOR)
    job = Analysis.objects.get(recording=recording)
    with pytest.raises(ServiceClosed):
        pipeline.run(job.code)
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("queued", 0)
    with pytest.raises(ServiceClosed):
        revealing.reference(world.subject, actor=ACTOR)
    manager = Caller(world.project, Role.CONSENT_MANAGER, Role.OPERATOR, Role.AUDITOR)
    for path in ("/v1/subjects", "/v1/consents", "/v1/decisions", "/v1/audit/events", "/v1/audit/log"):
        assert is_problem(manager.get(path), 503, "service_closed")
    assert manager.post(f"/v1/subjects/{world.subject.code}/withdraw", {}).status == 200
    assert not gate.evaluate(request).allowed
    health._provider_answered = float("-inf")
    ready = Nobody().get("/health/ready")
    assert (ready.status, ready.body["status"], ready.body["checks"]["log"]) == (200, "degraded", "unavailable")


@pytest.mark.parametrize(
    "task",
    [
        *(tasks.tidy_recordings, tasks.carry_out_destruction, tasks.sweep_retention, tasks.destroy_stray_keys),
        *(tasks.rotate_keys, tasks.prune_logs, tasks.make_exports, tasks.expire_exports),
    ],
    ids=lambda task: task.name,
)
def test_while_closed_nothing_is_destroyed_that_only_looks_left_over(world: World, task: Any) -> None:
    outside.close(["for the test"])
    with pytest.raises(ServiceClosed):
        task()


def test_recovery_continues_under_a_new_origin_whose_first_entry_names_the_old_checkpoint(
    world: World, superuser: Superuser
) -> None:
    old = Log.objects.get(code=world.organization.code)
    old_note = outside.last(old.code, 1)
    assert old_note is not None
    go_back(world, superuser, 2)
    left = stored_tree.size_of(old)
    standing.check()
    said: list[str] = []

    continuing.recover(said.append)

    standing.require_open()
    fresh = Log.objects.get(code=old.code, generation=2)
    assert fresh.origin != old.origin
    assert fresh.origin.rpartition("/")[2] == old.code
    assert "/2-" in fresh.origin
    first = json.loads(bytes(Leaf.objects.get(log=fresh, index=0).event.entry))
    assert first["name"] == "audit:log:continued"
    assert base64.b64decode(first["detail"]["old_checkpoint"]) == old_note
    assert first["detail"]["old_entries_left"] == left
    note = outside.last(old.code, 2)
    assert note is not None
    assert open_checkpoint(note, [Ed25519Verifier.parse(signing.verifier_key(fresh))], fresh.origin).size == 1
    assert any(f"has {left} entries" in line for line in said)
    assert any(line.startswith(fresh.origin) for line in said)
    assert outside.last(old.code, 1) is None, "the old generation is history"
    assert list(standing.objections()) == []


def test_what_happens_afterwards_goes_to_the_new_log(world: World, superuser: Superuser) -> None:
    go_back(world, superuser, 1)
    continuing.recover(lambda line: None)
    world.consent(Scope.PROSODY)
    log = sign(world)
    assert log.generation == 2
    assert stored_tree.size_of(log) >= 2


def test_recovery_twice_or_where_nothing_is_wrong_changes_no_log(world: World, superuser: Superuser) -> None:
    before = Log.objects.filter(code=world.organization.code).count()
    continuing.recover(lambda line: None)
    assert Log.objects.filter(code=world.organization.code).count() == before
    go_back(world, superuser, 1)
    for _ in range(2):
        continuing.recover(lambda line: None)
    assert Log.objects.filter(code=world.organization.code).count() == before + 1


def test_a_log_that_the_database_does_not_know_at_all_closes_it_and_is_continued(world: World) -> None:
    note = outside.last(world.organization.code, 1)
    assert note is not None
    outside.keep("00000000-0000-7000-8000-000000000000", 1, note)
    assert any("does not know" in reason for reason in standing.objections())
    continuing.recover(lambda line: None)
    fresh = Log.objects.get(code="00000000-0000-7000-8000-000000000000")
    assert fresh.generation == 2


def test_a_checkpoint_outside_that_was_tampered_with_closes_it(world: World) -> None:
    note = outside.last(world.organization.code, 1)
    assert note is not None
    outside.keep(world.organization.code, 1, note.replace(b"\n", b"\n1", 1))
    assert any("is not ours" in reason for reason in standing.objections())


def test_leaves_that_were_changed_behind_its_back_close_it(world: World, superuser: Superuser) -> None:
    log = Log.objects.get(code=world.organization.code)
    superuser(f"UPDATE audit_leaf SET hash = sha256('forged') WHERE log_id = {log.pk} AND index = 0")
    assert any("not those that were signed" in reason for reason in standing.objections())


def test_the_description_says_how_each_log_stands(world: World) -> None:
    log = Log.objects.get(code=world.organization.code)
    with transaction.atomic():
        world.consent(Scope.PROSODY)
    line = next(line for line in continuing.describe() if line.startswith(log.origin))
    assert "entries, signed over" in line
    assert "1 events waiting" in line


def test_a_crash_between_the_new_generation_and_the_end_of_the_old_is_made_good(
    world: World, superuser: Superuser, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(Exception):
        pass

    def crash(code: str) -> None:
        raise Crash

    go_back(world, superuser, 2)
    standing.check()
    with monkeypatch.context() as patch:
        patch.setattr(continuing, "_retire_older", crash)
        with pytest.raises(Crash):
            continuing.recover(lambda line: None)
    continuing.recover(lambda line: None)
    standing.require_open()
    assert Log.objects.filter(code=world.organization.code).count() == 2


def test_a_sequencer_that_works_while_another_process_compares_closes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = outside.last

    def meanwhile(code: str, generation: int) -> bytes | None:
        found = read(code, generation)
        if code == world.organization.code:
            with monkeypatch.context() as patch:
                patch.setattr(outside, "last", read)
                world.another_subject()
                sign(world)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(outside, "last", meanwhile)
        assert list(standing.objections()) == []


def test_a_signer_that_comes_late_does_not_turn_the_mark_back(world: World) -> None:
    old = outside.last(world.organization.code, 1)
    assert old is not None
    world.another_subject()
    sign(world)
    with pytest.raises(LogInconsistent, match="already"):
        outside.keep(world.organization.code, 1, old)


def test_a_bundle_of_a_later_generation_verifies_too(world: World, superuser: Superuser, tmp_path: Path) -> None:
    go_back(world, superuser, 2)
    standing.check()
    continuing.recover(lambda line: None)
    log = sign(world)
    export = exports.order(log, start=0, end=None, filter_={}, recipient="", actor=ACTOR)
    exports.make(export.code)
    export.refresh_from_db()
    assert export.state == "done"
    trust = Trust.parse([signing.verifier_key(log)])
    report = verify_bundle(open_container(exports.file_of(export)), trust)
    assert report.result is Result.VERIFIED, report.as_text()
