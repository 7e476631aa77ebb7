"""What the gate decided. Append-only."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from accounts.models import Project
from accounts.roles import Permission
from consent.models.scoping import ScopedQuerySet
from vault.codes import new_code


class Decision(models.Model):
    """The gate's recorded answer. Append-only; rows about an erased person go with their data."""

    view_permission: ClassVar = Permission.VIEW_DECISION

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="decisions")
    action = models.CharField(max_length=16)
    object_code = models.CharField(max_length=36, blank=True, help_text="The recording or analysis, when there is one.")
    allowed = models.BooleanField()
    subjects = ArrayField(models.CharField(max_length=36), help_text="Codes of everyone it was about.")
    request = models.JSONField(help_text="What was asked: purpose, context, roles, scopes, recording time.")
    granted = models.JSONField(help_text="Per participant and scope: the grant revision that it rests on.")
    denials = models.JSONField(help_text="Per participant and scope: reason, rule, remedy.")
    obligations = models.JSONField(default=list, help_text="What must be done besides; participants by position.")
    rules = ArrayField(
        models.CharField(max_length=48), default=list, help_text="The rules of law that what is granted was judged by."
    )
    citations = models.JSONField(default=dict, help_text="Where each of these rules stood in law at the time.")
    policy_epoch = models.BigIntegerField()
    rule_set = models.CharField(max_length=128)
    actor_kind = models.CharField(max_length=16)
    actor_code = models.CharField(max_length=64)
    at = models.DateTimeField(auto_now_add=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            GinIndex(fields=["subjects"], name="decision_subjects"),
            models.Index(fields=["object_code"], name="decision_object"),
            models.Index(fields=["project", "-id"], name="decision_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {'allowed' if self.allowed else 'denied'}"
