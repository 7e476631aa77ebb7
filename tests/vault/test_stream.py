"""A message sealed and opened in pieces is the message sealed at once, whatever the pieces."""

import hashlib
import os
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vault import reference
from vault.context import Context
from vault.errors import SealBroken
from vault.format import Header, InputKey, open_sealed, seal
from vault.stream import PIECE, SEALED_PIECE, OpenStream, SealStream

KEY, KEY_ID = InputKey(bytes(range(32))), bytes(16)
HEADER = Header((KEY_ID,))
CONTEXT = Context("org", (), "work", "recording", "r", "b")
ENCODED = CONTEXT.encode([KEY_ID])
LENGTHS = [0, 1, 16383, 16384, 16385, 10 * 1024 * 1024]


def parts_of(whole: bytes, sizes: Sequence[int], most: int) -> Iterator[bytes]:
    """The whole in pieces of these sizes, over and over; none above `most`."""
    at, turn = 0, 0
    while at < len(whole):
        size = min(sizes[turn % len(sizes)], most)
        yield whole[at : at + size]
        at, turn = at + size, turn + 1


def through(stream: SealStream | OpenStream, part: bytes) -> bytes:
    return bytes(stream.buffer[: stream.update(part)])


def sealed_in(parts: Iterator[bytes]) -> bytes:
    stream = SealStream(KEY, ENCODED)
    return b"".join([*(through(stream, part) for part in parts), stream.finish()])


def opened_in(parts: Iterator[bytes]) -> bytes:
    stream = OpenStream(KEY, ENCODED)
    return b"".join([*(through(stream, part) for part in parts), stream.finish()])


@pytest.mark.parametrize("length", LENGTHS)
def test_a_stream_is_what_is_sealed_at_once(length: int) -> None:
    plaintext = os.urandom(length)
    sealed = sealed_in(parts_of(plaintext, [PIECE], PIECE))
    assert open_sealed(KEY, HEADER, CONTEXT, HEADER.encode() + sealed) == plaintext
    context = {
        "organization": "org",
        "subjects": [],
        "scope": "work",
        "kind": "recording",
        "field": "r",
        "object_code": "b",
    }
    assert reference.seal({KEY_ID: KEY.reveal()}, context, sealed[:24], plaintext) == HEADER.encode() + sealed


@pytest.mark.parametrize("length", LENGTHS)
def test_what_is_sealed_at_once_opens_as_a_stream(length: int) -> None:
    plaintext = os.urandom(length)
    sealed = seal(KEY, HEADER, CONTEXT, plaintext)[HEADER.size :]
    assert opened_in(parts_of(sealed, [SEALED_PIECE], SEALED_PIECE)) == plaintext


WHOLE = hashlib.shake_256(b"pieces").digest(700_000)
sizes = st.lists(st.one_of(st.integers(1, 400_000), st.sampled_from([1, 56, 16383, 16384, 16385, 16400])), min_size=1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WHOLE)), sizes.filter(lambda given: sum(given) > 2000 * len(given)), sizes)
def test_pieces_of_any_size_make_the_same_message(length: int, writes: list[int], reads: list[int]) -> None:
    plaintext = WHOLE[:length]
    sealed = sealed_in(parts_of(plaintext, writes, PIECE))
    assert len(sealed) == 56 + length + 16 * (length // 16384 + 1)
    reads = [size + 1000 for size in reads]
    assert opened_in(parts_of(sealed, reads, SEALED_PIECE)) == plaintext


@given(st.lists(st.binary(max_size=3), max_size=40))
def test_small_and_empty_pieces_count(pieces: list[bytes]) -> None:
    sealed = sealed_in(iter(pieces))
    assert opened_in(sealed[at : at + 1] for at in range(len(sealed))) == b"".join(pieces)


def test_a_full_piece_fits_whatever_waits_for_its_chunk_to_fill() -> None:
    for waiting in (0, 1, 16383):
        stream = SealStream(KEY, ENCODED)
        sealed = through(stream, WHOLE[:waiting]) + through(stream, WHOLE[waiting : waiting + PIECE]) + stream.finish()
        opened = opened_in(iter([sealed[:56], *parts_of(sealed[56:], [16399, SEALED_PIECE], SEALED_PIECE)]))
        assert opened == WHOLE[: waiting + PIECE]


def test_more_than_the_buffer_holds_is_refused_and_nothing_was_taken() -> None:
    sealing = SealStream(KEY, ENCODED)
    with pytest.raises(ValueError, match="buffer"):
        sealing.update(bytes(PIECE + 16384))
    sealed = through(sealing, b"a message") + sealing.finish()
    assert opened_in(iter([sealed])) == b"a message"
    opening = OpenStream(KEY, ENCODED)
    with pytest.raises(ValueError, match="buffer"):
        opening.update(bytes(SEALED_PIECE + 2 * 16400))
    assert through(opening, sealed) + opening.finish() == b"a message"


def test_every_piece_comes_in_the_same_buffer() -> None:
    stream = SealStream(KEY, ENCODED)
    buffer = stream.buffer
    sizes = [stream.update(WHOLE[at : at + 16384]) for at in range(0, 5 * 16384, 16384)]
    assert sizes == [56 + 16400, 16400, 16400, 16400, 16400]
    assert stream.buffer is buffer
    assert len(buffer) < 2 * PIECE


def test_what_does_not_authenticate_is_neither_given_nor_left_in_the_buffer() -> None:
    sealed = bytearray(sealed_in(iter([WHOLE[:40_000]])))
    sealed[56 + 16400 + 5] ^= 1
    stream = OpenStream(KEY, ENCODED)
    with pytest.raises(SealBroken):
        stream.update(sealed)
    assert not any(stream.buffer)
    with pytest.raises(Exception, match="finalized"):
        stream.update(b"")


@pytest.mark.parametrize("cut", [1, 16, 17, 7_000, 7_300, 40_000])
def test_a_stream_that_was_cut_does_not_finish(cut: int) -> None:
    sealed = sealed_in(iter([WHOLE[:40_000]]))[:-cut]
    stream = OpenStream(KEY, ENCODED)
    stream.update(sealed)
    with pytest.raises(SealBroken):
        stream.finish()


def test_another_key_or_context_opens_nothing() -> None:
    sealed = sealed_in(iter([b"a message"]))
    for key, context in [(InputKey(bytes(32)), ENCODED), (KEY, ENCODED + b"x")]:
        with pytest.raises(SealBroken):
            OpenStream(key, context).update(sealed)


def test_the_repr_of_a_stream_shows_nothing() -> None:
    assert repr(SealStream(KEY, ENCODED)) == "SealStream(...)"
    assert repr(OpenStream(KEY, ENCODED)) == "OpenStream(...)"
