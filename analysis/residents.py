"""What is in memory of a worker's engines: each loaded when it is first used, kept for the next recording, and let go, the least
recently used first, where another would not fit beside it.

Which engines there are, and from which weights, is `engine_box`. No settings and no Django here.
"""

import ctypes
import gc
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog

log = structlog.get_logger(__name__)

MEGABYTE = 1_000_000

E = TypeVar("E")


@dataclass(slots=True)
class _Resident:
    engine: Any
    size: int
    users: int = 0


class Residents:
    """The loaded engines of one process, within a budget of memory. Threads may share it; one loads at a time."""

    def __init__(self, budget: int) -> None:
        """`budget` is in bytes, for all of them together; 0 sets no limit."""
        self._budget = budget
        self._loaded: OrderedDict[str, _Resident] = OrderedDict()
        self._measured: dict[str, int] = {}
        self._lock = threading.RLock()

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each loaded engine, the least recently used first."""
        with self._lock:
            return {name: resident.size for name, resident in self._loaded.items()}

    @contextmanager
    def using(self, name: str, load: Callable[[], E], *, weights: int) -> Iterator[E]:
        """The engine `name`, made by `load` unless it is in memory, which it does not leave before this ends.

        `weights` are the bytes of the files that it is loaded from: what it is taken to need until it was measured once. An
        engine without any is code alone, counts nothing and stays. One that alone is larger than the budget is loaded all the
        same, and the log says so: who set the budget is to read it, and no job fails of it.
        """
        with self._lock:
            resident = self._loaded.get(name) or self._load(name, load, weights)
            self._loaded.move_to_end(name)
            resident.users += 1
        try:
            yield resident.engine
        finally:
            with self._lock:
                resident.users -= 1
                self._make_room(0)

    def _load(self, name: str, load: Callable[[], Any], weights: int) -> _Resident:
        self._make_room(self._measured.get(name, weights))
        began = time.perf_counter()
        if weights:
            _give_back()
        before = resident_memory()
        engine = load()
        size = 0
        if weights:
            _give_back()  # what loading alone needed is none of the engine
            size = max(weights, resident_memory() - before)
        resident = self._loaded[name] = _Resident(engine, size, users=1)
        self._measured[name] = size
        self._make_room(0)
        resident.users = 0
        seconds = round(time.perf_counter() - began, 3)
        log.info("engine_loaded", engine=name, megabytes=round(size / MEGABYTE, 1), seconds=seconds)
        if self._excess(0):
            log.warning("engines_over_budget", megabytes=self._total() // MEGABYTE, budget=self._budget // MEGABYTE)
        return resident

    def _make_room(self, needed: int) -> None:
        """Lets go of idle engines, the least recently used first, until `needed` bytes more would fit, or none is idle."""
        idle = [name for name, resident in self._loaded.items() if resident.users == 0 and resident.size]
        gone = False
        for name in idle:
            if not self._excess(needed):
                break
            del self._loaded[name]
            gone = True
            log.info("engine_unloaded", engine=name)
        if gone:
            _give_back()

    def _excess(self, needed: int) -> bool:
        return self._budget > 0 and self._total() + needed > self._budget

    def _total(self) -> int:
        return sum(resident.size for resident in self._loaded.values())


def resident_memory() -> int:
    """Bytes of this process that are in memory now; 0 where the system does not tell (Linux does, in proc_pid_statm(5))."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _give_back() -> None:
    """Hands freed memory to the system: glibc keeps it for the process otherwise (malloc_trim(3))."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
