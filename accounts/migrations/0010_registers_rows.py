"""Members whose roles now include restricting, the record of processing and the register of breaches get the rows that say so; Django makes the permissions themselves only afterwards."""

from typing import Any

from django.db import migrations

ROLES = {
    "restrict_subject": ("consent_manager", "data_protection_officer"),
    "view_processing_record": ("auditor", "data_protection_officer", "administrator"),
    "manage_breaches": ("data_protection_officer",),
}


def give(apps: Any, schema_editor: Any) -> None:
    for codename, roles in ROLES.items():
        members = apps.get_model("accounts", "Membership").objects.filter(role__in=roles)
        if not members.exists():
            continue
        content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
            app_label="accounts", model="project"
        )
        permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
            content_type=content_type, codename=codename, defaults={"name": codename.replace("_", " ")}
        )
        rows = apps.get_model("accounts", "ProjectUserObjectPermission").objects
        for member in members:
            rows.get_or_create(user=member.user, permission=permission, content_object=member.project)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_registers"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(give, migrations.RunPython.noop, hints={"database": "default"})]
