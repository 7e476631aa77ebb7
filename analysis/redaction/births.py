"""Dates of birth: a date beside words that say so. A date alone is no personal data here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from analysis.redaction.heard import Heard, cue_in
from analysis.redaction.spans import DataType, Found
from analysis.redaction.spelling import TEENS, TENS, UNITS, whole_number
from analysis.redaction.vocabulary import phrases, word_set

_CUES: Final = phrases(
    """
    born; date of birth; birth date; birthdate; birthday; dob; d.o.b; birth; geboren; geburtsdatum; geburtstag;
    nací; nacimiento; née; né; naissance
    """
)
_MONTHS: Final = word_set(
    """
    january february march april may june july august september october november december jan feb mar apr jun jul
    aug sep sept oct nov dec januar februar märz mai juni juli oktober dezember enero febrero marzo abril mayo junio
    julio agosto septiembre octubre noviembre diciembre janvier février mars avril juin juillet août septembre
    octobre novembre décembre
    """
)
_WRITTEN: Final = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{2,4}\Z")
_ORDINAL: Final = re.compile(r"\d{1,2}(?:st|nd|rd|th|er)\Z")
_ORDINALS: Final = word_set(
    """
    first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
    fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth twenty-first twenty-second
    twenty-third twenty-fourth twenty-fifth twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirty-first
    """
)
_LITTLE: Final = frozenset({"of", "the", "de", "del", "in", "and", "slash", "dash", "dot"})
_LONGEST: Final = 9


@dataclass(frozen=True, slots=True)
class BirthDates:
    name: str = "birth_date"

    def find(self, heard: Heard, /) -> Iterator[Found]:
        index = 0
        while index < len(heard):
            last = _date(heard, index)
            if last is None:
                index += 1
                continue
            said = [*heard.before(index, 8), "|", *heard.after(last, 6)]
            if cue_in(said, _CUES):
                yield Found(DataType.BIRTH_DATE, index, last, 0.9)
            index = last + 1


def _date(heard: Heard, index: int) -> int | None:
    """The last word of the date that begins there: in figures, with a month's name, or three numbers said one after another."""
    if _WRITTEN.fullmatch(heard.bare[index]):
        return index
    if heard.lower[index] in _LITTLE - {"the"} or not heard.lower[index]:
        return None
    at, last, parts, month = index, None, 0, False
    while at < len(heard) and at - index < _LONGEST:
        word = heard.lower[at]
        if word in _MONTHS and not month:
            month, last = True, at
        elif (end := _part(heard, at)) is not None:
            parts, last = parts + 1, end
            at = end
        elif word not in _LITTLE:
            break
        if last == at and heard.ends_sentence(at) and not _day_with_point(heard, at):
            break
        at += 1
    if last is None or (heard.lower[index] == "the" and last == index):
        return None
    return last if (month and parts >= 1) or parts >= 3 else None


def _day_with_point(heard: Heard, index: int) -> bool:
    """ "12. März": the point makes an ordinal and ends no sentence."""
    following = heard.lower[index + 1] if index + 1 < len(heard) else ""
    return bool(re.fullmatch(r"\d{1,2}", heard.bare[index])) and following in _MONTHS


def _part(heard: Heard, index: int) -> int | None:
    """The last word of a day, month or year in figures or words."""
    word = heard.lower[index]
    if _ORDINAL.fullmatch(word) or word in _ORDINALS:
        return index
    if word in TENS and index + 1 < len(heard) and heard.lower[index + 1] in _ORDINALS:
        return index + 1
    if re.fullmatch(r"\d{1,4}", word):
        return index
    if word in UNITS or word in TENS or word in TEENS or "-" in word:
        number = whole_number(heard, index)
        return None if number is None else number[1]
    return None
