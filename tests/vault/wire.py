"""The network between a provider and its server, as tests bend it: it relays, it is cut, it drips, or something else answers."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Behaviour = Callable[["Wire", socket.socket], None]


class Wire:
    """A TCP port of this machine in front of another one. `behaviour` is what a caller meets; the default is to be relayed."""

    def __init__(self, to: int = 0) -> None:
        self._to = to
        self.behaviour: Behaviour = Wire.relay
        self.heard: list[bytes] = []
        self._open: set[socket.socket] = set()
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Nobody listens any more, and every connection breaks."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._listener = self._listen(self.port)

    @contextmanager
    def bent(self, behaviour: Behaviour) -> Iterator[None]:
        """New and old connections meet `behaviour` for a while."""
        self.cut()
        before, self.behaviour = self.behaviour, behaviour
        self.mend()
        try:
            yield
        finally:
            self.cut()
            self.behaviour = before
            self.mend()

    def relay(self, caller: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._to)) as server:
            self._open.add(server)
            back = threading.Thread(target=_pump, args=(server, caller), daemon=True)
            back.start()
            _pump(caller, server)
            back.join()
            self._open.discard(server)

    def read_request(self, caller: socket.socket) -> bytes:
        """One HTTP request, noted in `heard`."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += _some(caller)
        head, _, body = received.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += _some(caller)
        self.heard.append(head + b"\r\n\r\n" + body)
        return body

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port), backlog=64)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                caller, _ = listener.accept()
                caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        self._open.add(caller)
        with caller, suppress(OSError, EOFError):
            self.behaviour(self, caller)
        self._open.discard(caller)


def says(answer: bytes, *, then_wait: bool = False) -> Behaviour:
    """Answers every request with these bytes, then hangs up, or does not."""

    def behave(wire: Wire, caller: socket.socket) -> None:
        wire.read_request(caller)
        caller.sendall(answer)
        if then_wait:
            _some(caller)

    return behave


def drips(answer: bytes, *, seconds: float = 0.05) -> Behaviour:
    """Answers a byte at a time: no single wait is long, and all of them together are."""

    def behave(wire: Wire, caller: socket.socket) -> None:
        wire.read_request(caller)
        for byte in answer:
            caller.sendall(bytes([byte]))
            threading.Event().wait(seconds)

    return behave


def streams(start: bytes, piece: bytes) -> Behaviour:
    """Never stops answering."""

    def behave(wire: Wire, caller: socket.socket) -> None:
        wire.read_request(caller)
        caller.sendall(start)
        while True:
            caller.sendall(piece)

    return behave


def http(status: int, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """An answer; `length` where it lies about its own."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError, EOFError):
        while True:
            target.sendall(_some(source))
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _some(source: socket.socket) -> bytes:
    received = source.recv(65536)
    if not received:
        raise EOFError
    return received
