"""The embedded PostgreSQL and Valkey: private, durable, recovering, and gone with whoever started them."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psutil
import psycopg
import pytest
import redis

from voxgov import database_roles as roles
from voxgov.children import ChildProblem
from voxgov.embedded import EmbeddedPostgres, EmbeddedValkey, embedded_services
from voxgov.embedded_server import own_directory, socket_directory

pytestmark = pytest.mark.services

CANARY = "8f1d0c55-canary-of-a-person"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """Both servers under a path with a space in it, and their settings."""
    var = tmp_path_factory.mktemp("em bedded")
    with embedded_services(var) as settings:
        yield var, settings


def test_the_application_reads_and_writes_rows_of_tables_that_it_does_not_own(
    running: tuple[Path, dict[str, str]],
) -> None:
    _, settings = running
    _run(settings["OWNER_DATABASE_URL"], "CREATE TABLE rows (id bigserial PRIMARY KEY, value text)")
    _run(settings["DATABASE_URL"], "INSERT INTO rows (value) VALUES ('one')")
    _run(settings["DATABASE_URL"], "UPDATE rows SET value = 'two'")
    assert _run(settings["DATABASE_URL"], "SELECT value FROM rows") == [("two",)]
    _run(settings["DATABASE_URL"], "DELETE FROM rows")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE own (id bigint)",
        "CREATE TEMP TABLE own (id bigint)",
        "CREATE SCHEMA own",
        "CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "TRUNCATE kept",
        "UPDATE kept SET value = 'other'",
        "DELETE FROM kept",
        "DROP TABLE kept",
        "ALTER TABLE kept DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "SET ROLE voxgov_owner",
        "SET ROLE voxgov_prune",
        "SELECT pg_read_file('/etc/hostname')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
def test_the_application_cannot_change_an_append_only_table_nor_get_around_it(
    running: tuple[Path, dict[str, str]], statement: LiteralString
) -> None:
    _, settings = running
    _run(settings["OWNER_DATABASE_URL"], "CREATE TABLE IF NOT EXISTS kept (value text)")
    _run(settings["OWNER_DATABASE_URL"], "REVOKE UPDATE, DELETE, TRUNCATE ON kept FROM voxgov_app")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        _run(settings["DATABASE_URL"], statement)


def test_the_owner_is_no_superuser_and_can_hand_a_function_to_the_pruning_role(
    running: tuple[Path, dict[str, str]],
) -> None:
    _, settings = running
    owner = settings["OWNER_DATABASE_URL"]
    assert _run(owner, "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user") == [
        (False, False, False)
    ]
    _run(owner, "CREATE FUNCTION prune() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'")
    _run(owner, "GRANT CREATE ON SCHEMA public TO voxgov_prune")
    _run(owner, "ALTER FUNCTION prune() OWNER TO voxgov_prune")
    assert _run(settings["DATABASE_URL"], "SELECT prune()") == [(1,)]


def test_the_pruning_role_cannot_log_in(running: tuple[Path, dict[str, str]]) -> None:
    var, _ = running
    server = EmbeddedPostgres(var).server
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host=server.host, user=roles.PRUNE, password="anything", dbname=roles.DATABASE)


def test_a_wrong_password_is_refused_on_the_private_socket_too(running: tuple[Path, dict[str, str]]) -> None:
    var, _ = running
    server = EmbeddedPostgres(var).server
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=server.host, user=roles.APP, password="guess", dbname=roles.DATABASE)


def test_it_listens_nowhere_but_on_its_socket_and_keeps_what_it_acknowledged(
    running: tuple[Path, dict[str, str]],
) -> None:
    var, settings = running
    wanted = {"listen_addresses": "", "fsync": "on", "full_page_writes": "on", "data_checksums": "on"}
    for name, value in wanted.items():
        assert _show(settings["DATABASE_URL"], name) == value
    assert _show(settings["DATABASE_URL"], "synchronous_commit") == "on"
    postmaster = int((var / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    assert [c for c in psutil.Process(postmaster).net_connections("inet") if c.status == psutil.CONN_LISTEN] == []


def test_a_role_reaches_only_the_two_databases(running: tuple[Path, dict[str, str]]) -> None:
    var, settings = running
    assert _run(settings["KEYS_DATABASE_URL"], "SELECT current_database()") == [("voxgov_keys",)]
    EmbeddedPostgres(var).ensure_databases(["test_more"])
    assert _run(EmbeddedPostgres(var).url("test_more", roles.OWNER), "SELECT current_user") == [("voxgov_owner",)]
    roles.drop_databases(EmbeddedPostgres(var).server, ["test_more"])


def test_a_note_stays_with_its_database_and_goes_with_it(running: tuple[Path, dict[str, str]]) -> None:
    server = EmbeddedPostgres(running[0]).server
    roles.ensure_databases(server, ["test_noted"])
    assert roles.noted(server, "test_noted") == ""
    roles.note(server, "test_noted", "it's prepared")
    assert roles.noted(server, "test_noted") == "it's prepared"
    roles.drop_databases(server, ["test_noted"])
    roles.ensure_databases(server, ["test_noted"])
    assert roles.noted(server, "test_noted") == ""
    roles.drop_databases(server, ["test_noted"])


def test_everything_private_is_closed_to_others(running: tuple[Path, dict[str, str]]) -> None:
    var, settings = running
    private = [var / "postgres", var / "valkey", var / "secrets", var / "blobs", var / "tmp", var / "log"]
    private += [EmbeddedPostgres(var).sockets, EmbeddedValkey(var).sockets]
    for directory in private:
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700, directory
    for file in [var / "run" / "environment", *(var / "secrets").iterdir()]:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert "OWNER_DATABASE_URL" in settings


def test_the_servers_do_not_run_as_root(running: tuple[Path, dict[str, str]]) -> None:
    var, _ = running
    postmaster = int((var / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    assert psutil.Process(postmaster).uids().effective != 0


def test_no_statement_value_or_row_reaches_the_log(running: tuple[Path, dict[str, str]]) -> None:
    var, settings = running
    _run(settings["OWNER_DATABASE_URL"], "CREATE TABLE people (name text PRIMARY KEY, age int CHECK (age < 200))")
    with psycopg.connect(settings["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("INSERT INTO people VALUES (%s, 1)", [CANARY])
        for statement in ("INSERT INTO people VALUES (%s, 1)", "INSERT INTO people VALUES (%s || 'x', 900)"):
            with pytest.raises(psycopg.errors.IntegrityError):
                connection.execute(statement, [CANARY])
        with pytest.raises(psycopg.errors.DataError):
            connection.execute("SELECT (%s)::int", [CANARY], prepare=False)
    log = (var / "log" / "postgres.log").read_bytes()
    assert b"ready to accept connections" in log
    assert CANARY.encode() not in log


def test_the_broker_keeps_nothing_on_disk_and_never_drops_a_bell_to_make_room(
    running: tuple[Path, dict[str, str]],
) -> None:
    var, settings = running
    client: Any = redis.Redis.from_url(settings["VALKEY_URL"])
    client.set("canary", CANARY)
    assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    assert client.config_get("save")["save"] == ""
    assert [path for path in (var / "valkey").iterdir() if path.is_file()] == []
    client.save()
    dumped = b"".join(path.read_bytes() for path in (var / "valkey").iterdir())
    assert CANARY.encode() in dumped, "a scan for plaintext must be able to read what the broker holds"


def test_a_second_start_under_the_same_directory_is_refused(running: tuple[Path, dict[str, str]]) -> None:
    var, settings = running
    with pytest.raises(ChildProblem, match="runs already"), embedded_services(var):
        pass
    assert _run(settings["DATABASE_URL"], "SELECT 1") == [(1,)]


def test_data_survives_a_killed_server_and_an_interrupted_initdb(tmp_path: Path) -> None:
    (tmp_path / "postgres.partial").mkdir()
    (tmp_path / "postgres.partial" / "PG_VERSION").write_text("18\n")
    postgres = EmbeddedPostgres(tmp_path)
    postgres.start()
    try:
        _run(postgres.url(roles.DATABASE, roles.OWNER), "CREATE TABLE kept AS SELECT 'acknowledged' AS value")
        assert postgres.pid is not None
        os.kill(postgres.pid, signal.SIGKILL)
        _wait_for(lambda: postgres.poll() is not None)
        postgres.stop()
        postgres.start()
        assert _run(postgres.url(roles.DATABASE, roles.APP), "SELECT value FROM kept") == [("acknowledged",)]
    finally:
        postgres.stop()


def test_a_note_that_names_a_living_stranger_does_not_stop_the_start(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path)
    postgres.start()
    note = (tmp_path / "postgres" / "postmaster.pid").read_text().splitlines()
    postgres.stop()
    (tmp_path / "postgres" / "postmaster.pid").write_text("\n".join([str(os.getppid()), *note[1:]]) + "\n")
    postgres.start()
    try:
        assert _run(postgres.url(roles.DATABASE, roles.APP), "SELECT 1") == [(1,)]
    finally:
        postgres.stop()


STARTER = """
import json, sys, time
from pathlib import Path
from voxgov.embedded import EmbeddedPostgres, EmbeddedValkey
var = Path(sys.argv[1])
postgres, valkey = EmbeddedPostgres(var), EmbeddedValkey(var)
postgres.start()
valkey.start()
print(json.dumps([postgres.pid, valkey.pid]), flush=True)
time.sleep(600)
"""


def test_a_killed_starter_leaves_no_server_behind_and_the_next_start_works(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert starter.stdout is not None
    pids = json.loads(starter.stdout.readline())
    family = [process for pid in pids for process in [psutil.Process(pid), *psutil.Process(pid).children()]]
    starter.kill()
    starter.wait()
    starter.stdout.close()
    with embedded_services(tmp_path) as settings:
        assert _run(settings["DATABASE_URL"], "SELECT 1") == [(1,)]
        assert [process for process in family if _lives(process)] == []


def test_a_path_too_long_for_a_socket_gets_a_short_private_directory(tmp_path: Path) -> None:
    var = tmp_path / ("long" * 30)
    found = socket_directory(var, "postgres", ".s.PGSQL.5432.lock")
    assert len(str(found)) < 80
    assert found == socket_directory(var, "postgres", ".s.PGSQL.5432.lock")
    assert found != socket_directory(tmp_path / ("long" * 31), "postgres", ".s.PGSQL.5432.lock")


def test_a_socket_directory_that_somebody_else_prepared_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "planted").symlink_to(tmp_path / "theirs")
    with pytest.raises(ChildProblem, match="somebody else"):
        own_directory(tmp_path / "planted", None)


def _run(url: str, statement: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def _show(url: str, name: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def _lives(process: psutil.Process) -> bool:
    """One that ended and that nobody has buried yet does not live."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait_for(condition: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
