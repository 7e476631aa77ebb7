"""The audit trail over HTTP: complete for who may read it, naming nobody to who may not see consent, and itself recorded."""

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.roles import Role
from audit.entry import blind
from audit.models import Event
from consent.vocabulary import Scope
from tests import factories
from tests.callers import Caller
from tests.factories import World


@pytest.fixture
def auditor(world: World) -> Caller:
    return Caller(world.project, Role.AUDITOR)


@pytest.fixture
def officer(world: World) -> Caller:
    return Caller(world.project, Role.DATA_PROTECTION_OFFICER)


def events(caller: Caller, query: str = "") -> list[dict[str, Any]]:
    answer = caller.get(f"/v1/audit/events?{query}")
    assert answer.status == 200, answer
    return list(answer.body["results"])


def test_an_event_comes_with_the_bytes_that_are_hashed(world: World, auditor: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    shown = events(auditor, "name=consent:grant:given")
    assert len(shown) == 1
    canonical = base64.b64decode(shown[0]["canonical"])
    assert hashlib.sha256(b"\x00" + canonical).hexdigest() == shown[0]["leaf_hash"]
    assert json.loads(canonical) == shown[0]["entry"]
    assert auditor.get(f"/v1/audit/events/{shown[0]['code']}").body == shown[0]


def test_an_auditor_learns_of_nobody(world: World, auditor: Caller) -> None:
    record = world.consent(Scope.TRANSCRIBE)
    answer = auditor.get("/v1/audit/events")
    assert all(event["openings"] == [] for event in answer.body["results"])
    for code in (world.subject.code, record.code):
        assert code.encode() not in answer.content
    refused = auditor.get(f"/v1/audit/events?object={world.subject.code}")
    assert (refused.status, refused.body["code"]) == (403, "permission_denied")


def test_who_may_see_consent_gets_the_salts_that_open_what_they_see(world: World, officer: Caller) -> None:
    record = world.consent(Scope.TRANSCRIBE)
    (event,) = events(officer, f"object={record.code}&name=consent:grant:given")
    blinds = {thing["blind"] for thing in event["entry"]["objects"] if "blind" in thing}
    opened = {
        opening["code"]: blind(opening["kind"], bytes.fromhex(opening["salt"]), opening["code"])
        for opening in event["openings"]
    }
    assert set(opened) == {record.code, world.subject.code}
    assert set(opened.values()) == blinds


def test_salts_of_another_project_stay_closed_in_a_shared_log(world: World, officer: Caller) -> None:
    sibling = factories.make_world(project=factories.make_project(world.organization))
    record = sibling.consent(Scope.TRANSCRIBE)
    given = events(officer, "name=consent:grant:given")
    assert len(given) == 1, "the log is the organization's"
    assert given[0]["openings"] == []
    assert events(officer, f"object={record.code}") == []


def test_another_organizations_events_are_not_there(world: World, auditor: Caller) -> None:
    other = factories.make_world()
    theirs = Event.objects.filter(log=other.organization.code).first()
    assert theirs is not None
    assert auditor.get(f"/v1/audit/events/{theirs.code}").status == 404
    seen = {event["entry"]["log"] for event in events(auditor, "limit=200")}
    assert seen == {world.organization.code}
    outsider = Caller(other.project, Role.DATA_PROTECTION_OFFICER)
    assert events(outsider, f"object={world.subject.code}") == []


def test_events_come_in_either_order_and_are_found_by_name_actor_and_time(world: World, auditor: Caller) -> None:
    newest = [event["code"] for event in events(auditor, "limit=200")]
    oldest = [event["code"] for event in events(auditor, "limit=200&order=oldest")]
    assert oldest[: len(newest)] == newest[::-1]
    assert {event["entry"]["name"] for event in events(auditor, "name=consent:purpose:created")} == {
        "consent:purpose:created"
    }
    assert {event["entry"]["actor"]["code"] for event in events(auditor, "actor=tests")} == {"tests"}
    later = (timezone.now() + timedelta(minutes=1)).isoformat().replace("+", "%2B")
    earlier = (timezone.now() - timedelta(minutes=1)).isoformat().replace("+", "%2B")
    assert events(auditor, f"since={later}") == []
    assert events(auditor, f"until={earlier}") == []
    assert events(auditor, f"since={earlier}&until={later}")


def test_pages_of_the_oldest_first_end(world: World, auditor: Caller) -> None:
    path: str | None = "/v1/audit/events?order=oldest&limit=3"
    seen: list[str] = []
    while path:
        answer = auditor.get(path)
        seen += [event["code"] for event in answer.body["results"]]
        path = answer.body["next"]
        assert len(seen) < 500
    assert len(set(seen)) == len(seen)
    stored = Event.objects.filter(log=world.organization.code).order_by("id").values_list("code", flat=True)
    assert seen == [str(code) for code in stored][: len(seen)]


def test_reading_the_trail_is_recorded_without_saying_whom_it_was_about(world: World, officer: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    events(officer, f"object={world.subject.code}&limit=7")
    (read,) = events(officer, "name=audit:trail:read")
    assert read["entry"]["actor"] == {"kind": "client", "code": officer.client.code}
    assert read["entry"]["detail"]["searched_by"] == ["object"]
    assert world.subject.code.encode() not in base64.b64decode(read["canonical"])


def test_nobody_else_reads_the_trail(world: World) -> None:
    for role in (Role.OPERATOR, Role.CONSENT_MANAGER, Role.ADMINISTRATOR):
        refused = Caller(world.project, role).get("/v1/audit/events")
        assert (refused.status, refused.body["code"]) == (403, "permission_denied")
    assert not Event.objects.filter(log=world.organization.code, name="audit:trail:read").exists()


def test_the_trail_cannot_be_written_through_the_api(auditor: Caller) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert auditor.call(method, "/v1/audit/events").status == 405
