"""The vault's face: values and files sealed under people's keys, in real databases and on a real disk."""

import os
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connections

from tests.vault.actors import Tenant
from vault import keys, sealing, storage, stream
from vault.blind import blind_index
from vault.codes import new_code
from vault.errors import (
    KeyMissing,
    KeyringInvalid,
    ProviderUnavailable,
    ProviderWrongKey,
    SealBroken,
    StorageUnavailable,
    VaultError,
)
from vault.keys import KeyName
from vault.models import DataKey, SealedBlob


@pytest.fixture
def tenant() -> Tenant:
    return Tenant()


@pytest.fixture
def keyring_file() -> Iterator[Path]:
    """The live keyring; whatever the test did to it, it comes back."""
    path = Path(django_settings.VOXGOV_KEY_PROVIDER["path"])
    before = path.read_bytes()
    yield path
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(before)
    restart()


def restart() -> None:
    """What another process, or this one a second later, would see."""
    keys.forget_cached()
    keys._forget_provider()


def test_what_is_sealed_opens_in_its_context(tenant: Tenant) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    assert b"said" not in sealed
    assert sealing.open(tenant.context(), tenant.keys(), sealed) == b"said"
    restart()
    assert sealing.open(tenant.context(), tenant.keys(), sealed) == b"said"


def test_empty_is_a_value(tenant: Tenant) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"")
    assert sealed
    assert sealing.open(tenant.context(), tenant.keys(), sealed) == b""


def test_sealing_twice_gives_different_bytes(tenant: Tenant) -> None:
    assert sealing.seal(tenant.context(), tenant.keys(), b"x") != sealing.seal(tenant.context(), tenant.keys(), b"x")


def test_each_person_and_scope_has_a_key_of_its_own(tenant: Tenant) -> None:
    other = Tenant()
    names = [
        *tenant.keys(tenant.anna),
        *tenant.keys(tenant.ben),
        *tenant.keys(tenant.anna, scope="voice.emotion"),
        KeyName.record(tenant.code, tenant.anna),
        KeyName.work(tenant.code, tenant.anna),
    ]
    for name in names:
        sealing.seal(tenant.context(), [name], b"x")
    sealing.seal(other.context(), other.keys(), b"x")
    assert DataKey.objects.filter(organization=tenant.code).count() == len(names)
    assert DataKey.objects.filter(organization=other.code).count() == 1


def test_a_value_moved_to_another_row_field_person_scope_or_tenant_does_not_open(tenant: Tenant) -> None:
    context, names = tenant.context(), tenant.keys()
    sealed = sealing.seal(context, names, b"said")
    for moved in (
        replace(context, object_code="row-2"),
        replace(context, field="other"),
        replace(context, kind="consent"),
        replace(context, scope="voice.emotion"),
        replace(context, subjects=(tenant.ben,)),
    ):
        with pytest.raises(SealBroken):
            sealing.open(moved, names, sealed)
    other = Tenant()
    sealing.seal(tenant.context(tenant.ben), tenant.keys(tenant.ben), b"x")
    sealing.seal(other.context(), other.keys(), b"x")
    for moved, theirs in (
        (tenant.context(tenant.ben), tenant.keys(tenant.ben)),
        (other.context(), other.keys()),
        (replace(context, scope="voice.emotion"), tenant.keys(scope="voice.emotion")),
    ):
        sealing.seal(moved, theirs, b"x")
        with pytest.raises(KeyMissing):
            sealing.open(moved, theirs, sealed)


def test_keys_of_another_organization_are_refused_before_anything_is_sealed(tenant: Tenant) -> None:
    other = Tenant()
    with pytest.raises(ValueError, match="its own organization"):
        sealing.seal(tenant.context(), other.keys(), b"x")
    with pytest.raises(ValueError, match="its own organization"):
        sealing.seal(tenant.context(), [], b"x")


def test_every_altered_byte_of_a_value_is_refused(tenant: Tenant) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    for at in range(len(sealed)):
        altered = bytearray(sealed)
        altered[at] ^= 0x40
        with pytest.raises((SealBroken, KeyMissing)):
            sealing.open(tenant.context(), tenant.keys(), bytes(altered))


def test_a_conversation_needs_the_key_of_everybody_in_it(tenant: Tenant) -> None:
    people = (tenant.anna, tenant.ben)
    sealed = sealing.seal(tenant.context(*people), tenant.keys(*people), b"both said")
    assert sealing.open(tenant.context(*people), tenant.keys(*reversed(people)), sealed) == b"both said"
    for one in people:
        with pytest.raises(VaultError):
            sealing.open(tenant.context(*people), tenant.keys(one), sealed)
    DataKey.objects.filter(organization=tenant.code, owner=tenant.ben).delete()
    restart()
    with pytest.raises(VaultError):
        sealing.open(tenant.context(*people), tenant.keys(*people), sealed)


def test_wrapped_keys_swapped_between_people_open_nothing(tenant: Tenant) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"anna")
    sealing.seal(tenant.context(tenant.ben), tenant.keys(tenant.ben), b"ben")
    anna, ben = (DataKey.objects.get(organization=tenant.code, owner=owner) for owner in (tenant.anna, tenant.ben))
    DataKey.objects.filter(pk=anna.pk).update(wrapped=ben.wrapped)
    restart()
    with pytest.raises(ProviderWrongKey):
        sealing.open(tenant.context(), tenant.keys(), sealed)


def test_the_application_cannot_change_whose_key_it_is(tenant: Tenant) -> None:
    from django.db.utils import ProgrammingError

    sealing.seal(tenant.context(), tenant.keys(), b"anna")
    with pytest.raises(ProgrammingError, match="permission denied"):
        DataKey.objects.filter(organization=tenant.code).update(owner=tenant.ben)


def test_many_threads_make_one_key(tenant: Tenant) -> None:
    barrier = threading.Barrier(6)
    sealed: list[bytes] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            barrier.wait(10)
            sealed.append(sealing.seal(tenant.context(), tenant.keys(), b"said"))
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert DataKey.objects.filter(organization=tenant.code).count() == 1
    restart()
    assert [sealing.open(tenant.context(), tenant.keys(), one) for one in sealed] == [b"said"] * 6


def test_no_key_is_in_any_database_in_the_clear(tenant: Tenant) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"x")
    [row] = DataKey.objects.filter(organization=tenant.code)
    name = KeyName.subject(row.organization, row.owner, row.scope)
    [held] = keys.for_sealing([name])
    raw = held.key.reveal()
    assert raw not in bytes(row.wrapped)
    assert len(bytes(row.wrapped)) == 12 + 32 + 16


# --- the provider away, wrong, or open to others


def test_a_missing_keyring_stops_sealing_and_opening_and_waiting_helps(tenant: Tenant, keyring_file: Path) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    away = keyring_file.with_name("away")
    keyring_file.rename(away)
    restart()
    with pytest.raises(ProviderUnavailable) as caught:
        sealing.open(tenant.context(), tenant.keys(), sealed)
    assert caught.value.transient
    with pytest.raises(ProviderUnavailable):
        sealing.seal(tenant.context(tenant.ben), tenant.keys(tenant.ben), b"x")
    assert not DataKey.objects.filter(organization=tenant.code, owner=tenant.ben).exists()
    away.rename(keyring_file)
    assert sealing.open(tenant.context(), tenant.keys(), sealed) == b"said"


def test_nothing_is_half_written_when_the_provider_is_away(tenant: Tenant, keyring_file: Path) -> None:
    keyring_file.unlink()
    restart()
    code = new_code()
    with pytest.raises(ProviderUnavailable):
        sealing.seal_stream(tenant.context(), tenant.keys(), code=code)
    assert not storage.path_of(code).parent.exists() or not list(storage.path_of(code).parent.glob(f"{code}*"))


def test_another_keyring_is_a_wrong_key_and_not_a_broken_seal(tenant: Tenant, keyring_file: Path) -> None:
    from vault import keyring

    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    keyring_file.unlink()
    keyring.ensure(keyring_file)
    restart()
    with pytest.raises(ProviderWrongKey) as caught:
        sealing.open(tenant.context(), tenant.keys(), sealed)
    assert caught.value.transient


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_keyring_that_others_can_read_is_refused(tenant: Tenant, keyring_file: Path, mode: int) -> None:
    keyring_file.chmod(mode)
    restart()
    with pytest.raises(KeyringInvalid):
        sealing.seal(tenant.context(), tenant.keys(), b"x")


# --- files


@pytest.mark.parametrize("length", [0, 1, 16383, 16384, 16385, 10 * 1024 * 1024])
def test_a_file_comes_back_whole_and_by_range(tenant: Tenant, length: int) -> None:
    plaintext = os.urandom(length)
    context, blob = tenant.file(plaintext)
    names = tenant.keys(scope="audio.store")
    assert blob.plaintext_size == length
    assert b"".join(sealing.open_stream(context, names, blob)) == plaintext
    with sealing.open_range(context, names, blob) as opened:
        assert opened.size == length
        for offset in (0, length // 3, max(0, length - 5), length + 3):
            assert opened.read(offset, 40_000) == plaintext[offset : offset + 40_000]


def test_a_file_is_written_in_pieces_of_any_size(tenant: Tenant) -> None:
    plaintext = os.urandom(100_000)
    code = new_code()
    context, names = tenant.context(row=code), tenant.keys()
    with sealing.seal_stream(context, names, code=code) as writer:
        for start, end in [(0, 1), (1, 1), (1, 16384), (16384, 70_000), (70_000, 100_000)]:
            writer.write(plaintext[start:end])
        blob = writer.finish()
    assert b"".join(sealing.open_stream(context, names, blob)) == plaintext


def test_memory_stays_flat_while_a_file_streams(tenant: Tenant) -> None:
    code = new_code()
    context, names = tenant.context(row=code), tenant.keys()
    piece = os.urandom(256 * 1024)
    tracemalloc.start()
    try:
        with sealing.seal_stream(context, names, code=code) as writer:
            for _ in range(120):
                writer.write(piece)
            blob = writer.finish()
        for opened in sealing.open_stream(context, names, blob):
            assert len(opened) <= stream.PIECE
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()
        storage.remove(code)


def test_an_upload_that_fails_leaves_no_file(tenant: Tenant) -> None:
    code = new_code()
    with (
        pytest.raises(ConnectionResetError),
        sealing.seal_stream(tenant.context(), tenant.keys(), code=code) as writer,
    ):
        writer.write(b"half")
        raise ConnectionResetError
    assert not list(storage.path_of(code).parent.glob(f"{code}*"))


def test_leaving_without_finish_leaves_no_file(tenant: Tenant) -> None:
    code = new_code()
    with sealing.seal_stream(tenant.context(), tenant.keys(), code=code) as writer:
        writer.write(b"half")
    assert not list(storage.path_of(code).parent.glob(f"{code}*"))


def test_a_finished_file_goes_when_its_transaction_does(tenant: Tenant) -> None:
    code = new_code()
    with (
        pytest.raises(RuntimeError),
        sealing.seal_stream(tenant.context(), tenant.keys(), code=code) as writer,
    ):
        writer.finish()
        raise RuntimeError("the transaction did not commit")
    assert not storage.path_of(code).exists()


def test_a_code_is_used_for_one_file_only(tenant: Tenant) -> None:
    context, blob = tenant.file(b"first")
    with pytest.raises(FileExistsError):
        sealing.seal_stream(context, tenant.keys(scope="audio.store"), code=blob.code)
    assert b"".join(sealing.open_stream(context, tenant.keys(scope="audio.store"), blob)) == b"first"


def test_a_file_under_keys_of_two_scopes_is_refused(tenant: Tenant) -> None:
    names = [*tenant.keys(), *tenant.keys(scope="audio.store")]
    with pytest.raises(ValueError, match="one class and scope"):
        sealing.seal_stream(tenant.context(), names, code=new_code())


def test_files_swapped_on_the_disk_do_not_open(tenant: Tenant) -> None:
    (context, blob), (other_context, other) = tenant.file(b"one" * 9000), tenant.file(b"two" * 9000)
    names = tenant.keys(scope="audio.store")
    one, two = storage.path_of(blob.code), storage.path_of(other.code)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    for bound, row in ((context, blob), (other_context, other)):
        with pytest.raises(SealBroken):
            list(sealing.open_stream(bound, names, row))
        with pytest.raises(SealBroken):
            sealing.open_range(bound, names, row)


@pytest.mark.parametrize("cut", [1, 17, 16400, 30_000])
def test_a_truncated_file_never_ends_well(tenant: Tenant, cut: int) -> None:
    context, blob = tenant.file(os.urandom(50_000))
    names = tenant.keys(scope="audio.store")
    path = storage.path_of(blob.code)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(SealBroken):
        list(sealing.open_stream(context, names, blob))
    with pytest.raises(SealBroken):
        sealing.open_range(context, names, blob)


def test_a_recorded_size_that_is_not_the_files_is_refused(tenant: Tenant) -> None:
    context, blob = tenant.file(os.urandom(50_000))
    names = tenant.keys(scope="audio.store")
    for sealed_size, plaintext_size in [
        (blob.sealed_size - 16400, blob.plaintext_size - 16384),
        (blob.sealed_size, blob.plaintext_size - 1),
        (blob.sealed_size - 1, blob.plaintext_size - 1),
    ]:
        lying = SealedBlob(code=blob.code, sealed_size=sealed_size, plaintext_size=plaintext_size)
        with pytest.raises(SealBroken):
            sealing.open_range(context, names, lying)


def test_a_lost_file_is_an_error_that_says_so(tenant: Tenant) -> None:
    context, blob = tenant.file(b"x")
    storage.path_of(blob.code).unlink()
    with pytest.raises(StorageUnavailable) as caught:
        list(sealing.open_stream(context, tenant.keys(scope="audio.store"), blob))
    assert caught.value.transient
    assert blob.code in list(storage.rows_without_file())
    blob.delete()


def test_files_can_be_read_by_their_owner_only(tenant: Tenant) -> None:
    _, blob = tenant.file(b"x")
    path = storage.path_of(blob.code)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0


def test_orphans_are_removed_and_files_with_a_row_stay(tenant: Tenant) -> None:
    _, blob = tenant.file(b"kept")
    orphan, young = new_code(), new_code()
    for code in (orphan, young):
        with sealing.seal_stream(tenant.context(row=code), tenant.keys(), code=code) as writer:
            writer.finish()
    draft = storage.path_of(orphan).with_suffix(".draft")
    draft.write_bytes(b"half")
    for path in (storage.path_of(blob.code), storage.path_of(orphan), draft):
        os.utime(path, (1, 1))
    storage.remove_orphans()
    assert storage.path_of(blob.code).exists()
    assert storage.path_of(young).exists(), "its transaction may be about to commit"
    assert not storage.path_of(orphan).exists()
    assert not draft.exists()
    storage.remove(young)


def test_what_cannot_be_removed_holds_up_no_other_orphan(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    orphans = [storage.path_of(new_code()) for _ in range(3)]
    folder = orphans[0].with_name("lost+found")
    for path in orphans:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    folder.mkdir()
    for path in (*orphans, folder):
        os.utime(path, (1, 1))
    unlink = Path.unlink

    def refused_once(path: Path, missing_ok: bool = False) -> None:
        if path == orphans[1]:
            raise PermissionError(1, "Operation not permitted")
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused_once)
        assert storage.remove_orphans() == 2
    assert [path.exists() for path in orphans] == [False, True, False]
    assert storage.remove_orphans() == 1
    assert folder.is_dir()
    folder.rmdir()


@pytest.mark.parametrize("code", ["", "..", "../../etc/passwd", "x" * 36, "0" * 36 + "\n", "0/" * 18])
def test_what_is_no_code_names_no_file(code: str) -> None:
    with pytest.raises(ValueError, match="not a code"):
        storage.path_of(code)


def test_discarding_a_file_waits_for_the_commit(tenant: Tenant) -> None:
    from django.db import transaction

    context, blob = tenant.file(b"kept")
    names = tenant.keys(scope="audio.store")
    with pytest.raises(RuntimeError), transaction.atomic():
        sealing.discard(blob)
        raise RuntimeError
    assert b"".join(sealing.open_stream(context, names, SealedBlob.objects.get(code=blob.code))) == b"kept"
    with transaction.atomic():
        sealing.discard(blob)
    assert not storage.path_of(blob.code).exists()
    assert not SealedBlob.objects.filter(code=blob.code).exists()


# --- blind indexes


def test_a_blind_index_finds_the_same_value_in_the_same_place_only(tenant: Tenant) -> None:
    found = blind_index(tenant.code, "reference", "customer 7")
    assert len(found) == 32
    restart()
    assert blind_index(tenant.code, "reference", "customer 7") == found
    others = {
        blind_index(Tenant().code, "reference", "customer 7"),
        blind_index(tenant.code, "email", "customer 7"),
        blind_index(tenant.code, "reference", "customer 8"),
        blind_index(tenant.code, "referencec", "ustomer 7"),
    }
    assert found not in others
    assert len(others) == 4
