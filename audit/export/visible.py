"""Text from a log, made safe to look at: nothing invisible, nothing that turns the line around, moves a cursor or ends a row.

For tables and reports. What is hashed and verified is never touched by this.
"""

import re
import unicodedata
from typing import Final

_PLAIN: Final = re.compile(r"[ -~]*")
# Tables are compared byte for byte, so what is shown must not depend on the Unicode version of whoever runs this. Python carries
# one that never changes, 3.2; what it does not know yet is written as a code.
_category: Final = unicodedata.ucd_3_2_0.category
# Controls, formats (bidirectional ones among them), surrogates, private use, unassigned, line and paragraph separators.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Blank or without width, under categories that do not say so: soft hyphen, zero width space, joiners, fillers, variation selectors.
_BLANK: Final = frozenset("\u00ad\u034f\u115f\u1160\u180b\u180c\u180d\u200b\u2800\u3164\uffa0") | {
    chr(code) for code in range(0xFE00, 0xFE10)
}


def visible(text: str) -> str:
    """`text` with every character that cannot be seen as itself written as `\\u202e` or `\\U000e0001`."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_escaped(one) if _category(one) in _HIDDEN or one in _BLANK else one for one in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
