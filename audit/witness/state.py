"""What a witness remembers: of each log the newest checkpoint that it cosigned, in a file of its own, on disk before it is told.

A witness that forgot would cosign a second history. So a file is replaced whole or not at all, and one process alone holds them.
"""

import fcntl
import os
from hashlib import sha256
from pathlib import Path
from typing import Final

from audit.errors import CheckImpossible, LogInvalid
from audit.tlog import notes
from audit.tlog.checkpoint import Checkpoint, parse_text

_SUFFIX: Final = ".checkpoint"
_LOCK: Final = "lock"


class WitnessState:
    """A directory, held exclusively while this object lives. Callers see to it that one log is not changed twice at a time."""

    def __init__(self, directory: Path) -> None:
        """Raises `CheckImpossible` if the directory cannot be used or is in use."""
        self._directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CheckImpossible(f"{directory}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise CheckImpossible(f"{directory} is in use by another witness") from error

    def close(self) -> None:
        os.close(self._lock)

    def newest(self, origin: str) -> Checkpoint | None:
        """The newest checkpoint of a log. Raises `CheckImpossible` if it cannot be read: not knowing is not the same as none."""
        note = self.note(origin_hash(origin))
        if note is None:
            return None
        try:
            checkpoint = parse_text(notes.parse(note).text)
        except LogInvalid as error:
            raise CheckImpossible(f"the checkpoint kept for {origin!a} cannot be read: {error}") from error
        if checkpoint.origin != origin:
            raise CheckImpossible(f"the checkpoint kept for {origin!a} is of {checkpoint.origin[:200]!a}")
        return checkpoint

    def note(self, hashed: str) -> bytes | None:
        """The cosigned note of the log with this origin hash, as it is kept and served."""
        try:
            return self._path(hashed).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckImpossible(f"{self._path(hashed)}: {error.strerror}") from error

    def keep(self, origin: str, note: bytes) -> None:
        """Replaces a log's note and returns once it is on the disk. Raises `CheckImpossible`; then the old one is still there."""
        path = self._path(origin_hash(origin))
        beside = path.with_suffix(".new")
        try:
            with beside.open("wb") as file:
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise CheckImpossible(f"{path}: {error.strerror}") from error

    def _path(self, hashed: str) -> Path:
        return self._directory / (hashed + _SUFFIX)


def origin_hash(origin: str) -> str:
    """How a log is named in paths: SHA-256 of its origin, lower-case hexadecimal."""
    return sha256(origin.encode()).hexdigest()
