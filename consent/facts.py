"""What the gate needs to know, in one round trip: for each subject and scope the grant in force, and the purpose it is under.

Read with plain SQL because it is one question; whatever is absent comes back as absent, and the gate turns that into a denial.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection


@dataclass(frozen=True, slots=True)
class PurposeFacts:
    active: bool
    scopes: frozenset[str]
    contexts: frozenset[str]
    least_valid_version: int


@dataclass(frozen=True, slots=True)
class PairFacts:
    """One subject and one scope. `state` is empty when nothing was ever recorded for the pair."""

    known: bool
    erased: bool
    state: str
    grant: str
    explicit: bool
    expires_at: datetime | None
    notice_version: int
    covers_from: datetime | None
    """Recordings made from this time on are covered: when consent was given, or earlier where the person named them."""


@dataclass(frozen=True, slots=True)
class Facts:
    organization: str
    policy_epoch: int
    now: datetime
    purpose: PurposeFacts | None
    consent_epochs: Mapping[str, int]
    pairs: Mapping[tuple[str, str], PairFacts]

    def pair(self, subject: str, scope: str) -> PairFacts | None:
        return self.pairs.get((subject, scope))


class ProjectUnknown(LookupError):
    """The project of a gate request does not exist; nothing can be judged."""

    code = "project_unknown"


_QUESTION = """
SELECT organization.code, organization.policy_epoch, clock_timestamp(),
       purpose.id, purpose.active, purpose.scopes, purpose.contexts, series.least_valid_version,
       asked.subject, asked.scope, subject.id, subject.erased_at IS NOT NULL, subject.consent_epoch,
       grant_.state, grant_.code, record.explicit, record.expires_at, notice.version,
       CASE WHEN notice.series_id = purpose.series_id THEN LEAST(record.given_at, record.covers_recorded_from) END
FROM accounts_project AS project
JOIN accounts_organization AS organization ON organization.id = project.organization_id
LEFT JOIN consent_purpose AS purpose ON purpose.project_id = project.id AND purpose.code = %(purpose)s
LEFT JOIN consent_noticeseries AS series ON series.id = purpose.series_id
LEFT JOIN (SELECT subject, scope FROM unnest(%(subjects)s::text[]) AS subject
           CROSS JOIN unnest(%(scopes)s::text[]) AS scope) AS asked ON true
LEFT JOIN consent_subject AS subject ON subject.project_id = project.id AND subject.code = asked.subject
LEFT JOIN consent_currentgrant AS current_ ON current_.subject_id = subject.id
      AND current_.purpose_id = purpose.id AND current_.scope = asked.scope
LEFT JOIN consent_grant AS grant_ ON grant_.id = current_.grant_id
LEFT JOIN consent_consentrecord AS record ON record.id = grant_.record_id
LEFT JOIN consent_notice AS notice ON notice.id = record.notice_id
WHERE project.id = %(project)s
"""


def gather(project: int, purpose: str, subjects: Sequence[str], scopes: Sequence[str]) -> Facts:
    """One query for any number of subjects and scopes. Raises `ProjectUnknown`."""
    with connection.cursor() as cursor:
        cursor.execute(
            _QUESTION,
            {"project": project, "purpose": purpose, "subjects": list(subjects), "scopes": list(scopes)},
        )
        rows = cursor.fetchall()
    if not rows:
        raise ProjectUnknown(f"no project {project}")
    first = rows[0]
    return Facts(
        organization=first[0],
        policy_epoch=first[1],
        now=first[2],
        purpose=None
        if first[3] is None
        else PurposeFacts(first[4], frozenset(first[5]), frozenset(first[6]), first[7]),
        consent_epochs={row[8]: row[12] for row in rows if row[10] is not None},
        pairs={
            (row[8], row[9]): PairFacts(
                known=row[10] is not None,
                erased=bool(row[11]),
                state=row[13] or "",
                grant=row[14] or "",
                explicit=bool(row[15]),
                expires_at=row[16],
                notice_version=row[17] or 0,
                covers_from=row[18],
            )
            for row in rows
            if row[8] is not None
        },
    )
