"""A log as files: served by anything, and checked live by the verifier as an outsider would."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from django.core.management import call_command

from audit import publishing, signing
from audit.verify.live import http_get, verify_live
from audit.verify.report import Result
from audit.verify.trust import Trust
from consent.vocabulary import Scope
from tests.factories import make_world, sign_log


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        return None


def test_a_published_log_verifies_live_entry_by_entry_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    world = make_world()
    while sign_log(world.organization).leaves.count() < 300:
        for _ in range(50):
            world.another_subject()
    log = sign_log(world.organization)
    to = tmp_path / "log"
    first = publishing.publish(log, to)
    held = (to / "checkpoint").read_bytes()
    world.consent(Scope.TRANSCRIBE)
    sign_log(world.organization)
    call_command("audit", "publish", log.code, str(to))
    full = sorted(path for path in to.rglob("*") if path.is_file() and ".p" not in path.as_posix())
    assert to / "tile" / "0" / "000" in full
    assert to / "tile" / "entries" / "000" in full
    assert publishing.publish(log, to) < first, "full tiles are not written again"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(to)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        trust = Trust.parse([signing.verifier_key(log)], since=held)
        report = verify_live(http_get(url), trust, url=url, entries=True)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert report.result is Result.VERIFIED, report.as_text()
