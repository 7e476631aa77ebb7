"""What people do from the admin: one permission, one form, one call of a domain function. `governed_admin` puts acts on pages.

An act never writes by itself. Its form offers only rows on whose project the person holds the act's permission.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from django import forms
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from accounts.access import actor_of, projects_with
from accounts.models import Project, User
from accounts.roles import Permission
from audit.entry import Actor


def visible_rows(rows: QuerySet[Any], user: object, permission: Permission) -> QuerySet[Any]:
    """The rows of projects on which `user` holds `permission`. A model whose project is unknown has no rows to show."""
    projects = projects_with(user, permission)
    if rows.model is Project:
        return rows.filter(pk__in=projects)
    path = getattr(rows.model, "project_path", "project")
    head = path.split("__")[0]
    if head not in {found.name for found in rows.model._meta.get_fields()}:
        return rows.none()
    return rows.filter(**{f"{path}__in": projects})


def project_id_of(row: Any) -> int:
    """The project that a row belongs to, by its model's `project_path`."""
    if isinstance(row, Project):
        return row.pk
    *way, last = getattr(row, "project_path", "project").split("__")
    for step in way:
        row = getattr(row, step)
    return int(getattr(row, f"{last}_id"))


class ActForm(forms.Form):
    """A form whose choices of rows are filled from what the person may use, never from the whole table.

    `target` is the object that the act is about, where there is one; its project then limits every choice.
    """

    use_required_attribute = False

    def __init__(self, *args: Any, user: User, permission: Permission, target: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.target = target
        self.permission = permission
        for choice in self.fields.values():
            if isinstance(choice, forms.ModelChoiceField):
                choice.queryset = self.rows(choice.queryset)
        if "project" in self.fields and target is None:
            projects = list(cast("forms.ModelChoiceField[Project]", self.fields["project"]).queryset or [])
            if len(projects) == 1:
                self.initial.setdefault("project", projects[0])

    def rows(self, rows: QuerySet[Any] | None) -> QuerySet[Any] | None:
        """What a choice offers. A form may narrow this further, never widen it."""
        if rows is None:
            return None
        found = visible_rows(rows.model._default_manager.all(), self.user, self.permission)
        if self.target is not None and rows.model is not Project:
            path = getattr(rows.model, "project_path", "project")
            found = found.filter(**{path: project_id_of(self.target)})
        return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an act did: a sentence, where to go next, and what is shown this once and never again."""

    message: str
    target: Model | None = None
    shown_once: Sequence[tuple[str, str]] = ()


Perform = Callable[[Any, Mapping[str, Any], Actor], Outcome]


def _always(_: Any) -> bool:
    return True


def _nothing(_: Any) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a person may do. `name` stands in the address, `label` on the button.

    `perform(target, cleaned data, actor)` makes the one domain call; `target` is None for an act of a list. `applies` says
    whether the act makes sense for an object now; the domain function remains the judge. `at_once` leaves out the
    confirmation page.
    """

    name: str
    label: str
    title: str
    permission: Permission
    perform: Perform
    form: type[ActForm] = ActForm
    explanation: str = ""
    applies: Callable[[Any], bool] = _always
    initial: Callable[[Any], Mapping[str, Any]] = field(default=_nothing)
    grave: bool = False
    at_once: bool = False
    confirm_label: str = ""


def person(request: HttpRequest) -> User:
    """The signed-in person. The admin lets nobody else in."""
    assert isinstance(request.user, User)
    return request.user


def actor(request: HttpRequest) -> Actor:
    return actor_of(person(request))


def held_projects(request: HttpRequest, permission: Permission) -> frozenset[int]:
    """Ids of the projects on which the person holds `permission`, asked once per request."""
    known: dict[Permission, frozenset[int]] = request.__dict__.setdefault("_held_projects", {})
    if permission not in known:
        known[permission] = frozenset(projects_with(request.user, permission).values_list("pk", flat=True))
    return known[permission]
