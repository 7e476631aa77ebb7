"""A witness's answers, one by one as the specification demands them, and what it must never do."""

import threading
from pathlib import Path

import pytest

from audit.errors import CheckImpossible
from audit.tlog import notes
from audit.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from audit.tlog.cosignatures import ED25519, ML_DSA_44, Cosigner, cosignatures
from audit.tlog.merkle import EMPTY_ROOT
from audit.tlog.notes import Ed25519Signer, Note, Signature
from audit.tlog.proving import prove_consistency
from audit.witness.request import AddCheckpoint
from audit.witness.rules import Answer, Witness
from audit.witness.state import WitnessState, origin_hash
from tests.audit.export.bundles import Log, log_of
from tests.audit.tlog.reference import leaf

LOG = log_of(70)
FORK = Log([*LOG.entries[:10], b"another", *LOG.entries[11:]])
KEYS = (
    Cosigner("witness.example/w1", ED25519, bytes(range(32))),
    Cosigner("witness.example/w2", ML_DSA_44, bytes(range(32))),
)
NOW = 1_772_366_400


@pytest.fixture
def state(tmp_path: Path) -> WitnessState:
    return WitnessState(tmp_path / "state")


@pytest.fixture
def witness(state: WitnessState) -> Witness:
    return Witness(KEYS, [LOG.signer.verifier], state, lambda: NOW)


def ask(witness: Witness, old: int, new: int, log: Log = LOG, proof: list[bytes] | None = None) -> Answer:
    proof = prove_consistency(old, new, log.tree.reader(new)) if proof is None else proof
    return witness.add_checkpoint(AddCheckpoint(old, proof, log.checkpoint(new)).encode())


def known_size(witness: Witness) -> int:
    """As a log finds it out: by asking with old size zero."""
    answer = ask(witness, 0, 70, proof=[])
    assert (answer.status, answer.content_type) == (409, "text/x.tlog.size")
    return int(answer.body)


def test_a_log_that_grows_is_cosigned_at_each_step(witness: Witness, state: WitnessState) -> None:
    for old, new in ((0, 1), (1, 31), (31, 32), (32, 33), (33, 33), (33, 70)):
        answer = ask(witness, old, new)
        assert answer.status == 200
        note = notes.parse(LOG.checkpoint(new) + answer.body)
        found = cosignatures(note, [key.witness for key in KEYS])
        assert [(one.name, one.timestamp) for one in found] == [(key.name, NOW) for key in KEYS]
        kept = witness.checkpoint(origin_hash(LOG.origin))
        assert kept == Answer(200, note.encode())
        assert open_checkpoint(kept.body, [LOG.signer.verifier], LOG.origin).size == new
        assert state.newest(LOG.origin) == LOG.signed(new).checkpoint


def test_the_very_first_checkpoint_may_be_of_any_size_or_of_the_empty_log(witness: Witness) -> None:
    assert ask(witness, 0, 0).status == 200
    assert ask(witness, 0, 70).status == 200


def test_an_old_size_that_is_not_the_witness_s_is_a_conflict_and_answered_with_its_own(witness: Witness) -> None:
    assert ask(witness, 30, 70) == Answer(409, b"0\n", "text/x.tlog.size")
    assert ask(witness, 0, 40).status == 200
    for old in (0, 39, 41):
        assert ask(witness, old, 70) == Answer(409, b"40\n", "text/x.tlog.size")
    assert known_size(witness) == 40


def test_a_checkpoint_sent_again_is_cosigned_or_refused_but_never_takes_anything_back(witness: Witness) -> None:
    assert ask(witness, 0, 40).status == 200
    assert ask(witness, 40, 40).status == 200
    assert ask(witness, 40, 70).status == 200
    assert ask(witness, 0, 40).status == 409
    assert ask(witness, 40, 40).status == 409
    assert ask(witness, 70, 40, proof=[]).status == 400
    assert known_size(witness) == 70


def test_a_checkpoint_of_a_log_that_is_not_watched_is_not_found(witness: Witness) -> None:
    stranger = Log(LOG.entries, Ed25519Signer.generate("log.example/x"), "log.example/x")
    assert ask(witness, 0, 70, stranger).status == 404
    assert witness.checkpoint(origin_hash("log.example/x")).status == 404
    assert witness.checkpoint(origin_hash(LOG.origin)).status == 404


def test_a_checkpoint_without_the_log_s_signature_is_forbidden(witness: Witness) -> None:
    impostor = Ed25519Signer.generate(LOG.origin)
    assert ask(witness, 0, 70, Log(LOG.entries, impostor)).status == 403
    good = notes.parse(LOG.checkpoint())
    wrong = Signature(LOG.origin, LOG.signer.key_id, bytes(64))
    for signatures in ((wrong,), (*good.signatures, wrong)):
        broken = Note(good.text, signatures).encode()
        assert witness.add_checkpoint(AddCheckpoint(0, [], broken).encode()).status == 403
    altered = LOG.checkpoint().replace(b"\n70\n", b"\n71\n")
    assert witness.add_checkpoint(AddCheckpoint(0, [], altered).encode()).status == 403
    assert ask(witness, 1, 70) == Answer(409, b"0\n", "text/x.tlog.size")


def test_signatures_by_others_are_passed_over(witness: Witness) -> None:
    checkpoint = LOG.checkpoint(70, Ed25519Signer.generate("somebody.example"), Ed25519Signer.generate(LOG.origin))
    answer = witness.add_checkpoint(AddCheckpoint(0, [], checkpoint).encode())
    assert answer.status == 200
    served = notes.parse(witness.checkpoint(origin_hash(LOG.origin)).body)
    assert [one.name for one in served.signatures] == [LOG.origin, KEYS[0].name, KEYS[1].name]


def test_what_does_not_extend_what_was_seen_is_unprocessable(witness: Witness) -> None:
    assert ask(witness, 0, 40).status == 200
    good = prove_consistency(40, 70, LOG.tree.reader())
    assert ask(witness, 40, 70, FORK).status == 422
    assert ask(witness, 40, 70, FORK, good).status == 422
    assert ask(witness, 40, 40, FORK).status == 422
    assert ask(witness, 40, 40, LOG, good).status == 422
    for proof in ([], good[1:], good[::-1], [*good, leaf(0)], [leaf(0), *good[1:]]):
        assert ask(witness, 40, 70, LOG, proof).status == 422
    assert known_size(witness) == 40
    assert ask(witness, 40, 70, LOG, good).status == 200


def test_from_nothing_there_is_nothing_to_prove(witness: Witness) -> None:
    assert ask(witness, 0, 70, proof=[leaf(0)]).status == 422
    empty = notes.sign(f"{LOG.origin}\n0\n".encode() + LOG.checkpoint().split(b"\n")[2] + b"\n", LOG.signer)
    assert witness.add_checkpoint(AddCheckpoint(0, [], empty.encode()).encode()).status == 422
    assert ask(witness, 0, 0).status == 200
    assert ask(witness, 0, 70, proof=[leaf(0)]).status == 422
    assert Checkpoint(LOG.origin, 0, EMPTY_ROOT).text() == notes.parse(LOG.checkpoint(0)).text


GOOD = AddCheckpoint(0, [], LOG.checkpoint()).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        b"old 0\n\n",
        GOOD.replace(b"old 0", b"old 00"),
        GOOD.replace(b"old 0", b"old -1"),
        GOOD.replace(b"old 0", b"old  0"),
        GOOD.replace(b"old 0", b"Old 0"),
        GOOD.replace(b"old 0\n", b""),
        GOOD.replace(b"old 0\n", b"old 0\nAAAA\n"),
        GOOD.replace(b"old 0\n", b"old 0\nnot base64\n"),
        GOOD.replace(b"old 0\n", b"old 0\n\xff\n"),
        AddCheckpoint(0, [leaf(0)] * 64, LOG.checkpoint()).encode(),
        AddCheckpoint(71, [], LOG.checkpoint()).encode(),
        AddCheckpoint(0, [], b"no checkpoint").encode(),
        AddCheckpoint(0, [], notes.sign(b"a\nb\n", LOG.signer).encode()).encode(),
        GOOD + b"x" * 600_000,
    ],
)
def test_what_is_no_request_is_a_bad_one(witness: Witness, body: bytes) -> None:
    assert witness.add_checkpoint(body).status == 400


def test_two_racing_requests_do_not_roll_each_other_back(tmp_path: Path) -> None:
    """Many requests at once from one known size: one of them is cosigned, the others hear of a conflict."""
    for number in range(20):
        state = WitnessState(tmp_path / str(number))
        witness = Witness(KEYS[:1], [LOG.signer.verifier], state)
        assert ask(witness, 0, 20).status == 200
        bodies = [
            AddCheckpoint(20, prove_consistency(20, new, LOG.tree.reader(new)), LOG.checkpoint(new)).encode()
            for new in (30, 40, 50, 60)
        ]
        answers: list[Answer] = []
        barrier = threading.Barrier(len(bodies))

        def send(
            body: bytes,
            witness: Witness = witness,
            barrier: threading.Barrier = barrier,
            answers: list[Answer] = answers,
        ) -> None:
            barrier.wait()
            answers.append(witness.add_checkpoint(body))

        threads = [threading.Thread(target=send, args=(body,)) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
        newest = state.newest(LOG.origin)
        assert newest is not None
        assert {answer.body for answer in answers if answer.status == 409} == {f"{newest.size}\n".encode()}
        state.close()


def test_a_witness_remembers_across_restarts(tmp_path: Path) -> None:
    first = WitnessState(tmp_path)
    assert ask(Witness(KEYS, [LOG.signer.verifier], first), 0, 40).status == 200
    with pytest.raises(CheckImpossible, match="in use by another witness"):
        WitnessState(tmp_path)
    first.close()
    second = WitnessState(tmp_path)
    again = Witness(KEYS, [LOG.signer.verifier], second)
    assert known_size(again) == 40
    assert ask(again, 40, 70, FORK).status == 422
    second.close()


def test_nothing_is_cosigned_when_memory_fails(
    witness: Witness, state: WitnessState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    assert ask(witness, 0, 40).status == 200
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(CheckImpossible, match="No space left"):
            ask(witness, 40, 70)
    assert known_size(witness) == 40
    file = next((tmp_path / "state").glob("*.checkpoint"))
    for content in (b"", b"junk", sign_checkpoint(Checkpoint("log.example/x", 1, leaf(0)), LOG.signer)):
        file.write_bytes(content)
        with pytest.raises(CheckImpossible):
            ask(witness, 0, 70)
    file.unlink()
    file.mkdir()
    with pytest.raises(CheckImpossible):
        ask(witness, 0, 70)


def test_a_state_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckImpossible):
        WitnessState(tmp_path / "file" / "below")
