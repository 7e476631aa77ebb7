"""What a row of an import names, and whether recording it would be refused. Reads only; recording is `importing`."""

import json
import re
from dataclasses import dataclass
from typing import Final

from accounts.models import Project
from consent import answering, representing, subjects
from consent.consistency import MAX_ORIGIN, require_consistent
from consent.errors import InvalidRecord, NoticeNotPublished
from consent.granting import Answer
from consent.import_rows import Problem, Represented, Row
from consent.models import ConsentRecord, Notice, Purpose, Representation, Subject
from consent.subjects import MAX_REFERENCE
from vault.blind import blind_index

_COLUMNS: Final = {
    "method": "evidence_method",
    "evidence_sha256": "notice",
    "material": "notice",
    "name": "purpose",
    "identity": "representative",
    "relation": "representative_relation",
    "proof_sha256": "representative_proof",
    "proof_reference": "representative_document",
    "ends_at": "representative_until",
}
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Lookup:
    """The purposes and notices of a project, asked for once each."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._purposes: dict[str, Purpose | None] = {}
        self._notices: dict[str, Notice | None] = {}

    def purpose(self, named: str) -> Purpose | None:
        """By code or by name."""
        if named not in self._purposes:
            rows = Purpose.objects.filter(project=self.project).select_related("series")
            self._purposes[named] = rows.filter(code=named).first() or rows.filter(name=named).first()
        return self._purposes[named]

    def notice(self, named: str) -> Notice | None:
        """By the SHA-256 of exactly what was shown, or by code."""
        if named not in self._notices:
            rows = Notice.objects.filter(project=self.project).select_related("series")
            by = {"sha256": named} if _SHA256.fullmatch(named) else {"code": named}
            self._notices[named] = rows.filter(**by).first()
        return self._notices[named]


@dataclass(frozen=True, slots=True)
class Checked:
    """`subject` is the code of the person that the row names, empty where nobody has that reference yet."""

    problems: tuple[Problem, ...]
    subject: str


def check(lookup: Lookup, row: Row) -> Checked:
    """Everything that recording the row now would refuse."""
    problems: list[Problem] = []

    def wrong(column: str, message: str) -> None:
        problems.append(Problem(row.number, column, message))

    if len(row.external_reference) > MAX_REFERENCE:
        wrong("external_reference", f"at most {MAX_REFERENCE} characters")
    if len(row.origin) > MAX_ORIGIN:
        wrong("evidence_origin", f"at most {MAX_ORIGIN} characters")
    subject = _subject(lookup, row)
    if subject is None and row.subject:
        wrong("subject", "nobody here has this code")
    elif subject is not None and subject.erased_at is not None:
        wrong("subject", "this person was erased")
    if row.represented is not None:
        for field, message in _not_represented(row.represented, subject):
            wrong(column_of(field), message)
    purpose, notice = lookup.purpose(row.purpose), lookup.notice(row.notice)
    if purpose is None:
        wrong("purpose", "no purpose here has this name or code")
    if notice is None:
        wrong("notice", "no notice here has this SHA-256 or code")
    if purpose is not None and notice is not None:
        problems += _refusals(lookup, row, subject, purpose, notice)
    return Checked(tuple(problems), "" if subject is None else subject.code)


def answer_of(row: Row, notice: Notice, representation: Representation | None = None) -> Answer:
    """The answer that a row stands for. Whoever names the notice attests that exactly it was shown."""
    return Answer(
        scopes=row.scopes,
        given=row.given,
        explicit=row.explicit,
        given_at=row.given_at,
        evidence_method=row.method,
        evidence_sha256=notice.sha256,
        evidence_origin=row.origin,
        age_band=row.age_band,
        representation=representation,
        jurisdiction=row.jurisdiction,
        expires_at=row.expires_at,
        covers_recorded_from=row.covers_recorded_from,
    )


def column_of(field: str) -> str:
    """The column that a field of a consent record comes from."""
    return _COLUMNS.get(field, field)


def representation_of(subject: Subject, named: Represented) -> Representation | None:
    """The representation that the row speaks of, where it is registered, ended or not. One document may prove two people (a birth
    certificate), so that who they are is compared too; nobody is shown it."""
    rows = Representation.objects.filter(
        subject=subject,
        relation=named.relation.value,
        proof_sha256=named.proof_sha256,
        ends_at=named.ends_at,
        identity__isnull=False,
    ).select_related("subject", "project__organization")
    found = (row for row in rows.order_by("id") if row.identity is not None and row.identity.text() == named.identity)
    return next(found, None)


def _not_represented(named: Represented, subject: Subject | None) -> list[tuple[str, str]]:
    known = None if subject is None or subject.erased_at is not None else representation_of(subject, named)
    if known is not None and known.ended_at is not None:
        return [("identity", "this representation was ended before its time")]
    return list(
        representing.problems(
            named.relation,
            named.identity,
            named.proof_sha256,
            named.proof_reference,
            of_child=named.of_child,
            ends_at=named.ends_at,
        )
    )


def fingerprint(project: Project, row: Row) -> bytes:
    """The same for the same row, and says nothing without the provider's key."""
    said = json.dumps(row.identity(), sort_keys=True, ensure_ascii=False)
    return blind_index(project.organization.code, f"consent.import/{project.code}", said)


def _subject(lookup: Lookup, row: Row) -> Subject | None:
    if row.subject:
        found: Subject | None = Subject.objects.filter(project=lookup.project, code=row.subject).first()
        return found
    return subjects.find_by_reference(lookup.project, row.external_reference)


def _refusals(lookup: Lookup, row: Row, subject: Subject | None, purpose: Purpose, notice: Notice) -> list[Problem]:
    # Somebody who is registered only with the row stands in for themself.
    whose = subject or Subject(project=lookup.project)
    try:
        require_consistent(lookup.project, whose, purpose, notice, answer_of(row, notice))
    except InvalidRecord as refusal:
        return [Problem(row.number, column_of(field), message) for field, message in refusal.problems]
    except NoticeNotPublished as refusal:
        return [Problem(row.number, "notice", str(refusal))]
    if subject is not None and row.given:
        would_be = ConsentRecord(subject=subject, purpose=purpose, given_at=row.given_at)
        if answering.is_overtaken(would_be, row.scopes):
            return [Problem(row.number, "given_at", "is earlier than a refusal or withdrawal that is recorded here")]
    return []
