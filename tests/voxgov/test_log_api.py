"""The signed log over HTTP: what a tlog client needs, proofs that verify, and nothing beyond what was signed."""

import base64
from typing import Any

import pytest

from accounts.roles import Role
from audit import sequencing, signing
from audit.models import Event, Log
from audit.tlog import proof as log_proof
from audit.tlog.checkpoint import open_checkpoint
from audit.tlog.merkle import Frontier, leaf_hash, verify_consistency, verify_inclusion
from audit.tlog.notes import Ed25519Verifier
from audit.tlog.tiles import ENTRIES, Tile, decode_entries
from consent.vocabulary import Scope
from tests.callers import Caller
from tests.factories import World, make_world, sign_log
from tests.voxgov.test_problems import is_problem


@pytest.fixture
def world() -> World:
    world = make_world()
    world.consent(Scope.TRANSCRIBE)
    return world


@pytest.fixture
def auditor(world: World) -> Caller:
    return Caller(world.project, Role.AUDITOR)


def sign(world: World) -> Log:
    return sign_log(world.organization)


def described(auditor: Caller) -> dict[str, Any]:
    [log] = auditor.get("/v1/audit/log").body["results"]
    return dict(log)


def test_a_log_says_how_it_stands_and_which_key_signs_it(world: World, auditor: Caller) -> None:
    log = sign(world)
    world.consent(Scope.PROSODY)
    found = described(auditor)
    assert (found["generation"], found["origin"]) == (1, log.origin)
    assert found["vkey"] == signing.verifier_key(log)
    assert found["signed"] == found["entries"] > 0
    assert found["waiting"] >= 1


def test_the_log_is_rebuilt_from_its_bundles_to_the_root_that_was_signed(world: World, auditor: Caller) -> None:
    sign(world)
    while described(auditor)["signed"] < 300:
        for _ in range(50):
            world.another_subject()
        sign(world)
    found = described(auditor)
    note = auditor.get("/v1/audit/log/1/checkpoint")
    assert note.headers["Content-Type"].startswith("text/plain")
    signed = open_checkpoint(note.content, [Ed25519Verifier.parse(found["vkey"])], found["origin"])
    tree = Frontier()
    for index in range((signed.size + 255) // 256):
        tile = Tile(ENTRIES, index, min(256, signed.size - 256 * index))
        answer = auditor.get(f"/v1/audit/log/1/{tile.path}")
        assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        tree.extend(map(leaf_hash, decode_entries(answer.content, tile)))
    assert (tree.size, tree.root()) == (signed.size, signed.root)
    hashes = auditor.get(f"/v1/audit/log/1/{Tile(0, 0).path}").content
    assert len(hashes) == 256 * 32


def test_reading_entries_is_recorded_and_reading_hashes_is_not(world: World, auditor: Caller) -> None:
    sign(world)

    def reads() -> int:
        return Event.objects.filter(log=world.organization.code, name="audit:trail:read").count()

    before = reads()
    auditor.get("/v1/audit/log/1/checkpoint")
    auditor.get("/v1/audit/log/1/tile/0/000.p/2")
    assert reads() == before
    auditor.get("/v1/audit/log/1/tile/entries/000.p/2")
    assert reads() == before + 1


def test_nothing_is_served_that_was_not_signed(world: World, auditor: Caller) -> None:
    sign(world)
    size = described(auditor)["signed"]
    world.consent(Scope.PROSODY)
    sequencing.sequence(world.organization.code)
    assert auditor.get(f"/v1/audit/log/1/tile/0/000.p/{size}").status == 200
    for path in (
        f"tile/0/000.p/{size + 1}",
        f"tile/entries/000.p/{size + 1}",
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/64/000.p/1",
        "tile/0/0",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/nonsense",
        "tile/0/../../../checkpoint",
    ):
        assert is_problem(auditor.get(f"/v1/audit/log/1/{path}"), 404, "not_found"), path
    assert is_problem(auditor.get("/v1/audit/log/2/checkpoint"), 404, "not_found")


def test_every_event_is_proved_under_the_newest_checkpoint(world: World, auditor: Caller) -> None:
    log = sign(world)
    vkey = Ed25519Verifier.parse(described(auditor)["vkey"])
    for event in auditor.get("/v1/audit/events?order=oldest").body["results"][:5]:
        found = auditor.get(f"/v1/audit/events/{event['code']}/proof").body
        leaf = leaf_hash(base64.b64decode(event["canonical"]))
        assert found["leaf_hash"] == leaf.hex() == event["leaf_hash"]
        signed = open_checkpoint(found["checkpoint"].encode(), [vkey], log.origin)
        hashes = [base64.b64decode(one) for one in found["hashes"]]
        verify_inclusion(leaf, found["index"], signed.size, hashes, signed.root)
        assert log_proof.parse(found["tlog_proof"].encode()).verify(leaf, [vkey], log.origin).size == found["size"]


def test_an_event_without_a_signature_yet_says_so(world: World, auditor: Caller) -> None:
    sign(world)
    world.consent(Scope.PROSODY)
    newest = auditor.get("/v1/audit/events").body["results"][0]
    assert is_problem(auditor.get(f"/v1/audit/events/{newest['code']}/proof"), 409, "event_not_signed")
    sequencing.sequence(world.organization.code)
    assert is_problem(auditor.get(f"/v1/audit/events/{newest['code']}/proof"), 409, "event_not_signed")
    sign(world)
    assert auditor.get(f"/v1/audit/events/{newest['code']}/proof").status == 200


def test_one_checkpoint_is_proved_to_extend_another(world: World, auditor: Caller) -> None:
    sign(world)
    old = described(auditor)["signed"]
    for scope in (Scope.PROSODY, Scope.EMOTION):
        world.consent(scope)
        sign(world)
    log = described(auditor)
    vkey = Ed25519Verifier.parse(log["vkey"])
    found = auditor.get(f"/v1/audit/log/1/consistency?old={old}").body
    earlier = open_checkpoint(found["old_checkpoint"].encode(), [vkey], log["origin"])
    later = open_checkpoint(found["new_checkpoint"].encode(), [vkey], log["origin"])
    assert (earlier.size, later.size) == (old, log["signed"])
    hashes = [base64.b64decode(one) for one in found["hashes"]]
    verify_consistency(earlier.size, later.size, hashes, earlier.root, later.root)
    for query in (f"old={old + 100_000}", f"old={log['signed']}&new={old}"):
        assert is_problem(auditor.get(f"/v1/audit/log/1/consistency?{query}"), 404, "not_found")
    for query in ("", "old=0", "old=1&from=2", "old=x"):
        assert auditor.get(f"/v1/audit/log/1/consistency?{query}").status == 400


def test_another_organizations_log_is_nobodys_here(world: World) -> None:
    sign(world)
    stranger = Caller(make_world().project, Role.AUDITOR)
    event = Event.objects.filter(log=world.organization.code).first()
    assert event is not None
    assert is_problem(stranger.get(f"/v1/audit/events/{event.code}/proof"), 404, "not_found")
    assert all(log["origin"] != Log.objects.get(code=world.organization.code).origin for log in _logs(stranger))


def _logs(caller: Caller) -> list[dict[str, Any]]:
    return list(caller.get("/v1/audit/log").body["results"])
