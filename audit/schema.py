"""The audit entry as a reader meets it, schema version 1: its vocabulary, its canonical form, and the check of every member.

Composing entries lives in `entry`. Nothing here goes beyond the standard library: the offline verifier reads entries with it.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypedDict, cast

from audit.errors import EntryInvalid

SCHEMA_VERSION: Final = 1
MAX_ENTRY_BYTES: Final = 64 * 1024 - 1
MAX_INTEGER: Final = 2**53 - 1
"""RFC 8785 writes numbers as IEEE 754 doubles do; beyond this they are no longer exact."""


class ActorKind(StrEnum):
    USER = "user"
    CLIENT = "client"
    SYSTEM = "system"


class ObjectKind(StrEnum):
    """What an event can be about. `PERSONAL` lists the kinds whose codes are blinded."""

    ORGANIZATION = "organization"
    PROJECT = "project"
    USER = "user"
    CLIENT = "client"
    NOTICE = "notice"
    PURPOSE = "purpose"
    POLICY = "policy"
    LOG = "log"
    WEBHOOK = "webhook"
    SUBJECT = "subject"
    CONSENT = "consent"
    REPRESENTATIVE = "representative"
    DECISION = "decision"
    RECORDING = "recording"
    ANALYSIS = "analysis"
    KEY = "key"


PERSONAL: Final = frozenset(
    {
        ObjectKind.SUBJECT,
        ObjectKind.CONSENT,
        ObjectKind.REPRESENTATIVE,
        ObjectKind.DECISION,
        ObjectKind.RECORDING,
        ObjectKind.ANALYSIS,
        ObjectKind.KEY,
    }
)

Scalar = str | int | bool | None


class ActorBody(TypedDict):
    kind: str
    code: str


class EntryBody(TypedDict):
    """A checked entry. Each object has `kind`, either `code` or `blind`, and for some `epoch`."""

    version: int
    event: str
    log: str
    at: str
    name: str
    actor: ActorBody
    objects: list[dict[str, Any]]
    outcome: str
    reason: str
    request: str
    detail: Mapping[str, Scalar | list[Scalar]]


MEMBERS: Final = frozenset(EntryBody.__annotations__)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_TEXTS: Final = ("event", "log", "at", "name", "outcome", "reason", "request")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_NAME: Final = re.compile(r"[a-z0-9-]+:[a-z0-9-]+:[a-z0-9-]+")
_KIND: Final = re.compile(r"[a-z][a-z0-9-]*")
_BLIND: Final = re.compile(r"[0-9a-f]{64}")
_ACTORS: Final = frozenset(kind.value for kind in ActorKind)
_PERSONAL: Final = frozenset(kind.value for kind in PERSONAL)
_SCALARS: Final = frozenset({str, int, bool, type(None)})
_KNOWN: Final = frozenset(kind.value for kind in ObjectKind)


def read_entry(entry: bytes) -> EntryBody:
    """Reads the bytes of an entry. Raises `EntryInvalid` unless they are canonical JSON of exactly this schema."""
    if len(entry) > MAX_ENTRY_BYTES:
        raise EntryInvalid(f"an entry of {len(entry)} bytes; at most {MAX_ENTRY_BYTES} are allowed")
    try:
        body = _decode(entry.decode())
        # Whatever JSON allows to be written in several ways (order, spaces, escapes, a member twice) shows here.
        canonical = canonical_json(body)
    except (ValueError, RecursionError) as error:
        raise EntryInvalid("an entry is JSON without fractions") from error
    if canonical != entry:
        raise EntryInvalid("an entry is canonical JSON (RFC 8785)")
    _require_members(body)
    return cast(EntryBody, body)


def canonical_json(value: object) -> bytes:
    """RFC 8785 for values without fractions. Raises `ValueError` for text that has no UTF-8 form."""
    text = _encode(value)
    if not text.isascii():
        # RFC 8785 sorts members by UTF-16 code units, Python by code points: they differ beyond the first 65,536 characters.
        text = _encode_unsorted(_in_utf16_order(value))
    return text.encode()


def milliseconds_since_epoch(at: str) -> int:
    """The time of a checked entry, cut to whole milliseconds."""
    return (datetime.fromisoformat(at) - _EPOCH) // _MILLISECOND


def _refuse(text: str) -> object:
    raise ValueError(f"{text[:40]} is not an integer")


_decode = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse).decode
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=True).encode
_encode_unsorted = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _in_utf16_order(value: object) -> object:
    if isinstance(value, dict):
        return {key: _in_utf16_order(value[key]) for key in sorted(value, key=_utf16)}
    if isinstance(value, list):
        return [_in_utf16_order(item) for item in value]
    return value


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be")


def _require_members(body: object) -> None:
    if not isinstance(body, dict) or body.keys() != MEMBERS:
        raise EntryInvalid(f"an entry has exactly the members {', '.join(sorted(MEMBERS))}")
    if type(body["version"]) is not int or body["version"] != SCHEMA_VERSION:
        raise EntryInvalid(f"this reader knows schema version {SCHEMA_VERSION}")
    for name in _TEXTS:
        if type(body[name]) is not str:
            raise EntryInvalid(f"{name} is text")
    if not (body["event"] and body["log"]):
        raise EntryInvalid("event and log are not empty")
    if not _NAME.fullmatch(body["name"]):
        raise EntryInvalid("the name of an event has the form subject:thing:action")
    _require_time(body["at"])
    actor = body["actor"]
    if type(actor) is not dict or actor.keys() != {"code", "kind"} or type(actor["code"]) is not str:
        raise EntryInvalid("an actor has a kind and a code")
    if type(actor["kind"]) is not str or actor["kind"] not in _ACTORS:
        raise EntryInvalid("an actor is a user, a client or a part of the system")
    if type(body["objects"]) is not list:
        raise EntryInvalid("objects are a list")
    for shown in body["objects"]:
        _require_object(shown)
    _require_detail(body["detail"])


def _require_time(at: str) -> None:
    try:
        if not _TIME.fullmatch(at):
            raise ValueError
        datetime.fromisoformat(at)
    except ValueError:
        raise EntryInvalid("the time of an event is UTC to the microsecond: 2026-01-02T03:04:05.000006Z") from None


def _require_object(shown: object) -> None:
    if type(shown) is not dict:
        raise EntryInvalid("an object has members")
    kind = shown.get("kind")
    if type(kind) is not str or not _KIND.fullmatch(kind):
        raise EntryInvalid("an object has a kind")
    members = shown.keys() - {"epoch"}
    if members == {"kind", "blind"}:
        if kind in _KNOWN - _PERSONAL or type(shown["blind"]) is not str or not _BLIND.fullmatch(shown["blind"]):
            raise EntryInvalid("what belongs to one person, and nothing else, is blinded: 64 hexadecimal digits")
    elif members != {"kind", "code"} or type(shown["code"]) is not str:
        raise EntryInvalid("an object has a kind and either a code or a blind")
    elif kind in _PERSONAL:
        raise EntryInvalid(f"the code of a {kind} stands in clear")
    if "epoch" in shown and not (type(shown["epoch"]) is int and 0 <= shown["epoch"] <= MAX_INTEGER):
        raise EntryInvalid("an epoch is a number from 0 on")


def _require_detail(detail: object) -> None:
    if type(detail) is not dict:
        raise EntryInvalid("detail has members")
    for key, value in detail.items():
        for item in value if type(value) is list else (value,):
            if type(item) not in _SCALARS or (type(item) is int and abs(item) > MAX_INTEGER):
                raise EntryInvalid(
                    f"detail {key[:40]!a} holds something else than text, an integer, true, false or null"
                )
