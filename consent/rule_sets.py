"""The rule set of a project: the law's rules, which nobody chooses, and the rules that the project lays upon itself besides.

Changing it moves the policy epoch, so that what runs is judged again before it commits. What a change would close can be seen
before, in `what_if`. A restored backup gets back the rules that it lost, from the journal, and loses none.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.utils import timezone

from accounts.membership import move_policy_epoch
from accounts.models import Organization, Project
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import law
from consent.errors import InvalidRecord
from consent.models import RuleSet
from vault import journal

RULES: Final = "rule-set"
"""What the journal calls a change."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a project is judged by: the name of the set, as decisions give it, and the ids of the project's own rules."""

    name: str
    own: tuple[str, ...]
    changed_at: datetime | None


def of(project: Project) -> Rules:
    found = RuleSet.objects.filter(project=project).first()
    if found is None:
        return Rules(law.rule_set_name(0), (), None)
    return Rules(law.rule_set_name(found.version), tuple(found.rules), found.changed_at)


def choose(project: Project, own: Collection[str], *, actor: Actor) -> Rules:
    """Makes exactly these the project's own rules, effective at this commit. Raises `InvalidRecord` for one that there is not."""
    wanted = require_known(own)
    with transaction.atomic():
        Organization.objects.select_for_update(no_key=True).get(pk=project.organization_id)
        row = RuleSet.objects.select_for_update(no_key=True).filter(project=project).first()
        before = [] if row is None else list(row.rules)
        if before == wanted:
            return of(project)
        row = row or RuleSet(project=project)
        row.version += 1
        row.rules = wanted
        row.changed_at = timezone.now()
        row.save()
        move_policy_epoch(project.organization_id)
        journal.note(RULES, {"project": project.code, "rules": wanted})
        trail.record(
            EventName.RULE_SET_CHANGED,
            organization=project.organization.code,
            actor=actor,
            objects=[Reference(ObjectKind.POLICY, RULES), Reference(ObjectKind.PROJECT, project.code)],
            detail={
                "added": sorted(set(wanted) - set(before)),
                "removed": sorted(set(before) - set(wanted)),
                "rule_set": law.rule_set_name(row.version),
            },
        )
    return of(project)


def require_known(own: Collection[str]) -> list[str]:
    """Raises `InvalidRecord` for the id of a rule that is not there to be chosen; the law's are in force without."""
    unknown = sorted(set(own) - set(law.OWN))
    if unknown:
        raise InvalidRecord("rules", f"there is no such rule to choose: {', '.join(unknown)}")
    return sorted(set(own))


def choose_again(project: str, own: Collection[str], at: datetime, *, actor: Actor) -> bool:
    """For a restored backup: lays the rules of that time upon the project again, unless it chose since. Takes none away."""
    found = Project.objects.select_related("organization").filter(code=project).first()
    if found is None:
        return False
    now = of(found)
    if now.changed_at is not None and now.changed_at >= at:
        return False
    both = sorted({*now.own, *(rule for rule in own if rule in law.OWN)})
    if both == sorted(now.own):
        return False
    choose(found, both, actor=actor)
    return True
