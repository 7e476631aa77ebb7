"""A log as server-sent events (WHATWG HTML, section 9.2): each entry once, in order, resumable from the last one that was received.

A stream holds a thread for as long as it runs, so it ends itself after some minutes, and the client goes on where it was. While it
waits it holds no transaction and no connection to the database. Who may read, and how a stream leaves over HTTP, is the top room's.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final

import structlog
from django.db import InterfaceError, OperationalError, connections

from audit import outside, sequenced
from audit.sequenced import Place, Sequenced

RETRY: Final = 1000
"""Milliseconds after which a client comes back."""
LOOK_EVERY: Final = 1.0
SAY_SOMETHING_EVERY: Final = 10.0
"""Seconds after which a silent stream says that it lives, and how far it is: proxies cut what is silent."""
_BATCH: Final = 100
log = structlog.get_logger(__name__)


class Stream:
    """Iterates over pieces of `text/event-stream`. Whoever iterates closes it, whether it was begun or not.

    `may_go_on` is asked at every look; `wait` waits so many seconds, or less, and is True when the client is gone.
    """

    def __init__(
        self,
        code: str,
        place: Place,
        *,
        names: Sequence[str] = (),
        seconds: float,
        may_go_on: Callable[[], bool] = lambda: True,
        wait: Callable[[float], bool],
        done: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._code = code
        self._place = place
        self._names = names
        self._may_go_on = may_go_on
        self._wait = wait
        self._done: Callable[[], None] | None = done
        self._clock = clock
        self._ends = clock() + seconds
        self._pieces = self._run()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        self._pieces.close()
        done, self._done = self._done, None
        if done is not None:
            done()

    def __del__(self) -> None:
        # Whoever was to iterate may fail before it begins; its seat must not be lost for that.
        self.close()

    def _run(self) -> Generator[str, None, None]:
        # The place at once: a client that is cut off before the first event still knows where it stood.
        yield f"retry: {RETRY}\n{_standing(self._place)}"
        said, spoke = self._place, self._clock()
        try:
            while self._may_go_on() and not outside.is_closed():
                batch = sequenced.after(self._code, self._place, names=self._names, limit=_BATCH)
                for event in batch.events:
                    yield _event(event)
                    said, spoke = event.place, self._clock()
                self._place = batch.place
                now = self._clock()
                if now >= self._ends:
                    break
                if batch.more:
                    continue
                if now - spoke >= SAY_SOMETHING_EVERY:
                    yield _standing(self._place)
                    said, spoke = self._place, now
                connections.close_all()
                if self._wait(min(LOOK_EVERY, self._ends - now)):
                    return
        except (OperationalError, InterfaceError) as error:
            log.warning("stream_interrupted", error=type(error).__name__)
        if self._place != said:
            yield _standing(self._place)
        yield ": come back\n\n"


def _event(event: Sequenced) -> str:
    return f"id: {event.place}\nevent: {event.name}\ndata: {sequenced.text(event.document())}\n\n"


def _standing(place: Place) -> str:
    """Moves the client's last event id and gives it no event. As any block, it also shows that the stream lives."""
    return f"id: {place}\n\n"
