"""Whether the database is the one whose checkpoints were signed. If not, the service is closed: nothing is read, no job runs, and
nothing is signed, until `manage.py audit recover`. Withdrawals are taken all the same.
"""

from collections.abc import Iterator

import structlog

from audit import outside, signing, stored_tree
from audit.errors import LogInconsistent, LogInvalid, ServiceClosed
from audit.models import Log

log = structlog.get_logger(__name__)


_compared = False
"""Whether this process has compared the database with the checkpoints since it started."""


def require_open() -> None:
    """Raises `ServiceClosed`. Asked before every decision of the gate: one look at the disk.

    The first time that a process asks, the database is compared with what was signed, which can raise as `check` does.
    """
    global _compared  # noqa: PLW0603 (one comparison per process)
    if not _compared:
        check()
        _compared = True
    if outside.is_closed():
        raise ServiceClosed("the database is older than the log that was signed over it: run `manage.py audit recover`")


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
    """What speaks against this database, one sentence for each log that is not what was signed."""
    for code, generation in outside.every():
        known = Log.objects.filter(code=code, generation=generation).first()
        if known is None:
            yield f"a checkpoint was signed over the log {code} (generation {generation}), which the database does not know"
            continue
        yield from objections_to(known)
    for known in Log.objects.order_by("code", "-generation").distinct("code"):
        if outside.last(known.code, known.generation) is None and known.checkpoints.exists():
            yield f"{known.origin}: the checkpoint outside the database is gone"


def objections_to(known: Log) -> Iterator[str]:
    try:
        signing.require_extends(known, stored_tree.size_of(known))
    except LogInconsistent as objection:
        yield str(objection)
    except LogInvalid as objection:
        yield f"{known.origin}: the checkpoint outside the database is not ours: {objection}"
