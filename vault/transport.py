"""One HTTP call to a key provider that is elsewhere. What a general client leaves open is closed here:

- One deadline holds from the name lookup to the last byte. A time limit for each read would let a server that sends a byte now
  and then keep a call for ever.
- Redirects are refused, answers are limited, and neither a proxy nor another certificate store is taken from the environment.
- What is sent and received, keys and tokens among it, is in no error, no `repr` and no log line: httpcore logs neither bodies
  nor the headers it sends, and its exceptions, whose frames hold both, go no further than this module.

No Django here.
"""

import base64
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import httpcore

from vault.deadline import Deadline, within
from vault.errors import ProviderUnavailable
from vault.format import InputKey

MAX_ANSWER: Final = 1 << 20
"""Bytes. A list of some ten thousand key names is the largest answer that makes sense."""

_CONNECTIONS: Final = 32
_IDLE_SECONDS: Final = 10.0


class Hidden:
    """Bytes on their way that must show nowhere."""

    __slots__ = ("_bytes",)

    def __init__(self, value: bytes) -> None:
        self._bytes = value

    def __repr__(self) -> str:
        return "Hidden(...)"

    def __reduce__(self) -> str:
        raise TypeError("what is hidden is not serialized")

    @classmethod
    def of_json(cls, body: Mapping[str, object]) -> "Hidden":
        return cls(json.dumps(body).encode())

    def reveal(self) -> bytes:
        """Pass it on, do not name it."""
        return self._bytes


class Call:
    """A request. It shows its method and address; headers and body stay hidden."""

    __slots__ = ("_headers", "body", "method", "url")

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: Hidden | None = None) -> None:
        self.method = method
        self.url = url
        self._headers = dict(headers)
        self.body = body

    def __repr__(self) -> str:
        return f"Call({self.method} {self.url})"

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in self._headers.items()]


class Answer:
    """An answer, whole. Its readers give None for whatever is not there or is of another kind, and raise nothing: an exception
    about nonsense would carry the nonsense."""

    __slots__ = ("_body", "status")

    def __init__(self, status: int, body: Hidden) -> None:
        self.status = status
        self._body = body

    def __repr__(self) -> str:
        return f"Answer({self.status})"

    def value(self, *path: str) -> object:
        """What the JSON of the body has at `path`."""
        try:
            found: Any = json.loads(self._body.reveal())
            for name in path:
                found = found[name] if isinstance(found, dict) else None
        except (ValueError, KeyError, RecursionError):
            return None
        return found

    def text(self, *path: str) -> str | None:
        found = self.value(*path)
        return found if isinstance(found, str) else None

    def texts(self, *path: str) -> list[str] | None:
        found = self.value(*path)
        return found if isinstance(found, list) and all(isinstance(item, str) for item in found) else None

    def data(self, *path: str, after: str = "", size: int | None = None) -> bytes | None:
        """From base64, which follows on `after`; None also when it is not `size` bytes, where that is given."""
        text = self.text(*path)
        if text is None or not text.startswith(after):
            return None
        try:
            found = base64.b64decode(text.removeprefix(after), validate=True)
        except ValueError:
            return None
        return found if size in (None, len(found)) else None

    def key(self, *path: str) -> InputKey | None:
        """From base64; None also when it has not the length of a key."""
        try:
            return InputKey(self.data(*path) or b"")
        except ValueError:
            return None


class Transport:
    """Keeps connections to one provider; may be shared by threads."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=trust,
            max_connections=_CONNECTIONS,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=_Backend(),
        )

    def send(self, call: Call, deadline: Deadline) -> Answer:
        """Raises `ProviderUnavailable` when no whole answer comes in time, or one that is too long or leads elsewhere."""
        outcome = self._tried(call, deadline)
        if outcome is None:
            # A kept connection had been closed at its other end: the call goes out once more, on a new one.
            outcome = self._tried(call, deadline)
        if isinstance(outcome, Answer):
            return outcome
        # Raised out here, where nothing is being handled: the frames below hold what was sent and received, and an exception
        # raised while another one is handled takes that one, with its frames, along.
        raise outcome or ProviderUnavailable("the key provider closes its connections")

    def _tried(self, call: Call, deadline: Deadline) -> Answer | BaseException | None:
        connected: list[str] = []
        try:
            return self._exchange(call, deadline, connected.append)
        except (httpcore.TimeoutException, TimeoutError):
            return ProviderUnavailable("the key provider does not answer in time")
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as error:
            return ProviderUnavailable(f"the key provider {_trouble(error)}") if connected else None
        except _Unacceptable as refused:
            return ProviderUnavailable(f"the key provider {refused}")
        except BaseException as other:
            other.__cause__ = other.__context__ = None
            return other.with_traceback(None)

    def _exchange(self, call: Call, deadline: Deadline, connecting: Callable[[str], None]) -> Answer:
        moments = dict.fromkeys(("connect", "read", "write"), deadline.moment)
        received = bytearray()
        with self._pool.stream(
            call.method,
            call.url,
            headers=call.headers(),
            content=None if call.body is None else call.body.reveal(),
            extensions={
                "timeout": {**moments, "pool": deadline.left},
                "trace": lambda step, about: connecting(step) if step == "connection.connect_tcp.started" else None,
            },
        ) as response:
            if 300 <= response.status < 400:
                raise _Unacceptable("leads to another address, which is not followed")
            for piece in response.iter_stream():
                received += piece
                if len(received) > MAX_ANSWER:
                    raise _Unacceptable("does not stop answering")
        return Answer(response.status, Hidden(bytes(received)))


class _Unacceptable(Exception):
    pass


class _Backend(httpcore.NetworkBackend):
    """The steps on the socket. What httpcore hands on as `timeout` is here the moment at which everything must have ended."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = _addresses(host, port, timeout)
        for number, address in enumerate(addresses):
            try:
                # Each gets its share: one that swallows packets must not use up the time of the others.
                share = _left(timeout) / (len(addresses) - number)
                return _Stream(httpcore.SyncBackend().connect_tcp(address, port, share, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses) - 1:
                    raise
        raise httpcore.ConnectError("the name has no address")


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(moment: float | None) -> float:
    """Seconds. Raises `TimeoutError` when there are none: a socket would take 0 for "do not wait at all"."""
    assert moment is not None
    seconds = moment - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _addresses(host: str, port: int, moment: float | None) -> list[str]:
    with suppress(ValueError):
        return [str(ipaddress.ip_address(host))]
    found = within(_left(moment), lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _trouble(error: Exception) -> str:
    """In words that name neither host nor content: clients of the service read them."""
    cause = next((each for each in (error, error.__cause__, error.__context__) if isinstance(each, OSError)), None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "does not prove who it is: its certificate is not trusted, or for another name"
    if isinstance(cause, ssl.SSLError):
        return "makes no TLS connection"
    if isinstance(cause, socket.gaierror):
        return "cannot be found under its name"
    if isinstance(cause, ConnectionRefusedError):
        return "refuses connections"
    return "broke off the connection or does not speak HTTP"
