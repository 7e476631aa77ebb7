"""The columns stay what they are, bytes: what is in them is sealed and opened by the field from here on."""

from typing import ClassVar

from django.db import migrations

import vault.fields


class Migration(migrations.Migration):
    dependencies: ClassVar = [("consent", "0018_lost_endings")]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="subject",
            name="external_reference",
            field=vault.fields.SealedField(
                editable=False, help_text="Sealed under the subject's record key; empty when none was given.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="consentrecord",
            name="evidence_origin",
            field=vault.fields.SealedField(
                editable=False,
                help_text="Where the answer came from; sealed under the subject's record key.",
                null=True,
            ),
        ),
    ]
