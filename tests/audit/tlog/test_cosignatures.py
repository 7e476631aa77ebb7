"""Cosignatures of both types: the signed message byte for byte, what counts, and what does not."""

import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from audit.errors import CheckpointInvalid, KeyInvalid, NoteInvalid
from audit.tlog import notes
from audit.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from audit.tlog.cosignatures import ED25519, ML_DSA_44, Cosignature, Cosigner, Witness, cosignatures, timestamp_of
from audit.tlog.notes import Ed25519Signer, Note, Signature
from tests.audit.tlog.reference import leaf

ORIGIN = "log.example/one"
LOG = Ed25519Signer.generate(ORIGIN)
CHECKPOINT = Checkpoint(ORIGIN, 7, leaf(0), ("extension",))
TEXT = CHECKPOINT.text()
CLASSIC = Cosigner("witness.example/w1", ED25519, bytes(range(32)))
QUANTUM = Cosigner("witness.example/w2", ML_DSA_44, bytes(range(32)))
TIME = 1_679_315_147


def cosigned(*lines: Signature) -> Note:
    note = notes.parse(sign_checkpoint(CHECKPOINT, LOG))
    return notes.parse(Note(note.text, (*note.signatures, *lines)).encode())


@pytest.mark.parametrize("cosigner", [CLASSIC, QUANTUM], ids=["Ed25519", "ML-DSA-44"])
def test_a_cosignature_verifies_and_tells_its_time(cosigner: Cosigner) -> None:
    note = cosigned(cosigner.cosign(TEXT, TIME))
    assert cosignatures(note, [cosigner.witness]) == (Cosignature(cosigner.name, cosigner.witness.key_id, TIME),)
    assert open_checkpoint(note.encode(), [LOG.verifier], ORIGIN).checkpoint == CHECKPOINT


def test_the_ed25519_message_is_the_published_one() -> None:
    signature = CLASSIC.cosign(TEXT, TIME).signature
    assert signature[:8] == struct.pack(">Q", TIME)
    assert len(signature) == 8 + 64
    message = b"cosignature/v1\ntime 1679315147\n" + TEXT
    Ed25519PublicKey.from_public_bytes(CLASSIC.witness.public).verify(signature[8:], message)


def test_the_ml_dsa_message_is_the_published_one() -> None:
    signature = QUANTUM.cosign(TEXT, TIME).signature
    assert len(signature) == 8 + 2420
    message = (
        b"subtree/v1\n\0\x12witness.example/w2"
        + TIME.to_bytes(8, "big")
        + b"\x0flog.example/one"
        + bytes(8)
        + (7).to_bytes(8, "big")
        + leaf(0)
    )
    MLDSA44PublicKey.from_public_bytes(QUANTUM.witness.public).verify(signature[8:], message)


def test_the_latest_cosignature_of_each_known_witness_counts() -> None:
    lines = [CLASSIC.cosign(TEXT, TIME), CLASSIC.cosign(TEXT, TIME + 5), CLASSIC.cosign(TEXT, TIME + 1)]
    note = cosigned(*lines, QUANTUM.cosign(TEXT, TIME))
    assert [one.timestamp for one in cosignatures(note, [CLASSIC.witness])] == [TIME + 5]
    assert {one.name for one in cosignatures(note, [CLASSIC.witness, QUANTUM.witness])} == {CLASSIC.name, QUANTUM.name}
    assert cosignatures(note, []) == ()
    assert cosignatures(note, [Cosigner(CLASSIC.name, ED25519, bytes(32)).witness]) == ()


def test_a_cosignature_of_another_checkpoint_or_time_is_refused() -> None:
    other = Checkpoint(ORIGIN, 8, leaf(1))
    for cosigner in (CLASSIC, QUANTUM):
        right = cosigner.cosign(TEXT, TIME)
        moved = Signature(right.name, right.key_id, struct.pack(">Q", TIME + 1) + right.signature[8:])
        late = Signature(right.name, right.key_id, struct.pack(">Q", 2**63) + right.signature[8:])
        short = Signature(right.name, right.key_id, right.signature[:8])
        for wrong in (cosigner.cosign(other.text(), TIME), moved, late, short):
            with pytest.raises(NoteInvalid):
                cosignatures(cosigned(right, wrong), [cosigner.witness])


def test_a_log_s_own_signature_is_no_cosignature() -> None:
    """The same key and name give another key id for another type, so neither can be taken for the other."""
    as_witness = Witness(LOG.name, ED25519, LOG.verifier.public)
    assert as_witness.key_id != LOG.key_id
    assert cosignatures(cosigned(), [as_witness]) == ()
    disguised = Signature(LOG.name, as_witness.key_id, bytes(8) + LOG.sign(TEXT))
    with pytest.raises(NoteInvalid):
        cosignatures(cosigned(disguised), [as_witness])


def test_only_checkpoints_are_cosigned() -> None:
    for cosigner in (CLASSIC, QUANTUM):
        with pytest.raises(CheckpointInvalid):
            cosigner.cosign(b"anything\n", TIME)


@pytest.mark.parametrize("cosigner", [CLASSIC, QUANTUM], ids=["Ed25519", "ML-DSA-44"])
def test_keys_read_back(cosigner: Cosigner) -> None:
    assert Cosigner.parse(cosigner.skey) == cosigner
    assert Witness.parse(cosigner.witness.vkey) == cosigner.witness


def test_keys_of_other_types_are_refused() -> None:
    for vkey in (LOG.verifier.vkey, notes.encode_vkey("w", 6, bytes(1311)), notes.encode_vkey("w", 4, bytes(31))):
        with pytest.raises(KeyInvalid):
            Witness.parse(vkey)
    for skey in (LOG.skey, CLASSIC.skey[:-1], CLASSIC.skey.replace("w1", "w3")):
        with pytest.raises(KeyInvalid):
            Cosigner.parse(skey)


def test_names_too_long_for_the_ml_dsa_message_are_refused() -> None:
    with pytest.raises(NoteInvalid):
        Cosigner("w" * 256, ML_DSA_44, bytes(32)).cosign(TEXT, TIME)


def test_a_time_out_of_range_is_refused() -> None:
    with pytest.raises(NoteInvalid):
        timestamp_of(struct.pack(">Q", 2**63) + bytes(64))
