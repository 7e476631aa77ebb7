"""A transcript as subtitles: WebVTT (W3C, *WebVTT: The Web Video Text Tracks Format*) and SubRip as players read it.

Pure. What somebody said is cut into cues that can be read: at most two lines of 42 columns and seven seconds (BBC Subtitle
Guidelines; Netflix Timed Text Style Guide), broken where a sentence, a clause or a pause ends. Where words have no times of
their own, a cue's times are the segment's, shared out by the length of its text.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

from analysis.transcripts import Segment, Transcript

COLUMNS: Final = 42
LINES: Final = 2
LONGEST: Final = 7.0
"""Seconds that one cue stays at most."""
SHORTEST: Final = 1.0
"""Seconds that a cue stays at least, unless another begins."""

_PAUSE: Final = 0.3
"""Seconds of silence after a word that make it a good place to break."""
_AT_CLAUSE, _AT_PAUSE, _ANYWHERE, _BRIEF = 0.25, 0.5, 2.0, 0.5
"""What breaking after a clause, after a pause or anywhere else, and a cue under a second, cost beside one cue more."""
_SENTENCE_ENDS: Final = frozenset(".?!。？！؟।…")
_CLAUSE_ENDS: Final = frozenset(",;:、，；：،")
_JOINER: Final = "\u2060"
"""WORD JOINER: no width and no meaning, but what it parts is no markup to a player."""
_WIDE_BRACES: Final = str.maketrans("{}", "\uff5b\uff5d")
"""Players hide whatever stands between braces, so that these are shown as fullwidth ones."""


@dataclass(frozen=True, slots=True)
class Cue:
    """`lines` stand on the screen from `start` to `end` (seconds); plain text, not escaped."""

    start: float
    end: float
    speaker: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word and the white space before it."""

    gap: str
    text: str
    start: float
    end: float


def webvtt(transcript: Transcript) -> str:
    """A WebVTT file; speakers are voice spans."""
    blocks = ["WEBVTT"]
    for cue in cues(transcript, names_in_text=False):
        voice = f"<v {_escaped(cue.speaker)}>" if cue.speaker else ""
        text = "\n".join(_escaped(line) for line in cue.lines)
        blocks.append(f"{_stamp(cue.start, '.')} --> {_stamp(cue.end, '.')}\n{voice}{text}")
    return "\n\n".join(blocks) + "\n"


def subrip(transcript: Transcript) -> str:
    """A SubRip file. It has no markup for speakers and no escapes: names lead the text, and what a player might take for markup
    (`<i>`, an arrow) is parted by a joiner that nobody sees; braces become wide ones."""
    blocks = []
    for number, cue in enumerate(cues(transcript, names_in_text=True), start=1):
        text = "\n".join(_parted(line) for line in cue.lines)
        blocks.append(f"{number}\n{_stamp(cue.start, ',')} --> {_stamp(cue.end, ',')}\n{text}\n")
    return "\n".join(blocks)


def cues(transcript: Transcript, *, names_in_text: bool) -> tuple[Cue, ...]:
    """Cues in order of their start, each at least a millisecond long; of several voices at once some overlap."""
    found = [cue for segment in transcript.segments for cue in _cues(segment, names_in_text=names_in_text)]
    found = [replace(cue, start=round(cue.start, 3), end=round(cue.end, 3)) for cue in found]
    found.sort(key=lambda cue: (cue.start, cue.end))
    return tuple(_readable(cue, after) for cue, after in zip_longest(found, found[1:]))


def _readable(cue: Cue, after: Cue | None) -> Cue:
    """The cue for `SHORTEST` seconds at least, but not into the one after it."""
    latest = cue.start + SHORTEST if after is None else min(cue.start + SHORTEST, after.start)
    return replace(cue, end=max(cue.end, latest, cue.start + 0.001))


def _cues(segment: Segment, *, names_in_text: bool) -> Iterator[Cue]:
    lead = f"{segment.speaker}: " if names_in_text and segment.speaker else ""
    pieces = _pieces(segment)
    first = 0
    for until in _ends(lead, pieces):
        yield Cue(pieces[first].start, pieces[until - 1].end, segment.speaker, _lines(lead, pieces[first:until]))
        first = until


def _ends(lead: str, pieces: Sequence[_Piece]) -> list[int]:
    """Where each cue ends, so that few are needed, none is brief, and the breaks between them are good ones."""
    cheapest = [0.0]
    begins = [0]
    for until in range(1, len(pieces) + 1):
        options = []
        for first in reversed(range(until)):
            if first < until - 1 and not _fits(lead, pieces[first:until]):
                break
            options.append((cheapest[first] + _cost(pieces, first, until), first))
        least, first = min(options)
        cheapest.append(least)
        begins.append(first)
    ends = []
    until = len(pieces)
    while until:
        ends.append(until)
        until = begins[until]
    return ends[::-1]


def _fits(lead: str, pieces: Sequence[_Piece]) -> bool:
    return pieces[-1].end - pieces[0].start <= LONGEST and len(_filled(lead, pieces, COLUMNS)) <= LINES


def _cost(pieces: Sequence[_Piece], first: int, until: int) -> float:
    """Of one cue: what it adds to their number, its briefness, and where it breaks what was said."""
    last = pieces[until - 1]
    brief = _BRIEF if last.end - pieces[first].start < SHORTEST else 0.0
    if until == len(pieces) or last.text[-1] in _SENTENCE_ENDS:
        return 1.0 + brief
    if last.text[-1] in _CLAUSE_ENDS:
        return 1.0 + brief + _AT_CLAUSE
    return 1.0 + brief + (_AT_PAUSE if pieces[until].start - last.end >= _PAUSE else _ANYWHERE)


def _lines(lead: str, pieces: Sequence[_Piece]) -> tuple[str, ...]:
    """The lines of one cue, as few as there can be and then as even as they can be."""
    filled = _filled(lead, pieces, COLUMNS)
    for columns in range(COLUMNS // LINES, COLUMNS):
        even = _filled(lead, pieces, columns)
        if len(even) <= len(filled) and max(map(_columns, even)) <= columns:
            return tuple(even)
    return tuple(filled)


def _filled(lead: str, pieces: Sequence[_Piece], columns: int) -> list[str]:
    """Lines filled to at most `columns`, the first led by `lead`; a word that is wider has a line of its own."""
    lines = [lead + pieces[0].text]
    for piece in pieces[1:]:
        longer = lines[-1] + piece.gap + piece.text
        if _columns(longer) <= columns:
            lines[-1] = longer
        else:
            lines.append(piece.text)
    return lines


def _pieces(segment: Segment) -> list[_Piece]:
    """The words at their places in the text and with their times. Words that the text does not hold in this order, or none at all:
    the text, cut at white space, with times by its length."""
    pieces = []
    at = 0
    for word in segment.words:
        place = segment.text.find(word.text, at) if word.text else -1
        if place < 0 or segment.text[at:place].strip():
            return _by_length(segment)
        pieces.append(_Piece(segment.text[at:place], word.text, word.start, word.end))
        at = place + len(word.text)
    return pieces if pieces and not segment.text[at:].strip() else _by_length(segment)


def _by_length(segment: Segment) -> list[_Piece]:
    per_character = (segment.end - segment.start) / len(segment.text)
    pieces = []
    at = 0
    for word in segment.text.split(" "):
        # A script without spaces is cut wherever a line is full.
        for number, text in enumerate(_slices(word)):
            start = segment.start + at * per_character
            pieces.append(_Piece("" if number else " ", text, start, start + len(text) * per_character))
            at += len(text)
        at += 1
    return pieces


def _slices(word: str) -> Iterator[str]:
    """`word` in parts that fit in half a line where it does not fit in one."""
    if _columns(word) <= COLUMNS:
        yield word
        return
    part = ""
    for character in word:
        if part and _columns(part + character) > COLUMNS // 2:
            yield part
            part = ""
        part += character
    yield part


def _columns(text: str) -> int:
    """Width on the screen: a wide character takes two columns, a mark that is set on another none (Unicode, UAX 11)."""
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def _stamp(seconds: float, mark: str) -> str:
    """hh:mm:ss and milliseconds; hours have more digits where they need them."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{mark}{rest % 1000:03}"


def _escaped(text: str) -> str:
    """Cue text of WebVTT (section 4.2.2, cue text span): `&`, `<` and, for the arrow's sake, `>`."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _parted(text: str) -> str:
    text = text.replace("-->", f"--{_JOINER}>").replace("<", f"<{_JOINER}")
    return text.translate(_WIDE_BRACES)
