"""The one way in which a second person approves: another role, an editorial publication, an import of consents.

A program may ask; only a person approves, and never the one who asked, which the database checks too. Whoever asked may take it
back. The caller holds the row's lock, and records the event.
"""

from django.utils import timezone

from audit.entry import Actor, ActorKind
from consent.errors import AlreadyDecided, SecondPersonNeeded
from consent.models import SecondPerson


def require_open(row: SecondPerson) -> None:
    """Raises `AlreadyDecided` unless nobody has approved it or turned it down."""
    if row.approved_at is not None:
        raise AlreadyDecided("this was approved before")
    if row.turned_down_at is not None:
        raise AlreadyDecided("this was turned down before")


def approve(row: SecondPerson, *, actor: Actor) -> None:
    """Raises `SecondPersonNeeded`, `AlreadyDecided`."""
    if actor.kind is not ActorKind.USER or actor.code == row.asked_by_code:
        raise SecondPersonNeeded("a person other than who asked must approve this")
    require_open(row)
    row.approved_by_code = actor.code
    row.approved_at = timezone.now()
    row.save(update_fields=["approved_by_code", "approved_at"])


def turn_down(row: SecondPerson, *, actor: Actor) -> None:
    """Ends it without an approval: by somebody who says no, or by whoever asked. Raises `AlreadyDecided`."""
    require_open(row)
    row.turned_down_by_code = actor.code
    row.turned_down_at = timezone.now()
    row.save(update_fields=["turned_down_by_code", "turned_down_at"])
