"""The last signed checkpoint of each log, outside the database: what a restored backup is found out by.

A file for each log, written whole, synced and renamed before the checkpoint is in the database or anywhere else; and one more that
is there while the service is closed, and says why.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from django.conf import settings

from audit.errors import CheckpointsUnavailable

_NAME: Final = re.compile(r"[0-9a-f-]{1,36}\.[0-9]{1,9}\.checkpoint")
_CLOSED: Final = "closed.json"


def keep(code: str, generation: int, note: bytes) -> None:
    """The checkpoint is on the disk when this returns. Raises `CheckpointsUnavailable`."""
    _write(f"{code}.{generation}.checkpoint", note)


def last(code: str, generation: int) -> bytes | None:
    """The last one kept; None when there is none. Raises `CheckpointsUnavailable`."""
    try:
        return (_root() / f"{code}.{generation}.checkpoint").read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointsUnavailable(f"a checkpoint outside the database cannot be read: {error.strerror}") from error


def retire(code: str, generation: int) -> None:
    """The log of this checkpoint goes on as another: it is kept for auditors, and no longer compared with the database."""
    path = _root() / f"{code}.{generation}.checkpoint"
    if path.exists():
        path.replace(path.with_suffix(".retired"))


def every() -> Iterator[tuple[str, int]]:
    """Code and generation of every log that has one and goes on."""
    for path in sorted(_root().glob("*.checkpoint")):
        if _NAME.fullmatch(path.name):
            code, generation, _ = path.name.split(".")
            yield code, int(generation)


def close(reasons: Sequence[str]) -> None:
    """Closes the service for every process, from now on and after a restart. Raises `CheckpointsUnavailable`."""
    _write(_CLOSED, json.dumps({"reasons": list(reasons)}).encode())


def open_again() -> None:
    (_root() / _CLOSED).unlink(missing_ok=True)


def is_closed() -> bool:
    """One look at the disk."""
    return (_root() / _CLOSED).exists()


def _root() -> Path:
    root: Path = settings.VOXGOV_CHECKPOINT_DIR
    return root


def _write(name: str, content: bytes) -> None:
    path = _root() / name
    draft = path.with_suffix(f".{os.getpid()}.draft")
    try:
        _root().mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        directory = os.open(_root(), os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise CheckpointsUnavailable(f"a checkpoint cannot be kept outside the database: {error.strerror}") from error
