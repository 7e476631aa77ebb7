"""Voiceprints, and an index for the orders that are not carried out yet: the gate looks there before it goes by a voiceprint."""

import django.db.models.deletion
import vault.codes
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0010_registers_rows"),
        ("consent", "0033_registers_privileges"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="destructionorder",
            index=models.Index(condition=models.Q(("done_at", None)), fields=["subject"], name="destruction_open"),
        ),
        migrations.CreateModel(
            name="Voiceprint",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("code", models.CharField(default=vault.codes.new_code, editable=False, max_length=36, unique=True)),
                ("template", models.BinaryField(help_text="Sealed under the subject's voice.identify key.")),
                ("model_name", models.CharField(max_length=64)),
                (
                    "model_digest",
                    models.CharField(
                        help_text="SHA-256 of the model that made it; another one cannot use it.", max_length=64
                    ),
                ),
                ("seconds", models.FloatField(help_text="Seconds of voice that it was made from.")),
                ("made_at", models.DateTimeField()),
                (
                    "expires_at",
                    models.DateTimeField(
                        help_text="Serves nothing from then on: the retention in force when it was made."
                    ),
                ),
                (
                    "purpose",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="voiceprints", to="consent.purpose"
                    ),
                ),
                (
                    "subject",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="voiceprints", to="consent.subject"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("subject", "purpose"), name="one_voiceprint_per_purpose")
                ],
            },
        ),
    ]
