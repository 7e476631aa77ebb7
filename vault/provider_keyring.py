"""The default key provider: a keyring file (`vault/keyring.py`) on this machine. No Django here."""

import hmac
import secrets
import threading
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault import keyring
from vault.errors import EpochDestroyed, KeyringInvalid, ProviderWrongKey
from vault.format import InputKey
from vault.key_cache import KeyCache
from vault.provider import STANDING

HOLD_SECONDS: Final = 1.0
_NONCE: Final = 12


class KeyringProvider:
    """Reads the keyring file when a key is asked for and holds it for a second at most, so that an idle process holds no epoch
    key, and none a destroyed one for longer. Wraps with AES-256-GCM under a random nonce: with
    one epoch per N days the 2^32 wraps that NIST SP 800-38D allows a key are never near."""

    deletion_delay = timedelta(0)

    def __init__(self, path: Path, hold_seconds: float = HOLD_SECONDS) -> None:
        self._path = path
        self._rings: KeyCache[keyring.Keyring] = KeyCache(hold_seconds, 1)
        self._newest = 0
        self._reading = threading.Lock()

    def __repr__(self) -> str:
        return "KeyringProvider(...)"

    def ensure(self) -> bool:
        return keyring.ensure(self._path)

    def epochs(self) -> tuple[int, ...]:
        return tuple(sorted(set(self._current(afresh=True).epochs) - {STANDING}))

    def begin_epoch(self, epoch: int) -> None:
        keyring.begin_epoch(self._path, epoch)

    def destroy_epoch(self, epoch: int) -> None:
        keyring.destroy_epoch(self._path, epoch)

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
        key = self._current().epochs.get(epoch)
        if key is None:
            # Begun a moment ago, perhaps: the file is looked at before anything is said about it.
            ring = self._current(afresh=True)
            key = ring.epochs.get(epoch)
            if key is None and epoch < ring.current:
                raise EpochDestroyed(f"epoch {epoch} was destroyed at the provider")
        if key is None:
            raise ProviderWrongKey(
                f"epoch {epoch} is not in this keyring: it is older than the database, or another one"
            )
        return AESGCM(key.reveal())

    def _current(self, *, afresh: bool = False) -> keyring.Keyring:
        ring = None if afresh else self._rings.get(self._path)
        if ring is not None:
            return ring
        # One reader at a time: two that overlap could put an older reading after a newer one.
        with self._reading:
            ring = keyring.load(self._path)
            if ring.current < self._newest:
                raise KeyringInvalid("the keyring went back to an earlier epoch")
            self._newest = ring.current
            self._rings.put(self._path, ring)
            return ring
