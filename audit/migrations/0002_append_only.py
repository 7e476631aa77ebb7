"""Append-only means the application cannot: the role that runs voxgov may insert and read events, and nothing else."""

from django.db import migrations

FORWARD = """
REVOKE UPDATE, DELETE, TRUNCATE ON audit_event FROM voxgov_app;
REVOKE UPDATE, TRUNCATE ON audit_eventreference FROM voxgov_app;
CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an audit event cannot be changed or deleted' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER event_is_fixed BEFORE UPDATE OR DELETE ON audit_event
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER event_table_is_fixed BEFORE TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
"""

BACKWARD = """
DROP TRIGGER event_is_fixed ON audit_event;
DROP TRIGGER event_table_is_fixed ON audit_event;
DROP FUNCTION audit_refuse_change();
GRANT UPDATE, DELETE ON audit_event TO voxgov_app;
GRANT UPDATE ON audit_eventreference TO voxgov_app;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
