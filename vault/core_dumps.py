"""No core dumps: what a crashed process held in memory, keys included, must not reach a disk. No Django here."""

import ctypes
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def disable() -> None:
    """For this process and its children. On Linux the size limit alone is not enough, because the kernel ignores it when dumps
    are piped to a collector (core(5)); clearing "dumpable" stops that, and debuggers of the same user, until the next exec."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
