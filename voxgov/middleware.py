"""What every request passes: an id that the trail carries, and the one way in which a form may bring a file."""

from collections.abc import Callable
from io import BytesIO
from typing import IO, Any, Final

from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
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


class SmallFilesInMemory(FileUploadHandler):
    """The only upload handler. A small file for an address of the admin that takes one stays in memory; anything else is stopped at
    once, so that no form can make Django spool plaintext to a temporary file."""

    TAKES: Final = frozenset({"admin:consent_grantimport_add"})
    MOST: Final = 4 * 1024 * 1024
    """Bytes of a file."""

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self._pieces: list[bytes] = []
        self._size = 0

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
        super().new_file(*args, **kwargs)
        match = None if self.request is None else self.request.resolver_match
        if match is None or match.view_name not in self.TAKES:
            raise StopUpload(connection_reset=True)
        self._pieces, self._size = [], 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        self._size += len(raw_data)
        if self._size > self.MOST:
            # The rest is read and thrown away, so that the form can say what was wrong.
            self._pieces = []
            raise SkipFile
        self._pieces.append(raw_data)
        return None

    def file_complete(self, file_size: int) -> InMemoryUploadedFile | None:
        content = b"".join(self._pieces)
        self._pieces = []
        return InMemoryUploadedFile(
            BytesIO(content), self.field_name, self.file_name, self.content_type, len(content), self.charset
        )
