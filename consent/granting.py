"""Recording what a person answered, or that they were asked: one consent record, and per scope a grant revision and a current row.

What an answer must agree with is in `consistency`; what it does to the answers before it is in `answering`.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction

from accounts.models import Project
from audit.entry import Actor
from consent import answering, publishing, representing, subjects
from consent.consistency import require_consistent
from consent.law.places import UNKNOWN
from consent.models import ConsentRecord, Notice, Purpose, Representation, Subject
from consent.vocabulary import AgeBand, EvidenceMethod, GrantState, Scope
from vault.fields import seal_waiting


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person answered, as the caller attests it. Times are aware.

    `evidence_sha256` is the hash of exactly what was shown; it must be the notice's own, so that a record cannot claim another
    text. `covers_recorded_from` names recordings made before the answer. `representation`: who answered, where it was not the
    person. It holds until `expires_at`, until `until_event` is reported, for `uses` recordings, or, with none of these, until it is
    withdrawn. `jurisdiction` is where the person is protected (ISO 3166, or `unknown`). With `spoken_statement` it is requested
    until the clip that follows was heard (`statements`).
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
    jurisdiction: str = UNKNOWN
    expires_at: datetime | None = None
    until_event: str = ""
    uses: int | None = None
    covers_recorded_from: datetime | None = None
    spoken_statement: bool = False


def record_consent(
    project: Project, subject: Subject, purpose: Purpose, notice: Notice, answer: Answer, *, actor: Actor
) -> ConsentRecord:
    """Records an answer, given or refused. Raises `InvalidRecord`, `NoticeNotPublished`, `RepresentationEnded`, `SubjectErased`."""
    state = GrantState.GIVEN if answer.given else GrantState.REFUSED
    if answer.spoken_statement:
        state = GrantState.REQUESTED
    return _record(project, subject, purpose, notice, answer, state=state, actor=actor)


def record_request(
    project: Project, subject: Subject, purpose: Purpose, notice: Notice, asked: Answer, *, actor: Actor
) -> ConsentRecord:
    """Records that a person was asked and has not answered: `given_at` is when, `given` and `explicit` say nothing yet. It opens
    nothing and closes nothing. Raises as `record_consent`."""
    unanswered = replace(asked, explicit=False, spoken_statement=False)
    return _record(project, subject, purpose, notice, unanswered, state=GrantState.REQUESTED, actor=actor)


def _record(
    project: Project,
    subject: Subject,
    purpose: Purpose,
    notice: Notice,
    answer: Answer,
    *,
    state: GrantState,
    actor: Actor,
) -> ConsentRecord:
    # Read afresh: what counts is the notice as it stands now, not as the caller once loaded it.
    notice = Notice.objects.select_related("series").get(pk=notice.pk)
    require_consistent(project, subject, purpose, notice, answer)
    record = ConsentRecord(
        project=project,
        subject=subject,
        purpose=purpose,
        notice=notice,
        explicit=answer.explicit,
        given_at=answer.given_at,
        expires_at=answer.expires_at,
        until_event=answer.until_event,
        uses=answer.uses,
        jurisdiction=answer.jurisdiction,
        covers_recorded_from=answer.covers_recorded_from,
        age_band=answer.age_band.value,
        representation=answer.representation,
        evidence_method=answer.evidence_method.value,
        evidence_sha256=answer.evidence_sha256,
        evidence_origin=answer.evidence_origin or None,
    )
    seal_waiting(record)
    with transaction.atomic():
        record.subject = locked = subjects.lock(subject.pk)
        record.save(force_insert=True)
        publishing.require_valid(notice)
        if answer.representation is not None:
            representing.require_in_force(answer.representation, locked)
        answering.answer(record, locked, answer.scopes, state, actor=actor)
    return record
