"""Nobody takes back in which role somebody was denied; of a change of role only the approval is added. Both go with an erased person,
through a function that checks that they were erased."""

from django.db import migrations

FORWARD = """
REVOKE UPDATE, DELETE, TRUNCATE ON consent_restrictedrole, consent_rolechange FROM voxgov_app;
GRANT UPDATE (approved_by_code, approved_at) ON consent_rolechange TO voxgov_app;

GRANT SELECT, DELETE ON consent_restrictedrole, consent_rolechange TO voxgov_prune;
CREATE FUNCTION consent_forget_roles(erased text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    whose bigint;
    restricted bigint;
    changed bigint;
BEGIN
    SELECT id INTO whose FROM consent_subject WHERE code = erased AND erased_at IS NOT NULL;
    IF whose IS NULL THEN
        RAISE EXCEPTION 'this person was not erased' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM consent_restrictedrole WHERE subject_id = whose;
    GET DIAGNOSTICS restricted = ROW_COUNT;
    DELETE FROM consent_rolechange WHERE subject_id = whose;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN restricted + changed;
END $$;
REVOKE ALL ON FUNCTION consent_forget_roles(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consent_forget_roles(text) TO voxgov_app;
GRANT CREATE ON SCHEMA public TO voxgov_prune;
ALTER FUNCTION consent_forget_roles(text) OWNER TO voxgov_prune;
REVOKE CREATE ON SCHEMA public FROM voxgov_prune;
"""

BACKWARD = """
SET ROLE voxgov_prune;
DROP FUNCTION consent_forget_roles(text);
RESET ROLE;
REVOKE SELECT, DELETE ON consent_restrictedrole, consent_rolechange FROM voxgov_prune;
GRANT UPDATE, DELETE ON consent_restrictedrole, consent_rolechange TO voxgov_app;
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0008_roles")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
