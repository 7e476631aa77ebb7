"""Locking up: what the server gives away at its start, and what a forked child gives away before it touches media.

Which layers are required is told in the package's docstring. Nothing here knows what the child does afterwards.
"""

import ctypes
import fcntl
import mmap
import os
import resource
import signal
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from analysis.decoding import seccomp
from analysis.decoding.limits import DecodeLimits

SERVER_FILES = 256
"""RLIMIT_NOFILE of the server: low, so that closing all that a child inherits is quick."""

KEPT = 128
"""The number, or nearly, of the one descriptor that survives in a child; standard streams do not."""

_CLONE_NEWUTS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x04000000, 0x08000000, 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_CAPABILITY_VERSION_3 = 0x20080522
_OWN_USERS = 2_000_000_000
"""The first of the user ids that children of root take, one for each process number; outside every range that is handed out."""
_NOBODY = 65_534

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Confinement:
    """What holds a child, as it found when it locked itself up."""

    user: int
    own_namespaces: bool
    descriptors: tuple[int, ...]
    environment: int
    """Variables in the environment."""


def isolate_server() -> bool:
    """Namespaces without network, for the server and all its children. False where the kernel forbids it."""
    spaces = _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS
    return any(_libc.unshare(flags) == 0 for flags in (spaces, spaces | _CLONE_NEWUSER))


def restrain_server() -> None:
    """Few descriptors, no core, nothing of the parent's place in the file system."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = SERVER_FILES if hard == resource.RLIM_INFINITY else min(SERVER_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir("/")
    os.umask(0o077)


def keep_only(descriptor: int) -> int:
    """Closes every descriptor but this one, standard streams included, and returns its new number."""
    kept = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, KEPT)
    os.closerange(0, kept)
    os.closerange(kept + 1, SERVER_FILES)
    return kept


def volunteer_for_the_oom_killer() -> None:
    """Memory pressure should end a decode, not the worker. Best effort."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def mapped_bytes() -> int:
    """Address space that this process has mapped."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * mmap.PAGESIZE


def confine(limits: DecodeLimits, mapped: int, server: int, own_namespaces: bool) -> Confinement:
    """Puts up every layer, for good; `mapped` bytes of address space do not count. Raises `OSError` if a required one fails."""
    filter_program = seccomp.program()
    os.environ.clear()
    _take_own_user()
    _drop_capabilities()
    for which, soft, hard in (
        (resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 1),
        (resource.RLIMIT_AS, mapped + limits.address_space, mapped + limits.address_space),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NPROC, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_NOFILE, limits.open_files, limits.open_files),
    ):
        _limit(which, soft, hard)
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which clears it
    if os.getppid() != server:
        raise OSError("the server is gone")
    held = Confinement(os.getuid(), own_namespaces, _open_descriptors(), len(os.environ))
    seccomp.install(filter_program, _libc)
    return held


def _limit(which: int, soft: int, hard: int) -> None:
    """Sets a limit, or the lower one that this process is already under."""
    _, ceiling = resource.getrlimit(which)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(which, (soft, hard))


def _take_own_user() -> None:
    """Root becomes a user that nobody else is, or nobody; where a container forbids both, the other layers hold root too."""
    if os.getuid() != 0:
        return
    for user in (_OWN_USERS + os.getpid(), _NOBODY):
        with suppress(OSError):
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            return


def _drop_capabilities() -> None:
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    if _libc.capset(header, bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capabilities could not be dropped")


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    if _libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _open_descriptors() -> tuple[int, ...]:
    """Which descriptors are open, asked one by one: there is none left to list a directory with."""
    found = []
    for descriptor in range(SERVER_FILES):
        with suppress(OSError):
            os.fstat(descriptor)
            found.append(descriptor)
    return tuple(found)
