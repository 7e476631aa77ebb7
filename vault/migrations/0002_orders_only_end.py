"""A shred order is never changed but by being carried out."""

from django.db import migrations

FORWARD = """
REVOKE UPDATE, DELETE, TRUNCATE ON vault_shredorder FROM voxgov_app;
GRANT UPDATE (done_at, certificate) ON vault_shredorder TO voxgov_app;
"""
BACKWARD = "GRANT UPDATE, DELETE ON vault_shredorder TO voxgov_app;"


class Migration(migrations.Migration):
    dependencies = [("vault", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
