"""A purpose remembers when it was opened or closed; a renewal run only moves its mark."""

from django.db import migrations

FORWARD = """
GRANT UPDATE (changed_at) ON consent_purpose TO voxgov_app;
REVOKE UPDATE, DELETE, TRUNCATE ON consent_renewalrun FROM voxgov_app;
GRANT UPDATE (total, done, after, finished_at) ON consent_renewalrun TO voxgov_app;
"""

BACKWARD = """
REVOKE UPDATE (changed_at) ON consent_purpose FROM voxgov_app;
GRANT UPDATE, DELETE ON consent_renewalrun TO voxgov_app;
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0012_renewals")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
