"""Which epoch new data keys are wrapped under. The provider holds the epochs' keys; here are their numbers and their fate.

A key is made under a shared lock on its epoch's row, and rotation retires an epoch by changing that row: so once an epoch is
retired, no key can appear under it any more, whatever a slow process had in mind.
"""

from typing import Final

from django.db import connections, transaction
from django.utils import timezone

from vault.errors import ProviderUnavailable
from vault.models import Epoch
from vault.provider import KeyProvider

KEYS_DATABASE: Final = "keys"
_NEWEST: Final = "SELECT number FROM vault_epoch WHERE retired_at IS NULL ORDER BY number DESC LIMIT 1 FOR SHARE"


def hold_current(provider: KeyProvider) -> int:
    """The epoch to wrap under, which stays in force until the caller's transaction in the keys database ends.

    Raises `ProviderUnavailable` when the provider has no epoch.
    """
    if not connections[KEYS_DATABASE].in_atomic_block:
        raise RuntimeError("an epoch is held within a transaction of the keys database")
    while (number := _held()) is None:
        # Either this database is new, or the row was retired while we waited for it; then its successor is there already.
        if not Epoch.objects.filter(retired_at=None).exists():
            adopt(provider)
    return number


def adopt(provider: KeyProvider) -> Epoch:
    """The row of the provider's newest epoch, made where this database does not know it yet. Raises `ProviderUnavailable`."""
    held = provider.epochs()
    if not held:
        raise ProviderUnavailable("the key provider has no epoch: run `manage.py vault init`")
    with transaction.atomic(using=KEYS_DATABASE):
        epoch, _ = Epoch.objects.get_or_create(number=held[-1], defaults={"begun_at": timezone.now()})
    return epoch


def _held() -> int | None:
    with connections[KEYS_DATABASE].cursor() as cursor:
        cursor.execute(_NEWEST)
        row = cursor.fetchone()
    return None if row is None else int(row[0])
