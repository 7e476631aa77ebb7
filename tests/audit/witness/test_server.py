"""A real witness process and the log's client, over HTTP."""

import http.client
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from audit.errors import WitnessRefused
from audit.tlog.cosignatures import ED25519, Cosigner, Witness, cosignatures
from audit.tlog.notes import Ed25519Signer, Signature, parse
from audit.witness import rules
from audit.witness.__main__ import main
from audit.witness.client import http_post, request_cosignatures, with_cosignatures
from audit.witness.request import MAX_REQUEST_BYTES, AddCheckpoint
from audit.witness.server import WitnessServer
from audit.witness.state import WitnessState, origin_hash
from tests.audit.export.bundles import Log, log_of

LOG = log_of(70)
FORK = Log([*LOG.entries[:10], b"another", *LOG.entries[11:]])
KEY = Cosigner("witness.example/w1", ED25519, bytes(range(32)))


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    state = WitnessState(tmp_path / "state")
    with closing(state), WitnessServer(("127.0.0.1", 0), rules.Witness([KEY], [LOG.signer.verifier], state)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def connection(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(url.split("/")[2], timeout=5)


def cosign(
    url: str, size: int, known: int = 0, log: Log = LOG, witness: Witness = KEY.witness
) -> tuple[Signature, ...]:
    return request_cosignatures(http_post(url), witness, log.checkpoint(size), log.tree.reader(size), known)


def test_a_log_gets_its_checkpoints_cosigned(url: str) -> None:
    for size, known in ((20, 0), (40, 20), (40, 40), (60, 0), (70, 33)):
        checkpoint = with_cosignatures(LOG.checkpoint(size), cosign(url, size, known))
        [found] = cosignatures(parse(checkpoint), [KEY.witness])
        assert found.name == KEY.name
    with closing(connection(url)) as monitor:
        monitor.request("GET", f"/{origin_hash(LOG.origin)}/checkpoint")
        answer = monitor.getresponse()
        assert (answer.status, answer.read()[:400].split(b"\n")[1]) == (200, b"70")


def test_a_log_that_rewrites_its_history_gets_nothing(url: str) -> None:
    cosign(url, 40)
    for log, size in ((FORK, 40), (FORK, 70)):
        with pytest.raises(WitnessRefused, match="answers 422") as refused:
            cosign(url, size, 40, log)
        assert not refused.value.transient


def test_a_log_that_was_rolled_back_hears_what_the_witness_has_seen(url: str) -> None:
    cosign(url, 70)
    with pytest.raises(WitnessRefused, match="has cosigned 70 entries, this checkpoint has 40"):
        cosign(url, 40)


def test_a_log_that_the_witness_does_not_watch_gets_nothing(url: str) -> None:
    with pytest.raises(WitnessRefused, match="answers 404"):
        cosign(url, 70, log=Log(LOG.entries, Ed25519Signer.generate("log.example/x"), "log.example/x"))


def test_an_answer_by_another_key_is_of_no_use(url: str) -> None:
    for other in (Cosigner(KEY.name, ED25519, bytes(32)), Cosigner("witness.example/w2", ED25519, KEY.seed)):
        with pytest.raises(WitnessRefused, match="no cosignature by its key"):
            cosign(url, 70, 70 if other.seed == KEY.seed else 0, witness=other.witness)


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (200, "text/plain", b""),
        (200, "text/plain", b"\xff"),
        (200, "text/plain", b"junk\n"),
        (200, "text/plain", LOG.checkpoint().split(b"\n\n")[1]),
        (200, "text/plain", KEY.cosign(parse(LOG.checkpoint(69)).text, 1).line().encode()),
        (200, "text/plain", KEY.cosign(parse(LOG.checkpoint()).text, 0).line().encode()),
        (409, "text/x.tlog.size", b"junk"),
        (409, "text/x.tlog.size", b"71\n"),
        (409, "text/x.tlog.size", b"3\n"),
        (409, "text/plain", b"3\n"),
        (403, "text/plain", b"\x1b[31m"),
        (500, "text/plain", b""),
        (302, "text/plain", b""),
    ],
)
def test_answers_that_do_not_cosign_are_errors(status: int, content_type: str, body: bytes) -> None:
    with pytest.raises(WitnessRefused) as refused:
        request_cosignatures(lambda _: (status, content_type, body), KEY.witness, LOG.checkpoint(), LOG.tree.reader())
    assert refused.value.transient == (status == 500 or (body == b"3\n" and content_type == "text/x.tlog.size"))
    assert str(refused.value).isprintable()


def test_a_witness_that_cannot_be_reached_is_worth_another_try() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(WitnessRefused) as refused:
        cosign(url, 70)
    assert refused.value.transient
    for wrong in ("", "file:///etc/passwd", "ftp://127.0.0.1/"):
        with pytest.raises(WitnessRefused):
            http_post(wrong)


def test_redirects_are_not_followed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(*_: object) -> rules.Answer:
        return rules.Answer(302, b"")

    monkeypatch.setattr(rules.Witness, "add_checkpoint", elsewhere)
    with pytest.raises(WitnessRefused, match="answers 302"):
        cosign(url, 70)


def test_a_signature_line_by_the_same_key_is_replaced() -> None:
    checkpoint = LOG.checkpoint()
    text = parse(checkpoint).text
    once = with_cosignatures(checkpoint, [KEY.cosign(text, 1)])
    twice = with_cosignatures(once, [KEY.cosign(text, 2)])
    assert len(parse(twice).signatures) == 2
    assert [one.timestamp for one in cosignatures(parse(twice), [KEY.witness])] == [2]


def test_requests_of_other_kinds_are_refused(url: str) -> None:
    body = AddCheckpoint(0, [], LOG.checkpoint()).encode()
    cases: list[tuple[str, str, bytes | None, dict[str, str], int]] = [
        ("POST", "/elsewhere", body, {}, 404),
        ("POST", "/add-checkpoint?x", body, {}, 404),
        ("GET", "/add-checkpoint", None, {}, 404),
        ("GET", "/../../etc/passwd", None, {}, 404),
        ("GET", f"/{origin_hash('x').upper()}/checkpoint", None, {}, 404),
        ("GET", f"/{origin_hash('x')}/checkpoint", None, {}, 404),
        ("POST", "/add-checkpoint", None, {"Content-Length": "-1"}, 411),
        ("POST", "/add-checkpoint", None, {"Content-Length": "x"}, 411),
        ("POST", "/add-checkpoint", None, {"Content-Length": str(MAX_REQUEST_BYTES + 1)}, 413),
        ("PUT", "/add-checkpoint", body, {}, 501),
        ("POST", "/add-checkpoint", b"junk", {}, 400),
    ]
    for method, path, content, headers, status in cases:
        with closing(connection(url)) as caller:
            caller.request(method, path, content, headers)
            assert caller.getresponse().status == status, (method, path)


def test_one_connection_serves_several_requests(url: str) -> None:
    with closing(connection(url)) as caller:
        for old, new in ((0, 0), (0, 1), (0, 2)):
            caller.request("POST", "/add-checkpoint", AddCheckpoint(old, [], LOG.checkpoint(new)).encode())
            answer = caller.getresponse()
            answer.read()
            assert answer.status == (409 if new == 2 else 200)


def test_memory_that_fails_is_an_error_of_the_witness(url: str, tmp_path: Path) -> None:
    cosign(url, 40)
    next((tmp_path / "state").glob("*.checkpoint")).write_bytes(b"junk")
    with pytest.raises(WitnessRefused, match="answers 500") as refused:
        cosign(url, 70, 40)
    assert refused.value.transient


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_makes_keys_and_serves_until_it_is_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], how: signal.Signals
) -> None:
    key = tmp_path / "w.key"
    assert main(["--new-key", str(key), "--name", "witness.example/w9"]) == 0
    vkey = capsys.readouterr().out.strip()
    assert main(["--new-key", str(key), "--name", "witness.example/w9"]) == 2
    command = [sys.executable, "-m", "audit.witness", "--listen", "127.0.0.1:0", "--key", str(key)]
    command += ["--state", str(tmp_path / "state"), "--log", LOG.signer.verifier.vkey]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"cosigns as {vkey}\n"
        match = re.fullmatch(r"listens at (http://127\.0\.0\.1:[0-9]+/)\n", process.stderr.readline())
        assert match
        cosign(match[1], 40, witness=Witness.parse(vkey))
        process.send_signal(signal.SIGKILL)
        process.wait()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()
        match = re.fullmatch(r"listens at (http://127\.0\.0\.1:[0-9]+/)\n", process.stderr.readline())
        assert match
        with pytest.raises(WitnessRefused, match="answers 422"):
            cosign(match[1], 70, 40, FORK, Witness.parse(vkey))
        process.send_signal(how)
        try:
            assert process.wait(10) == 0
        finally:
            process.kill()


MAKES_NO_SENSE = [
    [],
    ["--key", "nothing", "--state", "x", "--log", "x"],
    ["--key", "w.key", "--state", "x", "--log", "x"],
    ["--key", "w.key", "--state", "x", "--log", LOG.signer.verifier.vkey, "--listen", "8089"],
    ["--key", "w.key", "--state", "x", "--log", LOG.signer.verifier.vkey, "--listen", "127.0.0.1:99999"],
    ["--key", "w.key", "--state", "w.key", "--log", LOG.signer.verifier.vkey],
    ["--new-key", "x"],
    ["--new-key", "x", "--name", "a b"],
    ["--new-key", "w.key", "--name", "witness.example"],
]


@pytest.mark.parametrize("arguments", MAKES_NO_SENSE)
def test_a_command_that_makes_no_sense_is_refused(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.key").write_text(KEY.skey + "\n")
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("voxgov-witness: ")
