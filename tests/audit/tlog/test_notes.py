"""Signed notes: the published examples, who signed and who did not, and every way of writing one wrongly."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import KeyInvalid, NoteInvalid
from audit.tlog import notes
from audit.tlog.notes import Ed25519Signer, Ed25519Verifier, Note, Signature

# From https://c2sp.org/signed-note, section "Verifier keys", and from golang.org/x/mod/sumdb/note, which tests with a secret one.
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
QUOTE = (
    b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n",
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",
)
SIGNER = Ed25519Signer.generate("log.example/one")
OTHER = Ed25519Signer.generate("log.example/other")
TEXT = b"one\n\ntwo\n"


def test_the_published_examples() -> None:
    key = Ed25519Verifier.parse(EXAMPLE_KEY)
    note = notes.parse(EXAMPLE)
    assert notes.verified(note, [key]) == (key,)
    assert note.encode() == EXAMPLE
    assert key.vkey == EXAMPLE_KEY
    signer = Ed25519Signer.parse(SECRET)
    assert (signer.verifier.vkey, signer.skey) == (PUBLIC, SECRET)
    text, signature = QUOTE
    assert notes.sign(text, signer).encode() == text + f"\n— PeterNeumann {signature}\n".encode()


def test_several_signatures_and_unknown_ones() -> None:
    note = notes.sign(TEXT, SIGNER, OTHER, Ed25519Signer.generate("elsewhere.example"))
    read = notes.parse(note.encode())
    assert read == note
    assert read.text == TEXT
    assert notes.verified(read, [SIGNER.verifier]) == (SIGNER.verifier,)
    assert notes.verified(read, [OTHER.verifier, SIGNER.verifier]) == (OTHER.verifier, SIGNER.verifier)


def test_a_note_by_nobody_known_is_refused() -> None:
    note = notes.sign(TEXT, SIGNER)
    same_name = Ed25519Signer.generate(SIGNER.name)
    same_key = Ed25519Verifier("log.example/renamed", SIGNER.verifier.public)
    for known in ([], [OTHER.verifier], [same_name.verifier], [same_key]):
        with pytest.raises(NoteInvalid, match="not signed by a known key"):
            notes.verified(note, known)


def test_a_known_key_s_bad_signature_spoils_the_whole_note() -> None:
    good = notes.sign(TEXT, SIGNER, OTHER)
    broken = Signature(OTHER.name, OTHER.key_id, bytes(64))
    for signatures in ((good.signatures[0], broken), (*good.signatures, broken)):
        with pytest.raises(NoteInvalid, match="does not verify"):
            notes.verified(Note(TEXT, signatures), [SIGNER.verifier, OTHER.verifier])
        assert notes.verified(Note(TEXT, signatures), [SIGNER.verifier]) == (SIGNER.verifier,)


def test_an_altered_text_is_refused() -> None:
    note = notes.sign(TEXT, SIGNER).encode()
    for other in (note.replace(b"two", b"tvo"), note.replace(b"one\n", b"one\n\n"), b"\n" + note):
        with pytest.raises(NoteInvalid):
            notes.verified(notes.parse(other), [SIGNER.verifier])


LINE = notes.sign(TEXT, SIGNER).signatures[0].line().encode()
ENCODED = LINE.split(b" ")[2].strip()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"text\n",
        b"text\n\n",
        b"text\n" + LINE,
        b"text\n\n" + LINE.strip(),
        b"text\n\n" + LINE + b"\n",
        b"text\n\n" + LINE + b"\n" + b"x",
        b"te\txt\n\n" + LINE,
        b"text\r\n\r\n" + LINE,
        b"text\x00\n\n" + LINE,
        b"te\xffxt\n\n" + LINE,
        b"text\n\n" + LINE.replace("—".encode(), b"-"),
        b"text\n\n" + LINE.replace(b"log.example", b"log+example"),
        b"text\n\n" + LINE.replace(b"log.example", "log\u00a0example".encode()),
        b"text\n\n" + LINE.replace(b"log.example/one ", b""),
        b"text\n\n" + LINE.replace(b"log.example/one", b""),
        b"text\n\n" + LINE.replace(ENCODED, ENCODED[:-1]),
        b"text\n\n" + LINE.replace(ENCODED, ENCODED + b" x"),
        b"text\n\n" + LINE.replace(ENCODED, b"AAAAAA=="),
        b"text\n\n" + LINE.replace(ENCODED, "\u0661AAA".encode()),
        b"text\n\n" + LINE * 65,
        b"x" * notes.MAX_NOTE_BYTES + b"\n\n" + LINE,
    ],
)
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(NoteInvalid):
        notes.parse(data)


def test_base64_has_one_spelling() -> None:
    assert notes.decode_base64("AAE=") == b"\x00\x01"
    for text in ("AAF=", "AAE", "AAE=\n", "A A E=", "AA-_", "=", "AAE==", "ÄÄÄÄ"):
        with pytest.raises(ValueError):
            notes.decode_base64(text)


def test_sixteen_signatures_of_five_kilobytes_are_read() -> None:
    lines = "".join(Signature(f"k{n}", bytes(4), bytes(5000)).line() for n in range(16)).encode()
    assert len(notes.parse(b"text\n\n" + LINE + lines).signatures) == 17


def test_text_that_cannot_stand_in_a_note_is_not_signed() -> None:
    for text in (b"no newline", b"", b"tab\t\n", b"\xff\n"):
        with pytest.raises(NoteInvalid):
            notes.sign(text, SIGNER)
    assert notes.parse(notes.sign(b"ends in a blank line\n\n", SIGNER).encode()).text == b"ends in a blank line\n\n"


def test_mangled_keys_are_refused() -> None:
    for written, parse in ((PUBLIC, Ed25519Verifier.parse), (SECRET, Ed25519Signer.parse)):
        for start in range(len(written)):
            for end in range(start, len(written) + (start > 0)):
                with pytest.raises(KeyInvalid):
                    parse(written[start:end])
        for at, character in enumerate(written):
            with pytest.raises(KeyInvalid):
                parse(written[:at] + chr(ord(character) + 1) + written[at + 1 :])


def test_keys_of_other_types_and_names_are_refused() -> None:
    public = base64.b64decode(PUBLIC.split("+", 2)[2])[1:]
    for vkey in (notes.encode_vkey("a", 0x04, public), notes.encode_vkey("a", 0x01, public + b"x")):
        with pytest.raises(KeyInvalid):
            Ed25519Verifier.parse(vkey)
    for name in ("", "a b", "a+b", "a\u2003b", "a\nb"):
        with pytest.raises(KeyInvalid):
            notes.encode_vkey(name, 0x01, public)
    with pytest.raises(KeyInvalid) as refused:
        Ed25519Signer.parse(SECRET.replace("PeterNeumann", "Peter"))
    assert SECRET[-40:] not in str(refused.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_note_or_refused(data: bytes) -> None:
    for candidate in (data, TEXT + b"\n" + data, EXAMPLE[:40] + data + EXAMPLE[40:]):
        try:
            notes.verified(notes.parse(candidate), [Ed25519Verifier.parse(EXAMPLE_KEY)])
        except NoteInvalid:
            continue
        assert candidate == EXAMPLE
