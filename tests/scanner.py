"""Looks for canaries in everything that voxgov keeps: database files, write-ahead log, blobs, logs, temporary files, the broker.

Canaries must be incompressible: PostgreSQL compresses large values, and a plain word inside one could hide.
"""

import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import valkey


class Scanner:
    """Searches `var` (its models left out: they are public) and the broker's memory."""

    def __init__(self, var: Path, settle: Callable[[], object]) -> None:
        self._var = var
        self._settle = settle

    def find(self, canaries: Sequence[bytes]) -> list[str]:
        """Where any canary stands in the clear; empty when nowhere."""
        self._settle()
        found = [str(path.relative_to(self._var)) for path in self._files() if _holds(path, canaries)]
        return found + [f"broker:{key}" for key, value in self._broker() if any(canary in value for canary in canaries)]

    def _files(self) -> list[Path]:
        return [
            Path(folder) / name
            for folder, folders, names in os.walk(self._var)
            if not folders or "models" not in Path(folder).relative_to(self._var).parts
            for name in names
        ]

    def _broker(self) -> list[tuple[str, bytes]]:
        client: Any = valkey.Valkey.from_url(os.environ["VALKEY_URL"])
        try:
            return [(key.decode(errors="replace"), client.dump(key) or b"") for key in client.scan_iter()]
        finally:
            client.close()


def _holds(path: Path, canaries: Sequence[bytes]) -> bool:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return False
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return any(content.find(canary) >= 0 for canary in canaries)
    except (FileNotFoundError, ValueError, OSError):
        # Files come and go while the services run: what is gone holds nothing.
        return False


def cells(connection: Any) -> Iterator[tuple[str, bytes]]:
    """Every value that may hold text or bytes in every table of a database, by table and column: as the server gives it out, so
    that no compression hides anything. `connection` is a superuser's."""
    tables = connection.execute(
        "SELECT table_schema, table_name, array_agg(column_name::text) FROM information_schema.columns "
        "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND data_type IN "
        "('text', 'character varying', 'character', 'bytea', 'json', 'jsonb', 'ARRAY') GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    for schema, table, columns in tables:
        chosen = ", ".join(f'"{column}"' for column in columns)
        for row in connection.execute(f'SELECT {chosen} FROM "{schema}"."{table}"'):
            for column, value in zip(columns, row, strict=True):
                for one in value if isinstance(value, list) else [value]:
                    if one is not None:
                        yield f"{table}.{column}", one if isinstance(one, bytes) else str(one).encode()
