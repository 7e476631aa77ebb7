"""A million grants for `bench gate`: people, their consent records for two purposes, the revisions of each scope and the current
rows, written by the owner in a few statements. What lies there is what the domain would have written, one call at a time.
"""

import os

import psycopg

from benchmarks.stage import Stage
from consent.models import Purpose

_PEOPLE = """
INSERT INTO consent_subject (code, project_id, consent_epoch, created_at, restriction_ground)
SELECT uuidv7()::text, %(project)s, %(purposes)s, now() - interval '90 days', ''
FROM generate_series(1, %(people)s)
"""
# A third ends with a term; a twentieth of the people answered twice, and their first record is superseded.
_RECORDS = """
INSERT INTO consent_consentrecord (code, project_id, subject_id, purpose_id, notice_id, explicit, given_at, registered_at,
    expires_at, until_event, jurisdiction, age_band, evidence_method, evidence_sha256)
SELECT uuidv7()::text, subject.project_id, subject.id, purpose, %(notice)s, true,
    now() - interval '60 days' + turn * interval '30 days', now() - interval '60 days' + turn * interval '30 days',
    CASE WHEN subject.id %% 3 = 0 THEN now() + interval '300 days' END, '', 'DE', 'adult', 'web_form', %(sha256)s
FROM consent_subject AS subject CROSS JOIN unnest(%(purpose_ids)s::bigint[]) AS purpose CROSS JOIN generate_series(0, 1) AS turn
WHERE subject.project_id = %(project)s AND (turn = 1 OR subject.id %% 20 = 0)
ORDER BY turn, subject.id
"""
_FIRST_REVISIONS = """
INSERT INTO consent_grant (code, record_id, scope, revision, state, at, actor_kind, actor_code, reason)
SELECT uuidv7()::text, record.id, scope, 1, 'given', record.registered_at, 'system', 'bench', ''
FROM consent_consentrecord AS record CROSS JOIN unnest(%(scopes)s::text[]) AS scope
WHERE record.project_id = %(project)s
ORDER BY record.id
"""
_SUPERSEDED = """
INSERT INTO consent_grant (code, record_id, scope, revision, state, at, actor_kind, actor_code, reason, superseded_by_id)
SELECT uuidv7()::text, older.id, scope, 2, 'superseded', newer.registered_at, 'system', 'bench', '', newer.id
FROM consent_consentrecord AS older
JOIN consent_consentrecord AS newer USING (subject_id, purpose_id)
CROSS JOIN unnest(%(scopes)s::text[]) AS scope
WHERE older.project_id = %(project)s AND newer.id > older.id
"""
_CURRENT = """
INSERT INTO consent_currentgrant (subject_id, purpose_id, scope, grant_id)
SELECT DISTINCT ON (record.subject_id, record.purpose_id, revision.scope)
    record.subject_id, record.purpose_id, revision.scope, revision.id
FROM consent_grant AS revision JOIN consent_consentrecord AS record ON record.id = revision.record_id
WHERE record.project_id = %(project)s AND revision.state = 'given'
ORDER BY record.subject_id, record.purpose_id, revision.scope, record.id DESC
"""
_TABLES = "consent_subject, consent_consentrecord, consent_grant, consent_currentgrant"


def fill(stage: Stage, purposes: list[Purpose], grants: int) -> None:
    """That many current grants, shared out over people who granted every scope of both purposes."""
    people = grants // (len(stage.scopes) * len(purposes))
    values = {
        "project": stage.project.pk,
        "notice": stage.notice.pk,
        "sha256": stage.notice.sha256,
        "purposes": len(purposes),
        "purpose_ids": [purpose.pk for purpose in purposes],
        "scopes": [scope.value for scope in stage.scopes],
        "people": people,
    }
    with psycopg.connect(os.environ["OWNER_DATABASE_URL"], autocommit=True) as owner:
        for statement in (_PEOPLE, _RECORDS, _FIRST_REVISIONS, _SUPERSEDED, _CURRENT):
            owner.execute(statement.encode(), values)
            # Without figures about what is there now the next statement may be planned as if there were nothing.
            owner.execute(f"ANALYZE {_TABLES}".encode())
        owner.execute(f"VACUUM ANALYZE {_TABLES}".encode())
