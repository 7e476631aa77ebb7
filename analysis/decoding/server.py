"""The warm server: loads PyAV once, forks a child for each request, tells how each child ended, and kills those nobody waits for.

It never touches media. It ends with its parent: when the control socket closes, or when another process adopts it. Run as
`main()` in a fresh interpreter whose standard input is the control socket.
"""

import gc
import io
import os
import select
import signal
import socket
import wave
from contextlib import suppress
from dataclasses import dataclass

# Before numpy loads: a forked child has one thread, and so must the process that it is forked from.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import av.logging

from analysis.decoding import child, sandbox
from analysis.decoding.limits import DecodeLimits
from analysis.decoding.media import decode
from analysis.decoding.protocol import CONTROL_LIMIT, ENDED, READY, Refused, Start

LOOK_FOR_PARENT = 2_000
"""Milliseconds between two looks at who the parent is."""

_HANDED_OVER = 3
"""Descriptors of a request: job, shared memory, supervision."""


@dataclass(frozen=True, slots=True)
class _Child:
    process: int
    supervision: socket.socket


class Server:
    """The loop. One thread, no timers but the look at the parent."""

    def __init__(self, control: socket.socket, own_namespaces: bool) -> None:
        self._control = control
        self._own_namespaces = own_namespaces
        self._parent = os.getppid()
        self._children: dict[int, _Child] = {}
        self._ended, wakeup = socket.socketpair()
        self._ended.setblocking(False)
        wakeup.setblocking(False)
        self._wakeup = wakeup
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)

    def serve(self) -> None:
        """Until the parent is gone. Children left over die with this process."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._ended, select.POLLIN)
        self._control.send(READY)
        while os.getppid() == self._parent:
            for descriptor, _ in poll.poll(LOOK_FOR_PARENT):
                if descriptor == self._control.fileno():
                    if not self._take(poll):
                        return
                elif descriptor == self._ended.fileno():
                    self._reap(poll)
                elif descriptor in self._children:
                    # Nobody waits for this one any more. Its supervision is closed when it has been reaped.
                    poll.unregister(descriptor)
                    os.kill(self._children[descriptor].process, signal.SIGKILL)

    def _take(self, poll: select.poll) -> bool:
        """Forks for one request. False when the parent has closed the control socket."""
        raw, descriptors, _, _ = socket.recv_fds(self._control, CONTROL_LIMIT, _HANDED_OVER)
        if not raw:
            return False
        try:
            job, shared, supervision = descriptors
            start = Start.parse(raw)
            server = os.getpid()
            process = os.fork()
        except (OSError, ValueError):
            # Too many processes or descriptors: whoever asked sees its sockets close, and the other jobs go on.
            for descriptor in descriptors:
                os.close(descriptor)
            return True
        if process == 0:
            child.run(start, job, shared, server, self._own_namespaces)
        os.close(job)
        os.close(shared)
        self._children[supervision] = _Child(process, socket.socket(fileno=supervision))
        poll.register(supervision, select.POLLIN)
        return True

    def _reap(self, poll: select.poll) -> None:
        with suppress(BlockingIOError):
            while self._ended.recv(4096):
                pass
        for descriptor, one in list(self._children.items()):
            process, status = os.waitpid(one.process, os.WNOHANG)
            if process == 0:
                continue
            code = os.waitstatus_to_exitcode(status)
            with suppress(KeyError):
                poll.unregister(descriptor)
            del self._children[descriptor]
            with suppress(OSError):
                one.supervision.send(ENDED.pack(max(code, 0), max(-code, 0)))
            one.supervision.close()


def _warm_up() -> None:
    """Decodes a second of silence and fails at nothing else, so that a child, which can open no file, imports nothing new."""
    medium = io.BytesIO()
    with wave.open(medium, "wb") as writer:
        writer.setnchannels(2)
        writer.setsampwidth(2)
        writer.setframerate(8_000)
        writer.writeframes(bytes(4 * 8_000))
    limits = DecodeLimits(max_duration=2.0, max_channels=2, max_channel_seconds=4.0)
    memory = bytearray(limits.capacity)
    medium.seek(0)
    decode(medium, memoryview(memory), limits)
    with suppress(Refused):
        decode(io.BytesIO(b"no medium" * 1000), memoryview(memory), limits)


def main() -> None:
    """Serves on the control socket that is standard input."""
    own_namespaces = sandbox.isolate_server()
    sandbox.restrain_server()
    control = socket.socket(fileno=os.dup(0))
    av.logging.set_level(av.logging.PANIC)
    _warm_up()
    os.environ.clear()
    gc.collect()
    gc.freeze()
    Server(control, own_namespaces).serve()
