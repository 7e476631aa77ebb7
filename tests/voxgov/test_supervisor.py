"""The supervisor: what ends is started again, what is stopped is gone with all its children, however the end came."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from voxgov.children import ChildProblem
from voxgov.supervision import Program, ProgramUnit, RotatingLog, Supervisor, run_to_end
from voxgov.supervisor import free_port, programs

ROOT = Path(__file__).parents[2]

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)
PARENT = "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "log", said.append)
    yield supervisor
    supervisor.stop()


def test_a_program_that_ends_is_started_again_each_time_after_twice_the_delay(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    supervisor.start(ProgramUnit(_program("short", "raise SystemExit(3)", tmp_path)))
    assert supervisor.watch(lambda: len(supervisor.endings("short")) == 3)
    assert supervisor.endings("short") == [3, 3, 3]
    assert [line for line in said if "in 0.5 s" in line]
    assert [line for line in said if "in 1.0 s" in line]
    assert [line for line in said if "in 2.0 s" in line]


def test_a_program_that_is_killed_runs_again(supervisor: Supervisor, said: list[str], tmp_path: Path) -> None:
    unit = ProgramUnit(_program("long", "import time; time.sleep(600)", tmp_path))
    supervisor.start(unit)
    first = unit.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert supervisor.watch(lambda: unit.pid not in {None, first})
    assert "long was killed by signal 9" in said[0]


def test_stopping_leaves_nothing_of_a_program_that_ignores_its_signal(supervisor: Supervisor, tmp_path: Path) -> None:
    unit = ProgramUnit(_program("stubborn", STUBBORN, tmp_path, (signal.SIGTERM, 0.2)))
    supervisor.start(unit)
    _wait_for(lambda: "ready" in _log(tmp_path, "stubborn"))
    assert unit.pid is not None
    process = psutil.Process(unit.pid)
    supervisor.stop()
    assert not _lives(process)


def test_stopping_leaves_nothing_of_what_a_program_started(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(ProgramUnit(_program("parent", PARENT, tmp_path)))
    _wait_for(lambda: _log(tmp_path, "parent").endswith("\n"))
    grandchild = psutil.Process(int(_log(tmp_path, "parent").split()[-1]))
    supervisor.stop()
    _wait_for(lambda: not _lives(grandchild))


class Server:
    """A unit that others rest on: notes whether they were gone when it was stopped."""

    name = "server"
    pid = None

    def __init__(self, gone: Callable[[], bool]) -> None:
        self._gone = gone
        self.stopped_last = False

    def start(self, output: int | None = None) -> None:
        return

    def poll(self) -> int | None:
        return None

    def ask_to_stop(self) -> None:
        return

    def stop(self) -> None:
        self.stopped_last = self._gone()


def test_programs_stop_side_by_side_and_what_they_rest_on_stops_after_them(tmp_path: Path) -> None:
    slow = "import signal, sys, time\ndef end(*_): time.sleep(0.5); sys.exit(0)\n"
    slow += "signal.signal(signal.SIGTERM, end); print('ready', flush=True); time.sleep(600)"
    supervisor = Supervisor(tmp_path / "log", lambda _line: None)
    units = [ProgramUnit(_program(f"p{number}", slow, tmp_path)) for number in range(4)]
    server = Server(lambda: all(unit.pid is None for unit in units))
    supervisor.start(server)
    for unit in units:
        supervisor.start(unit)
    _wait_for(lambda: all("ready" in _log(tmp_path, unit.name) for unit in units))
    began = time.monotonic()
    supervisor.stop()
    assert server.stopped_last
    assert time.monotonic() - began < 1.9, "one after the other they need two seconds"


SUPERVISING = """
import json, subprocess, sys
from pathlib import Path
from voxgov.supervision import Program, ProgramUnit, Supervisor
place, code = Path(sys.argv[1]), sys.argv[2]
supervisor = Supervisor(place / "log", lambda line: None)
supervisor.handle_signals()
units = [ProgramUnit(Program(f"p{number}", (sys.executable, "-c", code), {}, place)) for number in range(2)]
for unit in units:
    supervisor.start(unit)
print(json.dumps([unit.pid for unit in units]), flush=True)
supervisor.watch()
supervisor.stop()
"""


@pytest.fixture
def supervising(tmp_path: Path) -> Iterator[Callable[[str], tuple["subprocess.Popen[bytes]", list[psutil.Process]]]]:
    """Starts a supervisor in a process of its own, with two programs that run `code`."""
    started = []

    def start(code: str) -> tuple["subprocess.Popen[bytes]", list[psutil.Process]]:
        child = subprocess.Popen(
            [sys.executable, "-c", SUPERVISING, str(tmp_path), code], stdout=subprocess.PIPE, cwd=ROOT
        )
        started.append(child)
        assert child.stdout is not None
        processes = [psutil.Process(pid) for pid in json.loads(child.stdout.readline())]
        _wait_for(lambda: all("ready" in _log(tmp_path, f"p{number}") for number in range(2)))
        return child, processes

    yield start
    for child in started:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


WAITING = "import time; print('ready', flush=True); time.sleep(600)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_ends_well(
    supervising: Callable[[str], tuple["subprocess.Popen[bytes]", list[psutil.Process]]], number: signal.Signals
) -> None:
    child, processes = supervising(WAITING)
    child.send_signal(number)
    assert child.wait(20) == 0
    assert [process for process in processes if _lives(process)] == []


def test_a_second_ctrl_c_does_not_wait(
    supervising: Callable[[str], tuple["subprocess.Popen[bytes]", list[psutil.Process]]],
) -> None:
    child, processes = supervising(STUBBORN)
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    time.sleep(0.5)  # the first one must have been taken, or the two become one
    child.send_signal(signal.SIGINT)
    assert child.wait(5) == 130
    assert time.monotonic() - began < 5, "two stubborn programs are given ten seconds each after the first one"
    _wait_for(lambda: not any(_lives(process) for process in processes))


def test_a_killed_supervisor_leaves_no_process_behind(
    supervising: Callable[[str], tuple["subprocess.Popen[bytes]", list[psutil.Process]]],
) -> None:
    child, processes = supervising(STUBBORN)
    child.kill()
    child.wait()
    _wait_for(lambda: not any(_lives(process) for process in processes))


def test_output_goes_into_one_log_per_program_line_by_line_with_the_time(tmp_path: Path) -> None:
    echoed: list[str] = []
    supervisor = Supervisor(tmp_path / "log", lambda _line: None, echoed.append)
    code = "import time; print('a line'); print('caf\\u00e9', flush=True); time.sleep(600)"
    supervisor.start(ProgramUnit(_program("talker", code, tmp_path)))
    _wait_for(lambda: len(echoed) == 2)
    supervisor.stop()
    assert echoed[0] == "talker   | a line"
    assert [line.split(" ", 1)[1] for line in _log(tmp_path, "talker").splitlines()] == ["a line", "café"]


def test_a_log_makes_way_when_it_is_full_and_the_oldest_goes(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "x.log", limit=200, keep=2)
    for number in range(40):
        log.write(f"line {number:02d} {'.' * 40}".encode())
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.log", "x.log.1", "x.log.2"]
    assert all(path.stat().st_size <= 200 for path in tmp_path.iterdir())
    assert "line 39" in (tmp_path / "x.log").read_text()


def test_a_program_that_does_not_exist_is_a_typed_error(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(ChildProblem, match="/no/such/program"):
        supervisor.start(ProgramUnit(Program("none", ("/no/such/program",), {}, tmp_path)))


def test_a_step_answers_its_exit_status_while_the_programs_are_watched(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(ProgramUnit(_program("short", "raise SystemExit(3)", tmp_path)))
    command = [sys.executable, "-c", "import time; time.sleep(1); print('said'); raise SystemExit(4)"]
    log = tmp_path / "step.log"
    assert run_to_end(supervisor, command, environment={}, directory=tmp_path, log=log) == 4
    assert log.read_text() == "said\n"
    assert supervisor.endings("short")


def test_a_taken_port_gives_way_to_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = taken.getsockname()[1]
        found = free_port(wanted)
        assert found != wanted
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", found))


def test_web_listens_on_this_machine_only_and_models_run_one_job_at_a_time(tmp_path: Path) -> None:
    by_name = {program.name: program for program in programs(tmp_path, 8123, {"DATABASE_URL": "x"})}
    assert set(by_name) == {"web", "model", "light", "sequencer", "beat"}
    assert "127.0.0.1:8123" in by_name["web"].command
    assert by_name["model"].command[by_name["model"].command.index("--pool") + 1] == "solo"
    assert by_name["model"].command[by_name["model"].command.index("--queues") + 1] == "model"
    assert by_name["light"].command[by_name["light"].command.index("--queues") + 1] == "light"


def _program(name: str, code: str, place: Path, stop: tuple[signal.Signals, float] = (signal.SIGTERM, 5.0)) -> Program:
    return Program(name, (sys.executable, "-c", code), {"PYTHONUTF8": "1"}, place, (stop,))


def _log(place: Path, name: str) -> str:
    path = place / "log" / f"{name}.log"
    return path.read_text() if path.exists() else ""


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
