"""The last signed checkpoint of each log, outside the database: what a restored backup is found out by.

A file for each log, written whole, synced and renamed before the checkpoint is in the database or anywhere else; and one more that
is there while the service is closed, and says why.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.conf import settings

from audit.errors import CheckpointsUnavailable, LogInconsistent, LogInvalid
from audit.tlog.checkpoint import parse_text
from audit.tlog.notes import parse
from vault import durable

_NAME: Final = re.compile(r"[0-9a-f-]{1,36}\.[0-9]{1,9}\.checkpoint")
_CLOSED: Final = "closed.json"


def keep(code: str, generation: int, note: bytes) -> None:
    """The checkpoint is on the disk when this returns; one over fewer entries than the last never takes its place, however late a
    signer comes. Raises `CheckpointsUnavailable`, `LogInconsistent`."""
    with _alone():
        before = last(code, generation)
        if before is not None and _size(before) > _size(note):
            raise LogInconsistent(f"a checkpoint over {_size(before)} entries was kept for the log {code} already")
        durable.write_whole(_root() / f"{code}.{generation}.checkpoint", lambda: note)


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
        durable.sync_directory(_root())


def every() -> Iterator[tuple[str, int]]:
    """Code and generation of every log that has one and goes on."""
    for path in sorted(_root().glob("*.checkpoint")):
        if _NAME.fullmatch(path.name):
            code, generation, _ = path.name.split(".")
            yield code, int(generation)


def close(reasons: Sequence[str]) -> None:
    """Closes the service for every process, from now on and after a restart. Raises `CheckpointsUnavailable`."""
    with _alone():
        durable.write_whole(_root() / _CLOSED, lambda: json.dumps({"reasons": list(reasons)}).encode())


def open_again() -> None:
    if is_closed():
        (_root() / _CLOSED).unlink(missing_ok=True)
        durable.sync_directory(_root())


def is_closed() -> bool:
    """One look at the disk."""
    return (_root() / _CLOSED).exists()


def _root() -> Path:
    root: Path = settings.VOXGOV_CHECKPOINT_DIR
    return root


def _size(note: bytes) -> int:
    """How many entries a kept note is over; a file that is no checkpoint is over none, and is found out by `standing`."""
    try:
        return parse_text(parse(note).text).size
    except LogInvalid:
        return 0


@contextmanager
def _alone() -> Iterator[None]:
    try:
        with durable.exclusive(_root() / ".lock"):
            yield
    except OSError as error:
        raise CheckpointsUnavailable(f"a checkpoint cannot be kept outside the database: {error.strerror}") from error
