"""What the models of this room and of those above it share."""

from typing import Any, ClassVar, Self

from django.db import models

from accounts.access import projects_with
from accounts.roles import Permission


class ScopedQuerySet(models.QuerySet[Any]):
    """Rows of projects in which the viewer holds the model's `view_permission`; nothing when unsure."""

    project_path: ClassVar[str] = "project"

    def visible_to(self, user: Any) -> Self:
        permission: Permission = self.model.view_permission
        path: str = getattr(self.model, "project_path", "project")
        return self.filter(**{f"{path}__in": projects_with(user, permission)})


def choices(words: Any) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in words]
