"""Starting child processes that cannot outlive their parent: death signal, process group, account they run as.

Used by the embedded servers and by the supervisor. What the children are, and when they are started again, is theirs.
"""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar

_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 8, 38, 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522
"""linux/prctl.h and linux/capability.h."""

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ChildProblem(Exception):
    """A child that cannot be started or did not become ready. The message is one sentence that says what to do."""

    code: ClassVar[str] = "child_problem"


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged account that a server runs as when we are root.

    `search` keeps the one capability to pass through directories that are closed to others (CAP_DAC_READ_SEARCH), so
    that a checkout under a private home directory works and no permission of that directory has to be loosened.
    """

    name: str
    uid: int
    gid: int
    search: bool

    def own(self, path: Path) -> None:
        os.chown(path, self.uid, self.gid)


def unprivileged_account(*paths: Path, owned: Path) -> Account | None:
    """Nothing for a normal user; for root, the owner of `owned` if it exists, else `postgres` or `nobody`.

    Args:
        paths: what the account must be able to reach.
        owned: the directory whose owner, once there is one, it stays.
    """
    if os.geteuid() != 0:
        return None
    entry = None
    if owned.exists() and (uid := owned.stat().st_uid) != 0:
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            raise ChildProblem(
                f"{owned} belongs to user {uid}, who is unknown here: chown it to a known user."
            ) from None
    for name in ("postgres", "nobody"):
        if entry is None:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
    if entry is None:
        raise ChildProblem("no account postgres or nobody exists to run the database as: run this as a normal user.")
    search = not all(_open_to_all(path) for path in paths)
    if search and not _may_hand_on_search():
        raise ChildProblem(
            f"{paths[0]} lies in a directory that only root may enter: move the checkout (to /srv, for example), "
            "or run this as a normal user."
        )
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, search)


def start_child(
    command: Sequence[str],
    *,
    output: int | IO[bytes],
    environment: Mapping[str, str],
    directory: Path,
    death_signal: signal.Signals = signal.SIGKILL,
    account: Account | None = None,
) -> "subprocess.Popen[bytes]":
    """Starts `command` in a process group of its own; the kernel sends it `death_signal` when the calling thread ends.

    Call it from the main thread: on Linux the death signal follows the thread that started the child, not the process.

    Raises:
        ChildProblem: the program cannot be run.
    """
    parent = os.getpid()

    def before_exec() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)  # a shell starts background jobs with some of these ignored
        if account is not None:
            _become(account)
        if _LIBC is not None:
            _prctl(_PR_SET_PDEATHSIG, death_signal)
            if os.getppid() != parent:
                os._exit(1)

    try:
        return subprocess.Popen(  # noqa: S603 (commands are ours, never a request's)
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=directory,
            process_group=0,
            preexec_fn=before_exec,  # noqa: PLW1509 (only system calls, made before any thread of ours could hold a lock)
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ChildProblem(
            f"{command[0]} cannot be run ({error}): run deploy/quickstart again to repair it."
        ) from error


def stop_child(child: "subprocess.Popen[bytes]", *signals: tuple[signal.Signals, float], asked: bool = False) -> int:
    """Sends each signal and waits its seconds; at last kills the whole group. Answers the exit status.

    Args:
        asked: the first signal was sent before and is not sent again: to some programs a second one means haste.
    """
    for place, (number, seconds) in enumerate(signals):
        if child.poll() is not None:
            break
        if place or not asked:
            child.send_signal(number)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
    end_group(child.pid)
    return child.wait()


def end_group(group: int) -> None:
    """Kills whatever is left of a child's process group."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _become(account: Account) -> None:
    if account.search:
        _prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    if account.search:
        bit = 1 << _CAP_DAC_READ_SEARCH
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; low words, then high
        assert _LIBC is not None
        if _LIBC.capset(header, sets) != 0:
            raise OSError(ctypes.get_errno(), "capset")
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH)
    if _LIBC is not None:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, first: int, second: int = 0) -> None:
    assert _LIBC is not None
    zero = ctypes.c_ulong(0)
    if _LIBC.prctl(option, ctypes.c_ulong(first), ctypes.c_ulong(second), zero, zero) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def _open_to_all(path: Path) -> bool:
    """Whether everybody may pass through every directory above `path`."""
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents if parent.exists())


def _may_hand_on_search() -> bool:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    held = next((line.split()[1] for line in status.splitlines() if line.startswith("CapPrm:")), "0")
    return bool(int(held, 16) & (1 << _CAP_DAC_READ_SEARCH))
