"""The log as a stream over HTTP: for who may read it, resumed without loss, a few at a time, and over when the permission is."""

import json
import os
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, Self

import pytest
from django.conf import settings
from knox.models import AuthToken

from accounts import membership
from accounts.models import ApiClient
from accounts.roles import Role
from audit import outside, sequenced
from audit.models import Event
from audit.sequenced import Place
from consent.vocabulary import Scope
from tests import factories
from tests.audit.signed import codes_of, continued, record, sign
from tests.audit.test_streaming import events as blocks
from tests.audit.test_streaming import read as read_blocks
from tests.callers import Answer, Caller
from tests.factories import ACTOR, World, make_client
from tests.processes import Web
from tests.voxgov.test_problems import is_problem
from voxgov import audit_stream

PATH = "/v1/audit/stream"
NAME = "stream-test"
"""What the web server is called in the database's list of connections."""


@pytest.fixture
def world() -> World:
    world = factories.make_world()
    world.consent(Scope.TRANSCRIBE)
    return world


@pytest.fixture
def auditor(world: World) -> Caller:
    return Caller(world.project, Role.AUDITOR)


def text(answer: Answer) -> list[str]:
    assert (answer.status, answer.kind) == (200, "text/event-stream"), answer
    return [answer.content.decode()]


# One look each: these streams end once they said what is there


def test_an_auditor_reads_the_log_from_the_beginning(world: World, auditor: Caller) -> None:
    log = sign(world.organization.code).code
    answer = auditor.get(f"{PATH}?start=beginning")
    found = blocks(text(answer))
    assert [block.data["code"] for block in found if block.data] == codes_of(log)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert world.subject.code.encode() not in answer.content


def test_without_a_last_event_id_it_begins_behind_what_is_there(world: World, auditor: Caller) -> None:
    log = sign(world.organization.code)
    found = read_blocks(text(auditor.get(PATH)))
    assert [block.data for block in found] == [None]
    assert found[0].id == str(sequenced.newest(log.code))


def test_it_goes_on_behind_the_last_event_id(world: World, auditor: Caller) -> None:
    log = sign(world.organization.code).code
    found = blocks(text(auditor.get(PATH, Last_Event_ID="1:2")))
    assert [block.data["code"] for block in found if block.data] == codes_of(log)[3:]
    # It wins over `start`.
    found = blocks(text(auditor.get(f"{PATH}?start=beginning", Last_Event_ID="1:3")))
    assert found[0].id == "1:4"


def test_it_goes_on_in_the_generation_that_followed_a_restored_backup(world: World, auditor: Caller) -> None:
    log = sign(world.organization.code).code
    continued(log)
    record(log, 2)
    sign(log)
    (*_, onwards) = read_blocks(text(auditor.get(PATH, Last_Event_ID="1:99")))
    assert onwards.id == "2:-1"
    found = blocks(text(auditor.get(PATH, Last_Event_ID=onwards.id)))
    assert [block.id for block in found][:2] == ["2:0", "2:1"]


@pytest.mark.parametrize("place", ["1:99", "2:-1", "nonsense", "1", "", "-1:0", "1:0; 1:1", "9" * 5000])
def test_a_place_that_the_log_does_not_have_is_refused(world: World, auditor: Caller, place: str) -> None:
    sign(world.organization.code)
    assert is_problem(auditor.get(PATH, Last_Event_ID=place), 409, "place_unknown")
    assert audit_stream.seats.taken == 0


def test_a_place_in_another_organizations_log_opens_nothing_of_it(world: World, auditor: Caller) -> None:
    other = factories.make_world()
    sign(other.organization.code)
    sign(world.organization.code)
    found = blocks(text(auditor.get(PATH, Last_Event_ID="1:0")))
    assert {block.data["entry"]["log"] for block in found if block.data} == {world.organization.code}


def test_only_the_events_that_were_asked_for_come(world: World, auditor: Caller) -> None:
    sign(world.organization.code)
    query = "start=beginning&name=consent:grant:given,consent:purpose:created"
    found = blocks(text(auditor.get(f"{PATH}?{query}")))
    assert {block.name for block in found} == {"consent:grant:given", "consent:purpose:created"}
    for wrong in ("name=", "name=nonsense", "name=consent:grant:given,", "start=yesterday", "cursor=x"):
        answer = auditor.get(f"{PATH}?{wrong}")
        assert answer.status == 400
        assert answer.body["code"] in ("invalid_request", "unknown_parameter")


def test_reading_is_recorded_once_for_each_stream(world: World, auditor: Caller) -> None:
    sign(world.organization.code)
    text(auditor.get(f"{PATH}?start=beginning&name=consent:grant:given"))
    (read,) = Event.objects.filter(log=world.organization.code, name="audit:trail:read")
    entry = json.loads(bytes(read.entry))
    assert entry["actor"] == {"kind": "client", "code": auditor.client.code}
    assert entry["detail"] == {"stream": True, "searched_by": ["name"]}


def test_asking_for_the_head_takes_no_seat_and_reads_nothing(world: World, auditor: Caller) -> None:
    answer = auditor.call("HEAD", PATH)
    assert (answer.status, answer.content) == (200, b"")
    assert not Event.objects.filter(log=world.organization.code, name="audit:trail:read").exists()


def test_nobody_else_gets_one(world: World) -> None:
    for role in (Role.OPERATOR, Role.CONSENT_MANAGER, Role.ADMINISTRATOR):
        assert is_problem(Caller(world.project, role).get(PATH), 403, "permission_denied")
    assert audit_stream.seats.taken == 0


def test_a_closed_service_streams_nothing(auditor: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "VOXGOV_CHECKPOINT_DIR", tmp_path)
    outside.close(["for the test"])
    assert is_problem(auditor.get(PATH), 503, "service_closed")


def test_a_seat_is_given_back_however_the_call_ends(
    world: World, auditor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(view: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(audit_stream.Stream, "_record", fails)
        assert auditor.get(PATH).status == 500
    assert audit_stream.seats.taken == 0
    text(auditor.get(PATH))
    assert audit_stream.seats.taken == 0


# A real web server, and clients that wait


class Reader:
    """A client of the stream that reads block by block, and remembers the last id as the specification has it."""

    def __init__(self, web: Web, token: str, query: str = "", last: str | None = None) -> None:
        self._connection = HTTPConnection("127.0.0.1", web.port, timeout=30)
        headers = {"Authorization": f"Bearer {token}"}
        if last is not None:
            headers["Last-Event-ID"] = last
        self._connection.request("GET", f"{PATH}{query}", headers=headers)
        self.response: HTTPResponse = self._connection.getresponse()
        self.last = last

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def status(self) -> int:
        return self.response.status

    def block(self) -> str | None:
        """The next one; None when the stream has ended."""
        lines: list[str] = []
        while line := self.response.readline().decode():
            if line == "\n":
                text = "".join(lines) + "\n"
                for found in read_blocks([text]):
                    self.last = found.id or self.last
                return text
            lines.append(line)
        return None

    def event(self) -> dict[str, Any] | None:
        """The next event; None when the stream has ended."""
        while (text := self.block()) is not None:
            for found in blocks([text]):
                return found.data
        return None

    def rest(self) -> Iterator[dict[str, Any]]:
        while (found := self.event()) is not None:
            yield found

    def close(self) -> None:
        self._connection.close()
        self.response.close()


@pytest.fixture(scope="module")
def web(var: Path) -> Iterator[Web]:
    environment = {
        "VOXGOV_STREAM_SECONDS": "60",
        "VOXGOV_STREAMS": "3",
        "VOXGOV_STREAMS_PER_CLIENT": "2",
        "DATABASE_URL": f"{os.environ['DATABASE_URL']}&application_name={NAME}",
    }
    with Web(var / "log" / "stream-test.log", environment) as running:
        yield running


@pytest.fixture
def reading(world: World) -> tuple[ApiClient, str]:
    """A client that may read the log, and its token."""
    return make_client(world.project, Role.AUDITOR)


@pytest.mark.services
def test_streams_that_wait_hold_no_connection_to_the_database(
    web: Web, reading: tuple[ApiClient, str], superuser: Callable[[str], list[tuple[object, ...]]]
) -> None:
    # Before the other tests of this server: a thread that answered a plain request keeps its connection for a while.
    with Reader(web, reading[1]) as first, Reader(web, reading[1]) as second:
        assert first.block() == second.block()
        seen = [superuser(f"SELECT state FROM pg_stat_activity WHERE application_name = '{NAME}'") for _ in range(60)]
    assert [] in seen, "most of the time there is none at all"
    assert not any("transaction" in str(state) for states in seen for (state,) in states)


@pytest.mark.services
def test_a_stream_that_is_cut_and_taken_up_again_loses_nothing_and_gives_nothing_twice(
    web: Web, world: World, reading: tuple[ApiClient, str]
) -> None:
    log, token = world.organization.code, reading[1]
    sign(log)
    codes: list[str] = []
    last: str | None = None
    for cut in (3, 1, 4):
        with Reader(web, token, "?start=beginning", last) as reader:
            assert reader.status == 200
            for _ in range(cut):
                found = reader.event()
                assert found is not None
                codes.append(found["code"])
            last = reader.last
        record(log, 5)
        sign(log)
    newest = str(sequenced.newest(log))
    with Reader(web, token, "", last) as reader:
        while reader.last != newest:
            found = reader.event()
            assert found is not None
            codes.append(found["code"])
        # What happens from now on comes as it happens.
        record(log)
        sign(log)
        found = reader.event()
        assert found is not None
        codes.append(found["code"])
    assert codes == codes_of(log)[: len(codes)]
    assert len(codes) >= len(codes_of(log)) - 1, "all but what reading itself has left since"


@pytest.mark.services
def test_a_client_that_never_got_an_event_resumes_where_it_stood(
    web: Web, world: World, reading: tuple[ApiClient, str]
) -> None:
    log = sign(world.organization.code).code
    with Reader(web, reading[1]) as reader:
        assert reader.block() is not None
        last = reader.last
    assert last is not None
    (missed,) = record(log)
    sign(log)
    with Reader(web, reading[1], last=last) as reader:
        found = reader.event()
        while found is not None and found["code"] != missed:
            assert found["entry"]["name"] == "audit:trail:read"
            found = reader.event()
        assert found is not None
    assert Place.parse(last) < sequenced.newest(log)


@pytest.mark.services
def test_beyond_its_seats_a_process_asks_to_come_back_and_answers_everybody_else(
    web: Web, world: World, reading: tuple[ApiClient, str]
) -> None:
    token = reading[1]
    others = [make_client(world.project, Role.AUDITOR)[1] for _ in range(2)]
    with Reader(web, token) as first, Reader(web, token) as second, Reader(web, others[0]) as third:
        assert [one.status for one in (first, second, third)] == [200, 200, 200]
        for refused, status, code in ((token, 429, "too_many_streams"), (others[1], 503, "streams_full")):
            with Reader(web, refused) as reader:
                assert (reader.status, json.loads(reader.response.read())["code"]) == (status, code)
                assert int(reader.response.headers["Retry-After"]) > 0
        plain = HTTPConnection("127.0.0.1", web.port, timeout=30)
        plain.request("GET", "/v1/audit/events?limit=1", headers={"Authorization": f"Bearer {token}"})
        assert plain.getresponse().status == 200
        plain.close()
    # A client that hangs up gives its seat back at once, and not only when somebody next writes to it.
    for _ in range(100):
        with Reader(web, others[1]) as reader:
            if reader.status == 200:
                return
    raise AssertionError("no seat came free")


@pytest.mark.services
@pytest.mark.parametrize("act", ["revoked", "role taken away", "token gone", "deactivated"])
def test_a_stream_ends_when_the_permission_does(
    web: Web, world: World, reading: tuple[ApiClient, str], act: str
) -> None:
    client, token = reading
    log = sign(world.organization.code).code
    with Reader(web, token) as reader:
        assert reader.block() is not None
        if act == "revoked":
            membership.revoke_client(client, actor=ACTOR)
        elif act == "role taken away":
            membership.remove_member(client.user, client.project, Role.AUDITOR, actor=ACTOR)
        elif act == "token gone":
            AuthToken.objects.filter(user=client.user).delete()
        else:
            type(client.user).objects.filter(pk=client.user.pk).update(is_active=False)
        seen = list(reader.rest())
    record(log)
    sign(log)
    assert [one["entry"]["name"] for one in seen] in ([], ["audit:trail:read"])
    with Reader(web, token, last=reader.last) as again:
        assert again.status in (401, 403)
