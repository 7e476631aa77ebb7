"""How organizations, projects, members and API clients come and go. Each change moves the policy epoch and is recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from guardian.shortcuts import assign_perm, remove_perm
from knox.models import AuthToken

from accounts.errors import OutsideOrganization, UnknownRole
from accounts.models import ApiClient, Membership, Organization, Project, User
from accounts.roles import ROLE_PERMISSIONS, Role
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from vault import journal
from vault.journal import Entry

DEFAULT_TOKEN_LIFE = timedelta(days=90)
REVOKED: Final = "client-revoked"
"""What the journal calls it."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token. `secret` is shown once and stored only as a hash."""

    secret: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"IssuedToken(expires_at={self.expires_at!r})"


def move_policy_epoch(organization_id: int) -> int:
    """Moves the epoch under a row lock; every transaction that commits results holds that row shared."""
    Organization.objects.filter(pk=organization_id).update(policy_epoch=F("policy_epoch") + 1)
    return Organization.objects.values_list("policy_epoch", flat=True).get(pk=organization_id)


@transaction.atomic
def create_organization(name: str, *, actor: Actor) -> Organization:
    organization = Organization.objects.create(name=name)
    trail.record(
        EventName.ORGANIZATION_CREATED,
        organization=organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.ORGANIZATION, organization.code)],
    )
    return organization


@transaction.atomic
def create_project(organization: Organization, name: str, *, actor: Actor) -> Project:
    project = Project.objects.create(organization=organization, name=name)
    trail.record(
        EventName.PROJECT_CREATED,
        organization=organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.PROJECT, project.code)],
    )
    return project


@transaction.atomic
def add_member(user: User, project: Project, role: Role, *, actor: Actor) -> Membership:
    """Gives `user` the role's permissions on the project. Raises `OutsideOrganization`. Idempotent."""
    if user.organization_id != project.organization_id:
        raise OutsideOrganization("this user belongs to another organization")
    membership, created = Membership.objects.get_or_create(user=user, project=project, role=role.value)
    if created:
        _match_permissions(user, project)
        move_policy_epoch(project.organization_id)
        _record_member(EventName.MEMBER_ADDED, user, project, role, actor)
    return membership


@transaction.atomic
def remove_member(user: User, project: Project, role: Role, *, actor: Actor) -> bool:
    """Takes the role away; permissions that another role still gives stay. False when there was no such membership."""
    deleted, _ = Membership.objects.filter(user=user, project=project, role=role.value).delete()
    if deleted:
        _match_permissions(user, project)
        move_policy_epoch(project.organization_id)
        _record_member(EventName.MEMBER_REMOVED, user, project, role, actor)
    return bool(deleted)


@transaction.atomic
def create_client(project: Project, name: str, roles: Sequence[Role], *, actor: Actor) -> ApiClient:
    """A program's identity in one project. It has no token yet: see `issue_token`."""
    if not roles:
        raise UnknownRole("a client needs at least one role")
    user = User(organization=project.organization, is_active=True)
    user.username = f"client-{user.code}"
    user.set_unusable_password()
    user.save()
    client = ApiClient.objects.create(
        project=project, user=user, name=name, roles=sorted({Role(role).value for role in roles})
    )
    for role in client.roles:
        add_member(user, project, Role(role), actor=actor)
    trail.record(
        EventName.CLIENT_CREATED,
        organization=project.organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.CLIENT, client.code), Reference(ObjectKind.PROJECT, project.code)],
        detail={"roles": client.roles},
    )
    return client


@transaction.atomic
def issue_token(client: ApiClient, *, actor: Actor, life: timedelta = DEFAULT_TOKEN_LIFE) -> IssuedToken:
    """A new bearer token for the client, stored as a hash only."""
    token, secret = AuthToken.objects.create(user=client.user, expiry=life)
    trail.record(
        EventName.TOKEN_ISSUED,
        organization=client.project.organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.CLIENT, client.code)],
        detail={"expires_at": token.expiry.isoformat()},
    )
    return IssuedToken(secret=secret, expires_at=token.expiry)


@transaction.atomic
def revoke_client(client: ApiClient, *, actor: Actor) -> None:
    """Ends the client: its tokens are deleted and its user is deactivated, at this commit."""
    AuthToken.objects.filter(user=client.user).delete()
    client.revoked_at = timezone.now()
    client.save(update_fields=["revoked_at"])
    client.user.is_active = False
    client.user.save(update_fields=["is_active"])
    move_policy_epoch(client.project.organization_id)
    journal.note(REVOKED, {"client": client.code})
    trail.record(
        EventName.CLIENT_REVOKED,
        organization=client.project.organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.CLIENT, client.code)],
    )


def replay(entry: Entry) -> bool:
    """Revokes a client again that a restored backup brought back. True when it was in force."""
    back = ApiClient.objects.filter(code=entry.body["client"], revoked_at=None).first()
    if back is not None:
        revoke_client(back, actor=trail.system("recovery"))
    return back is not None


def _match_permissions(user: User, project: Project) -> None:
    """Makes the permission rows say exactly what the user's roles in the project say."""
    roles = Membership.objects.filter(user=user, project=project).values_list("role", flat=True)
    wanted = {permission.value for role in roles for permission in ROLE_PERMISSIONS[Role(role)]}
    held = set(project.projectuserobjectpermission_set.filter(user=user).values_list("permission__codename", flat=True))
    for codename in sorted(wanted - held):
        assign_perm(codename, user, project)
    for codename in sorted(held - wanted):
        remove_perm(codename, user, project)


def _record_member(name: EventName, user: User, project: Project, role: Role, actor: Actor) -> None:
    trail.record(
        name,
        organization=project.organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.USER, user.code), Reference(ObjectKind.PROJECT, project.code)],
        detail={"role": role.value},
    )
