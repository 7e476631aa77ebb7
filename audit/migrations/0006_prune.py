"""The one way in which events go: below an index, whole tiles, signed and old enough; by a function that checks that itself."""

from django.db import migrations

FORWARD = """
CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_user = 'voxgov_prune' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'an audit event cannot be changed or deleted' USING ERRCODE = 'insufficient_privilege';
END $$;

GRANT SELECT, DELETE ON audit_event, audit_leaf, audit_eventreference TO voxgov_prune;
GRANT SELECT ON audit_signedcheckpoint, audit_unsequenced TO voxgov_prune;
GRANT SELECT, UPDATE ON audit_log TO voxgov_prune;

CREATE FUNCTION audit_prune(of_log bigint, before_index bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    gone bigint;
    doomed bigint[];
BEGIN
    IF before_index % 256 <> 0 THEN
        RAISE EXCEPTION 'whole tiles are pruned' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF before_index >= coalesce((SELECT max(size) FROM audit_signedcheckpoint WHERE log_id = of_log), 0) THEN
        RAISE EXCEPTION 'what is not signed is not pruned' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT array_agg(leaf.event_id) INTO doomed FROM audit_leaf AS leaf WHERE leaf.log_id = of_log AND leaf.index < before_index;
    IF EXISTS (SELECT FROM audit_event WHERE id = ANY(doomed) AND at > now() - interval '365 days') THEN
        RAISE EXCEPTION 'events are kept for at least 365 days' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM audit_eventreference WHERE event_id = ANY(doomed);
    DELETE FROM audit_leaf WHERE event_id = ANY(doomed);
    DELETE FROM audit_event WHERE id = ANY(doomed);
    GET DIAGNOSTICS gone = ROW_COUNT;
    UPDATE audit_log SET minimum_index = before_index WHERE id = of_log AND minimum_index < before_index;
    RETURN gone;
END $$;

REVOKE ALL ON FUNCTION audit_prune(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_prune(bigint, bigint) TO voxgov_app;
GRANT CREATE ON SCHEMA public TO voxgov_prune;
ALTER FUNCTION audit_prune(bigint, bigint) OWNER TO voxgov_prune;
REVOKE CREATE ON SCHEMA public FROM voxgov_prune;
"""

BACKWARD = """
SET ROLE voxgov_prune;
DROP FUNCTION audit_prune(bigint, bigint);
RESET ROLE;
REVOKE ALL ON audit_event, audit_leaf, audit_eventreference, audit_signedcheckpoint, audit_unsequenced, audit_log FROM voxgov_prune;
CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an audit event cannot be changed or deleted' USING ERRCODE = 'insufficient_privilege';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0005_minimum_index")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"})]
