"""Shredding: unreadable from the order's commit on, destroyed when the worker has been there, certified once."""

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.utils import DatabaseError, ProgrammingError

from audit.models import Event
from tests.vault.actors import Tenant
from tests.vault.test_sealing import restart
from vault import certificate, keys, sealing, shredding, storage, stray
from vault.errors import KeyShredded, ProviderUnavailable, ShredOutsideTransaction, StorageUnavailable
from vault.keyring import CERTIFICATES
from vault.keys import KeyName
from vault.models import DataKey, KeyClass, SealedBlob, ShredOrder
from vault.ports import key_events


@pytest.fixture
def tenant() -> Iterator[Tenant]:
    """No order of an earlier test is left open."""
    shredding.carry_out_orders()
    yield Tenant()


def test_an_order_closes_reading_at_its_commit_before_any_key_is_destroyed(tenant: Tenant) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    assert sealing.open(tenant.context(), tenant.keys(), sealed) == b"said"
    tenant.shred(tenant.anna)
    assert DataKey.objects.filter(organization=tenant.code).exists()
    with pytest.raises(KeyShredded):
        sealing.open(tenant.context(), tenant.keys(), sealed)


def test_an_order_that_is_rolled_back_closes_nothing(tenant: Tenant) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    with pytest.raises(RuntimeError), transaction.atomic():
        sealing.shred(tenant.code, owner=tenant.anna, key_class=KeyClass.SUBJECT, reason="withdrawal")
        raise RuntimeError
    assert sealing.open(tenant.context(), tenant.keys(), sealed) == b"said"


def test_an_order_outside_a_transaction_is_refused(tenant: Tenant) -> None:
    with pytest.raises(ShredOutsideTransaction):
        sealing.shred(tenant.code, owner=tenant.anna, key_class=KeyClass.SUBJECT, reason="withdrawal")


def test_carrying_out_destroys_the_key(tenant: Tenant) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    order = tenant.shred(tenant.anna)
    [done] = shredding.carry_out_orders()
    assert done.order == order.code
    assert len(done.key_ids) == 1
    assert not DataKey.objects.filter(organization=tenant.code).exists()
    restart()
    with pytest.raises(KeyShredded):
        sealing.open(tenant.context(), tenant.keys(), sealed)


def test_one_scope_goes_and_the_others_stay(tenant: Tenant) -> None:
    kept, gone = tenant.context(scope="speech.prosody"), tenant.context(scope="voice.emotion")
    kept_keys, gone_keys = tenant.keys(scope="speech.prosody"), tenant.keys(scope="voice.emotion")
    sealed_kept, sealed_gone = sealing.seal(kept, kept_keys, b"pitch"), sealing.seal(gone, gone_keys, b"mood")
    tenant.shred(tenant.anna, scope="voice.emotion")
    for _ in range(2):
        assert sealing.open(kept, kept_keys, sealed_kept) == b"pitch"
        with pytest.raises(KeyShredded):
            sealing.open(gone, gone_keys, sealed_gone)
        shredding.carry_out_orders()


def test_everything_of_one_person_goes_and_nothing_of_another(tenant: Tenant) -> None:
    scopes = ["speech.prosody", "voice.emotion", "audio.store"]
    hers = [(s, sealing.seal(tenant.context(scope=s), tenant.keys(scope=s), b"hers")) for s in scopes]
    his = sealing.seal(tenant.context(tenant.ben), tenant.keys(tenant.ben), b"his")
    record = KeyName.record(tenant.code, tenant.anna)
    reference = sealing.seal(tenant.context(), [record], b"reference")
    tenant.shred(tenant.anna)
    shredding.carry_out_orders()
    for scope, sealed in hers:
        with pytest.raises(KeyShredded):
            sealing.open(tenant.context(scope=scope), tenant.keys(scope=scope), sealed)
    assert sealing.open(tenant.context(tenant.ben), tenant.keys(tenant.ben), his) == b"his"
    assert sealing.open(tenant.context(), [record], reference) == b"reference", "another key class"
    other = Tenant(anna=tenant.anna)
    theirs = sealing.seal(other.context(), other.keys(), b"theirs")
    assert sealing.open(other.context(), other.keys(), theirs) == b"theirs", (
        "another tenant's person with the same code"
    )


def test_a_conversation_closes_when_one_of_its_people_goes(tenant: Tenant) -> None:
    people = (tenant.anna, tenant.ben)
    sealed = sealing.seal(tenant.context(*people), tenant.keys(*people), b"both")
    context, blob = tenant.file(b"audio of both", *people)
    alone_context, alone = tenant.file(b"audio of one", tenant.anna)
    tenant.shred(tenant.ben)
    with pytest.raises(KeyShredded):
        sealing.open(tenant.context(*people), tenant.keys(*people), sealed)
    with pytest.raises(KeyShredded):
        list(sealing.open_stream(context, tenant.keys(*people, scope="audio.store"), blob))
    [done] = shredding.carry_out_orders()
    assert done.blobs == 1
    assert not storage.path_of(blob.code).exists()
    names = tenant.keys(tenant.anna, scope="audio.store")
    assert b"".join(sealing.open_stream(alone_context, names, alone)) == b"audio of one"


def test_consent_given_again_gets_a_fresh_key_and_revives_nothing(tenant: Tenant) -> None:
    old = sealing.seal(tenant.context(row="1"), tenant.keys(), b"old")
    tenant.shred(tenant.anna)
    new = sealing.seal(tenant.context(row="2"), tenant.keys(), b"new")
    for _ in range(2):
        assert sealing.open(tenant.context(row="2"), tenant.keys(), new) == b"new"
        with pytest.raises(KeyShredded):
            sealing.open(tenant.context(row="1"), tenant.keys(), old)
        shredding.carry_out_orders()
        restart()
    assert DataKey.objects.filter(organization=tenant.code).count() == 1


def test_a_file_sealed_under_a_later_consent_survives_an_earlier_order_whatever_the_clocks_say(tenant: Tenant) -> None:
    names = tenant.keys(scope="audio.store")
    _, old = tenant.file(b"old")
    tenant.shred(tenant.anna, scope="audio.store")
    context, new = tenant.file(b"new")
    SealedBlob.objects.filter(code=new.code).update(created_at="2000-01-01T00:00:00Z")
    SealedBlob.objects.filter(code=old.code).update(created_at="2100-01-01T00:00:00Z")
    shredding.carry_out_orders()
    assert not storage.path_of(old.code).exists()
    assert b"".join(sealing.open_stream(context, names, new)) == b"new"


def test_a_disk_that_is_not_mounted_costs_a_later_file_nothing(tenant: Tenant) -> None:
    names = tenant.keys(scope="audio.store")
    tenant.file(b"old")
    tenant.shred(tenant.anna, scope="audio.store")
    context, new = tenant.file(b"new")
    path = storage.path_of(new.code)
    aside = path.with_name("unmounted")
    path.rename(aside)
    shredding.carry_out_orders()
    aside.rename(path)
    assert b"".join(sealing.open_stream(context, names, SealedBlob.objects.get(code=new.code))) == b"new"


def test_a_reader_in_the_middle_of_a_file_is_cut_off(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "CACHE_SECONDS", -1.0)
    context, blob = tenant.file(os.urandom(1_000_000))
    names = tenant.keys(scope="audio.store")
    stream = sealing.open_stream(context, names, blob)
    opened = sealing.open_range(context, names, blob)
    next(stream)
    opened.read(0, 10)
    tenant.shred(tenant.anna)
    with pytest.raises(KeyShredded):
        next(stream)
    with pytest.raises(KeyShredded):
        opened.read(0, 10)
    opened.close()


def test_a_reader_who_waits_before_the_last_piece_does_not_get_it(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "CACHE_SECONDS", -1.0)
    context, blob = tenant.file(os.urandom(20_000))
    stream = sealing.open_stream(context, tenant.keys(scope="audio.store"), blob)
    assert len(next(stream)) == 16384
    tenant.shred(tenant.anna)
    with pytest.raises(KeyShredded):
        next(stream)


def test_another_process_with_the_key_cached_reads_nothing(tenant: Tenant) -> None:
    """Its cache is not told; the order in the database is enough."""
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    sealing.open(tenant.context(), tenant.keys(), sealed)
    caught: list[BaseException] = []

    def order() -> None:
        tenant.shred(tenant.anna)
        connections.close_all()

    thread = threading.Thread(target=order)
    thread.start()
    thread.join()
    assert len(keys._cache) > 0
    try:
        sealing.open(tenant.context(), tenant.keys(), sealed)
    except KeyShredded as error:
        caught.append(error)
    assert caught


def test_a_certificate_says_what_was_destroyed_and_verifies(tenant: Tenant) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    tenant.file(b"audio")
    ids = sorted(str(key.pk) for key in DataKey.objects.filter(organization=tenant.code))
    order = tenant.shred(tenant.anna, reason="erasure")
    shredding.carry_out_orders()
    order.refresh_from_db()
    assert order.done_at is not None
    signed = order.certificate
    assert signed is not None
    assert signed["keys"] == ids
    assert len(ids) == 2
    assert signed["blobs"] == 1
    assert (signed["order"], signed["owner"], signed["reason"]) == (order.code, tenant.anna, "erasure")
    public = keys.provider().public_key(CERTIFICATES)
    certificate.verify(signed, public)
    for name in signed:
        with pytest.raises(certificate.CertificateInvalid):
            certificate.verify({**signed, name: "altered"}, public)
        with pytest.raises(certificate.CertificateInvalid):
            certificate.verify({n: v for n, v in signed.items() if n != name}, public)
    with pytest.raises(certificate.CertificateInvalid):
        certificate.verify(signed, bytes(32))


def test_the_trail_hears_of_each_destruction_once(tenant: Tenant) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    tenant.shred(tenant.anna)
    for _ in range(3):
        shredding.carry_out_orders()
    assert Event.objects.filter(log=tenant.code, name="vault:key:destroyed").count() == 1


def test_an_order_with_nothing_to_destroy_is_done_all_the_same(tenant: Tenant) -> None:
    order = tenant.shred(tenant.anna)
    [done] = shredding.carry_out_orders()
    assert (done.order, done.key_ids, done.blobs) == (order.code, (), 0)
    assert shredding.carry_out(order.code) is None


class Crash(Exception):
    """Stands for the process dying here."""


@pytest.mark.parametrize("step", ["before the keys", "after the keys", "after the files", "before the commit"])
def test_a_crash_at_any_step_is_made_good_and_the_certificate_is_whole(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    _, blob = tenant.file(b"audio")
    ids = sorted(str(key.pk) for key in DataKey.objects.filter(organization=tenant.code))
    order = tenant.shred(tenant.anna)

    def crash(*arguments: object, **named: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        if step == "before the keys":
            patch.setattr(DataKey.objects, "filter", _after(DataKey.objects.filter, 2, crash))
        elif step == "after the keys":
            patch.setattr(storage, "remove", crash)
        elif step == "after the files":
            patch.setattr(shredding, "_certificate", crash)
        else:
            patch.setattr(key_events.face, "destroyed", crash)
        with pytest.raises(Crash):
            shredding.carry_out_orders()
    restart()
    order.refresh_from_db()
    assert order.done_at is None
    with pytest.raises(KeyShredded):
        sealing.open(tenant.context(), tenant.keys(), sealed)
    shredding.carry_out_orders()
    order.refresh_from_db()
    assert order.certificate is not None
    assert order.certificate["keys"] == ids
    assert order.certificate["blobs"] == 1
    assert not DataKey.objects.filter(organization=tenant.code).exists()
    assert not storage.path_of(blob.code).exists()
    assert Event.objects.filter(log=tenant.code, name="vault:key:destroyed").count() == 1


def _after(call: object, times: int, then: object) -> object:
    """`call` for the first `times` calls, `then` afterwards."""
    count = 0

    def counted(*arguments: object, **named: object) -> object:
        nonlocal count
        count += 1
        return (call if count <= times else then)(*arguments, **named)  # type: ignore[operator]  # both are callables

    return counted


def test_an_order_that_cannot_be_carried_out_holds_up_no_other(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    _, stuck_blob = tenant.file(b"audio")
    sealing.seal(tenant.context(tenant.ben), tenant.keys(tenant.ben), b"his")
    stuck, other = tenant.shred(tenant.anna), tenant.shred(tenant.ben)
    remove = storage.remove

    def full(code: str) -> bool:
        if code == stuck_blob.code:
            raise StorageUnavailable("the disk is away")
        return remove(code)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "remove", full)
        with pytest.raises(StorageUnavailable):
            shredding.carry_out_orders()
    stuck.refresh_from_db()
    other.refresh_from_db()
    assert stuck.done_at is None
    assert other.done_at is not None
    assert not DataKey.objects.filter(organization=tenant.code).exists(), "the key goes even where the file cannot"
    shredding.carry_out_orders()
    stuck.refresh_from_db()
    assert stuck.done_at is not None


def test_destruction_does_not_wait_for_a_provider_that_is_away(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    order = tenant.shred(tenant.anna)

    def away(purpose: str, message: bytes) -> bytes:
        raise ProviderUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(keys.provider(), "sign", away)
        with pytest.raises(ProviderUnavailable):
            shredding.carry_out_orders()
    assert not DataKey.objects.filter(organization=tenant.code).exists()
    shredding.carry_out_orders()
    order.refresh_from_db()
    assert order.done_at is not None


def test_two_workers_carry_out_an_order_once(tenant: Tenant) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    order = tenant.shred(tenant.anna)
    barrier = threading.Barrier(4)
    results: list[shredding.Shredded | None] = []

    def work() -> None:
        barrier.wait(10)
        results.append(shredding.carry_out(order.code))
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shredding.carry_out_orders()
    assert len(results) == 4
    assert len([result for result in results if result is not None]) <= 1
    assert Event.objects.filter(log=tenant.code, name="vault:key:destroyed").count() == 1


def test_a_key_made_while_its_order_commits_does_not_stay(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order and its worker run between the sealer's look at the orders and its new key's row."""
    wrap = keys.provider().wrap

    def meanwhile(*arguments: object) -> bytes:
        with monkeypatch.context() as inner:
            inner.setattr(keys.provider(), "wrap", wrap)

            def order() -> None:
                tenant.shred(tenant.anna)
                shredding.carry_out_orders()
                connections.close_all()

            thread = threading.Thread(target=order)
            thread.start()
            thread.join()
        return wrap(*arguments)  # type: ignore[arg-type]  # handed through as they came

    with monkeypatch.context() as patch:
        patch.setattr(keys.provider(), "wrap", meanwhile)
        with pytest.raises(KeyShredded):
            sealing.seal(tenant.context(), tenant.keys(), b"said")
    assert not DataKey.objects.filter(organization=tenant.code).exists()


def test_a_stray_key_left_by_a_crash_opens_nothing_and_is_destroyed_by_the_sweep(tenant: Tenant) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    kept = sealing.seal(tenant.context(tenant.ben), tenant.keys(tenant.ben), b"kept")
    left = DataKey.objects.get(organization=tenant.code, owner=tenant.anna)
    tenant.shred(tenant.anna)
    shredding.carry_out_orders()
    left.save(force_insert=True)
    with pytest.raises(KeyShredded):
        sealing.open(tenant.context(), tenant.keys(), sealed)
    assert stray.destroy_stray_keys() >= 1
    assert not DataKey.objects.filter(pk=left.pk).exists()
    assert sealing.open(tenant.context(tenant.ben), tenant.keys(tenant.ben), kept) == b"kept"


def test_the_application_can_neither_delete_nor_change_an_order(tenant: Tenant) -> None:
    order = tenant.shred(tenant.anna)
    for change in ({"owner": tenant.ben}, {"scope": "voice.emotion"}, {"reason": "other"}):
        with pytest.raises(ProgrammingError, match="permission denied"):
            ShredOrder.objects.filter(pk=order.pk).update(**change)
    with pytest.raises(ProgrammingError, match="permission denied"):
        ShredOrder.objects.filter(pk=order.pk).delete()


def test_an_order_that_was_carried_out_is_final(tenant: Tenant) -> None:
    order = tenant.shred(tenant.anna)
    shredding.carry_out_orders()
    changes: list[dict[str, Any]] = [{"done_at": None}, {"certificate": {}}]
    for change in changes:
        with pytest.raises(DatabaseError, match="never changes"):
            ShredOrder.objects.filter(pk=order.pk).update(**change)
