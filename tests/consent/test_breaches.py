"""The register of breaches, from the text of GDPR art. 33 and 34: 72 hours, what is stated, who is told; and nothing is undone."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import Error, connection, transaction
from django.utils import timezone

from accounts.roles import Role
from audit import outside
from audit.events import EventName
from consent import breaches, inventory, retention
from consent.breaches import Clock, Facts
from consent.errors import BreachAmended, InvalidRecord
from consent.inventory import Category
from consent.models import Breach, BreachRevision
from consent.vocabulary import BreachKind, BreachRisk, BreachText, NotTold, ParticipantRole
from tests.callers import Caller
from tests.factories import ACTOR, World
from tests.people import events
from vault import shredding
from vault.errors import KeyShredded

HOUR = timedelta(hours=1)
NATURE = "A laptop of Wilhelmina Quartz was stolen."
TEXTS = {
    BreachText.NATURE: NATURE,
    BreachText.CONSEQUENCES: "Words of calls could be read.",
    BreachText.MEASURES: "Keys were shredded.",
    BreachText.CONTACT: "dpo@example.com",
}


def facts(ago: timedelta = HOUR, **more: Any) -> Facts:
    return Facts(aware_at=timezone.now() - ago, kinds=(BreachKind.CONFIDENTIALITY,), **more)


def everything(ago: timedelta = HOUR, **more: Any) -> Facts:
    whole: dict[str, Any] = {
        "people": (ParticipantRole.CUSTOMER,),
        "people_count": 40,
        "data_categories": (Category.RESULTS,),
        "records_count": 400,
        "risk": BreachRisk.RISK,
        "authority_notified_at": timezone.now(),
        "texts": TEXTS,
    }
    return facts(ago, **{**whole, **more})


def register(world: World, known: Facts) -> Breach:
    return breaches.register(world.project, known, actor=ACTOR)


def where(breach: Breach) -> Clock:
    return breaches.clock(breaches.newest(breach), timezone.now())


def asked_for(breach: Breach) -> set[str]:
    return {point.article for point in breaches.open_points(breaches.newest(breach), timezone.now())}


# Art. 33(1): 72 hours


@pytest.mark.parametrize(
    ("known", "clock"),
    [
        (lambda: facts(71 * HOUR), Clock.RUNNING),
        (lambda: facts(73 * HOUR), Clock.OVERDUE),
        (lambda: facts(73 * HOUR, risk=BreachRisk.UNLIKELY), Clock.NOT_NEEDED),
        (lambda: facts(400 * HOUR, authority_notified_at=timezone.now() - 330 * HOUR), Clock.TOLD_IN_TIME),
        (
            lambda: facts(
                400 * HOUR, authority_notified_at=timezone.now(), texts={BreachText.DELAY_REASON: "Found late."}
            ),
            Clock.TOLD_LATE,
        ),
    ],
)
def test_the_authority_is_told_within_72_hours_of_knowing_unless_a_risk_is_unlikely(
    world: World, known: Callable[[], Facts], clock: Clock
) -> None:
    assert where(register(world, known())) is clock


def test_the_72_hours_end_at_their_exact_instant(world: World) -> None:
    revision = breaches.newest(register(world, facts()))
    end = breaches.due_at(revision)
    assert end - revision.aware_at == timedelta(hours=72)
    assert breaches.clock(revision, end) is Clock.RUNNING
    assert breaches.clock(revision, end + timedelta(microseconds=1)) is Clock.OVERDUE


def test_a_late_notification_wants_the_reasons_for_the_delay(world: World) -> None:
    with pytest.raises(InvalidRecord) as refused:
        register(world, facts(73 * HOUR, authority_notified_at=timezone.now()))
    assert refused.value.field == "delay_reason"


def test_what_is_overdue_is_said_on_the_trail_once(world: World) -> None:
    late, early = register(world, facts(73 * HOUR)), register(world, facts())
    register(world, facts(73 * HOUR, risk=BreachRisk.UNLIKELY))
    assert breaches.sweep() >= 1
    breaches.sweep()
    (event,) = events(world, EventName.BREACH_OVERDUE)
    assert late.code.encode() in bytes(event.entry)
    assert Breach.objects.get(pk=late.pk).overdue_recorded_at is not None
    assert Breach.objects.get(pk=early.pk).overdue_recorded_at is None


# Art. 33(3) and 33(4): what is stated, in phases


def test_what_is_not_known_yet_is_asked_for_and_may_follow(world: World) -> None:
    breach = register(world, facts())
    assert asked_for(breach) == {"33(1)", "33(3)(a)", "33(3)(b)", "33(3)(c)", "33(3)(d)"}
    whole = everything()
    changes = {
        name: getattr(whole, name) for name in ("people", "people_count", "data_categories", "records_count", "risk")
    }
    breaches.amend(breach, {**changes, "texts": TEXTS}, actor=ACTOR)
    assert asked_for(breach) == {"33(1)"}
    breaches.amend(breach, {"authority_notified_at": timezone.now()}, actor=ACTOR)
    assert asked_for(breach) == set()
    assert [row.number for row in breach.revisions.order_by("number")] == [1, 2, 3]
    assert len(events(world, EventName.BREACH_AMENDED)) == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kinds": ()}, "kinds"),
        ({"aware_at": timezone.now() + timedelta(days=1)}, "aware_at"),
        ({"authority_notified_at": timezone.now() - timedelta(days=9)}, "authority_notified_at"),
        ({"persons_notified_at": timezone.now() + timedelta(days=1)}, "persons_notified_at"),
        ({"people_count": -1}, "people_count"),
        ({"texts": {BreachText.NATURE: "x" * 4001}}, "nature"),
        ({"not_told": NotTold.UNINTELLIGIBLE}, "not_told_reason"),
        ({}, "changes"),
    ],
)
def test_what_cannot_be_true_is_refused_and_nothing_is_entered(
    world: World, change: dict[str, Any], field: str
) -> None:
    breach = register(world, facts())
    with pytest.raises(InvalidRecord) as refused:
        breaches.amend(breach, change, actor=ACTOR)
    assert field in {name for name, _ in refused.value.problems}
    assert breach.revisions.count() == 1


def test_two_who_amend_at_once_do_not_overwrite_each_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    breach = register(world, facts())
    before = breaches.newest(breach)
    breaches.amend(breach, {"people_count": 5}, actor=ACTOR)
    answers = [before]
    real = breaches.newest
    monkeypatch.setattr(breaches, "newest", lambda row: answers.pop() if answers else real(row))
    with pytest.raises(BreachAmended):
        breaches.amend(breach, {"people_count": 7}, actor=ACTOR)
    assert real(breach).people_count == 5


# Art. 34: the people


def test_at_a_high_risk_the_people_are_told_or_it_is_said_why_not(world: World) -> None:
    breach = register(world, everything(risk=BreachRisk.HIGH))
    assert asked_for(breach) == {"34(1)"}
    breaches.amend(
        breach,
        {"not_told": NotTold.UNINTELLIGIBLE, "texts": {BreachText.NOT_TOLD_REASON: "All of it was sealed."}},
        actor=ACTOR,
    )
    assert asked_for(breach) == set()
    told = register(world, everything(risk=BreachRisk.HIGH, persons_notified_at=timezone.now()))
    assert asked_for(told) == set()


# What is said in words


def test_words_lie_sealed_and_are_read_on_the_trail_only(world: World) -> None:
    breach = register(world, everything())
    with connection.cursor() as cursor:
        cursor.execute("SELECT r::text FROM consent_breachrevision AS r WHERE breach_id = %s", [breach.pk])
        stored = cursor.fetchone()[0]
        cursor.execute("SELECT texts FROM consent_breachrevision WHERE breach_id = %s", [breach.pk])
        sealed = bytes(cursor.fetchone()[0])
    assert "Quartz" not in stored
    assert b"Quartz" not in sealed
    assert not events(world, EventName.BREACH_READ)
    assert breaches.read(breach, actor=ACTOR) == TEXTS
    assert len(events(world, EventName.BREACH_READ)) == 1
    for name in (EventName.BREACH_REGISTERED, EventName.BREACH_READ):
        assert all(b"Quartz" not in bytes(event.entry) for event in events(world, name))


def test_an_amendment_keeps_what_was_said_and_takes_away_what_is_emptied(world: World) -> None:
    breach = register(world, everything())
    breaches.amend(breach, {"texts": {BreachText.MEASURES: " ", BreachText.CONTACT: "+1"}}, actor=ACTOR)
    said = breaches.opened(breaches.newest(breach))
    assert said == {
        **{name: text for name, text in TEXTS.items() if name is not BreachText.MEASURES},
        BreachText.CONTACT: "+1",
    }
    first = breach.revisions.select_related("breach__project__organization").get(number=1)
    assert breaches.opened(first) == TEXTS


def test_when_the_term_of_the_register_is_over_words_go_and_the_rest_stays(world: World) -> None:
    old, amended = register(world, everything()), register(world, everything())
    due = timezone.now()
    breaches.amend(amended, {"people_count": 9}, actor=ACTOR)
    (holder,) = [one for one in inventory.holders() if one.category is Category.BREACHES]
    with transaction.atomic():
        assert holder.destroy_due(world.project.pk, due, 10) == 1
        assert holder.destroy_due(world.project.pk, due, 10) == 0
    shredding.carry_out_orders()
    assert breaches.read(old, actor=ACTOR) is None
    with pytest.raises(KeyShredded):
        breaches.amend(old, {"people_count": 9}, actor=ACTOR)
    assert breaches.newest(old).people_count == 40
    assert breaches.read(amended, actor=ACTOR) == TEXTS


def test_a_term_shorter_than_an_authority_may_ask_is_refused(world: World) -> None:
    with pytest.raises(InvalidRecord):
        retention.set_policy(world.project, Category.BREACHES, 364, actor=ACTOR)


# Append-only


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consent_breachrevision SET risk = 'unlikely'",
        "UPDATE consent_breachrevision SET aware_at = now()",
        "DELETE FROM consent_breachrevision",
        "DELETE FROM consent_breach",
        "UPDATE consent_breach SET registered_at = now()",
    ],
)
def test_the_application_changes_nothing_that_was_known(world: World, statement: str) -> None:
    register(world, facts())
    with pytest.raises(Error, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_that_a_breach_was_overdue_is_never_taken_back(world: World) -> None:
    breach = register(world, facts(73 * HOUR))
    breaches.sweep()
    with pytest.raises(Error, match="cannot be changed"), transaction.atomic():
        Breach.objects.filter(pk=breach.pk).update(overdue_recorded_at=None)


# Over HTTP


def test_a_breach_is_registered_amended_listed_and_read_over_http(world: World) -> None:
    officer = Caller(world.project, Role.DATA_PROTECTION_OFFICER)
    body = {
        "aware_at": (timezone.now() - 73 * HOUR).isoformat(),
        "kinds": ["confidentiality", "availability"],
        "texts": {"nature": NATURE},
    }
    made = officer.post("/v1/breaches", body)
    assert made.status == 201, made
    assert (made.body["clock"], made.body["overdue"], made.body["revision"]) == ("overdue", True, 1)
    assert b"Quartz" not in made.content
    path = f"/v1/breaches/{made.body['code']}"
    late = officer.post(f"{path}/revisions", {"authority_notified_at": timezone.now().isoformat()})
    assert (late.status, late.body["errors"][0]["field"]) == (422, "delay_reason"), late
    amended = officer.post(
        f"{path}/revisions",
        {"authority_notified_at": timezone.now().isoformat(), "texts": {"delay_reason": "It was found on Friday."}},
    )
    assert (amended.status, amended.body["clock"], amended.body["revision"]) == (201, "told_late", 2), amended
    listed = officer.get("/v1/breaches")
    assert [row["code"] for row in listed.body["results"]] == [made.body["code"]]
    assert b"Quartz" not in listed.content
    read = officer.get(path)
    assert read.body["texts"] == {"nature": NATURE, "delay_reason": "It was found on Friday."}
    assert [step["revision"] for step in read.body["history"]] == [1, 2]
    assert len(events(world, EventName.BREACH_READ)) == 1


def test_a_breach_is_registered_while_the_service_is_closed(world: World) -> None:
    officer = Caller(world.project, Role.DATA_PROTECTION_OFFICER)
    outside.close(["for the test"])
    try:
        body = {"aware_at": timezone.now().isoformat(), "kinds": ["integrity"]}
        assert officer.post("/v1/breaches", body).status == 201
    finally:
        outside.open_again()


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.DATA_PROTECTION_OFFICER])
def test_only_the_protection_officer_keeps_the_register(world: World, role: Role) -> None:
    caller = Caller(world.project, role)
    assert caller.get("/v1/breaches").status == 403
    assert caller.post("/v1/breaches", {"aware_at": timezone.now().isoformat(), "kinds": ["integrity"]}).status == 403
    assert not BreachRevision.objects.filter(breach__project=world.project).exists()
