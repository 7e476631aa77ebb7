"""What both embedded servers share: where their sockets lie, who owns them, the lock, the log, the wait for an answer.

The servers themselves are in `embedded.py`.
"""

import errno
import fcntl
import hashlib
import importlib.util
import os
import re
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from voxgov.children import Account, ChildProblem, stop_child

_SOCKET_PATH_LIMIT = 103
"""Bytes. `sun_path` holds 108 on Linux and 104 on macOS, its NUL included."""
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")
_START_LIMIT = 120.0
"""Seconds. Recovery from a crash replays some write-ahead log; a slow disk needs a while for it."""
_LOG_LIMIT = 8 << 20
"""Bytes. A log that is larger when its server starts makes way for a new one."""


def socket_directory(var: Path, name: str, longest: str) -> Path:
    """`var/run/NAME`, or a short private directory where that path is too long for a socket or needs quoting somewhere.

    Args:
        longest: the longest file name that will lie in it.
    """
    natural = var / "run" / name
    if len(os.fsencode(natural / longest)) <= _SOCKET_PATH_LIMIT and _PLAIN_PATH.fullmatch(str(natural)):
        return natural
    mark = hashlib.sha256(os.fsencode(var)).hexdigest()[:12]
    runtime = Path(f"/run/user/{os.geteuid()}")
    return (runtime if os.access(runtime, os.W_OK) else Path("/tmp")) / f"voxgov-{os.geteuid()}-{mark}-{name}"  # noqa: S108


def own_directory(path: Path, account: Account | None) -> None:
    """Makes `path` a directory that only the account that uses it may enter; refuses what somebody else put there.

    Raises:
        ChildProblem: it is a link, no directory, or somebody else's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    ours = {os.geteuid()} | ({account.uid} if account is not None else set())
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours:
        raise ChildProblem(f"{path} belongs to somebody else: remove it, then run this again.")
    path.chmod(0o700)
    if account is not None:
        account.own(path)


def package_directory(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ChildProblem(f"the package {package} is not installed: run deploy/quickstart again to install it.")
    return Path(found.submodule_search_locations[0])


def bare_environment() -> dict[str, str]:
    """No secret, no library path and no locale of ours reaches a server."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@contextmanager
def output_of(var: Path, name: str, given: int | None) -> Iterator[int | IO[bytes]]:
    if given is not None:
        yield given
        return
    path = var / "log" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    with path.open("ab") as log:
        yield log


def wait_until(ready: Callable[[], bool], child: "subprocess.Popen[bytes]", name: str, var: Path) -> None:
    deadline = time.monotonic() + _START_LIMIT
    while not ready():
        log = var / "log" / f"{name}.log"
        if (status := child.poll()) is not None:
            raise ChildProblem(f"{name} ended with status {status} while it started: see {log}, then run this again.")
        if time.monotonic() > deadline:
            stop_child(child)
            raise ChildProblem(f"{name} did not answer within {_START_LIMIT:.0f} s: see {log}, then run this again.")
        time.sleep(0.02)


def locked(path: Path, what: str) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        if error.errno not in {errno.EAGAIN, errno.EACCES}:
            raise
        raise ChildProblem(
            f"{what} runs already under {path.parent.parent}: stop the one that runs there first."
        ) from None
    return lock


def given_back(sockets: Path, lock: IO[str] | None) -> None:
    """After a stop: removes a socket directory that lies outside the var directory, and lets the next starter in."""
    if sockets.parent.name != "run":
        with suppress(OSError):
            sockets.rmdir()
    if lock is not None:
        lock.close()
