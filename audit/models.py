"""The event table (append-only) and the deletable side table of salts. No foreign key leads out of this room."""

from typing import ClassVar

from django.db import models


class Event(models.Model):
    """One audit event. The columns beside `entry` repeat parts of it for searching; `entry` is what counts.

    Append-only: the application's database role holds no UPDATE, DELETE or TRUNCATE on this table.
    """

    id = models.BigAutoField(primary_key=True)
    code = models.UUIDField(unique=True, editable=False)
    log = models.CharField(max_length=36, help_text="Code of the organization whose log this is.")
    at = models.DateTimeField()
    name = models.CharField(max_length=64)
    actor_kind = models.CharField(max_length=16)
    actor_code = models.CharField(max_length=64)
    outcome = models.CharField(max_length=16, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    entry = models.BinaryField(help_text="Canonical JSON (RFC 8785), schema version 1.")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["log", "-id"]),
            models.Index(fields=["log", "name", "-id"]),
            models.Index(fields=["log", "actor_code", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.code}"


class EventReference(models.Model):
    """Opens one blinded object of one event. Rows go at erasure; the log still verifies without them."""

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="references")
    log = models.CharField(max_length=36)
    kind = models.CharField(max_length=16)
    code = models.CharField(max_length=64)
    salt = models.BinaryField(max_length=32)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["log", "kind", "code", "event"])]

    def __str__(self) -> str:
        return f"{self.kind} of event {self.event_id}"
