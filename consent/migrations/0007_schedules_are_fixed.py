"""A published retention schedule never changes: the next version is another row."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("consent", "0006_retention_schedule")]
    operations = [
        migrations.RunSQL(
            "REVOKE UPDATE, DELETE, TRUNCATE ON consent_retentionschedule FROM voxgov_app;",
            "GRANT UPDATE, DELETE ON consent_retentionschedule TO voxgov_app;",
            hints={"database": "default"},
        )
    ]
