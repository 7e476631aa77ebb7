"""Uploads over HTTP: what every view with a raw body of audio shares, and the upload of a spoken statement, which goes to the
consent room. The upload of a recording is in `api`.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import idempotency
from accounts.api_base import ApiView, operation
from accounts.models import User
from accounts.roles import Permission
from accounts.seats import Seats
from analysis.audio_body import AudioBody, attended
from analysis.errors import AnalysisError, TooManyUploads, UploadsFull
from consent import statements
from consent.models import ConsentRecord

RENEW_EVERY = idempotency.LEASE.total_seconds() / 4
"""Seconds between two signs of life of an upload, so that no repetition takes its `Idempotency-Key` over."""


seats = Seats(
    lambda: (settings.VOXGOV_UPLOADS, settings.VOXGOV_UPLOADS_PER_CLIENT),
    all_taken=lambda: UploadsFull("this process receives as much audio as it may: come back later"),
    too_many=lambda: TooManyUploads(
        "this client sends as much audio at once as it may: come back when one has arrived"
    ),
)


class RawUpload(ApiView):
    """A view whose body is read from the socket by the domain and by nothing before it.

    Of repetitions with one `Idempotency-Key` only a success is remembered: whatever went wrong, the same upload may be tried again.
    """

    parser_classes = ()

    def audio(self, request: HttpRequest) -> AudioBody:
        """The request's body, one object per request, which takes a seat with it. Raises `LengthRequired`, `UploadsFull`,
        `TooManyUploads`."""
        if self._audio is None:
            self._take_seat()
            self._audio = AudioBody(request)
        return self._audio

    _audio: AudioBody | None = None
    _seat: str | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            if self._seat is not None:
                seats.give_back(self._seat)

    def reading(self, body: AudioBody) -> Callable[[int], bytes]:
        """Reads the body, and keeps its `Idempotency-Key` held meanwhile."""
        return attended(body.read, self.still_busy, every=RENEW_EVERY)

    def replaying(self, request: Request) -> None:
        self.audio(request._request).read_away()

    def keeps(self, response: HttpResponse) -> bool:
        return response.status_code == 201

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        if final.status_code >= 400:
            # A client that sends before it listens still hears why it was refused.
            with suppress(AnalysisError, APIException, UnreadablePostError):
                self.audio(request._request).read_away_shortly()
        return final

    def _take_seat(self) -> None:
        if self._seat is None:
            # Whoever is not known shares the seats of one client.
            client = self.client.code if isinstance(self.request.user, User) else ""
            seats.take(client)
            self._seat = client


class StatementUploadedSerializer(serializers.Serializer[Any]):
    consent = serializers.CharField()
    state = serializers.CharField(
        help_text="`waiting`: a worker will hear it; read the consent to see what came of it."
    )


class ConsentStatement(RawUpload):
    @operation(
        "consents_upload_statement",
        summary="Upload the clip in which a person says that they consent",
        description=(
            "At most 60 seconds, in which the person says the notice's required phrase. It is sealed under the person's record key"
            " and heard only to compare it with that phrase; of what was said only a ratio and a hash are kept."
        ),
        permission=Permission.MANAGE_CONSENT,
        raw_body=True,
        answer=StatementUploadedSerializer,
        status_code=201,
    )
    def put(self, request: Request, code: UUID) -> Response:
        rows = ConsentRecord.objects.select_related("project__organization", "subject", "notice")
        record = self.find(rows, code)
        body = self.audio(request._request)
        statement = statements.receive(record, self.reading(body), body.length, actor=self.actor)
        return Response({"consent": record.code, "state": statement.state}, status=201)
