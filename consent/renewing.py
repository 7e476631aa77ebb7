"""What follows a material notice. The gate closed at its publication, by one row; here every grant under an older version gets its
*renewal due* revision and its event, in batches, so that histories and webhooks say so.

Resumable: each batch is a transaction that also moves the run's mark; a run that was cut off goes on where it stood. Running twice
at once does no harm: the second finds the run's row taken.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from audit import trail
from audit.entry import ObjectKind, Reference
from audit.events import EventName
from consent.models import CurrentGrant, Ending, Grant, Notice, NoticeSeries, RenewalRun, Subject
from consent.vocabulary import EndCause, GrantState

ACTOR: Final = trail.system("renewal")
BATCH: Final = 500
"""Grants in one transaction."""

Progress = Callable[[RenewalRun], None]
"""Told after each batch."""


def begin(series: NoticeSeries, version: int) -> RenewalRun:
    """For whoever publishes a material version, in the same transaction."""
    made: RenewalRun = RenewalRun.objects.create(series=series, version=version)
    return made


def carry_out(progress: Progress = lambda run: None, batches: int | None = None) -> int:
    """Carries out open runs, oldest first, in at most that many batches; returns how many grants became due."""
    total = 0
    for run in list(RenewalRun.objects.filter(finished_at=None).order_by("id")):
        while batches is None or batches > 0:
            moved = _batch(run.pk)
            if moved is None:
                break
            total += moved
            batches = None if batches is None else batches - 1
            progress(RenewalRun.objects.select_related("series").get(pk=run.pk))
    return total


def progress_of(notice: Notice) -> RenewalRun | None:
    """The run that publishing this version began, if it was material."""
    found: RenewalRun | None = RenewalRun.objects.filter(series=notice.series_id, version=notice.version).first()
    return found


def affected(series: NoticeSeries, version: int) -> QuerySet[CurrentGrant]:
    """The grants in force whose notice is older than that version of the series."""
    return CurrentGrant.objects.filter(
        subject__erased_at=None,
        purpose__series=series,
        grant__state=GrantState.GIVEN.value,
        grant__record__notice__series=series,
        grant__record__notice__version__lt=version,
    )


def _batch(run_id: int) -> int | None:
    """One batch of the run; None when it is finished or somebody else has it in hand."""
    with transaction.atomic():
        run = (
            RenewalRun.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
            .select_related("series__project__organization")
            .filter(pk=run_id, finished_at=None)
            .first()
        )
        if run is None:
            return None
        if run.total is None:
            run.total = affected(run.series, run.version).count()
        due = _locked_batch(run)
        if not due:
            run.finished_at = timezone.now()
            run.save(update_fields=["total", "finished_at"])
            return None
        _make_due(run, due)
        run.done = F("done") + len(due)
        run.after = max(row.pk for row in due)
        run.save(update_fields=["total", "done", "after"])
    return len(due)


def _locked_batch(run: RenewalRun) -> list[CurrentGrant]:
    """The next grants, with their people locked in order of id: what they answered meanwhile is seen, what comes later waits."""
    rows = affected(run.series, run.version).filter(pk__gt=run.after).order_by("pk")
    while batch := list(rows.values_list("pk", "subject")[:BATCH]):
        people = sorted({subject for _, subject in batch})
        list(Subject.objects.select_for_update(no_key=True).filter(pk__in=people).order_by("pk").values_list("pk"))
        due = list(rows.filter(pk__in=[pk for pk, _ in batch]).select_related("grant__record", "purpose", "subject"))
        if due:
            return due
        rows = rows.filter(pk__gt=batch[-1][0])
    return []


def _make_due(run: RenewalRun, due: Sequence[CurrentGrant]) -> None:
    project = run.series.project
    organization = project.organization.code
    people = [(subject, list(rows)) for subject, rows in groupby(sorted(due, key=_whose), key=lambda row: row.subject)]
    Subject.objects.filter(pk__in=[subject.pk for subject, _ in people]).update(consent_epoch=F("consent_epoch") + 1)
    endings = Ending.objects.bulk_create(
        Ending(
            project=project,
            subject=subject,
            cause=EndCause.NOTICE.value,
            state=GrantState.RENEWAL_DUE.value,
            consent_epoch=subject.consent_epoch + 1,
            actor_kind=ACTOR.kind.value,
            actor_code=ACTOR.code,
        )
        for subject, _ in people
    )
    ending_of = {ending.subject_id: ending for ending in endings}
    grants = Grant.objects.bulk_create(
        Grant(
            record=row.grant.record,
            scope=row.scope,
            revision=row.grant.revision + 1,
            state=GrantState.RENEWAL_DUE.value,
            actor_kind=ACTOR.kind.value,
            actor_code=ACTOR.code,
            reason=f"notice version {run.version}",
            ending=ending_of[row.subject_id],
        )
        for row in due
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE consent_currentgrant AS current_ SET grant_id = new.grant_id"
            " FROM unnest(%s::bigint[], %s::bigint[]) AS new (id, grant_id) WHERE current_.id = new.id",
            [[row.pk for row in due], [grant.pk for grant in grants]],
        )
    for subject, rows in people:
        trail.record(
            EventName.GRANT_RENEWAL_DUE,
            organization=organization,
            actor=ACTOR,
            objects=[
                *[Reference(ObjectKind.CONSENT, code) for code in sorted({row.grant.record.code for row in rows})],
                Reference(ObjectKind.SUBJECT, subject.code, subject.consent_epoch + 1),
                *[Reference(ObjectKind.PURPOSE, code) for code in sorted({row.purpose.code for row in rows})],
            ],
            reason=EndCause.NOTICE.value,
            detail={"scopes": sorted({row.scope for row in rows}), "notice_version": run.version},
        )


def _whose(row: CurrentGrant) -> int:
    return int(row.subject_id)
