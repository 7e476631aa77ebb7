"""How long a project keeps a category of data: its policy or the default, and never longer than the law lets it."""

from accounts.models import Project
from consent.inventory import DEFAULT_DAYS, INSTALLATION_DAYS, Category
from consent.law import biometrics
from consent.law.biometrics import Cap
from consent.law.places import UNKNOWN
from consent.models import Purpose, RetentionPolicy
from consent.vocabulary import Scope


def days_for(project: Project, category: Category) -> int | None:
    """Days that the category is kept in the project: the policy, or the default, and no longer than any cap that the law sets.

    None where only erasure ends it.
    """
    if category in INSTALLATION_DAYS:
        return INSTALLATION_DAYS[category]
    policy = RetentionPolicy.objects.filter(project=project, category=category.value).first()
    days = policy.days if policy is not None else DEFAULT_DAYS.get(category)
    return None if days is None else min([days, *(cap.days for cap in caps_for(project, category))])


def caps_for(project: Project, category: Category) -> tuple[Cap, ...]:
    """The law's caps on the category in the places that the project's purposes are meant for, the shortest first."""
    if not biometrics.is_capped(category):
        return ()
    purposes = Purpose.objects.filter(project=project, scopes__contains=[Scope.IDENTIFY.value])
    places: set[str] = set()
    for jurisdictions in purposes.values_list("jurisdictions", flat=True):
        places |= set(jurisdictions) or {UNKNOWN}
    return biometrics.caps(category, places)
