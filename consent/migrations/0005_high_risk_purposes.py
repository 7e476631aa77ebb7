"""Purposes from before assessments were asked for: those of high risk are marked, and closed until one is named."""

from django.db import migrations

FORWARD = """
UPDATE consent_purpose SET high_risk = true, active = active AND dpia_reference <> ''
WHERE scopes && ARRAY['voice.emotion', 'voice.identify', 'voice.accent', 'voice.nonverbal']::varchar[]
   OR contexts && ARRAY['healthcare', 'employment', 'education']::varchar[];
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0004_law_privileges")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop, hints={"database": "default"})]
