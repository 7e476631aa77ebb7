"""A log of test entries with its key, its tiles and its checkpoints, and bundles made of it by the real writer."""

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit.export import manifest
from audit.export.lines import LeftOut
from audit.export.manifest import Manifest
from audit.export.writing import Order, write_bundle
from audit.tlog.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint, sign_checkpoint
from audit.tlog.merkle import leaf_hash
from audit.tlog.notes import Ed25519Signer, Signer
from audit.tlog.proving import read_frontier
from audit.verify.trust import Trust
from tests.audit.entries import LOG, entry
from tests.audit.tlog.stored import StoredTree

ORIGIN = f"voxgov.example/log/{LOG}"
SIGNER = Ed25519Signer.generate(ORIGIN)
MADE = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Log:
    """Entries with their tree. Two logs with one key and different entries are a fork."""

    def __init__(self, entries: list[bytes], signer: Ed25519Signer = SIGNER, origin: str = ORIGIN) -> None:
        self.entries = entries
        self.signer = signer
        self.origin = origin
        self.tree = StoredTree()
        self.tree.add([leaf_hash(one) for one in entries])

    def checkpoint(self, size: int | None = None, *others: Signer) -> bytes:
        size = len(self.entries) if size is None else size
        root = read_frontier(size, self.tree.reader(size)).root()
        return sign_checkpoint(Checkpoint(self.origin, size, root), self.signer, *others)

    def signed(self, size: int | None = None, *others: Signer) -> SignedCheckpoint:
        return open_checkpoint(self.checkpoint(size, *others), [self.signer.verifier], self.origin)

    def order(self, start: int = 0, end: int | None = None, **more: Any) -> Order:
        return Order(
            log=more.pop("log", LOG),
            start=self.signed(start) if start else None,
            end=more.pop("signed", None) or self.signed(end),
            made_by="voxgov tests",
            made_at=MADE,
            **more,
        )

    def items(
        self, order: Order, keep: Callable[[int], bool] = lambda index: True
    ) -> Iterator[tuple[int, bytes | LeftOut]]:
        for index in range(order.start.size if order.start else 0, order.end.size):
            one = self.entries[index]
            yield index, one if keep(index) else LeftOut(leaf_hash(one))

    def bundle(
        self,
        directory: Path,
        start: int = 0,
        end: int | None = None,
        keep: Callable[[int], bool] | None = None,
        **more: Any,
    ) -> Manifest:
        directory.mkdir()
        if keep:
            more.setdefault("filter", {"name": ["analysis:*"]})
        order = self.order(start, end, **more)
        items = self.items(order, keep or (lambda index: True))
        return write_bundle(directory, order, items, self.tree.reader(order.end.size), self.signer)

    def trust(self, **more: Any) -> Trust:
        return Trust.parse([self.signer.verifier.vkey], **more)


def log_of(size: int, first: int = 0) -> Log:
    return Log([entry(number) for number in range(first, first + size)])


def resign(directory: Path, signer: Signer = SIGNER, **members: Any) -> None:
    """What a dishonest operator can do: after changing files, list them anew and sign the manifest with the log's own key."""
    path = directory / manifest.MANIFEST
    body = json.loads(path.read_bytes()) | members
    for name in list(body["files"]):
        file = directory / name
        if file.exists():
            content = file.read_bytes()
            body["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    encoded = (json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
    path.write_bytes(encoded)
    (directory / manifest.NOTE).write_bytes(manifest.sign(encoded, body["origin"], signer))


def copied(directory: Path, target: Path) -> Path:
    return Path(shutil.copytree(directory, target))


def edit_lines(path: Path, edit: Callable[[list[bytes]], list[bytes]]) -> None:
    """Changes a file's lines, given with their newlines."""
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))


def leaf_line(index: int, content: bytes) -> bytes:
    return b'{"index":%d,"leaf":"%b"}\n' % (index, base64.b64encode(leaf_hash(content)))


LOG_OF_FORTY = log_of(40)
HONEST_TRUST = LOG_OF_FORTY.trust()
