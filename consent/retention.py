"""Retention: setting how long each category of data is kept, and the sweep that destroys what is due and records why. What term is
in force is in `terms`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from accounts.models import Project
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import inventory, schedule
from consent.errors import InvalidRecord
from consent.inventory import (
    DEFAULT_DAYS,
    INSTALLATION_DAYS,
    LEAST_DAYS,
    Category,
    InstallationHolder,
    PurposeHolder,
)
from consent.models import Purpose, RetentionPolicy
from consent.processing import DAYS
from consent.terms import caps_for, days_for
from consent.vocabulary import RetentionClass

ACTOR = trail.system("retention")
BATCH = 200
MAX_DAYS = 10 * 365
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep destroyed in one project; `project` is empty for what belongs to the installation."""

    project: str
    holder: str
    destroyed: int


@transaction.atomic
def set_policy(project: Project, category: Category, days: int, *, actor: Actor) -> RetentionPolicy:
    """Sets how long a project keeps a category. Raises `InvalidRecord` for a category that has no term of its own, or a term
    that is silly, shorter than the category may have or longer than the law lets it be."""
    if category in INSTALLATION_DAYS:
        raise InvalidRecord("category", f"the term of {category} is the installation's, not a project's")
    if category not in DEFAULT_DAYS:
        raise InvalidRecord("category", f"{category} ends by erasure only")
    least = LEAST_DAYS.get(category, 0)
    if not least <= days <= MAX_DAYS:
        raise InvalidRecord("days", f"must be between {least} and {MAX_DAYS}")
    for cap in caps_for(project, category):
        if days > cap.days:
            raise InvalidRecord("days", f"at most {cap.days} ({cap.citation})")
    policy, _ = RetentionPolicy.objects.update_or_create(
        project=project, category=category.value, defaults={"days": days}
    )
    trail.record(
        EventName.RETENTION_POLICY_CHANGED,
        organization=project.organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.POLICY, category.value), Reference(ObjectKind.PROJECT, project.code)],
        detail={"category": category.value, "days": days},
    )
    schedule.republish_if_published(project, actor=actor)
    return policy


def sweep() -> list[Swept]:
    """Destroys everything that is due, in batches, each with its event in one transaction. Safe to stop and run again.

    What cannot be destroyed in one project is logged and tried again by the next sweep; it holds up nothing else.
    """
    projects = Project.objects.select_related("organization").order_by("id")
    return [*_sweep_installation(), *(swept for project in projects for swept in sweep_project(project))]


def sweep_project(project: Project) -> list[Swept]:
    """The part of a sweep that is one project's."""
    return list(_sweep_project(project))


def _sweep_installation() -> Iterator[Swept]:
    for holder in inventory.holders():
        if isinstance(holder, InstallationHolder):
            yield from _guarded("", INSTALLATION_DAYS[holder.category], holder.name, holder.destroy_due_everywhere)


def _sweep_project(project: Project) -> Iterator[Swept]:
    for holder in inventory.holders():
        days = days_for(project, holder.category)
        if days is not None and holder.category not in INSTALLATION_DAYS:
            destroy = partial(_destroy, project, holder.name, days, partial(holder.destroy_due, project.pk))
            yield from _guarded(project.code, days, holder.name, destroy)
        if isinstance(holder, PurposeHolder):
            yield from _by_purpose(project, holder, days)


def _by_purpose(project: Project, holder: PurposeHolder, days: int | None) -> Iterator[Swept]:
    """What a purpose's retention class ends sooner than the project's term."""
    for purpose, kind in Purpose.objects.filter(project=project).order_by("id").values_list("pk", "retention_class"):
        most = DAYS[RetentionClass(kind)]
        if days is None or most < days:
            destroy = partial(_destroy, project, holder.name, most, partial(holder.destroy_due_of, purpose))
            yield from _guarded(project.code, most, holder.name, destroy)


def _guarded(project: str, days: int, holder: str, destroy: Callable[[datetime, int], int]) -> Iterator[Swept]:
    """Batch by batch until nothing due is left, or until one fails: that batch rolls back, the others stay."""
    due = timezone.now() - timedelta(days=days)
    total = 0
    try:
        while True:
            with transaction.atomic():
                went = destroy(due, BATCH)
            total += went
            if went < BATCH:
                break
    except Exception as error:
        log.error("retention_failed", project=project, holder=holder, error=type(error).__name__)
    if total:
        if not project:
            log.info("retention_destroyed", holder=holder, destroyed=total, days=days)
        yield Swept(project, holder, total)


def _destroy(project: Project, holder: str, days: int, destroy: Callable[[datetime, int], int], *batch: Any) -> int:
    went = destroy(*batch)
    if went:
        _record(project, holder, days, went)
    return went


def _record(project: Project, holder: str, days: int, went: int) -> None:
    trail.record(
        EventName.RETENTION_DESTROYED,
        organization=project.organization.code,
        actor=ACTOR,
        objects=[Reference(ObjectKind.PROJECT, project.code)],
        reason=f"kept for {days} days",
        detail={"holder": holder, "destroyed": went},
    )
