"""How long data is kept, and the orders to destroy it."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Project
from accounts.roles import Permission
from consent.models.grants import Ending
from consent.models.scoping import ScopedQuerySet
from vault.codes import new_code


class RetentionSchedule(models.Model):
    """One published version of how long a project keeps what. Append-only; the newest is what the public reads."""

    id = models.BigAutoField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="retention_schedules")
    version = models.IntegerField()
    terms = models.JSONField(help_text="Days per category.")
    sha256 = models.CharField(max_length=64, help_text="Over project, version, terms and the rule of destruction.")
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "version"], name="one_schedule_per_version"),
        ]

    def __str__(self) -> str:
        return f"schedule {self.version}"


class RetentionPolicy(models.Model):
    """For one project and one category of data: how many days it is kept after it was made. None: the category's default."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="retention_policies")
    category = models.CharField(max_length=32)
    days = models.PositiveIntegerField()

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "category"], name="one_policy_per_category")
        ]

    def __str__(self) -> str:
        return f"{self.category}: {self.days} days"


class DestructionOrder(models.Model):
    """What must go: written in the transaction that closes the gate, carried out by a resumable worker.

    Empty `scopes` mean the whole person. `purpose` limits the order to results made under it. Until `done_at` is set the data
    is already unreadable, because the gate is closed and the vault checks its own orders.
    """

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    organization = models.CharField(max_length=36)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+")
    subject = models.CharField(max_length=36, help_text="Code; the order outlives the row.")
    purpose = models.CharField(max_length=36, blank=True)
    scopes = ArrayField(models.CharField(max_length=32), default=list)
    reason = models.CharField(max_length=32)
    ending = models.ForeignKey(Ending, on_delete=models.PROTECT, null=True, related_name="orders")
    ordered_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True)
    destroyed = models.JSONField(default=dict, help_text="Counts per kind of data, from the inventory.")
    shreds = ArrayField(models.CharField(max_length=36), default=list, help_text="The vault's orders for its keys.")
    unrecoverable_from = models.DateTimeField(
        null=True, help_text="When backups open nothing of it any more; empty while a key is still needed elsewhere."
    )

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["subject"], name="destruction_open", condition=models.Q(done_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.reason} {self.code}"
