"""The keyring file: epoch keys by number (0 is the standing key, which is never destroyed), the blind-index key and signing
keys by purpose, 32 random bytes each; JSON, mode 0600.

It is written whole, synced and renamed into place, so that a crash leaves the old file or the new one, and what a rewrite left
out is in no file any more. It belongs in no backup of the databases. No Django here.
"""

import base64
import json
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault import durable
from vault.errors import KeyringInvalid, ProviderUnavailable
from vault.format import InputKey
from vault.provider import STANDING

VERSION: Final = 1
FIRST: Final = 1
CERTIFICATES: Final = "certificates"
LOG: Final = "log"
RECEIPTS: Final = "receipts"
SIGNING_PURPOSES: Final = (CERTIFICATES, LOG, RECEIPTS)


@dataclass(frozen=True, slots=True)
class Keyring:
    """What the file holds. Its keys show nothing. `current` is the newest epoch; no number is used twice."""

    current: int
    epochs: Mapping[int, InputKey]
    blind: InputKey
    signing: Mapping[str, InputKey]

    def __reduce__(self) -> str:
        raise TypeError("keys are not serialized")

    def signer(self, purpose: str) -> Ed25519PrivateKey:
        """Raises `KeyringInvalid` when the keyring has no key for that purpose."""
        key = self.signing.get(purpose)
        if key is None:
            raise KeyringInvalid(f"the keyring has no signing key for {purpose}: run `manage.py vault init`")
        return Ed25519PrivateKey.from_private_bytes(key.reveal())


def ensure(path: Path) -> bool:
    """Makes a keyring with one epoch, or adds the standing and signing keys that one lacks. True when it wrote. Raises as
    `load` does."""
    with _locked(path):
        if not path.exists():
            ring = Keyring(FIRST, {FIRST: InputKey.fresh()}, InputKey.fresh(), {})
        else:
            ring = load(path)
            if set(SIGNING_PURPOSES) <= set(ring.signing) and STANDING in ring.epochs:
                return False
        signing = {purpose: InputKey.fresh() for purpose in SIGNING_PURPOSES} | dict(ring.signing)
        _write(path, replace(ring, epochs={STANDING: InputKey.fresh()} | dict(ring.epochs), signing=signing))
        return True


def begin_epoch(path: Path, epoch: int) -> None:
    """Adds a fresh key for that epoch, which becomes the newest; idempotent. Raises `ValueError` for one that was destroyed."""

    def with_it(ring: Keyring) -> Keyring:
        if epoch in ring.epochs:
            return ring
        if epoch <= ring.current:
            raise ValueError(f"epoch {epoch} was destroyed; no number is used twice")
        return replace(ring, current=epoch, epochs={**ring.epochs, epoch: InputKey.fresh()})

    _rewrite(path, with_it)


def destroy_epoch(path: Path, epoch: int) -> None:
    """Writes the keyring without that epoch's key; idempotent. Raises `ValueError` for the newest epoch and the standing key, and
    `KeyringInvalid` while the file has a second name, under which the key would outlive this."""

    def without(ring: Keyring) -> Keyring:
        if epoch in (ring.current, STANDING):
            raise ValueError("the newest epoch and the standing key are not destroyed: begin another epoch first")
        if path.stat().st_nlink > 1:
            raise KeyringInvalid(f"{path} has a second name (a hard link) that would keep the destroyed key: remove it")
        return replace(ring, epochs={number: key for number, key in ring.epochs.items() if number != epoch})

    _rewrite(path, without)


def load(path: Path) -> Keyring:
    """Raises `ProviderUnavailable` when the file is not there, `KeyringInvalid` when others can read it or it is no keyring."""
    _require_private(path)
    # No local here or in any caller ever holds the text, and no decoding error, which would carry it, is chained.
    try:
        ring = _parse(path.read_bytes())
    except OSError as error:
        raise ProviderUnavailable(f"the keyring cannot be read: {error.strerror}") from error
    if ring is None:
        raise KeyringInvalid(f"{path} is not a keyring of version {VERSION}")
    return ring


def _require_private(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise ProviderUnavailable(f"the keyring cannot be read: {error.strerror}") from error
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise KeyringInvalid(f"{path} can be read by others: make it mode 0600")


def _parse(text: bytes) -> Keyring | None:
    try:
        body = json.loads(text)
        if body["version"] != VERSION:
            return None
        ring = Keyring(
            current=int(body["current"]),
            epochs={int(number): _key(key) for number, key in body["epochs"].items()},
            blind=_key(body["blind"]),
            signing={purpose: _key(key) for purpose, key in body.get("signing", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return ring if ring.current in ring.epochs else None


def _key(encoded: str) -> InputKey:
    return InputKey(base64.b64decode(encoded, validate=True))


def _dump(ring: Keyring) -> bytes:
    def encoded(key: InputKey) -> str:
        return base64.b64encode(key.reveal()).decode()

    return json.dumps(
        {
            "version": VERSION,
            "current": ring.current,
            "epochs": {str(number): encoded(key) for number, key in sorted(ring.epochs.items())},
            "blind": encoded(ring.blind),
            "signing": {purpose: encoded(key) for purpose, key in sorted(ring.signing.items())},
        }
    ).encode()


def _rewrite(path: Path, change: Callable[[Keyring], Keyring]) -> None:
    with _locked(path):
        ring = load(path)
        changed = change(ring)
        if changed is not ring:
            _write(path, changed)


def _write(path: Path, ring: Keyring) -> None:
    # Behind a symbolic link it is the file itself that must hold no destroyed key.
    durable.write_whole(path.resolve(), lambda: _dump(ring))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        file = path.resolve()
        with durable.exclusive(file.with_name(f".{file.name}.lock")):
            yield
    except OSError as error:
        raise ProviderUnavailable(f"the keyring cannot be written: {error.strerror}") from error
