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


@dataclass(frozen=True, slots=True)
class Keeping:
    """How the audio may be kept: under whose keys, and with which channels silent."""

    people: tuple[Participant, ...]
    silent: frozenset[int]


def keeping(participants: Sequence[Participant], channels: int, permit: Permit) -> Keeping | None:
    """None where the audio may not be kept. As uploaded where everyone declared granted it and no channel belongs to anyone else;
    without the channels of those whom the Permit obliges to leave out."""
    left_out = [person for position, person in enumerate(participants) if permit.must_mask(position)]
    kept = tuple(person for person in participants if person not in left_out)
    if not kept or not all(permit.allows(person.subject, Scope.AUDIO_STORE) for person in kept):
        return None
    if not all(heard_on(participants, channel) for channel in range(channels)):
        return None
    silent = frozenset(person.channel for person in left_out if person.channel is not None)
    # Nobody is left out who may be heard on a channel that stays: the gate obliges only where that is so, and here it is required.
    audible = [channel for channel in range(channels) if channel not in silent]
    if any(person in left_out for channel in audible for person in heard_on(participants, channel)) or not audible:
        return None
    return Keeping(kept, silent)
