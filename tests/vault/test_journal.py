"""The journal: on the disk before it is acknowledged, sealed, in order, and honest about what was done to it."""

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connections, transaction

from tests.vault.actors import Tenant
from tests.vault.test_sealing import restart
from vault import journal, keys, shredding
from vault.errors import JournalBroken, JournalUnwritten, ProviderUnavailable, StorageUnavailable
from vault.models import JournalMark, JournalNote, ShredOrder


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A journal of this test's own."""
    journal.flush()
    made = tmp_path / "journal"
    monkeypatch.setattr(django_settings, "VOXGOV_JOURNAL_DIR", made)
    assert journal.ensure()
    mark = JournalMark.objects.first()
    JournalMark.objects.all().delete()
    yield made
    JournalNote.objects.all().delete()
    JournalMark.objects.all().delete()
    if mark is not None:
        mark.save()


def note(text: str) -> None:
    with transaction.atomic():
        journal.note("test", {"said": text})


def said() -> list[str]:
    return [entry.body["said"] for entry in journal.entries()]


def file_of(root: Path) -> Path:
    [path] = root.glob("*.journal")
    return path


def test_a_note_is_on_the_disk_when_its_transaction_has_returned(root: Path) -> None:
    note("one")
    assert not JournalNote.objects.exists()
    [entry] = journal.entries()
    assert (entry.number, entry.kind, entry.body) == (1, "test", {"said": "one"})
    assert entry.at.tzinfo is not None


def test_a_note_that_is_rolled_back_was_never_made(root: Path) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        journal.note("test", {"said": "no"})
        raise RuntimeError
    note("yes")
    assert said() == ["yes"]


def test_a_note_outside_a_transaction_is_refused(root: Path) -> None:
    with pytest.raises(RuntimeError, match="commits with the change"):
        journal.note("test", {})


def test_a_shred_order_is_in_the_journal_before_it_is_acknowledged(root: Path) -> None:
    tenant = Tenant()
    order = tenant.shred(tenant.anna, scope="voice.emotion")
    [entry] = journal.entries()
    assert entry.kind == shredding.ORDER
    assert entry.body == {
        "code": order.code,
        "organization": tenant.code,
        "key_class": "subject",
        "owner": tenant.anna,
        "scope": "voice.emotion",
        "reason": "withdrawal",
    }


def test_nothing_in_the_file_can_be_read_without_the_providers_key(root: Path) -> None:
    tenant = Tenant()
    tenant.shred(tenant.anna)
    text = b"".join(path.read_bytes() for path in root.iterdir())
    for secret in (tenant.anna, tenant.code, "withdrawal"):
        assert secret.encode() not in text
    assert (root / "recipient.json").stat().st_mode & 0o777 == 0o600
    assert root.stat().st_mode & 0o777 == 0o700


def test_writing_needs_no_key_provider_and_reading_does(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*arguments: object) -> None:
        raise ProviderUnavailable("away")

    restart()
    with monkeypatch.context() as patch:
        for name in ("wrap", "unwrap", "epochs"):
            patch.setattr(keys.provider(), name, away)
        note("withdrawn while the provider is away")
        with pytest.raises(ProviderUnavailable):
            said()
    assert said() == ["withdrawn while the provider is away"]


def test_a_disk_that_is_full_is_reported_after_the_change_is_in_force_and_the_note_is_written_later(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = Tenant()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(JournalUnwritten, match="in force") as caught:
            tenant.shred(tenant.anna)
    assert caught.value.transient
    assert ShredOrder.objects.filter(organization=tenant.code).exists()
    assert JournalNote.objects.count() == 1
    assert journal.flush() == 1
    assert journal.flush() == 0
    owners = [entry.body["owner"] for entry in journal.entries()]
    assert set(owners) == {tenant.anna}, (
        "what was written before the sync failed may stand there twice, and replays as one"
    )


def test_half_a_line_that_a_crash_left_goes_before_the_next_is_written(root: Path) -> None:
    note("one")
    with file_of(root).open("ab") as file:
        file.write(b'{"version": 1, "number": 2, "bef')
    assert said() == ["one"]
    note("two")
    assert said() == ["one", "two"]


@pytest.mark.parametrize("count", [1, 3])
def test_numbers_go_on_over_months_and_restarts(root: Path, count: int) -> None:
    note("old")
    file_of(root).rename(root / "2020-01.journal")
    for number in range(count):
        note(str(number))
    assert [entry.number for entry in journal.entries()] == list(range(1, count + 2))
    assert journal.last_number() == count + 1


def test_months_that_are_over_are_pruned_and_the_rest_still_follows(root: Path) -> None:
    note("old")
    file_of(root).rename(root / "2020-01.journal")
    note("new")
    assert journal.prune(datetime(2020, 2, 1, tzinfo=UTC)) == 1
    assert said() == ["new"]
    assert journal.prune(datetime(2100, 1, 1, tzinfo=UTC)) == 0, "the newest file is never pruned"


@pytest.mark.parametrize(
    "damage", ["dropped", "swapped", "doubled", "altered", "renumbered", "no JSON", "another version"]
)
def test_whatever_is_done_to_a_line_is_noticed(root: Path, damage: str) -> None:
    for text in ("one", "two", "three"):
        note(text)
    path = file_of(root)
    one, two, three = path.read_bytes().splitlines(keepends=True)
    body = json.loads(two)
    changed = {
        "dropped": [one, three],
        "swapped": [one, three, two],
        "doubled": [one, two, two, three],
        "altered": [one, two.replace(body["sealed"][:8].encode(), b"AAAAAAAA"), three],
        "renumbered": [one, json.dumps({**body, "number": 3}).encode() + b"\n"],
        "no JSON": [one, b"{\n", three],
        "another version": [one, json.dumps({**body, "version": 2}).encode() + b"\n", three],
    }[damage]
    path.write_bytes(b"".join(changed))
    with pytest.raises(JournalBroken):
        said()


def test_a_line_of_another_journal_does_not_open(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    note("ours")
    line = file_of(root).read_bytes()
    monkeypatch.setattr(django_settings, "VOXGOV_JOURNAL_DIR", tmp_path / "other")
    JournalMark.objects.all().delete()
    assert journal.ensure()
    (tmp_path / "other" / file_of(root).name).write_bytes(line)
    with pytest.raises(JournalBroken, match="does not open"):
        said()


def test_a_journal_without_a_key_is_an_error_that_says_what_to_do(root: Path) -> None:
    (root / "recipient.json").unlink()
    with pytest.raises(JournalUnwritten, match="vault init"):
        note("one")
    assert journal.ensure()
    assert not journal.ensure()


def test_many_writers_at_once_lose_nothing_and_keep_the_chain(root: Path) -> None:
    def write(name: int) -> None:
        for number in range(10):
            note(f"{name}/{number}")
        connections.close_all()

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.flush()
    assert sorted(said()) == sorted(f"{name}/{number}" for name in range(4) for number in range(10))


def test_a_line_longer_than_what_is_looked_at_first_is_still_the_last(root: Path) -> None:
    note("x" * 200_000)
    note("y" * 200_000)
    note("z")
    assert [text[0] for text in said()] == ["x", "y", "z"]


def test_a_clock_that_was_ahead_at_a_months_end_does_not_part_the_chain(root: Path) -> None:
    note("one")
    file_of(root).rename(root / "2999-12.journal")
    note("two")
    note("three")
    assert said() == ["one", "two", "three"]
    assert [path.name for path in root.glob("*.journal")] == ["2999-12.journal"]


def test_a_journal_that_lost_its_key_gets_no_other(root: Path) -> None:
    note("one")
    (root / "recipient.json").unlink()
    with pytest.raises(JournalBroken, match="nothing else opens"):
        journal.ensure()


def test_a_damaged_key_file_is_a_typed_error(root: Path) -> None:
    (root / "recipient.json").write_text('{"public_key": "short"}')
    with pytest.raises(JournalUnwritten):
        note("one")
    with pytest.raises(StorageUnavailable, match="damaged"):
        list(journal.entries())


def test_a_journal_that_was_cut_at_its_end_is_noticed(root: Path) -> None:
    for text in ("one", "two", "three"):
        note(text)
    path = file_of(root)
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    with pytest.raises(JournalBroken, match="it was cut"):
        said()
    path.unlink()
    with pytest.raises(JournalBroken, match="it was cut"):
        said()
    path.write_bytes(whole)
    assert said() == ["one", "two", "three"]
