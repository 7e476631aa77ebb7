"""A log as server-sent events: nothing lost and nothing twice wherever it is cut, and nothing held while it waits."""

import gc
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connections

from audit import outside, sequenced
from audit.events import EventName
from audit.sequenced import BEGINNING, Place
from audit.streaming import SAY_SOMETHING_EVERY, Stream
from tests.audit.signed import codes_of, continued, record, sign
from vault.codes import new_code


@dataclass
class Block:
    """As a client reads it: `id` stays where it was when a block has none."""

    id: str
    name: str
    data: dict[str, Any] | None


def read(pieces: Iterator[str] | list[str]) -> list[Block]:
    """By the rules of the specification: fields until an empty line, comments left out."""
    blocks, last = [], ""
    for block in "".join(pieces).split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        last = fields.get("id", last)
        if fields:
            data = json.loads(fields["data"]) if "data" in fields else None
            blocks.append(Block(last, fields.get("event", ""), data))
    return blocks


def events(pieces: Iterator[str] | list[str]) -> list[Block]:
    return [block for block in read(pieces) if block.data is not None]


class Timeline:
    """Time that passes only while somebody waits; `meanwhile` happens at each wait, by its number."""

    def __init__(self, **meanwhile: Callable[[], object]) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self._meanwhile = meanwhile

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        act = self._meanwhile.get(f"at_{len(self.waits)}")
        return bool(act and act())


def stream(
    log: str, place: Place = BEGINNING, *, seconds: float = 0.0, time: Timeline | None = None, **more: Any
) -> Stream:
    time = time or Timeline()
    return Stream(log, place, seconds=seconds, wait=time.wait, clock=time.clock, **more)


@pytest.fixture
def log() -> str:
    return new_code()


def test_every_event_comes_once_with_its_place_as_its_id(log: str) -> None:
    record(log, 120)
    sign(log)
    found = events(stream(log, seconds=1))
    assert [block.data["code"] for block in found if block.data] == codes_of(log)
    assert [block.id for block in found] == [f"1:{index}" for index in range(120)]
    assert {block.name for block in found} == {"consent:subject:registered"}
    assert found[7].data == sequenced.after(log, Place(1, 6), limit=1).events[0].document()


def test_wherever_it_is_cut_the_rest_comes_after_the_last_id_that_was_received(log: str) -> None:
    record(log, 3)
    sign(log)
    continued(log)
    record(log, 3)
    sign(log)
    whole = list(stream(log, seconds=2))
    for cut in range(1, len(whole) + 1):
        received = read(whole[:cut])
        place = Place.parse(received[-1].id)
        rest = events(stream(log, place, seconds=2))
        before = [block for block in received if block.data is not None]
        assert [block.data["code"] for block in before + rest if block.data] == codes_of(log), cut


def test_a_client_that_is_cut_off_before_the_first_event_knows_where_it_stood(log: str) -> None:
    record(log, 2)
    sign(log)
    first = next(iter(stream(log, Place(1, 1), seconds=60)))
    assert first == "retry: 1000\nid: 1:1\n\n"
    record(log, 2)
    sign(log)
    assert [block.id for block in events(stream(log, Place.parse(read([first])[0].id)))] == ["1:2", "1:3"]


def test_what_happens_while_it_waits_comes_at_the_next_look(log: str) -> None:
    def happens() -> bool:
        record(log, 2)
        sign(log)
        return False

    time = Timeline(at_2=happens, at_5=happens)
    found = events(stream(log, seconds=10, time=time))
    assert [block.id for block in found] == ["1:0", "1:1", "1:2", "1:3"]
    assert sum(time.waits) == 10


def test_it_ends_itself_when_its_time_is_over_however_much_there_is(log: str) -> None:
    record(log, 250)
    sign(log)
    pieces = list(stream(log))
    assert len(events(pieces)) == 100, "one look, and the client comes back for the rest"
    assert pieces[-1] == ": come back\n\n"
    again = Place.parse(read(pieces)[-1].id)
    assert len(events(stream(log, again, seconds=5))) == 150


def test_a_silent_stream_says_that_it_lives(log: str) -> None:
    time = Timeline()
    pieces = list(stream(log, seconds=3 * SAY_SOMETHING_EVERY + 1, time=time))
    assert pieces == ["retry: 1000\nid: 1:-1\n\n", *["id: 1:-1\n\n"] * 3, ": come back\n\n"]


def test_a_filter_leaves_out_and_the_id_moves_on_all_the_same(log: str) -> None:
    record(log, 5)
    record(log, name=EventName.GRANT_GIVEN)
    record(log, 5)
    sign(log)
    found = read(stream(log, names=["consent:grant:given"], seconds=SAY_SOMETHING_EVERY + 1))
    assert [(block.id, block.name) for block in found if block.data] == [("1:5", "consent:grant:given")]
    assert found[-1].id == "1:10"
    assert read(stream(log, names=["consent:grant:given"]))[-1].id == "1:10", "also where it ends at once"


def test_while_it_waits_it_holds_no_connection_to_the_database(log: str) -> None:
    record(log)
    sign(log)
    held: list[int] = []

    def look() -> bool:
        held.append(sum(one.connection is not None for one in connections.all(initialized_only=True)))
        return False

    list(stream(log, seconds=3, time=Timeline(at_1=look, at_2=look, at_3=look)))
    assert held == [0, 0, 0]


def test_it_ends_when_whoever_reads_may_no_longer(log: str) -> None:
    record(log, 3)
    sign(log)
    answers = [True, True, False]

    def happens() -> bool:
        record(log, 3)
        sign(log)
        return False

    time = Timeline(at_2=happens)
    found = events(stream(log, seconds=60, time=time, may_go_on=lambda: answers.pop(0)))
    assert len(found) == 3, "asked before it looks"
    assert len(time.waits) == 2


def test_it_ends_when_the_client_is_gone(log: str) -> None:
    time = Timeline(at_3=lambda: True)
    list(stream(log, seconds=60, time=time))
    assert len(time.waits) == 3


def test_it_ends_when_the_service_closes(log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "VOXGOV_CHECKPOINT_DIR", tmp_path)
    time = Timeline(at_2=lambda: outside.close(["for the test"]))
    list(stream(log, seconds=60, time=time))
    assert len(time.waits) == 2


def test_a_database_that_went_away_ends_it_and_the_client_comes_back(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object, **options: object) -> None:
        raise OperationalError

    monkeypatch.setattr(sequenced, "after", away)
    assert list(stream(log, Place(1, -1), seconds=60)) == ["retry: 1000\nid: 1:-1\n\n", ": come back\n\n"]


@pytest.mark.parametrize("read_pieces", [0, 1, 3, 1000])
def test_closing_it_gives_its_seat_back_once_begun_or_not(log: str, read_pieces: int) -> None:
    record(log, 5)
    sign(log)
    given_back: list[bool] = []
    one = stream(log, done=lambda: given_back.append(True))
    for _, _ in zip(range(read_pieces), one, strict=False):
        pass
    assert given_back == []
    for _ in range(2):
        one.close()
    assert given_back == [True]
    assert list(one) == []


def test_a_stream_that_is_dropped_without_being_closed_gives_its_seat_back_too(log: str) -> None:
    given_back: list[bool] = []
    stream(log, done=lambda: given_back.append(True))
    gc.collect()
    assert given_back == [True]
