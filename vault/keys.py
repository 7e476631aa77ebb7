"""Finding, making and unwrapping data keys. Keys are made before the data they seal; a key ordered destroyed opens nothing.

How often a name was ordered shredded is its generation: a key serves only while its own generation is that number, so that an
order closes every older key at its commit, and a consent given later gets a fresh one.
"""

import secrets
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Q

from vault.errors import KeyMissing, KeyShredded
from vault.format import KEY_BYTES, InputKey
from vault.models import DataKey, KeyClass, ShredOrder
from vault.provider import KeyProvider, KeyringProvider

CACHE_SECONDS: Final = 1.0
CACHE_SIZE: Final = 4096


@dataclass(frozen=True, slots=True, order=True)
class KeyName:
    """Whose key, for what: one per subject and scope, one per waiting recording, one per person's record."""

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
    def record(cls, organization: str, subject: str) -> "KeyName":
        return cls(organization, KeyClass.RECORD, subject)


@dataclass(frozen=True, slots=True)
class HeldKey:
    """An unwrapped key with its id."""

    id: bytes
    key: InputKey


class _Cache:
    """Unwrapped keys of this process, for at most a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[tuple[KeyName, int], tuple[float, HeldKey]] = {}

    def get(self, name: KeyName, generation: int) -> HeldKey | None:
        with self._lock:
            entry = self._keys.get((name, generation))
            if entry is None or time.monotonic() - entry[0] > CACHE_SECONDS:
                return None
            return entry[1]

    def put(self, name: KeyName, generation: int, key: HeldKey) -> None:
        with self._lock:
            if len(self._keys) >= CACHE_SIZE:
                self._keys.clear()
            self._keys[(name, generation)] = (time.monotonic(), key)

    def clear(self) -> None:
        with self._lock:
            self._keys.clear()


_cache = _Cache()
_provider: KeyProvider | None = None


def provider() -> KeyProvider:
    """This process's key provider."""
    global _provider  # noqa: PLW0603 (one provider per process, made when first needed)
    if _provider is None:
        _provider = KeyringProvider(settings.VOXGOV_KEYRING)
    return _provider


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
    """The keys in force for these names, made now where there are none, in order of key id."""
    now = generations(names)
    return sorted((_in_force(name, now[name]) for name in set(names)), key=lambda held: held.id)


def for_opening(names: Sequence[KeyName], key_ids: Sequence[bytes]) -> list[HeldKey]:
    """The keys that sealed data names, in the order it names them. Raises `KeyShredded` when one was ordered destroyed or is
    gone, `KeyMissing` when the data names a key of somebody else."""
    now = generations(names)
    held = {}
    for name in set(names):
        found = _find(name, now[name])
        if found is None:
            raise KeyShredded("the key of this data was destroyed")
        held[found.id] = found
    if set(held) != set(key_ids):
        ours = DataKey.objects.filter(id__in=[uuid.UUID(bytes=key_id) for key_id in key_ids])
        known = {KeyName(k.organization, KeyClass(k.key_class), k.owner, k.scope) for k in ours}
        if known - set(names):
            raise KeyMissing("the data names a key that is not its owner's")
        raise KeyShredded("the key of this data was destroyed")
    return [held[key_id] for key_id in key_ids]


def forget_cached() -> None:
    """Drops every unwrapped key of this process."""
    _cache.clear()


def binding(name: KeyName, key_id: bytes, generation: int) -> bytes:
    """What a wrapped key is bound to: swapped between owners it does not open."""
    return "\x00".join(
        [name.organization, name.key_class.value, name.owner, name.scope, str(generation), key_id.hex()]
    ).encode()


def _in_force(name: KeyName, generation: int) -> HeldKey:
    return _find(name, generation) or _make(name, generation)


def _find(name: KeyName, generation: int) -> HeldKey | None:
    cached = _cache.get(name, generation)
    if cached is not None:
        return cached
    row = DataKey.objects.filter(
        organization=name.organization,
        key_class=name.key_class,
        owner=name.owner,
        scope=name.scope,
        generation=generation,
    ).first()
    if row is None:
        return None
    raw = provider().unwrap(row.epoch, bytes(row.wrapped), binding(name, row.id.bytes, generation))
    held = HeldKey(row.id.bytes, InputKey(raw))
    _cache.put(name, generation, held)
    return held


def _make(name: KeyName, generation: int) -> HeldKey:
    key_id = uuid.UUID(bytes=secrets.token_bytes(16), version=4)
    raw = secrets.token_bytes(KEY_BYTES)
    epoch = provider().current_epoch()
    try:
        with transaction.atomic(using="keys"):
            DataKey.objects.create(
                id=key_id,
                organization=name.organization,
                key_class=name.key_class,
                owner=name.owner,
                scope=name.scope,
                generation=generation,
                epoch=epoch,
                wrapped=provider().wrap(epoch, raw, binding(name, key_id.bytes, generation)),
            )
    except IntegrityError:
        found = _find(name, generation)
        if found is None:
            raise
        return found
    held = HeldKey(key_id.bytes, InputKey(raw))
    _cache.put(name, generation, held)
    return held
