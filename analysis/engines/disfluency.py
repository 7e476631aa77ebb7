"""Repetitions and restarts, read off the words of a transcript: "I I think", "we were - we are".

The terms are Shriberg's (1994): a reparandum is said, broken off, and said again or otherwise. A repetition says the same
one to three words twice in a row; a restart begins again with the words it began with and goes on otherwise, and is
counted only where something marks the break: a cut-off word, a dash, or a pause. Recognizers tidy speech up, so most of
either is lost before it gets here: what is found was said, what is not found may have been said all the same. Filled
pauses are found by their sound in `hesitation`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from analysis.engines import own_code
from analysis.engines.clip import ModelIdentity

MODULES = ("disfluency.py",)

LONGEST = 3
"""Words that are said again."""
_APART = 2.0
"""Seconds: words further apart were not broken off."""
_BREAK = 0.2
"""Seconds of silence between two words that mark a break."""
_MEANT_TWICE = frozenset(
    {
        "bye",
        "had",
        "ha",
        "hey",
        "knock",
        "long",
        "many",
        "much",
        "no",
        "really",
        "so",
        "that",
        "there",
        "very",
        "yeah",
        "yes",
        "ok",
        "okay",
    }
)
"""English words that are said twice on purpose, or rightly."""
_CUT_OFF = re.compile(r"(-|–|—|\.\.\.|…)$")
_MARKS = re.compile(r"[^\w'’]+")


class SpokenWord(Protocol):
    """A word with its time in seconds."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...


class Kind(StrEnum):
    REPETITION = "repetition"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Disfluency:
    """`start` of what was broken off to `end` of what took its place, seconds. `words` is what was said again."""

    kind: Kind
    start: float
    end: float
    words: str


@dataclass(frozen=True, slots=True)
class DisfluencySummary:
    words: int
    repetitions: int
    restarts: int


@dataclass(frozen=True, slots=True)
class Disfluencies:
    """In order of start."""

    disfluencies: tuple[Disfluency, ...]
    summary: DisfluencySummary
    model: ModelIdentity


class DisfluencyReader:
    """The engine. It hears nothing: it reads words that were permitted for somebody, and so rests on that permission too."""

    def __init__(self) -> None:
        self._identity = own_code.identity("disfluency", "1", MODULES)

    def run(self, words: Sequence[SpokenWord]) -> Disfluencies:
        """`words` of one speaker in order of time."""
        found: list[Disfluency] = []
        plain = [_MARKS.sub("", word.text.lower()) for word in words]
        index = 0
        while index < len(words):
            here = _at(words, plain, index)
            if here is None:
                index += 1
                continue
            disfluency, length = here
            found.append(disfluency)
            index += length
        counts = [each.kind for each in found]
        summary = DisfluencySummary(len(words), counts.count(Kind.REPETITION), counts.count(Kind.RESTART))
        return Disfluencies(tuple(found), summary, self._identity)


def _at(words: Sequence[SpokenWord], plain: Sequence[str], index: int) -> tuple[Disfluency, int] | None:
    """What is broken off at `index`, and how many words of it to skip; the longest repetition first."""
    for length in range(LONGEST, 0, -1):
        again = index + length
        said = plain[index:again]
        if not all(said) or plain[again : again + length] != said:
            continue
        if length == 1 and said[0] in _MEANT_TWICE:
            continue
        if words[again].start - words[again - 1].end <= _APART:
            return _made(Kind.REPETITION, words, index, again + length - 1, said), length
    # Begun alike, gone on otherwise: "I was - I went", one or two words after the same beginning.
    for length in (1, 2):
        again = index + 1 + length
        if again >= len(words) or not plain[index] or plain[again] != plain[index]:
            continue
        if _broken(words[again - 1], words[again]) and words[again].start - words[again - 1].end <= _APART:
            return _made(Kind.RESTART, words, index, again, plain[index : index + 1]), 1 + length
    return None


def _broken(before: SpokenWord, after: SpokenWord) -> bool:
    return bool(_CUT_OFF.search(before.text.strip())) or after.start - before.end >= _BREAK


def _made(kind: Kind, words: Sequence[SpokenWord], first: int, last: int, said: Sequence[str]) -> Disfluency:
    return Disfluency(kind, round(words[first].start, 3), round(words[last].end, 3), " ".join(said))
