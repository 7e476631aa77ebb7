"""Phone numbers, written in any grouping or said digit by digit. Their form decides where it is plain; else what is said around."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from analysis.redaction.heard import Heard, cue_before
from analysis.redaction.spans import DataType, Found
from analysis.redaction.spelling import Group, digit_runs, windows
from analysis.redaction.vocabulary import phrases, word_set

_CUES: Final = phrases(
    """
    phone; call; calling; cell; mobile; telephone; tel; fax; text; whatsapp; reach; dial; ring; landline; callback;
    extension; handy; telefon; telefonnummer; rufnummer; anrufen; teléfono; móvil; téléphone; portable; contact;
    good number; best number; reach me; sms; cellphone; abroad
    """
)
_LOOSE_CUES: Final = (
    "number is",
    "number's",
    "my number",
    "your number",
    "his number",
    "her number",
    "line is",
    "numéro",
    "número",
)
"""They count where nothing says what else the number is of."""
_OTHER_CUES: Final = phrases(
    """
    order; order number; invoice; ticket; ticket number; tracking; tracking number; reference; ref; case;
    confirmation; booking; part; part number; serial; model; sku; item; product; batch; lot; claim; article;
    flight; version; build; isbn; upc; barcode; code; purchase; bestellnummer; rechnungsnummer; reference number;
    case number; serial number; invoice is number; page; chapter; record; sample
    """
)
_UNITS: Final = word_set(
    """
    dollars euros pounds percent % people units miles kilometers meters grams kilos minutes hours seconds days years
    cents bytes megabytes gigabytes records times pieces points degrees feet inches pages
    """
)


_CORRECTIONS: Final = word_set("sorry no i mean wait rather actually it's that's pardon")


@dataclass(frozen=True, slots=True)
class Phones:
    name: str = "phone"

    def find(self, heard: Heard, /) -> Iterator[Found]:
        begun: list[Group] = []
        for run in digit_runs(heard):
            found = max(self._all(heard, run), key=lambda one: (one.score, one.last - one.first), default=None)
            if found is not None:
                broken_off = bool(begun) and _corrected(heard, begun[-1].last, found.first)
                yield replace(found, first=begun[0].first) if broken_off else found
            begun = run

    def _all(self, heard: Heard, run: Sequence[Group]) -> Iterator[Found]:
        for first, last, text in windows(run, 7, 17):
            whole = first == 0 and last == len(run) - 1
            score = _score(heard, run[first : last + 1], text, whole)
            if score:
                yield Found(DataType.PHONE, run[first].first, run[last].last, score)


def _corrected(heard: Heard, last: int, first: int) -> bool:
    """Whether somebody stopped in the middle of a number and said it again: "four one five, no sorry, four one six ..."."""
    between = heard.lower[last + 1 : first]
    return 0 < len(between) <= 4 and not _CORRECTIONS.isdisjoint(between) and _CORRECTIONS.issuperset(between)


def _score(heard: Heard, groups: Sequence[Group], text: str, whole: bool) -> float:
    digits = text.lstrip("+")
    if not digits.isdigit() or not 7 <= len(digits) <= 15 or len(set(digits)) == 1:
        return 0.0
    if text[0] == "+":
        return 0.95 if whole and len(digits) >= 8 else 0.0
    first, last = groups[0].first, groups[-1].last
    said = heard.before(first, 10)
    cue = cue_before(said, _CUES) or (len(said) + 1 if cue_before(heard.after(last, 5), _CUES) else 0)
    other = cue_before(said, _OTHER_CUES)
    if other and (not cue or other <= cue):
        return 0.0
    cue = cue or cue_before(said, _LOOSE_CUES)
    if heard.after(last, 1) and heard.after(last, 1)[0] in _UNITS:
        return 0.0
    shape = tuple(len(group.text) for group in groups if group.text != "+")
    if _north_american(digits):
        if shape in ((3, 3, 4), (1, 3, 3, 4)):
            return 0.9
        if whole and len(shape) >= 4:
            return 0.85
    if not whole:
        return 0.0
    if digits.startswith("0") and 9 <= len(digits) <= 14 and len(shape) >= 2:
        return 0.8
    return 0.7 if cue else 0.0


def _north_american(digits: str) -> bool:
    """Area code and exchange begin with 2 to 9 (NANP)."""
    digits = digits[1:] if len(digits) == 11 and digits[0] == "1" else digits
    return len(digits) == 10 and digits[0] in "23456789" and digits[3] in "23456789"
