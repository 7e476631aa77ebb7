"""A database that is not the one whose checkpoints were signed: closed, until somebody recovered, and then under a new origin."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import transaction

from analysis import pipeline, submission
from analysis.models import Analysis
from audit import continuing, outside, signing, standing, stored_tree
from audit.errors import ServiceClosed
from audit.models import Leaf, Log
from audit.tlog.checkpoint import open_checkpoint
from audit.tlog.notes import Ed25519Verifier
from consent import gate, withdrawal
from consent.vocabulary import Action, Scope
from tests.factories import ACTOR, World, make_world, sign_log

Superuser = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, superuser: Superuser) -> Iterator[World]:
    """An organization whose log is the only signed one, with a place outside the database of its own."""
    monkeypatch.setattr(django_settings, "VOXGOV_CHECKPOINT_DIR", tmp_path / "checkpoints")
    monkeypatch.setattr(standing, "_compared", True)
    superuser("DELETE FROM audit_signedcheckpoint")
    world = make_world()
    world.consent(Scope.TRANSCRIBE)
    sign(world)
    yield world
    superuser("DELETE FROM audit_signedcheckpoint")


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


def test_an_older_database_closes_the_service_when_a_process_first_asks(
    world: World, superuser: Superuser, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_back(world, superuser, 2)
    monkeypatch.setattr(standing, "_compared", False)
    with pytest.raises(ServiceClosed, match="audit recover"):
        standing.require_open()
    assert outside.is_closed()
    monkeypatch.setattr(standing, "_compared", True)
    with pytest.raises(ServiceClosed):
        standing.require_open()  # every other process sees it too


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
    withdrawal.withdraw(world.subject, actor=ACTOR)
    assert not gate.evaluate(request).allowed


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
    assert fresh.origin == f"{old.origin}/2"
    first = json.loads(bytes(Leaf.objects.get(log=fresh, index=0).event.entry))
    assert first["name"] == "audit:log:continued"
    assert base64.b64decode(first["detail"]["old_checkpoint"]) == old_note
    assert first["detail"]["old_entries_left"] == left
    note = outside.last(old.code, 2)
    assert note is not None
    assert open_checkpoint(note, [Ed25519Verifier.parse(signing.verifier_key(fresh))], fresh.origin).size == 1
    assert any(f"has {left} entries" in line for line in said)
    assert any(line.startswith(fresh.origin) for line in said)
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
