"""A witness over HTTP, out of the standard library: `POST /add-checkpoint`, `GET /<origin hash>/checkpoint`, and nothing else.

TLS, access from outside and limits per caller belong to the reverse proxy in front of it.
"""

import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from audit.errors import AuditError
from audit.export.visible import visible
from audit.witness import request
from audit.witness.rules import Answer, Witness

TIMEOUT_SECONDS: Final = 20
MAX_CONNECTIONS: Final = 64
_MONITORING: Final = re.compile(r"/([0-9a-f]{64})/checkpoint")
_LENGTH: Final = re.compile(r"[0-9]{1,9}")


class WitnessServer(ThreadingHTTPServer):
    """Answers for one witness; `serve_forever` runs it."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], witness: Witness) -> None:
        super().__init__(address, _Handler)
        self.witness = witness
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._free.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is no news; anything else is an error here, and one line of it is enough."""
        error = sys.exception()
        if not isinstance(error, OSError):
            sys.stderr.write(f"{client_address[0]}: {type(error).__name__}: {visible(str(error))}\n")


class _Handler(BaseHTTPRequestHandler):
    server: WitnessServer
    protocol_version = "HTTP/1.1"
    server_version = "voxgov-witness"
    sys_version = ""
    timeout = TIMEOUT_SECONDS

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != f"/{request.PATH}":
            self._answer(Answer(404, b"not found\n"), close=True)
        elif not _LENGTH.fullmatch(length):
            self._answer(Answer(411, b"say how long the request is\n"), close=True)
        elif int(length) > request.MAX_REQUEST_BYTES:
            self._answer(Answer(413, b"too large\n"), close=True)
        else:
            self._answer(self._judge(self.rfile.read(int(length))))

    def do_GET(self) -> None:
        match = _MONITORING.fullmatch(self.path)
        self._answer(self.server.witness.checkpoint(match[1]) if match else Answer(404, b"not found\n"))

    def _judge(self, body: bytes) -> Answer:
        try:
            return self.server.witness.add_checkpoint(body)
        except AuditError as error:
            self.log_error("%s", error)
            return Answer(500, b"the witness cannot use its memory\n")

    def _answer(self, answer: Answer, *, close: bool = False) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        if close:
            # What was not read of the request must not be taken for the next one.
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, form: str, *values: object) -> None:
        sys.stderr.write(f"{self.log_date_time_string()} {self.address_string()} {visible(form % values)}\n")
