"""Registering people by opaque code. Their external reference is sealed and found only through a blind index."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Project
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent.errors import DuplicateSubject, InvalidRecord, SubjectErased
from consent.models import Subject
from vault.blind import blind_index
from vault.fields import seal_waiting

MAX_REFERENCE = 200
_INDEX = "subject.external_reference"


def register(project: Project, *, external_reference: str = "", actor: Actor) -> Subject:
    """A new subject of the project. Raises `DuplicateSubject` when another one has the same external reference."""
    reference = external_reference.strip()
    if len(reference) > MAX_REFERENCE:
        raise InvalidRecord("external_reference", f"at most {MAX_REFERENCE} characters")
    subject = Subject(
        project=project,
        external_reference=reference or None,
        external_index=_index_of(project, reference) if reference else None,
    )
    seal_waiting(subject)
    try:
        with transaction.atomic():
            subject.save(force_insert=True)
            trail.record(
                EventName.SUBJECT_REGISTERED,
                organization=project.organization.code,
                actor=actor,
                objects=[Reference(ObjectKind.SUBJECT, subject.code, 0), Reference(ObjectKind.PROJECT, project.code)],
            )
    except IntegrityError as error:
        raise DuplicateSubject("a subject with this external reference exists already") from error
    return subject


def find_by_reference(project: Project, external_reference: str) -> Subject | None:
    """The subject with exactly this external reference, if there is one."""
    index = _index_of(project, external_reference.strip())
    found: Subject | None = Subject.objects.filter(project=project, external_index=index, erased_at=None).first()
    return found


def lock(subject_id: int) -> Subject:
    """The subject's row, locked for a change of their grants; call inside a transaction. Raises `SubjectErased`.

    The lock leaves the row's key free: rows that only refer to the subject wait for nobody, so that they cannot deadlock.
    """
    subject: Subject = Subject.objects.select_for_update(no_key=True).get(pk=subject_id)
    if subject.erased_at is not None:
        raise SubjectErased("this person's data was erased")
    return subject


def move_consent_epoch(subject: Subject) -> int:
    """Marks that the subject's grants changed. The caller holds the row's lock."""
    subject.consent_epoch += 1
    subject.save(update_fields=["consent_epoch"])
    return int(subject.consent_epoch)


def mark_erased(subject: Subject) -> None:
    """Closes the gate for the person for good and drops what identified them. The caller holds the row's lock."""
    subject.erased_at = timezone.now()
    subject.external_reference = None
    subject.external_index = None
    subject.restricted_at = subject.restriction_lifted_at = None
    subject.restriction_ground = ""
    subject.consent_epoch += 1
    subject.save(
        update_fields=[
            *("erased_at", "external_reference", "external_index", "consent_epoch"),
            *("restricted_at", "restriction_ground", "restriction_lifted_at"),
        ]
    )


def _index_of(project: Project, reference: str) -> bytes:
    return blind_index(project.organization.code, f"{_INDEX}/{project.code}", reference)
