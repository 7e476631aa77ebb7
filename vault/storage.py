"""Sealed files on disk: written under a draft name, synced, renamed, so that a name stands for a whole file or for nothing."""

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import structlog
from django.conf import settings

from vault import durable
from vault.errors import StorageUnavailable
from vault.models import SealedBlob

ORPHAN_AGE = 3600.0
"""Seconds after which a file that no row names is taken for the remains of a crash."""


log = structlog.get_logger(__name__)
_BATCH = 500
_CODE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def path_of(code: str) -> Path:
    """Where the blob of that code lies; spread over directories by the random end of the code. Raises `ValueError` for what is
    no code."""
    if not _CODE.fullmatch(code):
        raise ValueError("not a code")
    root: Path = settings.VOXGOV_BLOB_DIR
    return root / code[-2:] / code


class DraftFile:
    """A blob being written. `publish` makes it real; `discard` leaves nothing. Raises `StorageUnavailable`, and
    `FileExistsError` for a code that has a file already."""

    def __init__(self, code: str) -> None:
        self._final = path_of(code)
        self._draft = self._final.with_name(f"{code}.draft")
        if self._final.exists():
            raise FileExistsError(f"there is a sealed file {code} already")
        with storage_errors("written"):
            _make_directory(self._final.parent)
            descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file: BinaryIO = os.fdopen(descriptor, "wb")

    def write(self, sealed: bytes | memoryview) -> None:
        with storage_errors("written"):
            self._file.write(sealed)

    def publish(self) -> None:
        """Whole and on the disk when this returns."""
        with storage_errors("written"):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._draft.rename(self._final)
            durable.sync_directory(self._final.parent)

    def discard(self) -> None:
        # Closing writes what is still buffered, which a full disk refuses: the draft goes all the same.
        with suppress(OSError):
            self._file.close()
        with storage_errors("removed"):
            self._draft.unlink(missing_ok=True)
            self._final.unlink(missing_ok=True)


def open_file(code: str) -> BufferedReader:
    """Raises `StorageUnavailable`."""
    with storage_errors("read"):
        return path_of(code).open("rb")


def read(file: BinaryIO, length: int) -> bytes:
    """Up to `length` bytes. Raises `StorageUnavailable`."""
    with storage_errors("read"):
        return file.read(length)


def read_into(file: BufferedReader, buffer: memoryview) -> int:
    """Fills the buffer as far as the file goes; how many bytes that were. Raises `StorageUnavailable`."""
    with storage_errors("read"):
        return file.readinto(buffer)


def read_start(code: str, length: int) -> bytes | None:
    """The first `length` bytes of a file, None when there is none. Raises `StorageUnavailable`."""
    with storage_errors("read"):
        try:
            with path_of(code).open("rb") as file:
                return file.read(length)
        except FileNotFoundError:
            return None


def remove(code: str) -> bool:
    """Deletes the file; False when there was none. Raises `StorageUnavailable`."""
    path = path_of(code)
    with storage_errors("removed"):
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        durable.sync_directory(path.parent)
        return True


def remove_orphans(now: float | None = None) -> int:
    """Deletes files older than `ORPHAN_AGE` that no row names: drafts and blobs whose transaction never came.

    Returns how many went. One that cannot be deleted is logged and left for the next time; it holds up no other.
    """
    gone = 0
    for path in list(find_orphans(now)):
        try:
            path.unlink(missing_ok=True)
            gone += 1
        except OSError as error:
            log.error("orphan_not_removed", file=path.name, error=error.strerror)
    return gone


def find_orphans(now: float | None = None) -> Iterator[Path]:
    """Regular files only. A file is looked at before its row: one that gets its row in between is no orphan."""
    limit = (time.time() if now is None else now) - ORPHAN_AGE
    old = (path for path in settings.VOXGOV_BLOB_DIR.glob("*/*") if _is_old(path, limit))
    while batch := list(islice(old, _BATCH)):
        named = set(SealedBlob.objects.filter(code__in=[path.name for path in batch]).values_list("code", flat=True))
        yield from (path for path in batch if path.name not in named)


def _is_old(path: Path, limit: float) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        log.error("file_not_examined", file=path.name, error=error.strerror)
        return False
    return stat.S_ISREG(found.st_mode) and found.st_mtime <= limit


def rows_without_file() -> Iterator[str]:
    """Codes of sealed files that are gone although a row names them: data lost, or a crash in the middle of shredding."""
    for code in SealedBlob.objects.order_by("id").values_list("code", flat=True).iterator():
        if not path_of(code).exists():
            yield code


def _make_directory(path: Path) -> None:
    if path.is_dir():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    # A file's own directory sync does not make the directory itself outlive a power cut.
    durable.sync_directory(path.parent)


@contextmanager
def storage_errors(done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"a sealed file cannot be {done}: {error.strerror}") from error
