"""Voiceprints: how a person's voice is recognized under a purpose, sealed."""

from collections.abc import Sequence
from typing import ClassVar

from django.db import models

from accounts.roles import Permission
from consent.models.notices import Purpose
from consent.models.people import Subject
from consent.models.scoping import ScopedQuerySet
from consent.vocabulary import Scope
from vault.codes import new_code
from vault.context import Context as SealContext
from vault.keys import KeyName


class Voiceprint(models.Model):
    """One person's voice as one model describes it, under one purpose. A newer one takes the place of the older, of which nothing
    stays. The template is sealed under the person's own `voice.identify` key and leaves through no interface.
    """

    view_permission: ClassVar = Permission.VIEW_CONSENT
    project_path: ClassVar = "subject__project"

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="voiceprints")
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="voiceprints")
    template = models.BinaryField(help_text="Sealed under the subject's voice.identify key.")
    model_name = models.CharField(max_length=64)
    model_digest = models.CharField(
        max_length=64, help_text="SHA-256 of the model that made it; another one cannot use it."
    )
    seconds = models.FloatField(help_text="Seconds of voice that it was made from.")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="Serves nothing from then on: the retention in force when it was made.")

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["subject", "purpose"], name="one_voiceprint_per_purpose"),
        ]

    def __str__(self) -> str:
        return self.code

    def sealed_in(self) -> tuple[SealContext, Sequence[KeyName]]:
        organization = self.subject.project.organization.code
        context = SealContext(
            organization=organization,
            subjects=(self.subject.code,),
            scope=Scope.IDENTIFY.value,
            kind="voiceprint",
            field="template",
            object_code=self.code,
        )
        return context, [KeyName.subject(organization, self.subject.code, Scope.IDENTIFY.value)]
