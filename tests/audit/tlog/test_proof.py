"""Transparency log proofs as files: written as published, read strictly, and of no use for any other entry or log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import LogInvalid, ProofInvalid
from audit.tlog import proof
from audit.tlog.checkpoint import Checkpoint, sign_checkpoint
from audit.tlog.notes import Ed25519Signer
from audit.tlog.proof import LogProof
from audit.tlog.proving import prove_inclusion
from tests.audit.tlog.reference import leaf
from tests.audit.tlog.stored import StoredTree

ORIGIN = "log.example/one"
LOG = Ed25519Signer.generate(ORIGIN)
TREE = StoredTree(70)
CHECKPOINT = sign_checkpoint(Checkpoint(ORIGIN, 70, TREE.frontier.root()), LOG)
PROOF = LogProof(33, tuple(prove_inclusion(33, 70, TREE.reader())), CHECKPOINT)


def test_a_proof_file_shows_its_entry() -> None:
    read = proof.parse(PROOF.encode())
    assert read == PROOF
    assert read.verify(leaf(33), [LOG.verifier], ORIGIN).size == 70
    assert PROOF.encode().startswith(b"c2sp.org/tlog-proof@v1\nindex 33\n")
    assert PROOF.encode().endswith(b"=\n\n" + CHECKPOINT)


def test_extra_data_goes_along_unauthenticated() -> None:
    for extra in (b"", b"anything"):
        with_extra = LogProof(PROOF.index, PROOF.hashes, CHECKPOINT, extra)
        assert proof.parse(with_extra.encode()) == with_extra
        assert with_extra.encode().split(b"\n")[1].startswith(b"extra ")


def test_a_log_of_one_entry_needs_no_hashes() -> None:
    only = StoredTree(1)
    checkpoint = sign_checkpoint(Checkpoint(ORIGIN, 1, only.frontier.root()), LOG)
    assert proof.parse(LogProof(0, (), checkpoint).encode()).verify(leaf(0), [LOG.verifier], ORIGIN).size == 1


def test_it_shows_nothing_else() -> None:
    for one, keys, origin in (
        (leaf(34), [LOG.verifier], ORIGIN),
        (leaf(33), [Ed25519Signer.generate(ORIGIN).verifier], ORIGIN),
        (leaf(33), [LOG.verifier], "log.example/two"),
    ):
        with pytest.raises(LogInvalid):
            PROOF.verify(one, keys, origin)
    for index in (0, 32, 34, 69, 70):
        with pytest.raises(LogInvalid):
            LogProof(index, PROOF.hashes, CHECKPOINT).verify(leaf(33), [LOG.verifier], ORIGIN)


GOOD = PROOF.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"c2sp.org/tlog-proof@v1\n",
        GOOD.replace(b"@v1", b"@v2"),
        GOOD.replace(b"index 33", b"index 033"),
        GOOD.replace(b"index 33", b"index -1"),
        GOOD.replace(b"index 33\n", b""),
        GOOD.replace(b"index 33", b"Index 33"),
        GOOD.replace(b"index 33", b"index 33\nextra AAAA"),
        GOOD.replace(b"index 33", b"extra ?\nindex 33"),
        GOOD.replace(b"index 33", b"extra AAAA\nextra AAAA\nindex 33"),
        GOOD.replace(b"index 33\n", b"index 33\nAAAA\n"),
        GOOD.replace(b"index 33\n", b"index 33\n" + b"A" * 43 + b"=\n" * 64),
        GOOD.replace(b"index 33\n", b"index 33\n" + (b"A" * 43 + b"=\n") * 64),
        GOOD.replace(b"index 33\n", b"index 33\n\xff\n"),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD[:200],
        b"x" * (proof.MAX_PROOF_BYTES + 1),
    ],
)
def test_what_is_no_proof_is_refused(data: bytes) -> None:
    with pytest.raises(ProofInvalid):
        proof.parse(data)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_is_never_accepted(at: int, change: int) -> None:
    altered = GOOD[:at] + bytes([GOOD[at] ^ change]) + GOOD[at + 1 :]
    with pytest.raises(LogInvalid):
        proof.parse(altered).verify(leaf(33), [LOG.verifier], ORIGIN)
