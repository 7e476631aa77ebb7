"""Restriction of processing (GDPR art. 18): what is stored about a person stays as it is, and nothing is done with it. The gate
says no to everything about them, jobs wait, and nothing is destroyed for its term; every key stays.

What the person wants goes on all the same: a withdrawal, a refusal and an erasure destroy what they say, and lift nothing. Somebody
who asks for restriction, tells the person and keeps the time (art. 12(3), 18(3)) is not here: this is the act itself.
"""

from collections.abc import Collection
from typing import Final

from django.db import transaction
from django.utils import timezone

from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import subjects
from consent.errors import NotRestricted, SubjectRestricted
from consent.models import CurrentGrant, Subject
from consent.vocabulary import HOLDS, RestrictionGround
from vault import journal

RESTRICTION: Final = "restriction"
"""What the journal calls it."""


def restrict(subject: Subject, reason: RestrictionGround, actor: Actor) -> Subject:
    """Freezes everything about the person, effective at this commit. Raises `SubjectRestricted` when they are restricted already,
    `SubjectErased`."""
    with transaction.atomic():
        locked = subjects.lock(subject.pk)
        if locked.restricted_at is not None:
            raise SubjectRestricted("this person's data is restricted already")
        locked.restricted_at = timezone.now()
        locked.restriction_ground = reason.value
        locked.save(update_fields=["restricted_at", "restriction_ground"])
        subjects.move_consent_epoch(locked)
        journal.note(
            RESTRICTION, {"project": locked.project.code, "subject": locked.code, "ground": locked.restriction_ground}
        )
        _record(EventName.SUBJECT_RESTRICTED, locked, reason.value, actor)
    return locked


def lift(subject: Subject, actor: Actor) -> Subject:
    """Ends the restriction: from this commit on the gate goes by the person's grants again, and their jobs go on. Raises
    `NotRestricted`, `SubjectErased`."""
    with transaction.atomic():
        locked = subjects.lock(subject.pk)
        if locked.restricted_at is None:
            raise NotRestricted("this person's data is not restricted")
        ground = locked.restriction_ground
        locked.restricted_at = None
        locked.restriction_ground = ""
        locked.restriction_lifted_at = timezone.now()
        locked.save(update_fields=["restricted_at", "restriction_ground", "restriction_lifted_at"])
        subjects.move_consent_epoch(locked)
        _record(EventName.RESTRICTION_LIFTED, locked, ground, actor)
    return locked


def is_restricted(project: int, codes: Collection[str]) -> bool:
    """Whether anybody among these subjects is restricted. Asked under their locks where the answer must hold."""
    return Subject.objects.filter(project=project, code__in=list(codes), restricted_at__isnull=False).exists()


def holds_something(project: int, codes: Collection[str], purpose: str, scopes: Collection[str]) -> bool:
    """Whether somebody restricted among these subjects still has a grant on one of the scopes: what rests on it is to stay."""
    return CurrentGrant.objects.filter(
        subject__project=project,
        subject__code__in=list(codes),
        subject__restricted_at__isnull=False,
        purpose__code=purpose,
        scope__in=list(scopes),
        grant__state__in=[state.value for state in HOLDS],
    ).exists()


def _record(name: EventName, subject: Subject, ground: str, actor: Actor) -> None:
    trail.record(
        name,
        organization=subject.project.organization.code,
        actor=actor,
        objects=[
            Reference(ObjectKind.SUBJECT, subject.code, subject.consent_epoch),
            Reference(ObjectKind.PROJECT, subject.project.code),
        ],
        reason=ground,
    )
