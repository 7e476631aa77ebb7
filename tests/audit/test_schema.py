"""Reading entries: what the service composes is accepted, and nothing that is written in any other way or says anything else."""

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.entry import Actor, ActorKind, ObjectKind, Reference, compose
from audit.errors import EntryInvalid
from audit.events import EventName
from audit.schema import MAX_INTEGER, canonical_json, milliseconds_since_epoch, read_entry
from tests.audit.entries import entry

BODY: dict[str, Any] = json.loads(entry(3))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=12,
)


def test_what_is_composed_is_read() -> None:
    for kind in ObjectKind:
        composed = compose(
            EventName.DECISION_ALLOWED,
            code="e",
            log="o",
            at=datetime(2026, 1, 2, 3, 4, 5, 6000, tzinfo=UTC),
            actor=Actor(ActorKind.CLIENT, "c"),
            references=[Reference(kind, "some code", 3)],
            outcome="allow",
            reason="",
            request_id="r",
            detail={"scopes": ["speech.transcribe"], "n": 1, "none": None, "yes": True, "ä\U0001f600\ufb01": "\u2028"},
        )
        body = read_entry(composed.canonical)
        assert (body["event"], body["at"]) == ("e", "2026-01-02T03:04:05.006000Z")
    assert milliseconds_since_epoch("1970-01-01T00:00:01.999999Z") == 1999
    assert milliseconds_since_epoch("1969-12-31T23:59:59.999999Z") == -1


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_the_canonical_form_is_that_of_rfc_8785(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


def test_members_are_sorted_by_utf_16_code_units() -> None:
    """RFC 8785, section 3.2.3: its own example of keys, of which the emoji comes before the Hebrew ligature."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    assert list(json.loads(canonical_json(dict.fromkeys(keys, 0)))) == [
        "\r",
        "1",
        "\u0080",
        "\u00f6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        b"\xef\xbb\xbf" + entry(3),
        entry(3) + b"\n",
        b" " + entry(3),
        entry(3)[:-1],
        entry(3) + b"{}",
        entry(3).replace(b'{"actor"', b'{"actor":{"code":"x","kind":"user"},"actor"'),
        entry(3).replace(b'"outcome"', b'"outcome":"deny","outcome"'),
        entry(3).replace(b":", b": ", 1),
        entry(3).replace(b'"log"', b'"l\\u006fg"'),
        entry(3).replace(b'"version":1', b'"version":1.0'),
        entry(3).replace(b'"version":1', b'"version":1e0'),
        entry(3).replace(b'"version":1', b'"version":NaN'),
        entry(3).replace(b'"version":1', b'"version":-0'),
        entry(3).replace(b'"version":1', b'"version":' + b"1" * 5000),
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b"x" * 65_536,
        json.dumps(BODY).encode(),
        json.dumps(BODY, sort_keys=True).encode(),
        rfc8785.dumps({**BODY, "reason": "\u00e4"}).decode().encode("latin-1"),
        json.dumps({**BODY, "reason": "\u00e4"}, sort_keys=True, separators=(",", ":")).encode(),
        json.dumps({**BODY, "reason": "\ud800"}, sort_keys=True, separators=(",", ":")).encode(),
    ],
)
def test_what_is_not_canonical_json_is_refused(other: bytes) -> None:
    with pytest.raises(EntryInvalid):
        read_entry(other)


def altered(**members: Any) -> dict[str, Any]:
    return {**BODY, **members}


BLIND = "0" * 64


@pytest.mark.parametrize(
    "body",
    [
        {name: value for name, value in BODY.items() if name != "reason"},
        altered(more=1),
        altered(version=2),
        altered(version=True),
        altered(version="1"),
        altered(event=""),
        altered(log=None),
        altered(log=7),
        altered(reason=None),
        altered(at="2026-01-02T03:04:05Z"),
        altered(at="2026-01-02T03:04:05.000006+00:00"),
        altered(at="2026-02-30T03:04:05.000006Z"),
        altered(at="2026-01-02T03:04:05.000006Z\n"),
        altered(at="٢٠٢٦-01-02T03:04:05.000006Z"),
        altered(name="decision"),
        altered(name="consent:decision:allowed:twice"),
        altered(actor={"code": "x"}),
        altered(actor={"code": "x", "kind": "god"}),
        altered(actor={"code": "x", "kind": []}),
        altered(actor={"code": 1, "kind": "user"}),
        altered(actor=["user", "x"]),
        altered(objects={}),
        altered(objects=["subject"]),
        altered(objects=[{}]),
        altered(objects=[{"kind": "subject"}]),
        altered(objects=[{"kind": "subject", "code": "somebody"}]),
        altered(objects=[{"kind": "recording", "code": "something"}]),
        altered(objects=[{"kind": "notice", "blind": BLIND}]),
        altered(objects=[{"kind": "subject", "blind": BLIND, "code": "somebody"}]),
        altered(objects=[{"kind": "subject", "blind": BLIND, "name": "somebody"}]),
        altered(objects=[{"kind": "subject", "blind": BLIND[:-1]}]),
        altered(objects=[{"kind": "subject", "blind": "A" * 64}]),
        altered(objects=[{"kind": "subject", "blind": 0}]),
        altered(objects=[{"kind": "Subject", "code": "x"}]),
        altered(objects=[{"kind": "subject", "blind": BLIND, "epoch": -1}]),
        altered(objects=[{"kind": "subject", "blind": BLIND, "epoch": True}]),
        altered(objects=[{"kind": "subject", "blind": BLIND, "epoch": 2**53}]),
        altered(detail=[]),
        altered(detail={"x": {}}),
        altered(detail={"x": [[]]}),
        altered(detail={"x": 2**53}),
        altered(detail={"x": [-(2**53)]}),
    ],
)
def test_what_breaks_the_schema_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(EntryInvalid):
        read_entry(canonical_json(body))


def test_a_kind_of_object_unknown_to_this_reader_passes() -> None:
    """Kinds may be added; what this reader knows to be personal must be blinded all the same."""
    for shown in ({"kind": "webhook", "code": "w"}, {"kind": "device", "blind": BLIND}):
        read_entry(canonical_json(altered(objects=[shown])))


def test_any_changed_byte_is_refused_or_is_another_canonical_entry() -> None:
    random_ = random.Random(5)
    original = entry(3)
    for _ in range(3000):
        at = random_.randrange(len(original))
        other = original[:at] + bytes([random_.randrange(256)]) + original[at + 1 :]
        try:
            body = read_entry(other)
        except EntryInvalid:
            continue
        assert rfc8785.dumps(dict(body)) == other  # type: ignore[arg-type]  # its stub wants invariant dict values
