"""Withdrawals of many people's consent at once."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Project
from accounts.roles import Permission
from consent.models.notices import Purpose
from consent.models.scoping import ScopedQuerySet, choices
from consent.vocabulary import Scope
from vault.codes import new_code


class BulkWithdrawal(models.Model):
    """What was selected and counted, how far its withdrawal came, and who else saw it. Of a row only that changes."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="bulk_withdrawals")
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, null=True, help_text="Empty: any purpose.")
    scopes = ArrayField(
        models.CharField(max_length=32, choices=choices(Scope)), default=list, help_text="Empty: any scope."
    )
    subjects = ArrayField(
        models.CharField(max_length=36), default=list, help_text="Codes; empty: everybody. Forgotten when it is done."
    )
    newest_record = models.BigIntegerField(help_text="The newest consent record that is in the selection.")
    subjects_counted = models.BigIntegerField()
    grants_counted = models.BigIntegerField()
    asked_by_kind = models.CharField(max_length=16)
    asked_by_code = models.CharField(max_length=64)
    asked_at = models.DateTimeField(auto_now_add=True)
    begun_by_kind = models.CharField(max_length=16, blank=True)
    begun_by_code = models.CharField(max_length=64, blank=True)
    begun_at = models.DateTimeField(null=True)
    after = models.BigIntegerField(default=0, help_text="The mark: people up to here are done.")
    subjects_done = models.BigIntegerField(default=0)
    grants_done = models.BigIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    seen_by_code = models.CharField(max_length=64, blank=True, help_text="The second person.")
    seen_at = models.DateTimeField(null=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_second_person_sees",
                condition=models.Q(seen_at=None)
                | (
                    ~models.Q(seen_by_code=models.F("begun_by_code"))
                    & ~models.Q(seen_by_code=models.F("asked_by_code"))
                ),
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["begun_at"],
                name="bulk_withdrawal_unfinished",
                condition=models.Q(begun_at__isnull=False, finished_at=None),
            ),
        ]

    def __str__(self) -> str:
        return self.code
