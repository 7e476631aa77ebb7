"""entries.csv and ocsf.jsonl: frozen line for line, harmless in a spreadsheet and a terminal, valid where they go."""

import csv
import io
import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.export import ocsf, spreadsheet
from audit.export.visible import visible
from audit.schema import EntryBody, canonical_json, read_entry
from audit.tlog.merkle import leaf_hash
from tests.audit.entries import entry

ORIGIN = "voxgov.example/log/o"


def body_with(**members: Any) -> EntryBody:
    return read_entry(canonical_json({**read_entry(entry(5)), **members}))


def test_the_table_is_frozen() -> None:
    assert spreadsheet.HEADER == (
        b"index,at,name,outcome,reason,actor_kind,actor_code,objects,detail,request,event,leaf_hash\r\n"
    )
    body = read_entry(entry(5))
    assert spreadsheet.row(5, leaf_hash(entry(5)), body) == (
        b'"5","2026-01-01T00:00:05.000006Z","consent:decision:denied","deny","scope_not_granted","client",'
        b'"01980000-0000-7000-8000-0000000000c1",'
        b'"subject ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d (epoch 2); purpose p-1",'
        b'"{""count"":5,""scopes"":[""speech.transcribe"",""voice.emotion""]}","r-5",'
        b'"01980000-0000-7000-8000-000000000005","' + leaf_hash(entry(5)).hex().encode() + b'"\r\n'
    )


def test_the_events_are_frozen() -> None:
    body = read_entry(entry(5))
    line = ocsf.line(5, leaf_hash(entry(5)), entry(5), body, ORIGIN)
    assert line.endswith(b"}\n")
    assert json.loads(line) == {
        "activity_id": 99,
        "activity_name": "denied",
        "category_uid": 6,
        "category_name": "Application Activity",
        "class_uid": 6003,
        "class_name": "API Activity",
        "type_uid": 600399,
        "severity_id": 1,
        "status_id": 2,
        "status": "Failure",
        "status_detail": "scope_not_granted",
        "time": 1767225605000,
        "metadata": {
            "version": "1.6.0",
            "product": {"name": "voxgov", "vendor_name": "voxgov"},
            "uid": "01980000-0000-7000-8000-000000000005",
            "event_code": "consent:decision:denied",
            "log_name": ORIGIN,
            "log_version": "1",
            "original_time": "2026-01-01T00:00:05.000006Z",
            "sequence": 5,
            "tenant_uid": "01980000-0000-7000-8000-0000000000aa",
            "correlation_uid": "r-5",
        },
        "actor": {"app_uid": "01980000-0000-7000-8000-0000000000c1"},
        "api": {"operation": "consent:decision:denied", "request": {"uid": "r-5"}},
        "src_endpoint": {"name": "not recorded"},
        "resources": [
            {
                "type": "subject",
                "uid": "ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d",
                "data": {"epoch": 2},
            },
            {"type": "purpose", "uid": "p-1"},
        ],
        "unmapped": {"detail": {"count": 5, "scopes": ["speech.transcribe", "voice.emotion"]}},
        "raw_data": entry(5).decode(),
        "raw_data_hash": {
            "algorithm_id": 99,
            "algorithm": "SHA-256 over 0x00 and raw_data (RFC 6962 leaf hash)",
            "value": leaf_hash(entry(5)).hex(),
        },
    }


@pytest.mark.parametrize(
    ("name", "activity"),
    [
        ("accounts:project:created", 1),
        ("analysis:results:read", 2),
        ("consent:grant:withdrawn", 3),
        ("vault:key:destroyed", 4),
        ("some:new:thing", 99),
    ],
)
def test_activities_of_the_class(name: str, activity: int) -> None:
    event = json.loads(
        ocsf.line(1, bytes(32), b"{}", body_with(name=name, outcome="maybe", reason="", request=""), ORIGIN)
    )
    assert (event["activity_id"], event["type_uid"]) == (activity, 600300 + activity)
    assert (event["status_id"], event["status"]) == (99, "maybe")
    assert "status_detail" not in event
    assert event["api"]["request"]["uid"] == event["metadata"]["uid"]


def test_every_kind_of_actor_is_one_that_the_schema_allows() -> None:
    for kind, member in (("user", "user"), ("client", "app_uid"), ("system", "app_name")):
        event = json.loads(ocsf.line(1, bytes(32), b"{}", body_with(actor={"kind": kind, "code": "c"}), ORIGIN))
        assert list(event["actor"]) == [member]


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    " =1",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "＋1",
    "－1",
    "＠x",
    '="x"',
    "\u200b=1",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text: str) -> None:
    body = body_with(reason=text, request=text, actor={"kind": "user", "code": text}, outcome=text)
    [cells] = csv.reader(io.StringIO(spreadsheet.row(1, bytes(32), body).decode()))
    assert len(cells) == len(spreadsheet.COLUMNS)
    for cell in cells:
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))


def test_hostile_text_stays_one_harmless_row() -> None:
    hostile = 'a","b\r\nc\n\u2028\u2029\u202eright to left\u2066\u200f\x1b[31mred\x07\x00\x85end'
    row = spreadsheet.row(1, bytes(32), body_with(reason=hostile, detail={hostile: [hostile]}))
    assert row.count(b"\n") == row.count(b"\r") == 1
    text = row.decode()[:-2]
    assert text.isprintable()
    [cells] = csv.reader(io.StringIO(text))
    assert (
        cells[4]
        == 'a","b\\u000d\\u000ac\\u000a\\u2028\\u2029\\u202eright to left\\u2066\\u200f\\u001b[31mred\\u0007\\u0000\\u0085end'
    )


@given(st.text())
def test_any_text_is_one_cell_and_one_line(text: str) -> None:
    clean = text.encode("utf-8", "replace").decode()
    row = spreadsheet.row(1, bytes(32), body_with(reason=clean))
    assert row.endswith(b"\r\n")
    assert row.count(b"\n") == row.count(b"\r") == 1
    [cells] = csv.reader(io.StringIO(row.decode()))
    assert len(cells) == len(spreadsheet.COLUMNS)
    line = ocsf.line(1, bytes(32), b"{}", body_with(reason=clean), ORIGIN)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert json.loads(line).get("status_detail", "") == clean


@given(st.text())
def test_what_is_shown_can_be_seen(text: str) -> None:
    shown = visible(text)
    assert all(unicodedata.category(one)[0] != "C" and one not in "\u2028\u2029" for one in shown)
    assert visible(shown) == shown
    assert visible("\u200b\u00ad\u3164\ufe0f") == "\\u200b\\u00ad\\u3164\\ufe0f"


def test_ordinary_text_of_any_language_is_shown_as_it_is() -> None:
    for text in ("", "plain", "Größe", "日本語", "עברית", "a\u00a0b"):
        assert visible(text) == text


def test_what_is_shown_is_the_same_for_every_unicode_version() -> None:
    """Characters of after 2002 are written as codes, so that a table made today is made again byte for byte in ten years."""
    assert visible("😀 \u2066x\u2069 \U0001fae0") == "\\U0001f600 \\u2066x\\u2069 \\U0001fae0"
