"""What was known of a breach stays as it was known: the application adds revisions, and marks once that a breach is overdue."""

from django.db import migrations

FORWARD = """
REVOKE UPDATE, DELETE, TRUNCATE ON consent_breach, consent_breachrevision FROM voxgov_app;
GRANT UPDATE (overdue_recorded_at) ON consent_breach TO voxgov_app;
CREATE TRIGGER overdue_is_marked_once BEFORE UPDATE ON consent_breach
    FOR EACH ROW WHEN (OLD.overdue_recorded_at IS NOT NULL) EXECUTE FUNCTION consent_refuse_change();
"""

BACKWARD = """
DROP TRIGGER overdue_is_marked_once ON consent_breach;
GRANT UPDATE, DELETE ON consent_breach, consent_breachrevision TO voxgov_app;
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0032_registers")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
