"""What may change, but in one direction only, whoever asks by whatever statement: which revision is current moves to newer ones of the
same person, purpose and scope; the least valid version of a notice rises; somebody erased stays erased."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION consent_current_moves_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.grant_id < OLD.grant_id
            OR (NEW.subject_id, NEW.purpose_id, NEW.scope) IS DISTINCT FROM (OLD.subject_id, OLD.purpose_id, OLD.scope)) THEN
        RAISE EXCEPTION 'the current grant only moves forward' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NOT EXISTS (SELECT FROM consent_grant AS revision
            JOIN consent_consentrecord AS record ON record.id = revision.record_id
            WHERE revision.id = NEW.grant_id AND revision.scope = NEW.scope
            AND record.subject_id = NEW.subject_id AND record.purpose_id = NEW.purpose_id) THEN
        RAISE EXCEPTION 'the current grant is one of this person, purpose and scope' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER current_moves_forward BEFORE INSERT OR UPDATE ON consent_currentgrant
    FOR EACH ROW EXECUTE FUNCTION consent_current_moves_forward();

REVOKE UPDATE, DELETE, TRUNCATE ON consent_noticeseries FROM voxgov_app;
GRANT UPDATE (least_valid_version) ON consent_noticeseries TO voxgov_app;
CREATE TRIGGER least_valid_version_rises BEFORE UPDATE ON consent_noticeseries
    FOR EACH ROW WHEN (NEW.least_valid_version < OLD.least_valid_version) EXECUTE FUNCTION consent_refuse_change();

CREATE TRIGGER erased_stays_erased BEFORE UPDATE ON consent_subject
    FOR EACH ROW WHEN (
        (OLD.erased_at IS NOT NULL AND NEW.erased_at IS DISTINCT FROM OLD.erased_at)
        OR NEW.consent_epoch < OLD.consent_epoch OR NEW.code <> OLD.code OR NEW.project_id <> OLD.project_id
    ) EXECUTE FUNCTION consent_refuse_change();
"""

BACKWARD = """
DROP TRIGGER erased_stays_erased ON consent_subject;
DROP TRIGGER least_valid_version_rises ON consent_noticeseries;
GRANT UPDATE, DELETE ON consent_noticeseries TO voxgov_app;
DROP TRIGGER current_moves_forward ON consent_currentgrant;
DROP FUNCTION consent_current_moves_forward();
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0025_gate_facts")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
