"""Leaves, tiles and checkpoints are as append-only as events; every event is queued for its leaf by the database itself."""

from django.db import migrations

FORWARD = """
REVOKE UPDATE, DELETE, TRUNCATE ON audit_log, audit_leaf, audit_fulltile, audit_signedcheckpoint FROM voxgov_app;
REVOKE UPDATE, TRUNCATE ON audit_unsequenced FROM voxgov_app;
CREATE FUNCTION audit_queue_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unsequenced (event_id, log) VALUES (NEW.id, NEW.log);
    RETURN NULL;
END $$;
CREATE TRIGGER event_is_queued AFTER INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_queue_event();
INSERT INTO audit_unsequenced (event_id, log) SELECT id, log FROM audit_event;
"""

BACKWARD = """
DROP TRIGGER event_is_queued ON audit_event;
DROP FUNCTION audit_queue_event();
GRANT UPDATE, DELETE ON audit_log, audit_leaf, audit_fulltile, audit_signedcheckpoint TO voxgov_app;
GRANT UPDATE ON audit_unsequenced TO voxgov_app;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_log")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
