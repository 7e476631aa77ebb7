"""Writing to the trail. Each state change and each decision records one event in its own transaction; the trail is the outbox.

Reading, exporting and verifying live elsewhere in this room.
"""

from collections.abc import Iterable, Sequence
from contextvars import ContextVar

from django.db import connection
from django.utils import timezone

from audit import entry as entries
from audit.entry import Actor, ActorKind, Detail, Reference
from audit.errors import EventOutsideTransaction
from audit.events import EventName
from audit.models import Event, EventReference
from vault.codes import new_code

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
    event = Event.objects.create(
        code=composed.code,
        log=organization,
        at=composed.at,
        name=name.value,
        actor_kind=actor.kind.value,
        actor_code=actor.code,
        outcome=outcome,
        request_id=request_id.get(),
        entry=composed.canonical,
    )
    if composed.blinded:
        EventReference.objects.bulk_create(
            EventReference(
                event=event,
                log=organization,
                kind=item.reference.kind.value,
                code=item.reference.code,
                salt=item.salt,
            )
            for item in composed.blinded
        )
    return composed.code


def forget(organization: str, codes: Iterable[str]) -> int:
    """Deletes the salts of every object named, so that no entry can be linked to it again; returns how many went."""
    deleted, _ = EventReference.objects.filter(log=organization, code__in=list(codes)).delete()
    return deleted
