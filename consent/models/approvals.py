"""What one person asks for and another must approve: the columns that every such row has, and the rule that the database keeps.

The functions that ask, approve and turn down are in `approving` and in the modules of what is asked for.
"""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.models import Project
from accounts.roles import Permission
from consent.models.notices import Notice
from consent.models.scoping import ScopedQuerySet
from vault.codes import new_code


class SecondPerson(models.Model):
    """Asked for by one, approved or turned down by another; whoever asked may take it back. Nobody approves their own."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    asked_by_kind = models.CharField(max_length=16)
    asked_by_code = models.CharField(max_length=64)
    asked_at = models.DateTimeField(default=timezone.now)
    approved_by_code = models.CharField(max_length=64, blank=True)
    approved_at = models.DateTimeField(null=True)
    turned_down_by_code = models.CharField(max_length=64, blank=True)
    turned_down_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True
        constraints: ClassVar = [
            models.CheckConstraint(
                name="%(class)s_second_person", condition=~models.Q(approved_by_code=models.F("asked_by_code"))
            ),
            models.CheckConstraint(
                name="%(class)s_decided_once",
                condition=models.Q(approved_at=None, approved_by_code="")
                | (~models.Q(approved_at=None) & ~models.Q(approved_by_code="") & models.Q(turned_down_at=None)),
            ),
        ]


class EditorialPublication(SecondPerson):
    """Somebody asks that a notice be published as *editorial*, which leaves consent under older versions in force."""

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="editorial_publications")
    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="editorial_publications")

    objects = ScopedQuerySet.as_manager()

    class Meta(SecondPerson.Meta):
        constraints: ClassVar = [
            *SecondPerson.Meta.constraints,
            models.UniqueConstraint(
                fields=["notice"],
                name="one_open_request_per_notice",
                condition=models.Q(approved_at=None, turned_down_at=None),
            ),
        ]

    def __str__(self) -> str:
        return self.code
