"""Small files that a crash must not harm: one writer at a time, written whole beside, synced, renamed into place, the rename synced
too. Readers never wait. Sealed audio, which is written in a stream, has its own way in `storage`. No Django here.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Holds the lock file, which is made with its directory where it is not there, against other processes and threads. Entered
    twice by one thread it waits for itself. Raises `OSError`."""
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_whole(path: Path, compose: Callable[[], bytes]) -> None:
    """The file is the old one or the new one, whenever the machine stops; the new one is on the disk when this returns, mode 0600.
    What it holds is composed as it is written, because a local that held a key would show in a traceback. The caller holds the
    lock. Raises `OSError` and what `compose` raises."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)  # under the lock it can only be what a crash left
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(compose())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """What was made, renamed or removed in it is on the disk when this returns. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
