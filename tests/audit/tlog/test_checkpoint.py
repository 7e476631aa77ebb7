"""Checkpoints: written and read to the letter; one of another log, another key or another form is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import CheckpointInvalid, NoteInvalid
from audit.tlog import notes
from audit.tlog.checkpoint import Checkpoint, open_checkpoint, parse_size, parse_text, sign_checkpoint
from audit.tlog.merkle import EMPTY_ROOT
from audit.tlog.notes import Ed25519Signer
from tests.audit.tlog.reference import leaf

ORIGIN = "log.example/one"
LOG = Ed25519Signer.generate(ORIGIN)
CHECKPOINT = Checkpoint(ORIGIN, 7, leaf(0))
# The body of the example in https://c2sp.org/tlog-checkpoint.
EXAMPLE = b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


def test_the_published_example() -> None:
    checkpoint = parse_text(EXAMPLE)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == EXAMPLE


def test_a_signed_checkpoint_comes_back() -> None:
    other = Ed25519Signer.generate("witness.example")
    signed = open_checkpoint(sign_checkpoint(CHECKPOINT, LOG, other), [LOG.verifier], ORIGIN)
    assert (signed.checkpoint, signed.size, signed.root) == (CHECKPOINT, 7, leaf(0))
    assert signed.signed_by == (LOG.verifier,)
    assert len(signed.note.signatures) == 2


def test_extension_lines_are_kept() -> None:
    extended = Checkpoint(ORIGIN, 7, leaf(0), ("one", "two words"))
    assert open_checkpoint(sign_checkpoint(extended, LOG), [LOG.verifier], ORIGIN).checkpoint == extended


def test_another_log_and_another_key_are_refused() -> None:
    signed = sign_checkpoint(CHECKPOINT, LOG)
    with pytest.raises(CheckpointInvalid, match=r"is of the log 'log.example/one', not of 'log.example/two'"):
        open_checkpoint(signed, [LOG.verifier], "log.example/two")
    with pytest.raises(NoteInvalid):
        open_checkpoint(signed, [Ed25519Signer.generate(ORIGIN).verifier], ORIGIN)
    foreign = sign_checkpoint(Checkpoint("log.example/two", 7, leaf(0)), LOG)
    with pytest.raises(CheckpointInvalid):
        open_checkpoint(foreign, [LOG.verifier], ORIGIN)


HASH = CHECKPOINT.text().split(b"\n")[2]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"log.example/one\n7\n",
        b"log.example/one\n7\n" + HASH,
        b"\n7\n" + HASH + b"\n",
        b"log.example/one\n\n7\n" + HASH + b"\n",
        b"log.example/one\n07\n" + HASH + b"\n",
        b"log.example/one\n+7\n" + HASH + b"\n",
        b"log.example/one\n 7\n" + HASH + b"\n",
        b"log.example/one\n-7\n" + HASH + b"\n",
        b"log.example/one\n7.0\n" + HASH + b"\n",
        b"log.example/one\n\xd9\xa7\n" + HASH + b"\n",
        b"log.example/one\n9223372036854775808\n" + HASH + b"\n",
        b"log.example/one\n" + b"9" * 5000 + b"\n" + HASH + b"\n",
        b"log.example/one\n7\n" + HASH[:-1] + b"\n",
        b"log.example/one\n7\n" + HASH[:-4] + b"\n",
        b"log.example/one\n7\n" + HASH + b" \n",
        b"log.example/one\n7\nnot base64\n",
        b"log.example/one\n7\n" + HASH + b"\n\nextension\n",
        b"log.example/one\n7\n" + HASH + b"\nextension\n\n",
        b"log\xff\n7\n" + HASH + b"\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: bytes) -> None:
    with pytest.raises(CheckpointInvalid):
        parse_text(text)


def test_an_empty_tree_with_another_root_is_refused_although_it_is_signed() -> None:
    note = notes.sign(b"log.example/one\n0\n" + HASH + b"\n", LOG)
    with pytest.raises(CheckpointInvalid, match="the empty tree"):
        open_checkpoint(note.encode(), [LOG.verifier], ORIGIN)


def test_other_signed_text_is_no_checkpoint() -> None:
    note = notes.sign(b"voxgov.export/v1\norigin log.example/one\nsha256 00\n", LOG).encode()
    with pytest.raises(CheckpointInvalid):
        open_checkpoint(note, [LOG.verifier], ORIGIN)


def test_what_could_not_be_read_back_is_not_written() -> None:
    for origin, size, root, extensions in (
        ("two\nlines", 1, leaf(0), ()),
        ("", 1, leaf(0), ()),
        ("a", -1, leaf(0), ()),
        ("a", 2**63, leaf(0), ()),
        ("a", 1, b"short", ()),
        ("a", 0, leaf(0), ()),
        ("a", 1, leaf(0), ("",)),
        ("a", 1, leaf(0), ("x\ny",)),
    ):
        with pytest.raises(CheckpointInvalid):
            Checkpoint(origin, size, root, extensions).text()
    assert Checkpoint("a", 0, EMPTY_ROOT).text().startswith(b"a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")


@given(st.integers(0, 2**63 - 1))
def test_every_size_reads_back(size: int) -> None:
    assert parse_size(str(size)) == size
