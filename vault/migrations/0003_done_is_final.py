"""An order that was carried out never changes again; of a wrapped key only its wrapping does (rotation)."""

from django.db import migrations

DONE_IS_FINAL = """
CREATE FUNCTION vault_order_done_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.done_at IS NOT NULL THEN
        RAISE EXCEPTION 'a shred order that was carried out never changes';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER done_is_final BEFORE UPDATE ON vault_shredorder
    FOR EACH ROW EXECUTE FUNCTION vault_order_done_is_final();
"""
DONE_IS_NOT = """
DROP TRIGGER done_is_final ON vault_shredorder;
DROP FUNCTION vault_order_done_is_final();
"""
ONLY_WRAPPING = """
REVOKE UPDATE, TRUNCATE ON vault_datakey FROM voxgov_app;
GRANT UPDATE (epoch, wrapped) ON vault_datakey TO voxgov_app;
"""
ANY_COLUMN = "GRANT UPDATE ON vault_datakey TO voxgov_app;"


class Migration(migrations.Migration):
    dependencies = [("vault", "0002_orders_only_end")]
    operations = [
        migrations.RunSQL(DONE_IS_FINAL, DONE_IS_NOT, hints={"database": "default"}),
        migrations.RunSQL(ONLY_WRAPPING, ANY_COLUMN, hints={"database": "keys"}),
    ]
