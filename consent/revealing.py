"""The one way in which somebody sees what is sealed about a person besides their voice: who they are, where the evidence of a
consent lies, who represents them. Each look is recorded before anything opens, and stands in the person's access list.
"""

from dataclasses import dataclass

from django.db import transaction

from audit import standing, trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent.errors import SubjectErased
from consent.models import ConsentRecord, Representation, Subject
from vault.fields import Sealed


@dataclass(frozen=True, slots=True)
class Representative:
    """Who represents somebody, and where the proof is kept; empty where nobody said."""

    identity: str
    proof_reference: str

    def __repr__(self) -> str:
        return "Representative(...)"


def reference(subject: Subject, *, actor: Actor) -> str:
    """The external reference; empty when none was given. Raises `SubjectErased`."""
    _look(EventName.SUBJECT_REVEALED, subject, actor)
    return _text(subject.external_reference)


def evidence_origin(record: ConsentRecord, *, actor: Actor) -> str:
    """Where the answer came from; empty when nobody said. Raises `SubjectErased`."""
    _look(EventName.EVIDENCE_REVEALED, record.subject, actor, Reference(ObjectKind.CONSENT, record.code))
    return _text(record.evidence_origin)


def representative(row: Representation, *, actor: Actor) -> Representative:
    """Raises `SubjectErased`: who represented a person goes with them."""
    _look(EventName.REPRESENTATIVE_REVEALED, row.subject, actor, Reference(ObjectKind.REPRESENTATIVE, row.code))
    return Representative(_text(row.identity), _text(row.proof_reference))


def _look(name: EventName, subject: Subject, actor: Actor, *objects: Reference) -> None:
    standing.require_open()
    if subject.erased_at is not None:
        raise SubjectErased("this person's data was erased")
    with transaction.atomic():
        trail.record(
            name,
            organization=subject.project.organization.code,
            actor=actor,
            objects=[*objects, Reference(ObjectKind.SUBJECT, subject.code, subject.consent_epoch)],
        )


def _text(sealed: Sealed | None) -> str:
    return "" if sealed is None else sealed.text()
