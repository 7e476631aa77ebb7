"""What an answer must agree with before it is recorded: its purpose, its notice, its own times. Field by field; decides nothing."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from accounts.models import Project
from consent.errors import InvalidRecord, NoticeNotPublished
from consent.gate import CLOCK_SKEW
from consent.law import places
from consent.models import Notice, Purpose, Subject
from consent.vocabulary import EvidenceMethod

if TYPE_CHECKING:
    from consent.granting import Answer

MAX_ORIGIN: Final = 500
MAX_USES: Final = 1_000_000
EVENT: Final = r"^[a-z][a-z0-9_.-]{0,63}$"
"""What the name of an event looks like."""


def require_consistent(project: Project, subject: Subject, purpose: Purpose, notice: Notice, answer: "Answer") -> None:
    """Raises `InvalidRecord` with everything that contradicts, field by field, and `NoticeNotPublished`."""
    problems = list(_contradictions(project, subject, purpose, notice, answer))
    if problems:
        raise InvalidRecord(*problems[0], also=problems[1:])
    if notice.published_at is None:
        raise NoticeNotPublished("consent needs a published notice")
    if notice.version < notice.series.least_valid_version:
        raise NoticeNotPublished("a newer material version of this notice is in force")


def _contradictions(
    project: Project, subject: Subject, purpose: Purpose, notice: Notice, answer: "Answer"
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
    if answer.spoken_statement:
        yield from _not_to_be_said(notice, answer)
    if not places.is_place(answer.jurisdiction):
        yield "jurisdiction", "must be an ISO 3166 code, or unknown"
    if answer.until_event and not re.fullmatch(EVENT, answer.until_event):
        yield "until_event", "must be a short name in lower case, such as contract_ended"
    if answer.uses is not None and not 1 <= answer.uses <= MAX_USES:
        yield "uses", f"must be between 1 and {MAX_USES}"
    yield from _impossible_times(answer)


def _not_to_be_said(notice: Notice, answer: "Answer") -> Iterator[tuple[str, str]]:
    if not answer.given:
        yield "spoken_statement", "a refusal needs no statement"
    if answer.evidence_method is not EvidenceMethod.SPOKEN:
        yield "spoken_statement", "is for consent that was spoken"
    if not notice.required_phrase:
        yield "notice", "has no phrase that a person could say"


def _impossible_times(answer: "Answer") -> Iterator[tuple[str, str]]:
    now = timezone.now()
    if answer.given_at > now + CLOCK_SKEW:
        yield "given_at", "lies in the future"
    if answer.expires_at is not None and answer.expires_at <= max(now, answer.given_at):
        yield "expires_at", "must lie in the future"
    if answer.covers_recorded_from is not None and answer.covers_recorded_from > answer.given_at:
        yield "covers_recorded_from", "must not be later than given_at"
