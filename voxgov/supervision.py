"""Keeping a set of programs running: started in order, started again when they end, stopped in reverse order.

Which programs voxgov consists of is `supervisor.py`'s; how a child is bound to us is `children.py`'s. Nothing here
knows Django, a database or the network.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from voxgov.children import ChildProblem, end_group, start_child, stop_child

_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0
"""Seconds before a program that ended is started again; doubled each time."""
_STABLE_AFTER = 60.0
"""Seconds. A program that ran this long starts afresh with the first delay."""
_LOOK_EVERY = 0.1


class Unit(Protocol):
    """Something that runs until it is stopped. `EmbeddedPostgres` and `EmbeddedValkey` are units too."""

    @property
    def name(self) -> str: ...

    @property
    def pid(self) -> int | None: ...

    def start(self, output: int | None = None) -> None:
        """Returns once it runs. Raises `ChildProblem`."""

    def poll(self) -> int | None:
        """The exit status, or nothing while it runs."""

    def ask_to_stop(self) -> None:
        """Lets it begin to stop while others do the same; one that others rest on waits for `stop`."""

    def stop(self) -> None:
        """Returns once it is gone."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program and how it is stopped: each signal with the seconds it is given, then the whole group is killed.

    `death_signal` is what it gets when the supervisor is killed: one that it obeys at once.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    stop_signals: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 10.0),)
    death_signal: signal.Signals = signal.SIGKILL


class ProgramUnit:
    """A `Program` as a unit."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._child: subprocess.Popen[bytes] | None = None
        self._asked = False

    @property
    def name(self) -> str:
        return self._program.name

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def start(self, output: int | None = None) -> None:
        program, self._asked = self._program, False
        self._child = start_child(
            program.command,
            output=subprocess.DEVNULL if output is None else output,
            environment=program.environment,
            directory=program.directory,
            death_signal=program.death_signal,
        )

    def poll(self) -> int | None:
        return self._child.poll() if self._child is not None else 0

    def ask_to_stop(self) -> None:
        if self._child is not None and self._child.poll() is None and self._program.stop_signals:
            self._child.send_signal(self._program.stop_signals[0][0])
            self._asked = True

    def stop(self) -> None:
        if self._child is not None:
            stop_child(self._child, *self._program.stop_signals, asked=self._asked)
            self._child = None


class RotatingLog:
    """Lines of one unit in `NAME.log`, each with the time it came; at `limit` bytes it makes way, and `keep` are kept."""

    def __init__(self, path: Path, *, limit: int = 5 << 20, keep: int = 3) -> None:
        self._path, self._limit, self._keep = path, limit, keep
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("ab")

    def write(self, line: bytes) -> None:
        if self._file.tell() + len(line) > self._limit:
            self._rotate()
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
        self._file.write(moment + b" " + line.rstrip(b"\r\n") + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        for number in range(self._keep - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            if older.exists():
                older.replace(self._path.with_name(f"{self._path.name}.{number + 1}"))
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        self._file = self._path.open("ab")


@dataclass(slots=True)
class _Watched:
    unit: Unit
    delay: float = _FIRST_DELAY
    started: float = 0.0
    start_at: float | None = None
    endings: list[int] = field(default_factory=list)


class Supervisor:
    """Runs units. Use it from the main thread only: children are bound to the thread that starts them.

    Args:
        log_dir: where each unit's output goes, as `NAME.log`.
        say: told in one line whenever a unit ends unasked and when it is started again.
        echo: told each line of output with the unit's name before it, when given.
    """

    def __init__(
        self,
        log_dir: Path,
        say: Callable[[str], None],
        echo: Callable[[str], None] | None = None,
    ) -> None:
        self._log_dir, self._say, self._echo = log_dir, say, echo
        self._watched: list[_Watched] = []
        self._interrupts = 0

    @property
    def interrupted(self) -> bool:
        return self._interrupts > 0

    def handle_signals(self) -> None:
        """From here on SIGINT, SIGTERM and SIGHUP end `watch`; the second one kills everything at once."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def start(self, unit: Unit) -> None:
        """Starts a unit and watches it from now on. Raises `ChildProblem`."""
        watched = _Watched(unit)
        self._watched.append(watched)
        self._start(watched)

    def watch(self, until: Callable[[], bool] = lambda: False) -> bool:
        """Keeps everything running until interrupted (answers False) or `until` holds (answers True)."""
        while not self._interrupts:
            self.look()
            if until():
                return True
            time.sleep(_LOOK_EVERY)
        return False

    def look(self) -> None:
        """One look at every unit: notes which ended, starts those whose time has come."""
        now = time.monotonic()
        for watched in self._watched:
            if watched.start_at is None:
                status = watched.unit.poll()
                if status is not None:
                    self._ended(watched, status, now)
            elif now >= watched.start_at:
                try:
                    self._start(watched)
                    self._say(f"{watched.unit.name} runs again")
                except ChildProblem as problem:
                    self._say(f"{watched.unit.name} did not start: {problem}")
                    self._put_off(watched, now)

    def endings(self, name: str) -> list[int]:
        """The exit statuses with which a unit ended unasked, oldest first."""
        return [status for watched in self._watched if watched.unit.name == name for status in watched.endings]

    def stop(self) -> None:
        """Stops every unit, the last started first; programs stop side by side, servers only after them."""
        for watched in reversed(self._watched):
            watched.unit.ask_to_stop()
        while self._watched:
            self._watched.pop().unit.stop()

    def _ended(self, watched: _Watched, status: int, now: float) -> None:
        watched.endings.append(status)
        watched.unit.stop()  # whatever it left behind in its group
        if now - watched.started > _STABLE_AFTER:
            watched.delay = _FIRST_DELAY
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        self._say(
            f"{watched.unit.name} {how}; starting it again in {watched.delay:.1f} s (see {self._log(watched.unit)})"
        )
        self._put_off(watched, now)

    def _put_off(self, watched: _Watched, now: float) -> None:
        watched.start_at = now + watched.delay
        watched.delay = min(_LONGEST_DELAY, 2 * watched.delay)

    def _start(self, watched: _Watched) -> None:
        reading, writing = os.pipe()
        reader = threading.Thread(
            target=self._forward, args=(watched.unit.name, reading), name=f"log {watched.unit.name}", daemon=True
        )
        reader.start()
        try:
            watched.unit.start(writing)
        finally:
            os.close(writing)
        watched.started, watched.start_at = time.monotonic(), None

    def _forward(self, name: str, reading: int) -> None:
        """Carries lines from a unit into its log until the last process that holds the pipe is gone."""
        log = RotatingLog(self._log_dir / f"{name}.log")
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                log.write(line)
                if self._echo is not None:
                    self._echo(f"{name:<8} | {line.decode(errors='replace').rstrip()}")
        log.close()

    def _log(self, unit: Unit) -> Path:
        return self._log_dir / f"{unit.name}.log"

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._interrupts += 1
        if self._interrupts > 1:
            for watched in self._watched:
                if (pid := watched.unit.pid) is not None:
                    end_group(pid)
            os._exit(130)


def run_to_end(
    supervisor: Supervisor,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    log: Path | None = None,
) -> int:
    """Runs one command while the units are watched; its output goes to `log`, or to our own output when there is none.

    Answers its exit status, or 130 when we were interrupted meanwhile (the command is stopped).
    """
    with log.open("ab") if log is not None else os.fdopen(os.dup(1), "wb") as output:
        child = start_child(command, output=output, environment=environment, directory=directory)
        finished = supervisor.watch(lambda: child.poll() is not None)
    status = stop_child(child, (signal.SIGINT, 3.0))
    return status if finished else 130
