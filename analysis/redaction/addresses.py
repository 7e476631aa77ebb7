"""Postal addresses: a house number with a street's name, and the town, region and postal code that follow; postal codes and post
boxes by themselves. Towns and countries alone are no addresses.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from analysis.redaction.heard import Heard, cue_in
from analysis.redaction.spans import DataType, Found
from analysis.redaction.spelling import Group, digit_runs
from analysis.redaction.vocabulary import phrases, word_set

_STREETS: Final = word_set(
    """
    street st avenue ave road rd lane ln drive dr court ct boulevard blvd place pl terrace close crescent square
    highway hwy parkway pkwy circle row gardens grove mews way trail alley walk quay wharf
    """
)
_FIRST: Final = word_set("calle avenida avda plaza paseo rue avenue boulevard quai impasse via viale piazza rua")
"""Kinds of streets that stand before the name."""
_GERMAN: Final = re.compile(r".{2,}(?:straße|strasse|str|weg|platz|allee|gasse|damm|ufer|ring|steig|chaussee)\Z")
_HOUSE: Final = re.compile(r"\d{1,5}[A-Za-z]?\Z")
_CODE: Final = re.compile(r"\d{4,5}(?:-\d{4})?\Z")
_UK_CODE: Final = re.compile(r"[A-Z]{1,2}\d[A-Z\d]?\Z")
_UK_INWARD: Final = re.compile(r"\d[A-Z]{2}\Z")
_UNIT: Final = frozenset({"apartment", "apt", "unit", "suite", "flat", "floor", "room", "block"})
_NO_STREET: Final = word_set(
    """
    a an the in on of to from at by for with and or minutes minute hours hour days people years year times blocks
    miles meters metres kilometers percent dollars euros down up this that those these my your our their it is was
    were there way ways
    """
)
_HOME: Final = phrases(
    """
    live at; lives at; living at; live on; address; address is; located at; send it to; deliver it to; moved to;
    ship it to; mail goes to; wohne; wohnt; adresse; vivo en; dirección; habite; come to; place is; i live; i'm at;
    my home
    """
)
_CODE_CUES: Final = (
    "zip code",
    "zip",
    "postcode",
    "postal code",
    "postleitzahl",
    "code postal",
    "código postal",
    "zipcode",
)
_LONGEST_NAME: Final = 4
_REGIONS: Final = word_set(
    """
    alabama alaska arizona arkansas california colorado connecticut delaware florida georgia hawaii idaho illinois
    indiana iowa kansas kentucky louisiana maine maryland massachusetts michigan minnesota mississippi missouri
    montana nebraska nevada ohio oklahoma oregon pennsylvania tennessee texas utah vermont virginia washington
    wisconsin wyoming
    """
)


@dataclass(frozen=True, slots=True)
class Addresses:
    name: str = "address"

    def find(self, heard: Heard, /) -> Iterator[Found]:
        numbers = _numbers(heard)
        for index in range(len(heard)):
            for way in (_number_first, _street_first, _german):
                if (found := way(heard, index, numbers)) is not None:
                    first, last, score = found
                    yield Found(DataType.ADDRESS, first, _with_town(heard, last), score)
            if (end := _box_or_code(heard, index, numbers)) is not None:
                yield Found(DataType.ADDRESS, index, end, 0.8)


def _numbers(heard: Heard) -> dict[int, tuple[int, str]]:
    """By its first word: the last word and the digits of each number of up to five digits, spoken or written."""
    found: dict[int, tuple[int, str]] = {}
    for run in digit_runs(heard):
        groups: list[Group] = [group for group in run if group.text.isdigit()]
        for start in range(len(groups)):
            text = ""
            for group in groups[start:]:
                text += group.text
                if len(text) > 5:
                    break
                found[groups[start].first] = (group.last, text)
    for index, bare in enumerate(heard.bare):
        if _HOUSE.fullmatch(bare) and index not in found:
            found[index] = (index, bare)
    return found


def _number_first(heard: Heard, index: int, numbers: dict[int, tuple[int, str]]) -> tuple[int, int, float] | None:
    """ "221B Baker Street", "9 Rue de Rivoli", "forty eight birchwood avenue"."""
    if index not in numbers or (index - 1 in numbers and numbers[index - 1][0] >= index):
        return None
    last = numbers[index][0]
    capitals = True
    for place in range(last + 1, min(len(heard), last + 2 + _LONGEST_NAME)):
        word = heard.lower[place]
        if heard.breaks_after(place - 1) and place > last + 1:
            return None
        if word in _FIRST and place == last + 1 and place + 1 < len(heard):
            return index, _street_name(heard, place), 0.85
        if word in _STREETS and place > last + 1:
            if capitals and heard.bare[place][:1].isupper():
                return index, place, 0.9
            home = cue_in(heard.before(index, 6), _HOME)
            return (index, place, 0.75) if home else None
        if not word or word in _NO_STREET or not word[0].isalpha():
            return None
        capitals = capitals and heard.bare[place][0].isupper()
    return None


def _street_first(heard: Heard, index: int, numbers: dict[int, tuple[int, str]]) -> tuple[int, int, float] | None:
    """ "Calle Mayor 12"."""
    if heard.lower[index] not in _FIRST or index + 1 >= len(heard):
        return None
    last = _street_name(heard, index)
    number = last + 1
    if number in numbers and last > index:
        return index, numbers[number][0], 0.85
    return None


def _street_name(heard: Heard, index: int) -> int:
    """The last word of the name that follows a kind of street: capitals, with little words between."""
    last = index
    for place in range(index + 1, min(len(heard), index + 1 + _LONGEST_NAME)):
        if heard.breaks_after(place - 1):
            break
        if heard.bare[place][:1].isupper():
            last = place
        elif heard.lower[place] not in {"de", "la", "del", "du", "des", "las", "los", "di", "da"}:
            break
    return last


def _german(heard: Heard, index: int, numbers: dict[int, tuple[int, str]]) -> tuple[int, int, float] | None:
    """ "Hauptstraße 12"."""
    written = heard.bare[index][:1].isupper() and _GERMAN.fullmatch(heard.lower[index].rstrip("."))
    if not written or heard.breaks_after(index) or index + 1 not in numbers:
        return None
    return index, numbers[index + 1][0], 0.9


def _with_town(heard: Heard, last: int) -> int:
    """The last word of the town, region, postal code and apartment after a street: capitals and codes, as far as they go on."""
    at = last
    while at + 1 < len(heard) and not heard.ends_sentence(at):
        bare, word = heard.bare[at + 1], heard.lower[at + 1]
        code = _CODE.fullmatch(bare) or _UK_CODE.fullmatch(bare) or _UK_INWARD.fullmatch(bare)
        town = bare[:1].isupper() and word not in {"i", "and", "i'm"} and (heard.comma_after(at) or at > last)
        unit = word in _UNIT or (heard.lower[at] in _UNIT and any(character.isalnum() for character in bare))
        if not (code or town or unit):
            break
        at += 1
    return at


def _box_or_code(heard: Heard, index: int, numbers: dict[int, tuple[int, str]]) -> int | None:
    bare, lower = heard.bare[index], heard.lower[index]
    following = heard.bare[index + 1] if index + 1 < len(heard) else ""
    if _UK_CODE.fullmatch(bare) and _UK_INWARD.fullmatch(following):
        return index + 1
    if lower in {"po", "p.o"} and following.lower() == "box" and index + 2 in numbers:
        return numbers[index + 2][0]
    if index in numbers and len(numbers[index][1]) >= 4:
        last, digits = numbers[index]
        if cue_in(heard.before(index, 5), _CODE_CUES):
            return last
        if index and heard.lower[index - 1] in _REGIONS and len(digits) == 5 and heard.bare[index - 1][0].isupper():
            return last
    return None
