"""`entries.jsonl`: one line for each index of a bundle's range, in order, in exactly one of three forms.

    {"index":7,"entry":{...}}    the entry; the bytes between `"entry":` and the last brace are the ones that are hashed
    {"index":7,"leaf":"..."}     left out by the filter: only its leaf hash, base64
    {"index":7,"raw":"..."}      bytes, base64, that are no readable entry and so cannot stand in a line of JSON

Canonical JSON holds no newline, so an entry stands in its line as it is: readable, and not a byte different.
"""

import base64
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from audit.errors import BundleInvalid, EntryInvalid
from audit.schema import MAX_ENTRY_BYTES, EntryBody, read_entry
from audit.tlog.merkle import HASH_BYTES
from audit.tlog.notes import decode_base64

MAX_LINE_BYTES: Final = 2 * MAX_ENTRY_BYTES
_ENTRY: Final = b'"entry":'
_LEAF: Final = b'"leaf":"'
_RAW: Final = b'"raw":"'


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry that the filter left out: all that is shown of it."""

    leaf: bytes


def write(index: int, item: bytes | LeftOut, *, readable: bool) -> bytes:
    """The line of one index, with its newline."""
    if isinstance(item, LeftOut):
        return b'{"index":%d,"leaf":"%b"}\n' % (index, base64.b64encode(item.leaf))
    if readable:
        return b'{"index":%d,"entry":%b}\n' % (index, item)
    return b'{"index":%d,"raw":"%b"}\n' % (index, base64.b64encode(item))


def leaf_hashes(lines: list[bytes], first: int) -> tuple[list[bytes], list[int]]:
    """The leaf hashes of consecutive lines (without newlines) and which indexes were left out. Raises `BundleInvalid`.

    This is the loop that decides how fast a bundle is verified.
    """
    leaves: list[bytes] = []
    left_out: list[int] = []
    for index, line in enumerate(lines, first):
        head = b'{"index":%d,' % index
        at = len(head)
        if line[:at] == head:
            if line.startswith(_ENTRY, at) and line.endswith(b"}"):
                leaves.append(sha256(b"\x00" + line[at + 8 : -1]).digest())
                continue
            if line.startswith(_LEAF, at):
                leaves.append(_left_out_hash(line, at + len(_LEAF)))
                left_out.append(index)
                continue
            if line.startswith(_RAW, at):
                leaves.append(sha256(b"\x00" + _decoded(line, at + len(_RAW))).digest())
                continue
        raise BundleInvalid(f"entries.jsonl: entry {index} is not where it should be, or its line is of no known form")
    return leaves, left_out


def read(line: bytes, index: int) -> tuple[bytes, EntryBody] | None:
    """The entry in a line that `leaf_hashes` took, and what it says; nothing where it was left out. Raises `BundleInvalid`."""
    at = len(b'{"index":%d,' % index)
    if line.startswith(_LEAF, at):
        return None
    if line.startswith(_RAW, at):
        raise BundleInvalid(f"entry {index} is not a readable entry of schema version 1")
    entry = line[at + len(_ENTRY) : -1]
    try:
        return entry, read_entry(entry)
    except EntryInvalid as error:
        raise BundleInvalid(f"entry {index}: {error}") from error


def _left_out_hash(line: bytes, at: int) -> bytes:
    leaf = _decoded(line, at)
    if len(leaf) != HASH_BYTES:
        raise BundleInvalid("entries.jsonl: a leaf hash is of another length")
    return leaf


def _decoded(line: bytes, at: int) -> bytes:
    try:
        if not line.endswith(b'"}'):
            raise ValueError
        return decode_base64(line[at:-2].decode("ascii"))
    except ValueError as error:
        raise BundleInvalid("entries.jsonl: a line is not closed, or its base64 is wrong") from error
