"""The gate's question answers one thing more, in the same round trip: with `voice.identify`, which model made the person's voiceprint
under the purpose. None where there is none, its term is over, or an order to destroy it is not carried out yet.
"""

from importlib import import_module

from django.db import migrations

BEFORE = import_module("consent.migrations.0025_gate_facts")

_VOICEPRINT = """
        CASE WHEN scope.asked = 'voice.identify' THEN (
            SELECT print.model_digest::text FROM consent_voiceprint AS print
            WHERE print.subject_id = subject.id AND print.purpose_id = purpose.id
                AND print.expires_at > clock_timestamp()
                AND NOT EXISTS (
                    SELECT FROM consent_destructionorder AS doomed
                    WHERE doomed.subject = subject.code AND doomed.done_at IS NULL
                        AND doomed.project_id = project.id AND doomed.purpose IN ('', purpose.code)
                        AND (doomed.scopes = '{}' OR 'voice.identify' = ANY (doomed.scopes))
                        AND doomed.ordered_at >= print.made_at
                )
        ) END
"""


def _with(statement: str, found: str, more: str) -> str:
    """`more` after the one place of `found`."""
    assert statement.count(found) == 1
    return statement.replace(found, found + more)


_LAST_COLUMN = "notice_version integer, covers_from timestamptz"
_LAST_VALUE = "LEAST(record.given_at, record.covers_recorded_from) END"
FORWARD = BEFORE.BACKWARD + _with(
    _with(BEFORE.FORWARD, _LAST_COLUMN, ", voiceprint text"), _LAST_VALUE, "," + _VOICEPRINT
)
BACKWARD = BEFORE.BACKWARD + BEFORE.FORWARD


class Migration(migrations.Migration):
    dependencies = [("consent", "0034_voiceprints")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
