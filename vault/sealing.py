"""The narrow face of the vault: `seal`, `open`, `seal_many`, `open_many`, `seal_stream`, `open_stream`, `open_range`, `shred`,
and `discard` for files.

Several key names mean that every one of those keys is needed to open. Decryption failure raises, always.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import BinaryIO, Never, Self

from django.db import transaction

from vault import format as sealed_format
from vault import keys as key_store
from vault import shredding, storage
from vault.context import Context
from vault.errors import KeyShredded, SealBroken
from vault.format import Header, InputKey
from vault.keys import HeldKey, KeyName
from vault.models import KeyClass, SealedBlob, ShredOrder
from vault.ranges import OVERHEAD, ChunkReader
from vault.stream import PIECE, SEALED_PIECE, OpenStream, SealStream


def seal(context: Context, keys: Sequence[KeyName], plaintext: bytes) -> bytes:
    """Seals a small value under all of the keys, which are made first where they are not there yet.

    Raises `ProviderUnavailable`, and `KeyShredded` when a key is ordered destroyed at this very moment.
    """
    _require_one_organization([context], keys)
    held = _HeldKeys.for_sealing(keys)
    return sealed_format.seal(held.key, held.header, context, plaintext)


def seal_many(keys: Sequence[KeyName], values: Sequence[tuple[Context, bytes]]) -> list[bytes]:
    """Seals small values under the same keys, in order, each as `seal` would. The shred orders are asked once for all, and
    again whenever the answer is a second old: all are sealed, or the first error is raised and none is given.

    Raises `ProviderUnavailable`, and `KeyShredded` when a key is ordered destroyed meanwhile.
    """
    _require_one_organization([context for context, _ in values], keys)
    if not values:
        return []
    held = _HeldKeys.for_sealing(keys)
    sealed = []
    for context, plaintext in values:
        sealed.append(sealed_format.seal(held.key, held.header, context, plaintext))
        # After each and not before: nothing is handed out that the orders were not asked about within the last second.
        held.require_in_force()
    return sealed


def open(context: Context, keys: Sequence[KeyName], sealed: bytes) -> bytes:
    """Opens a small value. Raises `SealBroken`, `KeyShredded`, `KeyMissing`, `ProviderUnavailable`."""
    _require_one_organization([context], keys)
    held = _HeldKeys.for_opening(keys, sealed_format.parse_header(sealed))
    return sealed_format.open_sealed(held.key, held.header, context, sealed)


def open_many(keys: Sequence[KeyName], values: Sequence[tuple[Context, bytes]]) -> list[bytes]:
    """Opens small values that were sealed under the same keys, in order. The shred orders are asked once for all, and again
    whenever the answer is a second old: all open, or the first error is raised and none is given.

    Raises `SealBroken`, `KeyShredded`, `KeyMissing`, `ProviderUnavailable`.
    """
    _require_one_organization([context for context, _ in values], keys)
    if not values:
        return []
    held = _HeldKeys.for_opening(keys, sealed_format.parse_header(values[0][1]))
    start = held.header.encode()

    def each() -> Iterator[bytes]:
        for context, sealed in values:
            if not sealed.startswith(start):
                held.refuse(sealed_format.parse_header(sealed))
            yield sealed_format.open_sealed(held.key, held.header, context, sealed)
            # As in `seal_many`.
            held.require_in_force()

    # Collected out of sight: a frame that raises shows nothing that was opened before.
    return list(each())


class SealingWriter:
    """Seals a file while it streams in, in flat memory. Leaving the block without `finish` or by an exception leaves nothing."""

    def __init__(self, context: Context, keys: Sequence[KeyName], code: str) -> None:
        _require_one_organization([context], keys)
        if len({(name.key_class, name.scope) for name in keys}) != 1:
            raise ValueError("a file is sealed under keys of one class and scope")
        held = _HeldKeys.for_sealing(keys)
        self._names = list(keys)
        self._code = code
        self._stream = SealStream(held.key, context.encode(held.header.key_ids))
        self._file = storage.DraftFile(code)
        self._digest = hashlib.sha256()
        self._plain = self._sealed = 0
        self._finished = False
        try:
            self._put(held.header.encode())
        except BaseException:
            self.abort()
            raise

    def __repr__(self) -> str:
        return f"SealingWriter({self._code})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None or not self._finished:
            self.abort()

    def abort(self) -> None:
        """Leaves nothing behind, finished or not."""
        self._file.discard()

    def write(self, plaintext: bytes | memoryview) -> None:
        rest = memoryview(plaintext).cast("B")
        self._plain += len(rest)
        while rest:
            size = self._stream.update(rest[:PIECE])
            self._put(self._stream.buffer[:size])
            rest = rest[PIECE:]

    def finish(self) -> SealedBlob:
        """Syncs the file and gives its row, not yet saved: the caller's transaction saves it, or the file is discarded."""
        self._put(self._stream.finish())
        self._file.publish()
        self._finished = True
        first = self._names[0]
        return SealedBlob(
            code=self._code,
            organization=first.organization,
            key_class=first.key_class,
            owners=sorted({name.owner for name in self._names}),
            scope=first.scope,
            plaintext_size=self._plain,
            sealed_size=self._sealed,
            sha256=self._digest.hexdigest(),
        )

    def _put(self, sealed: bytes | memoryview) -> None:
        self._digest.update(sealed)
        self._sealed += len(sealed)
        self._file.write(sealed)


def seal_stream(context: Context, keys: Sequence[KeyName], *, code: str) -> SealingWriter:
    """Begins a sealed file with that code; use it as a context manager."""
    return SealingWriter(context, keys, code)


def open_stream(context: Context, keys: Sequence[KeyName], blob: SealedBlob) -> Iterator[bytes]:
    """The file's plaintext in pieces. Only when the iterator ends without an error was the file whole.

    Raises, at any piece, `SealBroken`, `KeyShredded` (at most a second after the order), `StorageUnavailable`.
    """
    _require_one_organization([context], keys)
    with storage.open_file(blob.code) as file:
        held = _HeldKeys.of_file(file, keys)
        stream = OpenStream(held.key, context.encode(held.header.key_ids))
        file.seek(held.header.size)
        # The stream's own start first: every piece then begins at a chunk.
        stream.update(storage.read(file, OVERHEAD))
        piece = memoryview(bytearray(SEALED_PIECE))
        while size := storage.read_into(file, piece):
            held.require_in_force()
            # A copy, because the caller may keep it.
            if opened := bytes(stream.buffer[: stream.update(piece[:size])]):
                yield opened
        held.require_in_force()
        yield stream.finish()


class RangeReader:
    """Reads a sealed file by byte range; for one thread. What it gives is authentic; that the file is whole only `open_stream`
    proves. An order to shred its key ends the reading within a second."""

    def __init__(self, context: Context, keys: Sequence[KeyName], blob: SealedBlob) -> None:
        _require_one_organization([context], keys)
        self._file = storage.open_file(blob.code)
        try:
            self._held = _HeldKeys.of_file(self._file, keys)
            self._start = self._held.header.size
            encoded = context.encode(self._held.header.key_ids)
            self._reader = ChunkReader(self._held.key, encoded, self._read_at, blob.sealed_size - self._start)
            if self._reader.size != blob.plaintext_size:
                raise SealBroken("the file's length is not the one recorded")
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RangeReader(size={self.size})"

    @property
    def size(self) -> int:
        """Plaintext bytes."""
        return self._reader.size

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; shorter at the end. Raises `SealBroken`, `KeyShredded`, `StorageUnavailable`."""
        self._held.require_in_force()
        return self._reader.read(offset, length)

    def close(self) -> None:
        self._file.close()

    def _read_at(self, offset: int, length: int) -> bytes:
        self._file.seek(self._start + offset)
        return storage.read(self._file, length)


def open_range(context: Context, keys: Sequence[KeyName], blob: SealedBlob) -> RangeReader:
    """Opens a sealed file for reading by range. Raises `SealBroken`, `KeyShredded`, `KeyMissing`, `ProviderUnavailable`."""
    return RangeReader(context, keys, blob)


def shred(organization: str, *, owner: str, key_class: KeyClass, scope: str = "", reason: str) -> ShredOrder:
    """Orders keys destroyed, in the caller's transaction: from its commit on nothing under them opens. No `scope`: all."""
    return shredding.place_order(organization, owner=owner, key_class=key_class, scope=scope, reason=reason)


def discard(blob: SealedBlob) -> None:
    """Deletes a sealed file: the row in the caller's transaction, the file after it commits."""
    code = blob.code
    SealedBlob.objects.filter(code=code).delete()
    transaction.on_commit(lambda: storage.remove(code) and None)


class _HeldKeys:
    """The keys of a batch or an open file and the header that names them, asked for again whenever the last answer is older
    than a cached key may be."""

    def __init__(self, names: Sequence[KeyName], header: Header, held: Sequence[HeldKey], asked: float) -> None:
        self.header = header
        self.key: InputKey = sealed_format.combine([key.key for key in held])
        self._names = names
        self._asked = asked

    @classmethod
    def for_sealing(cls, names: Sequence[KeyName]) -> Self:
        """Makes the keys that are not there yet. Raises what `keys.for_sealing` raises."""
        asked = time.monotonic()
        held = key_store.for_sealing(names)
        return cls(names, Header(tuple(key.id for key in held)), held, asked)

    @classmethod
    def for_opening(cls, names: Sequence[KeyName], header: Header) -> Self:
        """Raises what `keys.for_opening` raises."""
        asked = time.monotonic()
        return cls(names, header, key_store.for_opening(names, header.key_ids), asked)

    @classmethod
    def of_file(cls, file: BinaryIO, names: Sequence[KeyName]) -> Self:
        return cls.for_opening(names, sealed_format.parse_header(storage.read(file, sealed_format.MAX_HEADER)))

    def require_in_force(self) -> None:
        """Raises `KeyShredded`, `ProviderUnavailable`."""
        now = time.monotonic()
        if now - self._asked > key_store.CACHE_SECONDS:
            key_store.for_opening(self._names, self.header.key_ids)
            # The time before the question: an order that came after the answer counts from then.
            self._asked = now

    def refuse(self, other: Header) -> Never:
        """Why data that names other keys does not open: raises `KeyMissing` or `KeyShredded`."""
        key_store.for_opening(self._names, other.key_ids)
        raise KeyShredded("a key was ordered destroyed while its data was being opened")


def _require_one_organization(contexts: Sequence[Context], keys: Sequence[KeyName]) -> None:
    organizations = {name.organization for name in keys}
    if len(organizations) != 1 or not {context.organization for context in contexts} <= organizations:
        raise ValueError("data is sealed under keys of its own organization")
