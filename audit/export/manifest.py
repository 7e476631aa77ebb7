"""`manifest.json`: what a bundle holds, of which log, made when and by whom; `manifest.note` signs it with the log's key.

The note's text is `voxgov.export/v1`, the origin and the manifest's SHA-256: three lines that no one can take for a checkpoint,
whose second line is a number.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from audit.errors import BundleInvalid
from audit.tlog import notes
from audit.tlog.merkle import MAX_SIZE
from audit.tlog.notes import Signer, Verifier

FORMAT: Final = "voxgov.export/v1"
MANIFEST: Final = "manifest.json"
NOTE: Final = "manifest.note"
ENTRIES: Final = "entries.jsonl"
TABLE: Final = "entries.csv"
OCSF: Final = "ocsf.jsonl"
PROOFS: Final = "proofs.json"
CHECKPOINT_FROM: Final = "checkpoint.from"
CHECKPOINT_TO: Final = "checkpoint.to"
MAX_MANIFEST_BYTES: Final = 256 * 1024
_MAX_TEXT: Final = 4096
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

Filter = Mapping[str, Sequence[str]]
"""What was asked for, in the operator's words: field to accepted values. Empty where nothing was left out on purpose."""


@dataclass(frozen=True, slots=True)
class FileDigest:
    """Length in bytes and SHA-256 (hexadecimal) of one file."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Entries `start` up to, not including, `end` of the log `origin`, which is that of the organization `log`.

    `entries` of them stand in the bundle, `left_out` only as hashes. `made_at` is UTC to the second.
    """

    origin: str
    log: str
    start: int
    end: int
    filter: Filter
    entries: int
    left_out: int
    made_at: str
    made_by: str
    files: Mapping[str, FileDigest]

    def encode(self) -> bytes:
        body = {name: value for name, value in asdict(self).items() if name not in ("start", "end")}
        body |= {"format": FORMAT, "from": self.start, "to": self.end}
        return (json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def names(start: int) -> frozenset[str]:
    """The files that a bundle lists. One that begins with the log has no checkpoint to begin from."""
    always = {ENTRIES, TABLE, OCSF, PROOFS, CHECKPOINT_TO}
    return frozenset(always | {CHECKPOINT_FROM} if start else always)


def sign(manifest: bytes, origin: str, signer: Signer) -> bytes:
    """The content of `manifest.note`."""
    return notes.sign(_note_text(manifest, origin), signer).encode()


def verify(note: bytes, manifest: bytes, keys: Sequence[Verifier], origin: str) -> tuple[Verifier, ...]:
    """The known keys that signed the manifest. Raises `NoteInvalid`, `BundleInvalid`."""
    parsed = notes.parse(note)
    signed_by = notes.verified(parsed, keys)
    if parsed.text != _note_text(manifest, origin):
        raise BundleInvalid(f"{NOTE} signs another {MANIFEST}, or one of another log than {origin!a}")
    return signed_by


def parse(data: bytes) -> Manifest:
    """Reads a manifest strictly. Raises `BundleInvalid`."""
    try:
        body = strict_json(data, {"format", "from", "to", *Manifest.__slots__} - {"start", "end"})
        if body.pop("format") != FORMAT:
            raise ValueError(f"the format is not {FORMAT}")
        manifest = Manifest(
            start=_count(body.pop("from")),
            end=_count(body.pop("to")),
            origin=_text(body.pop("origin")),
            log=_text(body.pop("log")),
            filter=_filter(body.pop("filter")),
            entries=_count(body.pop("entries")),
            left_out=_count(body.pop("left_out")),
            made_at=_text(body.pop("made_at")),
            made_by=_text(body.pop("made_by")),
            files=_files(body.pop("files")),
        )
        _require_consistent(manifest)
    except ValueError as error:
        raise BundleInvalid(f"{MANIFEST}: {error}") from error
    return manifest


def strict_json(data: bytes, members: set[str]) -> dict[str, Any]:
    """A JSON object with exactly these members, none of them twice, without fractions. Raises `ValueError`."""
    try:
        body = json.loads(data.decode(), object_pairs_hook=_unique, parse_float=_refuse, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(body, dict) or body.keys() != members:
        raise ValueError(f"the members are not exactly {', '.join(sorted(members))}")
    return body


def _note_text(manifest: bytes, origin: str) -> bytes:
    return f"{FORMAT}\norigin {origin}\nsha256 {sha256(manifest).hexdigest()}\n".encode()


def _require_consistent(manifest: Manifest) -> None:
    if not manifest.start <= manifest.end or manifest.entries + manifest.left_out != manifest.end - manifest.start:
        raise ValueError("the numbers of entries do not fit the range")
    if manifest.left_out and not manifest.filter:
        raise ValueError("entries are left out without a filter")
    if manifest.files.keys() != names(manifest.start):
        raise ValueError("the list of files is not that of this format")
    if not _TIME.fullmatch(manifest.made_at):
        raise ValueError("made_at is no time")
    datetime.fromisoformat(manifest.made_at)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("a member stands twice")
    return body


def _refuse(text: str) -> object:
    raise ValueError(f"{text[:40]} is not an integer")


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_SIZE:
        raise ValueError("a count is an integer from 0 on")
    return value


def _text(value: object) -> str:
    if type(value) is not str or not 0 < len(value) <= _MAX_TEXT or "\n" in value:
        raise ValueError(f"a text has 1 to {_MAX_TEXT} characters and no newline")
    value.encode()
    return value


def _filter(value: object) -> Filter:
    if type(value) is not dict or not all(type(one) is list and one for one in value.values()):
        raise ValueError("the filter names fields, each with a list of values")
    return {_text(name): tuple(_text(one) for one in values) for name, values in value.items()}


def _files(value: object) -> dict[str, FileDigest]:
    if type(value) is not dict:
        raise ValueError("files have names")
    digests: dict[str, FileDigest] = {}
    for name, one in value.items():
        if type(one) is not dict or one.keys() != {"bytes", "sha256"}:
            raise ValueError("a file has a length and a SHA-256")
        if type(one["sha256"]) is not str or not _DIGEST.fullmatch(one["sha256"]):
            raise ValueError("a SHA-256 has 64 hexadecimal digits")
        digests[name] = FileDigest(_count(one["bytes"]), one["sha256"])
    return digests
