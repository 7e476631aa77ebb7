"""Patience with a request's body has an end: whoever sends slower than any real line is cut off, so that threads of the web process
are not held by bodies that never come. Headers come complete from the proxy in front (docs/production.md).
"""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, Protocol

RATE: Final = 4 * 1024
"""Bytes a second: half of what the slowest mobile line gives."""

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Readable(Protocol):
    def read(self, size: int = -1) -> bytes: ...

    def readline(self, size: int = -1) -> bytes: ...


def patient(application: Application, seconds: float) -> Application:
    """The WSGI application, whose bodies come at `RATE` or faster, but for `seconds` in all. One that does not raises
    `TimeoutError` where it is read. Without gunicorn's socket nothing is limited."""

    def paced(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        connection = environ.get("gunicorn.socket")
        if connection is not None:
            environ["wsgi.input"] = PacedBody(environ["wsgi.input"], connection, seconds)
        return application(environ, start_response)

    return paced


class PacedBody:
    """A body that is read against the clock. Only the waiting counts, not what is done with the bytes in between."""

    def __init__(self, body: Readable, connection: socket.socket, seconds: float) -> None:
        self._body = body
        self._connection = connection
        self._most = self._left = seconds

    def read(self, size: int = -1) -> bytes:
        """Raises `TimeoutError`."""
        return self._paced(self._body.read, size)

    def readline(self, size: int = -1) -> bytes:
        """Raises `TimeoutError`."""
        return self._paced(self._body.readline, size)

    def _paced(self, read: Callable[[int], bytes], size: int) -> bytes:
        began = time.monotonic()
        piece = b""
        try:
            with _cutter.cutting(self._connection, self._left):
                piece = read(size)
        finally:
            # A server may take a connection that was cut for the end of the body, or for a fault of the connection.
            self._left = min(self._most, self._left - (time.monotonic() - began) + len(piece) / RATE)
            if self._left <= 0:
                raise TimeoutError("the body came too slowly")
        return piece


class Cutter:
    """Ends reads that take too long, by closing the connection for reading: one read of the server's may wait for many pieces, and
    each of them may come in time."""

    def __init__(self) -> None:
        self._reads: dict[object, tuple[float, socket.socket]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def cutting(self, connection: socket.socket, seconds: float) -> Iterator[None]:
        ticket = object()
        with self._lock:
            self._reads[ticket] = (time.monotonic() + seconds, connection)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="cutter", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._reads[ticket]

    def _watch(self) -> None:
        while True:
            time.sleep(0.5)
            # Under the lock: a connection that ended must not be taken for the next one with its number.
            with self._lock:
                now = time.monotonic()
                for until, connection in self._reads.values():
                    if until < now:
                        with suppress(OSError):
                            connection.shutdown(socket.SHUT_RD)


_cutter = Cutter()
