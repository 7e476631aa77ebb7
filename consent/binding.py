"""Who may be heard on which channel of a recording. Pure; the gate and the pipeline share it.

A participant is bound by a channel of their own. Without one they may be heard on any channel, so a channel belongs to everyone
who was bound to it and everyone who was bound to none. The only participant of a recording is thereby bound to all of it.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

REST = -1
"""Stands for the channels that nobody was bound to."""


class Placed(Protocol):
    @property
    def channel(self) -> int | None: ...


Person = TypeVar("Person", bound=Placed)


def heard_on(participants: Sequence[Person], channel: int) -> tuple[Person, ...]:
    """Everyone who may be heard on `channel`; nobody when all participants are bound elsewhere."""
    return tuple(person for person in participants if person.channel in (None, channel))


def groups(participants: Sequence[Person]) -> list[tuple[Person, ...]]:
    """The sets of people who share a channel, as far as the declaration tells."""
    channels = sorted({person.channel for person in participants if person.channel is not None})
    found = [heard_on(participants, channel) for channel in [*channels, REST]]
    return [group for group in found if group]


def is_alone(participants: Sequence[Person], person: Person) -> bool:
    """Whether the person is bound to a channel on which nobody else may be heard."""
    return person.channel is not None and len(heard_on(participants, person.channel)) == 1


def neighbours(participants: Sequence[Person]) -> list[frozenset[int]]:
    """For each participant, the positions of everyone who may be heard on a channel with them, themself included."""
    shared = groups(participants)
    return [
        frozenset(
            other
            for other, companion in enumerate(participants)
            if any(person in group and companion in group for group in shared)
        )
        for person in participants
    ]
