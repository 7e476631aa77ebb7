"""The narrow face of the vault: `seal`, `open`, `seal_stream`, `open_stream`, `open_range`, `shred`, and `discard` for files.

Several key names mean that every one of those keys is needed to open. Decryption failure raises, always.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import BinaryIO, Self

from cryptography.exceptions import InvalidTag
from django.db import transaction

from vault import format as sealed_format
from vault import keys as key_store
from vault import shredding, storage
from vault.context import Context
from vault.errors import SealBroken
from vault.format import Header
from vault.keys import KeyName
from vault.models import KeyClass, SealedBlob, ShredOrder
from vault.ranges import ChunkReader

READ_SIZE = 256 * 1024


def seal(context: Context, keys: Sequence[KeyName], plaintext: bytes) -> bytes:
    """Seals a small value under all of the keys, which are made first where they are not there yet.

    Raises `ProviderUnavailable`, and `KeyShredded` when a key is ordered destroyed at this very moment.
    """
    _require_one_organization(context, keys)
    held = key_store.for_sealing(keys)
    header = Header(tuple(key.id for key in held))
    return sealed_format.seal(sealed_format.combine([key.key for key in held]), header, context, plaintext)


def open(context: Context, keys: Sequence[KeyName], sealed: bytes) -> bytes:
    """Opens a small value. Raises `SealBroken`, `KeyShredded`, `KeyMissing`, `ProviderUnavailable`."""
    _require_one_organization(context, keys)
    header = sealed_format.parse_header(sealed)
    held = key_store.for_opening(keys, header.key_ids)
    return sealed_format.open_sealed(sealed_format.combine([key.key for key in held]), header, context, sealed)


class SealingWriter:
    """Seals a file while it streams in, in flat memory. Leaving the block without `finish` or by an exception leaves nothing."""

    def __init__(self, context: Context, keys: Sequence[KeyName], code: str) -> None:
        _require_one_organization(context, keys)
        if len({(name.key_class, name.scope) for name in keys}) != 1:
            raise ValueError("a file is sealed under keys of one class and scope")
        held = key_store.for_sealing(keys)
        header = Header(tuple(key.id for key in held))
        self._names = list(keys)
        self._code = code
        self._encryptor = sealed_format.combine([key.key for key in held]).encryptor(context.encode(header.key_ids))
        self._file = storage.DraftFile(code)
        self._digest = hashlib.sha256()
        self._plain = self._sealed = 0
        self._finished = False
        try:
            self._put(header.encode())
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

    def write(self, plaintext: bytes) -> None:
        self._plain += len(plaintext)
        self._put(self._encryptor.update(plaintext))

    def finish(self) -> SealedBlob:
        """Syncs the file and gives its row, not yet saved: the caller's transaction saves it, or the file is discarded."""
        self._put(self._encryptor.finalize())
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

    def _put(self, sealed: bytes) -> None:
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
    _require_one_organization(context, keys)
    with storage.open_file(blob.code) as file:
        held = _HeldFileKey(file, keys)
        decryptor = held.key.decryptor(context.encode(held.header.key_ids))
        file.seek(held.header.size)
        try:
            while piece := storage.read(file, READ_SIZE):
                held.require_in_force()
                yield decryptor.update(piece)
            yield decryptor.finalize()
        except (InvalidTag, ValueError) as error:
            raise SealBroken("does not open in this context") from error


class RangeReader:
    """Reads a sealed file by byte range; for one thread. What it gives is authentic; that the file is whole only `open_stream`
    proves. An order to shred its key ends the reading within a second."""

    def __init__(self, context: Context, keys: Sequence[KeyName], blob: SealedBlob) -> None:
        _require_one_organization(context, keys)
        self._file = storage.open_file(blob.code)
        try:
            self._held = _HeldFileKey(self._file, keys)
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


class _HeldFileKey:
    """The key of one open file, asked for again whenever the last answer is older than a cached key may be."""

    def __init__(self, file: BinaryIO, keys: Sequence[KeyName]) -> None:
        self.header = sealed_format.parse_header(storage.read(file, sealed_format.MAX_HEADER))
        self._names = keys
        self.key = self._ask()

    def require_in_force(self) -> None:
        """Raises `KeyShredded`, `ProviderUnavailable`."""
        if time.monotonic() - self._asked > key_store.CACHE_SECONDS:
            self._ask()

    def _ask(self) -> sealed_format.InputKey:
        held = key_store.for_opening(self._names, self.header.key_ids)
        self._asked = time.monotonic()
        return sealed_format.combine([key.key for key in held])


def _require_one_organization(context: Context, keys: Sequence[KeyName]) -> None:
    if {name.organization for name in keys} != {context.organization}:
        raise ValueError("data is sealed under keys of its own organization")
