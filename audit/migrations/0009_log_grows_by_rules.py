"""What the application may add to a log, checked by the database: leaves follow each other and belong to their event's own log, and
a checkpoint covers no more than there is."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION audit_leaves_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added JOIN audit_event AS event ON event.id = added.event_id JOIN audit_log AS log ON log.id = added.log_id
        WHERE event.log <> log.code
    ) THEN
        RAISE EXCEPTION 'a leaf belongs to the log of its event' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        SELECT FROM (SELECT log_id, min(index) AS first, max(index) AS last, count(*) AS number FROM added GROUP BY log_id) AS run
        WHERE run.last - run.first + 1 <> run.number
           OR (run.first > 0 AND NOT EXISTS (
                SELECT FROM audit_leaf AS leaf WHERE leaf.log_id = run.log_id AND leaf.index = run.first - 1))
           OR EXISTS (SELECT FROM audit_leaf AS leaf WHERE leaf.log_id = run.log_id AND leaf.index > run.last)
    ) THEN
        RAISE EXCEPTION 'leaves follow each other without a gap' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER leaves_follow AFTER INSERT ON audit_leaf REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION audit_leaves_follow();

CREATE FUNCTION audit_checkpoint_covers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM audit_leaf AS leaf WHERE leaf.log_id = NEW.log_id AND leaf.index = NEW.size - 1) THEN
        RAISE EXCEPTION 'a checkpoint covers leaves that are there' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER checkpoint_covers BEFORE INSERT ON audit_signedcheckpoint
    FOR EACH ROW EXECUTE FUNCTION audit_checkpoint_covers();
"""

BACKWARD = """
DROP TRIGGER checkpoint_covers ON audit_signedcheckpoint;
DROP FUNCTION audit_checkpoint_covers();
DROP TRIGGER leaves_follow ON audit_leaf;
DROP FUNCTION audit_leaves_follow();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0008_cosignature")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
