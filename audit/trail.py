"""Writing to the trail. Each state change and each decision records one event in its own transaction; the trail is the outbox,
and `sequencing` gives each event its place in the signed log afterwards.

Reading, exporting and verifying live elsewhere in this room.
"""

import time
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final

import psycopg
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
_EVENT: Final = (
    "INSERT INTO audit_event (code, log, at, name, actor_kind, actor_code, outcome, request_id, entry)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_WITH_BLINDED: Final = """
WITH event AS ({event} RETURNING id, log)
INSERT INTO audit_eventreference (event_id, log, kind, code, salt)
SELECT event.id, event.log, blinded.kind, blinded.code, blinded.salt FROM event, (VALUES {blinded}) AS blinded (kind, code, salt)
"""
"""The event and what opens its blinded objects, in one statement."""
_MOST_PREPARED: Final = 16
"""Blinded objects in a statement that is kept prepared; hardly any event has so many."""

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
    return _write(
        name,
        organization=organization,
        actor=actor,
        objects=objects,
        outcome=outcome,
        reason=reason,
        detail=detail or {},
    )


def record_alone(
    name: EventName,
    *,
    organization: str,
    actor: Actor,
    objects: Sequence[Reference] = (),
    outcome: str = "",
    reason: str = "",
    detail: Detail | None = None,
) -> str:
    """`record` for an event that is a whole change by itself (somebody read, or was turned away): committed when this returns, by
    one round trip instead of three. Raises `EntryInvalid`, and `RuntimeError` within a transaction, which could take it back."""
    if connection.in_atomic_block:
        raise RuntimeError(f"{name} stands alone: it cannot be recorded within a transaction")
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    return _write(
        name,
        organization=organization,
        actor=actor,
        objects=objects,
        outcome=outcome,
        reason=reason,
        detail=detail or {},
    )


def _write(
    name: EventName,
    *,
    organization: str,
    actor: Actor,
    objects: Sequence[Reference],
    outcome: str,
    reason: str,
    detail: Detail,
) -> str:
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
        detail=detail,
    )
    values: list[Any] = [
        composed.code,
        organization,
        composed.at,
        name.value,
        actor.kind.value,
        actor.code,
        outcome,
        request_id.get(),
        composed.canonical,
    ]
    for item in composed.blinded:
        values += [item.reference.kind.value, item.reference.code, item.salt]
    count = len(composed.blinded)
    # Prepared, past Django's own cursor, which writes the values into the text of each statement: planning this one anew costs the
    # database more than carrying it out.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(_statement(count), values, prepare=count <= _MOST_PREPARED)
    transaction.on_commit(_wake_sequencer, robust=True)
    return composed.code


@lru_cache(maxsize=_MOST_PREPARED + 1)
def _statement(blinded: int) -> bytes:
    """The statement for an event with so many blinded objects."""
    if not blinded:
        return _EVENT.encode()
    return _WITH_BLINDED.format(event=_EVENT, blinded=", ".join(["(%s, %s, %s::bytea)"] * blinded)).encode()


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
