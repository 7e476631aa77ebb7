"""A use that was taken and an ending never change. Which recordings somebody was in goes with an erased person, through a function
that checks that they were erased, and so does where they were protected."""

from django.db import migrations

FORWARD = """
REVOKE UPDATE, DELETE, TRUNCATE ON consent_grantuse, consent_ending FROM voxgov_app;

GRANT SELECT, DELETE ON consent_grantuse TO voxgov_prune;
CREATE FUNCTION consent_forget_uses(erased text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    whose bigint;
    gone bigint;
BEGIN
    SELECT id INTO whose FROM consent_subject WHERE code = erased AND erased_at IS NOT NULL;
    IF whose IS NULL THEN
        RAISE EXCEPTION 'this person was not erased' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM consent_grantuse USING consent_consentrecord AS record
        WHERE record_id = record.id AND record.subject_id = whose;
    GET DIAGNOSTICS gone = ROW_COUNT;
    UPDATE consent_consentrecord SET jurisdiction = 'unknown', until_event = ''
        WHERE subject_id = whose AND (jurisdiction <> 'unknown' OR until_event <> '');
    RETURN gone;
END $$;
REVOKE ALL ON FUNCTION consent_forget_uses(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consent_forget_uses(text) TO voxgov_app;
GRANT CREATE ON SCHEMA public TO voxgov_prune;
ALTER FUNCTION consent_forget_uses(text) OWNER TO voxgov_prune;
REVOKE CREATE ON SCHEMA public FROM voxgov_prune;
"""

BACKWARD = """
SET ROLE voxgov_prune;
DROP FUNCTION consent_forget_uses(text);
RESET ROLE;
REVOKE SELECT, DELETE ON consent_grantuse FROM voxgov_prune;
GRANT UPDATE, DELETE ON consent_grantuse, consent_ending TO voxgov_app;
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0010_durations_and_endings")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
