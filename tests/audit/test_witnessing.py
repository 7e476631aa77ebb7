"""Witnesses on the log's side: a real one over HTTP cosigns, and what it answers is served with the checkpoint."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from audit import proofs, signing, witnessing
from audit.models import Cosignature, Log
from audit.tlog import cosignatures, notes
from audit.tlog.cosignatures import Cosigner
from audit.tlog.notes import Ed25519Verifier
from audit.witness.rules import Witness as WitnessRules
from audit.witness.server import WitnessServer
from audit.witness.state import WitnessState
from consent.vocabulary import Scope
from tests.factories import World, make_world, sign_log

COSIGNER = Cosigner("witness.example/one", cosignatures.ED25519, bytes(range(32)))


@pytest.fixture
def log(world: World) -> Log:
    return sign_log(world.organization)


@pytest.fixture
def witness(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WitnessServer]:
    """A witness that watches this log, and no other of the database."""
    state = WitnessState(tmp_path / "witness")
    rules = WitnessRules([COSIGNER], [Ed25519Verifier.parse(signing.verifier_key(log))], state)
    server = WitnessServer(("127.0.0.1", 0), rules)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(django_settings, "VOXGOV_WITNESSES", [(COSIGNER.witness.vkey, address)])
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    state.close()


def cosigned_by(log: Log) -> list[str]:
    note = proofs.newest_checkpoint(log)
    assert note is not None
    return [one.name for one in cosignatures.cosignatures(notes.parse(note), [COSIGNER.witness])]


def test_a_witness_cosigns_each_newest_checkpoint_once_and_its_cosignature_is_served(
    world: World, log: Log, witness: WitnessServer
) -> None:
    assert cosigned_by(log) == []
    assert witnessing.ask_all() == 1
    assert cosigned_by(log) == [COSIGNER.name]
    assert witnessing.ask_all() == 0
    world.consent(Scope.TRANSCRIBE)
    sign_log(world.organization)
    assert cosigned_by(log) == []
    assert witnessing.ask_all() == 1
    assert cosigned_by(log) == [COSIGNER.name]
    assert Cosignature.objects.filter(checkpoint__log=log).count() == 2


def test_a_log_that_a_witness_does_not_watch_and_one_that_is_away_are_no_reason_to_stop(
    log: Log, witness: WitnessServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_log(make_world().organization)
    away = (COSIGNER.witness.vkey, "http://127.0.0.1:9")
    monkeypatch.setattr(django_settings, "VOXGOV_WITNESSES", [away, *django_settings.VOXGOV_WITNESSES])
    assert witnessing.ask_all() == 1
    assert cosigned_by(log) == [COSIGNER.name]
