"""How many calls that hold a thread for long may run at once: in this process, and of one client. Whoever finds no seat is asked to
come back, so that such calls leave threads for everybody else: a withdrawal waits for none of them.
"""

import threading
from collections import Counter
from collections.abc import Callable


class Seats:
    """Seats of one kind. `limits` answers how many there are, and how many of them one client may have."""

    def __init__(
        self,
        limits: Callable[[], tuple[int, int]],
        *,
        all_taken: Callable[[], Exception],
        too_many: Callable[[], Exception],
    ) -> None:
        self._limits = limits
        self._all_taken = all_taken
        self._too_many = too_many
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, client: str) -> None:
        """Raises what `too_many` makes, and `all_taken`."""
        with self._lock:
            seats, for_one = self._limits()
            if self._taken[client] >= for_one:
                raise self._too_many()
            if self._taken.total() >= seats:
                raise self._all_taken()
            self._taken[client] += 1

    def give_back(self, client: str) -> None:
        with self._lock:
            self._taken[client] -= 1
            self._taken += Counter()  # without those that have none

    @property
    def taken(self) -> int:
        return self._taken.total()
