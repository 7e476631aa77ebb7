"""Retention: sane defaults, a policy per project and category, and events that say why something went."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import Event
from consent import gate, retention
from consent.errors import ConsentDenied, InvalidRecord
from consent.inventory import DEFAULT_DAYS, Category
from consent.models import Decision
from consent.vocabulary import Action, Scope
from tests.factories import ACTOR, make_world


def test_a_project_without_a_policy_has_the_default() -> None:
    world = make_world()
    assert retention.days_for(world.project, Category.RESULTS) == DEFAULT_DAYS[Category.RESULTS]
    retention.set_policy(world.project, Category.RESULTS, 7, actor=ACTOR)
    assert retention.days_for(world.project, Category.RESULTS) == 7


def test_a_term_for_what_only_erasure_ends_is_refused_and_so_is_a_silly_one() -> None:
    world = make_world()
    for category, days in ((Category.IDENTITY, 10), (Category.RESULTS, -1), (Category.RESULTS, 10**6)):
        with pytest.raises(InvalidRecord):
            retention.set_policy(world.project, category, days, actor=ACTOR)


def test_the_sweep_destroys_decisions_past_their_term_and_says_why(superuser) -> None:  # type: ignore[no-untyped-def]
    world = make_world()
    for _ in range(2):
        with pytest.raises(ConsentDenied):
            gate.require(world.ask(Scope.TRANSCRIBE), action=Action.READ, actor=ACTOR)
    old, fresh = Decision.objects.filter(project=world.project).order_by("id")
    long_ago = timezone.now() - timedelta(days=DEFAULT_DAYS[Category.DECISIONS] + 1)
    superuser(f"UPDATE consent_decision SET at = '{long_ago.isoformat()}' WHERE id = {old.pk}")

    swept = [item for item in retention.sweep() if item.project == world.project.code]

    assert [(item.holder, item.destroyed) for item in swept] == [("decisions", 1)]
    assert list(Decision.objects.filter(project=world.project)) == [fresh]
    event = Event.objects.filter(log=world.organization.code).latest("id")
    assert event.name == "consent:retention:destroyed"
    assert b"kept for 1095 days" in bytes(event.entry)


def test_the_database_refuses_to_prune_fresh_decisions() -> None:
    from django.db import Error, connection

    world = make_world()
    with pytest.raises(Error, match="at least 30 days"), connection.cursor() as cursor:
        cursor.execute("SELECT consent_prune_old_decisions(%s, now(), 10)", [world.project.pk])
