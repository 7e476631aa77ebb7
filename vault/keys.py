"""Finding, making and unwrapping data keys. Keys are made before the data they seal; a key ordered destroyed opens nothing.

How often a name was ordered shredded is its generation: a key serves only while its own generation is that number, so that an
order closes every older key at its commit, and a consent given later gets a fresh one.
"""

import os
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Q

from vault import epochs, provider_choice
from vault.epochs import KEYS_DATABASE
from vault.errors import EpochDestroyed, KeyMissing, KeyShredded, VaultError
from vault.format import InputKey
from vault.key_cache import KeyCache
from vault.models import DataKey, KeyClass, ShredOrder
from vault.provider import KeyProvider

CACHE_SECONDS: Final = 1.0
CACHE_SIZE: Final = 4096


@dataclass(frozen=True, slots=True, order=True)
class KeyName:
    """Whose key, for what: one per subject and scope, one per waiting recording, one for the record of a person or a webhook."""

    organization: str
    key_class: KeyClass
    owner: str
    scope: str = ""

    @classmethod
    def subject(cls, organization: str, subject: str, scope: str) -> "KeyName":
        return cls(organization, KeyClass.SUBJECT, subject, scope)

    @classmethod
    def work(cls, organization: str, recording: str) -> "KeyName":
        return cls(organization, KeyClass.WORK, recording)

    @classmethod
    def record(cls, organization: str, owner: str) -> "KeyName":
        return cls(organization, KeyClass.RECORD, owner)


@dataclass(frozen=True, slots=True)
class HeldKey:
    """An unwrapped key with its id."""

    id: bytes
    key: InputKey


_cache: KeyCache[HeldKey] = KeyCache(CACHE_SECONDS, CACHE_SIZE)
_provider: KeyProvider | None = None


def provider() -> KeyProvider:
    """This process's key provider."""
    global _provider  # noqa: PLW0603 (one provider per process, made when first needed)
    if _provider is None:
        _provider = provider_choice.make(settings.VOXGOV_KEY_PROVIDER)
    return _provider


def _forget_provider() -> None:
    global _provider  # noqa: PLW0603 (as above)
    _provider = None


# A forked child asks for its own: the parent's may be in the middle of an answer, with its lock held.
os.register_at_fork(after_in_child=_forget_provider)


def generations(names: Sequence[KeyName]) -> dict[KeyName, int]:
    """How many shred orders name each key: one query, asked before every seal and every open."""
    wanted = Q()
    for name in names:
        wanted |= Q(organization=name.organization, key_class=name.key_class, owner=name.owner)
    rows = (
        ShredOrder.objects.filter(wanted)
        .values("organization", "key_class", "owner", "scope")
        .annotate(orders=Count("id"))
        if names
        else []
    )
    found = {(r["organization"], r["key_class"], r["owner"], r["scope"]): r["orders"] for r in rows}
    return {
        name: found.get((name.organization, name.key_class.value, name.owner, ""), 0)
        + (found.get((name.organization, name.key_class.value, name.owner, name.scope), 0) if name.scope else 0)
        for name in names
    }


def for_sealing(names: Sequence[KeyName]) -> list[HeldKey]:
    """The keys in force for these names, made now where there are none, in order of key id. Raises `ProviderUnavailable`, and
    `KeyShredded` when one was ordered destroyed at this very moment."""
    now = generations(names)
    return sorted((_in_force(name, now[name]) for name in set(names)), key=lambda held: held.id)


def for_opening(names: Sequence[KeyName], key_ids: Sequence[bytes]) -> list[HeldKey]:
    """The keys that sealed data names, in the order it names them. Raises `KeyShredded` when one was ordered destroyed or is
    gone, `KeyMissing` when the data names a key of somebody else."""
    now = generations(names)
    held = {}
    for name in set(names):
        found = _find(name, now[name])
        if found is None and not now[name]:
            raise KeyMissing("the key of this data is not there, although nobody ordered it destroyed")
        if found is None:
            raise KeyShredded("the key of this data was destroyed")
        held[found.id] = found
    if set(held) != set(key_ids):
        raise _other_keys(now, key_ids)
    return [held[key_id] for key_id in key_ids]


def _other_keys(now: Mapping[KeyName, int], key_ids: Sequence[bytes]) -> VaultError:
    """Why data names other keys than those in force. An older key of the same names was destroyed; without an order there
    is none, and a key that exists belongs to somebody else."""
    known = DataKey.objects.filter(id__in=[uuid.UUID(bytes=key_id) for key_id in key_ids])
    foreign = any(name_of(row) not in now for row in known)
    if foreign or not any(now.values()):
        return KeyMissing("the data names a key that is not its owner's")
    return KeyShredded("the key of this data was destroyed")


def forget_cached() -> None:
    """Drops every unwrapped key of this process."""
    _cache.clear()


def binding(name: KeyName, key_id: bytes, generation: int) -> bytes:
    """What a wrapped key is bound to: swapped between owners it does not open."""
    return "\x00".join(
        [name.organization, name.key_class.value, name.owner, name.scope, str(generation), key_id.hex()]
    ).encode()


def name_of(row: DataKey) -> KeyName:
    return KeyName(row.organization, KeyClass(row.key_class), row.owner, row.scope)


def binding_of(row: DataKey) -> bytes:
    return binding(name_of(row), row.id.bytes, row.generation)


def _in_force(name: KeyName, generation: int) -> HeldKey:
    return _find(name, generation) or _make(name, generation)


def _find(name: KeyName, generation: int) -> HeldKey | None:
    cached = _cache.get((name, generation))
    if cached is not None:
        return cached
    rows = DataKey.objects.filter(
        organization=name.organization,
        key_class=name.key_class,
        owner=name.owner,
        scope=name.scope,
        generation=generation,
    )
    row = rows.first()
    if row is None:
        return None
    try:
        held = _unwrapped(row)
    except EpochDestroyed:
        # Rotation moved the key to another epoch between our two steps; otherwise the provider is right.
        moved = rows.exclude(epoch=row.epoch).first()
        if moved is None:
            raise
        held = _unwrapped(moved)
    _cache.put((name, generation), held)
    return held


def _unwrapped(row: DataKey) -> HeldKey:
    return HeldKey(row.id.bytes, provider().unwrap(row.epoch, bytes(row.wrapped), binding_of(row)))


def _make(name: KeyName, generation: int) -> HeldKey:
    held = HeldKey(uuid.UUID(bytes=secrets.token_bytes(16), version=4).bytes, InputKey.fresh())
    try:
        with transaction.atomic(using=KEYS_DATABASE):
            epoch = epochs.hold_current(provider())
            row = DataKey(
                id=uuid.UUID(bytes=held.id),
                organization=name.organization,
                key_class=name.key_class,
                owner=name.owner,
                scope=name.scope,
                generation=generation,
                epoch=epoch,
                wrapped=provider().wrap(epoch, held.key, binding(name, held.id, generation)),
            )
            row.save(force_insert=True)
    except IntegrityError:
        # Somebody made it first, or it is of an order that was carried out meanwhile.
        found = _find(name, generation)
        if found is None:
            raise KeyShredded("the key was ordered destroyed while it was being made") from None
        return found
    if generations([name])[name] != generation:
        # The order's worker may have looked before the row was there.
        row.delete()
        raise KeyShredded("the key was ordered destroyed while it was being made")
    _cache.put((name, generation), held)
    return held
