"""Which diarized speaker a person is whose voice was told from the others' on the same channel.

It compares times and nothing else: in whose turns (`turns`) the stretches lie that `isolation` kept as this person's. No embedding
is made here, and nobody's voice is compared. A link names a label and no turn: where `diarization` took two voices for one, the
label stands for both, and so nobody is linked where the turns have fewer speakers than people may be heard. Whose stretches they
are, and whether it may be said, others know.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from analysis.engines import own_code
from analysis.engines.clip import ModelIdentity, Stretch
from analysis.engines.turns import UNKNOWN, Turn

MODULES: Final = ("linking.py",)

LEAST_COMPARED: Final = 3.0
"""Seconds of voice below which nothing is said about whose it is."""
LEAST_SHARE: Final = 0.8
"""Of the seconds that lie in turns of any speaker, how much must lie in those of one."""
LEAST_ASSIGNED: Final = 0.5
"""Of all seconds of the person's voice, how much must lie in turns of any speaker."""


class Unlinked(StrEnum):
    """Why a person is no speaker."""

    TOO_LITTLE_VOICE = "too_little_voice"
    VOICES_NOT_TOLD_APART = "voices_not_told_apart"
    """The turns have fewer speakers than people may be heard: one label may stand for two of them."""
    NOBODY = "nobody"
    """Most of the person's voice lies in turns that are nobody's for sure, or in none."""
    SEVERAL_SPEAKERS = "several_speakers"
    SAME_SPEAKER_AS_ANOTHER = "same_speaker_as_another"
    """Somebody else on the channel would be this speaker too. It is said of them together."""


@dataclass(frozen=True, slots=True)
class Link:
    """`speaker` is a label of the turns, or "unknown" with the `reason`.

    `voices` are the positions (from 0) of those that it is about: one, or all that would be the same speaker. `share` (0.0 to 1.0)
    is how much of the voice lies in that speaker's turns, None where there is none; `seconds` how much of the voice was compared,
    and `assigned` how much of it lies in turns of any speaker.
    """

    voices: tuple[int, ...]
    speaker: str
    share: float | None
    seconds: float
    assigned: float
    reason: Unlinked | None
    least_seconds: float = LEAST_COMPARED
    least_share: float = LEAST_SHARE
    least_assigned: float = LEAST_ASSIGNED


@dataclass(frozen=True, slots=True)
class Links:
    """Every voice is in exactly one of the links, and no two links name the same speaker."""

    links: tuple[Link, ...]
    model: ModelIdentity


class SpeakerLinker:
    """The engine. It holds no weights and no state."""

    def __init__(self) -> None:
        self._identity = own_code.identity("linking", "1", MODULES)

    def run(self, turns: Sequence[Turn], voices: Sequence[Sequence[Stretch]], people: int) -> Links:
        """As `link`."""
        return Links(link(turns, voices, people), self._identity)


def link(turns: Sequence[Turn], voices: Sequence[Sequence[Stretch]], people: int) -> tuple[Link, ...]:
    """Which speaker each of the voices on one channel is, on which `people` may be heard. `turns` and each voice's stretches
    are in order, none over another; all voices that were told apart there are to be given at once, so that no two can be the same
    speaker."""
    links = [_of_one(turns, position, stretches, people) for position, stretches in enumerate(voices)]
    claimed = Counter(one.speaker for one in links if one.speaker != UNKNOWN)
    alone = [one for one in links if claimed[one.speaker] < 2]
    together = [
        _of_several([one for one in links if one.speaker == speaker]) for speaker, times in claimed.items() if times > 1
    ]
    return (*alone, *together)


def _of_one(turns: Sequence[Turn], position: int, stretches: Sequence[Stretch], people: int) -> Link:
    seconds = sum(stretch.duration for stretch in stretches)
    within = _within(turns, stretches)
    assigned = sum(within.values())
    found = Link((position,), UNKNOWN, None, round(seconds, 3), round(assigned, 3), None)
    if seconds < LEAST_COMPARED:
        return replace(found, reason=Unlinked.TOO_LITTLE_VOICE)
    if assigned < max(LEAST_COMPARED, LEAST_ASSIGNED * seconds):
        return replace(found, reason=Unlinked.NOBODY)
    if len({turn.speaker for turn in turns} - {UNKNOWN}) < people:
        return replace(found, reason=Unlinked.VOICES_NOT_TOLD_APART)
    speaker, most = max(within.items(), key=lambda of: of[1])
    if most < LEAST_SHARE * assigned:
        return replace(found, reason=Unlinked.SEVERAL_SPEAKERS)
    return replace(found, speaker=speaker, share=round(min(1.0, most / seconds), 3))


def _of_several(links: Sequence[Link]) -> Link:
    """Of voices that would all be one speaker: nothing is said of any of them alone."""
    return Link(
        voices=tuple(position for one in links for position in one.voices),
        speaker=UNKNOWN,
        share=None,
        seconds=round(sum(one.seconds for one in links), 3),
        assigned=round(sum(one.assigned for one in links), 3),
        reason=Unlinked.SAME_SPEAKER_AS_ANOTHER,
    )


def _within(turns: Sequence[Turn], stretches: Sequence[Stretch]) -> dict[str, float]:
    """Seconds of the stretches in each speaker's turns; those in nobody's for sure are left out."""
    found: dict[str, float] = {}
    first = 0
    for stretch in stretches:
        while first < len(turns) and turns[first].end <= stretch.start:
            first += 1
        at = first
        while at < len(turns) and turns[at].start < stretch.end:
            if turns[at].speaker != UNKNOWN:
                found[turns[at].speaker] = found.get(turns[at].speaker, 0.0) + _common(turns[at], stretch)
            at += 1
    return found


def _common(turn: Turn, stretch: Stretch) -> float:
    return max(0.0, min(turn.end, stretch.end) - max(turn.start, stretch.start))
