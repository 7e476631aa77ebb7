"""Numbers and letters as people say them, turned into the characters they mean: "double five", "twenty three", "oh", "N as in
November", "DE89", "415-555-0132". Which characters are personal data is the recognizers' business.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from analysis.redaction.heard import Heard
from analysis.redaction.vocabulary import FILLERS, lettered, numbered

UNITS: Final = numbered(
    """
    zero=0 oh=0 o=0 nought=0 naught=0 null=0 cero=0 zéro=0 one=1 eins=1 uno=1 two=2 zwei=2 zwo=2 dos=2 deux=2
    three=3 drei=3 tres=3 trois=3 four=4 vier=4 cuatro=4 quatre=4 five=5 fünf=5 cinco=5 cinq=5 six=6 sechs=6 seis=6
    seven=7 sieben=7 siete=7 sept=7 eight=8 acht=8 ocho=8 huit=8 nine=9 niner=9 neun=9 nueve=9 neuf=9
    """
)
TEENS: Final = numbered(
    """
    ten=10 eleven=11 twelve=12 thirteen=13 fourteen=14 fifteen=15 sixteen=16 seventeen=17 eighteen=18 nineteen=19
    """
)
TENS: Final = numbered(
    """
    twenty=20 thirty=30 forty=40 fourty=40 fifty=50 sixty=60 seventy=70 eighty=80 ninety=90
    """
)
_REPEATS: Final = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4, "doppel": 2}
_PAUSES: Final = (("hold", "on"), ("let", "me", "see"), ("let's", "see"), ("one", "moment"), ("just", "a", "second"))
"""What is said while somebody looks for the rest of a number."""
_SEPARATORS: Final = frozenset({"dash", "hyphen", "minus", "space", "slash", "strich", "guion", "tiret"})
_SPELLED: Final = lettered(
    """
    alpha=A alfa=A bravo=B charlie=C delta=D echo=E foxtrot=F golf=G hotel=H india=I juliett=J juliet=J kilo=K
    lima=L mike=M november=N oscar=O papa=P quebec=Q romeo=R sierra=S tango=T uniform=U victor=V whiskey=W whisky=W
    xray=X x-ray=X yankee=Y zulu=Z zed=Z zee=Z
    """
)
_DIGITS: Final = re.compile(r"\+?[(]?\d[\d().\-/ \u2010-\u2015]*\Z")
_DECIMAL: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?\Z|\d{1,3}(?:\.\d{3})+(?:,\d+)?\Z|\d+[.,]\d{1,2}\Z")
"""An amount: thousands apart, or a fraction."""
_MIXED: Final = re.compile(r"(?=.*\d)[A-Za-z0-9]+(?:[.\-/][A-Za-z0-9]+)*\Z")
_CAPITALS: Final = re.compile(r"[A-Z]{2,4}\Z")
_LETTERS_APART: Final = re.compile(r"[A-Za-z](?:[.\-][A-Za-z])+\Z")


@dataclass(frozen=True, slots=True)
class Group:
    """Characters that were written or said together, and the words that they are in. `written` in digits, not in words."""

    text: str
    first: int
    last: int
    written: bool


def digit_runs(heard: Heard) -> list[list[Group]]:
    """Stretches of words that mean digits and nothing else; a plus sign is a character of its own."""
    return [run for run in _runs(heard, letters=False) if any(group.text.isdigit() for group in run)]


def letter_runs(heard: Heard) -> list[list[Group]]:
    """Stretches of words that mean digits and capital letters: what an IBAN or an identity number is read out as."""
    return _runs(heard, letters=True)


def windows(run: Sequence[Group], shortest: int, longest: int) -> Iterator[tuple[int, int, str]]:
    """Every stretch of neighbouring groups with so many characters: indices of its first and last group, and its text."""
    for first in range(len(run)):
        text = ""
        for last in range(first, len(run)):
            text += run[last].text
            if len(text) > longest:
                break
            if len(text) >= shortest:
                yield first, last, text


def whole_number(heard: Heard, index: int) -> tuple[int, int] | None:
    """The number that begins with this word, up to 9999, and the last of its words: "two thousand and five", "nineteen eighty
    four", "221". None where there is none."""
    bare = heard.bare[index]
    if re.fullmatch(r"\d{1,4}", bare):
        return int(bare), index
    group = next(iter(_numbers(heard, index, letters=False)), None)
    if group is None or group.written or not group.text.isdigit() or len(group.text) > 4:
        return None
    return int(group.text), group.last


def _runs(heard: Heard, *, letters: bool) -> list[list[Group]]:
    runs: list[list[Group]] = []
    run: list[Group] = []
    index = 0
    while index < len(heard):
        groups = _numbers(heard, index, letters=letters)
        if groups:
            run.extend(groups)
            index = groups[-1].last + 1
        elif run and (skipped := _skipped(heard, index)):
            index += skipped
        else:
            if run:
                runs.append(run)
            run = []
            index += 1
    if run:
        runs.append(run)
    return runs


def _skipped(heard: Heard, index: int) -> int:
    """How many words there part no number in two: a hesitation, a dash that is spoken out."""
    if heard.lower[index] in FILLERS or heard.lower[index] in _SEPARATORS:
        return 1
    return next((len(one) for one in _PAUSES if tuple(heard.lower[index : index + len(one)]) == one), 0)


def _numbers(heard: Heard, index: int, *, letters: bool) -> list[Group]:
    """What the word at `index`, with those that belong to it, means; empty where it means no character."""
    bare, lower = heard.bare[index], heard.lower[index]
    if not bare:
        return []
    if lower == "plus" or bare == "+":
        return [Group("+", index, index, False)]
    if _DIGITS.fullmatch(bare) and not _DECIMAL.fullmatch(bare):
        sign = [Group("+", index, index, True)] if bare[0] == "+" else []
        return [*sign, *(Group(part, index, index, True) for part in re.findall(r"\d+", bare))]
    if "-" in lower and all(part in UNITS or part in TENS or part in TEENS for part in lower.split("-")):
        return [Group(_hyphened(lower), index, index, False)]
    spoken = _spoken(heard, index, letters=letters)
    if spoken is not None:
        return [spoken]
    return _lettered(heard, index) if letters else []


def _spoken(heard: Heard, index: int, *, letters: bool) -> Group | None:
    lower = heard.lower
    word = lower[index]
    following = lower[index + 1] if index + 1 < len(heard) else ""
    if word in _REPEATS:
        digit = _one_digit(following)
        if digit is None and letters and len(following) == 1 and following.isalpha():
            digit = following.upper()
        return None if digit is None else Group(digit * _REPEATS[word], index, index + 1, False)
    if word in TENS:
        joined = following in UNITS and UNITS[following] > 0 and not heard.breaks_after(index)
        value, last = TENS[word] + (UNITS[following] if joined else 0), index + joined
    elif word in TEENS:
        value, last = TEENS[word], index
    elif word in UNITS:
        value, last = UNITS[word], index
    else:
        return None
    return _multiplied(heard, index, last, value)


def _multiplied(heard: Heard, first: int, last: int, value: int) -> Group:
    """With "hundred" and "thousand" after it, and with what is added to those."""
    lower = heard.lower
    following = lower[last + 1] if last + 1 < len(heard) else ""
    if following == "thousand" and value < 10:
        added, end = _below_hundred(heard, last + 2)
        return Group(str(value * 1000 + added), first, max(end, last + 1), False)
    if following == "hundred" and 0 < value < 100:
        after = last + 2
        joined = after < len(heard) and lower[after] == "and"
        added, end = _below_hundred(heard, after)
        if added >= 10 or joined:
            return Group(str(value * 100 + added), first, max(end, last + 1), False)
        return Group(str(value * 100), first, last + 1, False)
    return Group(str(value), first, last, False)


def _below_hundred(heard: Heard, index: int) -> tuple[int, int]:
    """The number below a hundred that stands there, an "and" before it included, and its last word; 0 where there is none."""
    lower = heard.lower
    at = index + 1 if index < len(heard) and lower[index] == "and" else index
    if at >= len(heard):
        return 0, 0
    word = lower[at]
    if word in TENS:
        joined = at + 1 < len(heard) and UNITS.get(lower[at + 1], 0) > 0
        return TENS[word] + (UNITS[lower[at + 1]] if joined else 0), at + joined
    if word in TEENS:
        return TEENS[word], at
    if word in UNITS and UNITS[word] > 0:
        return UNITS[word], at
    return 0, 0


def _one_digit(word: str) -> str | None:
    if word in UNITS:
        return str(UNITS[word])
    return word if len(word) == 1 and word.isdigit() else None


def _hyphened(word: str) -> str:
    """ "twenty-three" is 23; "four-one-five" is 415."""
    parts = word.split("-")
    if len(parts) == 2 and parts[0] in TENS and UNITS.get(parts[1], 0) > 0:
        return str(TENS[parts[0]] + UNITS[parts[1]])
    return "".join(str(UNITS.get(part, TENS.get(part, TEENS.get(part)))) for part in parts)


def _lettered(heard: Heard, index: int) -> list[Group]:
    bare, lower = heard.bare[index], heard.lower[index]
    if len(bare) == 1 and bare.isascii() and bare.isalpha():
        return [Group(bare.upper(), index, _explained(heard, index), False)]
    if lower in _SPELLED:
        return [Group(_SPELLED[lower], index, index, False)]
    if _MIXED.fullmatch(bare) or _LETTERS_APART.fullmatch(bare):
        return [Group(part.upper(), index, index, True) for part in re.findall(r"[A-Za-z0-9]+", bare)]
    if _CAPITALS.fullmatch(bare):
        return [Group(bare, index, index, True)]
    return []


def _explained(heard: Heard, index: int) -> int:
    """The last word of "N as in November", "B for Bob", "D like David": that of the letter alone where nothing explains it."""
    lower = heard.lower
    for bridge in (("as", "in"), ("as",), ("for",), ("like",), ("wie",), ("de",)):
        end = index + len(bridge) + 1
        if (
            end < len(heard)
            and tuple(lower[index + 1 : end]) == bridge
            and lower[end][:1] == lower[index] != lower[end]
        ):
            return end
    return index
