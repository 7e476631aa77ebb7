"""Jobs that have not ended, for whoever wants to know what a change would do to them."""

from collections.abc import Callable, Collection

from analysis.models import Analysis
from analysis.states import UNFINISHED
from analysis.submission import gate_request
from consent.ports import Work
from consent.verdicts import GateRequest
from consent.vocabulary import Scope


def count(project: int, purposes: Collection[str], would_close: Callable[[GateRequest], bool], at_most: int) -> Work:
    """Of the unfinished jobs under these purposes, oldest first, how many `would_close`; `at_most` are looked at."""
    unfinished = Analysis.objects.filter(
        recording__project=project,
        recording__purpose__code__in=list(purposes),
        state__in=[state.value for state in UNFINISHED],
    ).select_related("recording__purpose")
    jobs = list(unfinished.order_by("pk")[: at_most + 1])
    closed = sum(
        would_close(gate_request(job.recording, [Scope(scope) for scope in job.scopes])) for job in jobs[:at_most]
    )
    return Work(closed=closed, complete=len(jobs) <= at_most)
