"""Ringing the workers. The broker carries a job's code and nothing else; a bell that is lost is rung again by the sweep."""

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)

RUN = "analysis.run"


def ring(analysis: str) -> None:
    """Tells the model workers, by task name, that a job waits. A broker that is away is logged, never raised."""
    try:
        current_app.send_task(RUN, args=[analysis], queue="model", retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("bell_not_rung", analysis=analysis, error=type(error).__name__)
