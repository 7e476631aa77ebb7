"""Keeping and opening voiceprints, each under a Permit for `voice.identify` of that person; and what the inventory says of them.

How a template is made from a voice, and what one is compared with, is for the rooms above. Here it is bytes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import destruction
from consent.gate import Permit
from consent.inventory import Category, Target
from consent.models import Purpose, Subject, Voiceprint
from consent.processing import DAYS
from consent.terms import days_for
from consent.vocabulary import RetentionClass, Scope
from vault import sealing
from vault.codes import new_code


@dataclass(frozen=True, slots=True)
class Template:
    """A voice as one model describes it; `model_digest` says which. For this process's memory only."""

    values: bytes
    model_name: str
    model_digest: str
    seconds: float
    """Of voice that it was made from."""

    def __repr__(self) -> str:
        return f"Template(model_digest={self.model_digest!r})"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A voiceprint that was opened."""

    template: Template
    made_at: datetime


def keep(permit: Permit, subject: str, template: Template, *, actor: Actor) -> Voiceprint:
    """Keeps the template as the person's voiceprint under the Permit's purpose, instead of an older one. Call it in the transaction
    that commits the results, under its locks. Raises `BeyondPermit`, vault errors."""
    permit.require_pair(subject, Scope.IDENTIFY)
    person = Subject.objects.select_related("project__organization").get(project=permit.project, code=subject)
    purpose = Purpose.objects.get(project=permit.project, code=permit.purpose)
    now = timezone.now()
    made = Voiceprint(code=new_code(), subject=person, purpose=purpose)
    context, keys = made.sealed_in()
    kept, new = Voiceprint.objects.update_or_create(
        subject=person,
        purpose=purpose,
        defaults={
            "code": made.code,
            "template": sealing.seal(context, keys, template.values),
            "model_name": template.model_name,
            "model_digest": template.model_digest,
            "seconds": template.seconds,
            "made_at": now,
            "expires_at": now + timedelta(days=_days(purpose)),
        },
    )
    trail.record(
        EventName.VOICEPRINT_MADE,
        organization=permit.organization,
        actor=actor,
        objects=[
            Reference(ObjectKind.SUBJECT, subject, permit.consent_epochs[subject]),
            Reference(ObjectKind.PURPOSE, purpose.code),
            Reference(ObjectKind.DECISION, permit.decision),
            Reference(ObjectKind.PROJECT, person.project.code),
        ],
        detail={"replaced": not new, "model": template.model_name, "expires_at": kept.expires_at.isoformat()},
    )
    return kept


def open_of(permit: Permit, subject: str) -> Enrolled | None:
    """The person's voiceprint under the Permit's purpose; None where there is none, its term is over, or it is ordered
    destroyed. Raises `BeyondPermit`, vault errors."""
    permit.require_pair(subject, Scope.IDENTIFY)
    row = (
        Voiceprint.objects.filter(subject__project=permit.project, subject__code=subject, purpose__code=permit.purpose)
        .filter(expires_at__gt=timezone.now())
        .select_related("subject__project__organization")
        .first()
    )
    if row is None:
        return None
    orders = destruction.open_orders(permit.project, permit.purpose, [subject])
    if any(destruction.names(order, [subject], [Scope.IDENTIFY], row.made_at) for order in orders):
        # The key may serve another purpose, and the worker has not come by yet.
        return None
    context, keys = row.sealed_in()
    values = sealing.open(context, keys, bytes(row.template))
    return Enrolled(Template(values, row.model_name, row.model_digest, row.seconds), row.made_at)


def _days(purpose: Purpose) -> int:
    """How long it may be kept: the shortest of the purpose's retention class, the project's term and every cap of the law."""
    most = DAYS[RetentionClass(purpose.retention_class)]
    term = days_for(purpose.project, Category.VOICEPRINTS)
    return most if term is None else min(most, term)


class VoiceprintHolder:
    """How a person's voice is recognized. It goes with the consent to that, with the person, and with its term."""

    name = "voiceprints"
    category = Category.VOICEPRINTS
    fields = frozenset(
        f"consent.Voiceprint.{name}"
        for name in (
            "code",
            "subject",
            "purpose",
            "template",
            "model_name",
            "model_digest",
            "seconds",
            "made_at",
            "expires_at",
        )
    )

    def _rows(self, target: Target) -> QuerySet[Voiceprint]:
        rows = Voiceprint.objects.filter(subject__project=target.project, subject__code=target.subject)
        if target.whole_person:
            return rows
        if Scope.IDENTIFY.value not in target.scopes:
            return rows.none()
        rows = rows.filter(made_at__lte=target.made_until)
        return rows.filter(purpose__code=target.purpose) if target.purpose else rows

    def count(self, target: Target) -> int:
        return self._rows(target).count()

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        """That there is one, and how it came about; the template opens doors and is not handed out."""
        for row in self._rows(target).select_related("purpose").order_by("id"):
            yield {
                "voiceprint": row.code,
                "purpose": row.purpose.code,
                "model": row.model_name,
                "seconds": row.seconds,
                "made_at": row.made_at,
                "expires_at": row.expires_at,
            }

    def destroy(self, target: Target) -> int:
        return _delete(self._rows(target))

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        """Those whose own term is over go too, however long the project's is by now."""
        over = Voiceprint.objects.filter(expires_at__lt=timezone.now())
        due = (Voiceprint.objects.filter(made_at__lt=made_before) | over).filter(subject__project=project)
        return _delete_oldest(due, limit)

    def destroy_due_of(self, purpose: int, made_before: datetime, limit: int) -> int:
        return _delete_oldest(Voiceprint.objects.filter(purpose=purpose, made_at__lt=made_before), limit)


def _delete_oldest(due: QuerySet[Voiceprint], limit: int) -> int:
    """Terms stand still for whoever's processing is restricted."""
    free = due.filter(subject__restricted_at=None).order_by("id").values_list("pk", flat=True)[:limit]
    return _delete(Voiceprint.objects.filter(pk__in=list(free)))


def _delete(rows: QuerySet[Voiceprint]) -> int:
    deleted, _ = rows.delete()
    return deleted
