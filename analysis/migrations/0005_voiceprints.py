"""Whose voiceprint is to be made from a recording, and whether what is kept of it was told apart by one."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("analysis", "0004_transcription_hints")]

    operations = [
        migrations.AddField(
            model_name="participant",
            name="enrol",
            field=models.BooleanField(
                default=False,
                help_text="A voiceprint is to be made of this person; the first finished job takes care of it.",
            ),
        ),
        migrations.AlterField(
            model_name="participant",
            name="in_kept_audio",
            field=models.BooleanField(default=True, help_text="False where kept audio leaves this person's voice out."),
        ),
        migrations.AddField(
            model_name="recording",
            name="kept_apart",
            field=models.BooleanField(
                default=False, help_text="What is kept was told apart by voiceprint, and rests on voice.identify too."
            ),
        ),
    ]
