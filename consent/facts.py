"""What the gate needs to know, in one round trip: for each subject and scope the grant in force, and the purpose it is under.

Read with plain SQL because it is one question; whatever is absent comes back as absent, and `judging` turns that into a denial.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection


@dataclass(frozen=True, slots=True)
class PurposeFacts:
    active: bool
    scopes: frozenset[str]
    contexts: frozenset[str]
    ground: str
    deidentified: bool
    least_valid_version: int


@dataclass(frozen=True, slots=True)
class PairFacts:
    """One subject and one scope. `state` is empty when nothing was ever recorded for the pair."""

    known: bool
    erased: bool
    restricted: bool
    """Whether nothing at all may be done with the person's data for now (GDPR art. 18)."""
    restricted_roles: frozenset[str]
    """Roles in which the law denied something about this person that it would not have denied in another."""
    approved_roles: frozenset[str]
    """Roles that a second person approved since."""
    state: str
    grant: str
    explicit: bool
    method: str
    age_band: str
    jurisdiction: str
    expires_at: datetime | None
    open_ended: bool
    record: int
    """Number of the consent record; 0 when there is none."""
    uses: int | None
    used: int
    used_here: bool
    """Whether one of its uses was for the recording that is asked about."""
    represented: bool
    representation_ends_at: datetime | None
    """When whoever answered for the person no longer represents them; None where nobody did, or for good."""
    notice_version: int
    covers_from: datetime | None
    """Recordings made from this time on are covered: when consent was given, or earlier where the person named them."""


@dataclass(frozen=True, slots=True)
class Facts:
    organization: str
    policy_epoch: int
    now: datetime
    schedule_published: bool
    own_rules: tuple[str, ...]
    """Ids of the rules that the project lays upon itself."""
    own_rules_version: int
    purpose: PurposeFacts | None
    consent_epochs: Mapping[str, int]
    pairs: Mapping[tuple[str, str], PairFacts]

    def pair(self, subject: str, scope: str) -> PairFacts | None:
        return self.pairs.get((subject, scope))


class ProjectUnknown(LookupError):
    """The project of a gate request does not exist; nothing can be judged."""

    code = "project_unknown"


_QUESTION = """
SELECT organization.code AS organization, organization.policy_epoch, clock_timestamp() AS now,
       EXISTS (SELECT FROM consent_retentionschedule AS schedule WHERE schedule.project_id = project.id)
           AS schedule_published,
       own.rules AS own_rules, own.version AS own_rules_version,
       purpose.id AS purpose, purpose.active, purpose.scopes, purpose.contexts, purpose.ground, purpose.deidentified,
       series.least_valid_version,
       asked.subject, asked.scope, subject.id AS known, subject.erased_at, subject.restricted_at,
       subject.consent_epoch,
       ARRAY(SELECT role FROM consent_restrictedrole WHERE subject_id = subject.id) AS restricted_roles,
       ARRAY(SELECT role FROM consent_rolechange WHERE subject_id = subject.id AND approved_at IS NOT NULL)
           AS approved_roles,
       grant_.state, grant_.code AS grant,
       record.id AS record, record.explicit, record.evidence_method AS method, record.age_band, record.jurisdiction,
       record.expires_at, record.expires_at IS NULL AND record.until_event = '' AND record.uses IS NULL AS open_ended,
       record.uses,
       CASE WHEN record.uses IS NOT NULL
            THEN (SELECT count(*) FROM consent_grantuse AS use WHERE use.record_id = record.id) END AS used,
       CASE WHEN record.uses IS NOT NULL
            THEN EXISTS (SELECT FROM consent_grantuse AS use
                         WHERE use.record_id = record.id AND use.object_code = %(recording)s) END AS used_here,
       record.representation_id AS representation,
       LEAST(representation.ends_at, representation.ended_at) AS representation_ends_at,
       notice.version AS notice_version,
       CASE WHEN notice.series_id = purpose.series_id THEN LEAST(record.given_at, record.covers_recorded_from) END
           AS covers_from
FROM accounts_project AS project
JOIN accounts_organization AS organization ON organization.id = project.organization_id
LEFT JOIN consent_ruleset AS own ON own.project_id = project.id
LEFT JOIN consent_purpose AS purpose ON purpose.project_id = project.id AND purpose.code = %(purpose)s
LEFT JOIN consent_noticeseries AS series ON series.id = purpose.series_id
LEFT JOIN (SELECT subject, scope FROM unnest(%(subjects)s::text[]) AS subject
           CROSS JOIN unnest(%(scopes)s::text[]) AS scope) AS asked ON true
LEFT JOIN consent_subject AS subject ON subject.project_id = project.id AND subject.code = asked.subject
LEFT JOIN consent_currentgrant AS current_ ON current_.subject_id = subject.id
      AND current_.purpose_id = purpose.id AND current_.scope = asked.scope
LEFT JOIN consent_grant AS grant_ ON grant_.id = current_.grant_id
LEFT JOIN consent_consentrecord AS record ON record.id = grant_.record_id
LEFT JOIN consent_representation AS representation ON representation.id = record.representation_id
LEFT JOIN consent_notice AS notice ON notice.id = record.notice_id
WHERE project.id = %(project)s
"""


def gather(project: int, purpose: str, subjects: Sequence[str], scopes: Sequence[str], recording: str = "") -> Facts:
    """One query for any number of subjects and scopes. Raises `ProjectUnknown`."""
    with connection.cursor() as cursor:
        cursor.execute(
            _QUESTION,
            {
                "project": project,
                "purpose": purpose,
                "subjects": list(subjects),
                "scopes": list(scopes),
                "recording": recording,
            },
        )
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    if not rows:
        raise ProjectUnknown(f"no project {project}")
    first = rows[0]
    return Facts(
        organization=first["organization"],
        policy_epoch=first["policy_epoch"],
        now=first["now"],
        schedule_published=first["schedule_published"],
        own_rules=tuple(first["own_rules"] or ()),
        own_rules_version=first["own_rules_version"] or 0,
        purpose=None if first["purpose"] is None else _purpose(first),
        consent_epochs={row["subject"]: row["consent_epoch"] for row in rows if row["known"] is not None},
        pairs={(row["subject"], row["scope"]): _pair(row) for row in rows if row["subject"] is not None},
    )


def _purpose(row: Mapping[str, Any]) -> PurposeFacts:
    return PurposeFacts(
        active=row["active"],
        scopes=frozenset(row["scopes"]),
        contexts=frozenset(row["contexts"]),
        ground=row["ground"],
        deidentified=row["deidentified"],
        least_valid_version=row["least_valid_version"],
    )


def _pair(row: Mapping[str, Any]) -> PairFacts:
    return PairFacts(
        known=row["known"] is not None,
        erased=row["erased_at"] is not None,
        restricted=row["restricted_at"] is not None,
        restricted_roles=frozenset(row["restricted_roles"]),
        approved_roles=frozenset(row["approved_roles"]),
        state=row["state"] or "",
        grant=row["grant"] or "",
        explicit=bool(row["explicit"]),
        method=row["method"] or "",
        age_band=row["age_band"] or "",
        jurisdiction=row["jurisdiction"] or "",
        expires_at=row["expires_at"],
        open_ended=bool(row["open_ended"]),
        record=row["record"] or 0,
        uses=row["uses"],
        used=row["used"] or 0,
        used_here=bool(row["used_here"]),
        represented=row["representation"] is not None,
        representation_ends_at=row["representation_ends_at"],
        notice_version=row["notice_version"] or 0,
        covers_from=row["covers_from"],
    )
