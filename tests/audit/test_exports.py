"""Exports from the real database, checked by the verifier as an auditor runs it: one file, a key, and nothing of ours."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from audit import exports, signing, stored_tree
from audit.errors import ExportImpossible, ExportNotReady, KeyInvalid, TileInvalid
from audit.export import sealed
from audit.models import Event, EventReference, Export, ExportState, Log
from consent import destruction, withdrawal
from consent.vocabulary import Scope
from tests.factories import ACTOR, World, make_world, sign_log
from tests.processes import ROOT


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("verifier") / "voxgov-verify.pyz"
    subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "build_verifier.py"), str(target)], check=True, capture_output=True
    )
    return target


@pytest.fixture
def world() -> World:
    world = make_world()
    world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    for number in range(5):
        world.another_subject(f"person {number}")
    return world


@pytest.fixture
def log(world: World) -> Log:
    return sign_log(world.organization)


def made(log: Log, **more: Any) -> Export:
    asked = {"start": 0, "end": None, "filter_": {}, "recipient": "", **more}
    export = exports.order(log, actor=ACTOR, **asked)
    assert exports.make(export.code)
    export.refresh_from_db()
    assert (export.state, export.error_code) == (ExportState.DONE, "")
    return export


def verify(verifier: Path, bundle: Path, log: Log, *more: str) -> tuple[int, dict[str, Any]]:
    """Runs the verifier far from this repository, with an empty environment."""
    done = subprocess.run(
        [sys.executable, str(verifier), str(bundle), "--key", signing.verifier_key(log), "--json", *more],
        cwd=verifier.parent,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def test_a_bundle_of_the_whole_log_verifies_with_the_published_verifier(log: Log, verifier: Path) -> None:
    export = made(log)
    status, report = verify(verifier, exports.file_of(export), log)
    assert status == 0, report
    assert export.progress == 1.0
    assert export.size == exports.file_of(export).stat().st_size


def test_a_range_between_two_checkpoints_and_a_filter_leave_nothing_unaccounted_for(
    world: World, log: Log, verifier: Path
) -> None:
    start = stored_tree.size_of(log)
    world.consent(Scope.EMOTION)
    world.consent(Scope.PROSODY, given=False)
    log = sign_log(world.organization)
    export = made(log, start=start, filter_={"name": ["consent:grant:refused"]})
    status, report = verify(verifier, exports.file_of(export), log)
    assert status == 0, report
    assert "left out" in json.dumps(report)


def test_an_entry_that_was_changed_in_the_database_leaves_no_bundle(log: Log, superuser: Any, verifier: Path) -> None:
    event = Event.objects.filter(log=log.code).first()
    assert event is not None
    forged = bytes(event.entry).replace(b'"version":1', b'"version":2').hex()
    superuser(
        f"SET session_replication_role = replica; UPDATE audit_event SET entry = '\\x{forged}' WHERE id = {event.pk}"
    )
    export = exports.order(log, start=0, end=None, filter_={}, recipient="", actor=ACTOR)
    assert exports.make(export.code)
    export.refresh_from_db()
    assert (export.state, export.error_code) == (ExportState.FAILED, "audit_bundle_invalid")
    assert not exports.file_of(export).exists()


def test_erasing_a_person_while_their_events_are_exported_harms_neither(
    world: World, log: Log, verifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle never holds the salts that erasure takes: it verifies, and names nobody."""
    original, erased = exports._items, list[object]()

    def items(export: Export) -> Iterator[Any]:
        for number, item in enumerate(original(export)):
            if number == 3:
                erased.append(withdrawal.erase(world.subject, actor=ACTOR))
                destruction.carry_out_orders()
            yield item

    monkeypatch.setattr(exports, "_AT_ONCE", 2)
    monkeypatch.setattr(exports, "_items", items)
    export = made(log)
    assert erased
    assert not EventReference.objects.filter(log=log.code, code=world.subject.code).exists()
    status, report = verify(verifier, exports.file_of(export), log)
    assert status == 0, report
    with zipfile.ZipFile(exports.file_of(export)) as bundle:
        assert all(world.subject.code.encode() not in bundle.read(name) for name in bundle.namelist())


def test_a_bundle_sealed_to_an_auditor_opens_for_that_auditor_only(log: Log, verifier: Path, tmp_path: Path) -> None:
    secret, public = sealed.new_key()
    export = made(log, recipient=public)
    path = exports.file_of(export)
    assert b"consent:subject:registered" not in path.read_bytes()
    key = tmp_path / "auditor.key"
    key.write_text(secret + "\n")
    key.chmod(0o600)
    assert verify(verifier, path, log, "--open-with", str(key))[0] == 0
    assert verify(verifier, path, log)[0] != 0


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"end": 10**9}, ExportImpossible),
        ({"start": 1}, ExportImpossible),
        ({"filter_": {"nonsense": ["x"]}}, ExportImpossible),
        ({"recipient": "voxgov-auditor-v1:short"}, KeyInvalid),
    ],
    ids=str,
)
def test_what_cannot_be_exported_is_refused_when_it_is_ordered(
    log: Log, asked: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        exports.order(log, actor=ACTOR, **{"start": 0, "end": None, "filter_": {}, "recipient": "", **asked})


def test_a_killed_workers_export_is_made_by_the_next_and_never_twice(log: Log) -> None:
    export = exports.order(log, start=0, end=None, filter_={}, recipient="", actor=ACTOR)
    Export.objects.filter(pk=export.pk).update(
        state=ExportState.RUNNING.value, attempts=1, lease_until=timezone.now() + timedelta(minutes=1)
    )
    assert not exports.make(export.code), "its worker may still live"
    Export.objects.filter(pk=export.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert exports.make_what_is_due() >= 1
    export.refresh_from_db()
    assert export.state == ExportState.DONE
    assert not exports.make(export.code)


def test_an_export_that_keeps_failing_is_given_up(log: Log) -> None:
    export = exports.order(log, start=0, end=None, filter_={}, recipient="", actor=ACTOR)
    Export.objects.filter(pk=export.pk).update(attempts=exports.MAX_ATTEMPTS)
    exports.make(export.code)
    export.refresh_from_db()
    assert (export.state, export.error_code) == (ExportState.FAILED, "attempts_exhausted")


def test_a_log_that_cannot_be_read_for_a_moment_fails_the_export_with_its_code(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*arguments: object) -> None:
        raise TileInvalid("no such tile")

    export = exports.order(log, start=0, end=None, filter_={}, recipient="", actor=ACTOR)
    with monkeypatch.context() as patch:
        patch.setattr(exports, "_opened", gone)
        exports.make(export.code)
    export.refresh_from_db()
    assert (export.state, export.error_code) == (ExportState.FAILED, "audit_tile_invalid")


def test_a_file_goes_when_its_term_is_over_and_the_read_says_so(log: Log) -> None:
    export = made(log)
    assert exports.read(export, actor=ACTOR).exists()
    Export.objects.filter(pk=export.pk).update(finished_at=timezone.now() - exports.TERM - timedelta(seconds=1))
    assert exports.expire() >= 1
    export.refresh_from_db()
    assert export.state == ExportState.EXPIRED
    with pytest.raises(ExportNotReady, match="expired"):
        exports.read(export, actor=ACTOR)


def test_ordering_and_reading_are_entries_of_the_log_themselves(log: Log) -> None:
    exports.read(made(log), actor=ACTOR)
    names = list(Event.objects.filter(log=log.code).order_by("id").values_list("name", flat=True))
    assert names[-2:] == ["audit:export:ordered", "audit:export:read"]
