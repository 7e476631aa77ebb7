"""The seccomp filter of the decoder child, as classic BPF, built and installed without any library but libc.

It allows what a decoder that already holds its socket needs (memory that cannot be executed, time, that socket) and answers all
else with EPERM, as `seccomp(2)` describes. A call by another architecture's numbers ends the process.
"""

import ctypes
import os
import platform
import struct
from dataclasses import dataclass

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

# <linux/seccomp.h>
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000
_ALLOW = 0x7FFF0000
_EPERM = 1

# <linux/bpf_common.h>: load a word of seccomp_data, compare, return.
_LOAD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_ANY_BIT = 0x45
_RETURN = 0x06

# Offsets in struct seccomp_data; both architectures are little-endian, so the low half of an argument comes first.
_NUMBER = 0
_ARCHITECTURE = 4
_PROTECTION = 16 + 2 * 8
_PROT_EXEC = 0x4


@dataclass(frozen=True, slots=True)
class _Machine:
    """AUDIT_ARCH value (<linux/audit.h>) and system call numbers of one architecture."""

    audit: int
    memory: tuple[int, int]
    """mmap and mprotect: allowed unless they ask for executable memory."""
    allowed: tuple[int, ...]


_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        memory=(9, 10),
        allowed=(
            *(0, 1, 3, 5, 8, 19, 20, 44, 45),  # read write close fstat lseek readv writev sendto recvfrom
            *(11, 12, 25, 28),  # munmap brk mremap madvise
            *(13, 14, 15, 131),  # rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack
            *(202, 273, 334, 324),  # futex set_robust_list rseq membarrier
            *(35, 230, 96, 228, 219),  # nanosleep clock_nanosleep gettimeofday clock_gettime restart_syscall
            *(24, 204, 39, 186, 98, 99, 318),  # sched_yield sched_getaffinity getpid gettid getrusage sysinfo getrandom
            *(60, 231),  # exit exit_group
        ),
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        memory=(222, 226),
        allowed=(
            *(63, 64, 57, 80, 62, 65, 66, 206, 207),
            *(215, 214, 216, 233),
            *(134, 135, 139, 132),
            *(98, 99, 293, 283),
            *(101, 115, 169, 113, 128),
            *(124, 123, 172, 178, 165, 179, 278),
            *(93, 94),
        ),
    ),
}


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def program() -> bytes:
    """The filter for this machine. Raises `OSError` where no filter is written for its architecture."""
    machine = _MACHINES.get(platform.machine())
    if machine is None or struct.calcsize("P") != 8:
        raise OSError(f"no system call filter for {platform.machine()}")
    allowed = len(machine.allowed)
    # Jumps count the instructions to skip; the tail is: refuse, look at the protection (2), refuse, allow.
    lines = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_JUMP_EQUAL, machine.audit, 1, 0),
        _instruction(_RETURN, _KILL_PROCESS),
        _instruction(_LOAD, _NUMBER),
    ]
    for index, number in enumerate(machine.allowed):
        lines.append(_instruction(_JUMP_EQUAL, number, allowed - index - 1 + 2 + 4, 0))
    lines.append(_instruction(_JUMP_EQUAL, machine.memory[0], 2, 0))
    lines.append(_instruction(_JUMP_EQUAL, machine.memory[1], 1, 0))
    lines.append(_instruction(_RETURN, _ERRNO | _EPERM))
    lines.append(_instruction(_LOAD, _PROTECTION))
    lines.append(_instruction(_JUMP_ANY_BIT, _PROT_EXEC, 0, 1))
    lines.append(_instruction(_RETURN, _ERRNO | _EPERM))
    lines.append(_instruction(_RETURN, _ALLOW))
    return b"".join(lines)


def install(filter_program: bytes, libc: ctypes.CDLL) -> None:
    """From here on this process can only do what the filter allows. Raises `OSError`."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    loaded = Program(len(filter_program) // 8, filter_program)
    zero = ctypes.c_ulong(0)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(loaded), zero, zero) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
