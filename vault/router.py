"""Wrapped keys live in their own database, so that they can be backed up apart and kept short."""

from typing import Any

from django.db.models import Model

KEYS_MODELS = frozenset({("vault", "datakey"), ("vault", "epoch")})


class KeysRouter:
    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        return "keys" if (model._meta.app_label, model._meta.model_name) in KEYS_MODELS else "default"

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool:
        if hints.get("database") is not None:
            return bool(hints["database"] == db)
        return ((app_label, model_name) in KEYS_MODELS) == (db == "keys")
