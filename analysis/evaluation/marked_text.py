"""Sentences with their truth written into them: `My name is {name|Anna Miller}.` in files that people can read and write.

A line that begins with `#` is a remark; `[form]` begins a group of sentences; every other line is one sentence.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from analysis.redaction.spans import DataType

_MARK = re.compile(r"\{(\w+)\|([^{}|]+)\}")
_GROUP = re.compile(r"\[([^\[\]]+)\]\Z")


class MarkedTextInvalid(ValueError):
    """A line that is no sentence with marks; the message says which."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Personal data that is known to be there: its type and the words it is in."""

    type: DataType
    words: range


@dataclass(frozen=True, slots=True)
class Sentence:
    """`place` is the file's name and line; `group` is what stood in brackets above it, or empty."""

    place: str
    group: str
    words: tuple[str, ...]
    truths: tuple[Truth, ...]


def read(text: str, name: str) -> Iterator[Sentence]:
    """The sentences of one file. Raises `MarkedTextInvalid`."""
    group = ""
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        if not line or line.startswith("#"):
            continue
        if found := _GROUP.fullmatch(line):
            group = found[1]
            continue
        yield _sentence(line, f"{name}:{number}", group)


def _sentence(line: str, place: str, group: str) -> Sentence:
    plain, marks, at = "", [], 0
    for mark in _MARK.finditer(line):
        plain += line[at : mark.start()]
        if mark[1] not in list(DataType):
            raise MarkedTextInvalid(f"{place}: {mark[1]} is no type of personal data")
        marks.append((DataType(mark[1]), len(plain), len(plain) + len(mark[2])))
        plain += mark[2]
        at = mark.end()
    plain += line[at:]
    if set(plain) & set("{}|"):
        raise MarkedTextInvalid(f"{place}: a mark is not closed, or not opened")
    places = [found.span() for found in re.finditer(r"\S+", plain)]
    truths = []
    for kind, start, end in marks:
        within = [index for index, (first, last) in enumerate(places) if first < end and last > start]
        truths.append(Truth(kind, range(within[0], within[-1] + 1)))
    return Sentence(place, group, tuple(plain[first:last] for first, last in places), tuple(truths))
