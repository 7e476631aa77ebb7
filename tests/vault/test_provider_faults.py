"""Providers over a network that fails: every fault is `ProviderUnavailable` within the deadline, and shows no key and no token."""

import base64
import contextlib
import json
import logging
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.vault.kms_server import CREDENTIALS, REGION
from tests.vault.places import HURRY, DistantPlace
from tests.vault.test_secrecy import SECRET, everything_in, shows_nothing
from tests.vault.transit_server import TOKEN, TransitServer
from tests.vault.wire import Behaviour, Wire, drips, http, says, streams
from vault.errors import EpochDestroyed, ProviderUnavailable, ProviderWrongKey
from vault.format import InputKey
from vault.keyring import CERTIFICATES
from vault.provider import KeyProvider
from vault.provider_kms import KmsProvider
from vault.provider_transit import Token, TransitProvider

SLACK = 1.0
"""Seconds over the deadline that a busy machine may take."""

SECRETS = [
    base64.b64encode(SECRET).decode(),
    base64.b64encode(SECRET + b"x").decode(),
    TOKEN,
    CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    CREDENTIALS["AWS_SESSION_TOKEN"],
]
WRAPPED = {"transit": b"vault:v1:" + base64.b64encode(bytes(60)), "kms": b"w" * 150}
CALLS: dict[str, Callable[[KeyProvider, bytes], object]] = {
    "wrap": lambda provider, wrapped: provider.wrap(1, InputKey(SECRET), b"binding"),
    "unwrap": lambda provider, wrapped: provider.unwrap(1, wrapped, b"binding"),
    "blind": lambda provider, wrapped: provider.blind(b"x"),
    "sign": lambda provider, wrapped: provider.sign(CERTIFICATES, b"x"),
    "public_key": lambda provider, wrapped: provider.public_key(CERTIFICATES),
    "epochs": lambda provider, wrapped: provider.epochs(),
    "ensure": lambda provider, wrapped: provider.ensure(),
    "begin_epoch": lambda provider, wrapped: provider.begin_epoch(2),
    "destroy_epoch": lambda provider, wrapped: provider.destroy_epoch(1),
}


SLOW_CALLS = ["wrap", "unwrap", "sign", "destroy_epoch"]
"""Some of each kind, where every one costs its whole patience."""


def is_unavailable(provider: KeyProvider, call: str, wrapped: bytes) -> ProviderUnavailable:
    began = time.monotonic()
    with pytest.raises(ProviderUnavailable) as caught:
        CALLS[call](provider, wrapped)
    assert time.monotonic() - began < HURRY.total_seconds() + SLACK
    assert not isinstance(caught.value, ProviderWrongKey | EpochDestroyed)
    shows_nothing(everything_in(caught.value), *SECRETS)
    return caught.value


def fails(place: DistantPlace, behaviour: Behaviour, *calls: str) -> ProviderUnavailable:
    """The calls meet `behaviour` and are unavailable, each within its time; answers the last one's error."""
    provider = place.hurried()
    with place.wire.bent(behaviour):
        return [is_unavailable(provider, call, WRAPPED[place.kind]) for call in calls][-1]


@pytest.mark.parametrize("call", sorted(CALLS))
def test_a_server_that_is_away_is_unavailable_and_back_again_it_serves(distant: DistantPlace, call: str) -> None:
    provider = distant.provider()
    provider.ensure()
    wrapped = provider.wrap(1, InputKey(SECRET), b"binding")
    hurried = distant.hurried()
    for turn in (provider, hurried):
        assert turn.unwrap(1, wrapped, b"binding").reveal() == SECRET
    distant.wire.cut()
    is_unavailable(hurried, call, wrapped)
    distant.wire.mend()
    for turn in (provider, hurried):
        assert turn.unwrap(1, wrapped, b"binding").reveal() == SECRET


@pytest.mark.parametrize("call", SLOW_CALLS)
def test_a_server_that_says_nothing_is_given_up(distant: DistantPlace, call: str) -> None:
    def silent(wire: Wire, caller: socket.socket) -> None:
        wire.read_request(caller)
        caller.recv(1)

    assert "in time" in str(fails(distant, silent, call))


@pytest.mark.parametrize("call", SLOW_CALLS)
@pytest.mark.parametrize("part", ["head", "body"])
def test_a_server_that_drips_is_given_up(distant: DistantPlace, call: str, part: str) -> None:
    if part == "head":
        behaviour = drips(http(200, b"{}", *[f"X-More-{number}: x" for number in range(50)]))
    else:

        def behaviour(wire: Wire, caller: socket.socket) -> None:
            says(http(200, b"", length=1000))(wire, caller)
            for _ in range(100):
                caller.sendall(b" ")
                threading.Event().wait(0.05)

    assert "in time" in str(fails(distant, behaviour, call))


def test_a_server_that_never_comes_to_its_answer_is_given_up(distant: DistantPlace) -> None:
    fails(distant, streams(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "blind")


def test_a_server_that_takes_no_connection_is_given_up(distant: DistantPlace) -> None:
    """Its queue is full: packets are swallowed, and nobody says no."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for caller in waiting:
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        address = f"http://127.0.0.1:{full.getsockname()[1]}"
        error = is_unavailable(at(distant, address), "epochs", b"")
        for caller in waiting:
            caller.close()
    assert "in time" in str(error)


def at(place: DistantPlace, address: str, certificates: Path | None = None) -> KeyProvider:
    if place.kind == "transit":
        return TransitProvider(address, Token(TOKEN), certificates=certificates, patience=HURRY)
    return KmsProvider(REGION, endpoint=address, certificates=certificates, patience=HURRY)


def test_a_name_that_is_not_known_is_unavailable(distant: DistantPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*arguments: object, **named: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = is_unavailable(at(distant, "https://keys.example"), "wrap", b"")
    assert "name" in str(error)
    assert "keys.example" not in str(error)


def test_a_name_service_that_does_not_answer_is_given_up(
    distant: DistantPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **named: over.wait(30) and [])
    try:
        is_unavailable(at(distant, "https://keys.example"), "wrap", b"")
    finally:
        over.set()


def test_a_second_address_serves_where_the_first_does_not(
    transit_keys: DistantPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = transit_keys.wire.port
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.2", "127.0.0.1")]
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *more, **named: both if host == "keys" else real(host, *more, **named)
    )
    assert at(transit_keys, f"http://keys:{port}").ensure()


def test_throttling_is_met_with_one_more_try(distant: DistantPlace) -> None:
    distant.provider().ensure()
    provider = distant.provider()
    answers = [THROTTLED[distant.kind], THROTTLED[distant.kind], None]

    def behaviour(wire: Wire, caller: socket.socket) -> None:
        answer = answers.pop(0)
        if answer is None:
            wire.relay(caller)
        else:
            says(answer)(wire, caller)

    with distant.wire.bent(behaviour):
        with pytest.raises(ProviderUnavailable):
            provider.blind(b"x")
        assert len(distant.wire.heard) == 2
        answers[:] = [THROTTLED[distant.kind], None]
        assert len(provider.blind(b"x")) == 32


def test_a_connection_that_was_closed_while_it_lay_idle_is_not_an_outage(distant: DistantPlace) -> None:
    """Its end may not have been seen when the next call takes it up: that one goes out again, once, on a new connection."""
    distant.provider().ensure()
    provider = distant.provider()
    answers: list[bytes | None] = [http(200, GOOD[distant.kind]), b"", None]

    def behaviour(wire: Wire, caller: socket.socket) -> None:
        while (answer := answers.pop(0)) is not None:
            wire.read_request(caller)
            caller.sendall(answer)
            if not answer:
                return
        wire.relay(caller)

    with distant.wire.bent(behaviour):
        assert provider.blind(b"x") == bytes(32)
        assert len(provider.blind(b"x")) == 32
        answers[:] = [b"", b""]
        with pytest.raises(ProviderUnavailable):
            distant.provider().blind(b"x")
        assert answers == [b""]


def aws(status: int, kind: str, message: str = "said") -> bytes:
    return http(status, json.dumps({"__type": kind, "message": message}).encode())


def vault(status: int, *errors: str) -> bytes:
    return http(status, json.dumps({"errors": errors}).encode())


def given(**data: object) -> bytes:
    """As Vault and KMS both might put it."""
    return http(200, json.dumps({"data": data, **data}).encode())


def coded(value: bytes) -> str:
    return base64.b64encode(value).decode()


THROTTLED = {
    "transit": vault(429, 'request path "transit/hmac": rate limit quota exceeded'),
    "kms": aws(400, "ThrottlingException", "Rate exceeded"),
}
GOOD = {
    "transit": json.dumps({"data": {"hmac": f"vault:v1:{coded(bytes(32))}"}}).encode(),
    "kms": json.dumps({"Mac": coded(bytes(32))}).encode(),
}
LONG = coded(SECRET + b"x")
"""An answer that is a key but for one byte: nothing of it may show."""

WRONG: dict[str, Behaviour] = {
    "hangs up": says(b""),
    "is no HTTP": says(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "is TLS": says(b"\x15\x03\x01\x00\x02\x02\x46"),
    "is cut short": says(http(200, b'{"data": {"plaintext": "', length=500)),
    "is a page": says(http(200, b"<html>Sign in</html>")),
    "is nothing": says(http(200, b"")),
    "is not text": says(http(200, b"\xff\xfe\x00" * 9)),
    "is said to be packed": says(http(200, b"\x1f\x8b\x08\x00", "Content-Encoding: gzip")),
    "is null": says(http(200, b"null")),
    "is a list": says(http(200, b"[]")),
    "is a number": says(http(200, b"9" * 5000)),
    "is empty": says(http(200, b"{}")),
    "has no data": says(http(200, b'{"data": null}')),
    "has a list for data": says(http(200, b'{"data": ["plaintext"]}')),
    "nests without end": says(http(200, b'{"data":' + b"[" * 100_000)),
    "has numbers": says(given(plaintext=5, ciphertext=5, hmac=5, Plaintext=5, CiphertextBlob=5, Mac=5, Aliases=5)),
    "has empty texts": says(given(plaintext="", ciphertext="", hmac="", Plaintext="", CiphertextBlob="", Mac="")),
    "has no base64": says(given(plaintext="!", ciphertext="vault:v1:!", hmac="vault:v1:!", Plaintext="!", Mac="!")),
    "has another version": says(given(hmac=f"vault:v2:{coded(bytes(32))}", ciphertext="vault:v0:AAAA")),
    "has a key that is too long": says(given(plaintext=LONG, Plaintext=LONG, hmac=f"vault:v1:{LONG}", Mac=LONG)),
    "has a key that is too short": says(given(plaintext=LONG[:40], Plaintext=LONG[:40], hmac=LONG[:40], Mac=LONG[:40])),
    "leads elsewhere": says(http(307, b"", "Location: https://elsewhere.example/v1/transit/keys")),
    "leads elsewhere for good": says(http(301, b"", "Location: http://127.0.0.1:1/")),
    "is too long": streams(http(200, b'{"data": {"keys": ["', length=1 << 40), b"x" * 65536),
    "is too long in pieces": streams(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    "has a head without end": streams(b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n" * 1000),
    "wants a sign-in": says(http(401, b"{}")),
    "wants a proxy": says(http(407, b"{}")),
    "is a 400 by somebody else": says(http(400, b"Client sent an HTTP request to an HTTPS server.\n")),
    "is a 403 by somebody else": says(http(403, b"<html>Forbidden</html>")),
    "is a 404 by somebody else": says(http(404, b"404 page not found")),
    "is a 500": says(http(500, b'{"errors": ["1 error occurred"]}')),
    "is a 502": says(http(502, b"<html>Bad Gateway</html>")),
    "is a 503": says(vault(503, "Vault is sealed")),
    "is a 599": says(http(599, b"{}")),
    "refuses the token": says(vault(403, "permission denied")),
    "knows no such engine": says(vault(404, 'no handler for route "transit/keys". route entry not found.')),
    "refuses for a reason nobody knows": says(vault(400, "something else")),
    "is KMS without permission": says(aws(400, "AccessDeniedException")),
    "is KMS with a stale session": says(aws(400, "com.amazonaws.kms#ExpiredTokenException")),
    "is KMS that does not know who asks": says(aws(403, "UnrecognizedClientException")),
    "is KMS inside": says(aws(500, "KMSInternalException")),
    "is KMS waiting for another": says(aws(500, "DependencyTimeoutException")),
    "is KMS with an invalid request": says(aws(400, "ValidationException")),
    "is KMS with a key of another use": says(aws(400, "InvalidKeyUsageException")),
    "is KMS out of reach of its key": says(aws(400, "KeyUnavailableException")),
}  # fmt: skip


@pytest.mark.parametrize("wrong", sorted(WRONG))
def test_an_answer_that_makes_no_sense_is_unavailable(distant: DistantPlace, wrong: str) -> None:
    fails(distant, WRONG[wrong], "wrap", "unwrap", "blind", "sign", "epochs")


def test_whatever_is_answered_is_unavailable_and_nothing_else(distant: DistantPlace) -> None:
    chance = random.Random(20)
    provider = distant.provider()

    def nonsense(depth: int = 0) -> object:
        if depth > 3 or chance.random() < 0.5:
            return chance.choice([None, True, 0, -1e99, "", "x", coded(chance.randbytes(32)), "vault:v1:AAAA", []])
        names = ["data", "errors", "keys", "plaintext", "ciphertext", "Plaintext", "KeyId", "Aliases", "__type"]
        picked = {chance.choice(names): nonsense(depth + 1) for _ in range(3)}
        return chance.choice([picked, list(picked.values())])

    def behaviour(wire: Wire, caller: socket.socket) -> None:
        while True:
            wire.read_request(caller)
            body = json.dumps(nonsense()).encode() if chance.random() < 0.8 else chance.randbytes(50)
            caller.sendall(http(chance.choice([200, 200, 204, 400, 403, 404, 500, 999]), body))

    with distant.wire.bent(behaviour):
        for _ in range(40):
            for call in ("wrap", "blind", "sign", "public_key", "epochs", "begin_epoch", "destroy_epoch"):
                # An epoch may look like the newest, or like a destroyed one.
                refusals = [ValueError] if call in ("begin_epoch", "destroy_epoch") else []
                with contextlib.suppress(ProviderUnavailable, *refusals):
                    CALLS[call](provider, WRAPPED[distant.kind])


def test_a_redirect_is_not_followed(distant: DistantPlace) -> None:
    elsewhere = Wire()
    elsewhere.behaviour = says(http(200, b"{}"))
    for status in (301, 302, 303, 307, 308):
        leads = says(http(status, b"", f"Location: {elsewhere.address}/v1/transit/keys"))
        assert "another address" in str(fails(distant, leads, "wrap", "unwrap", "epochs"))
    assert elsewhere.heard == []
    elsewhere.cut()


def test_a_proxy_in_the_environment_is_not_asked(distant: DistantPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Wire()
    proxy.behaviour = says(http(200, b"{}"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy.address)
    assert distant.provider().ensure()
    assert proxy.heard == []
    proxy.cut()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """For `localhost`, by nobody that a machine trusts: certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    place = tmp_path_factory.mktemp("tls")
    (place / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (place / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return place / "certificate.pem", place / "key.pem"


def test_tls_is_taken_from_whom_the_named_certificate_vouches_for(certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = TransitServer(tls=context)
    try:
        trusting = TransitProvider(server.address, Token(TOKEN), certificates=certificate[0])
        assert trusting.ensure()
        wrapped = trusting.wrap(1, InputKey(SECRET), b"binding")
        assert trusting.unwrap(1, wrapped, b"binding").reveal() == SECRET
        before = list(server.asked)
        for stranger in (
            TransitProvider(server.address, Token(TOKEN), patience=HURRY),
            TransitProvider(
                server.address.replace("localhost", "127.0.0.1"),
                Token(TOKEN),
                certificates=certificate[0],
                patience=HURRY,
            ),
        ):
            error = is_unavailable(stranger, "wrap", b"")
            assert "certificate" in str(error)
        assert server.asked == before
    finally:
        server.close()


def test_a_server_without_tls_is_no_server_with_it(distant: DistantPlace) -> None:
    is_unavailable(at(distant, distant.wire.address.replace("http:", "https:")), "wrap", b"")


def test_certificates_that_are_not_there_are_unavailable(distant: DistantPlace, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("no certificate\n")
    for name in ("nowhere.pem", "empty.pem"):
        with pytest.raises(ProviderUnavailable, match="certificates"):
            at(distant, "https://localhost", certificates=tmp_path / name)


def test_what_interrupts_a_call_passes_through_and_takes_nothing_along(
    distant: DistantPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is told to stop, in the middle of a call."""

    class Stop(BaseException):
        pass

    def stopped(self: object, *arguments: object, **named: object) -> bytes:
        raise Stop

    distant.provider().ensure()
    provider = distant.provider()
    monkeypatch.setattr("vault.transport._Stream.read", stopped)
    with pytest.raises(Stop) as caught:
        provider.wrap(1, InputKey(SECRET), b"binding")
    shows_nothing(everything_in(caught.value), *SECRETS)


def test_the_most_talkative_log_holds_no_key_and_no_token(
    distant: DistantPlace, caplog: pytest.LogCaptureFixture
) -> None:
    libraries = ("httpcore", "httpcore.http11", "httpcore.connection", "h11", "botocore", "urllib3", "asyncio")
    before = {name: logging.getLogger(name).level for name in libraries}
    for name in libraries:
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        with caplog.at_level(logging.DEBUG):
            provider = distant.provider()
            provider.ensure()
            wrapped = provider.wrap(1, InputKey(SECRET), b"binding")
            assert provider.unwrap(1, wrapped, b"binding").reveal() == SECRET
            provider.sign(CERTIFICATES, b"x")
            for behaviour in (says(b""), says(given(plaintext=LONG, Plaintext=LONG))):
                fails(distant, behaviour, "unwrap")
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    shows_nothing(caplog.text + "".join(repr(vars(record)) for record in caplog.records), *SECRETS)


def test_a_provider_with_everything_in_it_shows_nothing(distant: DistantPlace) -> None:
    provider = distant.provider()
    provider.ensure()
    shows_nothing(repr(vars(provider)) + repr(replace(distant, settings={})), *SECRETS)
