"""Who looked at what about a person, when, and under which decision: read from the trail, through the salts that open it.

The salts go with the person, so that nothing of this survives an erasure; and entries that a log's own term pruned are not here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet

from audit.entry import ObjectKind, blind
from audit.events import EventName
from audit.models import Event, EventReference
from consent.errors import SubjectErased
from consent.models import Subject
from consent.vocabulary import AccessKind

OPENED: Final = "opened"
"""The member of an event's detail that says what was opened of whom: `<place among the event's subjects, from 0> <scope>`."""


_KINDS: Final[Mapping[str, AccessKind]] = {
    EventName.RESULTS_READ: AccessKind.RESULTS,
    EventName.AUDIO_READ: AccessKind.AUDIO,
    EventName.SUBJECT_REVEALED: AccessKind.EXTERNAL_REFERENCE,
    EventName.EVIDENCE_REVEALED: AccessKind.EVIDENCE_ORIGIN,
    EventName.REPRESENTATIVE_REVEALED: AccessKind.REPRESENTATIVE,
    EventName.RECEIPT_ISSUED: AccessKind.RECEIPT,
    EventName.STATEMENT_HEARD: AccessKind.SPOKEN_STATEMENT,
}
_OBJECTS: Final = (
    *(ObjectKind.ANALYSIS.value, ObjectKind.RECORDING.value),
    *(ObjectKind.CONSENT.value, ObjectKind.REPRESENTATIVE.value),
)
"""What was looked at, where it is not the person's own row."""


@dataclass(frozen=True, slots=True)
class Access:
    """One look. `object_kind` and `object_code` are empty for what hangs on the person alone; `decision` where none is needed."""

    at: datetime
    kind: AccessKind
    actor_kind: str
    actor_code: str
    scopes: tuple[str, ...]
    object_kind: str
    object_code: str
    decision: str
    event: str


def opened(subjects: Sequence[str], pairs: Iterable[tuple[str, str]]) -> list[str]:
    """For whoever records such an event: what was opened of whom, given the subjects in the order in which the event names them."""
    places = {subject: place for place, subject in enumerate(subjects)}
    return sorted({f"{places[subject]} {scope}" for subject, scope in pairs})


def of(subject: Subject) -> QuerySet[Event]:
    """The events, for `describe`. Raises `SubjectErased`."""
    if subject.erased_at is not None:
        raise SubjectErased("this person's data was erased")
    log = subject.project.organization.code
    theirs = EventReference.objects.filter(log=log, kind=ObjectKind.SUBJECT.value, code=subject.code)
    return Event.objects.filter(log=log, name__in=list(_KINDS), pk__in=theirs.values("event_id"))


def describe(subject: Subject, events: Sequence[Event]) -> list[Access]:
    """One query for any number of events from `of`."""
    references: dict[int, list[EventReference]] = {}
    for reference in EventReference.objects.filter(event__in=[event.pk for event in events]).order_by("pk"):
        references.setdefault(reference.event_id, []).append(reference)
    return [_describe(subject, event, references.get(event.pk, [])) for event in events]


def _describe(subject: Subject, event: Event, references: Sequence[EventReference]) -> Access:
    looked_at = next((one for one in references if one.kind in _OBJECTS), None)
    decision = next((one.code for one in references if one.kind == ObjectKind.DECISION), "")
    return Access(
        at=event.at,
        kind=_KINDS[event.name],
        actor_kind=event.actor_kind,
        actor_code=event.actor_code,
        scopes=_scopes(json.loads(bytes(event.entry)), subject, references),
        object_kind="" if looked_at is None else looked_at.kind,
        object_code="" if looked_at is None else looked_at.code,
        decision=decision,
        event=str(event.code),
    )


def _scopes(entry: Mapping[str, Any], subject: Subject, references: Sequence[EventReference]) -> tuple[str, ...]:
    """Whose scopes they are is said by place, because no entry names anybody: the salt tells which place is the person's."""
    blinds = {
        blind(one.kind, bytes(one.salt), one.code)
        for one in references
        if (one.kind, one.code) == (ObjectKind.SUBJECT, subject.code)
    }
    people = [shown for shown in entry["objects"] if shown["kind"] == ObjectKind.SUBJECT]
    places = {str(place) for place, shown in enumerate(people) if shown.get("blind") in blinds}
    said = [line.split(" ", 1) for line in entry["detail"].get(OPENED, ())]
    return tuple(sorted({scope for place, scope in said if place in places}))
