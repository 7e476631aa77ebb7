"""The journal: what must outlive a restored backup of the database, written outside it before it is acknowledged. Shred orders are
noted by this room, withdrawals and erasures by the rooms above; codes only, no content.

A note is a row in the transaction of the change it speaks of; right after the commit it becomes a line of the journal, synced, and
the row goes. A crash in between leaves the row, which the next flush writes. Lines are sealed to a public key (HPKE, RFC 9180), so
that writing needs no key provider; the private key lies beside them, wrapped under the provider's standing key. Each line names
the hash of the one before.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from vault import durable
from vault import keys as key_store
from vault.errors import JournalBroken, JournalUnwritten, StorageUnavailable
from vault.format import InputKey
from vault.models import JournalMark, JournalNote
from vault.provider import STANDING
from vault.storage import storage_errors

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_LABEL: Final = b"voxgov/v1/journal\x00"
_BINDING: Final = b"voxgov/v1/journal-recipient"
_RECIPIENT: Final = "recipient.json"
_LOCK: Final = ".lock"
_BEGINNING: Final = "0" * 64
_BATCH: Final = 1000
_TAIL: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: its number, when it was noted, and what about. Numbers rise by one."""

    number: int
    at: datetime
    kind: str
    body: Mapping[str, Any]


def ensure() -> bool:
    """Makes the journal's key pair; True when it did. Raises `ProviderUnavailable`, `StorageUnavailable`."""
    path = _root() / _RECIPIENT
    if path.exists():
        return False
    if _files():
        raise JournalBroken(f"the journal has lines and no key: bring {_RECIPIENT} back, nothing else opens them")
    with storage_errors("written"):
        _root().mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(_fresh_recipient(), file)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # of two that race the first wins
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        durable.sync_directory(_root())
    return True


def note(kind: str, body: Mapping[str, Any]) -> None:
    """Notes an entry in the caller's transaction; when that has committed, the line is on the disk before anything goes on."""
    if not connection.in_atomic_block:
        raise RuntimeError("a note of the journal commits with the change that it speaks of")
    JournalNote.objects.create(kind=kind, body=dict(body), at=timezone.now())
    transaction.on_commit(flush)


def flush() -> int:
    """Writes the notes that are not in the journal yet; returns how many. Raises `JournalUnwritten`: they stay, and what they
    speak of is in force."""
    written = 0
    while True:
        with transaction.atomic():
            # Whoever waits here for another's flush finds its notes on the disk afterwards.
            notes = list(JournalNote.objects.select_for_update().order_by("id")[:_BATCH])
            if not notes:
                return written
            try:
                number = _append([_encoded(note) for note in notes])
            except StorageUnavailable as error:
                raise JournalUnwritten(f"it is in force, but not in the journal yet: {error}") from error
            JournalNote.objects.filter(pk__in=[note.pk for note in notes]).delete()
            JournalMark.objects.update_or_create(pk=1, defaults={"number": number})
            written += len(notes)


def begun() -> bool:
    """Whether the journal has its key."""
    return (_root() / _RECIPIENT).exists()


def require_this_provider() -> None:
    """Raises `ProviderWrongKey` unless the provider is the one that the journal's key was made at, which is the one of the data."""
    _private_key()


def entries() -> Iterator[Entry]:
    """Every entry, oldest first. Raises `JournalBroken`, `ProviderUnavailable`, `StorageUnavailable`."""
    private = _private_key()
    number, before = None, ""
    for line in _lines():
        body = _parsed(line)
        if number is not None and (body["number"] != number + 1 or body["before"] != before):
            raise JournalBroken(f"line {body['number']} does not follow line {number}")
        number, before = body["number"], _digest(line)
        yield _opened(body, private)
    mark = JournalMark.objects.values_list("number", flat=True).first() or 0
    if (number or 0) < mark:
        raise JournalBroken(
            f"the journal ends with line {number or 0}, and this database has written line {mark}: it was cut"
        )


def last_number() -> int:
    """The number of the newest line, 0 when there is none. Raises `JournalBroken`, `StorageUnavailable`."""
    with storage_errors("read"):
        if not _files():
            return 0
        with durable.exclusive(_root() / _LOCK):
            return _last()[0]


def prune(before: datetime) -> int:
    """Deletes the files of months that ended before `before`; returns how many. What they speak of is in every backup by then."""
    gone = 0
    for path in _files()[:-1]:
        if path.stem < f"{before.astimezone(UTC):%Y-%m}":
            with storage_errors("removed"):
                path.unlink()
            gone += 1
    return gone


def _encoded(note: JournalNote) -> bytes:
    return json.dumps({"at": note.at.isoformat(), "kind": note.kind, "body": note.body}).encode()


def _append(texts: list[bytes]) -> int:
    """Returns the number of the last line."""
    recipient = _public_key()
    with storage_errors("written"), durable.exclusive(_root() / _LOCK):
        number, before = _last()
        # A clock that was ahead at a month's end must not part the chain: lines go to the newest file there is.
        newest = max([path.name for path in _files()] + [f"{datetime.now(UTC):%Y-%m}.journal"])
        path = _root() / newest
        fresh = not path.exists()
        with path.open("ab") as file:
            for text in texts:
                number += 1
                line = _sealed(text, recipient, number, before)
                before = _digest(line)
                file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if fresh:
            durable.sync_directory(_root())
    return number


def _sealed(text: bytes, recipient: X25519PublicKey, number: int, before: str) -> bytes:
    sealed = _SUITE.encrypt(text, recipient, _place(number, before))
    body = {"version": 1, "number": number, "before": before, "sealed": base64.b64encode(sealed).decode()}
    return json.dumps(body).encode()


def _opened(body: Mapping[str, Any], private: X25519PrivateKey) -> Entry:
    try:
        text = _SUITE.decrypt(base64.b64decode(body["sealed"]), private, _place(body["number"], body["before"]))
        inner = json.loads(text)
        return Entry(body["number"], datetime.fromisoformat(inner["at"]), inner["kind"], inner["body"])
    except (InvalidTag, ValueError, KeyError, TypeError) as error:
        raise JournalBroken(f"line {body['number']} does not open") from error


def _place(number: int, before: str) -> bytes:
    return _LABEL + f"{number}/{before}".encode()


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        body = json.loads(line)
        if body["version"] != 1 or not isinstance(body["number"], int) or not isinstance(body["before"], str):
            raise JournalBroken("a line is of another version")
    except (ValueError, KeyError, TypeError) as error:
        raise JournalBroken("a line of the journal is damaged") from error
    return dict(body)


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _last() -> tuple[int, str]:
    """Number and hash of the last line. Half a line at the end is what a crash left: it was never acknowledged, and goes."""
    for path in reversed(_files()):
        with path.open("r+b") as file:
            line = _last_line(file)
        if line:
            return _parsed(line)["number"], _digest(line)
    return 0, _BEGINNING


def _last_line(file: BinaryIO) -> bytes:
    size = file.seek(0, os.SEEK_END)
    looked = 0
    while True:
        looked = min(size, max(_TAIL, 2 * looked))
        file.seek(size - looked)
        tail = file.read()
        end = tail.rfind(b"\n") + 1
        if looked == size or tail.rfind(b"\n", 0, max(0, end - 1)) >= 0:
            break
    if end < looked:
        file.truncate(size - looked + end)
        os.fsync(file.fileno())
    return tail[:end].rstrip(b"\n").rpartition(b"\n")[2]


def _lines() -> Iterator[bytes]:
    for path in _files():
        with storage_errors("read"), path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line[:-1]


def _files() -> list[Path]:
    return sorted(_root().glob("????-??.journal"))


def _root() -> Path:
    root: Path = settings.VOXGOV_JOURNAL_DIR
    return root


def _recipient() -> dict[str, str]:
    with storage_errors("read"):
        try:
            return dict(json.loads((_root() / _RECIPIENT).read_bytes()))
        except FileNotFoundError:
            raise StorageUnavailable("the journal has no key: run `manage.py vault init`") from None
        except ValueError:
            raise StorageUnavailable(f"{_RECIPIENT} of the journal is damaged") from None


def _fresh_recipient() -> dict[str, str]:
    private = X25519PrivateKey.generate()
    wrapped = key_store.provider().wrap(STANDING, InputKey(private.private_bytes_raw()), _BINDING)
    return {
        "public_key": base64.b64encode(private.public_key().public_bytes_raw()).decode(),
        "private_key": base64.b64encode(wrapped).decode(),
    }


def _public_key() -> X25519PublicKey:
    try:
        return X25519PublicKey.from_public_bytes(base64.b64decode(_recipient()["public_key"], validate=True))
    except (ValueError, KeyError, TypeError):
        raise StorageUnavailable(f"{_RECIPIENT} of the journal is damaged") from None


def _private_key() -> X25519PrivateKey:
    try:
        wrapped = base64.b64decode(_recipient()["private_key"], validate=True)
    except (ValueError, KeyError, TypeError):
        raise StorageUnavailable(f"{_RECIPIENT} of the journal is damaged") from None
    return X25519PrivateKey.from_private_bytes(key_store.provider().unwrap(STANDING, wrapped, _BINDING).reveal())
