"""Retention: how long each category of data is kept, and the sweep that destroys what is due and records why."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import Project
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import inventory
from consent.errors import InvalidRecord
from consent.inventory import DEFAULT_DAYS, Category
from consent.models import RetentionPolicy

ACTOR = trail.system("retention")
BATCH = 200
MAX_DAYS = 10 * 365


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep destroyed in one project."""

    project: str
    holder: str
    destroyed: int


def days_for(project: Project, category: Category) -> int | None:
    """Days that the category is kept in the project; None where only erasure ends it."""
    policy = RetentionPolicy.objects.filter(project=project, category=category.value).first()
    return policy.days if policy is not None else DEFAULT_DAYS.get(category)


@transaction.atomic
def set_policy(project: Project, category: Category, days: int, *, actor: Actor) -> RetentionPolicy:
    """Sets how long a project keeps a category. Raises `InvalidRecord` for a category that has no term or a silly term."""
    if category not in DEFAULT_DAYS:
        raise InvalidRecord("category", f"{category} ends by erasure only")
    if not 0 <= days <= MAX_DAYS:
        raise InvalidRecord("days", f"must be between 0 and {MAX_DAYS}")
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
    return policy


def sweep() -> list[Swept]:
    """Destroys everything that is due, in batches, each with its event in one transaction. Safe to stop and run again."""
    return list(_sweep())


def _sweep() -> Iterator[Swept]:
    for project in Project.objects.select_related("organization").order_by("id"):
        for holder in inventory.holders():
            days = days_for(project, holder.category)
            if days is None:
                continue
            due = timezone.now() - timedelta(days=days)
            total = 0
            while True:
                with transaction.atomic():
                    went = holder.destroy_due(project.pk, due, BATCH)
                    if went:
                        _record(project, holder.name, days, went)
                total += went
                if went < BATCH:
                    break
            if total:
                yield Swept(project.code, holder.name, total)


def _record(project: Project, holder: str, days: int, went: int) -> None:
    trail.record(
        EventName.RETENTION_DESTROYED,
        organization=project.organization.code,
        actor=ACTOR,
        objects=[Reference(ObjectKind.PROJECT, project.code)],
        reason=f"kept for {days} days",
        detail={"holder": holder, "destroyed": went},
    )
