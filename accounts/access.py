"""Who may see which project. Every queryset that a person or program reaches goes through here; when unsure, nothing."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from guardian.shortcuts import get_objects_for_user

from accounts import break_glass
from accounts.models import Organization, Project, User
from accounts.roles import Permission
from audit.entry import Actor, ActorKind


def projects_with(user: User | AnonymousUser | Any, permission: Permission) -> QuerySet[Project]:
    """The projects on which an active user holds `permission`; empty for anyone else."""
    if not isinstance(user, User) or not user.is_active or user.organization_id is None:
        return Project.objects.none()
    if user.is_staff and break_glass.open_for(user) is not None:
        return Project.objects.filter(organization_id=user.organization_id)
    allowed: QuerySet[Project] = get_objects_for_user(
        user, permission.value, Project, use_groups=False, with_superuser=False, accept_global_perms=False
    )
    client = getattr(user, "api_client", None)
    if client is not None:
        # A client is bound to one project and to its own revocation, whatever permission rows exist.
        allowed = allowed.filter(pk=client.project_id) if client.revoked_at is None else allowed.none()
    return allowed.filter(organization_id=user.organization_id)


def may(user: User | AnonymousUser | Any, permission: Permission, project_id: int) -> bool:
    return projects_with(user, permission).filter(pk=project_id).exists()


def organizations_with(user: User | AnonymousUser | Any, permission: Permission) -> QuerySet[Organization]:
    """The organizations in any of whose projects the user holds `permission`: for what is the organization's as a whole."""
    return Organization.objects.filter(projects__in=projects_with(user, permission)).distinct()


def organizations_with_log(user: User | AnonymousUser | Any) -> QuerySet[Organization]:
    """The organizations whose audit log the user may read."""
    return organizations_with(user, Permission.READ_LOG)


def actor_of(user: User) -> Actor:
    """How the trail names this user."""
    client = getattr(user, "api_client", None)
    return Actor(ActorKind.CLIENT, client.code) if client is not None else Actor(ActorKind.USER, user.code)
