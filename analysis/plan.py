"""Which channels are heard for whom, and for which scopes. Pure: from the Permit and the declared participants.

Channels on which the same people may be heard are mixed into one clip and heard once. A channel that belongs to nobody declared
is never heard.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from consent.binding import heard_on
from consent.gate import Participant, Permit
from consent.vocabulary import Scope


@dataclass(frozen=True, slots=True)
class Hearing:
    """One clip to be made: these channels mixed, these people on it, these scopes permitted for all of them."""

    channels: tuple[int, ...]
    people: tuple[Participant, ...]
    scopes: frozenset[Scope]


def plan(participants: Sequence[Participant], channels: int, permit: Permit) -> list[Hearing]:
    """What may be heard in a recording of that many channels. Channels with nothing permitted are left out."""
    by_people: dict[tuple[Participant, ...], list[int]] = {}
    for channel in range(channels):
        people = heard_on(participants, channel)
        if people:
            by_people.setdefault(people, []).append(channel)
    hearings = []
    for people, heard in by_people.items():
        scopes = frozenset(
            pair.scope for pair in permit.granted if all(permit.allows(person.subject, pair.scope) for person in people)
        )
        if scopes:
            hearings.append(Hearing(tuple(heard), people, scopes))
    return hearings


def unbind_absent_channels(participants: Sequence[Participant], channels: int) -> tuple[Participant, ...]:
    """Who was bound to a channel that the file does not have may be heard on any: such a declaration binds nobody."""
    return tuple(
        dataclasses.replace(person, channel=None)
        if person.channel is not None and person.channel >= channels
        else person
        for person in participants
    )


def may_keep_audio(participants: Sequence[Participant], channels: int, permit: Permit) -> bool:
    """Whether the audio as uploaded may be kept: everyone declared granted it and no channel belongs to anyone else."""
    return all(permit.allows(person.subject, Scope.AUDIO_STORE) for person in participants) and all(
        heard_on(participants, channel) for channel in range(channels)
    )
