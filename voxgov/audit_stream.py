"""The log as a stream over HTTP: who may have one, how many there may be, and when one ends. What is in it is `audit.streaming`'s.

Streams hold threads of the web process, so that each process and each client has a few only, and the others are asked to come back.
"""

import select
import time
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.db.models import Q
from django.http import HttpResponse, StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from knox.models import AuthToken
from rest_framework import serializers
from rest_framework.request import Request

from accounts.access import may
from accounts.api_base import operation
from accounts.api_fields import QueryParameters, Word
from accounts.roles import Permission
from accounts.seats import Seats
from audit import sequenced, standing, streaming, trail, webhooks
from audit.entry import ObjectKind, Reference
from audit.errors import StreamsFull, TooManyStreams
from audit.events import EventName
from audit.sequenced import Place
from audit.webhooks import Start
from voxgov.log_api import LogView

MEDIA: Final = "text/event-stream"
_UNREAD: Final = 20.0
"""Seconds that a client may leave what it was sent unread, before it is cut off."""
_HANG_UP: Final = getattr(select, "POLLRDHUP", 0)
_LAST_EVENT_ID: Final = OpenApiParameter(
    "Last-Event-ID",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The `id` that came last, generation:index: what follows it comes, and nothing twice.",
)


class Names(serializers.CharField):
    """Names of events with commas between them."""

    def to_internal_value(self, data: Any) -> list[str]:  # type: ignore[override]  # a list, written as one string
        names = super().to_internal_value(data).split(",")
        if not set(names) <= {name.value for name in EventName}:
            raise serializers.ValidationError("names an event that there is not", code="invalid_choice")
        return names


class StreamParameters(QueryParameters):
    name = Names(required=False, max_length=4000, help_text="Names of the events that come, with commas between them.")
    start = Word(Start, required=False, default=Start.NOW, help_text="Where it begins without a Last-Event-ID.")


seats = Seats(
    lambda: (settings.VOXGOV_STREAMS, settings.VOXGOV_STREAMS_PER_CLIENT),
    all_taken=lambda: StreamsFull("all streams of this process are taken: come back later"),
    too_many=lambda: TooManyStreams("this client has as many streams as it may have: close one, or come back later"),
)


class Stream(LogView):
    @operation(
        "audit_stream_read",
        summary="Read the log as a stream of server-sent events",
        description="Each event of the signed log once, in its order: `id` is its place, `event` its name, `data` the entry as "
        "canonical JSON with place and leaf hash. A stream ends after some minutes: come back with `Last-Event-ID`. "
        "503 when all streams are taken.",
        permission=Permission.READ_LOG,
        answer=None,
        media=MEDIA,
        query=StreamParameters,
        headers=[_LAST_EVENT_ID],
    )
    def get(self, request: Request) -> HttpResponse | StreamingHttpResponse:
        standing.require_open()
        place = self._place(request)
        if request.method == "HEAD":
            return HttpResponse(content_type=MEDIA)
        client = self.client.code
        seats.take(client)
        try:
            self._record()
            stream = streaming.Stream(
                self.organization,
                place,
                names=self.query.get("name", ()),
                seconds=settings.VOXGOV_STREAM_SECONDS,
                may_go_on=self._may_go_on,
                wait=_waiting(request),
                done=lambda: seats.give_back(client),
            )
        except BaseException:
            seats.give_back(client)
            raise
        answer = StreamingHttpResponse(stream, content_type=MEDIA)
        answer["X-Accel-Buffering"] = "no"
        return answer

    def _place(self, request: Request) -> Place:
        """Raises `PlaceUnknown`."""
        given = request.headers.get("Last-Event-ID")
        if given is None:
            return webhooks.start_place(self.organization, self.query["start"])
        place = Place.parse(given)
        sequenced.require_known(self.organization, place)
        return place

    def _may_go_on(self) -> bool:
        """Whether the token, its client and the permission are still what let this stream begin."""
        token = AuthToken.objects.filter(
            Q(expiry=None) | Q(expiry__gt=timezone.now()),
            pk=self.request.auth.pk,
            user__is_active=True,
            user__api_client__revoked_at=None,
        )
        return token.exists() and may(self.request.user, Permission.READ_LOG, self.client.project_id)

    def _record(self) -> None:
        """Once for each stream, before anything of it leaves."""
        trail.record_alone(
            EventName.TRAIL_READ,
            organization=self.organization,
            actor=self.actor,
            objects=[Reference(ObjectKind.LOG, self.organization)],
            detail={"stream": True, "searched_by": sorted(set(self.query) - {"start"})},
        )


def _waiting(request: Request) -> Callable[[float], bool]:
    """Waits, and no longer than the client is there; the web server lends us its socket for that."""
    connection = request.META.get("gunicorn.socket")
    if connection is None:
        return _sleep
    connection.settimeout(_UNREAD)
    watched = select.poll()
    watched.register(connection, _HANG_UP)
    return lambda seconds: bool(watched.poll(seconds * 1000))


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
