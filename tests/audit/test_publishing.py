"""A log as files: served by anything, and checked live by the verifier as an outsider would."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from django.core.management import call_command
from django.db import connection

from audit import proofs, publishing, signing
from audit.models import Log
from audit.verify.live import http_get, verify_live
from audit.verify.report import Result
from audit.verify.trust import Trust
from consent.vocabulary import Scope
from tests.factories import make_world, sign_log
from vault import durable


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


def test_a_run_that_waited_for_another_never_puts_an_older_checkpoint_over_a_newer_one(tmp_path: Path) -> None:
    world = make_world()
    log = sign_log(world.organization)
    with ThreadPoolExecutor(2) as pool, durable.exclusive(tmp_path / ".lock"):
        runs = [pool.submit(published, log, tmp_path) for _ in range(2)]
        time.sleep(0.2)
        assert not (tmp_path / "checkpoint").exists(), "nothing is written while another run writes"
        world.another_subject()
        newest = sign_log(world.organization)
    assert all(run.result() for run in runs)
    assert (tmp_path / "checkpoint").read_bytes() == proofs.newest_checkpoint(newest)
    assert not list(tmp_path.rglob(".*.draft"))


def published(log: Log, to: Path) -> int:
    try:
        return publishing.publish(log, to)
    finally:
        connection.close()
