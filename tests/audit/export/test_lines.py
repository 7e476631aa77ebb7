"""Lines of entries.jsonl: an entry stands in its line byte for byte, and a line has no second way of being written."""

import base64
import json

import pytest

from audit.errors import BundleInvalid
from audit.export import lines
from audit.export.lines import LeftOut
from audit.tlog.merkle import leaf_hash
from tests.audit.entries import entry
from tests.audit.tlog.reference import leaf


def test_an_entry_stands_in_its_line_as_it_is() -> None:
    line = lines.write(7, entry(7), readable=True)
    assert line == b'{"index":7,"entry":' + entry(7) + b"}\n"
    assert json.loads(line) == {"index": 7, "entry": json.loads(entry(7))}
    assert lines.leaf_hashes([line[:-1]], 7) == ([leaf_hash(entry(7))], [])
    found = lines.read(line[:-1], 7)
    assert found is not None
    assert found[0] == entry(7)


def test_an_entry_left_out_stands_as_its_hash() -> None:
    line = lines.write(7, LeftOut(leaf(7)), readable=False)
    assert json.loads(line) == {"index": 7, "leaf": base64.b64encode(leaf(7)).decode()}
    assert lines.leaf_hashes([line[:-1]], 7) == ([leaf(7)], [7])
    assert lines.read(line[:-1], 7) is None


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\x00", b"{}", b'"}', b"x" * 65_535])
def test_bytes_that_are_no_entry_come_through_and_are_named(content: bytes) -> None:
    line = lines.write(7, content, readable=False)
    assert lines.leaf_hashes([line[:-1]], 7) == ([leaf_hash(content)], [])
    assert len(line) <= lines.MAX_LINE_BYTES
    with pytest.raises(BundleInvalid, match="entry 7 is not a readable entry"):
        lines.read(line[:-1], 7)


GOOD = lines.write(7, entry(7), readable=True)[:-1]
LEAF = lines.write(7, LeftOut(leaf(7)), readable=False)[:-1]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        GOOD.replace(b"7", b"8", 1),
        GOOD.replace(b"7", b"07", 1),
        GOOD.replace(b"7", b"70", 1),
        GOOD.replace(b"7", b"-7", 1),
        b" " + GOOD,
        GOOD + b" ",
        GOOD + b"\r",
        GOOD.replace(b'"index"', b'"Index"'),
        GOOD.replace(b'"entry":', b'"entry" :'),
        GOOD.replace(b'"entry":', b'"other":'),
        LEAF[:-1],
        LEAF.replace(b"=", b""),
        LEAF + b"}",
        LEAF.replace(b'"}', b'","leaf":"AAAA"}'),
        b'{"index":7,"leaf":"AAAA"}',
        b'{"index":7,"leaf":"\xc3\xa4"}',
        b'{"index":7,"raw":"AAF="}',
        b'{"index":7,"raw":"AAE="',
        b'{"index":7,"raw":AAE=}',
    ],
)
def test_a_line_of_another_form_is_refused(line: bytes) -> None:
    with pytest.raises(BundleInvalid):
        lines.leaf_hashes([line], 7)


def test_what_follows_an_entry_in_its_line_is_taken_for_a_part_of_it() -> None:
    """So it has another hash, and is no entry: there is no room to hide anything."""
    line = GOOD[:-1] + b',"more":1}'
    assert lines.leaf_hashes([line], 7)[0] != [leaf_hash(entry(7))]
    with pytest.raises(BundleInvalid):
        lines.read(line, 7)
