"""What was asked for stays as it was asked, and by whom: only the decision is added. No editorial notice is published without one."""

from django.db import migrations

FORWARD = """
GRANT UPDATE (turned_down_by_code, turned_down_at) ON consent_rolechange TO voxgov_app;

REVOKE UPDATE, DELETE, TRUNCATE ON consent_editorialpublication, consent_grantimport FROM voxgov_app;
GRANT UPDATE (approved_by_code, approved_at, turned_down_by_code, turned_down_at)
    ON consent_editorialpublication, consent_grantimport TO voxgov_app;
GRANT UPDATE (state, content, mentions, after, recorded, repeated, failed, problems, problem_count, lease_until, finished_at)
    ON consent_grantimport TO voxgov_app;
REVOKE UPDATE, TRUNCATE ON consent_importedrow FROM voxgov_app;

CREATE FUNCTION consent_editorial_needs_approval() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM consent_editorialpublication
                   WHERE notice_id = NEW.id AND approved_at IS NOT NULL AND approved_by_code <> asked_by_code) THEN
        RAISE EXCEPTION 'an editorial notice needs a second person' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER editorial_needs_approval BEFORE UPDATE ON consent_notice
    FOR EACH ROW WHEN (OLD.published_at IS NULL AND NEW.published_at IS NOT NULL AND NOT NEW.material)
    EXECUTE FUNCTION consent_editorial_needs_approval();
CREATE TRIGGER editorial_is_not_born_published BEFORE INSERT ON consent_notice
    FOR EACH ROW WHEN (NEW.published_at IS NOT NULL AND NOT NEW.material) EXECUTE FUNCTION consent_refuse_change();
CREATE TRIGGER what_a_draft_does_is_fixed BEFORE UPDATE ON consent_notice
    FOR EACH ROW WHEN (OLD.material IS DISTINCT FROM NEW.material) EXECUTE FUNCTION consent_refuse_change();
"""

BACKWARD = """
DROP TRIGGER what_a_draft_does_is_fixed ON consent_notice;
DROP TRIGGER editorial_is_not_born_published ON consent_notice;
DROP TRIGGER editorial_needs_approval ON consent_notice;
DROP FUNCTION consent_editorial_needs_approval();
GRANT UPDATE ON consent_importedrow TO voxgov_app;
GRANT UPDATE, DELETE ON consent_editorialpublication, consent_grantimport TO voxgov_app;
REVOKE UPDATE (turned_down_by_code, turned_down_at) ON consent_rolechange FROM voxgov_app;
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0030_second_person")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
