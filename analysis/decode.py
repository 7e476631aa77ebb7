"""The pipeline's face to decoding: a recording that can be read by range goes in, 16 kHz channels come out, or a typed refusal.

Bytes go to a sandboxed child over a socket and samples come back in shared memory; plaintext touches no disk (short of swap).
The sandbox and the child's side are in `analysis/decoding/`. This module and what it imports load neither PyAV nor Django.
"""

import atexit
import json
import mmap
import os
import select
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from analysis.decoding.errors import (
    DecoderDied,
    DecoderKilled,
    DecoderUnavailable,
    MediaDamaged,
    MediaEmpty,
    MediaInvalidSamples,
    MediaMemoryExceeded,
    MediaRateUnsupported,
    MediaRefused,
    MediaTimeout,
    MediaTooLong,
    MediaTooManyChannels,
    MediaUnsupported,
)
from analysis.decoding.job import Job, RangeSource
from analysis.decoding.limits import SAMPLE_BYTES, DecodeLimits
from analysis.decoding.protocol import READY, Facts, Operation
from analysis.engines.clip import SAMPLE_RATE, Checkpoint, Samples, no_checkpoint

__all__ = [
    "DecodeLimits",
    "DecodeServer",
    "DecodedAudio",
    "DecoderDied",
    "DecoderKilled",
    "DecoderUnavailable",
    "MediaDamaged",
    "MediaEmpty",
    "MediaInvalidSamples",
    "MediaMemoryExceeded",
    "MediaRateUnsupported",
    "MediaRefused",
    "MediaTimeout",
    "MediaTooLong",
    "MediaTooManyChannels",
    "MediaUnsupported",
    "RangeSource",
    "SandboxReport",
    "server",
]

START_TIMEOUT = 30.0
"""Seconds for the server to load PyAV and say that it is ready; 0.3 on an idle machine."""

STOP_TIMEOUT = 5.0

PEAK_LIMIT = 1_000.0
"""Samples beyond this (60 dB over full scale) are no sound but numbers of another kind, and are refused with NaN and infinity."""

_ROOT = Path(__file__).resolve().parent.parent
_MAIN = "import sys; sys.path.append(sys.argv[1]); from analysis.decoding.server import main; main()"

# Where the interpreter finds its own libraries; the server starts with nothing else of the environment.
_ENVIRONMENT = ("LD_LIBRARY_PATH",)

_CHECKED_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class DecodedAudio:
    """What a recording holds. `channels` are equally long, float32 at `SAMPLE_RATE`, finite, full scale ±1.0."""

    channels: tuple[Samples, ...]
    container: str
    """wav, flac, mp3, ogg, matroska, mp4, aac or amr."""
    codec: str
    """libavcodec's name of the codec."""
    source_rate: int
    """Hz."""
    source_channels: int
    duration: float
    """Seconds."""
    filled: float
    """Seconds of silence inside `channels` that stand for holes: time stamps that jump, packets that could not be decoded."""
    truncated: bool
    """The recording ends before its container says it should, or its end could not be decoded; `channels` is what is there."""


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """What a child found when it tried to get out of its sandbox."""

    refused: dict[str, str]
    """Attempt and the error it met."""
    permitted: tuple[str, ...]
    """Attempts that succeeded: there should be none."""
    user: int
    own_namespaces: bool
    descriptors: int
    environment: int

    @property
    def holds(self) -> bool:
        """Nothing got out, nothing came in, and there is one descriptor: the socket to the parent."""
        return not self.permitted and self.descriptors == 1 and self.environment == 0


class DecodeServer:
    """A warm server process that forks one sandboxed child per decode. Starts when it is first needed; restarts when it died.

    Use it as a context manager, or `close` it. May be shared by threads; in a forked process it starts anew.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._owner = os.getpid()

    def __enter__(self) -> "DecodeServer":
        self.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The server's process number while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Starts the server unless it runs. Raises `DecoderUnavailable`."""
        with self._lock:
            self._running()

    def close(self) -> None:
        """Ends the server and every decode that still runs."""
        with self._lock:
            self._stop()

    def decode(
        self, source: RangeSource, limits: DecodeLimits | None = None, checkpoint: Checkpoint = no_checkpoint
    ) -> DecodedAudio:
        """Decodes one recording. `checkpoint` hears the fraction read, at least four times a second, and may raise to stop.

        Raises `MediaRefused` for media that stays refused, `DecoderUnavailable` when trying again may help, and what
        `source` and `checkpoint` raise; the child is killed in every case.
        """
        limits = limits or DecodeLimits()
        if source.size <= 0:
            raise MediaEmpty
        job = Job(Operation.DECODE, source, limits)
        try:
            self._hand_over(job)
            body = job.converse(checkpoint)
            try:
                facts = Facts.parse(body, limits)
            except (ValueError, TypeError, RecursionError) as nonsense:
                raise DecoderDied from nonsense
            channels = _map_channels(job.shared, facts, limits)
        finally:
            job.close()
        for channel in channels:
            _require_sound(channel)
        return DecodedAudio(
            channels=channels,
            container=facts.container,
            codec=facts.codec,
            source_rate=facts.source_rate,
            source_channels=facts.channels,
            duration=facts.frames / SAMPLE_RATE,
            filled=float(facts.filled),
            truncated=facts.truncated,
        )

    def self_test(self) -> SandboxReport:
        """Forks a child that tries to get out. Raises `DecoderUnavailable`."""
        job = Job(Operation.PROBE, _Nothing(), DecodeLimits())
        try:
            self._hand_over(job)
            body = json.loads(job.converse(no_checkpoint))
        finally:
            job.close()
        return SandboxReport(**{**body, "permitted": tuple(body["permitted"])})

    def _hand_over(self, job: Job) -> None:
        with self._lock:
            for last in (False, True):
                try:
                    job.hand_over(self._running())
                except OSError as gone:
                    self._stop()
                    if last:
                        raise DecoderUnavailable("the decoding server cannot be reached") from gone
                else:
                    return

    def _running(self) -> socket.socket:
        """The control socket of a server that runs, started if need be; the lock is held."""
        if self._owner != os.getpid():
            # A fork inherited the parent's server. It is not ours to end: only our copy of its socket goes.
            if self._control is not None:
                self._control.close()
            self._process, self._control, self._owner = None, None, os.getpid()
        if self._process is not None and self._control is not None and self._process.poll() is None:
            return self._control
        self._stop()
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603 (our own interpreter and a constant program)
                    [sys.executable, "-I", "-c", _MAIN, str(_ROOT)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env=environment,
                    cwd="/",
                    close_fds=True,
                    start_new_session=True,
                )
            except OSError as error:
                control.close()
                raise DecoderUnavailable("the decoding server cannot be started") from error
        self._control = control
        if not _says_ready(control):
            self._stop()
            raise DecoderUnavailable("the decoding server did not come up")
        return control

    def _stop(self) -> None:
        if self._control is not None:
            if self._owner == os.getpid():
                with suppress(OSError):
                    self._control.shutdown(socket.SHUT_RDWR)  # a fork may hold a copy
            self._control.close()
        if self._process is not None and self._owner == os.getpid():
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process, self._control = None, None


class _Nothing:
    """The source of a self-test, which reads no media."""

    size = 0

    def read(self, _offset: int, _length: int, /) -> bytes:
        return b""


def _says_ready(control: socket.socket) -> bool:
    poll = select.poll()
    poll.register(control, select.POLLIN)
    with suppress(OSError):
        return bool(poll.poll(START_TIMEOUT * 1000)) and control.recv(len(READY)) == READY
    return False


def _map_channels(shared: int, facts: Facts, limits: DecodeLimits) -> tuple[Samples, ...]:
    """The channels as they lie in the shared memory, which lives as long as they do: no copy is made."""
    stride = limits.stride(facts.channels)
    channels = []
    for index in range(facts.channels):
        memory = mmap.mmap(shared, facts.frames * SAMPLE_BYTES, offset=index * stride)
        channels.append(np.frombuffer(memory, dtype=np.float32))
    return tuple(channels)


def _require_sound(samples: Samples) -> None:
    """Raises `MediaInvalidSamples`. NaN compares false with everything, so it is caught as well."""
    for start in range(0, len(samples), _CHECKED_AT_ONCE):
        part = samples[start : start + _CHECKED_AT_ONCE]
        if not (part.max() <= PEAK_LIMIT and part.min() >= -PEAK_LIMIT):
            raise MediaInvalidSamples


_process_server: DecodeServer | None = None
_process_lock = threading.Lock()


def server() -> DecodeServer:
    """This process's own server; it ends with the process."""
    global _process_server  # noqa: PLW0603 (one per process, made on first use)
    with _process_lock:
        if _process_server is None:
            _process_server = DecodeServer()
            atexit.register(_process_server.close)
        return _process_server
