"""The audit trail over HTTP, for whoever may read the log of their organization. It lives here because `audit` knows no accounts.

Each event comes as its entry, the canonical bytes that are hashed, and their leaf hash, so that a reader verifies for themselves.
Reading the trail is itself recorded, before anything leaves.
"""

import base64
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import may, organizations_with_log
from accounts.api_base import ApiView, operation
from accounts.api_fields import Moment, PageParameters, Word
from accounts.api_pages import NEWEST, OLDEST, page, page_of
from accounts.roles import Permission
from analysis.models import Analysis, Recording
from audit import trail
from audit.entry import ObjectKind, Reference, leaf_hash
from audit.events import EventName
from audit.models import Event, EventReference
from consent.models import ConsentRecord, Decision, Representation, Subject

OPENED_BY: Final[Mapping[str, Any]] = {
    ObjectKind.SUBJECT.value: Subject,
    ObjectKind.CONSENT.value: ConsentRecord,
    ObjectKind.REPRESENTATIVE.value: Representation,
    ObjectKind.DECISION.value: Decision,
    ObjectKind.RECORDING.value: Recording,
    ObjectKind.ANALYSIS.value: Analysis,
}
"""The model whose row a reader must see for a blinded object of that kind to be opened to them."""


class Order(StrEnum):
    NEWEST = "newest"
    OLDEST = "oldest"


class EventParameters(PageParameters):
    order = Word(Order, required=False, default=Order.NEWEST)
    name = Word(EventName, required=False)
    actor = serializers.CharField(
        required=False, max_length=64, help_text="Code of a user or client, or a part's name."
    )
    since = Moment(required=False)
    until = Moment(required=False, help_text="Up to, and not at, this time.")
    object = serializers.CharField(
        required=False,
        max_length=64,
        help_text="Code of a subject, consent, decision, recording or analysis; needs permission to see consent.",
    )


class OpeningSerializer(serializers.Serializer[Any]):
    """Opens one blinded object: SHA-256 over the tag, its kind, the salt and the code gives the blind."""

    kind = Word(ObjectKind)
    code = serializers.CharField()
    salt = serializers.CharField(help_text="Hexadecimal.")


class EventSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    entry = serializers.DictField(help_text="The entry, schema version 1.")
    canonical = serializers.CharField(help_text="Base64 of the entry's canonical bytes (RFC 8785): what is hashed.")
    leaf_hash = serializers.CharField(
        help_text="RFC 6962: SHA-256 over a zero byte and the canonical bytes; hexadecimal."
    )
    openings = OpeningSerializer(many=True, help_text="Of those objects that this client may see itself.")


class Events(ApiView):
    @operation(
        "audit_events_list",
        summary="List the organization's audit events",
        permission=Permission.READ_LOG,
        answer=page_of(EventSerializer),
        query=EventParameters,
    )
    def get(self, request: Request) -> Response:
        asked = self.query
        rows = self._log()
        if (name := asked.get("name")) is not None:
            rows = rows.filter(name=name.value)
        if (actor := asked.get("actor")) is not None:
            rows = rows.filter(actor_code=actor)
        if (since := asked.get("since")) is not None:
            rows = rows.filter(at__gte=since)
        if (until := asked.get("until")) is not None:
            rows = rows.filter(at__lt=until)
        if (about := asked.get("object")) is not None:
            rows = self._about(rows, about)
        ordering = OLDEST if asked["order"] is Order.OLDEST else NEWEST
        found = page(rows.prefetch_related("references"), request, asked, self._present, ordering=ordering)
        self._record(len(found["results"]))
        return Response(found)

    def _log(self) -> QuerySet[Event]:
        logs = organizations_with_log(self.request.user).values_list("code", flat=True)
        return Event.objects.filter(log__in=list(logs))

    def _about(self, rows: QuerySet[Event], code: str) -> QuerySet[Event]:
        """Events about one person's object. Raises `PermissionDenied` for whoever may not see consent."""
        if not may(self.request.user, Permission.VIEW_CONSENT, self.client.project_id):
            raise PermissionDenied(f"this client's roles do not include {Permission.VIEW_CONSENT}")
        logs = list(organizations_with_log(self.request.user).values_list("code", flat=True))
        references = EventReference.objects.filter(log__in=logs, code=code, kind__in=list(OPENED_BY))
        if not self._visible(list(references[:1])):
            return rows.none()
        return rows.filter(pk__in=references.values("event_id"))

    def _present(self, events: Sequence[Event]) -> Iterable[Any]:
        references = [reference for event in events for reference in event.references.all()]
        visible = self._visible(references)
        return [_event(event, visible) for event in events]

    def _visible(self, references: Sequence[EventReference]) -> set[str]:
        """Codes of those objects that the caller could read through their own routes; a log spans projects, a client does not."""
        if not may(self.request.user, Permission.VIEW_CONSENT, self.client.project_id):
            return set()
        seen: set[str] = set()
        for kind, model in OPENED_BY.items():
            codes = {reference.code for reference in references if reference.kind == kind}
            if codes:
                rows = model.objects.visible_to(self.request.user).filter(code__in=codes)
                seen.update(rows.values_list("code", flat=True))
        return seen

    def _record(self, events: int) -> None:
        """That somebody looked, and by what they searched; never what for, which could be a person's code."""
        organization = self.project.organization.code
        trail.record_alone(
            EventName.TRAIL_READ,
            organization=organization,
            actor=self.actor,
            objects=[Reference(ObjectKind.LOG, organization)],
            detail={"events": events, "searched_by": sorted(set(self.query) - {"cursor", "limit", "order"})},
        )


class OneEvent(Events):
    @operation(
        "audit_event_read", summary="Read one audit event", permission=Permission.READ_LOG, answer=EventSerializer
    )
    def get(self, request: Request, code: UUID) -> Response:  # type: ignore[override]  # the route has a code
        event = self._log().filter(code=code).prefetch_related("references").first()
        if event is None:
            raise NotFound("no such thing here")
        found = list(self._present([event]))
        self._record(1)
        return Response(found[0])


def _event(event: Event, visible: Collection[str]) -> dict[str, Any]:
    canonical = bytes(event.entry)
    return {
        "code": str(event.code),
        "entry": json.loads(canonical),
        "canonical": base64.b64encode(canonical).decode(),
        "leaf_hash": leaf_hash(canonical).hex(),
        "openings": [
            {"kind": reference.kind, "code": reference.code, "salt": bytes(reference.salt).hex()}
            for reference in event.references.all()
            if reference.code in visible
        ],
    }
