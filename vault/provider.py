"""Who holds the epoch keys: the Protocol of a key provider, and the default one, which reads a keyring file. The file itself is
`vault/keyring.py`'s. No key of a provider is ever written to a database. No Django here."""

import hmac
import secrets
import threading
import time
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault import keyring
from vault.errors import KeyringInvalid, KeyShredded, ProviderWrongKey
from vault.format import InputKey

_NONCE: Final = 12


class KeyProvider(Protocol):
    """Wraps data keys under an epoch's key, and holds the keys for blind indexes and signatures.

    Every method raises `ProviderUnavailable` (transient) when the provider does not answer or answers with a wrong key.
    """

    def current_epoch(self) -> int:
        """The epoch that new data keys are wrapped under."""
        ...

    def wrap(self, epoch: int, key: InputKey, binding: bytes) -> bytes:
        """The key sealed under the epoch's key, bound to `binding`."""
        ...

    def unwrap(self, epoch: int, wrapped: bytes, binding: bytes) -> InputKey:
        """Raises `KeyShredded` when the epoch was destroyed, `ProviderWrongKey` when `wrapped` is not that key's."""
        ...

    def blind(self, message: bytes) -> bytes:
        """HMAC-SHA256 of the message, 32 bytes."""
        ...

    def sign(self, purpose: str, message: bytes) -> bytes:
        """Ed25519 signature (RFC 8032), 64 bytes, with the key for that purpose (`keyring.SIGNING_PURPOSES`)."""
        ...

    def public_key(self, purpose: str) -> bytes:
        """The raw Ed25519 public key that verifies `sign`, 32 bytes."""
        ...


class KeyringProvider:
    """Reads the keyring file, and again at most a second after it changed. Wraps with AES-256-GCM under a random nonce: with
    one epoch per N days the 2^32 wraps that NIST SP 800-38D allows a key are never near."""

    recheck_seconds = 1.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ring: keyring.Keyring | None = None
        self._stamp = (0, 0, 0)
        self._checked = 0.0
        self._reading = threading.Lock()

    def __repr__(self) -> str:
        return "KeyringProvider(...)"

    def current_epoch(self) -> int:
        return self._current().current

    def wrap(self, epoch: int, key: InputKey, binding: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._aead(epoch).encrypt(nonce, key.reveal(), binding)

    def unwrap(self, epoch: int, wrapped: bytes, binding: bytes) -> InputKey:
        try:
            return InputKey(self._aead(epoch).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], binding))
        except (InvalidTag, ValueError) as error:
            raise ProviderWrongKey("a wrapped key does not open under its epoch at this provider") from error

    def blind(self, message: bytes) -> bytes:
        return hmac.new(self._current().blind.reveal(), message, sha256).digest()

    def sign(self, purpose: str, message: bytes) -> bytes:
        return self._current().signer(purpose).sign(message)

    def public_key(self, purpose: str) -> bytes:
        return self._current().signer(purpose).public_key().public_bytes_raw()

    def _aead(self, epoch: int) -> AESGCM:
        ring = self._current()
        key = ring.epochs.get(epoch)
        if key is not None:
            return AESGCM(key.reveal())
        if epoch < ring.current:
            raise KeyShredded(f"epoch {epoch} was destroyed at the provider")
        raise ProviderWrongKey(f"epoch {epoch} is not in this keyring: it is older than the database, or another one")

    def _current(self) -> keyring.Keyring:
        now = time.monotonic()
        if self._ring is not None and now - self._checked < self.recheck_seconds:
            return self._ring
        # One reader at a time: two that overlap could put an older reading after a newer one.
        with self._reading:
            stamp = keyring.stamp(self._path)
            if self._ring is None or stamp != self._stamp:
                ring = keyring.load(self._path)
                if self._ring is not None and ring.current < self._ring.current:
                    raise KeyringInvalid("the keyring went back to an earlier epoch")
                self._ring, self._stamp = ring, stamp
            self._checked = now
            return self._ring
