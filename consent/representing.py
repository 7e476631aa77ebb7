"""Who acts for somebody: registering a representative with proof, and the end of what they represented.

A parent or guardian answers for a child until majority at the latest; somebody with a mandate answers for an adult. Their own
identity is sealed under the key of the person whom they represent. Withdrawing what they gave is `withdrawal`.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from django.db import transaction
from django.utils import timezone

from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import subjects
from consent.closing import end_grants
from consent.errors import InvalidRecord, RepresentationEnded
from consent.models import CurrentGrant, Representation, Subject
from consent.vocabulary import EndCause, GrantState, RepresentativeRelation
from vault import journal
from vault.fields import seal_waiting

MAX_IDENTITY = 500
SHA256: Final = r"[0-9a-f]{64}"
REPRESENTATION = "representation"
"""What the journal calls the early end of one."""


def register(
    subject: Subject,
    *,
    relation: RepresentativeRelation,
    identity: str,
    proof_sha256: str,
    proof_reference: str = "",
    of_child: bool,
    ends_at: datetime | None,
    actor: Actor,
) -> Representation:
    """A representative of the subject. `ends_at` is the day on which a child comes of age, or the end of a mandate.

    Raises `InvalidRecord`, `SubjectErased`.
    """
    found = Representation(
        project=subject.project,
        subject=subject,
        relation=relation.value,
        of_child=of_child,
        identity=identity.strip(),
        proof_sha256=proof_sha256,
        proof_reference=proof_reference or None,
        ends_at=ends_at,
    )
    wrong = list(problems(relation, identity, proof_sha256, proof_reference, of_child=of_child, ends_at=ends_at))
    if wrong:
        raise InvalidRecord(*wrong[0], also=wrong[1:])
    seal_waiting(found)
    with transaction.atomic():
        found.subject = locked = subjects.lock(subject.pk)
        found.save(force_insert=True)
        _record(EventName.REPRESENTATIVE_REGISTERED, found, locked.consent_epoch, actor)
    return found


def problems(
    relation: RepresentativeRelation,
    identity: str,
    proof_sha256: str,
    proof_reference: str,
    *,
    of_child: bool,
    ends_at: datetime | None,
) -> Iterator[tuple[str, str]]:
    """What does not make a representative, field by field."""
    if not identity.strip():
        yield "identity", "must not be empty"
    for name, value in (("identity", identity), ("proof_reference", proof_reference)):
        if len(value) > MAX_IDENTITY:
            yield name, f"at most {MAX_IDENTITY} characters"
    if not re.fullmatch(SHA256, proof_sha256):
        yield "proof_sha256", "must be the SHA-256 of the document: 64 hexadecimal digits, lower case"
    if of_child and ends_at is None:
        yield "ends_at", "a child comes of age: say when"
    if of_child == (relation is RepresentativeRelation.MANDATE):
        yield "relation", "a child has parents or guardians, an adult somebody with a mandate"
    if ends_at is not None and ends_at <= timezone.now():
        yield "ends_at", "must lie in the future"


def require_in_force(representation: Representation, subject: Subject) -> None:
    """Raises `RepresentationEnded` unless whoever it is still represents this person. The caller holds the subject's lock."""
    row = Representation.objects.get(pk=representation.pk, subject=subject)
    if row.ended_at is not None or (row.ends_at is not None and row.ends_at <= timezone.now()):
        raise RepresentationEnded("this representative no longer represents the person")


def end(representation: Representation, *, actor: Actor) -> Representation:
    """Ends a representation before its time. What was granted through it is no longer in force, from this commit on; it waits for
    what the person, or whoever represents them now, answers. Raises `RepresentationEnded`, `SubjectErased`."""
    with transaction.atomic():
        locked = subjects.lock(representation.subject_id)
        row: Representation = Representation.objects.select_for_update(no_key=True).get(pk=representation.pk)
        if row.ended_at is not None:
            raise RepresentationEnded("this representation was ended before")
        row.ended_at = timezone.now()
        row.save(update_fields=["ended_at"])
        journal.note(
            REPRESENTATION,
            {"project": locked.project.code, "subject": locked.code, "representation": row.code},
        )
        resting = list(
            CurrentGrant.objects.filter(
                subject=locked, grant__state=GrantState.GIVEN.value, grant__record__representation=row
            ).select_related("grant__record", "purpose")
        )
        if resting:
            end_grants(
                locked,
                resting,
                state=GrantState.RENEWAL_DUE,
                cause=EndCause.REPRESENTATION,
                actor=actor,
                reason="representation ended",
            )
        _record(EventName.REPRESENTATIVE_ENDED, row, locked.consent_epoch, actor)
    return row


def _record(name: EventName, row: Representation, epoch: int, actor: Actor) -> None:
    trail.record(
        name,
        organization=row.project.organization.code,
        actor=actor,
        objects=[
            Reference(ObjectKind.REPRESENTATIVE, row.code),
            Reference(ObjectKind.SUBJECT, row.subject.code, epoch),
            Reference(ObjectKind.PROJECT, row.project.code),
        ],
        detail={"of_child": row.of_child},
    )
