"""One request to a receiver: to the address that was judged, under its own name, within one deadline, whatever it answers."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from audit import posting
from audit.addresses import Target, parse
from audit.posting import Courier, Outcome, Reply
from tests.audit.receiver import Authority, Receiver, receiving, speaking

BODY = b'{"type":"audit:webhook:test"}'
HEADERS = {"content-type": "application/json", "webhook-id": "0198"}
SHORT = timedelta(seconds=0.4)
PUBLIC = "8.8.4.4"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Where connections were asked for. Those to public addresses lead to this machine."""
    asked: list[tuple[str, int]] = []
    connect = socket.create_connection

    def to_this_machine(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(address)
        return connect(("127.0.0.1", address[1]), timeout)

    monkeypatch.setattr(socket, "create_connection", to_this_machine)
    return asked


def here(port: int, path: str = "/hook") -> Target:
    return parse(f"http://127.0.0.1:{port}{path}", loopback=True)


def post(target: Target, **options: object) -> Reply:
    with Courier(target, **{"loopback": True, **options}) as courier:  # type: ignore[arg-type]
        return courier.post(BODY, HEADERS)


def test_body_and_headers_arrive_as_they_are(receiver: Receiver) -> None:
    assert post(here(receiver.port, "/a/b?c=d")) == Reply(Outcome.DELIVERED, 204)
    (received,) = receiver.received
    assert (received.path, received.body) == ("/a/b?c=d", BODY)
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert received.headers["webhook-id"] == "0198"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"] == "voxgov-webhooks/1"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (299, Outcome.DELIVERED),
        (301, Outcome.REDIRECTED),
        (304, Outcome.REDIRECTED),
        (400, Outcome.REJECTED),
        (404, Outcome.REJECTED),
        (410, Outcome.GONE),
        (500, Outcome.REJECTED),
        (503, Outcome.REJECTED),
    ],
)
def test_of_an_answer_only_its_status_counts(receiver: Receiver, status: int, outcome: Outcome) -> None:
    receiver.answers = [(status, {"Retry-After": "7"} if status == 503 else {})]
    assert post(here(receiver.port)) == Reply(outcome, status, 7 if status == 503 else 0)


@pytest.mark.parametrize("asked", ["soon", "-1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", "9999999", "²"])
def test_a_wait_that_is_no_number_of_seconds_is_left_out_of_account(receiver: Receiver, asked: str) -> None:
    receiver.answers = [(503, {"Retry-After": asked})]
    assert post(here(receiver.port)).retry_after == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    with receiving() as elsewhere:
        receiver.answers = [(status, {"Location": elsewhere.url})]
        assert post(here(receiver.port)).outcome is Outcome.REDIRECTED
        assert (len(receiver.received), elsewhere.received) == (1, [])


def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert post(here(receiver.port)).outcome is Outcome.DELIVERED
        assert proxy.received == []


# Names, addresses and certificates


def test_the_connection_goes_to_the_judged_address_under_the_name_of_the_url(
    authority: Authority, dialled: list[tuple[str, int]], tmp_path: Path
) -> None:
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return [PUBLIC]

    with receiving(authority.server(tmp_path, "hooks.example.com")) as receiver:
        target = parse(f"https://Hooks.Example.com:{receiver.port}/hook")
        with Courier(target, resolver=resolver, trust=authority.trust) as courier:
            assert courier.post(BODY, HEADERS) == Reply(Outcome.DELIVERED, 204)
    assert dialled == [(PUBLIC, receiver.port)]
    assert asked == ["hooks.example.com"]
    assert receiver.names == ["hooks.example.com"]
    assert receiver.received[0].headers["host"] == f"hooks.example.com:{receiver.port}"


def test_a_name_that_is_answered_differently_the_second_time_reaches_nothing(
    authority: Authority, dialled: list[tuple[str, int]], tmp_path: Path
) -> None:
    answers = [[PUBLIC], ["127.0.0.1"], ["169.254.169.254"], [PUBLIC, "10.0.0.1"], [PUBLIC]]
    with receiving(authority.server(tmp_path, "hooks.example.com")) as receiver:
        target = parse(f"https://hooks.example.com:{receiver.port}/hook")
        with Courier(target, resolver=lambda host, port: answers.pop(0), trust=authority.trust) as courier:
            outcomes = [courier.post(BODY, HEADERS).outcome for _ in range(5)]
    assert outcomes == [Outcome.DELIVERED, *[Outcome.ADDRESS_REFUSED] * 3, Outcome.DELIVERED]
    assert len(receiver.received) == 2
    assert {address for address, _ in dialled} == {PUBLIC}


def test_a_name_that_moved_is_not_sent_to_over_the_old_connection(
    authority: Authority, dialled: list[tuple[str, int]], tmp_path: Path
) -> None:
    answers = [[PUBLIC], [PUBLIC, "8.8.8.8"], ["8.8.8.8"]]
    with receiving(authority.server(tmp_path, "hooks.example.com")) as receiver:
        target = parse(f"https://hooks.example.com:{receiver.port}/hook")
        with Courier(target, resolver=lambda host, port: answers.pop(0), trust=authority.trust) as courier:
            assert [courier.post(BODY, HEADERS).outcome for _ in range(3)] == [Outcome.DELIVERED] * 3
    assert [address for address, _ in dialled] == [PUBLIC, "8.8.8.8"]
    assert receiver.connections == 2


@pytest.mark.parametrize("names", [("other.example.com",), ("127.0.0.1",)])
def test_a_certificate_for_another_name_is_not_taken(
    authority: Authority, dialled: list[tuple[str, int]], tmp_path: Path, names: tuple[str, ...]
) -> None:
    with receiving(authority.server(tmp_path, *names)) as receiver:
        target = parse(f"https://hooks.example.com:{receiver.port}/hook")
        reply = post(target, loopback=False, resolver=lambda host, port: [PUBLIC], trust=authority.trust)
    assert reply == Reply(Outcome.TLS_FAILED)
    assert receiver.received == []


def test_a_certificate_that_nobody_vouches_for_is_not_taken(
    authority: Authority, dialled: list[tuple[str, int]], tmp_path: Path
) -> None:
    with receiving(authority.server(tmp_path, "hooks.example.com")) as receiver:
        target = parse(f"https://hooks.example.com:{receiver.port}/hook")
        assert post(target, loopback=False, resolver=lambda host, port: [PUBLIC]).outcome is Outcome.TLS_FAILED
    assert receiver.received == []


def test_a_server_without_tls_gets_nothing(receiver: Receiver, dialled: list[tuple[str, int]]) -> None:
    target = parse(f"https://hooks.example.com:{receiver.port}/hook")
    reply = post(target, loopback=False, resolver=lambda host, port: [PUBLIC], patience=SHORT)
    assert reply.outcome in (Outcome.TLS_FAILED, Outcome.TIMED_OUT)
    assert receiver.received == []


def test_an_address_that_does_not_answer_leaves_the_others_their_turn(receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.2", receiver.port)):
        pass
    target = parse(f"http://localhost:{receiver.port}/hook", loopback=True)
    reply = post(target, resolver=lambda host, port: ["127.0.0.3", "127.0.0.1"])
    assert reply.outcome is Outcome.DELIVERED
    assert post(target, resolver=lambda host, port: ["127.0.0.3", "127.0.0.4"]).outcome is Outcome.UNREACHABLE


def test_one_connection_serves_many_events_and_a_closed_one_is_made_again(receiver: Receiver) -> None:
    with Courier(here(receiver.port), loopback=True) as courier:
        for _ in range(3):
            assert courier.post(BODY, HEADERS).outcome is Outcome.DELIVERED
        assert receiver.connections == 1
        receiver.answers = [(204, {"Connection": "close"})]
        for _ in range(2):
            assert courier.post(BODY, HEADERS).outcome is Outcome.DELIVERED
    assert (receiver.connections, len(receiver.received)) == (2, 5)


# Slow, endless and broken


def read_request(connection: socket.socket) -> None:
    received = b""
    while BODY not in received:
        received += connection.recv(4096)


def says(
    *pieces: bytes, then: Callable[[socket.socket], None] = lambda connection: None
) -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        for piece in pieces:
            connection.sendall(piece)
        then(connection)

    return script


def forever(piece: bytes, pause: float = 0.02) -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        while True:
            connection.sendall(piece)
            if pause:
                time.sleep(pause)

    return script


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


@pytest.mark.parametrize(
    "script",
    [
        silent,
        says(then=forever(b"H")),
        says(b"HTTP/1.1 200 OK\r\nX: ", then=forever(b"x")),
        says(then=forever(b"HTTP/1.1 100 Continue\r\n\r\n")),
    ],
    ids=["says nothing", "a byte now and then", "a header without end", "continues for ever"],
)
def test_an_answer_that_does_not_come_is_not_waited_for(script: Callable[[socket.socket], None]) -> None:
    with speaking(script) as port:
        began = time.monotonic()
        assert post(here(port), patience=SHORT).outcome is Outcome.TIMED_OUT
        assert time.monotonic() - began < 2


def test_a_handshake_that_does_not_end_is_not_waited_for(dialled: list[tuple[str, int]]) -> None:
    with speaking(silent) as port:
        target = parse(f"https://hooks.example.com:{port}/")
        reply = post(target, loopback=False, resolver=lambda host, port: [PUBLIC], patience=SHORT)
    assert reply.outcome is Outcome.TIMED_OUT


def test_a_receiver_that_takes_nothing_in_is_not_waited_for() -> None:
    released = threading.Event()

    def script(connection: socket.socket) -> None:
        released.wait(5)

    with speaking(script) as port, Courier(here(port), loopback=True, patience=SHORT) as courier:
        assert courier.post(b"x" * 64_000_000, HEADERS).outcome is Outcome.TIMED_OUT
        released.set()


def test_a_name_lookup_that_hangs_is_not_waited_for() -> None:
    released = threading.Event()

    def hanging(host: str, port: int) -> list[str]:
        released.wait(5)
        return ["127.0.0.1"]

    reply = post(parse("http://localhost:9/", loopback=True), resolver=hanging, patience=SHORT)
    released.set()
    assert reply.outcome is Outcome.TIMED_OUT


@pytest.mark.parametrize("pause", [0.0, 0.02], ids=["endless", "slow"])
def test_a_body_without_end_is_cut_and_the_event_has_arrived(pause: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "_FOR_THE_BODY", timedelta(seconds=0.2))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"
    with speaking(says(head, then=forever(b"x" * (65536 if not pause else 1), pause))) as port:
        began = time.monotonic()
        assert post(here(port)) == Reply(Outcome.DELIVERED, 200)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.7\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
        b"\x00" * 100,
    ],
    ids=["nothing", "another protocol", "no status", "a header of 200 kB", "zeros"],
)
def test_what_is_no_answer_is_a_failure(answer: bytes) -> None:
    with speaking(says(answer)) as port:
        assert post(here(port)) == Reply(Outcome.BROKEN_OFF)


def test_a_body_that_breaks_off_or_is_garbled_does_not_undo_the_status() -> None:
    for rest in (b"Content-Length: 100\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"):
        with speaking(says(b"HTTP/1.1 200 OK\r\n" + rest)) as port:
            assert post(here(port)) == Reply(Outcome.DELIVERED, 200)


def test_nobody_listening_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert post(here(port)).outcome is Outcome.UNREACHABLE


def test_certificates_are_checked_by_default() -> None:
    with Courier(here(9), loopback=True) as courier:
        context = courier._pool._ssl_context
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
