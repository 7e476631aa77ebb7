"""Imports of existing consents from a file, and which row became which record."""

from collections.abc import Sequence
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Project
from consent.models.approvals import SecondPerson
from consent.models.grants import ConsentRecord
from consent.models.scoping import ScopedQuerySet, choices
from consent.vocabulary import ImportState
from vault.codes import new_code
from vault.context import Context as SealContext
from vault.fields import SealedField
from vault.keys import KeyName


class GrantImport(SecondPerson):
    """A file of existing consents: checked, asked for by who brought it, approved by a second person, then recorded row by row.

    Its rows are sealed under a key of its own while it waits and runs; the key is shredded with its end, whatever the end is.
    """

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="grant_imports")
    state = models.CharField(max_length=16, choices=choices(ImportState), default=ImportState.CHECKED.value)
    content = SealedField(null=True, editable=False, help_text="The rows, until the import has ended.")
    sha256 = models.CharField(max_length=64, help_text="Of the file.")
    rows = models.IntegerField()
    new_people = models.IntegerField(help_text="How many references belonged to nobody when it was checked.")
    problems = models.JSONField(default=list, help_text="Row, column and what is wrong; never what stood there.")
    problem_count = models.IntegerField(default=0)
    mentions = ArrayField(
        models.CharField(max_length=36), default=list, help_text="Codes of the people in it who were known."
    )
    after = models.IntegerField(default=0, help_text="The mark: rows up to here are done.")
    recorded = models.IntegerField(default=0)
    repeated = models.IntegerField(default=0, help_text="Rows that an import had recorded before.")
    failed = models.IntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = ScopedQuerySet.as_manager()

    class Meta(SecondPerson.Meta):
        constraints: ClassVar = [
            *SecondPerson.Meta.constraints,
            models.CheckConstraint(
                name="an_import_runs_when_approved",
                condition=~models.Q(state__in=[ImportState.RUNNING.value, ImportState.DONE.value])
                | ~models.Q(approved_at=None),
            ),
        ]

    def __str__(self) -> str:
        return self.code

    def sealed_in(self, field: str) -> tuple[SealContext, Sequence[KeyName]]:
        organization = self.project.organization.code
        context = SealContext(
            organization=organization, subjects=(), scope="record", kind="import", field=field, object_code=self.code
        )
        return context, [KeyName.record(organization, self.code)]


class ImportedRow(models.Model):
    """Which record a row became, so that the same row is recorded once whoever brings it again."""

    id = models.BigAutoField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="imported_rows")
    grant_import = models.ForeignKey(GrantImport, on_delete=models.PROTECT, related_name="imported")
    record = models.ForeignKey(ConsentRecord, on_delete=models.PROTECT, related_name="imported_from")
    fingerprint = models.BinaryField(max_length=32, help_text="Blind index over the row.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "fingerprint"], name="one_record_per_row"),
        ]

    def __str__(self) -> str:
        return f"row of {self.grant_import_id}"
