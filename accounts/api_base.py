"""What every view of the API stands on: authenticate, check the one permission its operation declares, refuse what it does not
know, answer a repetition from the replay table, and hand on. No view holds a rule of its own.

An object that the caller may not see is not found (404), never forbidden; 403 is for a whole operation that the caller's roles
do not include. How errors become problem details is the top room's business.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from django.db import DatabaseError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, NotFound, PermissionDenied
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import idempotency
from accounts.access import actor_of, may
from accounts.api_fields import Problem, QueryParameters, StrictJSONParser, StrictSerializer
from accounts.models import ApiClient, Project, User
from accounts.roles import Permission
from audit import standing
from audit.entry import Actor

log = structlog.get_logger(__name__)

PROBLEM_TYPE = "application/problem+json"
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
NOT_KEPT = frozenset({400, 411, 413, 415})
"""Statuses of a request that was never understood: nothing ran, so its key stays free for the corrected request."""

Handler = TypeVar("Handler", bound=Callable[..., HttpResponseBase])
Row = TypeVar("Row", bound=Model)


class UnknownParameter(APIException):
    """A query parameter that the operation does not have; refused, never ignored."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "unknown_parameter"

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("this operation has no such query parameter")
        self.names = tuple(names)


class ReferenceUnknown(APIException):
    """A code in the body names nothing that the caller can see; whether it is elsewhere is not said."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = "reference_unknown"

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} names nothing in this project")
        self.field = field


class BodyUnexpected(APIException):
    """The operation takes no body (an empty object passes)."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "body_unexpected"
    default_detail = "this operation takes no body"


class Replayed(Exception):
    """The call was answered before. No error: it carries that answer past the handler."""

    def __init__(self, answer: idempotency.Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method of one route needs and takes. The authorization tests are generated from these."""

    permission: Permission
    also: frozenset[Permission]
    """Needed besides, where one permission does not say it all."""
    query: type[QueryParameters]
    body: type[StrictSerializer] | None
    raw_body: bool
    changes: bool
    """False for what only reads, a lookup or a preview by POST included: it takes no `Idempotency-Key`."""
    while_closed: bool = False

    @property
    def needs(self) -> tuple[Permission, ...]:
        return (self.permission, *sorted(self.also))


class AlwaysJson(BaseContentNegotiation):
    """The API speaks JSON, whatever `Accept` says."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        given = request.content_type.split(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == given), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type or "application/json"


def operation(
    operation_id: str,
    *,
    summary: str,
    permission: Permission,
    also: Collection[Permission] = (),
    answer: type[serializers.Serializer[Any]] | None,
    status_code: int = 200,
    description: str = "",
    query: type[QueryParameters] = QueryParameters,
    body: type[StrictSerializer] | None = None,
    raw_body: bool = False,
    media: str = "",
    or_media: Collection[str] = (),
    while_closed: bool = False,
    headers: Sequence[OpenApiParameter] = (),
    examples: Sequence[OpenApiExample] = (),
) -> Callable[[Handler], Handler]:
    """Declares a handler's operation, for the base view that enforces it and for the OpenAPI document alike.

    `media` is the media type of an answer that is not JSON; it has no serializer then. `or_media` are those that it may have
    instead, for clients that ask for one. `while_closed` is for what nothing may hold up: it works while the service is closed
    because its database went back.
    """
    changes = operation_id.rsplit("_", maxsplit=1)[-1] not in ("list", "read", "lookup", "preview")
    parameters: list[Any] = [*([query] if query().fields else []), *headers]
    if changes:
        parameters.append(_IDEMPOTENCY_KEY)
    described = OpenApiResponse(OpenApiTypes.BINARY if answer is None else answer, description=f"{summary}.")
    answered: Any = {(status_code, media) if media else status_code: described}
    for other in or_media:
        shape = OpenApiTypes.OBJECT if other.endswith("json") else OpenApiTypes.STR
        answered[status_code, other] = OpenApiResponse(shape, description=f"{summary}.")
    request: Any = {"application/octet-stream": OpenApiTypes.BINARY} if raw_body else body

    def declare(handler: Handler) -> Handler:
        decorated = extend_schema(
            operation_id=operation_id,
            summary=summary,
            description=description or f"{summary}.",
            parameters=parameters,
            request=request,
            responses={
                **answered,
                **_PROBLEMS,
            },
            tags=[operation_id.split("_", maxsplit=1)[0]],
            examples=list(examples),
        )(handler)
        decorated.operation = Operation(  # type: ignore[attr-defined]
            permission, frozenset(also), query, body, raw_body, changes, while_closed
        )
        return decorated

    return declare


_IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="1 to 255 visible ASCII characters. A repetition with the same key gets the first answer again, byte for byte.",
)
_PROBLEMS: dict[Any, Any] = {
    ("default", PROBLEM_TYPE): OpenApiResponse(Problem, description="Problem details; `code` says which."),
    (400, PROBLEM_TYPE): OpenApiResponse(Problem, description="The request cannot be understood."),
    (401, PROBLEM_TYPE): OpenApiResponse(Problem, description="No valid token."),
    (403, PROBLEM_TYPE): OpenApiResponse(Problem, description="The client's roles, or the gate, do not allow it."),
    (404, PROBLEM_TYPE): OpenApiResponse(Problem, description="No such thing that this client may see."),
}


class ApiView(APIView):
    """Base of all views under `/v1/`."""

    content_negotiation_class = AlwaysJson
    parser_classes: Sequence[type[BaseParser]] = (StrictJSONParser,)
    metadata_class = None
    http_method_names = ("get", "head", "post", "put", "patch", "delete")
    cache_control = "no-store"
    query: Mapping[str, Any]
    _held: idempotency.Held | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        declared = operation_of(self, request.method or "")
        if declared is None:
            return  # a method that the route does not have: the dispatcher answers 405
        for needed in declared.needs:
            if not may(request.user, needed, self.client.project_id):
                raise PermissionDenied(f"this client's roles do not include {needed}")
        if not declared.while_closed:
            standing.require_open()
        self._read_query(request, declared)
        if request.method in UNSAFE:
            content = self._content(request, declared)
            key = request.headers.get("Idempotency-Key")
            if key is not None and declared.changes:
                self._begin(request, key, content)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return super().dispatch(request, *args, **kwargs)
        except BaseException:
            if self._held is not None:
                idempotency.abandon(self._held)
            raise

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Replayed):
            first = exc.answer
            try:
                body = self.repeated(first.body)
            except Exception as problem:
                return super().handle_exception(problem)
            again = HttpResponse(body, status=first.status, content_type=first.content_type)
            again["Idempotency-Replayed"] = "true"
            return again  # type: ignore[return-value]  # finalize_response takes any response
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        final["Cache-Control"] = self.cache_control if final.status_code == status.HTTP_200_OK else "no-store"
        held, self._held = self._held, None
        if held is not None:
            final.render()
            self._remember(held, final)
        return final

    @property
    def client(self) -> ApiClient:
        """The API client that calls."""
        user = self.request.user
        assert isinstance(user, User)
        found: ApiClient = user.api_client
        return found

    @property
    def project(self) -> Project:
        """The one project that the client is bound to."""
        return self.client.project

    @property
    def actor(self) -> Actor:
        user = self.request.user
        assert isinstance(user, User)
        return actor_of(user)

    def find(self, rows: "QuerySet[Row]", code: object) -> Row:
        """The row with this code among those that the caller sees. Raises `NotFound`, by the same path for every reason."""
        found = rows.visible_to(self.request.user).filter(code=str(code)).first()  # type: ignore[attr-defined]
        if found is None:
            raise NotFound("no such thing here")
        return found  # type: ignore[no-any-return]

    def refer(self, rows: "QuerySet[Row]", code: object, field: str) -> Row:
        """The row that a field of the body names. Raises `ReferenceUnknown`."""
        try:
            return self.find(rows, code)
        except NotFound:
            raise ReferenceUnknown(field) from None

    def read(self, form: type[StrictSerializer]) -> dict[str, Any]:
        """The request's body, validated. Raises `ValidationError`."""
        checked = form(data=self.request.data, context={"view": self})
        checked.is_valid(raise_exception=True)
        return dict(checked.validated_data)

    def _read_query(self, request: Request, declared: Operation) -> None:
        parameters = declared.query(data=request.query_params.dict())
        known = set(parameters.fields)
        unknown = sorted(set(request.query_params) - known)
        if unknown:
            raise UnknownParameter(unknown)
        twice = [name for name, values in request.query_params.lists() if len(values) > 1]
        if twice:
            raise serializers.ValidationError({name: ["is given twice"] for name in twice}, code="duplicate")
        parameters.is_valid(raise_exception=True)
        self.query = parameters.validated_data

    def _content(self, request: Request, declared: Operation) -> bytes:
        """What stands for the request's content in its fingerprint. Raises `BodyUnexpected`."""
        if declared.raw_body:
            # A body that may be gigabytes is not read for its fingerprint: a recording takes audio once, so that its route
            # and the announced length say enough.
            return f"length {request.META.get('CONTENT_LENGTH', '')}".encode()
        content: bytes = request._request.body  # bounded by DATA_UPLOAD_MAX_MEMORY_SIZE
        if declared.body is None and content.strip() not in (b"", b"{}"):
            raise BodyUnexpected
        return content

    def _begin(self, request: Request, key: str, content: bytes) -> None:
        started = idempotency.begin(
            self.client, key, method=request.method or "", path=request.get_full_path(), body=content
        )
        if isinstance(started, idempotency.Answer):
            self.replaying(request)
            raise Replayed(started)
        self._held = started

    def still_busy(self) -> None:
        """Called every few seconds by a view whose work may outlast the lease of its `Idempotency-Key`."""
        if self._held is not None:
            idempotency.renew(self._held)

    def replaying(self, request: Request) -> None:
        """Called before an earlier answer is given again; a view with a raw body reads it away here."""

    def keeps(self, response: HttpResponse) -> bool:
        """Whether this answer is kept for repetitions. Errors of the service are not: a repetition may succeed."""
        return response.status_code < 500 and response.status_code not in NOT_KEPT

    def kept(self, body: bytes) -> bytes:
        """What is kept of an answer for its repetitions. A secret is not: a view that shows one keeps where it lies instead."""
        return body

    def repeated(self, body: bytes) -> bytes:
        """The answer again, from what `kept` left of it."""
        return body

    def _remember(self, held: idempotency.Held, response: HttpResponse) -> None:
        try:
            if self.keeps(response):
                body = self.kept(response.content)
                answer = idempotency.Answer(response.status_code, response["Content-Type"], body)
                idempotency.finish(held, answer)
            else:
                idempotency.abandon(held)
        except DatabaseError as error:
            # The call is done; its answer must not be lost because it could not be kept.
            log.error("replay_not_kept", error=type(error).__name__)


def operation_of(view: object, method: str) -> Operation | None:
    """The operation that a view declares for an HTTP method. HEAD is GET."""
    name = "get" if method == "HEAD" else method.lower()
    found: Operation | None = getattr(getattr(view, name, None), "operation", None)
    return found
