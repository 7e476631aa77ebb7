"""Notices in series of versions, and the purposes that people are asked for."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Project
from accounts.roles import Permission
from consent.models.scoping import ScopedQuerySet, choices
from consent.vocabulary import Context, Ground, LawfulBasis, RetentionClass, Right, Scope
from vault.codes import new_code


class NoticeSeries(models.Model):
    """The versions of one notice. `least_valid_version` closes the gate for every grant on an older version, in one row."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="notice_series")
    name = models.CharField(max_length=120)
    least_valid_version = models.IntegerField(default=1, editable=False)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "name"], name="one_series_per_name")]

    def __str__(self) -> str:
        return self.name


class Notice(models.Model):
    """One version of a notice in one language: exactly the text that a person is shown before consenting."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="notices")
    series = models.ForeignKey(NoticeSeries, on_delete=models.PROTECT, related_name="notices")
    version = models.IntegerField()
    language = models.CharField(max_length=35, help_text="BCP 47 language tag.")
    title = models.CharField(max_length=200)
    text = models.TextField()
    required_phrase = models.CharField(
        max_length=500, blank=True, help_text="What a person says to consent by voice, word for word."
    )
    material = models.BooleanField(help_text="A material version ends the validity of every older version.")
    sha256 = models.CharField(max_length=64, editable=False, help_text="Over the canonical form (RFC 8785).")
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, editable=False)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["series", "version", "language"], name="one_notice_per_version_and_language"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.series_id}/{self.version} {self.language}"


class RenewalRun(models.Model):
    """How far the revisions that follow one material version have come. The gate does not wait for it."""

    id = models.BigAutoField(primary_key=True)
    series = models.ForeignKey(NoticeSeries, on_delete=models.PROTECT, related_name="renewals")
    version = models.IntegerField()
    total = models.BigIntegerField(null=True, help_text="Grants to revise, counted when the first batch begins.")
    done = models.BigIntegerField(default=0)
    after = models.BigIntegerField(default=0, help_text="The mark: rows up to here are done.")
    begun_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["series", "version"], name="one_run_per_version"),
        ]

    def __str__(self) -> str:
        return f"renewal {self.series_id}/{self.version}"


class Purpose(models.Model):
    """Why voices are processed: lawful basis, the scopes and contexts it may use, who receives the results."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="purposes")
    series = models.ForeignKey(NoticeSeries, on_delete=models.PROTECT, related_name="purposes")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    lawful_basis = models.CharField(max_length=32, choices=choices(LawfulBasis))
    scopes = ArrayField(models.CharField(max_length=32, choices=choices(Scope)))
    contexts = ArrayField(models.CharField(max_length=32, choices=choices(Context)))
    recipients = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    jurisdictions = ArrayField(
        models.CharField(max_length=16), default=list, help_text="Where it is meant for: ISO 3166."
    )
    parties = models.JSONField(default=list, help_text="Controllers and others: name, address, contact, role, type.")
    storage_locations = ArrayField(
        models.CharField(max_length=16), default=list, help_text="Where data lies: ISO 3166."
    )
    withdrawal_method = models.CharField(max_length=500, blank=True, help_text="How people withdraw.")
    retention_class = models.CharField(
        max_length=16, choices=choices(RetentionClass), default=RetentionClass.STANDARD.value
    )
    collection_method = models.CharField(max_length=500, blank=True)
    processing_method = models.CharField(max_length=500, blank=True)
    processing_locations = ArrayField(models.CharField(max_length=16), default=list, blank=True)
    geographic_restrictions = models.CharField(max_length=500, blank=True)
    transfer_safeguards = models.CharField(
        max_length=500, blank=True, help_text="Of a transfer to a third country (GDPR art. 44 to 49)."
    )
    rights = ArrayField(models.CharField(max_length=16, choices=choices(Right)), default=list)
    supervisory_authority = models.CharField(max_length=500, blank=True)
    optional_scopes = ArrayField(models.CharField(max_length=32, choices=choices(Scope)), default=list, blank=True)
    ground = models.CharField(
        max_length=16,
        choices=choices(Ground),
        default=Ground.NONE.value,
        help_text="Why emotion at work or in education, as the impact assessment documents (EU AI Act art. 5(1)(f)).",
    )
    deidentified = models.BooleanField(default=False, help_text="Whether results are handed on as de-identified.")
    high_risk = models.BooleanField(default=False, help_text="By its scopes and contexts (GDPR art. 35(3)).")
    dpia_reference = models.CharField(max_length=200, blank=True, help_text="Where the impact assessment stands.")
    active = models.BooleanField(default=True)
    changed_at = models.DateTimeField(null=True, editable=False, help_text="When it was last opened or closed.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "name"], name="one_purpose_per_name"),
            models.CheckConstraint(
                name="high_risk_needs_assessment",
                condition=models.Q(active=False) | models.Q(high_risk=False) | ~models.Q(dpia_reference=""),
            ),
        ]

    def __str__(self) -> str:
        return self.name
