"""Decisions about somebody whose processing is restricted stay past their term, until that is lifted."""

from django.db import migrations

_FUNCTION = """
GRANT CREATE ON SCHEMA public TO voxgov_prune;
SET ROLE voxgov_prune;
CREATE OR REPLACE FUNCTION consent_prune_old_decisions(of_project bigint, made_before timestamptz, at_most integer)
    RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    IF made_before > now() - interval '30 days' THEN
        RAISE EXCEPTION 'decisions are kept for at least 30 days' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY DELETE FROM consent_decision WHERE id IN (
        SELECT decision.id FROM consent_decision AS decision
        WHERE decision.project_id = of_project AND decision.at < made_before {condition}
        ORDER BY decision.id LIMIT at_most)
        RETURNING code::text;
END $$;
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM voxgov_prune;
"""
_UNRESTRICTED = """
          AND NOT decision.subjects && ARRAY(
              SELECT subject.code FROM consent_subject AS subject
              WHERE subject.project_id = of_project AND subject.restricted_at IS NOT NULL)::varchar[]
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0019_restriction")]
    operations = [
        migrations.RunSQL(
            _FUNCTION.format(condition=_UNRESTRICTED),
            _FUNCTION.format(condition=""),
            hints={"database": "default"},
        )
    ]
