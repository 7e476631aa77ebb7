"""Reading the trail in the order of its log, from any place on: what webhooks and streams stand on. Reads only.

The trail is the outbox: whoever reads it keeps nothing but a place, and can lose nothing. An entry is handed out once a checkpoint
covers it, so that nobody is told what could be taken back unnoticed. How a log is signed is `signing`.
"""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import rfc8785

from audit import stored_tree
from audit.errors import PlaceUnknown
from audit.models import Leaf, Log, SignedCheckpoint

_WINDOW: Final = 1000
"""How many entries one look passes at most: a filter that matches nothing must not read a million of them at once."""
_PLACE: Final = re.compile(r"([1-9][0-9]{0,8}):(-1|0|[1-9][0-9]{0,17})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a reader of a log stands: right behind the entry with this index; -1 is before the first of the generation."""

    generation: int
    index: int

    def __str__(self) -> str:
        return f"{self.generation}:{self.index}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `generation:index`. Raises `PlaceUnknown`."""
        found = _PLACE.fullmatch(text)
        if found is None:
            raise PlaceUnknown("a place is written as generation:index")
        return cls(int(found[1]), int(found[2]))


BEGINNING: Final = Place(1, -1)


@dataclass(frozen=True, slots=True)
class Sequenced:
    """An event at its place. `canonical` are the entry's bytes (RFC 8785), `leaf` is their hash (RFC 6962)."""

    place: Place
    code: str
    name: str
    canonical: bytes
    leaf: bytes

    def document(self) -> dict[str, Any]:
        """What leaves: the entry, and where it stands. Nothing of a person that the entry does not say."""
        return {
            "code": self.code,
            "generation": self.place.generation,
            "index": self.place.index,
            "entry": json.loads(self.canonical),
            "canonical": base64.b64encode(self.canonical).decode(),
            "leaf_hash": self.leaf.hex(),
        }


@dataclass(frozen=True, slots=True)
class Batch:
    """What one look found. `place` is where to look on, also past entries that the filter left out; `more`: it is worth it now."""

    events: tuple[Sequenced, ...]
    place: Place
    more: bool


def after(code: str, place: Place, *, names: Sequence[str] = (), limit: int = 50) -> Batch:
    """The next events of the log behind `place`, with one of `names` where there are any, in order and without a gap.

    A generation that a restored backup ended is read to its end, and the next from its beginning. What was pruned is passed.
    """
    # Asked first: once the next generation is there, the one before grows no more.
    follower = Log.objects.filter(code=code, generation__gt=place.generation).order_by("generation").first()
    onwards = place if follower is None else Place(follower.generation, -1)
    log = Log.objects.filter(code=code, generation=place.generation).first()
    if log is None:
        return Batch((), onwards, more=follower is not None)
    end = _end(log, closed=follower is not None)
    start = max(place.index + 1, log.minimum_index)
    stop = min(end, start + _WINDOW)
    leaves = Leaf.objects.filter(log=log, index__gte=start, index__lt=stop)
    if names:
        leaves = leaves.filter(event__name__in=list(names))
    columns = ("index", "hash", "event__code", "event__name", "event__entry")
    events = tuple(
        Sequenced(Place(log.generation, index), str(event), name, bytes(entry), bytes(leaf))
        for index, leaf, event, name, entry in leaves.order_by("index").values_list(*columns)[:limit]
    )
    passed = events[-1].place.index if len(events) == limit else max(place.index, stop - 1)
    if passed + 1 < end:
        return Batch(events, Place(log.generation, passed), more=True)
    reached = Place(log.generation, passed) if follower is None else onwards
    return Batch(events, reached, more=follower is not None)


def newest(code: str) -> Place:
    """Behind the last entry that may be handed out."""
    log = Log.objects.filter(code=code).order_by("-generation").first()
    return BEGINNING if log is None else Place(log.generation, _end(log, closed=False) - 1)


def behind(code: str, place: Place) -> int:
    """How many entries a reader at `place` will find, but for its filter."""
    logs = list(Log.objects.filter(code=code, generation__gte=place.generation).order_by("generation"))
    count = 0
    for log in logs:
        passed = place.index + 1 if log.generation == place.generation else 0
        count += max(0, _end(log, closed=log is not logs[-1]) - max(passed, log.minimum_index))
    return count


def require_known(code: str, place: Place) -> None:
    """Raises `PlaceUnknown` for a place that this log does not have: whoever waited there would miss what comes before it.

    In an older generation any index will do: what a restored backup lost there, the reader has and we have not.
    """
    if place > newest(code):
        raise PlaceUnknown("the log does not reach this place: begin again, or at a place before it")


def text(document: dict[str, Any]) -> str:
    """Canonical JSON (RFC 8785), in one line: what is signed and sent."""
    return rfc8785.dumps(document).decode()


def _end(log: Log, *, closed: bool) -> int:
    """How many entries of the log may be handed out: those that are signed, and, where it was `closed` by a further generation
    and nobody will sign over it again, all that are there."""
    if closed:
        return stored_tree.size_of(log)
    signed = SignedCheckpoint.objects.filter(log=log).order_by("-size").values_list("size", flat=True).first()
    return min(signed or 0, stored_tree.size_of(log))
