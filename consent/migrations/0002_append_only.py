"""Append-only means the application cannot: privileges of `voxgov_app`, the trigger on published notices, and the functions through
which decisions may go. The functions belong to `voxgov_prune`, check their own condition, and are the only way."""

from django.db import migrations

FORWARD = """
REVOKE UPDATE, DELETE, TRUNCATE ON consent_consentrecord, consent_grant, consent_decision FROM voxgov_app;
REVOKE DELETE, TRUNCATE ON consent_notice, consent_subject, consent_currentgrant, consent_destructionorder FROM voxgov_app;
REVOKE UPDATE ON consent_destructionorder FROM voxgov_app;
GRANT UPDATE (done_at, destroyed) ON consent_destructionorder TO voxgov_app;

CREATE FUNCTION consent_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a row of % cannot be changed', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER published_notice_is_fixed BEFORE UPDATE ON consent_notice
    FOR EACH ROW WHEN (OLD.published_at IS NOT NULL) EXECUTE FUNCTION consent_refuse_change();

GRANT SELECT ON consent_subject TO voxgov_prune;
GRANT SELECT, UPDATE, DELETE ON consent_decision TO voxgov_prune;

CREATE FUNCTION consent_prune_decisions(erased text) RETURNS bigint
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

-- Privileges first: once the functions belong to voxgov_prune, the owner of the tables cannot change them any more.
REVOKE ALL ON FUNCTION consent_prune_decisions(text), consent_prune_old_decisions(bigint, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consent_prune_decisions(text), consent_prune_old_decisions(bigint, timestamptz, integer) TO voxgov_app;
GRANT CREATE ON SCHEMA public TO voxgov_prune;
ALTER FUNCTION consent_prune_decisions(text) OWNER TO voxgov_prune;
ALTER FUNCTION consent_prune_old_decisions(bigint, timestamptz, integer) OWNER TO voxgov_prune;
REVOKE CREATE ON SCHEMA public FROM voxgov_prune;
"""

BACKWARD = """
SET ROLE voxgov_prune;
DROP FUNCTION consent_prune_decisions(text);
DROP FUNCTION consent_prune_old_decisions(bigint, timestamptz, integer);
RESET ROLE;
DROP TRIGGER published_notice_is_fixed ON consent_notice;
DROP FUNCTION consent_refuse_change();
GRANT UPDATE, DELETE ON consent_consentrecord, consent_grant, consent_decision TO voxgov_app;
GRANT DELETE ON consent_notice, consent_subject, consent_currentgrant, consent_destructionorder TO voxgov_app;
GRANT UPDATE ON consent_destructionorder TO voxgov_app;
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
