"""The vault's own face against what lies beneath it, on the same bytes, in the same run, and Fernet beside both.

Streams take 16 KiB pieces, records have 200 bytes, files go from disk to disk. The ways that are compared take turns in every
round, and the fastest round of each counts, because other work on a machine only ever makes a round slower; of latencies the
median counts. Everything runs in one thread, so a rate is a rate per core.
"""

import hashlib
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from benchmarks.figures import Figure, Say
from benchmarks.rounds import fastest, highest_memory, seconds
from vault import keys as key_store
from vault import rotation, sealing, storage
from vault.codes import new_code
from vault.context import Context
from vault.format import InputKey
from vault.keys import KeyName
from vault.models import DataKey, SealedBlob
from vault.ranges import CHUNK, OVERHEAD, TAG
from vault.stream import PIECE, OpenStream, SealStream

PACKAGES = ("cryptography", "django", "psycopg")

MESSAGE_CHUNKS = 256
"""A message of 4 MiB: its key derivation counts, and its chunks stay in the processor's cache as one buffer does."""
MESSAGES = 4
"""In one round."""
STREAM_ROUNDS = 60
RECORD = 200
RECORDS = 1000
RECORD_ROUNDS = 40
SINGLE_RECORDS = 50
COLD_ROUNDS = 100
FILE_SIZE = 256 * 1024 * 1024
FILE_WARM_UP = 4 * 1024 * 1024
FILE_ROUNDS = 5
ROTATED = 3000


def run(say: Say) -> list[Figure]:
    """Every part's figures; a further part is a further name here."""
    # Files first: the highest memory of a process never falls again.
    parts: tuple[Callable[[Say], list[Figure]], ...] = (files, streams, records, cold_open, rotate)
    return [figure for part in parts for figure in part(say)]


def streams(say: Say) -> list[Figure]:
    """`seal_over_raw`, `open_over_raw`: throughput over that of AES-256-GCM on the same 16 KiB buffers."""
    key, context = InputKey.fresh(), os.urandom(200)
    aead, fernet = AESGCM(os.urandom(32)), Fernet(Fernet.generate_key())
    plain, sealed, opened = os.urandom(CHUNK), bytearray(CHUNK + TAG), bytearray(CHUNK)
    nonces = [number.to_bytes(12, "big") for number in range(MESSAGE_CHUNKS)]
    raw_chunks = [aead.encrypt(nonce, plain, None) for nonce in nonces]
    token = fernet.encrypt(plain)
    start, chunks, end = _sealed_message(key, context, plain)

    def seal() -> None:
        for _ in range(MESSAGES):
            stream = SealStream(key, context)
            for _ in range(MESSAGE_CHUNKS):
                stream.update(plain)
            stream.finish()

    def seal_raw() -> None:
        for _ in range(MESSAGES):
            for nonce in nonces:
                aead.encrypt_into(nonce, plain, None, sealed)

    def open_() -> None:
        for _ in range(MESSAGES):
            stream = OpenStream(key, context)
            stream.update(start)
            for chunk in chunks:
                stream.update(chunk)
            stream.update(end)
            stream.finish()

    def open_raw() -> None:
        for _ in range(MESSAGES):
            for nonce, chunk in zip(nonces, raw_chunks, strict=True):
                aead.decrypt_into(nonce, chunk, None, opened)

    def seal_fernet() -> None:
        for _ in range(MESSAGE_CHUNKS // 8):
            fernet.encrypt(plain)

    def open_fernet() -> None:
        for _ in range(MESSAGE_CHUNKS // 8):
            fernet.decrypt(token)

    ways = {"seal": seal, "seal_raw": seal_raw, "open": open_, "open_raw": open_raw}
    best = fastest({**ways, "seal_fernet": seal_fernet, "open_fernet": open_fernet}, STREAM_ROUNDS)
    megabytes = MESSAGES * MESSAGE_CHUNKS * CHUNK / 1e6
    figures = []
    for way in ("seal", "open"):
        rate, raw = megabytes / best[way], megabytes / best[f"{way}_raw"]
        fernet_rate = megabytes / MESSAGES / 8 / best[f"{way}_fernet"]
        say(f"streams, {way}: {rate:,.0f} MB/s, raw {raw:,.0f} MB/s, Fernet {fernet_rate:,.0f} MB/s")
        beside = f"AES-256-GCM on the same 16 KiB buffers, {raw:,.0f} MB/s"
        figures.append(Figure(f"{way}_over_raw", rate / raw, "times raw throughput", beside, rate / raw))
        beside = f"Fernet on the same 16 KiB, {fernet_rate:,.0f} MB/s"
        figures.append(Figure(f"{way}_mb_per_s", rate, "MB/s", beside, rate / fernet_rate))
    return figures


def records(say: Say) -> list[Figure]:
    """`records_per_s`, `opened_records_per_s`: 200-byte records in batches of a thousand, the key cached."""
    organization, subject = new_code(), new_code()
    names = [KeyName.subject(organization, subject, "speech.transcribe")]
    plain = [
        (Context(organization, (subject,), "speech.transcribe", "note", "body", new_code()), os.urandom(RECORD))
        for _ in range(RECORDS)
    ]
    sealed = [(context, one) for (context, _), one in zip(plain, sealing.seal_many(names, plain), strict=True)]
    library_key = os.urandom(32)
    bare = [(context.encode([bytes(16)]), one) for context, one in plain]
    bare_sealed = [(context, _library_seal(library_key, context, one)) for context, one in bare]
    fernet = Fernet(Fernet.generate_key())
    tokens = [fernet.encrypt(one) for _, one in plain]
    best = fastest(
        {
            "seal": lambda: sealing.seal_many(names, plain),
            "seal_library": lambda: [_library_seal(library_key, context, one) for context, one in bare],
            "open": lambda: sealing.open_many(names, sealed),
            "open_library": lambda: [_library_open(library_key, context, one) for context, one in bare_sealed],
            "seal_fernet": lambda: [fernet.encrypt(one) for _, one in plain],
            "open_fernet": lambda: [fernet.decrypt(token) for token in tokens],
            "single": lambda: [sealing.seal(context, names, one) for context, one in plain[:SINGLE_RECORDS]],
        },
        RECORD_ROUNDS,
    )
    rates = {way: (SINGLE_RECORDS if way == "single" else RECORDS) / taken for way, taken in best.items()}
    say("records: " + ", ".join(f"{way} {rate:,.0f}/s" for way, rate in rates.items()))
    figures = []
    for way, name in (("seal", "records_per_s"), ("open", "opened_records_per_s")):
        rate, library, beside = rates[way], rates[f"{way}_library"], rates[f"{way}_fernet"]
        text = f"the library alone, contexts encoded beforehand, {library:,.0f}/s"
        figures.append(Figure(name, rate, "records/s", text, rate / library))
        figures.append(Figure(f"fernet_{name}", beside, "records/s", f"{name}", beside / rate))
    single = rates["single"]
    text = "records_per_s, which asks the orders once for a thousand"
    return [*figures, Figure("single_records_per_s", single, "records/s", text, single / rates["seal"])]


def cold_open(say: Say) -> list[Figure]:
    """`cold_open_ms`: one record whose key is in no cache: the orders, the key's row, unwrapping at the provider, opening."""
    organization, subject = new_code(), new_code()
    names = [KeyName.subject(organization, subject, "speech.transcribe")]
    context = Context(organization, (subject,), "speech.transcribe", "note", "body", new_code())
    sealed = sealing.seal(context, names, os.urandom(RECORD))

    def open_() -> None:
        sealing.open(context, names, sealed)

    cold, warm = [], []
    for _ in range(COLD_ROUNDS):
        key_store.forget_cached()
        cold.append(seconds(open_))
        warm.append(seconds(open_))
    cold_ms, warm_ms = statistics.median(cold) * 1e3, statistics.median(warm) * 1e3
    say(f"one record: cold {cold_ms:.3f} ms, warm {warm_ms:.3f} ms")
    beside = f"the same with the key cached, {warm_ms:.3f} ms"
    return [Figure("cold_open_ms", cold_ms, "ms", beside, cold_ms / warm_ms)]


def files(say: Say) -> list[Figure]:
    """`file_seal_mb_per_s`, `file_open_mb_per_s`: from file to file, hashed and synced as the vault does it, beside a copy that
    does the same without sealing. `file_memory_growth_mb`: how far the highest memory of the process rose meanwhile."""
    work: Path = settings.VAR_DIR / "vault"
    work.mkdir(parents=True, exist_ok=True)
    copies = _Copies(work)
    try:
        copies.begin(FILE_WARM_UP)
        copies.seal()
        copies.open()
        copies.begin(FILE_SIZE)
        before = highest_memory()
        best = fastest(
            {
                "seal": copies.seal,
                "seal_copy": lambda: copies.copy(hashed=True),
                "open": copies.open,
                "open_copy": lambda: copies.copy(hashed=False),
            },
            FILE_ROUNDS,
        )
        growth = (highest_memory() - before) / 1e6
    finally:
        copies.end()
    figures = []
    for way, done in (("seal", "hashed and synced"), ("open", "synced")):
        rate, copy = FILE_SIZE / 1e6 / best[way], FILE_SIZE / 1e6 / best[f"{way}_copy"]
        say(f"files, {way}: {rate:,.0f} MB/s, a copy {copy:,.0f} MB/s")
        beside = f"a plain copy, {done}, {copy:,.0f} MB/s"
        figures.append(Figure(f"file_{way}_mb_per_s", rate, "MB/s", beside, rate / copy))
    say(f"files: the highest memory rose by {growth:.1f} MB")
    beside = f"a file of {FILE_SIZE / 1e6:,.0f} MB, after one of {FILE_WARM_UP / 1e6:,.0f} MB"
    return [*figures, Figure("file_memory_growth_mb", growth, "MB", beside)]


def rotate(say: Say) -> list[Figure]:
    """`rotated_keys_per_s`: a new epoch, every key moved, copied outside and committed, the old epoch destroyed at the provider."""
    organization, provider = new_code(), key_store.provider()
    for _ in range(ROTATED):
        owner = new_code()
        sealing.seal(_note(organization, owner), [KeyName.subject(organization, owner, "speech.transcribe")], b"x")
    rows = list(DataKey.objects.filter(organization=organization))

    def wrap_again() -> None:
        for row in rows:
            binding = key_store.binding_of(row)
            provider.wrap(row.epoch, provider.unwrap(row.epoch, bytes(row.wrapped), binding), binding)

    alone = seconds(wrap_again)
    began = time.perf_counter()
    moved = rotation.rotate().moved
    rate = moved / (time.perf_counter() - began)
    say(f"rotation: {moved:,} keys")
    beside = f"unwrapping and wrapping alone: {len(rows) / alone:,.0f} a second"
    return [Figure("rotated_keys_per_s", round(rate), "keys/s", beside, rate / (len(rows) / alone))]


def _note(organization: str, subject: str) -> Context:
    return Context(organization, (subject,), "speech.transcribe", "note", "bench", "row")


class _Copies:
    """A file of random bytes, and the ways to copy it: into a sealed file, out of the last sealed file, and plainly."""

    def __init__(self, directory: Path) -> None:
        self._source, self._target = directory / "source", directory / "target"
        self._organization, self._subject = new_code(), new_code()
        self._names = [KeyName.subject(self._organization, self._subject, "audio.store")]
        self._piece = memoryview(bytearray(PIECE))
        self._blob: SealedBlob | None = None

    def begin(self, size: int) -> None:
        with self._source.open("wb") as file:
            for _ in range(size // PIECE):
                file.write(os.urandom(PIECE))

    def seal(self) -> None:
        self._discard()
        code = new_code()
        with (
            self._source.open("rb") as source,
            sealing.seal_stream(self._context(code), self._names, code=code) as writer,
        ):
            while size := source.readinto(self._piece):
                writer.write(self._piece[:size])
            self._blob = writer.finish()

    def open(self) -> None:
        assert self._blob is not None
        with self._target.open("wb") as target:
            for piece in sealing.open_stream(self._context(self._blob.code), self._names, self._blob):
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())

    def copy(self, *, hashed: bool) -> None:
        digest = hashlib.sha256()
        with self._source.open("rb") as source, self._target.open("wb") as target:
            while size := source.readinto(self._piece):
                if hashed:
                    digest.update(self._piece[:size])
                target.write(self._piece[:size])
            target.flush()
            os.fsync(target.fileno())

    def end(self) -> None:
        self._discard()
        self._source.unlink(missing_ok=True)
        self._target.unlink(missing_ok=True)

    def _context(self, code: str) -> Context:
        return Context(self._organization, (self._subject,), "audio.store", "recording", "bench", code)

    def _discard(self) -> None:
        if self._blob is not None:
            storage.remove(self._blob.code)
            self._blob = None


def _sealed_message(key: InputKey, context: bytes, plain: bytes) -> tuple[bytes, list[bytes], bytes]:
    """A message of `MESSAGE_CHUNKS` times the same chunk: its start, its whole chunks and its last, empty one."""
    stream = SealStream(key, context)
    first, *rest = [bytes(stream.buffer[: stream.update(plain)]) for _ in range(MESSAGE_CHUNKS)]
    return first[:OVERHEAD], [first[OVERHEAD:], *rest], stream.finish()


def _library_seal(key: bytes, context: bytes, plaintext: bytes) -> bytes:
    encryptor = Cobblestone256Encryptor(key, context)
    return encryptor.update(plaintext) + encryptor.finalize()


def _library_open(key: bytes, context: bytes, sealed: bytes) -> bytes:
    decryptor = Cobblestone256Decryptor(key, context)
    return decryptor.update(sealed) + decryptor.finalize()
