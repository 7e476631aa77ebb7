"""What people consented to never changes: of a purpose only whether it is open, and an assessment that was still to come. Of a
representation only its end, and what erasure takes. And the function that makes an erased person's records bare."""

from django.db import migrations

FORWARD = """
REVOKE UPDATE, DELETE, TRUNCATE ON consent_purpose, consent_representation FROM voxgov_app;
GRANT UPDATE (active, dpia_reference) ON consent_purpose TO voxgov_app;
GRANT UPDATE (ended_at, identity, proof_reference, ends_at, relation) ON consent_representation TO voxgov_app;

CREATE FUNCTION consent_only_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.ended_at IS NOT NULL AND NEW.ended_at IS DISTINCT FROM OLD.ended_at)
       OR (NEW.ends_at IS DISTINCT FROM OLD.ends_at AND NEW.ends_at IS NOT NULL)
       OR (NEW.identity IS DISTINCT FROM OLD.identity AND NEW.identity IS NOT NULL) THEN
        RAISE EXCEPTION 'a representation only ends' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER representation_only_ends BEFORE UPDATE ON consent_representation
    FOR EACH ROW EXECUTE FUNCTION consent_only_ends();

CREATE FUNCTION consent_assessment_is_named_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a named assessment stays' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER assessment_is_named_once BEFORE UPDATE ON consent_purpose
    FOR EACH ROW WHEN (OLD.dpia_reference <> '' AND NEW.dpia_reference IS DISTINCT FROM OLD.dpia_reference)
    EXECUTE FUNCTION consent_assessment_is_named_once();

GRANT SELECT, UPDATE ON consent_consentrecord TO voxgov_prune;

CREATE FUNCTION consent_bare_records(erased text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    whose bigint;
    bared bigint;
BEGIN
    SELECT id INTO whose FROM consent_subject WHERE code = erased AND erased_at IS NOT NULL;
    IF whose IS NULL THEN
        RAISE EXCEPTION 'this person was not erased' USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE consent_consentrecord SET age_band = 'unstated' WHERE subject_id = whose AND age_band <> 'unstated';
    GET DIAGNOSTICS bared = ROW_COUNT;
    RETURN bared;
END $$;
REVOKE ALL ON FUNCTION consent_bare_records(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consent_bare_records(text) TO voxgov_app;
GRANT CREATE ON SCHEMA public TO voxgov_prune;
ALTER FUNCTION consent_bare_records(text) OWNER TO voxgov_prune;
REVOKE CREATE ON SCHEMA public FROM voxgov_prune;
"""

BACKWARD = """
SET ROLE voxgov_prune;
DROP FUNCTION consent_bare_records(text);
RESET ROLE;
REVOKE SELECT, UPDATE ON consent_consentrecord FROM voxgov_prune;
DROP TRIGGER assessment_is_named_once ON consent_purpose;
DROP FUNCTION consent_assessment_is_named_once();
DROP TRIGGER representation_only_ends ON consent_representation;
DROP FUNCTION consent_only_ends();
GRANT UPDATE, DELETE ON consent_purpose, consent_representation TO voxgov_app;
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0003_law_facts")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
