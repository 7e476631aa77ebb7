"""What ends by itself: consent whose term is over, and what a representative gave for a child who came of age. The gate closes at
the exact instant without any of this; here the history says so, and what was derived under a term that is over is destroyed.

Safe to stop and run again: each person is a transaction of their own. The journal needs no entry, because a restored backup knows
the time by itself.
"""

from typing import Final

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from audit import trail
from consent import subjects
from consent.closing import end_grants
from consent.errors import SubjectErased
from consent.models import CurrentGrant
from consent.vocabulary import HOLDS, EndCause, GrantState

ACTOR: Final = trail.system("expiry")
log = structlog.get_logger(__name__)


def sweep(limit: int = 500) -> int:
    """Ends what is over for up to `limit` people; returns for how many. One that fails is logged and tried again next time."""
    ended = 0
    for rows, state, cause in (
        (_past_term(), GrantState.EXPIRED, EndCause.TERM),
        (_come_of_age(), GrantState.RENEWAL_DUE, EndCause.REPRESENTATION),
    ):
        for subject in list(rows.values_list("subject", flat=True).distinct()[:limit]):
            try:
                ended += _end(subject, rows, state, cause)
            except Exception as error:
                log.error("expiry_failed", error=type(error).__name__)
    return ended


def _end(subject: int, rows: QuerySet[CurrentGrant], state: GrantState, cause: EndCause) -> int:
    with transaction.atomic():
        try:
            locked = subjects.lock(subject)
        except SubjectErased:
            return 0
        due = list(rows.filter(subject=locked).select_related("grant__record", "purpose"))
        if due:
            end_grants(locked, due, state=state, cause=cause, actor=ACTOR, reason=cause.value, noted=False)
    return int(bool(due))


def _past_term() -> QuerySet[CurrentGrant]:
    """Where somebody is restricted the gate is closed, and what would be destroyed waits until that is lifted."""
    return CurrentGrant.objects.filter(
        subject__erased_at=None,
        subject__restricted_at=None,
        grant__state__in=[state.value for state in HOLDS],
        grant__record__expires_at__lte=timezone.now(),
    )


def _come_of_age() -> QuerySet[CurrentGrant]:
    ended = Q(grant__record__representation__ends_at__lte=timezone.now())
    # What was ended before its time was closed there and then; where a crash came between, it is closed here.
    ended |= Q(grant__record__representation__ended_at__lte=timezone.now())
    return CurrentGrant.objects.filter(ended, subject__erased_at=None, grant__state=GrantState.GIVEN.value)
