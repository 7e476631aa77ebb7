"""Decisions are pruned within one project: an erasure touches the person's own project only, and pruning what is past its term
says which decisions went, so that the salts that tie log entries to them can go in the same transaction."""

from django.db import migrations

FORWARD = """
GRANT CREATE ON SCHEMA public TO voxgov_prune;
SET ROLE voxgov_prune;
CREATE OR REPLACE FUNCTION consent_prune_decisions(erased text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    home bigint;
    gone bigint;
    scrubbed bigint;
BEGIN
    SELECT project_id INTO home FROM consent_subject WHERE code = erased AND erased_at IS NOT NULL;
    IF home IS NULL THEN
        RAISE EXCEPTION 'this person was not erased' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM consent_decision WHERE project_id = home AND subjects = ARRAY[erased]::varchar[];
    GET DIAGNOSTICS gone = ROW_COUNT;
    UPDATE consent_decision SET
        subjects = array_remove(subjects, erased::varchar),
        request = replace(request::text, erased, 'erased')::jsonb,
        granted = replace(granted::text, erased, 'erased')::jsonb,
        denials = replace(denials::text, erased, 'erased')::jsonb
    WHERE project_id = home AND subjects @> ARRAY[erased]::varchar[];
    GET DIAGNOSTICS scrubbed = ROW_COUNT;
    RETURN gone + scrubbed;
END $$;

DROP FUNCTION consent_prune_old_decisions(bigint, timestamptz, integer);
CREATE FUNCTION consent_prune_old_decisions(of_project bigint, made_before timestamptz, at_most integer) RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF made_before > now() - interval '30 days' THEN
        RAISE EXCEPTION 'decisions are kept for at least 30 days' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY DELETE FROM consent_decision WHERE id IN (
        SELECT id FROM consent_decision WHERE project_id = of_project AND at < made_before ORDER BY id LIMIT at_most)
        RETURNING code::text;
END $$;

REVOKE ALL ON FUNCTION consent_prune_old_decisions(bigint, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consent_prune_old_decisions(bigint, timestamptz, integer) TO voxgov_app;
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM voxgov_prune;
"""

BACKWARD = """
GRANT CREATE ON SCHEMA public TO voxgov_prune;
SET ROLE voxgov_prune;
CREATE OR REPLACE FUNCTION consent_prune_decisions(erased text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    gone bigint;
    scrubbed bigint;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM consent_subject WHERE code = erased AND erased_at IS NOT NULL) THEN
        RAISE EXCEPTION 'this person was not erased' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM consent_decision WHERE subjects = ARRAY[erased]::varchar[];
    GET DIAGNOSTICS gone = ROW_COUNT;
    UPDATE consent_decision SET
        subjects = array_remove(subjects, erased::varchar),
        request = replace(request::text, erased, 'erased')::jsonb,
        granted = replace(granted::text, erased, 'erased')::jsonb,
        denials = replace(denials::text, erased, 'erased')::jsonb
    WHERE subjects @> ARRAY[erased]::varchar[];
    GET DIAGNOSTICS scrubbed = ROW_COUNT;
    RETURN gone + scrubbed;
END $$;

DROP FUNCTION consent_prune_old_decisions(bigint, timestamptz, integer);
CREATE FUNCTION consent_prune_old_decisions(of_project bigint, made_before timestamptz, at_most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    gone bigint;
BEGIN
    IF made_before > now() - interval '30 days' THEN
        RAISE EXCEPTION 'decisions are kept for at least 30 days' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM consent_decision WHERE id IN (
        SELECT id FROM consent_decision WHERE project_id = of_project AND at < made_before ORDER BY id LIMIT at_most);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

ALTER FUNCTION consent_prune_old_decisions(bigint, timestamptz, integer) OWNER TO voxgov_prune;
REVOKE CREATE ON SCHEMA public FROM voxgov_prune;
REVOKE ALL ON FUNCTION consent_prune_old_decisions(bigint, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consent_prune_old_decisions(bigint, timestamptz, integer) TO voxgov_app;
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0002_append_only")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
