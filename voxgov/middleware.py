"""What every request passes: an id that the trail carries, and a refusal of form uploads."""

from collections.abc import Callable
from typing import IO, Any

from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import HttpRequest, HttpResponse
from django.http.request import QueryDict
from django.utils.datastructures import MultiValueDict

from audit import trail
from vault.codes import new_code


class RequestId:
    """Makes a random id, returns it as `X-Request-Id`, and every audit event of the request carries it.

    An id that the client sends is neither used nor logged: whatever stands in it would stay in the append-only trail for good.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        code = new_code()
        token = trail.request_id.set(code)
        try:
            response = self.get_response(request)
        finally:
            trail.request_id.reset(token)
        response["X-Request-Id"] = code
        return response


class NoFileUploads(FileUploadHandler):
    """The only upload handler: it stops at once, so that no form can make Django spool plaintext to a temporary file."""

    def handle_raw_input(
        self,
        input_data: IO[bytes],
        META: dict[str, str],
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> tuple[QueryDict, MultiValueDict[str, Any]] | None:
        return None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise StopUpload(connection_reset=True)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        raise StopUpload(connection_reset=True)

    def file_complete(self, file_size: int) -> None:
        return None
