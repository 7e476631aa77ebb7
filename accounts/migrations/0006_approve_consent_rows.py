"""Members whose roles now include approving what somebody else asked for get the row that says so; Django makes the permission itself only afterwards."""

from typing import Any

from django.db import migrations

ROLES = ("consent_manager", "data_protection_officer")
CODENAME = "approve_consent"


def give(apps: Any, schema_editor: Any) -> None:
    members = apps.get_model("accounts", "Membership").objects.filter(role__in=ROLES)
    if not members.exists():
        return
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="accounts", model="project"
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename=CODENAME, defaults={"name": CODENAME.replace("_", " ")}
    )
    rows = apps.get_model("accounts", "ProjectUserObjectPermission").objects
    for member in members:
        rows.get_or_create(user=member.user, permission=permission, content_object=member.project)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_approve_consent"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(give, migrations.RunPython.noop, hints={"database": "default"})]
