"""A real Celery worker process for benchmarks and drills: started, told to hold and to go, and stopped by its id."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
START_PATIENCE = 60.0


class Worker:
    """One worker of one queue (`--pool=solo`, one job at a time), its output in a log file."""

    def __init__(self, log: Path, environment: Mapping[str, str] | None = None, *, queue: str = "model") -> None:
        self._log = log
        self._queue = queue
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.name = f"{queue}-{os.getpid()}-{time.monotonic_ns()}@local"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the worker does not run")
        return self._process.pid

    def start(self) -> None:
        """Starts the worker and waits until it listens."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *(
                        sys.executable,
                        "-m",
                        "celery",
                        "-A",
                        "voxgov.celery",
                        "worker",
                        "--pool=solo",
                        "--concurrency=1",
                    ),
                    *("-Q", self._queue, "-n", self.name, "--without-gossip", "--without-mingle", "--loglevel=INFO"),
                ],
                cwd=ROOT,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        began = time.monotonic()
        while b" ready." not in self._log.read_bytes():
            if self._process.poll() is not None or time.monotonic() - began > START_PATIENCE:
                raise RuntimeError(f"the worker did not start; see {self._log}")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL to the worker and everything that it started: the machine going dark."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
