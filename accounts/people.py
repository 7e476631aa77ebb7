"""How a person who signs in comes into an organization. What they may do is their memberships' business (`membership`)."""

import secrets
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from accounts import membership
from accounts.errors import OwnRole, UsernameTaken
from accounts.models import Membership, Project, User
from accounts.roles import Role
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName

_PASSWORD_BYTES = 15


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A person with a first password, which is shown once and stored only as a hash."""

    membership: Membership
    password: str

    def __repr__(self) -> str:
        return f"NewPerson({self.membership.user.code})"


def add_person(project: Project, username: str, role: Role, *, actor: Actor) -> NewPerson:
    """Someone new in the project's organization, with one role in the project. Raises `UsernameTaken`."""
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    user = User(username=username, organization=project.organization, is_staff=True)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
            found = membership.add_member(user, project, role, actor=actor)
    except IntegrityError as error:
        raise UsernameTaken("this name is taken") from error
    return NewPerson(found, password)


def record_password_change(user: User, actor: Actor) -> None:
    """Notes, in the transaction of the change, that the person signs in with another password from now on."""
    if user.organization is None:
        return
    trail.record(
        EventName.PASSWORD_CHANGED,
        organization=user.organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.USER, user.code)],
    )


def require_someone_else(user: User, actor: Actor) -> None:
    """Raises `OwnRole` when people would change what they may do themselves."""
    if user.code == actor.code:
        raise OwnRole("nobody changes their own roles")
