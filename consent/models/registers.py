"""The registers that a controller keeps: a project as its record of processing is read, and breaches of security. A breach is a row
that never changes but for one mark; what is known of it are its revisions, which nobody changes at all.
"""

from collections.abc import Sequence
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Project
from accounts.roles import Permission
from consent.models.scoping import ScopedQuerySet, choices
from consent.vocabulary import BreachKind, BreachRisk, BreachText, NotTold, ParticipantRole
from vault.codes import new_code
from vault.context import Context as SealContext
from vault.fields import SealedField
from vault.keys import KeyName


class ProjectRecord(Project):
    """A project, as the record of its processing activities is about it (GDPR art. 30). No table of its own."""

    project_path: ClassVar = "id"

    class Meta:
        proxy = True
        default_permissions: ClassVar = ()
        verbose_name = "record of processing"
        verbose_name_plural = "records of processing"


class Breach(models.Model):
    """One breach of security that concerns personal data (GDPR art. 4(12), 33(5))."""

    view_permission: ClassVar = Permission.MANAGE_BREACHES

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="breaches")
    registered_at = models.DateTimeField(auto_now_add=True)
    overdue_recorded_at = models.DateTimeField(
        null=True, editable=False, help_text="When the trail said that the authority was not told in time."
    )

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "breaches"

    def __str__(self) -> str:
        return self.code


class BreachRevision(models.Model):
    """What was known of a breach at one time. Append-only: what is learnt later is another revision (art. 33(4)).

    Words of one's own are sealed together, under a key of the breach's own; `stated` says which of them there are.
    """

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    breach = models.ForeignKey(Breach, on_delete=models.PROTECT, related_name="revisions")
    number = models.IntegerField(help_text="From 1.")
    at = models.DateTimeField(auto_now_add=True)
    actor_kind = models.CharField(max_length=16)
    actor_code = models.CharField(max_length=64)
    aware_at = models.DateTimeField(help_text="When the controller became aware of it; the 72 hours begin then.")
    kinds = ArrayField(models.CharField(max_length=16, choices=choices(BreachKind)))
    people = ArrayField(models.CharField(max_length=16, choices=choices(ParticipantRole)), default=list)
    people_count = models.BigIntegerField(null=True, help_text="Approximately.")
    data_categories = ArrayField(
        models.CharField(max_length=32), default=list, help_text="Categories of the inventory."
    )
    records_count = models.BigIntegerField(null=True, help_text="Approximately.")
    risk = models.CharField(max_length=16, choices=choices(BreachRisk))
    authority_notified_at = models.DateTimeField(null=True)
    persons_notified_at = models.DateTimeField(null=True)
    not_told = models.CharField(max_length=16, blank=True, choices=choices(NotTold))
    stated = ArrayField(models.CharField(max_length=16, choices=choices(BreachText)), default=list)
    texts = SealedField(editable=False, help_text="JSON: what is stated, by its name.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["breach", "number"], name="one_breach_revision_per_number"),
        ]

    def __str__(self) -> str:
        return f"{self.breach_id}/{self.number}"

    def sealed_in(self, field: str) -> tuple[SealContext, Sequence[KeyName]]:
        organization = self.breach.project.organization.code
        context = SealContext(
            organization=organization, subjects=(), scope="record", kind="breach", field=field, object_code=self.code
        )
        return context, [KeyName.record(organization, self.breach.code)]
