"""Exports over HTTP: ordered, followed, downloaded."""

import hashlib

import pytest

from accounts.roles import Role
from audit import exports
from tests.callers import Caller
from tests.factories import World, make_world, sign_log
from tests.voxgov.test_problems import is_problem


@pytest.fixture
def world() -> World:
    world = make_world()
    sign_log(world.organization)
    return world


@pytest.fixture
def auditor(world: World) -> Caller:
    return Caller(world.project, Role.AUDITOR)


def test_an_auditor_orders_follows_and_downloads_a_bundle(world: World, auditor: Caller) -> None:
    ordered = auditor.post("/v1/audit/exports", {})
    assert (ordered.status, ordered.body["state"], ordered.body["progress"]) == (201, "queued", 0.0)
    at = f"/v1/audit/exports/{ordered.body['code']}"
    assert is_problem(auditor.get(f"{at}/file"), 409, "export_not_ready")
    exports.make(ordered.body["code"])
    done = auditor.get(at).body
    assert (done["state"], done["progress"]) == ("done", 1.0)
    file = auditor.get(done["file"])
    assert hashlib.sha256(file.content).hexdigest() == done["sha256"]
    assert len(file.content) == done["size"]
    assert file.headers["Content-Disposition"] == f'attachment; filename="{done["code"]}.zip"'
    assert [one["code"] for one in auditor.get("/v1/audit/exports").body["results"]] == [done["code"]]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"end": 10**6}, 422, "export_impossible"),
        ({"generation": 7}, 404, "not_found"),
        ({"recipient": "nonsense"}, 422, "audit_key_invalid"),
        ({"filter": {"subject": ["x"]}}, 400, "invalid_request"),
        ({"filter": {"name": ["no:such:event"]}}, 400, "invalid_request"),
        ({"filter": {"since": "yesterday"}}, 400, "invalid_request"),
        ({"format": "pdf"}, 400, "invalid_request"),
    ],
    ids=str,
)
def test_what_cannot_be_ordered_says_why(auditor: Caller, body: dict[str, object], status: int, code: str) -> None:
    assert is_problem(auditor.post("/v1/audit/exports", body), status, code)


def test_an_order_repeated_with_its_key_is_one_order(auditor: Caller) -> None:
    first = auditor.post("/v1/audit/exports", {}, **{"Idempotency-Key": "one"})
    again = auditor.post("/v1/audit/exports", {}, **{"Idempotency-Key": "one"})
    assert first.body["code"] == again.body["code"]
    assert len(auditor.get("/v1/audit/exports").body["results"]) == 1
