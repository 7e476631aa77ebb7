"""Events get their place: gap-free, once, whatever commits when, and the tree over them is RFC 6962's."""

import random
import threading
from collections.abc import Callable, Iterator

import pytest
from django.db import connection, connections, transaction
from django.db.utils import DatabaseError, ProgrammingError

from audit import outside, sequencing, signing, standing, stored_tree, trail
from audit.entry import ObjectKind, Reference
from audit.errors import LogInconsistent, TileInvalid
from audit.events import EventName
from audit.models import Event, FullTile, Leaf, Log, SignedCheckpoint, Unsequenced
from audit.tlog.checkpoint import open_checkpoint
from audit.tlog.merkle import Frontier, leaf_hash, verify_consistency, verify_inclusion
from audit.tlog.notes import Ed25519Verifier
from audit.tlog.proving import prove_consistency, prove_inclusion
from audit.tlog.tiles import ENTRIES, Tile, decode_entries
from vault.codes import new_code

ACTOR = trail.system("tests")


@pytest.fixture
def log_code(superuser: Callable[[str], list[tuple[object, ...]]]) -> Iterator[str]:
    """A log of this test's own; afterwards nothing that was signed over it is compared with what the test made of it."""
    code = new_code()
    yield code
    superuser(f"DELETE FROM audit_signedcheckpoint WHERE log_id IN (SELECT id FROM audit_log WHERE code = '{code}')")
    outside.retire(code, 1)
    standing.compare_again()


def record(code: str, count: int = 1) -> list[str]:
    with transaction.atomic():
        return [
            trail.record(EventName.SUBJECT_REGISTERED, organization=code, actor=ACTOR, detail={"number": number})
            for number in range(count)
        ]


def sequence_all(code: str) -> Log:
    while sequencing.sequence(code):
        pass
    return Log.objects.get(code=code)


def entries_of(log: Log) -> list[bytes]:
    leaves = Leaf.objects.filter(log=log).order_by("index").select_related("event")
    return [bytes(leaf.event.entry) for leaf in leaves]


def root_of(entries: list[bytes]) -> bytes:
    tree = Frontier()
    tree.extend(map(leaf_hash, entries))
    return tree.root()


def test_every_event_gets_one_leaf_and_indexes_have_no_gap(log_code: str) -> None:
    codes = record(log_code, 7)
    assert log_code in sequencing.logs_with_events()
    log = sequence_all(log_code)
    leaves = list(Leaf.objects.filter(log=log).order_by("index").select_related("event"))
    assert [leaf.index for leaf in leaves] == list(range(7))
    assert [str(leaf.event.code) for leaf in leaves] == codes
    assert all(bytes(leaf.hash) == leaf_hash(bytes(leaf.event.entry)) for leaf in leaves)
    assert not Unsequenced.objects.filter(log=log_code).exists()


def test_an_event_that_is_rolled_back_is_never_queued(log_code: str) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        trail.record(EventName.SUBJECT_REGISTERED, organization=log_code, actor=ACTOR)
        raise RuntimeError
    assert sequencing.sequence(log_code) == 0


def test_a_transaction_with_a_lower_id_that_commits_later_is_not_passed_over(log_code: str) -> None:
    recorded, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            trail.record(EventName.SUBJECT_REGISTERED, organization=log_code, actor=ACTOR, detail={"slow": True})
            recorded.set()
            go_on.wait(30)
        connections.close_all()

    thread = threading.Thread(target=slow)
    thread.start()
    recorded.wait(30)
    record(log_code, 5)
    assert sequencing.sequence(log_code) == 5
    go_on.set()
    thread.join()
    assert sequencing.sequence(log_code) == 1
    log = Log.objects.get(code=log_code)
    last = Leaf.objects.get(log=log, index=5)
    assert last.event_id < Leaf.objects.get(log=log, index=0).event_id


@pytest.mark.parametrize("sizes", [[1], [255, 1], [256], [257], [300, 212, 1], [1000]], ids=str)
def test_tree_tiles_and_proofs_are_those_of_the_entries(log_code: str, sizes: list[int]) -> None:
    for size in sizes:
        record(log_code, size)
        sequence_all(log_code)
    log = Log.objects.get(code=log_code)
    entries = entries_of(log)
    assert len(entries) == sum(sizes) == stored_tree.size_of(log)
    root = root_of(entries)
    assert stored_tree.root(log, len(entries)) == root
    assert stored_tree.frontier(log, len(entries)).root() == root
    for index in {0, len(entries) // 2, len(entries) - 1}:
        proof = prove_inclusion(index, len(entries), stored_tree.reader(log, len(entries)))
        verify_inclusion(leaf_hash(entries[index]), index, len(entries), proof, root)
    for old in {1, len(entries) // 3 + 1, len(entries)}:
        proof = prove_consistency(old, len(entries), stored_tree.reader(log, len(entries)))
        verify_consistency(old, len(entries), proof, root_of(entries[:old]), root)
    assert FullTile.objects.filter(log=log, level=0).count() == len(entries) // 256


def test_bundles_and_partial_tiles_of_any_earlier_width_are_served(log_code: str) -> None:
    record(log_code, 300)
    log = sequence_all(log_code)
    entries = entries_of(log)
    assert decode_entries(stored_tree.fetch(log, Tile(ENTRIES, 1, 44)), Tile(ENTRIES, 1, 44)) == entries[256:]
    assert stored_tree.fetch(log, Tile(0, 1, 40)) == b"".join(map(leaf_hash, entries[256:296]))
    assert stored_tree.fetch(log, Tile(1, 0, 1)) == root_of(entries[:256])
    for missing in (Tile(0, 1, 45), Tile(0, 1), Tile(1, 0, 2), Tile(ENTRIES, 1, 45), Tile(5, 0, 1)):
        with pytest.raises(TileInvalid):
            stored_tree.fetch(log, missing)


def test_sequencers_at_once_share_the_work_and_double_nothing(log_code: str) -> None:
    others = [new_code() for _ in range(3)]
    for code in (log_code, *others):
        record(code, 300)
    stop = threading.Event()
    problems: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                for code in random.sample([log_code, *others], 4):
                    sequencing.sequence(code)
                    signing.sign_newest(code)
        except BaseException as error:
            problems.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        record(random.choice([log_code, *others]), 10)
    while Unsequenced.objects.filter(log__in=[log_code, *others]).exists() and not problems:
        pass
    stop.set()
    for thread in threads:
        thread.join()
    assert not problems
    count = 0
    for code in (log_code, *others):
        log = Log.objects.get(code=code)
        indexes = list(Leaf.objects.filter(log=log).order_by("index").values_list("index", flat=True))
        assert indexes == list(range(len(indexes)))
        count += len(indexes)
    assert count == 4 * 300 + 20 * 10


def test_a_checkpoint_is_signed_once_for_each_size_and_kept_outside_the_database(log_code: str) -> None:
    record(log_code, 3)
    log = sequence_all(log_code)
    assert signing.sign(log)
    assert not signing.sign(log)
    note = outside.last(log.code, log.generation)
    assert note is not None
    assert bytes(SignedCheckpoint.objects.get(log=log, size=3).note) == note
    opened = open_checkpoint(note, [Ed25519Verifier.parse(signing.verifier_key(log))], log.origin)
    assert (opened.size, opened.root) == (3, root_of(entries_of(log)))
    assert log.origin.endswith(f"/{log_code}")


def test_every_old_checkpoint_is_consistent_with_the_newest(log_code: str) -> None:
    for _ in range(6):
        record(log_code, random.randint(1, 200))
        signing.sign(sequence_all(log_code))
    log = Log.objects.get(code=log_code)
    verifier = Ed25519Verifier.parse(signing.verifier_key(log))
    opened = [
        open_checkpoint(bytes(one.note), [verifier], log.origin)
        for one in SignedCheckpoint.objects.filter(log=log).order_by("size")
    ]
    newest = opened[-1]
    for old in opened:
        proof = prove_consistency(old.size, newest.size, stored_tree.reader(log, newest.size))
        verify_consistency(old.size, newest.size, proof, old.root, newest.root)


def test_nothing_is_signed_that_does_not_extend_what_was_signed(
    log_code: str, superuser: Callable[[str], list[tuple[object, ...]]]
) -> None:
    record(log_code, 3)
    log = sequence_all(log_code)
    signing.sign(log)
    superuser(f"UPDATE audit_leaf SET hash = sha256('forged') WHERE log_id = {log.pk} AND index = 1")
    record(log_code)
    sequence_all(log_code)
    with pytest.raises(LogInconsistent, match="not those that were signed"):
        signing.sign(log)
    assert SignedCheckpoint.objects.filter(log=log).count() == 1


def test_a_database_with_fewer_entries_than_were_signed_signs_nothing(
    log_code: str, superuser: Callable[[str], list[tuple[object, ...]]]
) -> None:
    record(log_code, 5)
    log = sequence_all(log_code)
    signing.sign(log)
    superuser(f"DELETE FROM audit_leaf WHERE log_id = {log.pk} AND index >= 3")
    superuser(f"DELETE FROM audit_signedcheckpoint WHERE log_id = {log.pk}")
    with pytest.raises(LogInconsistent, match="has 3 entries, and a checkpoint was signed over 5"):
        signing.sign(log)


def test_a_checkpoint_that_vanished_from_outside_stops_the_signing(log_code: str) -> None:
    record(log_code, 5)
    log = sequence_all(log_code)
    signing.sign(log)
    outside.retire(log.code, log.generation)
    record(log_code)
    sequence_all(log_code)
    with pytest.raises(LogInconsistent, match="is gone"):
        signing.sign(log)
    outside.keep(log.code, log.generation, bytes(SignedCheckpoint.objects.get(log=log).note))
    assert signing.sign(log)


def test_leaves_without_a_signature_are_signed_by_the_next_who_looks(log_code: str) -> None:
    record(log_code, 2)
    log = sequence_all(log_code)
    assert log_code in signing.logs_to_sign()
    signing.sign(log)
    assert log_code not in signing.logs_to_sign()


def test_an_event_that_went_round_the_trigger_is_found(
    log_code: str, superuser: Callable[[str], list[tuple[object, ...]]]
) -> None:
    record(log_code, 2)
    superuser(f"DELETE FROM audit_unsequenced WHERE log = '{log_code}'")
    assert sequencing.sequence(log_code) == 0
    assert sequencing.adopt_missed_events() >= 2
    assert sequencing.sequence(log_code) == 2
    assert sequencing.sequence(log_code) == 0


def test_an_event_that_is_queued_again_although_it_has_a_leaf_keeps_its_leaf(
    log_code: str, superuser: Callable[[str], list[tuple[object, ...]]]
) -> None:
    record(log_code, 2)
    log = sequence_all(log_code)
    superuser(f"INSERT INTO audit_unsequenced SELECT id, log FROM audit_event WHERE log = '{log_code}'")
    assert sequencing.sequence(log_code) == 0
    assert stored_tree.size_of(log) == 2
    assert log_code not in sequencing.logs_with_events()


@pytest.mark.parametrize("table", ["audit_leaf", "audit_log", "audit_fulltile", "audit_signedcheckpoint"])
def test_the_application_can_neither_change_nor_delete_the_log(log_code: str, table: str) -> None:
    record(log_code)
    sequence_all(log_code)
    column = "code" if table == "audit_log" else "log_id"
    for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}", f"UPDATE {table} SET {column} = {column}"):
        with pytest.raises(ProgrammingError, match="permission denied"), connection.cursor() as cursor:
            cursor.execute(statement)


def test_the_events_of_one_person_carry_their_consent_epoch(log_code: str) -> None:
    subject = new_code()
    with transaction.atomic():
        for epoch in (1, 2, 3):
            trail.record(
                EventName.GRANT_GIVEN,
                organization=log_code,
                actor=ACTOR,
                objects=[Reference(ObjectKind.SUBJECT, subject, epoch)],
            )
    log = sequence_all(log_code)
    epochs = [
        leaf.event.references.get(kind="subject").event.entry for leaf in Leaf.objects.filter(log=log).order_by("index")
    ]
    assert [b'"epoch":%d' % number in bytes(entry) for number, entry in enumerate(epochs, start=1)] == [True] * 3
    assert Event.objects.filter(log=log_code).count() == 3


@pytest.mark.parametrize(
    "statement",
    [
        (
            "INSERT INTO audit_leaf (event_id, index, hash, log_id) SELECT id, 3, '\\x00', {log} FROM audit_event"
            " WHERE log = '{other}' LIMIT 1"
        ),
        (
            "INSERT INTO audit_leaf (event_id, index, hash, log_id) SELECT id, 1000000000, '\\x00', {log} FROM audit_event"
            " WHERE log = '{code}' AND id NOT IN (SELECT event_id FROM audit_leaf) LIMIT 1"
        ),
        "INSERT INTO audit_leaf (event_id, index, hash, log_id) VALUES (9000000000, 3, '\\x00', {log})",
        (
            "INSERT INTO audit_leaf (event_id, index, hash, log_id) SELECT id, 0, '\\x00', 9000000000 FROM audit_event"
            " WHERE log = '{code}' AND id NOT IN (SELECT event_id FROM audit_leaf) LIMIT 1"
        ),
        "INSERT INTO audit_signedcheckpoint (log_id, size, note, signed_at) VALUES ({log}, 999, '\\x00', now())",
    ],
    ids=[
        "another log's event",
        "a gap",
        "an event that is not there",
        "a log that is not there",
        "a checkpoint over what is not there",
    ],
)
def test_the_application_cannot_add_what_does_not_follow(log_code: str, statement: str) -> None:
    record(log_code, 3)
    log = sequence_all(log_code)
    record(log_code)
    other = new_code()
    record(other)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(log=log.pk, code=log_code, other=other))
    assert stored_tree.size_of(log) == 3


@pytest.mark.parametrize("table", ["audit_event", "audit_log"])
def test_what_a_leaf_names_cannot_go_without_it(
    log_code: str, table: str, superuser: Callable[[str], list[tuple[object, ...]]]
) -> None:
    """Not even by the role that prunes, and there is no foreign key that would say so."""
    record(log_code, 2)
    log = sequence_all(log_code)
    rows = f"id = {log.pk}" if table == "audit_log" else f"log = '{log_code}'"
    as_pruner = "SET ROLE voxgov_prune; " if table == "audit_event" else ""
    with pytest.raises(Exception, match="goes with the leaf"):
        superuser(f"{as_pruner}DELETE FROM {table} WHERE {rows}")
    assert stored_tree.size_of(log) == Event.objects.filter(log=log_code).count() == 2


def test_an_event_that_is_queued_for_another_log_is_found_for_its_own(log_code: str) -> None:
    other = new_code()
    record(log_code)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_unsequenced WHERE log = %s", [log_code])
        cursor.execute(
            "INSERT INTO audit_unsequenced (event_id, log) SELECT id, %s FROM audit_event WHERE log = %s",
            [other, log_code],
        )
    assert sequencing.sequence(other) == 0
    sequencing.adopt_missed_events()
    assert sequencing.sequence(log_code) == 1
