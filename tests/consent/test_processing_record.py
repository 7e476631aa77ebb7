"""The record of processing activities, from the text of GDPR art. 30(1): each letter is answered, or what is missing is said."""

import json
from typing import Any

import pytest

from accounts.roles import Role
from analysis.models import Result
from audit.events import EventName
from consent import processing_record, publishing, retention
from consent.inventory import Category
from consent.processing import Party
from consent.processing_record import ARTICLES, Activity
from consent.processing_record_text import as_text
from consent.vocabulary import Context, LawfulBasis, PartyRole, RetentionClass, Scope
from tests.callers import Caller
from tests.factories import ACTOR, PROCESSING, World, make_world
from tests.people import events

OFFICER = Party("Ida Officer", "1 Example Street, Dublin", "dpo@example.com", PartyRole.PROTECTION_OFFICER)
PATH = "/v1/processing-record"


@pytest.fixture
def world() -> World:
    return make_world(parties=[*PROCESSING.parties, OFFICER], recipients=["University"])


def only(world: World) -> Activity:
    (activity,) = processing_record.generate(world.project).activities
    return activity


def missing(world: World) -> set[tuple[str, str]]:
    return {(one.field, one.article) for one in only(world).missing}


def test_every_purpose_appears_open_ones_first_and_a_closed_one_says_so(world: World) -> None:
    publishing.set_purpose_active(world.purpose, False, actor=ACTOR)
    publishing.create_purpose(
        world.project,
        name="words only",
        series=world.notice.series,
        lawful_basis=LawfulBasis.CONTRACT,
        scopes=[Scope.TRANSCRIBE],
        contexts=[Context.SUPPORT],
        processing=PROCESSING,
        actor=ACTOR,
    )
    found = processing_record.generate(world.project).activities
    assert [(one.purpose.name, one.purpose.active) for one in found] == [
        ("words only", True),
        ("support quality", False),
    ]


def test_a_names_controllers_their_representatives_and_the_protection_officer(world: World) -> None:
    parties = only(world).parties
    assert [party["name"] for party in parties.controllers] == ["Example Ltd"]
    assert [party["contact"] for party in parties.protection_officers] == ["dpo@example.com"]
    assert missing(world) == set()


def test_a_high_risk_purpose_without_a_protection_officer_is_said_to_lack_one() -> None:
    assert ("parties", "30(1)(a)") in missing(make_world())
    assert missing(make_world(scopes=[Scope.TRANSCRIBE])) == set()


def test_b_the_purpose_with_its_lawful_basis_and_its_assessment(world: World) -> None:
    aim = only(world).purpose
    assert (aim.name, aim.lawful_basis, aim.impact_assessment) == ("support quality", "consent", "DPIA 2026/7")


def test_c_categories_of_people_and_of_data_with_what_was_used_so_far(world: World) -> None:
    before = only(world).categories
    assert ["customers" in people.description for people in before.people] == [True]
    assert {kind.scope for kind in before.personal_data} == set(Scope)
    assert {kind.scope for kind in before.personal_data if kind.special_category} == {
        *("voice.emotion", "voice.identify", "voice.accent", "voice.nonverbal"),
    }
    assert (list(before.roles), list(before.models)) == ([], [])
    world.consent(Scope.TRANSCRIBE)
    job = world.upload(b"RIFF" + bytes(500), Scope.TRANSCRIBE).analyses.get()
    model = {"name": "whisper-base", "version": "1", "digest": "0" * 64, "licence": "MIT", "validated": False}
    for _ in range(2):
        Result.objects.create(
            analysis=job,
            scope="speech.transcribe",
            rests_on=["speech.transcribe"],
            channels=[0],
            sealed=b"",
            model=model,
        )
    after = only(world).categories
    assert list(after.roles) == ["customer"]
    assert [(use.scope, use.name, use.validated) for use in after.models] == [
        ("speech.transcribe", "whisper-base", False)
    ]


def test_d_recipients_with_the_processors_and_sharing_with_nobody_named_is_said() -> None:
    processor = Party("Clouds Ltd", "2 Example Street", "c@example.com", PartyRole.PROCESSOR)
    world = make_world(parties=[*PROCESSING.parties, OFFICER, processor], recipients=["University"])
    recipients = only(world).recipients
    assert (list(recipients.named), [party["name"] for party in recipients.processors]) == (
        ["University"],
        ["Clouds Ltd"],
    )
    alone = make_world(parties=[*PROCESSING.parties, OFFICER], scopes=[Scope.SHARE])
    assert missing(alone) == {("recipients", "30(1)(d)")}
    assert "Recipients (30(1)(d)): none named" in as_text(processing_record.generate(alone.project))


def test_e_third_countries_are_named_and_want_safeguards() -> None:
    abroad: dict[str, Any] = {"storage_locations": ["DE", "US-VA"], "processing_locations": ["IN"]}
    without = make_world([Scope.TRANSCRIBE], **abroad)
    assert list(only(without).transfers.third_countries) == ["IN", "US-VA"]
    assert missing(without) == {("transfers", "30(1)(e)")}
    safe = make_world([Scope.TRANSCRIBE], **abroad, transfer_safeguards="Standard contractual clauses, 2021/914.")
    assert missing(safe) == set()
    assert only(safe).transfers.safeguards.startswith("Standard contractual clauses")


def test_e_a_place_that_nobody_knows_is_no_answer() -> None:
    assert missing(make_world([Scope.TRANSCRIBE], storage_locations=["unknown"])) == {("transfers", "30(1)(e)")}


def test_f_time_limits_are_the_shortest_of_the_projects_terms_and_the_purposes_class() -> None:
    world = make_world([Scope.TRANSCRIBE], retention_class=RetentionClass.BRIEF)
    retention.set_policy(world.project, Category.DECISIONS, 400, actor=ACTOR)
    limits = {limit.category: limit.days for limit in only(world).time_limits}
    assert (limits["results"], limits["decisions"], limits["identity"]) == (30, 400, None)
    assert "kept_audio" not in limits, "a purpose that keeps no audio has no limit for it"
    assert {"breaches", "staff_access"}.isdisjoint(limits)


def test_g_security_measures_are_described_and_what_is_not_known_here_is_said(world: World) -> None:
    record = processing_record.generate(world.project)
    assert {measure.article for measure in record.security_measures} == {"32(1)(a)", "32(1)(b)", "32(1)(c)", "32(1)(d)"}
    assert "not known to it" in record.outside


def test_over_http_every_letter_is_a_field_and_the_look_stands_on_the_trail(world: World) -> None:
    auditor = Caller(world.project, Role.AUDITOR)
    answer = auditor.get(PATH)
    assert answer.status == 200, answer
    assert answer.body["articles"] == ARTICLES
    assert list(ARTICLES.values()) == [f"30(1)({letter})" for letter in "abcdefg"]
    (activity,) = answer.body["activities"]
    for field in ARTICLES:
        assert activity[field] if field in activity else answer.body[field], field
    assert answer.body["complete"] is True
    (event,) = events(world, EventName.PROCESSING_RECORD_READ)
    assert event.actor_code == auditor.client.code


def test_people_read_it_as_text_with_the_article_beside_each_line_and_what_is_missing_first() -> None:
    world = make_world([Scope.TRANSCRIBE], storage_locations=["US"])
    answer = Caller(world.project, Role.ADMINISTRATOR).get(PATH, Accept="text/markdown")
    assert answer.kind == "text/markdown; charset=utf-8"
    text = answer.content.decode()
    for letter in "abcdefg":
        assert f"(30(1)({letter}))" in text, letter
    assert "**Incomplete:**" in text
    assert text.index("**Missing** (30(1)(e))") < text.index("Controllers")


def test_what_somebody_typed_makes_no_heading_of_its_own() -> None:
    world = make_world([Scope.TRANSCRIBE], description="Words\n# Another record", recipients=["A\n- B"])
    text = as_text(processing_record.generate(world.project))
    assert not [line for line in text.splitlines() if line.startswith(("# Another", "- B"))]


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.CONSENT_MANAGER])
def test_whoever_keeps_no_register_reads_none(world: World, role: Role) -> None:
    assert Caller(world.project, role).get(PATH).status == 403
    assert not events(world, EventName.PROCESSING_RECORD_READ)


def test_it_holds_nobody_who_is_recorded(world: World) -> None:
    subject = world.another_subject("Wilhelmina Quartz")
    world.consent(Scope.TRANSCRIBE, subject=subject)
    shown = json.dumps(Caller(world.project, Role.AUDITOR).get(PATH).body)
    assert subject.code not in shown
    assert world.subject.code not in shown
