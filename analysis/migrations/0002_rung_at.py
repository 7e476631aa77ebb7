import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("analysis", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="analysis",
            name="rung_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                help_text="When a worker was last told of it; a new job is rung at its commit.",
                null=True,
            ),
        ),
    ]
