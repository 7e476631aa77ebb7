"""One limit of time for all that an answer from elsewhere takes: looking up a name, connecting, sending, waiting, reading. No
Django here."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


class Deadline:
    """Ends `patience` after it was made."""

    __slots__ = ("moment",)

    def __init__(self, patience: timedelta) -> None:
        self.moment = time.monotonic() + patience.total_seconds()

    @property
    def left(self) -> float:
        """Seconds, never below 0."""
        return max(0.0, self.moment - time.monotonic())


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """What `work` answers or raises, or `TimeoutError` after so many seconds. For what cannot be interrupted, a name lookup or a
    library's own calls: it then goes on, in a thread of its own, and nobody waits for it."""
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    Thread(target=run, daemon=True).start()
    return outcome.result(seconds)
