"""Health: a process that lives, what it needs, and what it can do without."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import override_settings

from accounts.roles import Role
from tests import factories
from tests.callers import Caller, Nobody
from vault import keys
from voxgov import health
from voxgov.celery import app

ROOT = Path(__file__).resolve().parent.parent.parent

CALL_EVERYTHING = """
import os, sys
import voxgov.wsgi
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

client = Client(SERVER_NAME="localhost", headers={"Authorization": "Bearer " + os.environ["TOKEN"]})
called = 0
for path, methods in SchemaGenerator().get_schema(request=None, public=True)["paths"].items():
    for method in methods:
        at = path.replace("{code}", "0198f3a2-6f0e-7cc1-9d4a-3b1f0a7e5c11").replace("{category}", "results")
        at = at.replace("{generation}", "1").replace("{tile}", "0/000.p/1")
        answer = client.generic(method.upper(), at, b"{}", "application/json")
        assert answer.status_code < 500, (method, at, answer.status_code)
        called += 1
loaded = sorted({name.split(".")[0] for name in sys.modules} & {
    "torch", "transformers", "faster_whisper", "ctranslate2", "silero_vad", "av", "numpy"
})
print(called, *loaded)
"""


def test_it_lives_and_is_ready_without_a_token() -> None:
    assert (Nobody().get("/health/live").status, Nobody().get("/health/live").body) == (200, {"status": "live"})
    ready = Nobody().get("/health/ready")
    assert (ready.status, ready.body["status"]) == (200, "ready")
    assert ready.body["checks"] == {
        "database": "ok",
        "keys_database": "ok",
        "key_provider": "ok",
        "broker": "ok",
        "log": "ok",
    }


def test_without_its_keys_it_is_unavailable_and_does_not_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROVIDER_EVERY", -1)
    keyring = keys.provider()._path  # type: ignore[attr-defined]  # the default provider's file
    hidden = keyring.with_suffix(".away")
    keyring.rename(hidden)
    try:
        keys.provider()._checked = 0.0  # type: ignore[attr-defined]  # look again now rather than within a second
        answer = Nobody().get("/health/ready")
    finally:
        hidden.rename(keyring)
    assert (answer.status, answer.body["status"]) == (503, "unavailable")
    assert answer.body["checks"]["key_provider"] == "unavailable"
    assert str(keyring).encode() not in answer.content
    assert Nobody().get("/health/live").status == 200


def test_without_the_broker_it_is_degraded_and_still_takes_a_withdrawal(monkeypatch: pytest.MonkeyPatch) -> None:
    from consent.vocabulary import Scope

    world = factories.make_world()
    record = world.consent(Scope.TRANSCRIBE)
    monkeypatch.setattr(app.conf, "broker_url", "redis+socket:///nowhere/valkey.sock")
    monkeypatch.setattr(app.conf, "broker_write_url", "redis+socket:///nowhere/valkey.sock")
    answer = Nobody().get("/health/ready")
    assert (answer.status, answer.body["status"], answer.body["checks"]["broker"]) == (200, "degraded", "unavailable")
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    assert manager.post(f"/v1/consents/{record.code}/withdraw").status == 200


def test_the_documentation_is_served_whole_from_here() -> None:
    page = Nobody().get("/v1/docs/")
    assert page.status == 200
    assert b"https://" not in page.content
    assert b"/static/drf_spectacular_sidecar/" in page.content
    with override_settings(DEBUG=False):
        assert Nobody().get("/v1/schema/").status == 200


@pytest.mark.services
def test_a_web_process_that_answered_every_route_has_loaded_no_model_library() -> None:
    world = factories.make_world()
    caller = Caller(world.project, *Role)
    done = subprocess.run(
        [sys.executable, "-c", CALL_EVERYTHING],
        cwd=ROOT,
        env={**os.environ, "TOKEN": caller.token},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    called, *loaded = done.stdout.split()
    assert int(called) >= 37
    assert loaded == []
