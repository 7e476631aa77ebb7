"""The gate's question as a function of the database, so that its plan is made once per connection and not for every question. How the
tables are walked is fixed with it: from what is asked, row by row through the indexes, whatever statistics say that day.

STABLE: everything in one answer is seen by the same snapshot, that of the statement which asks. `consent/facts.py` reads it.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION consent_gate_facts(
    of_project bigint, of_purpose text, of_subjects text[], of_scopes text[], of_recording text
) RETURNS TABLE (
    organization text, policy_epoch bigint, project_code text, asked_at timestamptz, schedule_published boolean,
    own_rules text[], own_rules_version integer,
    purpose bigint, active boolean, purpose_scopes text[], contexts text[], ground text, deidentified boolean,
    least_valid_version integer,
    subject text, scope text, known bigint, erased boolean, restricted boolean, consent_epoch bigint,
    restricted_roles text[], approved_roles text[],
    state text, grant_code text, record bigint, explicit boolean, method text, age_band text, jurisdiction text,
    expires_at timestamptz, open_ended boolean, uses integer, used bigint, used_here boolean,
    represented boolean, representation_ends_at timestamptz, notice_version integer, covers_from timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, public
SET plan_cache_mode = force_generic_plan
SET join_collapse_limit = 1
SET from_collapse_limit = 1
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT head.organization, head.policy_epoch, head.project_code, head.asked_at, head.schedule_published,
        head.own_rules, head.own_rules_version,
        head.purpose, head.active, head.purpose_scopes, head.contexts, head.ground, head.deidentified,
        head.least_valid_version,
        person.asked, scope.asked, subject.id, subject.erased_at IS NOT NULL, subject.restricted_at IS NOT NULL,
        subject.consent_epoch,
        ARRAY(SELECT denied.role::text FROM consent_restrictedrole AS denied WHERE denied.subject_id = subject.id),
        ARRAY(SELECT change.role::text FROM consent_rolechange AS change
              WHERE change.subject_id = subject.id AND change.approved_at IS NOT NULL),
        revision.state::text, revision.code::text, record.id, record.explicit, record.evidence_method::text,
        record.age_band::text, record.jurisdiction::text, record.expires_at,
        record.expires_at IS NULL AND record.until_event = '' AND record.uses IS NULL,
        record.uses,
        CASE WHEN record.uses IS NOT NULL THEN
            (SELECT count(*) FROM consent_grantuse AS taken WHERE taken.record_id = record.id) END,
        CASE WHEN record.uses IS NOT NULL THEN
            EXISTS (SELECT FROM consent_grantuse AS taken
                    WHERE taken.record_id = record.id AND taken.object_code = of_recording) END,
        record.representation_id IS NOT NULL, LEAST(representation.ends_at, representation.ended_at), notice.version,
        CASE WHEN notice.series_id = purpose.series_id THEN LEAST(record.given_at, record.covers_recorded_from) END
    FROM accounts_project AS project
    JOIN accounts_organization AS home ON home.id = project.organization_id
    LEFT JOIN consent_ruleset AS own ON own.project_id = project.id
    LEFT JOIN consent_purpose AS purpose ON purpose.code = of_purpose AND purpose.project_id = project.id
    LEFT JOIN consent_noticeseries AS series ON series.id = purpose.series_id
    LEFT JOIN unnest(of_subjects) WITH ORDINALITY AS person (asked, place) ON true
    LEFT JOIN consent_subject AS subject ON subject.code = person.asked AND subject.project_id = project.id
    LEFT JOIN unnest(of_scopes) WITH ORDINALITY AS scope (asked, place) ON person.asked IS NOT NULL
    LEFT JOIN LATERAL (
        SELECT home.code::text AS organization, home.policy_epoch, project.code::text AS project_code,
            clock_timestamp() AS asked_at,
            EXISTS (SELECT FROM consent_retentionschedule AS schedule WHERE schedule.project_id = project.id)
                AS schedule_published,
            own.rules::text[] AS own_rules, own.version AS own_rules_version,
            purpose.id AS purpose, purpose.active, purpose.scopes::text[] AS purpose_scopes,
            purpose.contexts::text[] AS contexts, purpose.ground::text AS ground, purpose.deidentified,
            series.least_valid_version
    ) AS head ON COALESCE(person.place, 1) = 1 AND COALESCE(scope.place, 1) = 1
    LEFT JOIN consent_currentgrant AS standing ON standing.subject_id = subject.id
        AND standing.purpose_id = purpose.id AND standing.scope = scope.asked
    LEFT JOIN consent_grant AS revision ON revision.id = standing.grant_id
    LEFT JOIN consent_consentrecord AS record ON record.id = revision.record_id
    LEFT JOIN consent_representation AS representation ON representation.id = record.representation_id
    LEFT JOIN consent_notice AS notice ON notice.id = record.notice_id
    WHERE project.id = of_project;
END $$;
"""

BACKWARD = "DROP FUNCTION consent_gate_facts(bigint, text, text[], text[], text);"


class Migration(migrations.Migration):
    dependencies = [("consent", "0024_deferred")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
