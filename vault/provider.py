"""Who holds the epoch keys: the Protocol of a key provider. `provider_keyring`, `provider_transit` and `provider_kms` are the ones
there are. No key of a provider is ever written to a database. No Django here."""

from datetime import timedelta
from typing import Final, Protocol

from vault.format import InputKey

STANDING: Final = 0
"""The number of a key beside the epochs that is never destroyed: it wraps what must outlive every rotation, the key of the
journal. No data key of a person is ever wrapped under it."""


class KeyProvider(Protocol):
    """Holds one key for each epoch, wraps data keys under them, and holds the keys for blind indexes and signatures.

    Every method raises `ProviderUnavailable` (transient) when the provider does not answer, answers late or answers nonsense.
    """

    deletion_delay: timedelta
    """How long after `destroy_epoch` the provider itself could still undo it."""

    def ensure(self) -> bool:
        """Makes whatever is not there yet: the standing key, a first epoch, the blind and signing keys. True when it made one."""
        ...

    def epochs(self) -> tuple[int, ...]:
        """The epochs whose keys can be used now, in rising order; asked afresh, never from a cache."""
        ...

    def begin_epoch(self, epoch: int) -> None:
        """Makes a fresh key for that epoch; idempotent. Numbers only rise: one that was destroyed is refused or never asked for."""
        ...

    def destroy_epoch(self, epoch: int) -> None:
        """Destroys that epoch's key, at the provider, for good (after `deletion_delay`); from now on it unwraps nothing.
        Idempotent. Raises `ValueError` for the newest epoch and for `STANDING`."""
        ...

    def wrap(self, epoch: int, key: InputKey, binding: bytes) -> bytes:
        """The key sealed under the epoch's key, bound to `binding`. Raises `EpochDestroyed`."""
        ...

    def unwrap(self, epoch: int, wrapped: bytes, binding: bytes) -> InputKey:
        """Raises `EpochDestroyed` when the epoch is gone, `ProviderWrongKey` when `wrapped` is not that key's."""
        ...

    def blind(self, message: bytes) -> bytes:
        """HMAC-SHA256 of the message, 32 bytes; of its SHA-256 where the message itself would have to leave this machine."""
        ...

    def sign(self, purpose: str, message: bytes) -> bytes:
        """Ed25519 signature (RFC 8032), 64 bytes, with the key for that purpose (`keyring.SIGNING_PURPOSES`)."""
        ...

    def public_key(self, purpose: str) -> bytes:
        """The raw Ed25519 public key that verifies `sign`, 32 bytes."""
        ...
