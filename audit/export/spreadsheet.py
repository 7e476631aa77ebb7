"""`entries.csv`: the entries of a bundle as a table for people. A pure function of each entry, so the verifier can make it again.

RFC 4180: fields in quotes, rows ended by CR LF. One row is always one line of the file. Frozen with the bundle format.
"""

import re
from typing import Final

from audit.export.visible import visible
from audit.schema import EntryBody, canonical_json

COLUMNS: Final = (
    "index",
    "at",
    "name",
    "outcome",
    "reason",
    "actor_kind",
    "actor_code",
    "objects",
    "detail",
    "request",
    "event",
    "leaf_hash",
)
HEADER: Final = (",".join(COLUMNS) + "\r\n").encode()
# Most cells: printable ASCII without quotes that begins neither like a formula nor with a space.
_PLAIN: Final = re.compile(r"(?:[^=+\-@ \"\x00-\x1f\x7f-\U0010ffff][ !#-~]*)?")
_SPACES: Final = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
# What spreadsheets take for the start of a formula, in the widths that East Asian ones take as well.
_FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def row(index: int, leaf: bytes, body: EntryBody) -> bytes:
    """The row of one entry, with its line ending."""
    fields = (
        f"{index}",
        body["at"],
        body["name"],
        body["outcome"],
        body["reason"],
        body["actor"]["kind"],
        body["actor"]["code"],
        "; ".join(_shown(one) for one in body["objects"]),
        canonical_json(body["detail"]).decode(),
        body["request"],
        body["event"],
        leaf.hex(),
    )
    return ('"' + '","'.join(map(_safe, fields)) + '"\r\n').encode()


def _shown(one: dict[str, object]) -> str:
    epoch = f" (epoch {one['epoch']})" if "epoch" in one else ""
    return f"{one['kind']} {one['code'] if 'code' in one else one['blind']}{epoch}"


def _safe(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    text = visible(text)
    if text.lstrip(_SPACES).startswith(_FORMULA):
        text = "'" + text
    return text.replace('"', '""')
