"""Somebody else's verifier on our log: `tlog-scales` reads the published files, checks our signatures and proofs, makes its own.

It shares no line with ours; the offline verifier's own tests are in `verify`.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from django.db import transaction
from tlog_scales import signing as theirs
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.tlog import (
    Checkpoint,
    ConsistencyProof,
    ConsistencyProofInvalid,
    InclusionProof,
    InclusionProofInvalid,
)

from audit import proofs, publishing, sequencing, signing, trail
from audit.events import EventName
from audit.models import Event, Leaf, Log, SignedCheckpoint
from audit.tlog.merkle import leaf_hash
from vault.codes import new_code

SIZES = (1, 2, 3, 127, 128, 255, 256, 257, 511, 512, 513, 600)


@pytest.fixture(scope="module")
def log() -> Log:
    """600 entries, signed around every power of two and every tile."""
    code, size = new_code(), 0
    for after in SIZES:
        with transaction.atomic():
            for _ in range(after - size):
                trail.record(EventName.TRAIL_READ, organization=code, actor=trail.system("tests"))
        size = after
        sequencing.sequence(code)
        signing.sign_newest(code)
    return Log.objects.get(code=code)


def opened(note: bytes, log: Log) -> Checkpoint:
    """The checkpoint as they read it, its signature checked by them."""
    checkpoint = Checkpoint.from_text(note.decode())
    checkpoint.verify(theirs.Vkey.from_string(signing.verifier_key(log)))
    return checkpoint


def test_every_checkpoint_is_one_for_them_and_a_changed_one_is_not(log: Log) -> None:
    key = theirs.Vkey.from_string(signing.verifier_key(log))
    for kept in SignedCheckpoint.objects.filter(log=log):
        checkpoint = opened(bytes(kept.note), log)
        assert (checkpoint.origin, checkpoint.size) == (log.origin, kept.size)
        for changed in (replace(checkpoint, size=kept.size + 1), replace(checkpoint, root_hash=bytes(32))):
            with pytest.raises(Exception, match=r".*") as refused:
                changed.verify(key)
            assert refused.type.__name__ in {"InvalidSignature", "RuntimeError", "ValueError"}


def test_our_proof_of_every_event_leads_them_to_the_root_that_was_signed(log: Log) -> None:
    for event in Event.objects.filter(log=log.code):
        ours = proofs.of_event(event)
        checkpoint = opened(ours.proof.checkpoint, log)
        proof = InclusionProof(ours.proof.index, checkpoint.size, list(ours.proof.hashes))
        proof.check(leaf_hash(bytes(event.entry)), checkpoint.root_hash)
        with pytest.raises(InclusionProofInvalid):
            proof.check(leaf_hash(bytes(event.entry) + b" "), checkpoint.root_hash)


def test_our_proof_between_any_two_checkpoints_convinces_them(log: Log) -> None:
    for at, old in enumerate(SIZES):
        for new in SIZES[at:]:
            ours = proofs.between(log, old, new)
            assert ours is not None
            earlier, later = opened(ours.old_checkpoint, log), opened(ours.new_checkpoint, log)
            proof = ConsistencyProof(old, new, list(ours.hashes))
            proof.check(earlier.root_hash, later.root_hash)
            with pytest.raises(ConsistencyProofInvalid):
                proof.check(bytes(32), later.root_hash)


def test_they_read_the_published_files_and_make_the_proofs_that_we_make(log: Log, tmp_path: Path) -> None:
    publishing.publish(log, tmp_path)
    reader = TilesReader(LocalBackend(tmp_path))
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(theirs.Vkey.from_string(signing.verifier_key(log)))
    assert reader.calculate_root_hash() == checkpoint.root_hash
    for leaf in Leaf.objects.filter(log=log).select_related("event").order_by("index")[::37]:
        assert reader.get_entry(leaf.index) == bytes(leaf.event.entry)
        made = reader.get_inclusion_proof(leaf.index, checkpoint.size)
        assert tuple(made.node_hashes) == proofs.of_event(leaf.event).proof.hashes
    between = proofs.between(log, 257, 600)
    assert between is not None
    assert tuple(reader.get_consistency_proof(257, 600).node_hashes) == between.hashes
