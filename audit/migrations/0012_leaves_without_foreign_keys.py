"""A leaf's event and log are looked up once for a whole batch, by the trigger that judges the batch, instead of once for every leaf
by a foreign key, which also writes a row lock onto the event. What a leaf names cannot go without it: a trigger at the other end,
asked once when old events are pruned. The two cannot miss each other: an event goes only by `audit_prune`, which takes events that
have a leaf already, and an event has one leaf."""

import django.db.models.deletion
from django.db import migrations, models

_FOLLOW = """
CREATE OR REPLACE FUNCTION audit_leaves_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added {join} audit_event AS event ON event.id = added.event_id {join} audit_log AS log ON log.id = added.log_id
        WHERE {strangers}
    ) THEN
        RAISE EXCEPTION 'a leaf belongs to the log of its event' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        SELECT FROM (SELECT log_id, min(index) AS first, max(index) AS last, count(*) AS number FROM added GROUP BY log_id) AS run
        WHERE run.last - run.first + 1 <> run.number
           OR (run.first > 0 AND NOT EXISTS (
                SELECT FROM audit_leaf AS leaf WHERE leaf.log_id = run.log_id AND leaf.index = run.first - 1))
           OR EXISTS (SELECT FROM audit_leaf AS leaf WHERE leaf.log_id = run.log_id AND leaf.index > run.last)
    ) THEN
        RAISE EXCEPTION 'leaves follow each other without a gap' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
"""
_KEEP = """
CREATE FUNCTION audit_leaves_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM gone JOIN audit_leaf AS leaf ON {named} = gone.id) THEN
        RAISE EXCEPTION 'what a leaf names goes with the leaf' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
"""
_EVENTS = _KEEP.replace("audit_leaves_keep", "audit_leaves_keep_events").format(named="leaf.event_id")
_LOGS = _KEEP.replace("audit_leaves_keep", "audit_leaves_keep_logs").format(named="leaf.log_id")
FORWARD = f"""
{_FOLLOW.format(join="LEFT JOIN", strangers="event.log IS DISTINCT FROM log.code OR log.code IS NULL")}
{_EVENTS}
{_LOGS}
CREATE TRIGGER leaves_keep AFTER DELETE ON audit_event REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION audit_leaves_keep_events();
CREATE TRIGGER leaves_keep AFTER DELETE ON audit_log REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION audit_leaves_keep_logs();
"""
BACKWARD = f"""
{_FOLLOW.format(join="JOIN", strangers="event.log <> log.code")}
DROP TRIGGER leaves_keep ON audit_event;
DROP TRIGGER leaves_keep ON audit_log;
DROP FUNCTION audit_leaves_keep_events();
DROP FUNCTION audit_leaves_keep_logs();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0011_no_second_look")]
    operations = [
        migrations.RunSQL(FORWARD, BACKWARD, hints={"database": "default"}),
        migrations.AlterField(
            model_name="leaf",
            name="event",
            field=models.OneToOneField(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                primary_key=True,
                related_name="leaf",
                serialize=False,
                to="audit.event",
            ),
        ),
        migrations.AlterField(
            model_name="leaf",
            name="log",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="leaves",
                to="audit.log",
            ),
        ),
    ]
