"""Retention: sane defaults, a policy per project and category, and events that say why something went."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog
from axes.models import AccessAttempt
from django.utils import timezone

from accounts.roles import Role
from audit.models import Event, EventReference
from consent import gate, publishing, retention, schedule, terms
from consent.errors import ConsentDenied, InvalidRecord
from consent.inventory import DEFAULT_DAYS, INSTALLATION_DAYS, Category
from consent.models import Decision, RetentionPolicy
from consent.vocabulary import Action, Context, EvidenceMethod, LawfulBasis, Scope
from tests.callers import Caller, Nobody
from tests.factories import ACTOR, PROCESSING, World, make_world

Superuser = Callable[[str], object]


def test_a_project_without_a_policy_has_the_default() -> None:
    world = make_world()
    assert terms.days_for(world.project, Category.RESULTS) == DEFAULT_DAYS[Category.RESULTS]
    retention.set_policy(world.project, Category.RESULTS, 7, actor=ACTOR)
    assert terms.days_for(world.project, Category.RESULTS) == 7


def test_a_term_for_what_only_erasure_ends_is_refused_and_so_is_a_silly_one() -> None:
    world = make_world()
    refused = ((Category.IDENTITY, 10), (Category.RESULTS, -1), (Category.RESULTS, 10**6), (Category.DECISIONS, 30))
    for category, days in refused:
        with pytest.raises(InvalidRecord):
            retention.set_policy(world.project, category, days, actor=ACTOR)
    retention.set_policy(world.project, Category.DECISIONS, 31, actor=ACTOR)


def age_decisions(superuser: Superuser, world: World) -> Decision:
    """The world's one decision, made to be past the default term."""
    with pytest.raises(ConsentDenied):
        gate.require(world.ask(Scope.TRANSCRIBE), action=Action.READ, actor=ACTOR)
    decision = Decision.objects.get(project=world.project)
    long_ago = timezone.now() - timedelta(days=DEFAULT_DAYS[Category.DECISIONS] + 1)
    superuser(f"UPDATE consent_decision SET at = '{long_ago.isoformat()}' WHERE id = {decision.pk}")
    return decision


def test_a_project_whose_data_cannot_be_destroyed_holds_up_no_other(superuser: Superuser) -> None:
    stuck, fine = make_world(), make_world()
    kept, due = age_decisions(superuser, stuck), age_decisions(superuser, fine)
    # A term that the database does not grant, as a row from elsewhere could hold it.
    policy = RetentionPolicy.objects.create(project=stuck.project, category=Category.DECISIONS.value, days=7)
    with structlog.testing.capture_logs() as logged:
        retention.sweep()
    policy.delete()
    assert Decision.objects.filter(pk=kept.pk).exists()
    assert not Decision.objects.filter(pk=due.pk).exists()
    failed = [entry for entry in logged if entry["event"] == "retention_failed"]
    assert [(entry["project"], entry["holder"]) for entry in failed] == [(stuck.project.code, "decisions")]
    retention.sweep_project(stuck.project)
    assert not Decision.objects.filter(pk=kept.pk).exists()


def test_no_project_sets_the_term_of_who_signed_in_and_the_sweep_ends_it_once() -> None:
    world = make_world()
    make_world()
    with pytest.raises(InvalidRecord):
        retention.set_policy(world.project, Category.STAFF_ACCESS, 0, actor=ACTOR)
    RetentionPolicy.objects.create(project=world.project, category=Category.STAFF_ACCESS.value, days=0)
    assert terms.days_for(world.project, Category.STAFF_ACCESS) == INSTALLATION_DAYS[Category.STAFF_ACCESS]
    locked_out, old = (
        AccessAttempt.objects.create(username=name, ip_address="192.0.2.1", user_agent="u", failures_since_start=8)
        for name in ("locked out", "old")
    )
    past = timezone.now() - timedelta(days=INSTALLATION_DAYS[Category.STAFF_ACCESS] + 1)
    AccessAttempt.objects.filter(pk=old.pk).update(attempt_time=past)
    swept = [item for item in retention.sweep() if item.holder == "staff_access"]
    assert AccessAttempt.objects.filter(pk=locked_out.pk).exists()
    assert not AccessAttempt.objects.filter(pk=old.pk).exists()
    assert [item.project for item in swept] == [""]
    locked_out.delete()


def test_the_salts_of_a_decision_go_with_it(superuser: Superuser) -> None:
    world = make_world()
    decision = age_decisions(superuser, world)
    assert EventReference.objects.filter(log=world.organization.code, code=decision.code).exists()
    retention.sweep_project(world.project)
    assert not Decision.objects.filter(pk=decision.pk).exists()
    assert not EventReference.objects.filter(log=world.organization.code, code=decision.code).exists()


def test_the_sweep_destroys_decisions_past_their_term_and_says_why(superuser) -> None:  # type: ignore[no-untyped-def]
    world = make_world()
    for _ in range(2):
        with pytest.raises(ConsentDenied):
            gate.require(world.ask(Scope.TRANSCRIBE), action=Action.READ, actor=ACTOR)
    old, fresh = Decision.objects.filter(project=world.project).order_by("id")
    long_ago = timezone.now() - timedelta(days=DEFAULT_DAYS[Category.DECISIONS] + 1)
    superuser(f"UPDATE consent_decision SET at = '{long_ago.isoformat()}' WHERE id = {old.pk}")

    swept = retention.sweep_project(world.project)

    assert [(item.project, item.holder, item.destroyed) for item in swept] == [(world.project.code, "decisions", 1)]
    assert list(Decision.objects.filter(project=world.project)) == [fresh]
    event = Event.objects.filter(log=world.organization.code).latest("id")
    assert event.name == "consent:retention:destroyed"
    assert b"kept for 1095 days" in bytes(event.entry)


def test_the_database_refuses_to_prune_fresh_decisions() -> None:
    from django.db import Error, connection

    world = make_world()
    with pytest.raises(Error, match="at least 30 days"), connection.cursor() as cursor:
        cursor.execute("SELECT consent_prune_old_decisions(%s, now(), 10)", [world.project.pk])


def test_configuration_cannot_exceed_a_cap_of_the_law() -> None:
    texas = make_world(scopes=[Scope.IDENTIFY], jurisdictions=["US-TX"])
    illinois = make_world(scopes=[Scope.IDENTIFY], jurisdictions=["US-IL", "DE"])
    germany = make_world(scopes=[Scope.IDENTIFY], jurisdictions=["DE"])
    for world, longest in ((texas, 365), (illinois, 3 * 365)):
        with pytest.raises(InvalidRecord) as refused:
            retention.set_policy(world.project, Category.VOICEPRINTS, longest + 1, actor=ACTOR)
        assert refused.value.field == "days"
        retention.set_policy(world.project, Category.VOICEPRINTS, longest, actor=ACTOR)
        assert terms.days_for(world.project, Category.VOICEPRINTS) == longest
    retention.set_policy(germany.project, Category.VOICEPRINTS, 2000, actor=ACTOR)


def test_a_purpose_whose_place_nobody_states_is_capped_by_the_strictest_law() -> None:
    world = make_world(scopes=[Scope.IDENTIFY])
    with pytest.raises(InvalidRecord, match=r"503\.001"):
        retention.set_policy(world.project, Category.VOICEPRINTS, 366, actor=ACTOR)


def test_a_cap_that_comes_later_holds_against_the_policy_that_was_there() -> None:
    world = make_world(scopes=[Scope.IDENTIFY], jurisdictions=["DE"])
    retention.set_policy(world.project, Category.VOICEPRINTS, 2000, actor=ACTOR)
    publishing.create_purpose(
        world.project,
        name="in Texas too",
        series=world.notice.series,
        lawful_basis=LawfulBasis.CONSENT,
        scopes=[Scope.IDENTIFY],
        contexts=[Context.SUPPORT],
        processing=replace(PROCESSING, jurisdictions=["US-TX"]),
        dpia_reference="DPIA 2026/8",
        actor=ACTOR,
    )
    assert terms.days_for(world.project, Category.VOICEPRINTS) == 365


def test_a_published_schedule_is_read_by_anyone_and_follows_every_change() -> None:
    world = make_world()
    officer = Caller(world.project, Role.DATA_PROTECTION_OFFICER)
    page = f"/policies/{world.project.code}/retention"
    assert Nobody().get(page).status == 404
    retention.set_policy(world.project, Category.RESULTS, 100, actor=ACTOR)
    assert Nobody().get(page).status == 404
    made = officer.post("/v1/retention-schedule")
    assert (made.status, made.body["version"]) == (201, 1), made
    assert Nobody().get(page).body == made.body
    retention.set_policy(world.project, Category.RESULTS, 30, actor=ACTOR)
    shown = Nobody().get(page).body
    assert shown["version"] == 2
    assert {"category": "results", "days": 30} in shown["terms"]
    assert Nobody().post(page).status == 405
    assert Nobody().get(f"/policies/{make_world().project.code}/retention").status == 404


def test_bipa_opens_voiceprints_once_the_schedule_is_published() -> None:
    world = make_world()
    until = timezone.now() + timedelta(days=300)
    world.consent(Scope.IDENTIFY, evidence_method=EvidenceMethod.WRITTEN_RELEASE, expires_at=until)
    asked = world.ask(Scope.IDENTIFY, jurisdiction="US-IL")
    assert [denial.rule for denial in gate.evaluate(asked).denials] == ["bipa-15-a"]
    schedule.publish(world.project, actor=ACTOR)
    assert gate.evaluate(asked).allowed


def test_a_published_schedule_never_changes() -> None:
    from django.db import Error, connection

    schedule.publish(make_world().project, actor=ACTOR)
    for statement in ("UPDATE consent_retentionschedule SET version = 9", "DELETE FROM consent_retentionschedule"):
        with pytest.raises(Error, match="permission denied"), connection.cursor() as cursor:
            cursor.execute(statement)
