"""Tenants, projects, the people and programs that act in them, and the permissions they hold.

What a role permits is in `roles`, who may see which project in `access`, how members and clients come and go in `membership`.
"""

import time
from collections.abc import Sequence
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django_otp.models import Device, ThrottlingMixin, TimestampMixin
from django_otp.oath import TOTP
from guardian.models import UserObjectPermissionBase

from accounts.causes import Cause
from accounts.roles import Permission, Role
from vault.codes import new_code
from vault.context import Context as SealContext
from vault.fields import SealedField
from vault.keys import KeyName


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


class Authenticator(TimestampMixin, ThrottlingMixin, Device):
    """A person's second factor: a TOTP secret (RFC 6238) shared with an app of theirs, sealed under a key of the person's own.

    django-otp's own table would hold it in the clear; what is taken from there is the algorithm, the throttling and the session.
    """

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    secret = SealedField(editable=False)
    last_step = models.BigIntegerField(
        default=-1, help_text="Time step of the last token that was taken: none serves twice."
    )

    class Meta(Device.Meta):
        constraints: ClassVar = [models.UniqueConstraint(fields=["user"], name="one_authenticator_per_person")]

    def __str__(self) -> str:
        return self.code

    def get_throttle_factor(self) -> int:
        """Seconds to wait after the first wrong token; they double with each further one."""
        return 1

    def verify_token(self, token: str) -> bool:
        """Takes a token of now, or of one step before or after, once. The caller holds the row's lock."""
        allowed, _ = self.verify_is_allowed()
        if not allowed:
            return False
        totp = TOTP(self.secret.open())
        totp.time = time.time()
        if not token.isascii() or not token.isdigit() or not totp.verify(int(token), 1, self.last_step + 1):
            self.throttle_increment()
            return False
        self.last_step = totp.t()
        self.throttle_reset(commit=False)
        self.set_last_used_timestamp(commit=False)
        self.save()
        return True

    def sealed_in(self, field: str) -> tuple[SealContext, Sequence[KeyName]]:
        organization = self.user.organization
        assert organization is not None  # nobody else signs in
        context = SealContext(
            organization=organization.code,
            subjects=(),
            scope="record",
            kind="authenticator",
            field=field,
            object_code=self.code,
        )
        return context, [KeyName.record(organization.code, self.user.code)]


class RecoveryCode(models.Model):
    """What a person signs in with, once, instead of a token. Only a keyed hash is stored."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="recovery_codes")
    digest = models.BinaryField(max_length=32, help_text="Blind index of the code.")
    made_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "digest"], name="one_row_per_recovery_code")]

    def __str__(self) -> str:
        return f"recovery code {self.pk}"


class BreakGlass(models.Model):
    """Everything in one organization for one person, for minutes: opened with a reason, over by itself, looked at by another."""

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="break_glass")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="break_glass")
    user_code = models.CharField(max_length=36, help_text="The person's, for the rule that another looks at it.")
    cause = models.CharField(max_length=32, choices=[(cause.value, cause.value) for cause in Cause])
    explanation = models.CharField(max_length=500)
    begins_at = models.DateTimeField(auto_now_add=True)
    ends_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    acts = models.IntegerField(default=0)
    seen_by_code = models.CharField(max_length=36, blank=True)
    seen_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user"], name="one_open_glass", condition=models.Q(closed_at=None)),
            models.CheckConstraint(
                name="glass_is_seen_by_another", condition=~models.Q(seen_by_code=models.F("user_code"))
            ),
        ]

    def __str__(self) -> str:
        return self.code
