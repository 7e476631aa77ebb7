"""The tests' services: a real PostgreSQL and a real Valkey of their own, fresh databases, and the application's own role.

Nothing is rolled back between tests: the domain commits, so tests commit too, and each works in an organization of its own.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.callers import Caller
    from tests.factories import World

ROOT = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.setdefault("VOXGOV_VAR", str(ROOT / "var" / "test"))).resolve()
if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes side by side (`pytest -n 2`) have servers, databases and files each of their own.
    VAR /= os.environ["PYTEST_XDIST_WORKER"]
    VAR.mkdir(parents=True, exist_ok=True)
    os.environ["VOXGOV_VAR"] = str(VAR)
os.environ.setdefault("VOXGOV_MODELS", str(ROOT / "var" / "models"))
# A stream that is read to its end says what is there and ends; tests of waiting ones give it more.
os.environ.setdefault("VOXGOV_STREAM_SECONDS", "0")
os.environ["DJANGO_SETTINGS_MODULE"] = "voxgov.settings"
_services = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    if getattr(config.option, "dist", "no") != "no":
        return  # this process only hands tests out
    from voxgov import database_roles, embedded

    try:
        embedded_postgres = embedded.EmbeddedPostgres(VAR, durable=False)
        os.environ.update(_services.enter_context(embedded.embedded_services(VAR, durable=False)))
        names = [database_roles.DATABASE, database_roles.KEYS_DATABASE]
        database_roles.drop_databases(embedded_postgres.server, names)
        # What was kept outside the databases speaks of those that are gone.
        for outside in ("checkpoints", "journal", "rewrapped"):
            shutil.rmtree(VAR / outside, ignore_errors=True)
        # Every client of a test looks for it and warns where it is not there.
        (VAR / "static").mkdir(exist_ok=True)
        embedded_postgres.ensure_databases(names)
        _manage("vault", "init")
        _manage("migrate", "--verbosity", "0")
        _manage("migrate", "--verbosity", "0", "--database", "keys")
    except BaseException:
        _services.close()
        raise
    import django

    django.setup()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Rotation moves every key that there is: it goes first, before other tests have made theirs.

    Each test gets a name of its own: of those generated from the OpenAPI document under one, side by side only one would run.
    """
    items.sort(key=lambda item: item.path.name != "test_rotation.py")
    named: Counter[str] = Counter()
    for item in items:
        named[item.nodeid] += 1
        if (count := named[item.nodeid]) > 1:
            item._nodeid = f"{item.nodeid}[{count}]"  # type: ignore[attr-defined]  # there is no other way


def pytest_unconfigure(config: pytest.Config) -> None:
    _services.close()


def _manage(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        check=True,
        env={**os.environ, "VOXGOV_DB_ROLE": "owner"},
        stdout=subprocess.DEVNULL,
    )


@pytest.fixture(autouse=True)
def _connections() -> Iterator[None]:
    """A test that leaves a transaction open or a connection broken fails alone."""
    yield
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            connection.close()
            raise AssertionError("the test left a transaction open")


@pytest.fixture
def world() -> "World":
    """An organization of its own, with a project, a purpose and a person."""
    from tests.factories import make_world

    return make_world()


@pytest.fixture
def operator(world: "World") -> "Caller":
    """A program that submits and reads in that project."""
    from accounts.roles import Role
    from tests.callers import Caller

    return Caller(world.project, Role.OPERATOR)


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[None]:
    """Passwords are hashed in no time here: how slow a guess is made is Django's business."""
    from django.test import override_settings

    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture
def superuser() -> Callable[[str], list[tuple[object, ...]]]:
    """Runs one statement as the database's superuser: what an intruder in the database could do."""
    from voxgov import database_roles, embedded

    server = embedded.EmbeddedPostgres(VAR, durable=False).server

    def run(statement: str) -> list[tuple[object, ...]]:
        with server.connect(database_roles.DATABASE) as connection:
            cursor = connection.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    return run


@pytest.fixture(scope="session")
def var() -> Path:
    return VAR


@pytest.fixture(scope="session")
def data() -> Path:
    """The clips that ship with the tests."""
    return ROOT / "tests" / "data"
