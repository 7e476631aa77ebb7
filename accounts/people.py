"""How a person who signs in comes into an organization. What they may do is their memberships' business (`membership`)."""

import secrets
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from accounts import membership
from accounts.errors import OwnRole, UsernameTaken
from accounts.models import Membership, Project, User
from accounts.roles import Role
from audit.entry import Actor

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


def require_someone_else(user: User, actor: Actor) -> None:
    """Raises `OwnRole` when people would change what they may do themselves."""
    if user.code == actor.code:
        raise OwnRole("nobody changes their own roles")
