"""Reading the log from a place on: every signed entry, once and in order, across filters and generations."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from audit import pruning, sequenced, sequencing
from audit.errors import PlaceUnknown
from audit.events import EventName
from audit.models import Log
from audit.sequenced import BEGINNING, Place, Sequenced
from audit.tlog.merkle import leaf_hash
from tests.audit.signed import codes_of, continued, record, sequence, sign
from tests.audit.test_pruning import age
from vault.codes import new_code


@pytest.fixture
def log() -> str:
    return new_code()


def read(log: str, place: Place = BEGINNING, *, names: tuple[str, ...] = (), limit: int = 50) -> list[Sequenced]:
    """To the end, as a reader does."""
    found: list[Sequenced] = []
    while True:
        batch = sequenced.after(log, place, names=names, limit=limit)
        assert batch.place >= place
        assert len(batch.events) <= limit
        found += batch.events
        place = batch.place
        if not batch.more:
            return found


def test_every_entry_comes_once_and_in_the_logs_order(log: str) -> None:
    record(log, 5)
    record(log, 130)
    sign(log)
    for limit in (1, 7, 50, 1000):
        events = read(log, limit=limit)
        assert [event.code for event in events] == codes_of(log)
        assert [event.place for event in events] == [Place(1, index) for index in range(135)]


def test_reading_goes_on_behind_any_place(log: str) -> None:
    record(log, 20)
    sign(log)
    events = read(log)
    for event in events:
        assert read(log, event.place) == events[event.place.index + 1 :]


def test_an_event_comes_with_its_entry_its_place_and_its_leaf_hash(log: str) -> None:
    (code,) = record(log, name=EventName.GRANT_GIVEN, subject="somebody")
    sign(log)
    (event,) = read(log)
    document = event.document()
    canonical = base64.b64decode(document["canonical"])
    assert document["entry"] == json.loads(canonical)
    assert document["leaf_hash"] == leaf_hash(canonical).hex() == event.leaf.hex()
    assert (document["code"], document["entry"]["event"]) == (code, code)
    assert (document["generation"], document["index"], event.name) == (1, 0, "consent:grant:given")
    assert set(document) == {"code", "generation", "index", "entry", "canonical", "leaf_hash"}
    assert "somebody" not in sequenced.text(document)
    assert json.loads(sequenced.text(document)) == document


def test_what_no_checkpoint_covers_is_not_handed_out(log: str) -> None:
    assert read(log) == []
    record(log, 3)
    sequence(log)
    assert read(log) == []
    sign(log)
    record(log, 2)
    sequence(log)
    assert len(read(log)) == 3
    assert sequenced.newest(log) == Place(1, 2)
    sign(log)
    assert len(read(log)) == 5


def test_a_filter_leaves_out_and_the_place_moves_on_all_the_same(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequenced, "_WINDOW", 10)
    for _ in range(3):
        record(log, 12)
        record(log, name=EventName.GRANT_GIVEN)
    record(log, 25)
    sign(log)
    assert [event.place.index for event in read(log, names=("consent:grant:given",), limit=2)] == [12, 25, 38]
    batch = sequenced.after(log, Place(1, 38), names=("consent:grant:given",))
    assert (batch.events, batch.place, batch.more) == ((), Place(1, 48), True)
    batch = sequenced.after(log, Place(1, 58), names=("consent:grant:given",))
    assert (batch.events, batch.place, batch.more) == ((), Place(1, 63), False)


def test_a_generation_that_was_continued_is_read_to_its_end_and_then_the_next(log: str) -> None:
    record(log, 3)
    sign(log)
    record(log, 2)
    sequence(log)  # nobody signs over these any more
    continued(log)
    assert sequenced.after(log, Place(1, 4)).place == Place(2, -1)
    record(log, 4)
    sign(log)
    events = read(log)
    assert [event.code for event in events] == codes_of(log)
    assert [str(event.place) for event in events] == [f"1:{n}" for n in range(5)] + [f"2:{n}" for n in range(4)]
    assert read(log, Place(1, 2), limit=1) == events[3:]
    # A reader that was told more than a restored backup still has goes on in the next generation.
    assert read(log, Place(1, 99)) == events[5:]


def test_a_log_whose_first_generation_the_database_lost_is_read_from_what_there_is(log: str) -> None:
    with transaction.atomic():
        sequencing.hold(log, wait=True)
        sequencing.begin(log, 2)
    record(log, 2)
    sign(log)
    assert [str(event.place) for event in read(log)] == ["2:0", "2:1"]


def test_what_was_pruned_is_passed(log: str, superuser: Callable[[str], list[tuple[object, ...]]]) -> None:
    record(log, 520)
    age(superuser, sign(log), 520)
    assert pruning.prune(Log.objects.get(code=log), timezone.now() - timedelta(days=400)) == 512
    sign(log)
    assert [event.place.index for event in read(log)] == list(range(512, 521))
    assert read(log, Place(1, 100), limit=3) == read(log)
    assert [sequenced.behind(log, place) for place in (BEGINNING, Place(1, 100), Place(1, 511), Place(1, 519))] == [
        9,
        9,
        9,
        1,
    ]


def test_how_far_a_reader_is_behind(log: str) -> None:
    assert sequenced.behind(log, BEGINNING) == 0
    record(log, 6)
    sign(log)
    assert [sequenced.behind(log, Place(1, index)) for index in (-1, 0, 5)] == [6, 5, 0]
    continued(log)
    record(log, 4)
    sign(log)
    assert [sequenced.behind(log, place) for place in (BEGINNING, Place(1, 5), Place(1, 99), Place(2, 0))] == [
        10,
        4,
        4,
        3,
    ]


def test_a_place_that_the_log_does_not_reach_is_refused(log: str) -> None:
    sequenced.require_known(log, BEGINNING)
    record(log, 3)
    sign(log)
    for known in (BEGINNING, Place(1, 0), Place(1, 2)):
        sequenced.require_known(log, known)
    for unknown in (Place(1, 3), Place(2, -1), Place(7, 0)):
        with pytest.raises(PlaceUnknown):
            sequenced.require_known(log, unknown)
    continued(log)
    sequenced.require_known(log, Place(1, 99))


@pytest.mark.parametrize("text", ["1:0", "1:-1", "2:57", "999999999:999999999999999999"])
def test_a_place_is_read_as_it_is_written(text: str) -> None:
    assert str(Place.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        ":",
        "1:",
        ":1",
        "0:1",
        "01:1",
        "1:01",
        "1:-2",
        "1:1 ",
        "1:1\n",
        "+1:1",
        "1:1:1",
        "١:1",
        "1:9" + "9" * 18,
    ],
)
def test_anything_else_is_no_place(text: str) -> None:
    with pytest.raises(PlaceUnknown):
        Place.parse(text)
