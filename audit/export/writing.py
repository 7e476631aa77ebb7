"""Writing a bundle: a range of the log between two checkpoints, into a directory and from there into a .zip, in flat memory.

What goes in and what is left out is the caller's choice; that it fits the signed checkpoints is checked here, so that no bundle
leaves the house that would not verify. Entries hold no personal data in clear, so they may lie on disk meanwhile.
"""

import zipfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, Final

from audit.errors import BundleInvalid, EntryInvalid
from audit.export import lines, manifest, ocsf, spreadsheet
from audit.export.lines import LeftOut
from audit.export.manifest import FileDigest, Filter, Manifest
from audit.export.proofs import Proofs
from audit.schema import EntryBody, read_entry
from audit.tlog.checkpoint import SignedCheckpoint
from audit.tlog.merkle import Frontier, leaf_hash, verify_consistency
from audit.tlog.notes import Signer
from audit.tlog.proving import HashReader, prove_consistency, read_frontier

Items = Iterable[tuple[int, bytes | LeftOut]]
"""Every index of the range in order: the entry's bytes, or `LeftOut` with its leaf hash."""

# Archives of the same bundle are the same bytes: .zip cannot say less than this.
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Order:
    """What to export. `start` is none for a range from the log's first entry on; `filter` is empty when nothing is left out.

    `log` is the organization's code as entries name it; `made_by` names the software or the person that makes the bundle.
    """

    log: str
    start: SignedCheckpoint | None
    end: SignedCheckpoint
    made_by: str
    filter: Filter = field(default_factory=dict)
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))


def write_bundle(directory: Path, order: Order, items: Items, reader: HashReader, signer: Signer) -> Manifest:
    """Writes the files of a bundle into `directory`, which must exist and be empty.

    `reader` serves the hashes of the tree of the end checkpoint. Raises `BundleInvalid` when entries, hashes and checkpoints do not
    fit together (the log is damaged, or the caller skipped an index), and what `reader` raises. Nothing is signed then.
    """
    start = order.start.size if order.start else 0
    proofs = _prove(order, start, reader)
    digests = {manifest.PROOFS: _put(directory, manifest.PROOFS, proofs.encode())}
    if order.start:
        digests[manifest.CHECKPOINT_FROM] = _put(directory, manifest.CHECKPOINT_FROM, order.start.note.encode())
    digests[manifest.CHECKPOINT_TO] = _put(directory, manifest.CHECKPOINT_TO, order.end.note.encode())
    streams = _Streams(directory, order.end.checkpoint.origin, Frontier(start, proofs.frontier))
    with streams:
        for index, item in items:
            streams.add(index, item)
    if (streams.frontier.size, streams.frontier.root()) != (order.end.size, order.end.root):
        raise BundleInvalid("the entries do not lead to the root that the log signed")
    whole = Manifest(
        origin=order.end.checkpoint.origin,
        log=order.log,
        start=start,
        end=order.end.size,
        filter={name: tuple(values) for name, values in order.filter.items()},
        entries=order.end.size - start - streams.left_out,
        left_out=streams.left_out,
        made_at=order.made_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        made_by=order.made_by,
        files=digests | streams.digests(),
    )
    encoded = whole.encode()
    manifest.parse(encoded)
    _put(directory, manifest.MANIFEST, encoded)
    _put(directory, manifest.NOTE, manifest.sign(encoded, whole.origin, signer))
    return whole


def pack(directory: Path, target: Path | IO[bytes]) -> None:
    """Packs a bundle's directory into a .zip; the same files give the same bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for file in sorted(directory.iterdir()):
            member = zipfile.ZipInfo(file.name, _ZIP_TIME)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            with file.open("rb") as source, archive.open(member, "w", force_zip64=True) as packed:
                while chunk := source.read(1 << 20):
                    packed.write(chunk)


class _HashedFile:
    """A file under way, with its length and SHA-256."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._file = stack.enter_context(path.open("xb"))
        self._hash = sha256()
        self._bytes = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self._bytes += len(data)

    @property
    def digest(self) -> FileDigest:
        return FileDigest(self._bytes, self._hash.hexdigest())


class _Streams:
    """The three files that hold a line for each entry, and the tree over all of them."""

    def __init__(self, directory: Path, origin: str, frontier: Frontier) -> None:
        self.frontier = frontier
        self.left_out = 0
        self._origin = origin
        self._stack = ExitStack()
        self._files = {
            name: _HashedFile(directory / name, self._stack)
            for name in (manifest.ENTRIES, manifest.TABLE, manifest.OCSF)
        }
        self._files[manifest.TABLE].write(spreadsheet.HEADER)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def add(self, index: int, item: bytes | LeftOut) -> None:
        if index != self.frontier.size:
            raise BundleInvalid(f"entry {index} follows entry {self.frontier.size - 1}")
        if isinstance(item, LeftOut):
            self.left_out += 1
            self.frontier.append(item.leaf)
            self._files[manifest.ENTRIES].write(lines.write(index, item, readable=False))
            return
        leaf = leaf_hash(item)
        self.frontier.append(leaf)
        body = _readable(item)
        self._files[manifest.ENTRIES].write(lines.write(index, item, readable=body is not None))
        if body is not None:
            self._files[manifest.TABLE].write(spreadsheet.row(index, leaf, body))
            self._files[manifest.OCSF].write(ocsf.line(index, leaf, item, body, self._origin))

    def digests(self) -> dict[str, FileDigest]:
        return {name: file.digest for name, file in self._files.items()}


def _readable(entry: bytes) -> EntryBody | None:
    """An entry that breaks the schema is exported all the same: whoever verifies shall see it, and see that it does."""
    try:
        return read_entry(entry)
    except EntryInvalid:
        return None


def _prove(order: Order, start: int, reader: HashReader) -> Proofs:
    end = order.end
    if order.start is None:
        return Proofs((), ())
    if order.start.checkpoint.origin != end.checkpoint.origin or not 0 < start <= end.size:
        raise BundleInvalid(
            "a range lies between two checkpoints of one log, and begins after its first entry or has no start"
        )
    proof = prove_consistency(start, end.size, reader)
    verify_consistency(start, end.size, proof, order.start.root, end.root)
    return Proofs(tuple(proof), read_frontier(start, reader).hashes)


def _put(directory: Path, name: str, content: bytes) -> FileDigest:
    with (directory / name).open("xb") as file:
        file.write(content)
    return FileDigest(len(content), sha256(content).hexdigest())
