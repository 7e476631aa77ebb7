"""Measuring things side by side: ways that take turns, one round after the other, and the memory of the process. No Django here."""

import re
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Way = Callable[[], object]
"""One way to do the work that is compared; does all of it in one call."""


def fastest(ways: Mapping[str, Way], rounds: int) -> dict[str, float]:
    """The fewest seconds that each way took; in every round each has its turn."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            best[name] = min(best[name], seconds(way))
    return best


def seconds(way: Way) -> float:
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def highest_memory() -> int:
    """The most resident bytes that this process has had; it never falls. On Linux of this program alone: what getrusage(2) tells
    there counts the process that started it, too."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return highest if sys.platform == "darwin" else highest * 1024
    return int(re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[0]) * 1024
