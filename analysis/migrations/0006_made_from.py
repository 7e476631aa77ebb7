"""Which result another one says more about, and goes with."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("analysis", "0005_voiceprints")]

    operations = [
        migrations.AddField(
            model_name="result",
            name="made_from",
            field=models.ForeignKey(
                help_text="The result that it says more about: it needs that one's keys too, is read only with it, and goes with it.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="derived",
                to="analysis.result",
            ),
        ),
    ]
