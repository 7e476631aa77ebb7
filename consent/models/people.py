"""Subjects, in which roles the law denied something about them, and who answers for them."""

from collections.abc import Sequence
from typing import ClassVar

from django.db import models

from accounts.models import Project
from accounts.roles import Permission
from consent.models.scoping import ScopedQuerySet, choices
from consent.vocabulary import ParticipantRole, RepresentativeRelation
from vault.codes import new_code
from vault.context import Context as SealContext
from vault.fields import SealedField
from vault.keys import KeyName


class Subject(models.Model):
    """A person whose voice it is, known by an opaque code. `consent_epoch` moves with each change of their grants."""

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="subjects")
    external_reference = SealedField(
        null=True, editable=False, help_text="Sealed under the subject's record key; empty when none was given."
    )
    external_index = models.BinaryField(
        max_length=32, null=True, editable=False, help_text="Blind index of the external reference."
    )
    consent_epoch = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    erased_at = models.DateTimeField(null=True, editable=False)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "external_index"], name="one_subject_per_reference"),
        ]

    def __str__(self) -> str:
        return self.code

    def sealed_in(self, field: str) -> tuple[SealContext, Sequence[KeyName]]:
        return in_record_of(self, "subject", field, self.code)


def in_record_of(subject: Subject, kind: str, field: str, object_code: str) -> tuple[SealContext, Sequence[KeyName]]:
    """Context and key of what is sealed about a person besides their voice."""
    organization = subject.project.organization.code
    context = SealContext(
        organization=organization,
        subjects=(subject.code,),
        scope="record",
        kind=kind,
        field=field,
        object_code=object_code,
    )
    return context, [KeyName.record(organization, subject.code)]


class RestrictedRole(models.Model):
    """A role in which the law denied something about a person that it would not have denied in another. Append-only."""

    id = models.BigAutoField(primary_key=True)
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="restricted_roles")
    role = models.CharField(max_length=16, choices=choices(ParticipantRole))
    denied_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["subject", "role"], name="one_restriction_per_role"),
        ]

    def __str__(self) -> str:
        return self.role


class RoleChange(models.Model):
    """Somebody asks that a person count in another role than the one in which they were denied; a second person approves.

    Append-only but for the approval.
    """

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="role_changes")
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="role_changes")
    role = models.CharField(max_length=16, choices=choices(ParticipantRole), help_text="The role from now on.")
    asked_by_kind = models.CharField(max_length=16)
    asked_by_code = models.CharField(max_length=64)
    asked_at = models.DateTimeField(auto_now_add=True)
    approved_by_code = models.CharField(max_length=64, blank=True)
    approved_at = models.DateTimeField(null=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_second_person_approves", condition=~models.Q(approved_by_code=models.F("asked_by_code"))
            ),
        ]

    def __str__(self) -> str:
        return self.code


class Representation(models.Model):
    """Somebody who lawfully acts for a subject: a parent or guardian of a child, a representative of an adult.

    Who they are is sealed under the subject's record key. `ends_at` is the day of majority for a child. Of a row only the end
    ever changes, and what erasure takes.
    """

    view_permission: ClassVar = Permission.VIEW_CONSENT

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="representations")
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="representations")
    relation = models.CharField(max_length=32, choices=choices(RepresentativeRelation))
    of_child = models.BooleanField(help_text="Ends at majority at the latest.")
    identity = SealedField(null=True, editable=False, help_text="Who the representative is.")
    proof_sha256 = models.CharField(max_length=64, help_text="SHA-256 of the document that proves it.")
    proof_reference = SealedField(null=True, editable=False, help_text="Where the proof is kept.")
    began_at = models.DateTimeField(auto_now_add=True)
    ends_at = models.DateTimeField(null=True, help_text="Majority, or the end of the mandate.")
    ended_at = models.DateTimeField(null=True, editable=False, help_text="When somebody ended it before its time.")

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_child_comes_of_age",
                condition=models.Q(of_child=False) | models.Q(ends_at__isnull=False) | models.Q(identity__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.code

    def sealed_in(self, field: str) -> tuple[SealContext, Sequence[KeyName]]:
        return in_record_of(self.subject, "representation", field, self.code)
