"""Tenants, projects, the people and programs that act in them, and the permissions they hold.

What a role permits is in `roles`, who may see which project in `access`, how members and clients come and go in `membership`.
"""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from guardian.models import UserObjectPermissionBase

from accounts.roles import Permission, Role
from vault.codes import new_code


class Organization(models.Model):
    """A tenant. `policy_epoch` moves with each change of notice, purpose, rule set, role or membership."""

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    name = models.CharField(max_length=120)
    policy_epoch = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person who signs in, or the acting identity of an API client (then it has no password and no staff flag).

    Nobody is a superuser: a constraint of the database says so.
    """

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="users", null=True)

    class Meta(AbstractUser.Meta):
        constraints: ClassVar = [
            models.CheckConstraint(name="nobody_is_superuser", condition=models.Q(is_superuser=False)),
        ]

    def __str__(self) -> str:
        return self.code


class Project(models.Model):
    """The unit of permission inside an organization: subjects, notices, purposes and recordings belong to one project."""

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="projects")
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions: ClassVar = ()
        permissions: ClassVar = [(permission.value, permission.value.replace("_", " ")) for permission in Permission]

    def __str__(self) -> str:
        return self.name


class ProjectUserObjectPermission(UserObjectPermissionBase):
    """django-guardian's direct-foreign-key row: one user, one project, one permission."""

    id = models.BigAutoField(primary_key=True)
    content_object = models.ForeignKey(Project, on_delete=models.CASCADE)


class Membership(models.Model):
    """A user's role in a project. The permission rows follow it; see `membership`."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=32, choices=[(role.value, role.value.replace("_", " ")) for role in Role])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "project", "role"], name="one_membership_per_role"),
        ]

    def __str__(self) -> str:
        return f"{self.role} in {self.project_id}"


class ApiClient(models.Model):
    """A program that calls the API. Bound to one project; acts through its own user; its tokens expire (knox)."""

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="clients")
    user = models.OneToOneField(User, on_delete=models.PROTECT, related_name="api_client")
    name = models.CharField(max_length=120)
    roles = ArrayField(models.CharField(max_length=32))
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class Replay(models.Model):
    """The first answer to an unsafe call that carried an `Idempotency-Key`; see `idempotency`.

    Answers hold codes and states only. A row goes after a day (retention category `replays`), or with a person it mentions.
    """

    id = models.BigAutoField(primary_key=True)
    client = models.ForeignKey(ApiClient, on_delete=models.PROTECT, related_name="replays")
    key_index = models.BinaryField(max_length=32, help_text="Blind index of the key.")
    fingerprint = models.BinaryField(max_length=32, help_text="Keyed hash of method, path and body.")
    turn = models.BigIntegerField(default=1, help_text="Moves when a repetition takes over a call that died.")
    in_flight_until = models.DateTimeField(null=True)
    status = models.IntegerField(null=True, help_text="Empty while the first call is in flight.")
    content_type = models.CharField(max_length=100, blank=True)
    body = models.BinaryField(default=b"")
    mentions = ArrayField(
        models.CharField(max_length=36), default=list, help_text="Codes that stand in request or answer."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["client", "key_index"], name="one_replay_per_key"),
        ]
        indexes: ClassVar = [
            GinIndex(fields=["mentions"], name="replay_mentions"),
            models.Index(fields=["created_at"], name="replay_age"),
        ]

    def __str__(self) -> str:
        return f"replay {self.pk}"
