"""Writing to the trail. Each state change and each decision records one event in its own transaction; the trail is the outbox,
and `sequencing` gives each event its place in the signed log afterwards.

Reading, exporting and verifying live elsewhere in this room.
"""

import time
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from typing import Final

from django.db import connection, transaction
from django.utils import timezone

from audit import entry as entries
from audit.entry import Actor, ActorKind, Detail, Reference
from audit.errors import EventOutsideTransaction
from audit.events import EventName
from audit.models import EventReference
from vault.codes import new_code

CHANNEL: Final = "voxgov_audit"
"""PostgreSQL channel on which the sequencer is woken."""
_WAKE_EVERY: Final = 0.1
_woken = float("-inf")
_INSERT: Final = """
WITH event AS (
    INSERT INTO audit_event (code, log, at, name, actor_kind, actor_code, outcome, request_id, entry)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id, log
)
INSERT INTO audit_eventreference (event_id, log, kind, code, salt)
SELECT event.id, event.log, blinded.kind, blinded.code, blinded.salt
FROM event, unnest(%s::text[], %s::text[], %s::bytea[]) AS blinded (kind, code, salt)
"""
"""The event and what opens its blinded objects, in one round trip."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the HTTP request or task under way; every event recorded meanwhile carries it."""


def system(part: str) -> Actor:
    """The actor for what the service does on its own: `system("retention")`."""
    return Actor(ActorKind.SYSTEM, part)


def record(
    name: EventName,
    *,
    organization: str,
    actor: Actor,
    objects: Sequence[Reference] = (),
    outcome: str = "",
    reason: str = "",
    detail: Detail | None = None,
) -> str:
    """Writes one event into the log of `organization` within the caller's transaction; returns the event's code.

    `objects` go from the most specific to the least. Raises `EventOutsideTransaction`, `EntryInvalid`.
    """
    if not connection.in_atomic_block:
        raise EventOutsideTransaction(f"{name} must be recorded in the transaction of the change it speaks of")
    composed = entries.compose(
        name,
        code=new_code(),
        log=organization,
        at=timezone.now(),
        actor=actor,
        references=objects,
        outcome=outcome,
        reason=reason,
        request_id=request_id.get(),
        detail=detail or {},
    )
    blinded = composed.blinded
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                composed.code,
                organization,
                composed.at,
                name.value,
                actor.kind.value,
                actor.code,
                outcome,
                request_id.get(),
                composed.canonical,
                [item.reference.kind.value for item in blinded],
                [item.reference.code for item in blinded],
                [item.salt for item in blinded],
            ],
        )
    transaction.on_commit(_wake_sequencer, robust=True)
    return composed.code


def _wake_sequencer() -> None:
    """Tells the sequencer, at most ten times a second from one process: a notification holds up every other commit that notifies,
    and the sequencer looks by itself soon enough."""
    global _woken  # noqa: PLW0603 (one clock per process)
    now = time.monotonic()
    if now - _woken > _WAKE_EVERY:
        _woken = now
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


def forget(organization: str, codes: Iterable[str]) -> int:
    """Deletes the salts of every object named, so that no entry can be linked to it again; returns how many went."""
    deleted, _ = EventReference.objects.filter(log=organization, code__in=list(codes)).delete()
    return deleted
