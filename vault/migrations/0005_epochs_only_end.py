"""Of an epoch only its end is written, once; its row stays."""

from django.db import migrations

FORWARD = """
REVOKE UPDATE, DELETE, TRUNCATE ON vault_epoch FROM voxgov_app;
GRANT UPDATE (retired_at, destroyed_at) ON vault_epoch TO voxgov_app;
"""
BACKWARD = "GRANT UPDATE, DELETE ON vault_epoch TO voxgov_app;"


class Migration(migrations.Migration):
    dependencies = [("vault", "0004_epochs")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "keys"})]
