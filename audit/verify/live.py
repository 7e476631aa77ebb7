"""Checking a running log over HTTP: that what it signs now extends what it signed before, out of its own tiles.

Paths are those of https://c2sp.org/tlog-tiles below the log's prefix. Tiles need no trust: a proof made of them holds or not.
"""

import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from http.client import HTTPException
from typing import Final

from audit.errors import BundleInvalid, CheckImpossible, EntryInvalid, LogInvalid, TileInvalid
from audit.schema import read_entry
from audit.tlog import notes, tiles
from audit.tlog.checkpoint import SignedCheckpoint, open_checkpoint
from audit.tlog.merkle import HASH_BYTES, leaf_hash, verify_consistency
from audit.tlog.proving import prove_consistency, read_frontier
from audit.tlog.tile_tree import TileHashReader
from audit.tlog.tiles import ENTRIES, MAX_ENTRY_BYTES, WIDTH, Tile
from audit.verify.report import Check, Outcome, Report
from audit.verify.trust import Trust

TIMEOUT_SECONDS: Final = 30
_MAX_BUNDLE_BYTES: Final = WIDTH * (2 + MAX_ENTRY_BYTES)

Get = Callable[[str, int], bytes | None]
"""The content at a path below the prefix, at most so many bytes; nothing where there is none. Raises `CheckImpossible`."""


def verify_live(get: Get, trust: Trust, *, url: str, entries: bool = False) -> Report:
    """Checks the log's present checkpoint against the earlier one, and if asked the entries since.

    Raises `CheckImpossible` when the server cannot be asked.
    """
    report = Report("Log", {"log": trust.origin, "address": url})
    old = trust.open_since()
    try:
        name = "checkpoint"
        report.checkpoint = _required(get, name, notes.MAX_NOTE_BYTES)
        signed = open_checkpoint(report.checkpoint, trust.keys, trust.origin)
        report.facts["size"] = signed.size
        signers = ", ".join(f"{key.name} (key {key.key_id.hex()})" for key in signed.signed_by)
        report.checks.append(Check(name, Outcome.OK, f"size {signed.size}, signed by {signers}"))
        name = "since"
        report.checks.append(_check_since(get, old, signed))
        name = "witnesses"
        report.checks.append(trust.check_witnesses(signed.note))
        name = "entries"
        report.checks.append(_check_entries(get, old, signed, wanted=entries))
    except LogInvalid as error:
        report.checks.append(Check(name, Outcome.FAILED, str(error)))
    report.limits = list(trust.limits())
    return report


def fetch_tile(get: Get, tile: Tile, limit: int) -> bytes:
    """A tile's content, cut from the full tile where a partial one is gone. Raises `TileInvalid`, `CheckImpossible`."""
    content = get(tile.path, limit)
    if content is None and tile.width < WIDTH:
        full = get(
            Tile(tile.level, tile.index).path, HASH_BYTES * WIDTH if tile.level != ENTRIES else _MAX_BUNDLE_BYTES
        )
        if full is not None and tile.level == ENTRIES:
            entries = tiles.decode_entries(full, Tile(ENTRIES, tile.index))
            content = tiles.encode_entries(entries[: tile.width])
        elif full is not None:
            content = full[: HASH_BYTES * tile.width]
    if content is None:
        raise TileInvalid(f"the server does not show {tile.path}, which its checkpoint demands")
    return content


def http_get(prefix: str, token: str = "") -> Get:
    """Fetches below a prefix over HTTP or HTTPS, with a bearer token where the log wants one.

    Raises `CheckImpossible` for any other address.
    """
    headers = {"Accept-Encoding": "gzip, identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
    if not prefix.startswith(("https://", "http://")):
        raise CheckImpossible(f"{prefix!a} is no address of a log: https://...")
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())

    def get(path: str, limit: int) -> bytes | None:
        url = f"{prefix.rstrip('/')}/{path}"
        try:
            request = urllib.request.Request(url, headers=headers)  # noqa: S310 (see above)
            with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                zipped = response.headers.get("Content-Encoding", "identity") == "gzip"
                content: bytes = response.read(limit + (limit // 100 + 1000 if zipped else 1))
                missing = response.length if len(content) <= limit else 0
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                return None
            raise CheckImpossible(f"{url} answers {error.code}") from error
        except (OSError, HTTPException, ValueError) as error:
            raise CheckImpossible(f"{url} cannot be fetched: {error}") from error
        if missing:
            raise CheckImpossible(f"{url} was cut short: {missing} bytes are missing")
        content = _unzipped(content, limit) if zipped else content
        if len(content) > limit:
            raise BundleInvalid(f"{url} has more than {limit} bytes")
        return content

    return get


def _unzipped(content: bytes, limit: int) -> bytes:
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(content, limit + 1)
    except zlib.error as error:
        raise BundleInvalid("the server's compression is damaged") from error


def _required(get: Get, path: str, limit: int) -> bytes:
    content = get(path, limit)
    if content is None:
        raise CheckImpossible(f"the server has no {path} below this address")
    return content


def _check_since(get: Get, old: SignedCheckpoint | None, present: SignedCheckpoint) -> Check:
    if old is None:
        return Check("since", Outcome.NOT_CHECKED, "no earlier checkpoint was given (--since)")
    if old.size > present.size:
        raise BundleInvalid(
            f"the server shows a log of {present.size} entries, and you hold its checkpoint of {old.size}: it was rolled back, or "
            "an old checkpoint is shown"
        )
    proof = prove_consistency(old.size, present.size, _reader(get, present.size))
    verify_consistency(old.size, present.size, proof, old.root, present.root)
    says = f"the log still begins with the {old.size} entries of the checkpoint that you hold"
    return Check("since", Outcome.OK, says)


def _check_entries(get: Get, old: SignedCheckpoint | None, present: SignedCheckpoint, *, wanted: bool) -> Check:
    if not wanted:
        return Check("entries", Outcome.NOT_CHECKED, "the entries themselves were not asked for (--entries)")
    began = time.perf_counter()
    start = old.size if old else 0
    tree = read_frontier(start, _reader(get, present.size))
    if old is not None and tree.root() != old.root:
        raise BundleInvalid("the server's hashes do not lead to the root of the checkpoint that you hold")
    unreadable = 0
    for tile in tiles.entry_tiles_between(start, present.size):
        content = tiles.decode_entries(fetch_tile(get, tile, _MAX_BUNDLE_BYTES), tile)
        for entry in content[max(0, start - tile.first) :]:
            tree.append(leaf_hash(entry))
            unreadable += not _is_readable(entry)
    if tree.root() != present.root:
        raise BundleInvalid("the entries that the server shows do not lead to the root that it signed")
    if unreadable:
        raise BundleInvalid(f"{unreadable} entries are not readable entries of schema version 1")
    says = f"every entry from {start} on is shown, well-formed, and under the signed root"
    return Check("entries", Outcome.OK, says, time.perf_counter() - began, present.size - start)


def _reader(get: Get, size: int) -> TileHashReader:
    return TileHashReader(size, lambda tile: fetch_tile(get, tile, HASH_BYTES * tile.width))


def _is_readable(entry: bytes) -> bool:
    try:
        read_entry(entry)
    except EntryInvalid:
        return False
    return True
