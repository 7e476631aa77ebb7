"""Turns of speech: what is answered to "who spoke when", and the answer where it is declared and need not be heard.

Telling voices apart is `diarization`'s. Labels count voices in order of appearance and mean nothing outside of their clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from analysis.engines.clip import Clip, ModelIdentity, Stretch
from analysis.engines.levels import within

UNKNOWN: Final = "unknown"


class Basis(StrEnum):
    """What tells the speakers apart."""

    VOICE = "voice"
    DECLARATION = "declaration"
    """Only one person may be heard on the channel: all speech on it is theirs, and no embedding is made."""


@dataclass(frozen=True, slots=True)
class Turn:
    """`speaker` ("speaker 1" and up, or "unknown") speaks from `start` to `end`, seconds.

    `confidence`, 0.0 to 1.0, is how clearly it sounds like this voice rather than another: not calibrated, 0.0 for unknown, None
    where the speaker is declared.
    """

    start: float
    end: float
    speaker: str
    confidence: float | None


@dataclass(frozen=True, slots=True)
class SpeakerTotal:
    """How long one voice speaks in all, seconds, and in how many turns."""

    speaker: str
    speech: float
    turns: int


@dataclass(frozen=True, slots=True)
class SpeakerSummary:
    """`speakers` is how many voices were told apart; `unassigned` is the seconds of speech that are nobody's for sure."""

    speakers: int
    totals: tuple[SpeakerTotal, ...]
    unassigned: float
    basis: Basis


@dataclass(frozen=True, slots=True)
class Diarization:
    """Turns in order, none over another."""

    turns: tuple[Turn, ...]
    summary: SpeakerSummary
    model: ModelIdentity


def by_declaration(clip: Clip, speech: Sequence[Stretch], model: ModelIdentity) -> Diarization:
    """Of a channel on which one person may be heard: every stretch of speech is a turn. `model` is what found the speech."""
    turns = tuple(Turn(round(each.start, 3), round(each.end, 3), label(0), None) for each in within(clip, speech))
    return Diarization(turns, summary(turns, Basis.DECLARATION), model)


def summary(turns: Sequence[Turn], basis: Basis) -> SpeakerSummary:
    names = dict.fromkeys(turn.speaker for turn in turns if turn.speaker != UNKNOWN)
    totals = tuple(
        SpeakerTotal(name, _seconds(turns, name), sum(turn.speaker == name for turn in turns)) for name in names
    )
    return SpeakerSummary(len(totals), totals, _seconds(turns, UNKNOWN), basis)


def _seconds(turns: Sequence[Turn], speaker: str) -> float:
    return round(sum(turn.end - turn.start for turn in turns if turn.speaker == speaker), 3)


def label(number: int) -> str:
    return f"speaker {number + 1}"
