"""Whoever carries out an order also says when backups open nothing of it any more."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("consent", "0015_unrecoverable")]
    operations = [
        migrations.RunSQL(
            "GRANT UPDATE (unrecoverable_from) ON consent_destructionorder TO voxgov_app;",
            "REVOKE UPDATE (unrecoverable_from) ON consent_destructionorder FROM voxgov_app;",
            hints={"database": "default"},
        )
    ]
