"""Ringing the workers. The broker carries a job's code and nothing else; a bell that is lost is rung again by the sweep."""

import structlog
from celery import current_app

log = structlog.get_logger(__name__)

RUN = "analysis.run"
EXPIRES = 60
"""Seconds after which a bell that no worker heard is void; by then the sweep has rung again for a job that still waits."""


def ring(analysis: str) -> bool:
    """Tells the model workers, by task name, that a job waits. False when the broker is away, which is logged, never raised."""
    try:
        current_app.send_task(RUN, args=[analysis], queue="model", retry=False, ignore_result=True, expires=EXPIRES)
    except Exception as error:
        log.warning("bell_not_rung", analysis=analysis, error=type(error).__name__)
        return False
    return True
