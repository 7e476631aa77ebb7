"""The parent's side of one decode: answers the child's requests for bytes, watches the clock, and judges how it ended.

The child may be in the hands of whoever made the media, so each of its messages is checked as an attacker's would be.
"""

import fcntl
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from analysis.decoding.errors import (
    REFUSALS,
    DecoderDied,
    DecoderKilled,
    DecoderUnavailable,
    MediaMemoryExceeded,
    MediaTimeout,
)
from analysis.decoding.limits import DecodeLimits
from analysis.decoding.protocol import (
    BLOCK,
    ENDED,
    LENGTH,
    MESSAGE,
    MESSAGE_LIMIT,
    OUT_OF_MEMORY,
    READ,
    Kind,
    Operation,
    Refusal,
    Start,
)

LOOK = 0.25
"""Seconds between two calls of the checkpoint while the child works in silence."""

_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS, signal.SIGTRAP}


class RangeSource(Protocol):
    """Media that can be read by range, such as an opened sealed blob."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def read(self, offset: int, length: int, /) -> bytes:
        """`length` bytes from `offset`, fewer only at the end."""
        ...


class Job:
    """One child and what it is for. Closing it kills the child, if it still lives."""

    def __init__(self, operation: Operation, source: RangeSource, limits: DecodeLimits) -> None:
        self._source = source
        self._limits = limits
        self._start = Start(operation, source.size, limits)
        self._given = 0
        self._waited = 0.0
        self.shared = _shared_memory(limits.capacity)
        self._job, self._child_job = socket.socketpair()
        self._supervision, self._server_supervision = socket.socketpair()
        self._job.setblocking(False)

    def hand_over(self, control: socket.socket) -> None:
        """Asks the server for the child. Raises `OSError` when the server is gone."""
        handed = [self._child_job.fileno(), self.shared, self._server_supervision.fileno()]
        socket.send_fds(control, [self._start.encode()], handed)
        self._child_job.close()
        self._server_supervision.close()

    def close(self) -> None:
        with suppress(OSError):
            # A fork of this process may hold a copy: closing ours alone would not tell the server.
            self._supervision.shutdown(socket.SHUT_RDWR)
        for one in (self._job, self._child_job, self._supervision, self._server_supervision):
            one.close()
        if self.shared >= 0:
            os.close(self.shared)
            self.shared = -1

    def converse(self, checkpoint: Callable[[float], None]) -> bytes:
        """Serves the child until it is done and gone; the body of its last message.

        Raises what `checkpoint` and the source raise, `MediaRefused`, `DecoderUnavailable`.
        """
        done = Kind.PROBED if self._start.operation is Operation.PROBE else Kind.DECODED
        while True:
            kind, length = MESSAGE.unpack(self._receive(MESSAGE.size, checkpoint))
            if length > MESSAGE_LIMIT:
                raise DecoderDied
            body = self._receive(length, checkpoint)
            if kind == Kind.READ and length == READ.size:
                offset, wanted = READ.unpack(body)
                self._give(offset, wanted, checkpoint)
            elif kind == Kind.REFUSED:
                raise _refusal(body)
            elif kind == done:
                self._await_end(checkpoint)
                return body
            else:
                raise DecoderDied

    def _give(self, offset: int, length: int, checkpoint: Callable[[float], None]) -> None:
        size = self._source.size
        if not 0 < length <= BLOCK or offset + length > size:
            raise DecoderDied
        data = self._source.read(offset, length)
        if len(data) != length:
            raise DecoderUnavailable("the recording's bytes are not all there")
        self._send(LENGTH.pack(length) + data, checkpoint)
        self._given += length
        checkpoint(self._fraction())

    def _fraction(self) -> float:
        """Of the media, what was given out; blocks that were asked for twice count twice, so it stops at 1."""
        return min(1.0, self._given / max(1, self._source.size))

    def _receive(self, length: int, checkpoint: Callable[[float], None]) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            self._wait(select.POLLIN, checkpoint)
            try:
                part = self._job.recv(length - len(parts))
            except BlockingIOError:
                continue
            except ConnectionError:
                part = b""
            if not part:
                raise self._how_it_ended(checkpoint)
            parts += part
        return bytes(parts)

    def _send(self, data: bytes, checkpoint: Callable[[float], None]) -> None:
        view = memoryview(data)
        while view:
            self._wait(select.POLLOUT, checkpoint)
            try:
                view = view[self._job.send(view, socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                continue
            except ConnectionError as gone:
                raise self._how_it_ended(checkpoint) from gone

    def _await_end(self, checkpoint: Callable[[float], None]) -> None:
        """Until the child, which said that it is done, is gone: after that nobody else writes to the shared memory."""
        while not self._poll(self._supervision, select.POLLIN, checkpoint):
            pass
        code, ended_by = self._verdict()
        if (code, ended_by) != (0, 0):
            raise _death(code, ended_by)

    def _how_it_ended(self, checkpoint: Callable[[float], None]) -> Exception:
        """The child stopped talking: why. It hung up first, so its end is near or its death is known."""
        while not self._poll(self._supervision, select.POLLIN, checkpoint):
            pass
        return _death(*self._verdict())

    def _verdict(self) -> tuple[int, int]:
        """Exit code and signal, as the server saw them. Raises `DecoderUnavailable` when the server is gone, too."""
        try:
            ended = self._supervision.recv(ENDED.size)
        except ConnectionError:
            ended = b""
        if len(ended) != ENDED.size:
            raise DecoderUnavailable("the decoding server ended")
        code, ended_by = ENDED.unpack(ended)
        return code, ended_by

    def _wait(self, event: int, checkpoint: Callable[[float], None]) -> None:
        while not self._poll(self._job, event, checkpoint):
            pass

    def _poll(self, on: socket.socket, event: int, checkpoint: Callable[[float], None]) -> bool:
        """Waits a moment; True when there is something. Only this waiting counts against the wall clock."""
        started = time.monotonic()
        poll = select.poll()
        poll.register(on, event)
        ready = bool(poll.poll(LOOK * 1000))
        self._waited += time.monotonic() - started
        if not ready:
            if self._waited > self._limits.wall_clock:
                raise MediaTimeout
            checkpoint(self._fraction())
        return ready


def _refusal(body: bytes) -> Exception:
    try:
        refusal = Refusal(body.decode("ascii"))
    except ValueError:
        return DecoderDied()
    if refusal is Refusal.SANDBOX:
        return DecoderUnavailable("the decoder cannot be confined on this machine")
    return REFUSALS[refusal]()


def _death(code: int, ended_by: int) -> Exception:
    if ended_by == signal.SIGXCPU:
        return MediaTimeout()
    if code == OUT_OF_MEMORY:
        return MediaMemoryExceeded()
    if ended_by == 0 or ended_by in _CRASHES:
        return DecoderDied()
    return DecoderKilled("the decoder was ended from outside")


def _shared_memory(capacity: int) -> int:
    """A memory file of fixed size without a name in any file system; pages cost nothing until they are written."""
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        shared = os.memfd_create("decoded", flags | _MFD_NOEXEC_SEAL)
    except OSError:  # kernels before 6.3
        shared = os.memfd_create("decoded", flags)
    os.ftruncate(shared, capacity)
    fcntl.fcntl(shared, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return shared


_MFD_NOEXEC_SEAL = 0x0008
"""<linux/memfd.h>; Python has no name for it yet."""
