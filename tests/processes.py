"""Real processes for tests: a web server as in production, on a free port, and a raw connection that can send slowly."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent


class Web:
    """gunicorn with the production's worker class, in its own process group, its output in a log file."""

    def __init__(self, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "voxgov.wsgi:application", "--worker-class", "gthread"),
                    *("--threads", "4", "--bind", f"127.0.0.1:{self.port}", "--timeout", "120", "--no-control-socket"),
                ],
                cwd=ROOT,
                env={**self._environment, "TMPDIR": str(self._log.parent.parent / "tmp")},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        began = time.monotonic()
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if self._process.poll() is not None or time.monotonic() - began > 30:
                    raise RuntimeError(f"the web server did not start; see {self._log}") from None
                time.sleep(0.05)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def processes(self) -> list[int]:
        """The master and its workers."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [self._process.pid, *map(int, children)]

    def kill(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class SlowUpload:
    """A PUT whose body is sent piece by piece."""

    def __init__(self, web: Web, path: str, token: str, length: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", web.port), timeout=60)
        self._socket.sendall(
            f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: audio/wav\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode()
        )

    def send(self, piece: bytes) -> None:
        self._socket.sendall(piece)

    def status(self) -> int:
        """Waits for the answer's status line."""
        answer = b""
        while b"\r\n" not in answer:
            piece = self._socket.recv(4096)
            if not piece:
                raise ConnectionError("closed without an answer")
            answer += piece
        return int(answer.split(b" ", 2)[1])

    def close(self) -> None:
        self._socket.close()
