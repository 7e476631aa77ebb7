"""Ringing the model workers for a job. The broker carries its code and nothing else; a bell that is lost is rung again by the
sweep."""

from typing import Final

from consent import bell

RUN: Final = "analysis.run"


def ring(analysis: str) -> bool:
    """Tells the model workers, by task name, that a job waits. False when the broker is away, which is logged, never raised."""
    return bell.ring(RUN, analysis, queue="model")
