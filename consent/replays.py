"""Answers kept for repetitions (`accounts.idempotency`) as an entry in the inventory: they hold codes, and a code is somebody's."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from django.db.models import QuerySet

from accounts.models import Replay
from consent.inventory import Category, Target


class ReplayHolder:
    """Answers that mention a person. They go when the person does, and after a day in any case."""

    name = "replays"
    category = Category.REPLAYS
    fields = frozenset(
        {
            "accounts.Replay.id",
            "accounts.Replay.client",
            "accounts.Replay.key_index",
            "accounts.Replay.fingerprint",
            "accounts.Replay.turn",
            "accounts.Replay.in_flight_until",
            "accounts.Replay.status",
            "accounts.Replay.content_type",
            "accounts.Replay.body",
            "accounts.Replay.mentions",
            "accounts.Replay.created_at",
        }
    )

    def _rows(self, target: Target) -> QuerySet[Replay]:
        """Also answers made after the order: nobody is erased twice, and the call that erases is answered after it."""
        if not target.whole_person:
            return Replay.objects.none()
        return Replay.objects.filter(client__project=target.project, mentions__contains=[target.subject])

    def count(self, target: Target) -> int:
        return self._rows(target).count()

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        for row in self._rows(target).order_by("id"):
            yield {"answered_at": row.created_at, "status": row.status}

    def destroy(self, target: Target) -> int:
        deleted, _ = self._rows(target).delete()
        return deleted

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        due = Replay.objects.filter(client__project=project, created_at__lt=made_before).order_by("id")
        deleted, _ = Replay.objects.filter(pk__in=list(due.values_list("pk", flat=True)[:limit])).delete()
        return deleted
