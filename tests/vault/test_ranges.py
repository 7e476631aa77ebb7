"""Reading by range gives what the stream holds, and nothing that it does not."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vault import reference
from tests.vault.test_format import VECTORS, context_of, plaintext_of, vector_bytes
from vault.context import Context
from vault.errors import SealBroken
from vault.format import Header, InputKey, combine, parse_header, seal
from vault.ranges import ChunkReader, plaintext_size

KEY, KEY_ID = InputKey(bytes(range(32))), bytes(16)
CONTEXT = Context("org", (), "work", "recording", "r", "b")
ENCODED = CONTEXT.encode([KEY_ID])
PLAINTEXT = hashlib.shake_256(b"range").digest(5 * 16384 + 77)
STREAM = seal(KEY, Header((KEY_ID,)), CONTEXT, PLAINTEXT)[18:]
CHUNK = 16384 + 16


def reader(stream: bytes, size: int | None = None, key: InputKey = KEY, context: bytes = ENCODED) -> ChunkReader:
    return ChunkReader(key, context, lambda at, n: stream[at : at + n], len(stream) if size is None else size)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(PLAINTEXT) + 40_000), st.integers(0, len(PLAINTEXT) + 40_000))
def test_a_range_is_the_slice(offset: int, length: int) -> None:
    assert reader(STREAM).read(offset, length) == PLAINTEXT[offset : offset + length]


@pytest.mark.parametrize("length", [0, 1, 16383, 16384, 16385, 32768, 10 * 1024 * 1024])
def test_the_size_comes_from_the_length_of_the_stream(length: int) -> None:
    plaintext = os.urandom(length)
    stream = seal(KEY, Header((KEY_ID,)), CONTEXT, plaintext)[18:]
    opened = reader(stream)
    assert opened.size == length == plaintext_size(len(stream))
    for offset in {0, max(0, length - 1), max(0, length - 16384), length // 2, length}:
        assert opened.read(offset, 20_000) == plaintext[offset : offset + 20_000]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_published_vectors_read_by_range(vector: dict[str, object]) -> None:
    sealed = vector_bytes(vector)
    header = parse_header(sealed)
    keys = [InputKey(bytes.fromhex(vector["keys"][i.hex()])) for i in header.key_ids]  # type: ignore[index]  # JSON
    opened = reader(sealed[header.size :], None, combine(keys), context_of(vector).encode(header.key_ids))
    plaintext = plaintext_of(vector)
    body = reference.body_bytes(context_of(vector).kind, plaintext)
    if context_of(vector).kind == "result":
        assert opened.read(0, 2) == body[:2]  # the head of a zlib stream
        return
    assert opened.read(0, opened.size) == plaintext
    assert opened.read(len(plaintext) // 2, 100) == plaintext[len(plaintext) // 2 :][:100]


def test_a_length_that_no_message_has_is_refused() -> None:
    for size in [*range(56 + 16), 56 + CHUNK, 56 + CHUNK + 15, 56 + 3 * CHUNK]:
        with pytest.raises(SealBroken):
            plaintext_size(size)


def test_a_stream_cut_at_any_chunk_is_refused_when_it_is_opened() -> None:
    for size in [56 + n * CHUNK + extra for n in range(5) for extra in (0, 1, 16, 17, 100)]:
        with pytest.raises(SealBroken):
            reader(STREAM[:size])


def test_a_file_shorter_than_its_recorded_length_is_refused() -> None:
    with pytest.raises(SealBroken):
        reader(STREAM[:-40], len(STREAM))


def test_an_extended_stream_is_refused() -> None:
    for more in (b"\x00", bytes(16), STREAM[-CHUNK:], bytes(CHUNK)):
        with pytest.raises(SealBroken):
            reader(STREAM + more)


def test_swapped_chunks_are_refused_where_they_are_read() -> None:
    first, second = STREAM[56 : 56 + CHUNK], STREAM[56 + CHUNK : 56 + 2 * CHUNK]
    opened = reader(STREAM[:56] + second + first + STREAM[56 + 2 * CHUNK :])
    for number in (0, 1):
        with pytest.raises(SealBroken):
            opened.read(number * 16384, 10)
    assert opened.read(2 * 16384, 10) == PLAINTEXT[2 * 16384 : 2 * 16384 + 10]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(STREAM) - 1), st.integers(1, 255))
def test_a_changed_byte_is_never_read(at: int, change: int) -> None:
    altered = bytearray(STREAM)
    altered[at] ^= change
    with pytest.raises(SealBroken):
        reader(bytes(altered)).read(0, len(PLAINTEXT))


def test_another_key_or_context_is_refused_before_any_chunk() -> None:
    reads: list[int] = []

    def read_at(offset: int, length: int) -> bytes:
        reads.append(offset)
        return STREAM[offset : offset + length]

    for key, context in [(InputKey(bytes(32)), ENCODED), (KEY, ENCODED + b"x")]:
        reads.clear()
        with pytest.raises(SealBroken):
            ChunkReader(key, context, read_at, len(STREAM))
        assert reads == [0]


def test_negative_ranges_are_a_mistake_of_the_caller() -> None:
    for offset, length in [(-1, 5), (0, -1)]:
        with pytest.raises(ValueError, match="not negative"):
            reader(STREAM).read(offset, length)


def test_range_reading_stays_under_a_hundred_lines() -> None:
    """It is there until the library reads by range itself; it must stay small enough to check by eye."""
    import vault.ranges

    assert len(Path(str(vault.ranges.__file__)).read_text().splitlines()) < 100
