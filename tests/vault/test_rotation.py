"""Rotation: every key moves, the old epoch goes, and wherever it is cut off it goes on."""

import base64
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.db.utils import ProgrammingError
from django.utils import timezone

from audit.models import Event
from tests.factories import make_organization
from tests.vault.actors import Tenant
from tests.vault.test_sealing import restart
from vault import epochs, keyring, keys, recovery, rewrapped, rotation, sealing, shredding, status
from vault.epochs import KEYS_DATABASE
from vault.errors import EpochDestroyed, KeyShredded, KeysUnopenable, ProviderWrongKey, RotationUnderWay
from vault.models import DataKey, Epoch
from vault.ports import key_events


@pytest.fixture
def tenant() -> Iterator[Tenant]:
    """No rotation and no order of an earlier test is left."""
    shredding.carry_out_orders()
    if rotation.under_way():
        rotation.rotate()
    yield Tenant()


def key_row(tenant: Tenant, owner: str) -> DataKey:
    row: DataKey = DataKey.objects.get(organization=tenant.code, owner=owner)
    return row


def newest() -> int:
    return int(Epoch.objects.order_by("-number")[0].number)


def test_every_key_moves_to_the_new_epoch_and_the_old_one_is_destroyed_at_the_provider(tenant: Tenant) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    before = newest()
    seen: list[tuple[int, int]] = []

    done = rotation.rotate(lambda moved, total: seen.append((moved, total)))

    assert done.epoch == before + 1
    assert before in done.destroyed
    assert keys.provider().epochs() == (done.epoch,)
    assert set(DataKey.objects.values_list("epoch", flat=True)) == {done.epoch}
    assert not rotation.under_way()
    assert seen[0][0] == 0
    assert seen[-1] == (done.moved, done.moved)
    restart()
    assert sealing.open(tenant.context(), tenant.keys(), sealed) == b"said"


def test_what_was_wrapped_before_opens_with_nothing_that_the_provider_still_holds(tenant: Tenant) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    stolen = key_row(tenant, tenant.anna)
    rotation.rotate()
    restart()
    with pytest.raises(EpochDestroyed):
        keys.provider().unwrap(stolen.epoch, bytes(stolen.wrapped), keys.binding_of(stolen))


def test_sealing_and_opening_go_on_while_keys_move(tenant: Tenant) -> None:
    stop = threading.Event()
    problems: list[BaseException] = []
    sealed: list[tuple[Tenant, bytes]] = []

    def work() -> None:
        try:
            while not stop.is_set():
                one = Tenant()
                piece = sealing.seal(one.context(), one.keys(), b"said")
                keys.forget_cached()
                assert sealing.open(one.context(), one.keys(), piece) == b"said"
                sealed.append((one, piece))
        except BaseException as error:
            problems.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        rotation.rotate()
    stop.set()
    for thread in threads:
        thread.join()
    assert not problems
    assert sealed
    restart()
    for one, piece in sealed:
        assert sealing.open(one.context(), one.keys(), piece) == b"said"


def test_a_key_that_is_being_made_is_waited_for_and_moves_too(tenant: Tenant) -> None:
    """The slowest process possible: it chose its epoch, and writes its row when rotation wants to retire that epoch."""
    holding, go_on = threading.Event(), threading.Event()
    wrap = keys.provider().wrap
    pieces: list[bytes] = []

    def make_slowly() -> None:
        with transaction.atomic(using=KEYS_DATABASE):
            epochs.hold_current(keys.provider())
            holding.set()
            go_on.wait(30)
            pieces.append(sealing.seal(tenant.context(), tenant.keys(), b"said"))
        connections.close_all()

    slow = threading.Thread(target=make_slowly)
    slow.start()
    holding.wait(30)
    done: list[rotation.Rotation] = []

    def rotate() -> None:
        done.append(rotation.rotate())
        connections.close_all()

    rotating = threading.Thread(target=rotate)
    rotating.start()
    while len(keys.provider().epochs()) < 2:
        time.sleep(0.01)
    assert not done
    go_on.set()
    slow.join(30)
    rotating.join(30)
    assert done
    assert wrap is not None
    restart()
    assert sealing.open(tenant.context(), tenant.keys(), pieces[0]) == b"said"
    assert key_row(tenant, tenant.anna).epoch == done[0].epoch


def test_a_reader_between_whose_two_steps_a_key_moved_opens_all_the_same(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    restart()
    unwrap = keys.provider().unwrap
    rotated: list[int] = []

    def after_rotation(*arguments: object) -> object:
        if not rotated:
            rotated.append(1)
            rotation.rotate()
        return unwrap(*arguments)  # type: ignore[arg-type]  # handed through as they came

    monkeypatch.setattr(keys.provider(), "unwrap", after_rotation)
    assert sealing.open(tenant.context(), tenant.keys(), sealed) == b"said"
    assert rotated


class Crash(Exception):
    """Stands for the process dying here."""


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (keys.provider, "begin_epoch"),
        (lambda: key_events.face, "epoch_begun"),
        (lambda: rewrapped, "keep"),
        (lambda: rotation, "_write"),
        (keys.provider, "destroy_epoch"),
        (lambda: key_events.face, "epoch_destroyed"),
        (lambda: rotation, "_drop_copies_without_row"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_rotation_cut_off_at_any_step_goes_on_to_one_epoch_and_loses_no_key(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, place: Callable[[], object], name: str, after: bool
) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    before = newest()
    step = getattr(place(), name)

    def crash(*arguments: object, **named: object) -> object:
        if after:
            step(*arguments, **named)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(place(), name, crash)
        with pytest.raises(Crash):
            rotation.rotate()
    restart()
    assert sealing.open(tenant.context(), tenant.keys(), sealed) == b"said"

    if rotation.under_way() or newest() == before:
        rotation.rotate()

    assert newest() == before + 1
    assert keys.provider().epochs() == (before + 1,)
    restart()
    assert sealing.open(tenant.context(), tenant.keys(), sealed) == b"said"


def test_a_key_that_does_not_open_keeps_its_epoch_alive_and_is_reported(tenant: Tenant) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    row = key_row(tenant, tenant.anna)
    good = bytes(row.wrapped)
    DataKey.objects.filter(pk=row.pk).update(wrapped=good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(KeysUnopenable, match="1 keys"):
        rotation.rotate()
    assert row.epoch in keys.provider().epochs()
    assert rotation.under_way()
    assert any("not at its end" in concern for concern in status.look().concerns())
    DataKey.objects.filter(pk=row.pk).update(wrapped=good)
    assert row.epoch in rotation.rotate().destroyed


def test_two_rotations_at_once_are_one(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    caught: list[BaseException] = []
    keep = rewrapped.keep

    def another() -> None:
        try:
            rotation.rotate()
        except RotationUnderWay as error:
            caught.append(error)
        finally:
            connections.close_all()

    def meanwhile(copies: list[rewrapped.Copy]) -> None:
        thread = threading.Thread(target=another)
        thread.start()
        thread.join()
        keep(copies)

    monkeypatch.setattr(rewrapped, "keep", meanwhile)
    rotation.rotate()
    assert caught


def test_the_schedule_rotates_when_the_days_are_over_and_not_before(
    tenant: Tenant, superuser: Callable[..., object]
) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    rotation.rotate()
    assert rotation.rotate_if_due() is None
    current = newest()
    with connections[KEYS_DATABASE].cursor() as cursor, pytest.raises(ProgrammingError, match="permission denied"):
        cursor.execute("UPDATE vault_epoch SET begun_at = now() - interval '8 days'")
    later = timezone.now() + timedelta(days=settings.VOXGOV_EPOCH_DAYS, seconds=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timezone, "now", lambda: later)
        done = rotation.rotate_if_due()
    assert done is not None
    assert done.epoch == current + 1


def test_a_rotation_that_was_cut_off_is_finished_by_the_schedule(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")

    def crash(*arguments: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_write", crash)
        with pytest.raises(Crash):
            rotation.rotate()
    assert rotation.rotate_if_due() is not None
    assert rotation.rotate_if_due() is None


def test_what_is_shredded_while_keys_move_is_in_no_copy(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    row = key_row(tenant, tenant.anna)
    keep = rewrapped.keep
    shredders: list[threading.Thread] = []

    def meanwhile(copies: list[rewrapped.Copy]) -> None:
        def shred() -> None:
            tenant.shred(tenant.anna)
            shredding.carry_out_orders()
            connections.close_all()

        if not shredders and any(copy.id == row.pk for copy in copies):
            shredders.append(threading.Thread(target=shred))
            shredders[0].start()
            time.sleep(0.2)  # it gets as far as the row, which this rotation holds
        keep(copies)

    monkeypatch.setattr(rewrapped, "keep", meanwhile)
    rotation.rotate()
    shredders[0].join(30)
    assert not DataKey.objects.filter(pk=row.pk).exists()
    assert row.pk not in rewrapped.find([row.pk])


def test_shredding_takes_the_copy_that_an_earlier_rotation_left(tenant: Tenant) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    row = key_row(tenant, tenant.anna)
    rotation.rotate()
    assert row.pk in rewrapped.find([row.pk])
    tenant.shred(tenant.anna)
    shredding.carry_out_orders()
    assert row.pk not in rewrapped.find([row.pk])
    with pytest.raises(KeyShredded):
        sealing.open(tenant.context(), tenant.keys(), sealed)


def test_no_epoch_key_is_in_either_database(tenant: Tenant) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    rotation.rotate()
    ring = json.loads(Path(settings.VOXGOV_KEY_PROVIDER["path"]).read_text())
    forms = [form for key in ring["epochs"].values() for form in (key, base64.b64decode(key).hex())]
    for alias in ("default", KEYS_DATABASE):
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'vault_%'")
            for (table,) in cursor.fetchall():
                cursor.execute(f"SELECT held::text FROM {table} AS held")
                text = "\n".join(row[0] for row in cursor.fetchall())
                assert not [form for form in forms if form in text], table


def test_each_organizations_log_says_when_an_epoch_began_and_was_destroyed(tenant: Tenant) -> None:
    organization = make_organization()
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    done = rotation.rotate()
    entries = [
        json.loads(bytes(entry))
        for entry in Event.objects.filter(log=organization.code, name__startswith="vault:epoch")
        .order_by("id")
        .values_list("entry", flat=True)
    ]
    assert [(entry["name"], entry["detail"]["epoch"]) for entry in entries] == [
        ("vault:epoch:begun", done.epoch),
        *[("vault:epoch:destroyed", epoch) for epoch in done.destroyed],
    ]


def test_a_certificate_says_from_when_on_backups_are_powerless(tenant: Tenant) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    rotation.rotate()
    begun = Epoch.objects.get(number=newest()).begun_at
    order = tenant.shred(tenant.anna)
    shredding.carry_out_orders()
    order.refresh_from_db()
    assert order.certificate is not None
    powerless = datetime.fromisoformat(order.certificate["backups_powerless_from"])
    assert powerless == begun + timedelta(days=settings.VOXGOV_EPOCH_DAYS) + rotation.ALLOWANCE
    assert rotation.residual_window() == timedelta(days=settings.VOXGOV_EPOCH_DAYS) + rotation.ALLOWANCE


def test_the_application_cannot_delete_an_epoch(tenant: Tenant) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    with pytest.raises(ProgrammingError, match="permission denied"):
        Epoch.objects.filter(number=newest()).delete()
    connections[KEYS_DATABASE].close()


def test_another_keyring_begins_no_epoch_and_a_missing_one_is_not_replaced(tenant: Tenant) -> None:
    sealed = sealing.seal(tenant.context(), tenant.keys(), b"said")
    path = Path(settings.VOXGOV_KEY_PROVIDER["path"])
    ours = path.read_bytes()
    before = newest()
    try:
        path.unlink()
        restart()
        with pytest.raises(CommandError, match="cannot be read"):
            call_command("vault", "init")
        assert not path.exists()
        keyring.ensure(path)
        restart()
        with pytest.raises(ProviderWrongKey):
            rotation.rotate()
        with pytest.raises(CommandError, match="does not open"):
            call_command("vault", "init")
    finally:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(ours)
        restart()
    assert newest() == before
    assert sealing.open(tenant.context(), tenant.keys(), sealed) == b"said"


def test_a_key_that_came_back_with_an_old_keys_database_moves_nowhere(tenant: Tenant) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    row = key_row(tenant, tenant.anna)
    tenant.shred(tenant.anna)
    shredding.carry_out_orders()
    row.save(force_insert=True)
    rotation.rotate()
    assert not DataKey.objects.filter(pk=row.pk).exists()
    assert row.pk not in rewrapped.find([row.pk])


def test_an_epoch_that_came_back_with_an_old_keyring_is_destroyed_again(tenant: Tenant) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    path = Path(settings.VOXGOV_KEY_PROVIDER["path"])
    old = json.loads(path.read_text())["epochs"]
    gone = newest()
    rotation.rotate()
    ring = json.loads(path.read_text())
    ring["epochs"][str(gone)] = old[str(gone)]
    path.write_text(json.dumps(ring))
    restart()
    assert gone in keys.provider().epochs()
    assert any("came back" in concern for concern in status.look().concerns())
    assert gone in rotation.rotate().destroyed
    assert keys.provider().epochs() == (newest(),)


def test_a_key_that_is_lost_stands_in_the_way_until_somebody_gives_it_up(tenant: Tenant) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")
    row = key_row(tenant, tenant.anna)
    rotation.rotate()
    DataKey.objects.filter(pk=row.pk).update(epoch=row.epoch, wrapped=bytes(row.wrapped))
    rewrapped.drop([row.pk])
    with pytest.raises(KeysUnopenable):
        rotation.rotate()
    assert recovery.drop_lost() == 1
    if rotation.under_way():
        rotation.rotate()
    assert not DataKey.objects.filter(pk=row.pk).exists()


def test_a_certificate_promises_nothing_while_a_rotation_does_not_end(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealing.seal(tenant.context(), tenant.keys(), b"said")

    def crash(*arguments: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_write", crash)
        with pytest.raises(Crash):
            rotation.rotate()
    assert rotation.powerless_from() is not None
    later = timezone.now() + rotation.ALLOWANCE + timedelta(hours=1)
    with monkeypatch.context() as patch:
        patch.setattr(timezone, "now", lambda: later)
        assert rotation.powerless_from() is None
    rotation.rotate()
