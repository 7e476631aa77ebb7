"""Which channels are heard for whom, and for which scopes. Pure: from the Permit and the declared participants.

Channels on which the same people may be heard are mixed into one clip and heard once. A channel that belongs to nobody declared
is never heard.
"""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consent.binding import heard_on
from consent.gate import Participant, Permit
from consent.vocabulary import Scope

if TYPE_CHECKING:
    from analysis.engines.isolation import Isolation


@dataclass(frozen=True, slots=True)
class Hearing:
    """One clip to be made: these channels mixed, these people on it, these scopes permitted for all of them. `only` says what of
    the mix is theirs, where others may be heard on these channels too: engines hear that and silence. None: all of it is theirs.
    `besides`: scopes that everything found on it rests on, since the audio was made under them."""

    channels: tuple[int, ...]
    people: tuple[Participant, ...]
    scopes: frozenset[Scope]
    only: "Isolation | None" = None
    besides: frozenset[Scope] = frozenset()


@dataclass(frozen=True, slots=True)
class Shared:
    """Channels on which one person is to be told from the others. Nothing may be heard there for these scopes before that is done;
    `analysis.identifying` makes a `Hearing` of it. `obliged`: the Permit rests on it, because somebody there does not consent; else
    everybody there lets their voice be recognized, and it is done for whoever has a voiceprint."""

    channels: tuple[int, ...]
    person: Participant
    scopes: frozenset[Scope]
    obliged: bool = True


def plan(
    participants: Sequence[Participant],
    channels: int,
    permit: Permit,
    *,
    left_out: Collection[str] = (),
    besides: frozenset[Scope] = frozenset(),
) -> list[Hearing]:
    """What may be heard as it is in a recording of that many channels. Channels with nothing permitted are left out.

    `left_out` are the subjects whose voice was taken out of the audio when it was kept, `besides` what it was made under then.
    """
    hearings = []
    for shared, heard in _by_people(participants, channels):
        people = tuple(person for person in shared if person.subject not in left_out)
        scopes = frozenset(
            pair.scope
            for pair in permit.granted
            if all(permit.allows(person.subject, pair.scope) for person in people)
            and not any(
                person in people and permit.must_isolate(position, pair.scope)
                for position, person in enumerate(participants)
            )
        )
        if people and scopes:
            hearings.append(Hearing(heard, people, scopes, besides=besides))
    return hearings


def plan_apart(
    participants: Sequence[Participant], channels: int, permit: Permit, *, left_out: Collection[str] = ()
) -> list[Shared]:
    """What may be heard of one person alone, once their voice is told from the others' on the same channels: what the Permit allows
    on that condition, and, where everybody there lets their voice be recognized, whose it is. Nobody is looked for who was
    `left_out` of the audio when it was kept."""
    found = []
    for people, heard in _by_people(participants, channels):
        if len(people) == 1:
            continue
        here = [person for person in people if person.subject not in left_out]
        recognized = len(here) > 1 and all(permit.allows(person.subject, Scope.IDENTIFY) for person in here)
        for position, person in enumerate(participants):
            if person not in here:
                continue
            scopes = frozenset(
                pair.scope
                for pair in permit.granted
                if pair.subject == person.subject and permit.must_isolate(position, pair.scope)
            )
            if scopes or recognized:
                also = {Scope.IDENTIFY} if recognized else set()
                found.append(Shared(heard, person, scopes | also, obliged=bool(scopes)))
    return found


def _by_people(
    participants: Sequence[Participant], channels: int
) -> Iterator[tuple[tuple[Participant, ...], tuple[int, ...]]]:
    """Who may be heard together, and on which channels."""
    found: dict[tuple[Participant, ...], list[int]] = {}
    for channel in range(channels):
        people = heard_on(participants, channel)
        if people:
            found.setdefault(people, []).append(channel)
    return ((people, tuple(heard)) for people, heard in found.items())


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
    """How the audio may be kept: under whose keys, with which channels silent, and on which channels (`apart`) only the stretches
    of those for whom it is kept."""

    people: tuple[Participant, ...]
    silent: frozenset[int]
    apart: frozenset[int] = frozenset()

    @property
    def as_uploaded(self) -> bool:
        return not self.silent and not self.apart


def keeping(participants: Sequence[Participant], channels: int, permit: Permit) -> Keeping | None:
    """None where the audio may not be kept. As uploaded where everyone declared granted it and no channel belongs to anyone else;
    without the voices of those whom the Permit obliges to leave out."""
    left_out = {person for position, person in enumerate(participants) if permit.must_mask(position, Scope.AUDIO_STORE)}
    isolated = {
        person for position, person in enumerate(participants) if permit.must_isolate(position, Scope.AUDIO_STORE)
    }
    kept = tuple(person for person in participants if person not in left_out)
    if not kept or not all(permit.allows(person.subject, Scope.AUDIO_STORE) for person in kept):
        return None
    silent, apart = set(), set()
    for channel in range(channels):
        here = set(heard_on(participants, channel))
        if not here:
            return None
        if here <= left_out:
            silent.add(channel)
        elif here & left_out:
            # Whoever shares a channel with somebody left out is kept by what was told apart as theirs, or nothing is.
            if not here - left_out <= isolated:
                return None
            apart.add(channel)
    if len(silent) == channels:
        return None
    # One file has one lineage: what was told apart by voiceprint in it goes with anybody's consent to that.
    if apart and not all(permit.allows(person.subject, Scope.IDENTIFY) for person in kept):
        return None
    return Keeping(kept, frozenset(silent), frozenset(apart))
