"""Composing the audit entry, schema version 1: what is hashed, exported and verified by outsiders. No Django here.

Vocabulary and reading are in `schema`, the hash of a leaf in `tlog.merkle`.

An entry is canonical JSON (RFC 8785). It never names a person, nor anything that belongs to one person (a recording, a
decision, a grant): such objects appear as `blind`, SHA-256 over a tag, a fresh 32-byte salt and the code, so that two
entries about one person cannot be linked once the salts are gone. Everything else (a notice, a purpose, a project)
appears by its code. The schema is frozen: a change of meaning is a new version number.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from audit.errors import EntryInvalid
from audit.events import EventName
from audit.schema import MAX_ENTRY_BYTES, MAX_INTEGER, PERSONAL, SCHEMA_VERSION, ActorKind, ObjectKind, canonical_json
from audit.tlog.merkle import leaf_hash

BLIND_TAG = b"voxgov/audit/v1/blind\x00"
SALT_BYTES = 32

__all__ = [
    "PERSONAL",
    "Actor",
    "ActorKind",
    "Detail",
    "Entry",
    "ObjectKind",
    "Reference",
    "blind",
    "compose",
    "leaf_hash",
]

Scalar = str | int | bool | None
Detail = Mapping[str, Scalar | Sequence[Scalar]]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted: a user, an API client, or a part of the service (`SYSTEM`, the part's name as code)."""

    kind: ActorKind
    code: str


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that an event is about. `epoch` is the subject's consent epoch, for subjects only."""

    kind: ObjectKind
    code: str
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Blinded:
    """A reference as it stands in the entry, with the salt that opens it (kept in the side table only)."""

    reference: Reference
    salt: bytes
    blind: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One event ready to be stored: its canonical bytes and the salts that never enter them."""

    code: str
    at: datetime
    canonical: bytes
    blinded: tuple[Blinded, ...] = field(default=())


def blind(kind: str, salt: bytes, code: str) -> str:
    """SHA-256 (hex) over the tag, the object's kind, the 32-byte salt and the code.

    Tag and kind end in a zero byte and the salt has a fixed length, so no two inputs share one encoding.
    """
    return hashlib.sha256(BLIND_TAG + kind.encode() + b"\x00" + salt + code.encode()).hexdigest()


def compose(
    name: EventName,
    *,
    code: str,
    log: str,
    at: datetime,
    actor: Actor,
    references: Sequence[Reference],
    outcome: str,
    reason: str,
    request_id: str,
    detail: Detail,
) -> Entry:
    """Builds an entry; raises `EntryInvalid` when it would break the schema."""
    if at.tzinfo is None:
        raise EntryInvalid("the time of an event must be aware")
    blinded: list[Blinded] = []
    objects: list[dict[str, Scalar]] = []
    for reference in references:
        shown: dict[str, Scalar] = {"kind": reference.kind.value}
        if reference.kind in PERSONAL:
            salt = secrets.token_bytes(SALT_BYTES)
            shown["blind"] = blind(reference.kind, salt, reference.code)
            blinded.append(Blinded(reference, salt, str(shown["blind"])))
        else:
            shown["code"] = reference.code
        if reference.epoch is not None:
            shown["epoch"] = reference.epoch
        objects.append(shown)
    _require_flat(detail)
    body = {
        "version": SCHEMA_VERSION,
        "event": code,
        "log": log,
        "at": at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "name": name.value,
        "actor": {"kind": actor.kind.value, "code": actor.code},
        "objects": objects,
        "outcome": outcome,
        "reason": reason,
        "request": request_id,
        "detail": {key: list(value) if isinstance(value, list | tuple) else value for key, value in detail.items()},
    }
    try:
        canonical = canonical_json(body)
    except ValueError as error:
        raise EntryInvalid(f"{name}: {error}") from error
    if len(canonical) > MAX_ENTRY_BYTES:
        raise EntryInvalid(f"{name}: {len(canonical)} bytes, at most {MAX_ENTRY_BYTES} are allowed")
    for item in blinded:
        if item.reference.code.encode() in canonical:
            raise EntryInvalid(f"{name}: the code of a {item.reference.kind} stands in clear")
    return Entry(code, at, canonical, tuple(blinded))


def _require_flat(detail: Detail) -> None:
    for key, value in detail.items():
        items = value if isinstance(value, list | tuple) else [value]
        for item in items:
            if item is not None and not isinstance(item, str | int | bool):
                raise EntryInvalid(f"detail {key!r} holds a {type(item).__name__}; strings, integers and booleans only")
            if isinstance(item, int) and abs(item) > MAX_INTEGER:
                raise EntryInvalid(f"detail {key!r} holds an integer beyond {MAX_INTEGER}")
