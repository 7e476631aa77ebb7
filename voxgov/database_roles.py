"""The database roles and what each may do: the owner of the tables, the application, and the one that prunes.

`voxgov_owner` runs migrations and owns every table. `voxgov_app` is what web and workers connect as: it owns nothing,
creates nothing, and starts with reading and writing rows; the migrations of append-only tables take UPDATE, DELETE and
TRUNCATE away from it. `voxgov_prune` cannot log in; it owns the few SECURITY DEFINER functions that check their own
condition. The same statements serve the embedded server, the tests and, with a superuser's URL, any PostgreSQL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql

OWNER, APP, PRUNE = "voxgov_owner", "voxgov_app", "voxgov_prune"
DATABASE, KEYS_DATABASE = "voxgov", "voxgov_keys"


@dataclass(frozen=True, slots=True)
class Server:
    """How to reach a server as its superuser: connection parameters without a database name."""

    host: str
    user: str
    password: str
    port: int = 5432

    def connect(self, database: str) -> "psycopg.Connection[tuple[object, ...]]":
        """Raises `psycopg.OperationalError`."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database,
            autocommit=True,
            connect_timeout=10,
            client_encoding="UTF8",
        )


def ensure_roles(server: Server, passwords: Mapping[str, str]) -> None:
    """Makes the three roles as they must be, whatever they were; `passwords` has one for `OWNER` and one for `APP`."""
    bare = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    with server.connect("postgres") as connection:
        for role in (OWNER, APP, PRUNE):
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        for role in (OWNER, APP):
            statement = sql.SQL("ALTER ROLE {} LOGIN {} PASSWORD {}")
            connection.execute(
                statement.format(sql.Identifier(role), sql.SQL(bare), sql.Literal(passwords[role])),
            )
        connection.execute(
            sql.SQL("ALTER ROLE {} NOLOGIN {} PASSWORD NULL").format(sql.Identifier(PRUNE), sql.SQL(bare))
        )
        # The owner may hand a function over to the pruning role; it does not act with that role's rights by itself.
        connection.execute(f"GRANT {PRUNE} TO {OWNER} WITH INHERIT FALSE, SET TRUE")


def ensure_databases(server: Server, names: Sequence[str] = (DATABASE, KEYS_DATABASE)) -> None:
    """Makes each database with the privileges that the roles start from. Safe to repeat."""
    with server.connect("postgres") as connection:
        for name in names:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if known is None:
                # template0 holds nothing that somebody may have put into template1.
                create = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'")
                connection.execute(create.format(sql.Identifier(name), sql.Identifier(OWNER)))
            statement = sql.SQL("REVOKE ALL ON DATABASE {0} FROM PUBLIC; GRANT CONNECT ON DATABASE {0} TO {1}")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(APP)))
    for name in names:
        with server.connect(name) as connection:
            for privilege in _PRIVILEGES:
                connection.execute(privilege)


def note(server: Server, database: str, text: str) -> None:
    """Keeps a line with a database, as its comment: it goes, and comes back from a backup, with what it speaks of."""
    with server.connect("postgres") as connection:
        statement = sql.SQL("COMMENT ON DATABASE {} IS {}")
        connection.execute(statement.format(sql.Identifier(database), sql.Literal(text)))


def noted(server: Server, database: str) -> str:
    """What `note` kept, or nothing."""
    with server.connect("postgres") as connection:
        question = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
        row = connection.execute(question, [database]).fetchone()
    return str(row[0]) if row is not None and row[0] is not None else ""


def drop_databases(server: Server, names: Sequence[str]) -> None:
    """Drops databases, connected clients or not. For tests."""
    with server.connect("postgres") as connection:
        for name in names:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


_PRIVILEGES: tuple[LiteralString, ...] = (
    f"ALTER SCHEMA public OWNER TO {OWNER}",
    "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    f"GRANT USAGE ON SCHEMA public TO {APP}",
    # To be given a function it must be allowed to create in the schema: a migration grants that and takes it back.
    f"GRANT USAGE ON SCHEMA public TO {PRUNE}",
    f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APP}",
    f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT USAGE, SELECT ON SEQUENCES TO {APP}",
)
