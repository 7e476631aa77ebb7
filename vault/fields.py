"""A model field whose column only ever holds sealed bytes, bound to its row. What is assigned is sealed when the row is saved;
what is read is opened only when somebody calls `open`, so that loading, listing or printing rows opens nothing.

It cannot be filtered on: an exact search goes through a column of its own that holds `blind_index(...)`.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from django.core import checks
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.lookups import Transform
from django.db.models.query_utils import DeferredAttribute

from vault import sealing
from vault.context import Context
from vault.keys import KeyName


class SealedRow(Protocol):
    """What a model with sealed fields offers. The answer rests on the row's own, unchanging identity: its code, organization,
    subject and scope, all known before the first save."""

    def sealed_in(self, field: str) -> tuple[Context, Sequence[KeyName]]: ...


class Sealed:
    """One row's sealed value, or one that waits to be sealed with the row. Shows nothing, compares with nothing."""

    __slots__ = ("_field", "_pending", "_row", "sealed")

    def __init__(
        self, sealed: bytes | None, pending: bytes | None = None, row: Any = None, field: "SealedField | None" = None
    ) -> None:
        self.sealed = sealed
        self._pending = pending
        self._row = row
        self._field = field

    def __repr__(self) -> str:
        return "Sealed(...)"

    def __reduce__(self) -> str:
        raise TypeError("a sealed value is not serialized; its row's key is")

    def open(self) -> bytes:
        """The plaintext; empty is a value, not a missing one. Raises what `sealing.open` raises, never gives ciphertext."""
        if self.sealed is None:
            assert self._pending is not None
            return self._pending
        if self._row is None or self._field is None:
            raise TypeError("a sealed value opens only through its row: load the row, not values()")
        context, keys = self._row.sealed_in(self._field.attname)
        return sealing.open(context, keys, self.sealed)

    def text(self) -> str:
        """The plaintext, UTF-8."""
        return self.open().decode()

    def bound(self, row: Any, field: "SealedField") -> "Sealed":
        return Sealed(self.sealed, self._pending, row, field)

    def seal(self) -> "Sealed":
        """Itself, or, where it waits, the value sealed in its row's context."""
        if self.sealed is not None:
            return self
        assert self._row is not None and self._field is not None and self._pending is not None
        context, keys = self._row.sealed_in(self._field.attname)
        return Sealed(sealing.seal(context, keys, self._pending), None, self._row, self._field)


def seal_waiting(row: models.Model) -> None:
    """Seals what waits in the row's sealed fields, ahead of its save: a transaction that holds locks then asks no key service.

    Raises what `sealing.seal` raises.
    """
    for field in row._meta.concrete_fields:
        if isinstance(field, SealedField):
            field.pre_save(row, add=False)


class SealedAttribute(DeferredAttribute):
    """Takes text, bytes or None; gives `Sealed` or None."""

    field: "SealedField"

    def __get__(self, instance: Any, cls: type | None = None) -> Any:
        value = super().__get__(instance, cls)
        return value.bound(instance, self.field) if isinstance(value, Sealed) else value

    def __set__(self, instance: Any, value: object) -> None:
        if isinstance(value, str):
            value = Sealed(None, value.encode())
        elif isinstance(value, bytes):
            value = Sealed(None, value)
        elif value is not None and not isinstance(value, Sealed):
            raise TypeError(f"{self.field.attname} takes text, bytes or None")
        instance.__dict__[self.field.attname] = value


class SealedField(models.BinaryField):  # type: ignore[type-arg]  # generic in the stubs only
    """Sealed under the keys and in the context that the row's `sealed_in` names. NULL stays NULL; empty is sealed as empty."""

    descriptor_class = SealedAttribute

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        for option in ("default", "db_default", "choices", "unique", "primary_key", "db_index"):
            if option in kwargs:
                raise TypeError(f"a sealed field has no {option}: its column holds different bytes at every sealing")
        super().__init__(*args, **kwargs)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        found = super().check(**kwargs)
        if not callable(getattr(self.model, "sealed_in", None)):
            found.append(
                checks.Error(
                    f"{self.model.__name__} has a sealed field but no sealed_in()",
                    hint="Name the context and the keys of the row, as vault.fields.SealedRow describes.",
                    obj=self,
                    id="vault.E001",
                )
            )
        return found

    def get_lookup(self, lookup_name: str) -> Any:
        """Only `isnull`: every other lookup is refused by Django with a `FieldError`."""
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None

    def get_transform(self, lookup_name: str) -> type[Transform] | None:
        return None

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Sealed | None:
        return None if value is None else Sealed(bytes(value))

    def pre_save(self, model_instance: models.Model, add: bool) -> Sealed | None:
        value: Sealed | None = getattr(model_instance, self.attname)
        if value is None:
            return None
        sealed = value.seal()
        setattr(model_instance, self.attname, sealed)
        return sealed

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        """Raises `TypeError` for anything but a sealed value, so that `update()` and its kin write no plaintext."""
        if value is None:
            return None
        if not isinstance(value, Sealed) or value.sealed is None:
            raise TypeError(f"{self.attname} is sealed when its row is saved; it is not written in any other way")
        return connection.Database.Binary(value.sealed)  # type: ignore[attr-defined]  # the DB-API module, by PEP 249

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> str:
        raise TypeError(f"{self.attname} is not serialized")
