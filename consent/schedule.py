"""The retention schedule that the public can read (740 ILCS 14/15(a)): each version is a row that never changes, and the newest one
is served without a token at `/policies/{project}/retention`.

Publishing is asked for once; from then on a change of terms publishes the next version in its own transaction, so that what the
public reads is what is done.
"""

import hashlib
from typing import Any, Final

import rfc8785
from django.db import transaction
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from accounts.models import Project
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import terms
from consent.inventory import Category
from consent.models import RetentionSchedule

DESTRUCTION: Final = (
    "Whatever comes first ends it: the term, counted from when the data was made; the withdrawal of the consent that it rests on; "
    "the erasure of the person. Sealed data is destroyed with its key."
)


def publish(project: Project, *, actor: Actor) -> RetentionSchedule:
    """Publishes the terms that are in force now as the next version."""
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        before = current(project)
        version = 1 if before is None else before.version + 1
        kept = [_term(project, category) for category in Category if terms.days_for(project, category) is not None]
        body = {"project": project.code, "version": version, "terms": kept, "destruction": DESTRUCTION}
        made: RetentionSchedule = RetentionSchedule.objects.create(
            project=project,
            version=version,
            terms=kept,
            sha256=hashlib.sha256(rfc8785.dumps(body)).hexdigest(),  # type: ignore[arg-type]  # its stub wants invariant dict values
        )
        trail.record(
            EventName.RETENTION_SCHEDULE_PUBLISHED,
            organization=project.organization.code,
            actor=actor,
            objects=[Reference(ObjectKind.PROJECT, project.code)],
            detail={"version": version, "sha256": made.sha256},
        )
    return made


def current(project: Project) -> RetentionSchedule | None:
    """The version that the public reads now, if any was published."""
    found: RetentionSchedule | None = RetentionSchedule.objects.filter(project=project).order_by("-version").first()
    return found


def republish_if_published(project: Project, *, actor: Actor) -> None:
    """For whoever changes a term, in the same transaction."""
    if current(project) is not None:
        publish(project, actor=actor)


def as_json(schedule: RetentionSchedule) -> dict[str, Any]:
    """What the public reads."""
    return {
        "project": schedule.project.code,
        "version": schedule.version,
        "published_at": schedule.published_at.isoformat(),
        "sha256": schedule.sha256,
        "terms": schedule.terms,
        "destruction": DESTRUCTION,
    }


@require_safe
def public_page(request: HttpRequest, project: str) -> JsonResponse:
    """`/policies/{project}/retention`, for anyone."""
    found = RetentionSchedule.objects.select_related("project").filter(project__code=str(project))
    newest = found.order_by("-version").first()
    if newest is None:
        raise Http404
    return JsonResponse(as_json(newest))


def _term(project: Project, category: Category) -> dict[str, Any]:
    return {"category": category.value, "days": terms.days_for(project, category)}
