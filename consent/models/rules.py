"""What a project lays upon itself besides the law."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Project
from accounts.roles import Permission
from consent.models.scoping import ScopedQuerySet


class RuleSet(models.Model):
    """The own rules of one project, as they are now; what they were is on the trail. `version` rises with each change and stands in
    the name of the rule set that decisions give."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    project = models.OneToOneField(Project, on_delete=models.PROTECT, related_name="rule_set")
    version = models.IntegerField(default=0)
    rules = ArrayField(models.CharField(max_length=48), default=list)
    changed_at = models.DateTimeField()

    objects = ScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return ", ".join(self.rules)
