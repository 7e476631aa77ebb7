"""Slow senders, on a real web server: none of them holds a thread for long, and a withdrawal waits for none."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from accounts.roles import Role
from analysis import submission
from analysis.models import Recording
from analysis.states import RecordingState
from consent.vocabulary import Scope
from tests.factories import ACTOR, World, make_client, make_world
from tests.processes import SlowUpload, Web
from voxgov.patience import PacedBody

pytestmark = pytest.mark.services
SECONDS = 2


@pytest.fixture(scope="module")
def web(var: Path) -> Iterator[Web]:
    limits = {"VOXGOV_BODY_SECONDS": str(SECONDS), "VOXGOV_UPLOADS": "3", "VOXGOV_UPLOADS_PER_CLIENT": "2"}
    with Web(var / "log" / "patience-test.log", limits) as started:
        yield started


@pytest.fixture
def world() -> World:
    made = make_world()
    made.consent(Scope.PROSODY)
    return made


def recording_of(world: World) -> Recording:
    return submission.create_recording(world.project, world.submission(Scope.PROSODY), actor=ACTOR)


def answer_to(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    response = HTTPResponse(connection)
    response.begin()
    return response.status, json.loads(response.read())


def head(web: Web, method: str, path: str, token: str, length: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", web.port), timeout=30)
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"Authorization: Bearer {token}", f"Content-Length: {length}", "Connection: close", "", ""]
    connection.sendall("\r\n".join(lines).encode())
    return connection


def drip(connection: socket.socket) -> threading.Thread:
    """One byte after another, each long before anybody would call the line dead."""

    def send() -> None:
        try:
            while True:
                connection.sendall(b" ")
                time.sleep(0.2)
        except OSError:
            return

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def test_a_body_that_never_comes_and_one_that_drips_are_given_up(web: Web, world: World) -> None:
    _, token = make_client(world.project, Role.CONSENT_MANAGER)
    for sending in (lambda connection: None, drip):
        began = time.monotonic()
        with closing(head(web, "POST", "/v1/subjects", token, 5_000)) as connection:
            sending(connection)
            status, problem = answer_to(connection)
        assert (status, problem["code"]) == (408, "body_too_slow")
        assert SECONDS <= time.monotonic() - began < SECONDS + 5


def test_audio_that_drips_is_given_up_and_may_be_sent_again(web: Web, world: World) -> None:
    _, token = make_client(world.project, Role.OPERATOR)
    recording = recording_of(world)
    path = f"/v1/recordings/{recording.code}/audio"
    with closing(head(web, "PUT", path, token, 1_000_000)) as connection:
        drip(connection)
        status, problem = answer_to(connection)
    assert (status, problem["code"]) == (408, "body_too_slow")
    recording.refresh_from_db()
    assert recording.state == RecordingState.AWAITING_AUDIO
    upload = SlowUpload(web, path, token, 100_000)
    upload.send(bytes(100_000))
    assert upload.status() == 201


def test_a_line_that_is_slow_but_real_has_its_time(web: Web, world: World) -> None:
    """Longer than the patience in all, and faster than the rate throughout."""
    _, token = make_client(world.project, Role.OPERATOR)
    upload = SlowUpload(web, f"/v1/recordings/{recording_of(world).code}/audio", token, 120_000)
    for _ in range(12):
        upload.send(bytes(10_000))
        time.sleep(SECONDS / 8)
    assert upload.status() == 201


def test_slow_uploads_leave_threads_for_everybody_else(web: Web, world: World) -> None:
    clients = [make_client(world.project, Role.OPERATOR, Role.CONSENT_MANAGER)[1] for _ in range(3)]
    with ExitStack() as held:
        for token in (clients[0], clients[0], clients[1]):
            recording = recording_of(world)
            upload = SlowUpload(web, f"/v1/recordings/{recording.code}/audio", token, 50_000_000)
            held.callback(upload.close)
            upload.send(bytes(1_000_000))
            while not Recording.objects.filter(pk=recording.pk, state=RecordingState.RECEIVING).exists():
                time.sleep(0.02)
        waiting = recording_of(world)
        for token, status, code in ((clients[0], 429, "too_many_uploads"), (clients[2], 503, "uploads_full")):
            refused = HTTPConnection("127.0.0.1", web.port, timeout=30)
            refused.request(
                "PUT", f"/v1/recordings/{waiting.code}/audio", bytes(1000), {"Authorization": f"Bearer {token}"}
            )
            answer = refused.getresponse()
            assert (answer.status, json.loads(answer.read())["code"]) == (status, code)
            assert int(answer.headers["Retry-After"]) > 0
            refused.close()
        plain = HTTPConnection("127.0.0.1", web.port, timeout=30)
        plain.request(
            "POST", f"/v1/subjects/{world.subject.code}/withdraw", headers={"Authorization": f"Bearer {clients[2]}"}
        )
        assert plain.getresponse().status == 200
        plain.close()
    for _ in range(100):
        other = make_world()
        other.consent(Scope.PROSODY)
        _, token = make_client(other.project, Role.OPERATOR)
        upload = SlowUpload(web, f"/v1/recordings/{recording_of(other).code}/audio", token, 1000)
        upload.send(bytes(1000))
        if upload.status() == 201:
            return
    raise AssertionError("no seat came free")


class Lines:
    def read(self, size: int = -1) -> bytes:
        return b"x" * size

    def readline(self, size: int = -1) -> bytes:
        return b"x\n"


def test_without_a_wait_any_amount_comes_through() -> None:
    one, other = socket.socketpair()
    with closing(one), closing(other):
        body = PacedBody(Lines(), one, 0.5)
        assert sum(len(body.read(65_536)) for _ in range(1_000)) == 65_536_000
        assert body.readline() == b"x\n"
