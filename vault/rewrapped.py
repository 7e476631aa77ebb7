"""Copies of wrapped keys outside both databases, as the last rotation left them: with them a restored dump of the keys database
finds the keys that survived it, although the epoch that its rows name is gone.

A copy is what the row holds, a key wrapped under an epoch, and nothing about whose it is. Copies lie in 256 files by the first
byte of the key's id, each written whole, synced and renamed. A key that is shredded goes from here too.
"""

import base64
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from uuid import UUID

from django.conf import settings

from vault import durable
from vault.errors import StorageUnavailable
from vault.storage import storage_errors


@dataclass(frozen=True, slots=True)
class Copy:
    """One wrapped key: its id, the epoch that opens it, and the wrapped bytes."""

    id: UUID
    epoch: int
    wrapped: bytes


def keep(copies: Iterable[Copy]) -> None:
    """On the disk when this returns; an older copy of the same key is replaced. Raises `StorageUnavailable`."""
    for shard, group in groupby(sorted(copies, key=lambda copy: copy.id), key=lambda copy: _shard(copy.id)):
        _change(shard, add={copy.id: copy for copy in group})


def drop(ids: Iterable[UUID]) -> None:
    """Whatever copies there are of these keys go; idempotent. Raises `StorageUnavailable`."""
    for shard, group in groupby(sorted(ids), key=_shard):
        if _path(shard).exists():
            _change(shard, remove=frozenset(group))


def find(ids: Collection[UUID]) -> dict[UUID, Copy]:
    """The copies of these keys that there are. Raises `StorageUnavailable`."""
    found: dict[UUID, Copy] = {}
    for shard, group in groupby(sorted(ids), key=_shard):
        held = _load(_path(shard))
        found.update({name: held[name] for name in group if name in held})
    return found


def every() -> Iterator[Copy]:
    """All copies, in order of id. Raises `StorageUnavailable`."""
    for path in sorted(_root().glob("??.json")):
        yield from (copy for _, copy in sorted(_load(path).items()))


def _root() -> Path:
    root: Path = settings.VOXGOV_REWRAPPED_DIR
    return root


def _shard(key: UUID) -> str:
    return key.hex[:2]


def _path(shard: str) -> Path:
    return _root() / f"{shard}.json"


def _load(path: Path) -> dict[UUID, Copy]:
    with storage_errors("read"):
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return {}
    try:
        return {
            UUID(name): Copy(UUID(name), int(epoch), base64.b64decode(wrapped, validate=True))
            for name, (epoch, wrapped) in json.loads(text).items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise StorageUnavailable(f"{path.name} of the rewrapped keys is damaged") from error


def _change(shard: str, *, add: Mapping[UUID, Copy] | None = None, remove: Collection[UUID] = frozenset()) -> None:
    path = _path(shard)
    with storage_errors("written"), durable.exclusive(_root() / ".lock"):
        held = {name: copy for name, copy in (_load(path) | dict(add or {})).items() if name not in remove}
        body = {str(name): (copy.epoch, base64.b64encode(copy.wrapped).decode()) for name, copy in held.items()}
        durable.write_whole(path, lambda: json.dumps(body).encode())
