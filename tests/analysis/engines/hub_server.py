"""A model hub on this machine, for tests: serves files under `/REPOSITORY/resolve/REVISION/PATH`, in ranges, and can break off."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HubServer:
    """`files` by repository, revision and path. `asked` is every path with the first byte that was asked for."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str, str], bytes] = {}
        self.asked: list[tuple[str, int]] = []
        self.breaks_off_after: int | None = None
        """Bytes of an answer after which the connection ends."""
        self.knows_ranges = True
        self.wants_token = ""
        self.address = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        repository, revision, path = _parts(handler.path)
        content = self.files.get((repository, revision, path))
        first = int(re.findall(r"bytes=(\d+)-", handler.headers.get("Range", "bytes=0-"))[0])
        self.asked.append((path, first))
        if self.wants_token and handler.headers.get("Authorization") != f"Bearer {self.wants_token}":
            handler.send_error(401)
            return
        if content is None:
            handler.send_error(404)
            return
        part = content[first:] if self.knows_ranges else content
        handler.send_response(206 if self.knows_ranges else 200)
        handler.send_header("Content-Length", str(len(part)))
        handler.end_headers()
        handler.wfile.write(part if self.breaks_off_after is None else part[: self.breaks_off_after])


@contextmanager
def hub_server() -> Iterator[HubServer]:
    hub = HubServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.answer(self)

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what it found."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _parts(path: str) -> tuple[str, str, str]:
    repository, _, rest = path.lstrip("/").partition("/resolve/")
    revision, _, name = rest.partition("/")
    return repository, revision, name
