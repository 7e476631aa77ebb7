"""The sealed format, without a database: published vectors, and everything that must not open."""

import hashlib
import json
import os
import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vault import reference
from vault import compression
from vault import format as sealed_format
from vault.context import Context
from vault.errors import SealBroken
from vault.format import Header, InputKey, combine, open_sealed, parse_header, seal

VECTORS = json.loads(reference.VECTORS.read_text())["vectors"]
IDS = tuple(bytes([n]) * 16 for n in (3, 7, 9))
KEYS = tuple(InputKey(bytes([n]) * 32) for n in (11, 13, 17))
CONTEXT = Context("org", ("anna", "ben"), "speech.transcribe", "reference", "sealed", "row-1")
LENGTHS = (0, 1, 15, 16, 16383, 16384, 16385, 32768, 10 * 1024 * 1024)


def sealed_under(count: int, plaintext: bytes, context: Context = CONTEXT) -> bytes:
    return seal(combine(KEYS[:count]), Header(IDS[:count]), context, plaintext)


def opened(count: int, sealed: bytes, context: Context = CONTEXT) -> bytes:
    header = parse_header(sealed)
    by_id = dict(zip(IDS, KEYS, strict=True))
    try:
        keys = [by_id[key_id] for key_id in header.key_ids]
    except KeyError as error:
        raise SealBroken("no such key") from error
    return open_sealed(combine(keys), header, context, sealed)


def context_of(vector: dict[str, object]) -> Context:
    given = dict(vector["context"])  # type: ignore[call-overload]  # JSON
    return Context(**{**given, "subjects": tuple(given["subjects"])})


def plaintext_of(vector: dict[str, object]) -> bytes:
    if "plaintext" in vector:
        return bytes.fromhex(str(vector["plaintext"]))
    return reference.pattern(int(str(vector["plaintext_size"])))


def vector_bytes(vector: dict[str, object]) -> bytes:
    """The sealed bytes: as written where they are, else by the reference writer, checked against the digest."""
    if "sealed" in vector:
        sealed = bytes.fromhex(str(vector["sealed"]))
    else:
        keys = {bytes.fromhex(i): bytes.fromhex(k) for i, k in vector["keys"].items()}  # type: ignore[attr-defined]  # JSON
        salt = bytes.fromhex(str(vector["salt"]))
        sealed = reference.seal(keys, vector["context"], salt, plaintext_of(vector))  # type: ignore[arg-type]  # JSON
    assert hashlib.sha256(sealed).hexdigest() == vector["sealed_sha256"]
    return sealed


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_published_vectors_open(vector: dict[str, object]) -> None:
    sealed = vector_bytes(vector)
    keys = {bytes.fromhex(i): InputKey(bytes.fromhex(k)) for i, k in vector["keys"].items()}  # type: ignore[attr-defined]  # JSON
    header = parse_header(sealed)
    assert header.key_ids == tuple(sorted(keys))
    plaintext = open_sealed(combine([keys[i] for i in header.key_ids]), header, context_of(vector), sealed)
    assert plaintext == plaintext_of(vector)
    assert hashlib.sha256(plaintext).hexdigest() == vector["plaintext_sha256"]


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["context"]["kind"] != "result"], ids=lambda v: v["name"])
def test_the_reference_writer_makes_the_vectors(vector: dict[str, object]) -> None:
    """Compressed ones aside: two DEFLATE writers may differ and both be right."""
    keys = {bytes.fromhex(i): bytes.fromhex(k) for i, k in vector["keys"].items()}  # type: ignore[attr-defined]  # JSON
    salt = bytes.fromhex(str(vector["salt"]))
    made = reference.seal(keys, vector["context"], salt, plaintext_of(vector))  # type: ignore[arg-type]  # JSON
    assert hashlib.sha256(made).hexdigest() == vector["sealed_sha256"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_reference_writer_and_the_vault_agree_on_what_is_sealed(count: int) -> None:
    plaintext = os.urandom(40_000)
    sealed = sealed_under(count, plaintext)
    salt_at = 2 + 16 * count
    keys = dict(zip(IDS[:count], [key.reveal() for key in KEYS[:count]], strict=True))
    context = {
        "organization": CONTEXT.organization,
        "subjects": CONTEXT.subjects,
        "scope": CONTEXT.scope,
        "kind": CONTEXT.kind,
        "field": CONTEXT.field,
        "object_code": CONTEXT.object_code,
    }
    assert reference.seal(keys, context, sealed[salt_at : salt_at + 24], plaintext) == sealed


@pytest.mark.parametrize("length", LENGTHS)
def test_what_is_sealed_opens(length: int) -> None:
    plaintext = os.urandom(length)
    sealed = sealed_under(2, plaintext)
    assert opened(2, sealed) == plaintext
    assert len(sealed) == 2 + 32 + 56 + length + 16 * (length // 16384 + 1)


@pytest.mark.parametrize("length", [0, 1, 200])
def test_every_truncation_is_refused(length: int) -> None:
    sealed = sealed_under(1, os.urandom(length))
    for size in range(len(sealed)):
        with pytest.raises(SealBroken):
            opened(1, sealed[:size])


@pytest.mark.parametrize("length", [0, 1, 60])
def test_every_flipped_bit_is_refused(length: int) -> None:
    sealed = sealed_under(1, os.urandom(length))
    for bit in range(8 * len(sealed)):
        altered = bytearray(sealed)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBroken):
            opened(1, bytes(altered))


LARGE = sealed_under(1, hashlib.shake_256(b"large").digest(3 * 16384 + 500))
FIRST_CHUNK = 2 + 16 + 56
CHUNK = 16384 + 16


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(LARGE) - 1), st.integers(1, 255))
def test_no_byte_of_a_large_value_can_be_changed(at: int, change: int) -> None:
    altered = bytearray(LARGE)
    altered[at] ^= change
    with pytest.raises(SealBroken):
        opened(1, bytes(altered))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(LARGE) - 1))
def test_a_large_value_cannot_be_cut_anywhere(size: int) -> None:
    with pytest.raises(SealBroken):
        opened(1, LARGE[:size])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=6).filter(lambda order: order != [0, 1, 2, 3]))
def test_chunks_cannot_be_reordered_dropped_or_doubled(order: list[int]) -> None:
    starts = [FIRST_CHUNK + n * CHUNK for n in range(4)]
    chunks = [LARGE[start : start + CHUNK] for start in starts]
    with pytest.raises(SealBroken):
        opened(1, LARGE[:FIRST_CHUNK] + b"".join(chunks[n] for n in order))


@given(st.binary(min_size=1, max_size=40))
def test_nothing_can_be_appended(more: bytes) -> None:
    with pytest.raises(SealBroken):
        opened(1, sealed_under(1, b"a value") + more)


@given(st.binary(max_size=300))
def test_noise_does_not_open(noise: bytes) -> None:
    with pytest.raises(SealBroken):
        opened(1, noise)


MOVES = {
    "organization": replace(CONTEXT, organization="other"),
    "subject": replace(CONTEXT, subjects=("anna", "carl")),
    "fewer subjects": replace(CONTEXT, subjects=("anna",)),
    "subjects run together": replace(CONTEXT, subjects=("annaben",)),
    "scope": replace(CONTEXT, scope="voice.emotion"),
    "kind": replace(CONTEXT, kind="consent"),
    "field": replace(CONTEXT, field="other"),
    "object": replace(CONTEXT, object_code="row-2"),
    "two parts with a moved border": replace(CONTEXT, field="seale", object_code="drow-1"),
}


@pytest.mark.parametrize("moved", MOVES.values(), ids=MOVES.keys())
def test_what_is_moved_does_not_open(moved: Context) -> None:
    sealed = sealed_under(2, b"secret")
    with pytest.raises(SealBroken):
        opened(2, sealed, moved)


texts = st.text(max_size=6)
contexts = st.builds(Context, texts, st.lists(texts, max_size=3).map(tuple), texts, texts, texts, texts)


@given(contexts, contexts, st.lists(st.sampled_from(IDS), max_size=3), st.lists(st.sampled_from(IDS), max_size=3))
def test_two_contexts_never_share_an_encoding(
    one: Context, other: Context, ids: list[bytes], more: list[bytes]
) -> None:
    same = replace(one, subjects=tuple(sorted(one.subjects))) == replace(other, subjects=tuple(sorted(other.subjects)))
    assert (one.encode(ids) == other.encode(more)) == (same and ids == more)


def test_the_order_of_subjects_does_not_matter() -> None:
    sealed = sealed_under(2, b"secret")
    assert opened(2, sealed, replace(CONTEXT, subjects=("ben", "anna"))) == b"secret"


@pytest.mark.parametrize("version", [v for v in range(256) if v != 1])
def test_no_other_version_opens(version: int) -> None:
    sealed = sealed_under(1, b"secret")
    with pytest.raises(SealBroken):
        opened(1, bytes([version]) + sealed[1:])


def test_the_version_is_authenticated_not_only_read() -> None:
    assert CONTEXT.encode(IDS, 1) != CONTEXT.encode(IDS, 2)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_every_persons_key_is_needed(missing: int) -> None:
    sealed = sealed_under(3, b"secret")
    keys = [InputKey(bytes(32)) if n == missing else key for n, key in enumerate(KEYS)]
    with pytest.raises(SealBroken):
        open_sealed(combine(keys), parse_header(sealed), CONTEXT, sealed)
    rest = [key for n, key in enumerate(KEYS) if n != missing]
    with pytest.raises(SealBroken):
        open_sealed(combine(rest), parse_header(sealed), CONTEXT, sealed)


def test_the_header_cannot_name_fewer_keys() -> None:
    sealed = sealed_under(2, b"secret")
    with pytest.raises(SealBroken):
        opened(1, b"\x01\x01" + sealed[2:18] + sealed[34:])


def test_key_ids_out_of_order_or_doubled_are_refused() -> None:
    for ids in [(IDS[1], IDS[0]), (IDS[0], IDS[0])]:
        with pytest.raises(SealBroken):
            parse_header(b"\x01\x02" + b"".join(ids))
        with pytest.raises(ValueError, match="different keys in order"):
            Header(ids).encode()


def test_a_header_without_keys_is_refused() -> None:
    with pytest.raises(SealBroken):
        parse_header(b"\x01\x00" + bytes(100))
    with pytest.raises(ValueError, match="needs a key"):
        combine([])


def test_a_sealed_value_opens_under_one_key_only() -> None:
    """Key commitment: a forger who knows two keys cannot splice a value that each of them opens. The commitment is checked
    before any chunk, so a value made under one key and opened under the other fails even with chunks made for the other."""
    first, second = bytes(range(32)), bytes(range(32, 64))
    context = {"organization": "o", "subjects": [], "scope": "s", "kind": "k", "field": "f", "object_code": "c"}
    salt = bytes(24)
    one = reference.seal({IDS[0]: first}, context, salt, b"says one thing")
    two = reference.seal({IDS[0]: second}, context, salt, b"says the other")
    commitment_end = 2 + 16 + 24 + 32
    spliced = one[:commitment_end] + two[commitment_end:]
    ours = Context("o", (), "s", "k", "f", "c")
    header = Header(IDS[:1])
    assert open_sealed(InputKey(second), header, ours, two) == b"says the other"
    for key in (first, second):
        with pytest.raises(SealBroken):
            open_sealed(InputKey(key), header, ours, spliced)


def test_forked_processes_never_share_a_salt() -> None:
    reading, writing = os.pipe()
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            try:
                os.write(writing, sealed_under(1, b"x")[18:42])
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    os.close(writing)
    salts = os.read(reading, 1000)
    os.close(reading)
    assert len({salts[n : n + 24] for n in range(0, len(salts), 24)}) == 4
    assert sealed_under(1, b"x")[18:42] not in salts


RESULT = replace(CONTEXT, kind="result")


@settings(deadline=None)
@given(st.binary(max_size=5000))
def test_results_are_compressed_and_come_back(plaintext: bytes) -> None:
    assert opened(1, sealed_under(1, plaintext, RESULT), RESULT) == plaintext


def test_a_result_is_smaller_than_its_text() -> None:
    text = json.dumps([{"word": "hello", "start": n / 10, "end": n / 10 + 0.1} for n in range(1000)]).encode()
    assert len(sealed_under(1, text, RESULT)) < len(text) / 4


@given(st.integers(0, 1 << 40))
def test_padding_is_at_most_an_eighth_and_settles(size: int) -> None:
    padded = compression.padded_size(size)
    assert size <= padded <= size + size / 8 + 1
    assert compression.padded_size(padded) == padded


def test_lengths_of_alike_results_fall_together() -> None:
    assert len({compression.padded_size(size) for size in range(10_000, 20_000)}) < 25


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"plain",
        zlib.compress(b"x" * 100)[:-1],
        zlib.compress(b"x" * 100) + b"\x01",
        zlib.compress(b"x" * 100) + bytes(64),
        zlib.compress(b"") * 2,
    ],
    ids=["empty", "not compressed", "cut short", "hidden bytes", "too much padding", "two streams"],
)
def test_a_result_that_we_cannot_have_packed_is_refused(body: bytes) -> None:
    with pytest.raises(SealBroken):
        compression.unpack("result", body)


def test_a_compression_bomb_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "MAX_OPENED", 1000)
    bomb = zlib.compress(bytes(100_000))
    with pytest.raises(SealBroken):
        compression.unpack("result", bomb.ljust(compression.padded_size(len(bomb)), b"\x00"))
    assert compression.unpack("result", compression.pack("result", bytes(1000))) == bytes(1000)
    with pytest.raises(ValueError, match="at most"):
        compression.pack("result", bytes(1001))


def test_the_format_knows_no_django() -> None:
    """What defines the format must be readable by a tool without the service."""
    import subprocess
    import sys

    program = (
        "import sys; import vault.format, vault.ranges, vault.stream, vault.context, vault.compression, vault.keyring,"
        " vault.provider, vault.certificate; sys.exit('django' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert sealed_format.MAX_HEADER == 2 + 255 * 16
