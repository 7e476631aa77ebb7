"""Attempts to get out of the sandbox, made by a child that holds no media: what media that took over the decoder would try.

Each machine can try it for itself (`DecodeServer.self_test()`); the layers themselves are in `sandbox`.
"""

import ctypes
import errno
import mmap
import os
import socket
from collections.abc import Callable
from pathlib import Path

from analysis.decoding.sandbox import KEPT, Confinement

_SOMEWHERE = "/tmp/escaped"  # noqa: S108 (never made: that it cannot be is what is tried)
_PTRACE_ATTACH = 16
_RLIMIT_NOFILE = 7
_CLONE_NEWUSER = 0x10000000

_libc = ctypes.CDLL(None, use_errno=True)


def attempt_all(confinement: Confinement, server: int) -> dict[str, object]:
    """Every attempt with the error that it met, those that met none, and what the child found when it locked itself up."""
    attempts: dict[str, Callable[[], object]] = {
        "open a file": lambda: os.open("/etc/passwd", os.O_RDONLY),
        "create a file": lambda: os.open(_SOMEWHERE, os.O_CREAT | os.O_WRONLY, 0o600),
        "list a directory": lambda: list(Path("/").iterdir()),
        "remove a file": lambda: Path(_SOMEWHERE).unlink(),
        "open an internet socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "open a local socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        "duplicate a descriptor": lambda: os.dup(KEPT),
        "make a memory file": lambda: os.memfd_create("escaped"),
        "make a pipe": os.pipe,
        "fork": _fork,
        "execute a program": lambda: os.execve("/bin/true", ["true"], {}),  # noqa: S606 (refused, or the test fails)
        "signal the server": lambda: os.kill(server, 0),
        "read another process": lambda: _call("ptrace", _PTRACE_ATTACH, server, 0, 0),
        "map executable memory": lambda: mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "become root": lambda: os.setresuid(0, 0, 0),
        "leave its namespaces": lambda: _call("unshare", _CLONE_NEWUSER),
        "lift a limit": lambda: _call("setrlimit", _RLIMIT_NOFILE, (ctypes.c_ulong * 2)(64, 64)),
        "take more memory than its limit": lambda: mmap.mmap(-1, 1 << 40),
    }
    refused: dict[str, str] = {}
    permitted: list[str] = []
    for name, attempt in attempts.items():
        try:
            attempt()
        except OSError as error:
            refused[name] = errno.errorcode.get(error.errno or 0, "unknown")
        else:
            permitted.append(name)
    return {
        "refused": refused,
        "permitted": permitted,
        "user": confinement.user,
        "own_namespaces": confinement.own_namespaces,
        "descriptors": len(confinement.descriptors),
        "environment": confinement.environment,
    }


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)
