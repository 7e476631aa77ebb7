"""Recording what a person answered: one consent record, one append-only grant revision per scope, one current row each."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import Project
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import representing, subjects
from consent.closing import order_destruction
from consent.errors import InvalidRecord, NoticeNotPublished
from consent.gate import CLOCK_SKEW
from consent.models import ConsentRecord, CurrentGrant, Grant, Notice, Purpose, Representation, Subject
from consent.revising import revise
from consent.vocabulary import HOLDS, AgeBand, EvidenceMethod, GrantState, Scope
from vault import sealing
from vault.codes import new_code
from vault.context import Context
from vault.keys import KeyName

MAX_ORIGIN = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person answered, as the caller attests it. Times are aware.

    `evidence_sha256` is the hash of exactly what was shown; it must be the notice's own, so that a record cannot claim another
    text. `covers_recorded_from` names recordings made before the answer. `representation`: who answered, where it was not the
    person.
    """

    scopes: tuple[Scope, ...]
    given: bool
    explicit: bool
    given_at: datetime
    evidence_method: EvidenceMethod
    evidence_sha256: str
    evidence_origin: str = ""
    age_band: AgeBand = AgeBand.UNSTATED
    representation: Representation | None = None
    expires_at: datetime | None = None
    covers_recorded_from: datetime | None = None


def record_consent(
    project: Project, subject: Subject, purpose: Purpose, notice: Notice, answer: Answer, *, actor: Actor
) -> ConsentRecord:
    """Records an answer, given or refused. Raises `InvalidRecord`, `NoticeNotPublished`, `SubjectErased`."""
    # Read afresh: what counts is the notice as it stands now, not as the caller once loaded it.
    notice = Notice.objects.select_related("series").get(pk=notice.pk)
    _require_consistent(project, subject, purpose, notice, answer)
    organization = project.organization.code
    code = new_code()
    origin = None
    if answer.evidence_origin:
        origin = sealing.seal(
            origin_context(organization, subject.code, code),
            [KeyName.record(organization, subject.code)],
            answer.evidence_origin.encode(),
        )
    state = GrantState.GIVEN if answer.given else GrantState.REFUSED
    with transaction.atomic():
        locked = subjects.lock(subject.pk)
        record: ConsentRecord = ConsentRecord.objects.create(
            code=code,
            project=project,
            subject=locked,
            purpose=purpose,
            notice=notice,
            explicit=answer.explicit,
            given_at=answer.given_at,
            expires_at=answer.expires_at,
            covers_recorded_from=answer.covers_recorded_from,
            age_band=answer.age_band.value,
            representation=answer.representation,
            evidence_method=answer.evidence_method.value,
            evidence_sha256=answer.evidence_sha256,
            evidence_origin=origin,
        )
        _require_latest(locked, purpose, answer)
        if answer.representation is not None:
            representing.require_in_force(answer.representation, locked)
        replaced = [] if answer.given else _in_force(locked, purpose, answer)
        for scope in sorted(set(answer.scopes)):
            revise(record, scope, state, actor=actor)
        epoch = subjects.move_consent_epoch(locked)
        orders = order_destruction(locked, organization, replaced, "refusal") if replaced else []
        trail.record(
            EventName.GRANT_GIVEN if answer.given else EventName.GRANT_REFUSED,
            organization=organization,
            actor=actor,
            objects=[
                Reference(ObjectKind.CONSENT, record.code),
                Reference(ObjectKind.SUBJECT, locked.code, epoch),
                Reference(ObjectKind.PURPOSE, purpose.code),
                Reference(ObjectKind.NOTICE, notice.code),
            ],
            detail={
                "scopes": sorted(scope.value for scope in set(answer.scopes)),
                "notice_sha256": notice.sha256,
                "evidence_sha256": answer.evidence_sha256,
                "explicit": answer.explicit,
                "represented": answer.representation is not None,
                "destruction_ordered": len(orders),
            },
        )
    return record


def _in_force(subject: Subject, purpose: Purpose, answer: Answer) -> list[CurrentGrant]:
    """The grants whose derived data this answer ends."""
    return list(
        CurrentGrant.objects.filter(
            subject=subject,
            purpose=purpose,
            scope__in=list(answer.scopes),
            grant__state__in=[state.value for state in HOLDS],
        ).select_related("purpose")
    )


def _require_latest(subject: Subject, purpose: Purpose, answer: Answer) -> None:
    """An answer given before a refusal or withdrawal that we know of cannot undo it, however late it comes in."""
    if (
        answer.given
        and Grant.objects.filter(
            record__subject=subject,
            record__purpose=purpose,
            scope__in=list(answer.scopes),
            state__in=[state.value for state in (GrantState.REFUSED, GrantState.WITHDRAWN, GrantState.INVALIDATED)],
            at__gt=answer.given_at,
        ).exists()
    ):
        raise InvalidRecord(
            "given_at", "is earlier than a refusal or withdrawal; record what the person answered since"
        )


def origin_context(organization: str, subject: str, record: str) -> Context:
    return Context(
        organization=organization,
        subjects=(subject,),
        scope="record",
        kind="consent",
        field="evidence_origin",
        object_code=record,
    )


def _require_consistent(project: Project, subject: Subject, purpose: Purpose, notice: Notice, answer: Answer) -> None:
    """Raises `InvalidRecord` with everything that contradicts, field by field, and `NoticeNotPublished`."""
    problems = list(_contradictions(project, subject, purpose, notice, answer))
    if problems:
        raise InvalidRecord(*problems[0], also=problems[1:])
    if notice.published_at is None:
        raise NoticeNotPublished("consent needs a published notice")
    if notice.version < notice.series.least_valid_version:
        raise NoticeNotPublished("a newer material version of this notice is in force")


def _contradictions(
    project: Project, subject: Subject, purpose: Purpose, notice: Notice, answer: Answer
) -> Iterator[tuple[str, str]]:
    for name, home in (("subject", subject), ("purpose", purpose), ("notice", notice)):
        if home.project_id != project.pk:
            yield name, "belongs to another project"
    if not answer.scopes:
        yield "scopes", "name at least one scope"
    outside = sorted({scope.value for scope in answer.scopes} - set(purpose.scopes))
    if outside:
        yield "scopes", f"the purpose does not include {', '.join(outside)}"
    if notice.series_id != purpose.series_id:
        yield "notice", "is not a version of the purpose's notice"
    if answer.evidence_sha256 != notice.sha256:
        yield "evidence_sha256", "is not the hash of the notice that was named"
    if len(answer.evidence_origin) > MAX_ORIGIN:
        yield "evidence_origin", f"at most {MAX_ORIGIN} characters"
    if answer.representation is not None and answer.representation.subject_id != subject.pk:
        yield "representative", "represents somebody else"
    yield from _impossible_times(answer)


def _impossible_times(answer: Answer) -> Iterator[tuple[str, str]]:
    now = timezone.now()
    if answer.given_at > now + CLOCK_SKEW:
        yield "given_at", "lies in the future"
    if answer.expires_at is not None and answer.expires_at <= max(now, answer.given_at):
        yield "expires_at", "must lie in the future"
    if answer.covers_recorded_from is not None and answer.covers_recorded_from > answer.given_at:
        yield "covers_recorded_from", "must not be later than given_at"
