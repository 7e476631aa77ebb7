"""Every error as RFC 9457 problem details, in one place: which status and title each typed error gets.

Rooms raise; nothing else in the code knows HTTP statuses of domain errors. What is not in the table is a fault of the service:
500, with no word about it but the request's id.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.views import defaults
from rest_framework.exceptions import APIException, ErrorDetail, NotFound, PermissionDenied, ValidationError
from rest_framework.response import Response
from rest_framework.views import set_rollback

from accounts import errors as accounts_errors
from accounts import idempotency
from accounts.api_base import PROBLEM_TYPE, ReferenceUnknown, UnknownParameter
from analysis import errors as analysis_errors
from audit import errors as audit_errors
from audit import trail
from consent import errors as consent_errors
from vault import errors as vault_errors

RETRY_AFTER = 5
"""Seconds after which a client may try again what failed because something was away."""

TABLE: Mapping[type[Exception], tuple[int, str]] = {
    # accounts
    accounts_errors.OutsideOrganization: (422, "Belongs to another organization"),
    accounts_errors.UnknownRole: (422, "Unknown role"),
    accounts_errors.UsernameTaken: (409, "Username taken"),
    accounts_errors.OwnRole: (403, "Own role"),
    accounts_errors.SecondFactorThere: (409, "Second factor is set up"),
    accounts_errors.NoSecondFactorPending: (409, "No second factor being set up"),
    accounts_errors.GlassRefused: (422, "Break-glass access refused"),
    idempotency.IdempotencyKeyInvalid: (400, "Idempotency key invalid"),
    idempotency.IdempotencyKeyReused: (422, "Idempotency key used for another request"),
    idempotency.IdempotencyKeyInFlight: (409, "First call still under way"),
    # consent
    consent_errors.ConsentDenied: (403, "Not permitted by consent"),
    consent_errors.NoticeImmutable: (409, "Notice already published"),
    consent_errors.NoticeNotPublished: (422, "Notice not in force"),
    consent_errors.InvalidRecord: (422, "Record contradicts itself or the rules"),
    consent_errors.SubjectErased: (410, "Subject erased"),
    consent_errors.SubjectRestricted: (409, "Processing restricted"),
    consent_errors.NotRestricted: (409, "Not restricted"),
    consent_errors.NothingToWithdraw: (409, "Nothing to withdraw"),
    consent_errors.PreviewInvalid: (409, "Count not valid any more"),
    consent_errors.SelectionGrew: (409, "Selection grew"),
    consent_errors.RepresentationEnded: (409, "No longer represents the person"),
    consent_errors.SecondPersonNeeded: (409, "A second person must approve"),
    consent_errors.AlreadyDecided: (409, "Decided before"),
    consent_errors.ImportUnreadable: (422, "File not readable"),
    consent_errors.ImportNotReady: (409, "Import not in that state"),
    consent_errors.BreachAmended: (409, "Amended meanwhile"),
    consent_errors.StatementNotExpected: (409, "No statement awaited"),
    consent_errors.StatementTooLarge: (413, "Statement too large"),
    consent_errors.StatementEmpty: (400, "Statement empty"),
    consent_errors.StatementCutShort: (400, "Statement cut short"),
    consent_errors.DuplicateSubject: (409, "Subject exists already"),
    # analysis
    analysis_errors.RecordingNotReceivable: (409, "Recording takes no audio now"),
    analysis_errors.AudioTooLarge: (413, "Audio too large"),
    analysis_errors.AudioTruncated: (400, "Audio cut short"),
    analysis_errors.AudioEmpty: (400, "Audio empty"),
    analysis_errors.UploadsFull: (503, "All uploads taken"),
    analysis_errors.TooManyUploads: (429, "Too many uploads of this client"),
    analysis_errors.AudioGone: (410, "Audio gone"),
    analysis_errors.NotFinished: (409, "Analysis not done"),
    analysis_errors.TranscriptAbsent: (409, "No transcript"),
    analysis_errors.RedactionImpossible: (409, "Cannot be redacted"),
    analysis_errors.RedactionTooLong: (422, "Too long to be redacted"),
    analysis_errors.RedactionUnavailable: (503, "Cannot be redacted now"),
    analysis_errors.NotCancellable: (409, "Analysis has ended"),
    analysis_errors.ScopeOutsideRecording: (422, "Scope outside the recording"),
    analysis_errors.ScopeWithoutEngine: (422, "No engine for this scope"),
    analysis_errors.HintsWithoutWords: (422, "Nothing to transcribe"),
    analysis_errors.LanguageUnsupported: (422, "Language not known to the model"),
    analysis_errors.TooManyParticipants: (422, "Participants invalid"),
    analysis_errors.EnrolmentImpossible: (422, "Voice cannot be enrolled"),
    # audit
    audit_errors.ServiceClosed: (503, "Closed until recovered"),
    audit_errors.EventNotSigned: (409, "Event not signed yet"),
    audit_errors.ExportImpossible: (422, "No such export can be made"),
    audit_errors.ExportNotReady: (409, "Export not ready"),
    audit_errors.KeyInvalid: (422, "Key not readable"),
    audit_errors.AddressRefused: (422, "Address not allowed"),
    audit_errors.TooManyWebhooks: (409, "Too many webhooks"),
    audit_errors.TooManySecrets: (409, "Too many secrets in force"),
    audit_errors.PlaceUnknown: (409, "Place not in the log"),
    audit_errors.StreamsFull: (503, "All streams taken"),
    audit_errors.TooManyStreams: (429, "Too many streams of this client"),
    # vault
    vault_errors.KeyShredded: (410, "Data destroyed"),
    vault_errors.ProviderUnavailable: (503, "Key provider away"),
    vault_errors.StorageUnavailable: (503, "Storage away"),
    vault_errors.JournalUnwritten: (503, "In force, but not in the journal yet"),
    # the framework
    RequestDataTooBig: (413, "Body too large"),
    UnreadablePostError: (400, "Body cut short"),
}
"""By class; a subclass without a line of its own takes its parent's."""

_CODES: Mapping[type[Exception], str] = {
    RequestDataTooBig: "body_too_large",
    UnreadablePostError: "body_truncated",
    ValidationError: "invalid_request",
}
"""Codes of errors that are not ours and carry none."""

_TITLES: Mapping[str, str] = {
    "invalid_request": "Request invalid",
    "parse_error": "Body not readable",
    "body_unexpected": "Body not expected",
    "unknown_parameter": "Unknown query parameter",
    "cursor_invalid": "Cursor invalid",
    "reference_unknown": "Names something that is not there",
    "not_authenticated": "No token",
    "authentication_failed": "Token not valid",
    "permission_denied": "Not permitted by the client's roles",
    "not_found": "Not found",
    "method_not_allowed": "Method not allowed",
    "length_required": "Length required",
    "body_too_slow": "Body too slow",
    "unsupported_media_type": "Media type not supported",
    "bad_request": "Request refused",
    "internal_error": "The service failed",
}


class BodyTooSlow(APIException):
    """The body came slower than any real line is (`voxgov.patience`)."""

    status_code = 408
    default_code = "body_too_slow"
    default_detail = "the body came too slowly"


def handle(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler. None for what is not in the table, which Django then answers through `server_error`."""
    if isinstance(exc, Http404):
        exc = NotFound("no such thing here")
    elif isinstance(exc, DjangoPermissionDenied):
        exc = PermissionDenied()
    elif isinstance(exc, UnreadablePostError) and _was_too_slow(exc):
        exc = BodyTooSlow()
    headers: dict[str, str] = {}
    if isinstance(exc, APIException):
        status, code = exc.status_code, _CODES.get(type(exc), exc.default_code)
        title = _TITLES.get(code, code.replace("_", " ").capitalize())
        detail = "the request is not valid" if isinstance(exc, ValidationError) else str(exc.detail)
        if challenge := getattr(exc, "auth_header", None):
            headers["WWW-Authenticate"] = challenge
    elif (row := _row(exc)) is not None:
        (status, title), code = row, _CODES.get(type(exc)) or str(getattr(exc, "code", "error"))
        detail = str(exc) if type(exc) not in _CODES else title.lower()
        if status in (429, 503):
            headers["Retry-After"] = str(RETRY_AFTER)
        if isinstance(exc, idempotency.IdempotencyKeyInFlight):
            headers["Retry-After"] = str(int(exc.wait) + 1)
    else:
        return None
    set_rollback()
    body = problem(status, code, title, detail) | _more(exc)
    return Response(body, status=status, headers=headers, content_type=PROBLEM_TYPE)


def _was_too_slow(error: BaseException | None) -> bool:
    """Django wraps what reading the body raised, once or twice."""
    return isinstance(error, TimeoutError) or (isinstance(error, OSError) and _was_too_slow(error.__cause__))


def problem(status: int, code: str, title: str, detail: str) -> dict[str, Any]:
    """The members that every problem has."""
    return {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": trail.request_id.get(),
    }


def catalogue() -> dict[str, dict[str, Any]]:
    """Every code with its title, and its status where one class has it."""
    known: dict[str, dict[str, Any]] = {code: {"code": code, "title": title} for code, title in _TITLES.items()}
    for error, (status, title) in TABLE.items():
        code = _CODES.get(error) or str(getattr(error, "code", ""))
        meaning = (error.__doc__ or "").strip().splitlines()[0] if error not in _CODES else title
        known[code] = {"code": code, "title": title, "status": status, "meaning": meaning}
    return known


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404: a problem for programs, Django's own page for people in the admin."""
    if _for_people(request):
        return defaults.page_not_found(request, exception)
    return _plain(404, "not_found", "there is no such route")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: requests that Django itself refuses."""
    if _for_people(request):
        return defaults.bad_request(request, exception)
    return _plain(400, "bad_request", "the request was refused")


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500. Says nothing about the fault: the logs have it, under the request's id."""
    if _for_people(request):
        return defaults.server_error(request)
    return _plain(500, "internal_error", "the service failed; nothing more is said here")


def _plain(status: int, code: str, detail: str) -> HttpResponse:
    response = JsonResponse(problem(status, code, _TITLES[code], detail), status=status, content_type=PROBLEM_TYPE)
    response["Cache-Control"] = "no-store"
    return response


def _for_people(request: HttpRequest) -> bool:
    return request.path.startswith("/admin/")


def _row(exc: Exception) -> tuple[int, str] | None:
    return next((TABLE[parent] for parent in type(exc).__mro__ if parent in TABLE), None)


def _more(exc: Exception) -> dict[str, Any]:
    """What some problems say besides."""
    if isinstance(exc, ValidationError):
        return {"errors": list(_field_problems(exc.detail))}
    if isinstance(exc, consent_errors.InvalidRecord):
        return {"errors": [_field(field, exc.code, message) for field, message in exc.problems]}
    if isinstance(exc, ReferenceUnknown):
        return {"errors": [_field(exc.field, exc.default_code, str(exc.detail))]}
    if isinstance(exc, UnknownParameter):
        return {"errors": [_field(name, exc.default_code, str(exc.detail)) for name in exc.names]}
    if isinstance(exc, consent_errors.ConsentDenied):
        denials = exc.verdict.denials
        return {
            "decision": exc.decision,
            "missing_scopes": sorted({denial.scope for denial in denials if denial.scope}),
            "denials": [
                {
                    "subject": denial.subject,
                    "scope": denial.scope,
                    "reason": denial.reason.value,
                    "rule": denial.rule,
                    "citation": denial.citation,
                    "message": denial.message,
                    "remedy": denial.remedy,
                }
                for denial in denials
            ],
        }
    return {}


def _field_problems(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested details, flat, each with the path of its field."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            # DRF files what concerns the whole object under this name.
            yield from _field_problems(inner, path if name == "non_field_errors" else f"{path}.{name}".lstrip("."))
    elif isinstance(detail, list) and all(isinstance(item, ErrorDetail) for item in detail):
        for item in detail:
            yield _field(path, item.code, str(item))
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            yield from _field_problems(inner, f"{path}.{position}".lstrip("."))
    else:
        yield _field(path, getattr(detail, "code", "invalid"), str(detail))


def _field(name: str, code: str, message: str) -> dict[str, str]:
    return {"field": name, "code": code, "message": message}
