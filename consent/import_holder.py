"""Imports in the inventory of personal data: what waits in them, and which row became whose record."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from django.db.models import QuerySet

from consent import importing
from consent.inventory import Category, Target
from consent.models import GrantImport, ImportedRow


class ImportHolder:
    """The sealed rows of an open import end with it, after seven days at most; an erasure ends every open one that names the
    person. Which row became whose record goes with the person."""

    name = "imports"
    category = Category.CONSENT
    fields = frozenset(
        {
            *(f"consent.GrantImport.{name}" for name in ("content", "sha256", "problems", "mentions")),
            *(f"consent.ImportedRow.{name}" for name in ("record", "fingerprint")),
        }
    )

    def _rows(self, target: Target) -> QuerySet[ImportedRow]:
        if not target.whole_person:
            return ImportedRow.objects.none()
        return ImportedRow.objects.filter(project=target.project, record__subject__code=target.subject)

    def _open(self, target: Target) -> QuerySet[GrantImport]:
        if not target.whole_person:
            return GrantImport.objects.none()
        return GrantImport.objects.filter(project=target.project, mentions__contains=[target.subject])

    def count(self, target: Target) -> int:
        return self._rows(target).count() + self._open(target).count()

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        for row in self._rows(target).select_related("record", "grant_import").order_by("id"):
            yield {"consent": row.record.code, "import": row.grant_import.code}

    def destroy(self, target: Target) -> int:
        if not target.whole_person:
            return 0
        stopped = importing.stop_what_mentions(target.project, target.subject)
        deleted, _ = self._rows(target).delete()
        return deleted + stopped

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        """Nothing: an import has a term of its own, which `importing` keeps."""
        return 0
