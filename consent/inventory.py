"""The inventory of personal data: each kind is declared once, and retention, erasure, withdrawal and export walk this list.

A `DataHolder` says which fields it answers for and how to count, export and destroy them. A field that no holder answers for
stands in `not_personal` with the reason; a test fails for any field that is in neither. The rooms above add their own holders
at start.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from consent.errors import HolderMissing


class Category(StrEnum):
    """Categories of data that a retention policy speaks of."""

    WAITING_AUDIO = "waiting_audio"
    KEPT_AUDIO = "kept_audio"
    RESULTS = "results"
    RECORDINGS = "recordings"
    DECISIONS = "decisions"
    REPLAYS = "replays"
    VOICEPRINTS = "voiceprints"
    IDENTITY = "identity"
    CONSENT = "consent"
    BREACHES = "breaches"
    STAFF_ACCESS = "staff_access"


DEFAULT_DAYS: Mapping[Category, int] = {
    Category.WAITING_AUDIO: 1,
    Category.KEPT_AUDIO: 90,
    Category.RESULTS: 365,
    Category.RECORDINGS: 3 * 365,
    Category.DECISIONS: 3 * 365,
    Category.REPLAYS: 1,
    Category.VOICEPRINTS: 365,
    Category.BREACHES: 5 * 365,
}
"""Days after which data goes where a project has no policy of its own. Identity and consent records go by erasure only."""

LEAST_DAYS: Mapping[Category, int] = {Category.DECISIONS: 31, Category.BREACHES: 365}
"""The shortest term that a project may set (others may be 0): the database itself prunes no decision younger than 30 days, and the
documentation of a breach is there to be checked by the authority (GDPR art. 33(5))."""

INSTALLATION_DAYS: Mapping[Category, int] = {Category.STAFF_ACCESS: 90}
"""Terms of what belongs to the installation as a whole. No project sets them: people sign in to more than one."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whose data, and which part of it. Empty `scopes` mean the whole person; empty `purpose` means any purpose.

    Only data made at or before `made_until` is meant, so that what is made under a later consent is left alone.
    """

    organization: str
    project: int
    subject: str
    made_until: datetime
    purpose: str = ""
    scopes: frozenset[str] = frozenset()

    @property
    def whole_person(self) -> bool:
        return not self.scopes


@runtime_checkable
class DataHolder(Protocol):
    """One kind of personal data. All three verbs are idempotent and may be run again after a crash."""

    name: str
    category: Category
    fields: frozenset[str]
    """`app.Model.field`, every concrete field that this holder answers for."""

    def count(self, target: Target) -> int: ...

    def export(self, target: Target) -> Iterator[Mapping[str, object]]: ...

    def destroy(self, target: Target) -> int:
        """Destroys what the target names; returns how many items went."""

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        """Destroys up to `limit` items of a project made before that time, oldest first; returns how many went."""


@runtime_checkable
class PurposeHolder(DataHolder, Protocol):
    """A holder of what was derived under a purpose, whose retention class may end it before the project's term does."""

    def destroy_due_of(self, purpose: int, made_before: datetime, limit: int) -> int:
        """Destroys up to `limit` items made under a purpose before that time, oldest first; returns how many went."""


@runtime_checkable
class InstallationHolder(DataHolder, Protocol):
    """A holder whose data belongs to no project; its category stands in `INSTALLATION_DAYS`."""

    def destroy_due_everywhere(self, made_before: datetime, limit: int) -> int:
        """Destroys items made before that time, up to `limit` of each kind; returns how many went, 0 when nothing is left."""


_holders: dict[str, DataHolder] = {}
_not_personal: dict[str, str] = {}


def declare(holder: DataHolder) -> None:
    """Adds a holder; declaring one name twice is a mistake and raises `ValueError`."""
    if holder.name in _holders:
        raise ValueError(f"the holder {holder.name} is declared twice")
    _holders[holder.name] = holder


def declare_not_personal(reason: str, *fields: str) -> None:
    """Says of fields (`app.Model.field`) in one sentence why they hold nothing personal."""
    for field in fields:
        _not_personal[field] = reason


def holders() -> tuple[DataHolder, ...]:
    return tuple(_holders.values())


def holder(name: str) -> DataHolder:
    """Raises `HolderMissing`."""
    try:
        return _holders[name]
    except KeyError:
        raise HolderMissing(f"no holder {name}") from None


def not_personal() -> Mapping[str, str]:
    return dict(_not_personal)
