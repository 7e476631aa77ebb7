"""Whole consent records (ISO/IEC TS 27560): every field stored, checked, served, exported, and as the schema in docs says."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.utils import timezone

from accounts.roles import Role
from consent import (
    accept,
    holders,
    inventory,
    iso27560,
    linked_data,
    publishing,
    records,
    retention,
    terms,
    withdrawal,
)
from consent.errors import InvalidRecord
from consent.inventory import Category, Target
from consent.models import ConsentRecord
from consent.processing import DAYS
from consent.vocabulary import (
    AgeBand,
    EvidenceMethod,
    GrantState,
    LawfulBasis,
    PartyRole,
    PartyType,
    RetentionClass,
    Right,
    Scope,
)
from tests.callers import Caller
from tests.factories import ACTOR, PROCESSING, World, make_representative, make_world

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "docs" / "schemas" / "consent-record.schema.json").read_text()
)


def whole(record: ConsentRecord) -> dict[str, Any]:
    rows = records.readable(ConsentRecord.objects.filter(pk=record.pk))
    return iso27560.as_json(records.describe(list(rows))[0])


def require_valid(record: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(record)


def test_the_schema_is_one_and_lists_the_words_that_there_are() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    defined = SCHEMA["$defs"]
    party, processing = defined["party"]["properties"], defined["processing"]["properties"]
    for listed, words in (
        (defined["scope"], Scope),
        (defined["state"], GrantState),
        (SCHEMA["properties"]["age_band"], AgeBand),
        (defined["evidence"]["properties"]["method"], EvidenceMethod),
        (party["role"], PartyRole),
        (party["type"], PartyType),
        (processing["lawful_basis"], LawfulBasis),
        (processing["rights"]["items"], Right),
        (processing["retention_period"]["properties"]["class"], RetentionClass),
    ):
        assert set(listed["enum"]) == {word.value for word in words}
    assert SCHEMA["properties"]["schema_version"]["const"] == iso27560.SCHEMA_VERSION


def test_every_kind_of_record_is_valid_against_the_schema(world: World) -> None:
    mother = make_representative(world.subject)
    first = world.consent(
        *Scope,
        age_band=AgeBand.UNDER_13,
        representation=mother,
        jurisdiction="US-IL",
        expires_at=timezone.now() + timedelta(days=30),
        uses=3,
        until_event="contract_ended",
        covers_recorded_from=timezone.now() - timedelta(days=3),
    )
    second = world.consent(Scope.TRANSCRIBE, explicit=False)
    third = world.consent(Scope.PROSODY, given=False)
    withdrawal.withdraw(world.subject, actor=ACTOR)
    for record in (first, second, third):
        require_valid(whole(record))
    states = {event["state"] for event in whole(first)["events"]}
    assert states == {"given", "superseded", "withdrawn"}
    assert whole(second)["supersedes"] == [first.code]
    assert whole(first)["representative"]["id"] == mother.code


def test_the_schema_refuses_a_record_that_lacks_a_field(world: World) -> None:
    record = whole(world.consent(Scope.TRANSCRIBE))
    require_valid(record)
    for place in (record, record["processing"], record["parties"][0], record["events"][0], record["duration"]):
        for name in list(place):
            kept = place.pop(name)
            with pytest.raises(jsonschema.ValidationError):
                require_valid(record)
            place[name] = kept


def test_a_record_says_what_the_person_was_told(world: World) -> None:
    record = whole(world.consent(Scope.EMOTION, Scope.TRANSCRIBE))
    processing = record["processing"]
    assert processing["privacy_notice"]["sha256"] == world.notice.sha256
    assert processing["controllers"] == ["party-1"]
    assert record["parties"][0]["contact"] == "privacy@example.com"
    assert {item["scope"]: item["special_category"] for item in processing["personal_data"]} == {
        "speech.transcribe": False,
        "voice.emotion": True,
    }
    assert processing["special_categories"]
    assert processing["retention_period"] == {"class": "standard", "at_most": "P365D"}
    assert record["receipt_id"] != record["record_id"]


def test_open_ended_consent_is_flagged_where_a_law_forbids_it(world: World) -> None:
    for place, expected in (("US-IL", ["740 ILCS 14/15(b)"]), ("unknown", ["740 ILCS 14/15(b)"]), ("DE", [])):
        duration = whole(world.consent(Scope.IDENTIFY, jurisdiction=place))["duration"]
        assert (duration["open_ended"], duration["forbidden_by"]) == (True, expected)
    ends = whole(world.consent(Scope.IDENTIFY, jurisdiction="US-IL", uses=1))["duration"]
    assert (ends["open_ended"], ends["forbidden_by"]) == (False, [])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"parties": []}, "parties"),
        ({"storage_locations": []}, "storage_locations"),
        ({"storage_locations": ["Germany"]}, "storage_locations"),
        ({"jurisdictions": []}, "jurisdictions"),
        ({"withdrawal_method": " "}, "withdrawal_method"),
        ({"rights": [Right.ACCESS]}, "rights"),
        ({"optional_scopes": [Scope.EMOTION]}, "optional_scopes"),
    ],
)
def test_a_purpose_that_does_not_say_what_a_record_must_is_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        make_world(scopes=[Scope.TRANSCRIBE], **change)
    assert field in {name for name, _ in refused.value.problems}


def test_missing_mandatory_fields_are_refused_field_by_field(world: World) -> None:
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    purpose = {
        "name": "coaching",
        "notice_series": world.notice.series.code,
        "lawful_basis": "consent",
        "scopes": ["speech.transcribe"],
        "contexts": ["support"],
        "processing": {"parties": [{"name": "Example Ltd"}], "storage_locations": []},
    }
    answer = manager.post("/v1/purposes", purpose)
    assert answer.status == 400
    assert {(error["field"], error["code"]) for error in answer.body["errors"]} == {
        ("processing.parties.0.address", "required"),
        ("processing.parties.0.contact", "required"),
        ("processing.storage_locations", "empty"),
        ("processing.jurisdictions", "required"),
        ("processing.withdrawal_method", "required"),
    }
    consent = manager.post("/v1/consents", {})
    assert {error["field"] for error in consent.body["errors"]} == {
        *("subject", "purpose", "notice", "scopes", "given", "explicit", "given_at", "jurisdiction", "evidence"),
    }


def test_a_record_is_served_as_json_and_on_request_as_linked_data(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE, Scope.EMOTION, uses=2)
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    path = f"/v1/consents/{record.code}/record"
    plain = manager.get(path)
    assert (plain.status, plain.kind) == (200, "application/json")
    require_valid(plain.body)
    linked = manager.get(path, Accept="application/ld+json")
    assert (linked.status, linked.kind) == (200, "application/ld+json")
    assert linked.headers["Vary"] == "Accept"
    body = linked.body
    assert body["@type"] == "dpv:ConsentRecord"
    assert body["@id"] == f"urn:uuid:{record.code}"
    assert body["dpv:hasLegalBasis"] == ["eu-gdpr:A6-1-a", "eu-gdpr:A9-2-a"]
    assert {event["@type"] for event in body["dpv:hasConsentStatus"]} == {"dpv:ConsentGiven"}
    assert body["dpv:hasDuration"] == [{"@type": "dpv:FixedOccurrencesDuration", "voxgov:uses": 2}]
    prefixes = {name for name in body["@context"] if ":" not in name}
    assert {term.split(":")[0] for term in names(body) if ":" in term} <= prefixes


def names(value: Any) -> set[str]:
    """Every name of a member and every type in a JSON-LD document."""
    if isinstance(value, dict):
        inner = set().union(*(names(part) for name, part in value.items() if name != "@context"), set())
        kind = value.get("@type", [])
        return inner | {name for name in value if not name.startswith("@")} | {kind if isinstance(kind, str) else ""}
    if isinstance(value, list):
        return set().union(*(names(part) for part in value), set())
    return set()


def test_every_word_has_a_term_in_the_data_privacy_vocabulary() -> None:
    assert set(linked_data.STATUS) == {state.value for state in GrantState}
    assert set(linked_data.LEGAL_BASES) == {basis.value for basis in LawfulBasis}
    assert set(linked_data.RIGHTS) == {right.value for right in Right}
    assert set(linked_data.PARTY_ROLES) == {role.value for role in PartyRole}


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("application/ld+json", True),
        ("application/json, application/ld+json;q=0.5", False),
        ("application/ld+json;q=0.9, application/json;q=0.1", True),
        ("application/ld+json;q=0", False),
        ("*/*", False),
        ("text/html", False),
        ("application/ld+json;q=high", False),
        ("", False),
    ],
)
def test_linked_data_is_for_who_asks_for_it(header: str, wanted: bool) -> None:
    assert accept.prefers(header, linked_data.MEDIA_TYPE) is wanted


def test_an_access_export_holds_the_whole_records(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    target = Target(world.organization.code, world.project.pk, world.subject.code, timezone.now())
    exported = list(inventory.holder(holders.ConsentHolder.name).export(target))
    assert len(exported) == 1
    require_valid(dict(exported[0]))


def test_a_purposes_retention_class_ends_what_it_derived_before_the_projects_term(
    superuser: Callable[[str], object],
) -> None:
    from analysis.models import Analysis, Result

    brief = make_world(retention_class=RetentionClass.BRIEF)
    standard = make_world()
    for world in (brief, standard):
        world.consent(Scope.TRANSCRIBE)
        recording = world.upload(b"audio" * 100, Scope.TRANSCRIBE)
        result = Result.objects.create(
            analysis=Analysis.objects.get(recording=recording),
            scope="speech.transcribe",
            rests_on=["speech.transcribe"],
            channels=[0],
            sealed=b"",
            model={},
            decision="",
            input_commitment="",
        )
        result.participants.set(recording.participants.all())
        ago = (timezone.now() - timedelta(days=DAYS[RetentionClass.BRIEF] + 1)).isoformat()
        superuser(f"UPDATE analysis_result SET created_at = '{ago}' WHERE id = {result.pk}")
    for world in (brief, standard):
        retention.sweep_project(world.project)
    left = Result.objects.filter(analysis__recording__project__in=[brief.project, standard.project])
    assert [result.analysis.recording.project for result in left] == [standard.project]
    assert terms.days_for(brief.project, Category.RESULTS) == 365


def test_what_people_consented_to_never_changes(world: World) -> None:
    from django.db import Error, connection

    for column in ("parties", "storage_locations", "withdrawal_method", "retention_class", "rights", "jurisdictions"):
        with pytest.raises(Error, match="permission denied"), connection.cursor() as cursor:
            cursor.execute(f"UPDATE consent_purpose SET {column} = {column} WHERE id = {world.purpose.pk}")
    assert publishing.set_purpose_active(world.purpose, False, actor=ACTOR).parties == [PROCESSING.parties[0].as_json()]
