"""`python -m voxgov.supervisor`: everything that voxgov consists of on one machine, started in order and kept running.

The embedded PostgreSQL and Valkey, the schema and the secrets, then web, two workers and the scheduler. Ctrl-C stops it
all; a second Ctrl-C does not wait. `deploy/quickstart` ends in this program; keeping programs alive is the part of
`supervision.py`.
"""

import argparse
import hashlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from voxgov.children import ChildProblem
from voxgov.database_roles import DATABASE, KEYS_DATABASE, note, noted
from voxgov.embedded import EmbeddedPostgres, EmbeddedValkey, empty_tmp, prepare_var, record_settings
from voxgov.embedded_server import locked
from voxgov.environment import models_dir, surroundings, var_dir, write_private
from voxgov.supervision import Program, ProgramUnit, Supervisor, run_to_end

ROOT = Path(__file__).resolve().parent.parent
READY = "/health/ready"
_READY_LIMIT = 180.0
"""Seconds until the web process must answer; a machine that starts cold compiles every module first."""
_PATIENCE = 5
"""How often a service may end before it was ever ready."""


class Launch:
    """One run of voxgov under one var directory."""

    def __init__(self, var: Path, *, wanted_port: int, verbose: bool) -> None:
        self.var = var
        self.wanted_port = wanted_port
        self.base = ""
        self.supervisor = Supervisor(var / "log", self.note, say if verbose else None)
        self.environment: dict[str, str] = {}
        self.owner_settings: dict[str, str] = {}

    def note(self, line: str) -> None:
        """What happened unasked while voxgov runs."""
        say(f"  ! {line}")

    def servers(self) -> None:
        postgres, valkey = EmbeddedPostgres(self.var), EmbeddedValkey(self.var)
        with step("Database", "PostgreSQL on a private socket"):
            self.supervisor.start(postgres)
        with step("Broker", "Valkey on a private socket"):
            self.supervisor.start(valkey)
        empty_tmp(self.var)
        settings = record_settings(self.var, postgres, valkey)
        self.owner_settings = {name: value for name, value in settings.items() if name.startswith("OWNER_")}
        application = {name: value for name, value in settings.items() if name not in self.owner_settings}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OWNER_")}
        self.environment = surroundings(inherited, application) | self._common()

    def prepare(self) -> None:
        """Keyring, schema and demo organization. Skipped when the same code did it for the same database before."""
        server, wanted = EmbeddedPostgres(self.var).server, prepared_mark()
        marks = {database: noted(server, database) for database in (DATABASE, KEYS_DATABASE)}
        credentials, keyring = self.var / "secrets" / "demo.json", self.var / "secrets" / "keyring.json"
        if set(marks.values()) == {wanted} and credentials.exists() and keyring.exists():
            with step("Schema", "as this version needs it"):
                return
        owner = self.environment | self.owner_settings | {"VOXGOV_DB_ROLE": "owner"}
        with step("Keyring", "made once, mode 0600"):
            self.manage("vault", "init")
        with step("Schema", "both databases migrated"):
            self.manage("migrate", "--no-input", environment=owner)
            self.manage("migrate", "--no-input", "--database", "keys", environment=owner)
        with step("Demo data", "organization, project, clients, administrator"):
            self.manage("demo_setup", "--credentials", str(credentials))
        for database in marks:
            note(server, database, wanted)

    def services(self) -> None:
        port = free_port(self.wanted_port)
        self.base = f"http://127.0.0.1:{port}"
        with step("Services", "web, model and light worker, sequencer, scheduler"):
            for program in programs(self.var, port, self.environment):
                self.supervisor.start(ProgramUnit(program))
            self._wait_until_ready(port)
        write_private(self.var / "run" / "address", self.base + "\n")

    def manage(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Runs `manage.py`; raises `ChildProblem` when it fails."""
        log = self.var / "log" / "manage.log"
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        status = run_to_end(
            self.supervisor, command, environment=environment or self.environment, directory=ROOT, log=log
        )
        if self.supervisor.interrupted:
            raise KeyboardInterrupt
        if status != 0:
            raise ChildProblem(f"manage.py {arguments[0]} failed: {last_line(log)} (see {log})")

    def _wait_until_ready(self, port: int) -> None:
        deadline = time.monotonic() + _READY_LIMIT
        looked = 0.0

        def ready() -> bool:
            nonlocal looked
            for name in ("web", "model", "light", "sequencer", "beat"):
                if len(self.supervisor.endings(name)) >= _PATIENCE:
                    log = self.var / "log" / f"{name}.log"
                    raise ChildProblem(f"{name} keeps ending: {last_line(log)} (see {log})")
            if time.monotonic() > deadline:
                raise ChildProblem(f"web did not become ready within {_READY_LIMIT:.0f} s: see {self.var / 'log'}.")
            if time.monotonic() - looked < 0.2:
                return False
            looked = time.monotonic()
            return answers(port)

        if not self.supervisor.watch(ready):
            raise KeyboardInterrupt

    def _common(self) -> dict[str, str]:
        """Nothing that runs here asks a model hub for anything, and temporary files stay under the var directory."""
        return {
            "VOXGOV_VAR": str(self.var),
            "VOXGOV_MODELS": str(models_dir()),
            "TMPDIR": str(self.var / "tmp"),
            "DJANGO_SETTINGS_MODULE": "voxgov.settings",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "",  # whoever forbids it makes every start compile every module
        }


def prepared_mark() -> str:
    """Moves with every migration, ours and third-party."""
    digest = hashlib.sha256((ROOT / "requirements" / "base.lock").read_bytes())
    for migration in sorted(ROOT.glob("*/migrations/*.py")):
        digest.update(str(migration.relative_to(ROOT)).encode() + b"\0" + migration.read_bytes() + b"\0")
    return f"prepared {digest.hexdigest()}"


def programs(var: Path, port: int, environment: Mapping[str, str]) -> tuple[Program, ...]:
    """Web, the two workers, the sequencer of the log and the scheduler.

    A worker that is asked to stop gives its job a moment and is then killed: the job's lease runs out and another takes
    it. Celery's own pools of processes are not used: one model job at a time needs none, and light jobs share a process.
    """
    python = sys.executable
    celery = (python, "-m", "celery", "--app", "voxgov.celery:app", "--quiet")
    worker = (*celery, "worker", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO")
    web = (
        *(python, "-m", "gunicorn", "voxgov.wsgi:application", "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--workers", "2", "--threads", "16", "--timeout", "120"),
        *("--graceful-timeout", "5", "--preload", "--worker-tmp-dir", str(var / "tmp"), "--no-control-socket"),
    )
    term, quit_ = signal.SIGTERM, signal.SIGQUIT
    return (
        Program("web", web, environment, ROOT, ((term, 8.0),), death_signal=signal.SIGINT),
        Program(
            "model",
            (*worker, "--queues", "model", "--pool", "solo", "--hostname", "model@localhost"),
            environment,
            ROOT,
            ((term, 3.0), (quit_, 2.0)),
        ),
        Program(
            "light",
            (*worker, "--queues", "light", "--pool", "threads", "--concurrency", "4", "--hostname", "light@localhost"),
            environment,
            ROOT,
            ((term, 5.0), (quit_, 2.0)),
        ),
        Program("sequencer", (python, str(ROOT / "manage.py"), "sequencer"), environment, ROOT, ((term, 3.0),)),
        Program(
            "beat",
            (
                *celery,
                "beat",
                "--schedule",
                str(var / "run" / "beat-schedule"),
                "--pidfile",
                "",
                "--loglevel",
                "WARNING",
            ),
            environment,
            ROOT,
            ((term, 3.0),),
        ),
    )


def free_port(wanted: int) -> int:
    """`wanted`, or any free port of 127.0.0.1 where that one is taken."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise ChildProblem("no port of 127.0.0.1 is free: end a program that listens there, then run this again.")


def answers(port: int) -> bool:
    """Whether the web process on `port` says that it is ready."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5.0)
    try:
        connection.request("GET", READY)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1].strip() if lines else "it said nothing"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def step(name: str, what: str) -> Iterator[None]:
    """One line per step: its name, what it made, and its seconds."""
    started = time.monotonic()
    yield
    say(f"  {name:<10} {what:<48} {time.monotonic() - started:6.1f} s")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m voxgov.supervisor", description=__doc__)
    parser.add_argument("--var", type=Path, default=None, help="directory for all data (default: VOXGOV_VAR, or var)")
    parser.add_argument("--port", type=int, default=8000, help="wanted port; another one is taken if it is not free")
    parser.add_argument("--verbose", action="store_true", help="show what the services say")
    parser.add_argument("--demo", choices=("first", "always", "never"), default="never", help="when to run the demo")
    parser.add_argument("--check", action="store_true", help="run the demo, stop, and exit 0 only if it succeeded")
    given = parser.parse_args(arguments)
    var = (given.var or var_dir()).resolve()
    try:
        prepare_var(var)
        lock = locked(var / "run" / "supervisor.lock", "voxgov")
    except (ChildProblem, OSError) as problem:
        say(f"{problem}")
        return 1
    launch = Launch(var, wanted_port=given.port, verbose=given.verbose)
    launch.supervisor.handle_signals()
    with lock:
        return _run(launch, demo="always" if given.check else given.demo, check=given.check)


def _run(launch: Launch, *, demo: str, check: bool) -> int:
    began = time.monotonic()
    try:
        for part in (launch.servers, launch.prepare, launch.services):
            part()
            if launch.supervisor.interrupted:
                raise KeyboardInterrupt
        say(f"  {'Ready':<10} {launch.base:<48} {time.monotonic() - began:6.1f} s")
        status = _demo(launch, demo)
        if check or launch.supervisor.interrupted:
            return status
        if status != 0:
            say("The demo did not do what it should; voxgov keeps running so that you can look (logs: var/log).")
        _addresses(launch)
        launch.supervisor.watch()
        say("\nStopping ...")
        return 0
    except KeyboardInterrupt:
        say("\nStopping ...")
        return 130
    except ChildProblem as problem:
        say(f"\n{problem}")
        return 1
    finally:
        launch.supervisor.stop()
        (launch.var / "run" / "address").unlink(missing_ok=True)


def _demo(launch: Launch, when: str) -> int:
    done = launch.var / "run" / "demo-done"
    if when == "never" or (when == "first" and done.exists()):
        return 0
    say("")
    command = [sys.executable, str(ROOT / "deploy" / "demo.py"), "--base", launch.base, "--var", str(launch.var)]
    status = run_to_end(launch.supervisor, command, environment=launch.environment, directory=ROOT)
    if status == 0:
        done.touch()
    return status


def _addresses(launch: Launch) -> None:
    say("")
    say(f"  API documentation   {launch.base}/v1/docs/")
    say(f"  Administration      {launch.base}/admin/")
    say(f"  Names and secrets   {launch.var / 'secrets' / 'demo.json'}")
    say(f"  Logs                {launch.var / 'log'}")
    say("")
    say("voxgov is running. Ctrl-C stops it; what it holds stays.")


if __name__ == "__main__":
    sys.exit(main())
