"""Keys that orders closed and that are there still: destroying them, with every copy. No order is needed for that, and none is done
by it; carrying out orders is `shredding`'s.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from vault import keys as key_store
from vault import rewrapped
from vault.models import DataKey

_BATCH: Final = 500
_NO_KEY: Final = UUID(int=0)


def destroy_stray_keys() -> int:
    """Destroys keys that an order closed but whose row came after the order was carried out (a crash between the two databases).

    Nothing was ever readable under them again; this ends their being there. Returns how many.
    """
    return sum(destroy(keys) for keys in stray_keys())


def stray_keys() -> Iterator[list[UUID]]:
    """The ids of keys that orders closed and that are there still, in batches; of open orders as well."""
    after = _NO_KEY
    while rows := list(DataKey.objects.filter(pk__gt=after).order_by("pk")[:_BATCH]):
        after = rows[-1].pk
        yield [key.pk for key in closed(rows)]


def destroy(ids: Sequence[UUID]) -> int:
    """The rows first, then the copies that a rotation left: one that is under way holds the rows until its copies are written."""
    deleted: int = DataKey.objects.filter(pk__in=ids).delete()[0]
    key_store.forget_cached()
    rewrapped.drop(ids)
    return deleted


def closed(keys: Sequence[DataKey]) -> list[DataKey]:
    """The keys that orders have closed: those of an older generation than the orders now count."""
    names = {key.pk: key_store.name_of(key) for key in keys}
    now = key_store.generations(list(set(names.values())))
    return [key for key in keys if key.generation < now[names[key.pk]]]
