"""Text from a log, made safe to look at: nothing invisible, nothing that turns the line around, moves a cursor or ends a row.

For tables and reports. What is hashed and verified is never touched by this.
"""

import re
import unicodedata
from typing import Final

_PLAIN: Final = re.compile(r"[ -~]*")
# Controls, formats (bidirectional ones among them), surrogates, private use, unassigned, line and paragraph separators.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str) -> str:
    """`text` with every character that cannot be seen as itself written as `\\u202e` or `\\U000e0001`."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_escaped(one) if unicodedata.category(one) in _HIDDEN else one for one in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
