"""Notices, purposes, subjects, consents, decisions and retention over HTTP."""

import base64
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone

from accounts.models import Replay
from accounts.roles import Role
from audit.models import Event
from consent import destruction
from consent.models import ConsentRecord, Decision, Grant, Notice, RetentionPolicy, Subject
from consent.vocabulary import Scope
from tests import factories
from tests.callers import Caller
from tests.factories import World


@pytest.fixture
def manager(world: World) -> Caller:
    return Caller(world.project, Role.CONSENT_MANAGER)


@pytest.fixture
def officer(world: World) -> Caller:
    return Caller(world.project, Role.DATA_PROTECTION_OFFICER)


PROCESSING = {
    "parties": [{"name": "Example Ltd", "address": "1 Example Street, Dublin", "contact": "privacy@example.com"}],
    "storage_locations": ["DE"],
    "jurisdictions": ["DE"],
    "withdrawal_method": "Say so to anybody here.",
}


def consent_form(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "subject": world.subject.code,
        "purpose": world.purpose.code,
        "notice": world.notice.code,
        "scopes": ["speech.transcribe", "voice.emotion"],
        "given": True,
        "explicit": True,
        "given_at": (timezone.now() - timedelta(minutes=5)).isoformat(),
        "jurisdiction": "DE",
        "evidence": {"method": "web_form", "origin": "https://shop.example", "sha256": world.notice.sha256},
        **changes,
    }


def test_a_notice_is_drafted_published_and_then_fixed(world: World, manager: Caller) -> None:
    form = {"series": "calls", "language": "de", "title": "Ihre Stimme", "text": " Wir hören zu. ", "material": True}
    drafted = manager.post("/v1/notices", form)
    assert drafted.status == 201, drafted
    assert drafted.body["text"] == " Wir hören zu. "
    assert drafted.body["published_at"] is None
    code = drafted.body["code"]
    published = manager.post(f"/v1/notices/{code}/publish")
    assert published.status == 200
    assert published.body["published_at"] is not None
    assert published.body["sha256"] == drafted.body["sha256"]
    again = manager.post(f"/v1/notices/{code}/publish")
    assert (again.status, again.body["code"]) == (409, "notice_immutable")
    assert manager.get(f"/v1/notices/{code}").body == {**published.body, "renewal": None}
    assert code in [notice["code"] for notice in manager.get("/v1/notices").body["results"]]


def test_a_purpose_names_its_scopes_and_can_only_be_opened_and_closed(world: World, manager: Caller) -> None:
    form = {
        "name": "coaching",
        "notice_series": world.notice.series.code,
        "lawful_basis": "consent",
        "scopes": ["speech.transcribe"],
        "contexts": ["support"],
        "processing": PROCESSING,
    }
    made = manager.post("/v1/purposes", form)
    assert made.status == 201, made
    assert made.body["active"] is True
    path = f"/v1/purposes/{made.body['code']}"
    closed = manager.call("PATCH", path, {"active": False})
    assert closed.body["active"] is False
    widened = manager.call("PATCH", path, {"active": True, "scopes": ["speech.transcribe", "voice.emotion"]})
    assert (widened.status, widened.body["code"]) == (400, "invalid_request")
    assert widened.body["errors"][0]["code"] == "unknown_field"
    assert manager.get(path).body == closed.body


def test_a_purpose_cannot_rest_on_another_tenants_notice(manager: Caller) -> None:
    other = factories.make_world()
    form = {
        "name": "coaching",
        "notice_series": other.notice.series.code,
        "lawful_basis": "consent",
        "scopes": ["speech.transcribe"],
        "contexts": ["support"],
        "processing": PROCESSING,
    }
    answer = manager.post("/v1/purposes", form)
    assert (answer.status, answer.body["code"]) == (422, "reference_unknown")
    assert answer.body["errors"][0]["field"] == "notice_series"


def test_a_subject_is_found_by_its_reference_which_is_never_shown(world: World, manager: Caller) -> None:
    made = manager.post("/v1/subjects", {"external_reference": "CUSTOMER-4711"})
    assert made.status == 201, made
    assert b"CUSTOMER-4711" not in made.content
    found = manager.post("/v1/subjects/lookup", {"external_reference": "CUSTOMER-4711"})
    assert (found.status, found.body["code"]) == (200, made.body["code"])
    assert b"4711" not in found.content
    assert b"4711" not in manager.get(f"/v1/subjects/{made.body['code']}").content
    missed = manager.post("/v1/subjects/lookup", {"external_reference": "CUSTOMER-4712"})
    assert (missed.status, missed.body["code"]) == (404, "not_found")
    assert b"4712" not in missed.content
    twice = manager.post("/v1/subjects", {"external_reference": "CUSTOMER-4711"})
    assert (twice.status, twice.body["code"]) == (409, "duplicate_subject")


def test_two_tenants_may_know_a_person_by_the_same_reference_and_neither_learns_of_the_other(manager: Caller) -> None:
    stranger = Caller(factories.make_project(), Role.CONSENT_MANAGER)
    mine = manager.post("/v1/subjects", {"external_reference": "shared-reference"})
    theirs = stranger.post("/v1/subjects", {"external_reference": "shared-reference"})
    assert (mine.status, theirs.status) == (201, 201)
    found = stranger.post("/v1/subjects/lookup", {"external_reference": "shared-reference"})
    assert found.body["code"] == theirs.body["code"]


def test_no_reference_is_taken_from_a_url_and_looking_one_up_leaves_nothing_behind(manager: Caller) -> None:
    refused = manager.get("/v1/subjects?external_reference=CUSTOMER-4711")
    assert (refused.status, refused.body["code"]) == (400, "unknown_parameter")
    manager.post("/v1/subjects", {"external_reference": "CUSTOMER-4711"})
    events = Event.objects.filter(log=manager.client.project.organization.code)
    before = events.count()
    found = manager.post("/v1/subjects/lookup", {"external_reference": "CUSTOMER-4711"}, key="key-1")
    assert found.status == 200
    assert events.count() == before
    assert not Replay.objects.filter(client=manager.client).exists()


def test_a_consent_is_recorded_with_the_state_of_each_scope_and_read_by_its_code(world: World, manager: Caller) -> None:
    made = manager.post("/v1/consents", consent_form(world))
    assert made.status == 201, made
    assert b"shop.example" not in made.content
    assert {scope["scope"]: (scope["state"], scope["in_force"]) for scope in made.body["scopes"]} == {
        "speech.transcribe": ("given", True),
        "voice.emotion": ("given", True),
    }
    assert manager.get(f"/v1/consents/{made.body['code']}").body == made.body
    assert ConsentRecord.objects.get(code=made.body["code"]).evidence_sha256 == world.notice.sha256


def test_a_refusal_is_recorded_too(world: World, manager: Caller) -> None:
    made = manager.post("/v1/consents", consent_form(world, given=False))
    assert {scope["state"] for scope in made.body["scopes"]} == {"refused"}
    assert not any(scope["in_force"] for scope in made.body["scopes"])


def test_a_consent_is_withdrawn_in_one_call(world: World, manager: Caller) -> None:
    code = manager.post("/v1/consents", consent_form(world)).body["code"]
    answer = manager.post(f"/v1/consents/{code}/withdraw")
    assert answer.status == 200, answer
    assert answer.body["closed"] == [
        {"purpose": world.purpose.code, "scope": "speech.transcribe"},
        {"purpose": world.purpose.code, "scope": "voice.emotion"},
    ]
    assert len(answer.body["orders"]) == 1
    shown = manager.get(f"/v1/consents/{code}").body
    assert {scope["state"] for scope in shown["scopes"]} == {"withdrawn"}
    assert [revision["state"] for revision in shown["history"]] == ["given", "given", "withdrawn", "withdrawn"]
    again = manager.post(f"/v1/consents/{code}/withdraw", {})
    assert (again.status, again.body["code"]) == (409, "nothing_to_withdraw")


def test_one_scope_of_a_consent_can_be_withdrawn_alone(world: World, manager: Caller) -> None:
    code = manager.post("/v1/consents", consent_form(world)).body["code"]
    manager.post(f"/v1/consents/{code}/withdraw", {"scopes": ["voice.emotion"]})
    shown = manager.get(f"/v1/consents/{code}").body
    assert {scope["scope"]: scope["in_force"] for scope in shown["scopes"]} == {
        "speech.transcribe": True,
        "voice.emotion": False,
    }


def test_a_person_withdraws_everything_when_nothing_is_named(world: World, manager: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    world.consent(Scope.PROSODY)
    answer = manager.post(f"/v1/subjects/{world.subject.code}/withdraw")
    assert {entry["scope"] for entry in answer.body["closed"]} == {"speech.transcribe", "speech.prosody"}


def test_a_superseded_consent_says_by_which_and_is_not_in_force(world: World, manager: Caller) -> None:
    old = manager.post("/v1/consents", consent_form(world)).body["code"]
    new = manager.post("/v1/consents", consent_form(world)).body["code"]
    shown = manager.get(f"/v1/consents/{old}").body
    assert {(scope["state"], scope["in_force"]) for scope in shown["scopes"]} == {("superseded", False)}
    assert {step["superseded_by"] for step in shown["history"] if step["state"] == "superseded"} == {new}
    listed = manager.get("/v1/consents?state=superseded").body["results"]
    assert [record["code"] for record in listed] == [old]


def test_a_consent_is_not_in_force_under_a_superseded_notice_or_a_closed_purpose(world: World, manager: Caller) -> None:
    code = manager.post("/v1/consents", consent_form(world)).body["code"]
    path = f"/v1/purposes/{world.purpose.code}"
    manager.call("PATCH", path, {"active": False})
    assert not any(scope["in_force"] for scope in manager.get(f"/v1/consents/{code}").body["scopes"])
    manager.call("PATCH", path, {"active": True})
    assert all(scope["in_force"] for scope in manager.get(f"/v1/consents/{code}").body["scopes"])
    newer = {"series": world.notice.series.name, "language": "en", "title": "New", "text": "New.", "material": True}
    manager.post(f"/v1/notices/{manager.post('/v1/notices', newer).body['code']}/publish")
    assert not any(scope["in_force"] for scope in manager.get(f"/v1/consents/{code}").body["scopes"])


def test_consents_are_listed_by_subject_purpose_and_state(world: World, manager: Caller) -> None:
    given = world.consent(Scope.TRANSCRIBE)
    other = world.another_subject()
    refused = world.consent(Scope.TRANSCRIBE, subject=other, given=False)

    def listed(query: str) -> set[str]:
        return {record["code"] for record in manager.get(f"/v1/consents?{query}").body["results"]}

    assert listed(f"subject={world.subject.code}") == {given.code}
    assert listed(f"purpose={world.purpose.code}") == {given.code, refused.code}
    assert listed("state=refused") == {refused.code}
    assert listed(f"state=given&subject={other.code}") == set()


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"given_at": "2026-01-01T12:00:00"}, "given_at", "naive"),
        ({"scopes": []}, "scopes", "empty"),
        ({"scopes": ["all"]}, "scopes.0", "invalid_choice"),
        ({"scopes": ["voice.emotion", "voice.emotion"]}, "scopes", "duplicate"),
        ({"given": "yes"}, "given", "invalid"),
        ({"explicit": 1}, "explicit", "invalid"),
        ({"subject": 7}, "subject", "invalid"),
        ({"evidence": {"method": "web_form", "sha256": "x"}}, "evidence.sha256", "invalid"),
        ({"evidence": {"method": "web_form", "sha256": "0" * 64, "ip": "127.0.0.1"}}, "evidence.ip", "unknown_field"),
        ({"registered_at": "2020-01-01T00:00:00Z"}, "registered_at", "unknown_field"),
        ({"project": "other"}, "project", "unknown_field"),
    ],
)
def test_a_consent_form_is_read_strictly(
    world: World, manager: Caller, change: dict[str, Any], field: str, code: str
) -> None:
    answer = manager.post("/v1/consents", consent_form(world, **change))
    assert (answer.status, answer.body["code"]) == (400, "invalid_request"), answer
    assert [(error["field"], error["code"]) for error in answer.body["errors"]] == [(field, code)]
    assert not ConsentRecord.objects.filter(project=world.project).exists()


def test_evidence_must_be_of_the_notice_that_was_named(world: World, manager: Caller) -> None:
    answer = manager.post("/v1/consents", consent_form(world, evidence={"method": "paper", "sha256": "0" * 64}))
    assert (answer.status, answer.body["code"]) == (422, "invalid_record")
    assert answer.body["errors"][0]["field"] == "evidence_sha256"


def test_another_tenants_codes_in_a_consent_read_like_codes_that_do_not_exist(world: World, manager: Caller) -> None:
    other = factories.make_world()
    for field, foreign in (("subject", other.subject), ("purpose", other.purpose), ("notice", other.notice)):
        theirs = manager.post("/v1/consents", consent_form(world, **{field: foreign.code}))
        nobodys = manager.post("/v1/consents", consent_form(world, **{field: "0198f3a2-6f0e-7cc1-9d4a-3b1f0a7e5c11"}))
        assert theirs.status == nobodys.status == 422
        assert {**theirs.body, "request_id": ""} == {**nobodys.body, "request_id": ""}
    assert not Grant.objects.filter(record__subject=other.subject).exists()


def test_erasing_a_person_is_accepted_with_an_order_that_ends_done(world: World, officer: Caller) -> None:
    code = world.subject.code
    world.consent(Scope.TRANSCRIBE)
    answer = officer.delete(f"/v1/subjects/{code}", key="erase-once")
    assert answer.status == 202, answer
    assert answer.body["done_at"] is None
    shown = officer.get(f"/v1/subjects/{code}").body
    assert shown["erased_at"] is not None
    assert shown["erasure"]["code"] == answer.body["code"]
    destruction.carry_out_orders()
    assert officer.get(f"/v1/subjects/{code}").body["erasure"]["done_at"] is not None
    again = officer.delete(f"/v1/subjects/{code}")
    assert (again.status, again.body["code"]) == (410, "subject_erased")


def test_only_who_may_erase_erases(world: World, manager: Caller) -> None:
    answer = manager.delete(f"/v1/subjects/{world.subject.code}")
    assert (answer.status, answer.body["code"]) == (403, "permission_denied")
    assert Subject.objects.get(pk=world.subject.pk).erased_at is None


def test_decisions_are_listed_and_read_with_what_was_missing(world: World, manager: Caller) -> None:
    operator = Caller(world.project, Role.OPERATOR)
    refused = operator.post(
        "/v1/recordings",
        {
            "purpose": world.purpose.code,
            "context": "support",
            "jurisdiction": "DE",
            "recorded_at": timezone.now().isoformat(),
            "participants": [{"subject": world.subject.code, "role": "customer"}],
            "scopes": ["speech.transcribe"],
        },
    )
    assert refused.status == 403
    shown = manager.get(f"/v1/decisions/{refused.body['decision']}")
    assert shown.status == 200, shown
    assert shown.body["denials"][0]["reason"] == "not_granted"
    assert shown.body["request"]["participants"][0]["subject"] == world.subject.code
    listed = manager.get(f"/v1/decisions?allowed=false&action=submit&subject={world.subject.code}").body["results"]
    assert listed == [{name: value for name, value in shown.body.items() if name not in ("explanation", "basis")}]
    assert manager.get("/v1/decisions?allowed=true").body["results"] == []
    assert Decision.objects.filter(project=world.project).count() == 1


def test_a_retention_policy_is_read_and_set_by_who_may(world: World, officer: Caller, manager: Caller) -> None:
    before = officer.get("/v1/retention-policies/kept_audio")
    assert before.body == {"category": "kept_audio", "days": 90, "own": False, "caps": []}
    after = officer.call("PUT", "/v1/retention-policies/kept_audio", {"days": 30})
    assert after.body == {"category": "kept_audio", "days": 30, "own": True, "caps": []}
    assert RetentionPolicy.objects.get(project=world.project).days == 30
    assert Event.objects.filter(log=world.organization.code, name="consent:retention-policy:changed").count() == 1
    assert officer.get("/v1/retention-policies/identity").body["days"] is None
    assert {row["category"]: row["own"] for row in officer.get("/v1/retention-policies").body["results"]}["kept_audio"]
    never = officer.call("PUT", "/v1/retention-policies/identity", {"days": 3})
    assert (never.status, never.body["code"]) == (422, "invalid_record")
    assert officer.get("/v1/retention-policies/nothing").status == 404
    assert manager.get("/v1/retention-policies/kept_audio").status == 403


def test_lists_come_in_pages_whose_cursors_tell_nothing(world: World, manager: Caller) -> None:
    made = [manager.post("/v1/subjects").body["code"] for _ in range(5)]
    seen: list[str] = []
    path: str | None = "/v1/subjects?limit=2"
    while path:
        page = manager.get(path)
        assert page.status == 200, page
        seen += [subject["code"] for subject in page.body["results"]]
        path = page.body["next"]
    assert seen == [*reversed(made), world.subject.code]
    link = manager.get("/v1/subjects?limit=2").body["next"]
    (cursor,) = parse_qs(urlsplit(link).query)["cursor"]
    # A row number counts across all tenants: in clear it would say how busy the others are.
    assert f"p={Subject.objects.get(code=made[-2]).pk}".encode() not in base64.urlsafe_b64decode(cursor)
    for wrong in (cursor[:-4], "x", "cj0xJnA9NDg3", cursor.swapcase()):
        answer = manager.get(f"/v1/subjects?cursor={wrong}")
        assert (answer.status, answer.body["code"]) == (400, "cursor_invalid")
    moved = manager.get(f"/v1/notices?cursor={cursor}")
    assert (moved.status, moved.body["code"]) == (400, "cursor_invalid")


def test_a_listed_notice_carries_the_hash_that_evidence_must_name(world: World, manager: Caller) -> None:
    listed = manager.get("/v1/notices").body["results"]
    stored = Notice.objects.get(code=listed[0]["code"])
    assert listed[0]["sha256"] == stored.sha256 == world.notice.sha256
