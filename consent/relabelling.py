"""Another role for somebody whom the law denied something in the one they had: asked for by one, approved by a second person.

Without this a role could be relabelled until emotion opens (EU AI Act art. 5(1)(f)). The gate believes a role that would unlock
what was denied only when it stands here, approved. A program may ask; only a person approves, and never the one who asked.
"""

from django.db import transaction

from accounts.membership import move_policy_epoch
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import approving, subjects
from consent.errors import InvalidRecord
from consent.models import RestrictedRole, RoleChange, Subject
from consent.vocabulary import ParticipantRole


def ask(subject: Subject, role: ParticipantRole, *, actor: Actor) -> RoleChange:
    """Asks that the person count in this role from now on. Raises `InvalidRecord`, `SubjectErased`."""
    with transaction.atomic():
        locked = subjects.lock(subject.pk)
        if role is ParticipantRole.UNKNOWN:
            raise InvalidRecord("role", "unknown is no role that anybody can vouch for")
        if not RestrictedRole.objects.filter(subject=locked).exists():
            raise InvalidRecord("role", "nothing was denied to this person for their role")
        found: RoleChange = RoleChange.objects.create(
            project=locked.project,
            subject=locked,
            role=role.value,
            asked_by_kind=actor.kind.value,
            asked_by_code=actor.code,
        )
        _record(EventName.ROLE_CHANGE_ASKED, found, locked.consent_epoch, actor)
    return found


def approve(change: RoleChange, *, actor: Actor) -> RoleChange:
    """Says that the role is true. Raises `SecondPersonNeeded` unless a person other than who asked does, `AlreadyDecided`,
    `SubjectErased`."""
    with transaction.atomic():
        move_policy_epoch(change.project.organization_id)
        locked = subjects.lock(change.subject_id)
        row: RoleChange = RoleChange.objects.select_for_update(no_key=True).get(pk=change.pk)
        approving.approve(row, actor=actor)
        _record(EventName.ROLE_CHANGE_APPROVED, row, subjects.move_consent_epoch(locked), actor)
    return row


def turn_down(change: RoleChange, *, actor: Actor) -> RoleChange:
    """Says no, or takes it back: the role opens nothing. Raises `AlreadyDecided`, `SubjectErased`."""
    with transaction.atomic():
        locked = subjects.lock(change.subject_id)
        row: RoleChange = RoleChange.objects.select_for_update(no_key=True).get(pk=change.pk)
        approving.turn_down(row, actor=actor)
        _record(EventName.ROLE_CHANGE_TURNED_DOWN, row, locked.consent_epoch, actor)
    return row


def _record(name: EventName, row: RoleChange, epoch: int, actor: Actor) -> None:
    trail.record(
        name,
        organization=row.project.organization.code,
        actor=actor,
        objects=[
            Reference(ObjectKind.SUBJECT, row.subject.code, epoch),
            Reference(ObjectKind.PROJECT, row.project.code),
        ],
        detail={"role": row.role},
    )
