"""Who holds the epoch keys: a small Protocol, and the default, a keyring file that only its owner can read.

No epoch key is ever written to a database. The blind-index key lives here too.
"""

import base64
import hmac
import json
import os
import secrets
import stat
import time
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.errors import KeyMissing, KeyringInvalid, ProviderUnavailable, SealBroken

_NONCE = 12


class KeyProvider(Protocol):
    """Wraps data keys under an epoch's key. Raises `ProviderUnavailable` (transient), `KeyMissing`, `SealBroken`."""

    def current_epoch(self) -> int: ...

    def wrap(self, epoch: int, key: bytes, binding: bytes) -> bytes: ...

    def unwrap(self, epoch: int, wrapped: bytes, binding: bytes) -> bytes: ...

    def blind(self, message: bytes) -> bytes: ...


class KeyringProvider:
    """A JSON file, mode 0600: epoch keys by number and the blind-index key, each 32 random bytes in base64."""

    recheck_seconds = 1.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loaded: dict[str, Any] | None = None
        self._stamp = (0, 0)
        self._checked = 0.0

    def __repr__(self) -> str:
        return "KeyringProvider(...)"

    def current_epoch(self) -> int:
        return int(self._ring()["current"])

    def wrap(self, epoch: int, key: bytes, binding: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._aead(epoch).encrypt(nonce, key, binding)

    def unwrap(self, epoch: int, wrapped: bytes, binding: bytes) -> bytes:
        try:
            return self._aead(epoch).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], binding)
        except InvalidTag as error:
            raise SealBroken("a wrapped key does not open under its epoch") from error

    def blind(self, message: bytes) -> bytes:
        return hmac.new(base64.b64decode(self._ring()["blind"]), message, sha256).digest()

    def _aead(self, epoch: int) -> AESGCM:
        encoded = self._ring()["epochs"].get(str(epoch))
        if encoded is None:
            raise KeyMissing(f"epoch {epoch} is not at the provider any more")
        return AESGCM(base64.b64decode(encoded))

    def _ring(self) -> dict[str, Any]:
        now = time.monotonic()
        if self._loaded is not None and now - self._checked < self.recheck_seconds:
            return self._loaded
        try:
            status = self._path.stat()
            if stat.S_IMODE(status.st_mode) & 0o077:
                raise KeyringInvalid(f"{self._path} can be read by others: make it mode 0600")
            stamp = (status.st_mtime_ns, status.st_ino)
            if self._loaded is None or stamp != self._stamp:
                ring = json.loads(self._path.read_text())
                if ring["version"] != 1 or str(ring["current"]) not in ring["epochs"] or not ring["blind"]:
                    raise KeyringInvalid(f"{self._path} is not a keyring of version 1")
                self._loaded, self._stamp = ring, stamp
        except OSError as error:
            raise ProviderUnavailable(f"the keyring cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise KeyringInvalid(f"{self._path} is not a keyring") from error
        self._checked = now
        return self._loaded


def create_keyring(path: Path) -> bool:
    """Makes a keyring with one epoch, synced, mode 0600. False when one is there already."""
    if path.exists():
        return False
    ring = {"version": 1, "current": 1, "epochs": {"1": _fresh()}, "blind": _fresh()}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(ring, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    _sync_directory(path.parent)
    return True


def _fresh() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
