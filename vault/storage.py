"""Sealed files on disk: written under a draft name, synced, renamed, so that a name stands for a whole file or for nothing."""

import os
import time
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from vault.errors import StorageUnavailable
from vault.models import SealedBlob

ORPHAN_AGE = 3600.0
"""Seconds after which a file that no row names is taken for the remains of a crash."""


def path_of(code: str) -> Path:
    """Where the blob of that code lies; spread over directories by the random end of the code."""
    root: Path = settings.VOXGOV_BLOB_DIR
    return root / code[-2:] / code


class DraftFile:
    """A blob being written. `publish` makes it real; `discard` leaves nothing."""

    def __init__(self, code: str) -> None:
        self._final = path_of(code)
        self._draft = self._final.with_name(f"{code}.draft")
        try:
            self._final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise StorageUnavailable(f"a sealed file cannot be written: {error.strerror}") from error
        self._file: BinaryIO = os.fdopen(descriptor, "wb")

    def write(self, sealed: bytes) -> None:
        try:
            self._file.write(sealed)
        except OSError as error:
            raise StorageUnavailable(f"a sealed file cannot be written: {error.strerror}") from error

    def publish(self) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._draft.rename(self._final)
            sync_directory(self._final.parent)
        except OSError as error:
            raise StorageUnavailable(f"a sealed file cannot be written: {error.strerror}") from error

    def discard(self) -> None:
        self._file.close()
        self._draft.unlink(missing_ok=True)
        self._final.unlink(missing_ok=True)


def open_file(code: str) -> BinaryIO:
    """Raises `StorageUnavailable`."""
    try:
        return path_of(code).open("rb")
    except OSError as error:
        raise StorageUnavailable(f"a sealed file cannot be read: {error.strerror}") from error


def remove(code: str) -> bool:
    """Deletes the file; False when there was none."""
    path = path_of(code)
    if not path.exists():
        return False
    path.unlink(missing_ok=True)
    sync_directory(path.parent)
    return True


def remove_orphans(now: float | None = None) -> int:
    """Deletes files older than `ORPHAN_AGE` that no row names: drafts and blobs whose transaction never came."""
    root: Path = settings.VOXGOV_BLOB_DIR
    limit = (now or time.time()) - ORPHAN_AGE
    removed = 0
    for path in root.glob("*/*"):
        if path.stat().st_mtime > limit:
            continue
        if path.suffix == ".draft" or not SealedBlob.objects.filter(code=path.name).exists():
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
