"""A running log over real HTTP: append-only behaviour is confirmed from its tiles, and every way of breaking it is seen."""

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from audit.errors import CheckImpossible, TileInvalid
from audit.tlog import notes, tiles
from audit.tlog.cosignatures import ED25519, Cosigner
from audit.tlog.notes import Note
from audit.tlog.tiles import ENTRIES, Tile
from audit.verify.live import http_get, verify_live
from audit.verify.report import Outcome, Report, Result
from audit.verify.trust import Trust
from tests.audit.entries import entry
from tests.audit.export.bundles import Log, log_of

SIZE = 300
HONEST = log_of(SIZE)
FORK = Log([*HONEST.entries[:100], entry(5000), *HONEST.entries[101:]])
WITNESS = Cosigner("witness.example/w1", ED25519, bytes(range(32)))

Answer = tuple[int, bytes, dict[str, str]]
Serve = Callable[[str], Answer]


def served(log: Log, size: int | None = None, *, partial: bool = True, zipped: bool = False) -> Serve:
    """A log's answers by path, as of `size` entries; without `partial` tiles only full ones, of all it has."""
    size = len(log.entries) if size is None else size

    def serve(path: str) -> Answer:
        name = path.removeprefix("/prefix/")
        if name == "checkpoint":
            return 200, log.checkpoint(size), {"Content-Type": "text/plain; charset=utf-8"}
        tile = tiles.parse_path(name)
        if tile.width < tiles.WIDTH and not partial:
            return 404, b"", {}
        try:
            content = log.tree.fetch(tile if tile.level >= 0 else Tile(0, tile.index, tile.width))
        except TileInvalid:
            return 404, b"", {}
        if tile.level == ENTRIES:
            content = tiles.encode_entries(log.entries[tile.first : tile.first + tile.width])
        return 200, gzip.compress(content) if zipped else content, {"Content-Encoding": "gzip"} if zipped else {}

    return serve


@contextmanager
def server(serve: Serve) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content, headers = serve(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/prefix/"
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def checked(serve: Serve, trust: Trust | None = None, *, entries: bool = True) -> Report:
    with server(serve) as url:
        return verify_live(http_get(url), trust or HONEST.trust(), url=url, entries=entries)


def failure(report: Report) -> str:
    assert report.result is Result.NOT_VERIFIED
    return f"{report.checks[-1].name}: {report.checks[-1].says}"


@pytest.mark.parametrize("seen", [None, 0, 1, 255, 256, 257, 299, 300])
def test_a_log_that_grew_verifies(seen: int | None) -> None:
    trust = HONEST.trust(since=None if seen is None else HONEST.checkpoint(seen))
    report = checked(served(HONEST), trust)
    assert report.result is Result.VERIFIED
    assert report.checkpoint == HONEST.checkpoint()
    outcomes = {check.name: check.outcome for check in report.checks}
    assert outcomes["since"] is (Outcome.NOT_CHECKED if seen is None else Outcome.OK)
    assert outcomes["entries"] is Outcome.OK


def test_compressed_answers_are_read() -> None:
    assert checked(served(HONEST, zipped=True), HONEST.trust(since=HONEST.checkpoint(7))).result is Result.VERIFIED


def test_partial_tiles_that_are_gone_are_cut_from_full_ones() -> None:
    log = log_of(512)
    trust = log.trust(since=log.checkpoint(300))
    cut = served(log, 500, partial=False)
    assert "does not show tile/1/000.p/1" in failure(checked(cut, trust))

    def serve(path: str) -> Answer:
        # The tile above the leaves is not full at any size here, so it alone is served as it is.
        return served(log, 500)(path) if "/tile/1/" in path else cut(path)

    assert checked(serve, trust).result is Result.VERIFIED


def test_a_log_that_was_rolled_back_is_seen() -> None:
    report = checked(served(HONEST, 200), HONEST.trust(since=HONEST.checkpoint(201)))
    assert failure(report).startswith("since: the server shows a log of 200 entries")


@pytest.mark.parametrize("seen", [101, 256, 299, 300])
def test_a_rewritten_log_is_seen(seen: int) -> None:
    assert failure(checked(served(FORK), HONEST.trust(since=HONEST.checkpoint(seen)))).startswith("since: ")

    def mixed(path: str) -> Answer:
        """The rewritten log's checkpoint over the honest log's tiles."""
        return served(FORK if path.endswith("checkpoint") else HONEST)(path)

    assert failure(checked(mixed, HONEST.trust(since=HONEST.checkpoint(seen)))).startswith("since: ")


def test_entries_that_are_not_those_under_the_root_are_seen() -> None:
    def mixed(path: str) -> Answer:
        return served(FORK if "/entries/" in path else HONEST)(path)

    assert checked(mixed, entries=False).result is Result.VERIFIED
    assert failure(checked(mixed)).startswith("entries: the entries that the server shows do not lead")
    unreadable = Log([entry(0), b"no entry", entry(2)])
    assert "1 entries are not readable" in failure(checked(served(unreadable)))


def test_another_key_is_refused() -> None:
    with server(served(HONEST)) as url:
        other = Log(HONEST.entries, type(HONEST.signer).generate(HONEST.origin)).trust()
        assert failure(verify_live(http_get(url), other, url=url)).startswith("checkpoint: not signed by a known key")


def test_the_witness_s_cosignature_is_asked_for() -> None:
    trust = HONEST.trust(witnesses=[WITNESS.witness.vkey])
    assert failure(checked(served(HONEST), trust)).startswith("witnesses: ")
    note = notes.parse(HONEST.checkpoint())
    signed = Note(note.text, (*note.signatures, WITNESS.cosign(note.text, 1_772_366_400))).encode()

    def cosigned(path: str) -> Answer:
        return (200, signed, {}) if path.endswith("checkpoint") else served(HONEST)(path)

    assert checked(cosigned, trust).result is Result.VERIFIED


@pytest.mark.parametrize(
    "answer",
    [
        (404, b"", {}),
        (200, b"", {}),
        (200, bytes(31), {}),
        (200, bytes(100_000), {}),
        (200, b"junk", {"Content-Encoding": "gzip"}),
        (200, gzip.compress(bytes(50_000_000)), {"Content-Encoding": "gzip"}),
    ],
)
def test_a_server_without_the_tiles_that_its_checkpoint_demands_does_not_pass(answer: Answer) -> None:
    def serve(path: str) -> Answer:
        return served(HONEST)(path) if path.endswith("checkpoint") else answer

    assert failure(checked(serve, HONEST.trust(since=HONEST.checkpoint(7)))).startswith("since: ")


@pytest.mark.parametrize(
    "answer",
    [
        (404, b"", {}),
        (500, b"", {}),
        (403, b"", {}),
        (302, b"", {"Location": "file:///etc/passwd"}),
        (302, b"", {"Location": "ftp://127.0.0.1/x"}),
        (302, b"", {"Location": "/prefix/checkpoint"}),
        (200, b"", {"Content-Length": "7"}),
    ],
)
def test_a_server_that_gives_no_checkpoint_cannot_be_checked(answer: Answer) -> None:
    with pytest.raises(CheckImpossible):
        checked(lambda path: answer)


@pytest.mark.parametrize(
    "url", ["", "file:///etc/passwd", "ftp://127.0.0.1/", "127.0.0.1", "http://127.0.0.1:9/x", "http://[", "https://"]
)
def test_other_addresses_cannot_be_checked(url: str) -> None:
    with pytest.raises(CheckImpossible):
        verify_live(http_get(url), HONEST.trust(), url=url)


def test_a_checkpoint_without_end_is_refused() -> None:
    assert failure(checked(lambda path: (200, bytes(600_000), {}))).startswith("checkpoint: ")


def test_a_junk_bundle_of_entries_is_refused() -> None:
    def serve(path: str) -> Answer:
        return (200, b"\xff\xff\xff", {}) if "/entries/" in path else served(HONEST)(path)

    assert failure(checked(serve)).startswith("entries: ")
