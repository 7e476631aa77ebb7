"""One decode, from the fork to the end of the process: lock up, work, report, end. It never returns to the server's code.

The media itself is handled in `media`; what holds this process is in `sandbox`.
"""

import errno
import json
import mmap
import os
import signal
import socket
from collections import OrderedDict
from contextlib import suppress

from analysis.decoding import escape, sandbox
from analysis.decoding.media import decode
from analysis.decoding.protocol import (
    BLOCK,
    LENGTH,
    MESSAGE,
    OUT_OF_MEMORY,
    READ,
    Kind,
    Operation,
    Refusal,
    Refused,
    Start,
)

CACHED_BLOCKS = 8
CLOSED = 71
"""Exit code when the parent is gone."""
BROKEN = 70
"""Exit code for what nobody foresaw."""


class ParentSource:
    """The medium as a file, read in blocks that the parent sends on request."""

    def __init__(self, parent: socket.socket, size: int) -> None:
        self._parent = parent
        self._size = size
        self._position = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def read(self, length: int, /) -> bytes:
        """Up to `length` bytes, to the end of a block at most; empty at the end of the medium."""
        if self._position >= self._size or length <= 0:
            return b""
        number, start = divmod(self._position, BLOCK)
        part = self._block(number)[start : start + length]
        self._position += len(part)
        return part

    def seek(self, offset: int, whence: int = 0, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "before the start")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        offset = number * BLOCK
        _say(self._parent, Kind.READ, READ.pack(offset, min(BLOCK, self._size - offset)))
        (length,) = LENGTH.unpack(_receive(self._parent, LENGTH.size))
        block = self._blocks[number] = _receive(self._parent, length)
        if len(self._blocks) > CACHED_BLOCKS:
            self._blocks.popitem(last=False)
        return block


def run(start: Start, job: int, shared: int, server: int, own_namespaces: bool) -> None:
    """Does the job over descriptor `job`, results into the memory file `shared`. Ends the process."""
    code = BROKEN
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sandbox.volunteer_for_the_oom_killer()
        memory = mmap.mmap(shared, start.limits.capacity)
        parent = socket.socket(fileno=sandbox.keep_only(job))
        with suppress(ConnectionError):
            code = CLOSED
            _work(start, parent, memory, server, own_namespaces)
            code = 0
    except MemoryError:
        code = OUT_OF_MEMORY
    except BaseException:  # nobody is left to tell: the exit code says it
        code = BROKEN
    finally:
        os._exit(code)


def _work(start: Start, parent: socket.socket, memory: mmap.mmap, server: int, own_namespaces: bool) -> None:
    try:
        confinement = sandbox.confine(start.limits, sandbox.mapped_bytes(), server, own_namespaces)
    except OSError:
        _say(parent, Kind.REFUSED, Refusal.SANDBOX.encode())
        return
    if start.operation is Operation.PROBE:
        _say(parent, Kind.PROBED, json.dumps(escape.attempt_all(confinement, server)).encode())
        return
    try:
        facts = decode(ParentSource(parent, start.size), memoryview(memory), start.limits)
    except Refused as refused:
        _say(parent, Kind.REFUSED, refused.refusal.encode())
    except MemoryError:
        _say(parent, Kind.REFUSED, Refusal.MEMORY.encode())
    else:
        _say(parent, Kind.DECODED, facts.encode())


def _say(parent: socket.socket, kind: Kind, body: bytes) -> None:
    parent.sendall(MESSAGE.pack(kind, len(body)) + body)


def _receive(parent: socket.socket, length: int) -> bytes:
    """Exactly `length` bytes. Raises `ConnectionError` when the parent is gone."""
    parts = bytearray(length)
    view, got = memoryview(parts), 0
    while got < length:
        count = parent.recv_into(view[got:])
        if count == 0:
            raise ConnectionError("the parent closed the job")
        got += count
    return bytes(parts)
