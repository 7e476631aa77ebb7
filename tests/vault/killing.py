"""A process that dies by SIGKILL right before or right after its nth statement, on either database.

So every gap between two steps is one that a drill can choose, those between the two databases and around the key provider's files
included.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

from django.db import connections


class Statements:
    """Counts what both connections execute, and kills this process at number `VOXGOV_KILL_AT`: even numbers mean after it."""

    def __init__(self) -> None:
        self.count = 0
        self._at = int(os.environ.get("VOXGOV_KILL_AT", "0"))

    def watch(self) -> None:
        for alias in connections:
            connections[alias].execute_wrappers.append(self._execute)

    def _execute(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        self._die_at(2 * self.count + 1)
        answer = execute(sql, params, many, context)
        self._die_at(2 * self.count + 2)
        self.count += 1
        return answer

    def _die_at(self, moment: int) -> None:
        if moment == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
