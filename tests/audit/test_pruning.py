"""Old entries go by minimum index; what is left, and every proof about it, stays."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.db import ProgrammingError, connection, transaction
from django.utils import timezone

from audit import outside, proofs, pruning, sequencing, signing, standing, stored_tree, trail
from audit.entry import ObjectKind, Reference
from audit.errors import TileInvalid
from audit.events import EventName
from audit.models import Event, EventReference, Leaf, Log
from audit.tlog.checkpoint import open_checkpoint
from audit.tlog.merkle import verify_consistency, verify_inclusion
from audit.tlog.notes import Ed25519Verifier
from audit.tlog.tiles import ENTRIES, Tile
from vault.codes import new_code

Superuser = Callable[[str], list[tuple[object, ...]]]
YEARS_AGO = timezone.now() - timedelta(days=800)


@pytest.fixture
def log(superuser: Superuser) -> Iterator[Log]:
    """600 entries, of which 590 are years old, and a checkpoint after each hundred."""
    code = new_code()
    for _ in range(6):
        with transaction.atomic():
            for _ in range(100):
                trail.record(
                    EventName.SUBJECT_REGISTERED,
                    organization=code,
                    actor=trail.system("tests"),
                    objects=[Reference(ObjectKind.SUBJECT, new_code(), 0)],
                )
        sequencing.sequence(code)
        signing.sign_newest(code)
    log = Log.objects.get(code=code)
    age(superuser, log, 590)
    yield log
    superuser(f"DELETE FROM audit_signedcheckpoint WHERE log_id = {log.pk}")
    outside.retire(code, 1)


def age(superuser: Superuser, log: Log, count: int) -> None:
    """What waiting two years would do to the column; the entry, which is what is hashed, stays."""
    superuser(
        "SET session_replication_role = replica; UPDATE audit_event SET at = now() - interval '800 days' WHERE id IN"
        f" (SELECT event_id FROM audit_leaf WHERE log_id = {log.pk} AND index < {count})"
    )


def test_whole_tiles_that_are_old_and_signed_go_and_an_entry_says_so(log: Log) -> None:
    assert pruning.prune(log, YEARS_AGO + timedelta(days=400)) == 512
    log.refresh_from_db()
    assert log.minimum_index == 512
    assert Leaf.objects.filter(log=log).order_by("index")[0].index == 512
    assert Event.objects.filter(log=log.code).count() == 600 - 512 + 1
    assert EventReference.objects.filter(log=log.code, kind="subject").count() == 600 - 512
    assert Event.objects.filter(log=log.code, name="audit:log:pruned").count() == 1
    assert pruning.prune(log, YEARS_AGO + timedelta(days=400)) == 0


def test_later_proofs_and_those_between_old_checkpoints_stay_valid(log: Log) -> None:
    pruning.prune(log, timezone.now() - timedelta(days=400))
    sequencing.sequence(log.code)
    assert signing.sign_newest(log.code)
    verifier = Ed25519Verifier.parse(signing.verifier_key(log))
    last = Leaf.objects.filter(log=log).order_by("-index")[0]
    found = proofs.of_event(last.event)
    signed = open_checkpoint(found.proof.checkpoint, [verifier], log.origin)
    verify_inclusion(found.leaf, found.proof.index, signed.size, found.proof.hashes, signed.root)
    for old in (100, 300, 600):
        between = proofs.between(log, old, None)
        assert between is not None
        earlier = open_checkpoint(between.old_checkpoint, [verifier], log.origin)
        verify_consistency(old, between.new_size, between.hashes, earlier.root, signed.root)
    assert list(standing.objections_to(log)) == []


def test_pruned_bundles_are_gone_and_their_hashes_are_not(log: Log) -> None:
    hashes = stored_tree.fetch(log, Tile(0, 0))
    pruning.prune(log, timezone.now() - timedelta(days=400))
    assert stored_tree.fetch(log, Tile(0, 0)) == hashes
    with pytest.raises(TileInvalid):
        stored_tree.fetch(log, Tile(ENTRIES, 0))
    stored_tree.fetch(log, Tile(ENTRIES, 2, 88))


@pytest.mark.parametrize(
    ("index", "why"),
    [(100, "whole tiles"), (768, "not signed"), (512, "at least 365 days"), (256, "at least 365 days")],
)
def test_the_function_refuses_what_it_must_not_prune(log: Log, superuser: Superuser, index: int, why: str) -> None:
    superuser(
        "SET session_replication_role = replica; UPDATE audit_event SET at = now() - interval '100 days' WHERE id IN"
        f" (SELECT event_id FROM audit_leaf WHERE log_id = {log.pk} AND index = 17)"
    )
    with pytest.raises(ProgrammingError, match=why), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT audit_prune(%s, %s)", [log.pk, index])
    assert Event.objects.filter(log=log.code).count() == 600


def test_without_a_term_nothing_is_pruned_and_with_one_the_schedule_prunes(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(django_settings, "VOXGOV_AUDIT_DAYS", 0)
    assert pruning.prune_what_is_due() == 0
    monkeypatch.setattr(django_settings, "VOXGOV_AUDIT_DAYS", 400)
    assert pruning.prune_what_is_due() == 512


def test_the_newest_entry_stays_however_old_so_that_the_log_goes_on_where_it_was(superuser: Superuser) -> None:
    code = new_code()
    with transaction.atomic():
        for _ in range(512):
            trail.record(EventName.SUBJECT_REGISTERED, organization=code, actor=trail.system("tests"))
    sequencing.sequence(code)
    signing.sign_newest(code)
    log = Log.objects.get(code=code)
    age(superuser, log, 512)
    assert pruning.prune(log, YEARS_AGO + timedelta(days=400)) == 256
    sequencing.sequence(code)
    assert signing.sign_newest(code)
    assert stored_tree.size_of(log) == 513
    assert list(standing.objections_to(log)) == []
    with pytest.raises(ProgrammingError, match="not signed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT audit_prune(%s, %s)", [log.pk, 768])
