"""What can go wrong with sealed data. Each error carries a stable code; `transient` says whether waiting can help."""


class VaultError(Exception):
    """Base of all errors of this room. Messages never hold keys or plaintext."""

    code = "vault_error"
    transient = False


class SealBroken(VaultError):
    """The sealed bytes do not open in this context: altered, moved, cut short, or of an unknown version."""

    code = "seal_broken"


class KeyShredded(VaultError):
    """A key that the data needs was destroyed, or ordered destroyed."""

    code = "data_destroyed"


class KeyMissing(VaultError):
    """The key that sealed bytes name belongs to somebody else or was never there."""

    code = "key_missing"


class ProviderUnavailable(VaultError):
    """The key provider does not answer; nothing is read or written until it does."""

    code = "key_provider_unavailable"
    transient = True


class ProviderWrongKey(ProviderUnavailable):
    """The provider's key does not open a wrapped key: another keyring than the one that wrapped it, or an altered row."""

    code = "key_provider_wrong_key"


class EpochDestroyed(ProviderUnavailable):
    """The provider destroyed the epoch that wrapped this key. Rotation moves every key before it does that, so the keys database
    is older than the provider: `manage.py vault recover` puts it right."""

    code = "key_epoch_destroyed"


class KeyringInvalid(ProviderUnavailable):
    """The keyring file is malformed or readable by others; waiting helps once somebody puts it right."""

    code = "keyring_invalid"


class StorageUnavailable(VaultError):
    """A sealed file cannot be read or written (disk full, file gone)."""

    code = "storage_unavailable"
    transient = True


class ShredOutsideTransaction(VaultError):
    """A shred order was written outside a transaction."""

    code = "shred_outside_transaction"


class RotationUnderWay(VaultError):
    """Another process is rotating the keys at this moment."""

    code = "rotation_under_way"
    transient = True


class KeysUnopenable(VaultError):
    """A rotation met keys that do not open at this provider. Their epoch stays until somebody decides: `manage.py vault status`."""

    code = "keys_unopenable"


class JournalUnwritten(StorageUnavailable):
    """What was done is in force, but its record outside the databases could not be written; it will be as soon as it can."""

    code = "journal_unwritten"


class JournalBroken(VaultError):
    """A line of the journal is altered, missing or not ours; the message says where."""

    code = "journal_broken"
