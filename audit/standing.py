"""Whether the database is the one whose checkpoints were signed. If not, the service is closed: nothing is read, no job runs, and
nothing is signed, until `manage.py audit recover`. Withdrawals are taken all the same.
"""

import threading
import time
from collections.abc import Iterator
from typing import Final

import structlog
from django.db import connection, transaction

from audit import outside, sequencing, signing
from audit.errors import LogInconsistent, LogInvalid, ServiceClosed
from audit.models import Log

log = structlog.get_logger(__name__)


RECHECK: Final = 600.0
"""Seconds after which a process compares again although its database seems to be the same, where no sequencer does so: each of its
signatures compares too. Only rows that were put back into a running server's own tables could stay unnoticed for so long."""
_compared: tuple[object, float] | None = None
"""Which database this process compared with the checkpoints, and when."""
_comparing = threading.Lock()
_thread = threading.local()


def require_open() -> None:
    """Raises `ServiceClosed`. Asked before every decision of the gate: one look at the disk.

    The first time that a process asks, and when its connection leads to another database than the last one did, the database is
    compared with what was signed, which can raise as `check` does.
    """
    if not outside.is_closed():
        connection.ensure_connection()
        if getattr(_thread, "driver", None) is not connection.connection:
            _compare_unless_known()
            _thread.driver = connection.connection
    if outside.is_closed():
        raise ServiceClosed("the database is older than the log that was signed over it: run `manage.py audit recover`")


def compare_again() -> None:
    """This process takes nothing for granted any more."""
    global _compared  # noqa: PLW0603 (one memory per process)
    _compared = None
    _thread.driver = None


def _compare_unless_known() -> None:
    global _compared  # noqa: PLW0603 (as above)
    with connection.cursor() as cursor:
        # A dump that was restored is another database of the server; files copied back, or a standby that took over, another start.
        cursor.execute("SELECT oid, pg_postmaster_start_time() FROM pg_database WHERE datname = current_database()")
        database = cursor.fetchone()
    with _comparing:
        if _compared is None or _compared[0] != database or time.monotonic() - _compared[1] > RECHECK:
            check()
            _compared = (database, time.monotonic())


def check() -> None:
    """Compares every log with what was signed over it, and closes the service, for every process, where one differs.

    Raises `ProviderUnavailable`, `CheckpointsUnavailable`.
    """
    reasons = list(objections())
    if reasons:
        close(reasons)


def close(reasons: list[str]) -> None:
    for reason in reasons:
        log.critical("closed", reason=reason)
    outside.close(reasons)


def objections() -> Iterator[str]:
    """What speaks against this database, one sentence for each log that is not what was signed. A generation that another follows
    is history, and is not compared."""
    newest = dict(Log.objects.order_by("code", "generation").values_list("code", "generation"))
    for code, generation in outside.every():
        if generation > newest.get(code, 0):
            yield f"a checkpoint was signed over the log {code} (generation {generation}), which the database does not know"
    for known in Log.objects.order_by("code", "-generation").distinct("code"):
        yield from objections_to(known)


def objections_to(known: Log) -> Iterator[str]:
    """For one log; said only after a second look that no sequencer can come between."""
    if _objection(known):
        with transaction.atomic():
            sequencing.hold(known.code, wait=True)
            if found := _objection(known):
                yield found


def _objection(known: Log) -> str:
    try:
        signing.require_extends(known)
    except LogInconsistent as objection:
        return str(objection)
    except LogInvalid as objection:
        return f"{known.origin}: the checkpoint outside the database is not ours: {objection}"
    return ""
