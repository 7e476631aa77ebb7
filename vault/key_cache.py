"""Unwrapped keys of this process, each for at most a second after it was fetched, and gone from the cache then whether or not
anybody asks again. A forked child starts with none. That a key may still be used is not decided here: `vault/keys.py` asks the
shred orders every time."""

import os
import threading
import time
import weakref
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class KeyCache(Generic[Value]):
    """A small map whose entries end by the clock. Safe to share between threads."""

    def __init__(self, seconds: float, size: int) -> None:
        self._seconds = seconds
        self._size = size
        self._reset()
        # The lock may be held, and the timer's thread is gone, in a child forked at the wrong moment.
        reset = weakref.WeakMethod(self._reset)
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def __repr__(self) -> str:
        return f"KeyCache({len(self)} keys)"

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def get(self, name: Hashable) -> Value | None:
        with self._lock:
            entry = self._entries.get(name)
            if entry is None or time.monotonic() - entry[0] > self._seconds:
                return None
            return entry[1]

    def put(self, name: Hashable, value: Value) -> None:
        with self._lock:
            if len(self._entries) >= self._size:
                self._entries.clear()
            self._entries[name] = (time.monotonic(), value)
            if self._timer is None:
                self._arm()

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[Hashable, tuple[float, Value]] = {}
        self._timer: threading.Timer | None = None

    def _arm(self) -> None:
        self._timer = threading.Timer(self._seconds, self._purge)
        self._timer.daemon = True
        self._timer.start()

    def _purge(self) -> None:
        with self._lock:
            now = time.monotonic()
            for name in [name for name, (since, _) in self._entries.items() if now - since > self._seconds]:
                del self._entries[name]
            self._timer = None
            if self._entries:
                self._arm()
