"""Ringing the workers by task name. The broker carries a code and nothing else; a bell that is lost is rung again by a sweep."""

from typing import Final

import structlog
from celery import current_app

log = structlog.get_logger(__name__)

EXPIRES: Final = 60
"""Seconds after which a bell that no worker heard is void; by then the sweep has rung again for a job that still waits."""


def ring(task: str, code: str, *, queue: str) -> bool:
    """Tells the workers of a queue that something waits. False when the broker is away, which is logged, never raised."""
    try:
        current_app.send_task(task, args=[code], queue=queue, retry=False, ignore_result=True, expires=EXPIRES)
    except Exception as error:
        log.warning("bell_not_rung", task=task, code=code, error=type(error).__name__)
        return False
    return True
