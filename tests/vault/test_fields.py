"""A sealed model field: never plaintext in the column, never ciphertext in the hand, no filter but a blind index."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import pytest
from django.apps.registry import Apps
from django.core import serializers
from django.core.exceptions import FieldError
from django.db import connection, models

from tests.vault.actors import Tenant
from vault import shredding
from vault.blind import blind_index
from vault.codes import new_code
from vault.context import Context
from vault.errors import KeyShredded, SealBroken
from vault.fields import Sealed, SealedField, seal_waiting
from vault.keys import KeyName


class Letter(models.Model):
    """A model of this test alone: a registry of its own, a table made by the superuser."""

    code = models.CharField(max_length=36, default=new_code)
    tenant = models.CharField(max_length=36)
    subject = models.CharField(max_length=36)
    body = SealedField(null=True)
    other = SealedField(null=True)
    body_index = models.BinaryField(null=True)
    objects: ClassVar[models.Manager["Letter"]] = models.Manager()

    class Meta:
        apps = Apps()
        app_label = "letters"
        db_table = "test_letters"

    def sealed_in(self, field: str) -> tuple[Context, Sequence[KeyName]]:
        context = Context(self.tenant, (self.subject,), "speech.transcribe", "letter", field, self.code)
        return context, [KeyName.subject(self.tenant, self.subject, "speech.transcribe")]


Superuser = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture(autouse=True)
def _table(superuser: Superuser) -> Iterator[None]:
    superuser("DROP TABLE IF EXISTS test_letters")
    superuser(
        "CREATE TABLE test_letters (id bigserial PRIMARY KEY, code varchar(36), tenant varchar(36), subject varchar(36),"
        " body bytea, other bytea, body_index bytea)"
    )
    superuser("GRANT ALL ON test_letters, test_letters_id_seq TO voxgov_app")
    yield
    superuser("DROP TABLE test_letters")


@pytest.fixture
def tenant() -> Tenant:
    return Tenant()


def letter(tenant: Tenant, body: str | bytes | None, **more: Any) -> Letter:
    made = Letter(tenant=tenant.code, subject=tenant.anna, body=body, **more)
    made.save()
    return made


def column(row: Letter, name: str = "body") -> bytes | None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name} FROM test_letters WHERE id = %s", [row.pk])
        [value] = cursor.fetchone() or [None]
        return None if value is None else bytes(value)


def test_the_column_holds_sealed_bytes_and_the_row_opens_them(tenant: Tenant) -> None:
    row = letter(tenant, "dear Anna")
    stored = column(row)
    assert stored is not None
    assert b"dear" not in stored
    found = Letter.objects.get(pk=row.pk)
    assert found.body.text() == "dear Anna"
    assert row.body.text() == "dear Anna"


def test_missing_empty_text_and_bytes_stay_apart(tenant: Tenant) -> None:
    rows = [letter(tenant, value) for value in (None, "", b"", "0", b"\x00")]
    found = [Letter.objects.get(pk=row.pk).body for row in rows]
    assert found[0] is None
    assert [value.open() for value in found[1:]] == [b"", b"", b"0", b"\x00"]
    assert all(column(row) for row in rows[1:])
    assert set(Letter.objects.filter(body__isnull=True)) == {rows[0]}


def test_loading_listing_and_printing_open_nothing(tenant: Tenant) -> None:
    row = letter(tenant, "dear Anna")
    found = Letter.objects.get(pk=row.pk)
    assert str(found.body) == repr(found.body) == "Sealed(...)"
    assert "dear" not in repr(vars(found)) + repr(Letter.objects.values_list("body"))
    waiting = Letter(tenant=tenant.code, subject=tenant.anna, body="dear Ben")
    assert "dear" not in repr(vars(waiting))


def test_a_value_moved_to_another_row_or_field_does_not_open(tenant: Tenant, superuser: Superuser) -> None:
    one, two = letter(tenant, "one", other="other"), letter(tenant, "two")
    superuser(f"UPDATE test_letters SET body = (SELECT body FROM test_letters WHERE id = {one.pk}) WHERE id = {two.pk}")
    with pytest.raises(SealBroken):
        Letter.objects.get(pk=two.pk).body.open()
    superuser(f"UPDATE test_letters SET body = other WHERE id = {one.pk}")
    with pytest.raises(SealBroken):
        Letter.objects.get(pk=one.pk).body.open()


def test_plaintext_put_into_the_column_from_outside_is_never_given(tenant: Tenant, superuser: Superuser) -> None:
    row = letter(tenant, "dear Anna")
    superuser(f"UPDATE test_letters SET body = 'dear Anna'::bytea WHERE id = {row.pk}")
    with pytest.raises(SealBroken):
        Letter.objects.get(pk=row.pk).body.open()
    superuser(f"UPDATE test_letters SET body = ''::bytea WHERE id = {row.pk}")
    with pytest.raises(SealBroken):
        Letter.objects.get(pk=row.pk).body.open()


def test_after_shredding_it_raises(tenant: Tenant) -> None:
    row = letter(tenant, "dear Anna")
    tenant.shred(tenant.anna)
    for _ in range(2):
        with pytest.raises(KeyShredded):
            Letter.objects.get(pk=row.pk).body.open()
        shredding.carry_out_orders()


def test_saving_again_seals_only_what_changed(tenant: Tenant) -> None:
    row = letter(tenant, "dear Anna", other="kept")
    before, kept = column(row), column(row, "other")
    found = Letter.objects.get(pk=row.pk)
    found.save()
    assert column(row) == before
    found.body = "dear Ben"
    found.save()
    assert column(row) != before
    assert column(row, "other") == kept
    assert Letter.objects.get(pk=row.pk).body.text() == "dear Ben"
    found.body = None
    found.save(update_fields=["body"])
    assert column(row) is None


def test_rows_made_in_bulk_are_sealed(tenant: Tenant) -> None:
    rows = Letter.objects.bulk_create(
        [Letter(tenant=tenant.code, subject=tenant.anna, body=f"letter {n}") for n in range(3)]
    )
    assert [Letter.objects.get(pk=row.pk).body.text() for row in rows] == ["letter 0", "letter 1", "letter 2"]
    assert all(b"letter" not in (column(row) or b"") for row in rows)


def test_sealed_ahead_of_its_save_a_row_asks_for_no_key_in_its_transaction(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Letter(tenant=tenant.code, subject=tenant.anna, body="dear Anna")
    seal_waiting(row)
    with monkeypatch.context() as patch:
        patch.setattr("vault.fields.sealing.seal", lambda *_: pytest.fail("sealed again"))
        row.save()
    assert Letter.objects.get(pk=row.pk).body.text() == "dear Anna"


def test_no_other_way_writes_plaintext(tenant: Tenant) -> None:
    row = letter(tenant, "dear Anna")
    before = column(row)
    for value in ("plain", b"plain"):
        with pytest.raises(TypeError, match="sealed when its row is saved"):
            Letter.objects.filter(pk=row.pk).update(body=value)
    row.body = "plain"
    with pytest.raises(TypeError, match="sealed when its row is saved"):
        Letter.objects.bulk_update([row], ["body"])
    assert column(row) == before
    Letter.objects.filter(pk=row.pk).update(body=None)
    assert column(row) is None


@pytest.mark.parametrize(
    "lookup",
    [
        "body",
        "body__exact",
        "body__in",
        "body__startswith",
        "body__contains",
        "body__gt",
        "body__iexact",
        "body__regex",
    ],
)
def test_it_cannot_be_filtered_on(tenant: Tenant, lookup: str) -> None:
    value: object = ["x"] if lookup.endswith("__in") else "x"
    with pytest.raises(FieldError):
        list(Letter.objects.filter(**{lookup: value}))
    with pytest.raises(FieldError):
        list(Letter.objects.exclude(**{lookup: value}))


def test_an_explicit_blind_index_finds_it(tenant: Tenant) -> None:
    row = letter(tenant, "dear Anna", body_index=blind_index(tenant.code, "letter", "dear Anna"))
    letter(tenant, "dear Ben", body_index=blind_index(tenant.code, "letter", "dear Ben"))
    assert Letter.objects.get(body_index=blind_index(tenant.code, "letter", "dear Anna")) == row


def test_values_without_their_row_do_not_open(tenant: Tenant) -> None:
    letter(tenant, "dear Anna")
    [value] = Letter.objects.filter(tenant=tenant.code).values_list("body", flat=True)
    with pytest.raises(TypeError, match="through its row"):
        value.open()


def test_a_deferred_field_opens_when_it_is_asked_for(tenant: Tenant) -> None:
    row = letter(tenant, "dear Anna")
    assert Letter.objects.defer("body").get(pk=row.pk).body.text() == "dear Anna"
    found = Letter.objects.get(pk=row.pk)
    found.refresh_from_db()
    assert found.body.text() == "dear Anna"


def test_it_is_neither_pickled_nor_dumped(tenant: Tenant) -> None:
    import pickle

    row = letter(tenant, "dear Anna")
    with pytest.raises(TypeError, match="not serialized"):
        pickle.dumps(row.body)
    with pytest.raises(TypeError, match="not serialized"):
        serializers.serialize("json", [row])


def test_only_text_bytes_and_none_are_taken(tenant: Tenant) -> None:
    for value in (7, 1.5, ["x"], {"a": 1}, object()):
        with pytest.raises(TypeError, match="takes text, bytes or None"):
            Letter(tenant=tenant.code, subject=tenant.anna, body=value)


def test_a_value_waiting_to_be_sealed_can_be_read_back(tenant: Tenant) -> None:
    waiting = Letter(tenant=tenant.code, subject=tenant.anna, body="dear Anna").body
    assert isinstance(waiting, Sealed)
    assert waiting.text() == "dear Anna"


@pytest.mark.parametrize("option", ["default", "db_default", "choices", "unique", "primary_key", "db_index"])
def test_options_that_need_a_readable_column_are_refused(option: str) -> None:
    with pytest.raises(TypeError, match=option):
        SealedField(**{option: True})


def test_a_model_that_does_not_name_its_context_fails_the_system_check() -> None:
    class Unbound(models.Model):
        body = SealedField(null=True)

        class Meta:
            apps = Apps()
            app_label = "letters"

    assert "vault.E001" in [message.id for message in Unbound.check()]
    assert "vault.E001" not in [message.id for message in Letter.check()]


def test_a_migration_can_write_the_field_down() -> None:
    _name, path, arguments, options = SealedField(null=True).deconstruct()
    assert path == "vault.fields.SealedField"
    assert isinstance(SealedField(*arguments, **options), SealedField)
