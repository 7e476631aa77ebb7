import django.db.models.deletion
from django.db import migrations, models

import vault.codes


class Migration(migrations.Migration):
    dependencies = [
        ("analysis", "0003_exposure_and_places"),
    ]

    operations = [
        migrations.CreateModel(
            name="TranscriptionHints",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "code",
                    models.CharField(default=vault.codes.new_code, editable=False, max_length=36, unique=True),
                ),
                (
                    "sealed",
                    models.BinaryField(help_text="JSON of the language, the prompt and the hot words, sealed."),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "analysis",
                    models.OneToOneField(
                        help_text="None until there is a job.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="hints",
                        to="analysis.analysis",
                    ),
                ),
                (
                    "recording",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="hints", to="analysis.recording"
                    ),
                ),
            ],
        ),
    ]
