"""What a recording may cost the machine, what may happen to the decoder, and what holds it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analysis import decode
from analysis.decode import DecodedAudio, DecodeLimits, DecodeServer
from analysis.decoding.job import Job
from analysis.decoding.protocol import BLOCK, MESSAGE, READ, Facts, Kind, Operation, Refusal, Start
from tests.analysis.sounds import Media, silent_flac, tone, wav

ROOT = Path(__file__).resolve().parents[2]
MONO_16K = [tone(440, 2.0)]


@pytest.fixture(scope="module")
def server() -> Iterator[DecodeServer]:
    with DecodeServer() as running:
        yield running


def decoded(server: DecodeServer, data: bytes, limits: DecodeLimits | None = None) -> DecodedAudio:
    return server.decode(Media(data), limits)


def children(server: DecodeServer) -> list[int]:
    return [int(child) for child in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


def until(condition: Callable[[], bool]) -> None:
    """Waits for what must come; a minute without it is a failure."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


class Interference:
    """A checkpoint that does something to the child, once, while it waits for its first bytes to be of use."""

    def __init__(self, server: DecodeServer, act: Callable[[int], None]) -> None:
        self.server, self.act, self.met = server, act, 0

    def __call__(self, _fraction: float) -> None:
        if not self.met:
            (self.met,) = children(self.server)
            self.act(self.met)


def kill_with(number: signal.Signals) -> Callable[[int], None]:
    return lambda child: os.kill(child, number)


# What it may cost


def test_a_day_of_silence_in_a_few_kilobytes_costs_neither_memory_nor_time(server: DecodeServer) -> None:
    bomb = silent_flac(24 * 3600, declared=0)
    assert len(bomb) < 400_000
    resident = list[int]()

    def watch(_fraction: float) -> None:
        for child in children(server):
            lines = Path(f"/proc/{child}/status").read_text().splitlines()
            resident.extend(int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "RssShmem")))

    with pytest.raises(decode.MediaTooLong):
        server.decode(Media(bomb), checkpoint=watch)
    assert resident
    assert max(resident) < 150_000  # kB; the four hours of samples before the limit would be 921,600


def test_limits_are_on_duration_channels_and_their_product(server: DecodeServer) -> None:
    three = wav([tone(440, 3.0)] * 2)
    assert decoded(server, three, DecodeLimits(max_duration=3.0)).duration == 3.0
    with pytest.raises(decode.MediaTooLong):
        decoded(server, three, DecodeLimits(max_duration=2.9))
    with pytest.raises(decode.MediaTooManyChannels):
        decoded(server, three, DecodeLimits(max_channels=1))
    assert decoded(server, three, DecodeLimits(max_channel_seconds=6.0)).duration == 3.0
    with pytest.raises(decode.MediaTooLong):
        decoded(server, three, DecodeLimits(max_channel_seconds=5.9))
    with pytest.raises(decode.MediaRateUnsupported):
        decoded(server, three, DecodeLimits(max_source_rate=15_999))
    for wrong in (
        {"max_channels": 0},
        {"max_channels": 65},
        {"cpu_seconds": 0},
        {"max_duration": -1.0},
        {"open_files": -1},
    ):
        with pytest.raises(ValueError, match=r"channels|limits"):
            DecodeLimits(**wrong)


def test_a_decode_that_burns_cpu_is_ended(server: DecodeServer) -> None:
    endless = DecodeLimits(max_duration=1e6, max_channel_seconds=1e6, cpu_seconds=1)
    with pytest.raises(decode.MediaTimeout):
        decoded(server, silent_flac(24 * 3600, declared=0), endless)
    until(lambda: not children(server))


def test_a_decode_that_wants_more_memory_than_its_limit_is_refused(server: DecodeServer) -> None:
    with pytest.raises(decode.MediaMemoryExceeded):
        decoded(server, silent_flac(60, declared=0, channels=8), DecodeLimits(address_space=1 << 20))


def test_a_decoder_that_hangs_is_ended_by_the_wall_clock(server: DecodeServer) -> None:
    stop = Interference(server, kill_with(signal.SIGSTOP))
    with pytest.raises(decode.MediaTimeout):
        server.decode(Media(wav([tone(440, 60.0)])), DecodeLimits(wall_clock=0.5), stop)
    until(lambda: stop.met not in children(server))


def test_a_slow_caller_does_not_count_as_a_slow_decoder(server: DecodeServer) -> None:
    def dawdle(_fraction: float) -> None:
        time.sleep(0.2)

    media = Media(wav([tone(440, 60.0)]))
    assert server.decode(media, DecodeLimits(wall_clock=1.0), dawdle).duration == 60.0
    assert len(media.reads) * 0.2 > 1.0


# What may happen to it


@pytest.mark.parametrize(
    ("number", "error", "transient"),
    [
        (signal.SIGSEGV, decode.DecoderDied, False),
        (signal.SIGABRT, decode.DecoderDied, False),
        (signal.SIGKILL, decode.DecoderKilled, True),
        (signal.SIGTERM, decode.DecoderKilled, True),
    ],
)
def test_a_decoder_that_dies_takes_nothing_with_it(
    server: DecodeServer, number: signal.Signals, error: type[decode.MediaRefused], transient: bool
) -> None:
    before = server.pid
    with pytest.raises(error) as died:
        server.decode(Media(wav([tone(440, 60.0)])), checkpoint=Interference(server, kill_with(number)))
    assert died.value.transient is transient
    assert server.pid == before
    assert decoded(server, wav(MONO_16K)).duration == 2.0


def test_one_bad_recording_does_not_touch_another_being_decoded(server: DecodeServer) -> None:
    inside, go_on, heard = threading.Event(), threading.Event(), list[DecodedAudio]()

    def hold(_fraction: float) -> None:
        inside.set()
        assert go_on.wait(60)

    other = threading.Thread(target=lambda: heard.append(server.decode(Media(wav([tone(440, 60.0)])), checkpoint=hold)))
    other.start()
    assert inside.wait(60)
    (innocent,) = children(server)

    def kill_the_new_one(_fraction: float) -> None:
        for child in set(children(server)) - {innocent}:
            os.kill(child, signal.SIGSEGV)

    with pytest.raises(decode.DecoderDied):
        server.decode(Media(wav([tone(440, 60.0)])), checkpoint=kill_the_new_one)
    with pytest.raises(decode.MediaUnsupported):
        decoded(server, b"no sound at all\n" * 500)
    go_on.set()
    other.join(60)
    assert heard[0].duration == 60.0


class ConsentGone(Exception):
    pass


def test_a_checkpoint_that_raises_stops_the_decode_at_once(server: DecodeServer) -> None:
    def stop(_child: int) -> None:
        raise ConsentGone

    gone = Interference(server, stop)
    media = Media(wav([tone(440, 120.0)]))
    with pytest.raises(ConsentGone):
        server.decode(media, checkpoint=gone)
    assert len(media.reads) == 1
    until(lambda: gone.met not in children(server))


def test_the_checkpoint_is_called_while_the_decoder_is_silent(server: DecodeServer) -> None:
    calls = 0

    def withdraw_later(fraction: float) -> None:
        nonlocal calls
        calls += 1
        Interference(server, kill_with(signal.SIGSTOP))(fraction)
        if calls > 3:
            raise ConsentGone

    with pytest.raises(ConsentGone):
        server.decode(Media(wav([tone(440, 60.0)])), checkpoint=withdraw_later)


def test_what_the_source_raises_ends_the_decode_and_comes_through(server: DecodeServer) -> None:
    class Sealed(Media):
        def read(self, offset: int, length: int, /) -> bytes:
            if offset:
                raise ConsentGone
            return super().read(offset, length)

    with pytest.raises(ConsentGone):
        server.decode(Sealed(wav([tone(440, 60.0)])))
    until(lambda: not children(server))


def test_a_source_with_fewer_bytes_than_it_said_is_not_the_medias_fault(server: DecodeServer) -> None:
    class Short(Media):
        size = 1_000_000

    with pytest.raises(decode.DecoderUnavailable) as unavailable:
        server.decode(Short(wav(MONO_16K)))
    assert unavailable.value.transient


def test_a_server_that_dies_fails_its_jobs_as_transient_and_comes_back() -> None:
    with DecodeServer() as own:
        first = own.pid

        def kill_the_server(_fraction: float) -> None:
            if own.pid == first:
                assert first is not None
                os.kill(first, signal.SIGKILL)

        with pytest.raises(decode.DecoderUnavailable) as unavailable:
            own.decode(Media(wav([tone(440, 60.0)])), checkpoint=kill_the_server)
        assert unavailable.value.transient
        assert decoded(own, wav(MONO_16K)).duration == 2.0
        assert own.pid not in {first, None}


def test_nothing_is_left_when_the_server_is_closed_or_its_parent_is_killed() -> None:
    script = (
        "import sys, time; from analysis.decode import DecodeServer\n"
        "server = DecodeServer(); server.start(); print(server.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    orphan = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    until(
        lambda: not Path(f"/proc/{orphan}/status").exists() or "State:\tZ" in Path(f"/proc/{orphan}/status").read_text()
    )
    parent.stdout.close()
    own = DecodeServer()
    own.start()
    closed = own.pid
    own.close()
    assert own.pid is None
    assert not Path(f"/proc/{closed}").exists()


def test_a_forked_worker_gets_a_server_of_its_own(server: DecodeServer) -> None:
    before = server.pid
    child = os.fork()
    if child == 0:
        try:
            audio = decoded(server, wav(MONO_16K))
            os._exit(0 if audio.duration == 2.0 and server.pid != before else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert server.pid == before
    assert decoded(server, wav(MONO_16K)).duration == 2.0


def test_a_server_that_cannot_fork_fails_that_job_alone(server: DecodeServer) -> None:
    """A request without its descriptors stands for one that the server has no room for."""
    before = server.pid
    control = server._control
    assert control is not None
    control.send(Start(Operation.DECODE, 1, DecodeLimits()).encode())
    assert decoded(server, wav(MONO_16K)).duration == 2.0
    assert server.pid == before


def test_closing_ends_the_server_though_a_fork_holds_its_socket() -> None:
    own = DecodeServer()
    own.start()
    assert own._control is not None
    copy = own._control.dup()
    began = time.monotonic()
    own.close()
    assert time.monotonic() - began < decode.STOP_TIMEOUT
    copy.close()


# What holds it


def test_nothing_gets_out_of_the_sandbox(server: DecodeServer) -> None:
    report = server.self_test()
    assert report.holds
    assert report.permitted == ()
    assert (report.descriptors, report.environment) == (1, 0)
    assert len(report.refused) == 18
    assert set(report.refused.values()) <= {"EPERM", "ENOMEM"}
    assert report.user != 0


def test_the_server_inherits_no_secret_no_descriptor_and_no_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOXGOV_CANARY", "a secret")
    with (tmp_path / "canary").open("w") as open_file:
        os.set_inheritable(open_file.fileno(), True)
        with DecodeServer() as own:
            here = Path(f"/proc/{own.pid}")
            assert b"VOXGOV_CANARY" not in (here / "environ").read_bytes()
            held = [str(link.readlink()) for link in (here / "fd").iterdir()]
            assert not [target for target in held if "canary" in target]
            libraries = (here / "maps").read_text()
            assert "libavcodec" in libraries
            assert not [name for name in ("torch", "psycopg", "cryptography", "onnxruntime") if name in libraries]


@pytest.mark.parametrize(
    ("module", "permitted"),
    [("analysis.decoding.server", {"analysis", "numpy", "av"}), ("analysis.decode", {"analysis", "numpy"})],
)
def test_server_and_face_load_nothing_beyond_their_means(module: str, permitted: set[str]) -> None:
    script = f"import sys; before = set(sys.modules); import {module}; print(*set(sys.modules) - before)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.append({str(ROOT)!r}); {script}"],
        capture_output=True,
        check=True,
        text=True,
    )
    foreign = {name.split(".")[0] for name in loaded.stdout.split()} - set(sys.stdlib_module_names)
    assert {name for name in foreign if not name.startswith(("_", "cython_runtime"))} == permitted


# What a child in the hands of its media may say


class Possessed:
    """Plays the server and a child whose media took it over: says what it likes on the job's socket."""

    def __init__(self, limits: DecodeLimits | None = None) -> None:
        control, self._control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.job = Job(Operation.DECODE, Media(wav(MONO_16K)), limits or DecodeLimits())
        self.job.hand_over(control)
        _, (job, shared, supervision), _, _ = socket.recv_fds(self._control, 65_536, 3)
        control.close()
        os.close(shared)
        self.child, self.supervision = socket.socket(fileno=job), socket.socket(fileno=supervision)

    def says(self, message: bytes) -> Exception:
        self.child.sendall(message)
        self.supervision.sendall(bytes(8))
        self.child.shutdown(socket.SHUT_WR)
        try:
            with pytest.raises(Exception) as raised:
                Facts.parse(self.job.converse(lambda _: None), DecodeLimits())
            return raised.value
        finally:
            self.job.close()
            for one in (self.child, self.supervision, self._control):
                one.close()


def message(kind: int, body: bytes) -> bytes:
    return MESSAGE.pack(kind, len(body)) + body


@pytest.mark.parametrize(
    "said",
    [
        message(99, b""),
        message(Kind.PROBED, b"{}"),
        MESSAGE.pack(Kind.DECODED, 0xFFFFFFFF),
        message(Kind.READ, READ.pack(1 << 60, 100)),
        message(Kind.READ, READ.pack(0, BLOCK + 1)),
        message(Kind.READ, READ.pack(0, 0)),
        message(Kind.READ, b"short"),
        message(Kind.REFUSED, b"no such refusal"),
        message(Kind.REFUSED, b"\xff\xfe"),
        b"\x02",
    ],
)
def test_a_child_that_speaks_out_of_turn_is_treated_as_dead(said: bytes) -> None:
    assert type(Possessed().says(said)) is decode.DecoderDied


HONEST = Facts(
    container="wav", codec="pcm_s16le", source_rate=16_000, channels=1, frames=16_000, filled=0.0, truncated=False
)


@pytest.mark.parametrize(
    "claim",
    [
        b"[" * 4_000,
        b"not json",
        b"[]",
        b"{}",
        HONEST.encode().replace(b"16000}", b'16000, "more": 1}').replace(b'"frames": 16000', b'"frames": 999999999999'),
        HONEST.encode().replace(b'"frames": 16000', b'"frames": -1'),
        HONEST.encode().replace(b'"frames": 16000', b'"frames": 1e3'),
        HONEST.encode().replace(b'"frames": 16000', b'"frames": true'),
        HONEST.encode().replace(b'"channels": 1', b'"channels": 1000'),
        HONEST.encode().replace(b'"channels": 1', b'"channels": 0'),
        HONEST.encode().replace(b'"filled": 0.0', b'"filled": NaN'),
        HONEST.encode().replace(b'"filled": 0.0', b'"filled": "much"'),
        HONEST.encode().replace(b'"wav"', b'"<script>"'),
        HONEST.encode().replace(b'"pcm_s16le"', b'["pcm_s16le"]'),
        HONEST.encode().replace(b'"truncated": false', b'"truncated": 0'),
    ],
)
def test_facts_that_no_honest_child_states_are_not_believed(claim: bytes) -> None:
    assert Facts.parse(HONEST.encode(), DecodeLimits()) == HONEST
    assert isinstance(Possessed().says(message(Kind.DECODED, claim)), ValueError | TypeError | RecursionError)


def test_a_child_that_cannot_lock_itself_up_makes_the_decoder_unavailable() -> None:
    error = Possessed().says(message(Kind.REFUSED, Refusal.SANDBOX.encode()))
    assert type(error) is decode.DecoderUnavailable
