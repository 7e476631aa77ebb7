"""Reading a raw request body from the socket: never through `request.body` or `request.data`, which hold all of it in memory.

What is read here is sealed by `submission`; nothing is kept, parsed or written.
"""

import time
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest
from django.http.request import UnreadablePostError
from rest_framework import status
from rest_framework.exceptions import APIException, UnsupportedMediaType

from analysis.errors import AudioTruncated

CHUNK: Final = 64 * 1024
COURTESY: Final = 8 * 1024 * 1024
"""Bytes of a refused upload that are read away, so that a client which sends before it listens still hears why it was refused."""
COURTESY_SECONDS: Final = 2.0


def attended(read: Callable[[int], bytes], busy: Callable[[], None], *, every: float) -> Callable[[int], bytes]:
    """`read`, with a call of `busy` after it whenever `every` seconds have passed since the last one."""
    last = time.monotonic()

    def read_and_tell(size: int) -> bytes:
        nonlocal last
        chunk = read(size)
        if time.monotonic() - last >= every:
            last = time.monotonic()
            busy()
        return chunk

    return read_and_tell


class LengthRequired(APIException):
    """Audio comes with a Content-Length: a limit can be checked before a byte is read, a cut-off body be told from a whole."""

    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_code = "length_required"
    default_detail = "send the audio with a Content-Length"


class AudioBody:
    """The body of one upload. `read(n)` gives up to n bytes, empty at the end."""

    def __init__(self, request: HttpRequest) -> None:
        """Raises `LengthRequired`; `UnsupportedMediaType` for a body that is encoded for transport."""
        announced = request.META.get("CONTENT_LENGTH") or ""
        if not announced.isdecimal():
            raise LengthRequired
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedMediaType("", detail="send the audio as it is, without a Content-Encoding")
        self.length = int(announced)
        self._left = self.length
        self._request = request

    def read(self, size: int) -> bytes:
        """Raises `AudioTruncated` when the connection breaks; of a body that comes too slowly, what the request raises."""
        try:
            chunk: bytes = self._request.read(min(size, self._left))
        except UnreadablePostError as error:
            if isinstance(error.__cause__, TimeoutError):
                raise
            raise AudioTruncated("the connection broke while the audio was arriving") from error
        self._left -= len(chunk)
        return chunk

    def read_away(self) -> None:
        """Reads and forgets what is left."""
        while self._left and self.read(CHUNK):
            pass

    def read_away_shortly(self) -> None:
        """The same as a courtesy: for `COURTESY_SECONDS` at most, and not at all when more than `COURTESY` is left."""
        until = time.monotonic() + COURTESY_SECONDS
        while 0 < self._left <= COURTESY and time.monotonic() < until and self.read(CHUNK):
            pass
