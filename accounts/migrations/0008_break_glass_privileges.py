"""That the glass was broken, for whom and until when cannot be changed or taken away; only its end and who looked at it are added."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_second_factor_and_break_glass")]
    operations = [
        migrations.RunSQL(
            "REVOKE UPDATE, DELETE, TRUNCATE ON accounts_breakglass FROM voxgov_app;"
            "GRANT UPDATE (closed_at, acts, seen_by_code, seen_at, explanation) ON accounts_breakglass TO voxgov_app;",
            "GRANT UPDATE, DELETE ON accounts_breakglass TO voxgov_app;",
            hints={"database": "default"},
        )
    ]
