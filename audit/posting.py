"""One POST to a webhook, to an address that was judged a moment before, under one deadline that nothing stretches.

The name is looked up once and every address that it has is judged; the connection goes to one of these, under the name's own
certificate. Redirects are not followed, no proxy is taken from the environment, and of an answer only its status counts: the body
is read for a moment, so that the connection can serve the next event, and thrown away. What is sent, when, and what an answer
leads to is `delivery`. No Django here.
"""

import select
import socket
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from types import TracebackType
from typing import Any, Final, Self

import httpcore

from audit import addresses
from audit.addresses import Address, Resolver, Target
from audit.errors import AddressRefused
from vault.deadline import Deadline, within

PATIENCE: Final = timedelta(seconds=10)
"""For all of it: the name, the connection, the request and the answer's status."""
_FOR_THE_BODY: Final = timedelta(seconds=1)
_BODY: Final = 16 * 1024
_USER_AGENT: Final = b"voxgov-webhooks/1"


class Outcome(StrEnum):
    """What became of one attempt. Only `DELIVERED` is a success."""

    DELIVERED = "delivered"
    GONE = "gone"
    REDIRECTED = "redirected"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    TLS_FAILED = "tls_failed"
    BROKEN_OFF = "broken_off"
    ADDRESS_REFUSED = "address_refused"


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` is None where no answer came. `retry_after`: seconds that the receiver asks for, 0 where it asks for none."""

    outcome: Outcome
    status: int | None = None
    retry_after: int = 0


class Courier:
    """Posts to one target, one request after another, over one connection as long as that lasts. Use it as a context manager."""

    def __init__(
        self,
        target: Target,
        *,
        loopback: bool = False,
        resolver: Resolver = addresses.from_system,
        trust: ssl.SSLContext | None = None,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._target = target
        self._loopback = loopback
        self._resolver = resolver
        self._patience = patience
        self._line = _Line()
        self._pool = httpcore.ConnectionPool(
            ssl_context=trust or _public_authorities(), max_connections=1, network_backend=self._line
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.close()

    def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Raises nothing that the other side could bring about: every failure is a `Reply`."""
        deadline = Deadline(self._patience)
        try:
            self._point(deadline)
            return self._exchange(body, headers, deadline)
        except AddressRefused:
            return Reply(Outcome.ADDRESS_REFUSED)
        except (httpcore.TimeoutException, TimeoutError):
            return Reply(Outcome.TIMED_OUT)
        except httpcore.ConnectError as error:
            # The pool raises again `from None`, which leaves the context in place.
            return Reply(Outcome.TLS_FAILED if isinstance(error.__context__, ssl.SSLError) else Outcome.UNREACHABLE)
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
            return Reply(Outcome.BROKEN_OFF)

    def _point(self, deadline: Deadline) -> None:
        """Judges where the name leads now. A connection that leads elsewhere is given up."""
        target = self._target
        found = within(deadline.left, lambda: addresses.resolve(target, self._resolver, loopback=self._loopback))
        if self._line.connected_to not in found:
            self._pool.close()
        self._line.addresses = found
        self._line.deadline = deadline

    def _exchange(self, body: bytes, headers: Mapping[str, str], deadline: Deadline) -> Reply:
        target = self._target
        sent = [(b"host", target.authority.encode()), (b"user-agent", _USER_AGENT)]
        sent += [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        with self._pool.stream("POST", url, headers=sent, content=body) as response:
            reply = _reply(response)
            self._line.deadline = Deadline(min(_FOR_THE_BODY, timedelta(seconds=deadline.left)))
            # The receiver has answered: whatever its body does now changes nothing. One that is not read to its end costs
            # the connection, and nothing else.
            with suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, TimeoutError):
                read = 0
                for piece in response.iter_stream():
                    read += len(piece)
                    if read > _BODY:
                        break
        return reply


@lru_cache(maxsize=1)
def _public_authorities() -> ssl.SSLContext:
    """Reading all their certificates takes a tenth of a second: once for each process."""
    return httpcore.default_ssl_context()


def _reply(response: httpcore.Response) -> Reply:
    status = response.status
    if 200 <= status < 300:
        return Reply(Outcome.DELIVERED, status)
    if status == 410:
        return Reply(Outcome.GONE, status)
    outcome = Outcome.REDIRECTED if 300 <= status < 400 else Outcome.REJECTED
    return Reply(outcome, status, _retry_after(response.headers))


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Seconds (RFC 9110, section 10.2.3); its other form, a date, is left out of account."""
    asked = next((value for name, value in headers if name.lower() == b"retry-after"), b"")
    return int(asked) if asked.isdigit() and len(asked) <= 6 else 0


class _Line(httpcore.NetworkBackend):
    """Connects to the addresses that were judged, whatever host it is asked for, and keeps the deadline at every step. The time
    limits that httpcore hands on are for each read alone, which a byte now and then would stretch for ever."""

    def __init__(self) -> None:
        self.addresses: tuple[Address, ...] = ()
        self.connected_to: Address | None = None
        self.deadline = Deadline(timedelta(0))

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        for number, address in enumerate(self.addresses):
            # Each gets its share: one that swallows packets must not use up the time of the others.
            share = self.left() / (len(self.addresses) - number)
            try:
                made = socket.create_connection((str(address), port), share)
            except OSError as error:
                if number < len(self.addresses) - 1:
                    continue
                if isinstance(error, TimeoutError):
                    raise httpcore.ConnectTimeout from error
                raise httpcore.ConnectError from error
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connected_to = address
            return _Stream(self, made)
        raise httpcore.ConnectError

    def left(self) -> float:
        """Seconds. Raises `TimeoutError` when there are none: a socket would take 0 for "do not wait at all"."""
        seconds = self.deadline.left
        if seconds <= 0:
            raise TimeoutError
        return seconds


class _Stream(httpcore.NetworkStream):
    def __init__(self, line: _Line, connection: socket.socket) -> None:
        self._line = line
        self._socket = connection

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._socket.settimeout(self._line.left())
        try:
            return self._socket.recv(max_bytes)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise httpcore.ReadTimeout from error
            raise httpcore.ReadError from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        while rest:
            self._socket.settimeout(self._line.left())
            try:
                rest = rest[self._socket.send(rest) :]
            except OSError as error:
                if isinstance(error, TimeoutError):
                    raise httpcore.WriteTimeout from error
                raise httpcore.WriteError from error

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self._socket.settimeout(self._line.left())
        try:
            return _Stream(self._line, ssl_context.wrap_socket(self._socket, server_hostname=server_hostname))
        except OSError as error:
            self._socket.close()
            if isinstance(error, TimeoutError):
                raise httpcore.ConnectTimeout from error
            raise httpcore.ConnectError from error

    def close(self) -> None:
        self._line.connected_to = None
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._socket if isinstance(self._socket, ssl.SSLSocket) else None
        if info == "is_readable":
            return _is_readable(self._socket)
        return None


def _is_readable(connection: socket.socket) -> bool:
    """Between two requests nothing should come: what does is the other side's farewell."""
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    return bool(waiting.poll(0))
