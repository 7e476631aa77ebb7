"""The register of breaches in the inventory of personal data: what was said in words may name somebody, whoever wrote it."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from django.db.models import Exists, OuterRef, Subquery

from consent.inventory import Category, Target
from consent.models import Breach, BreachRevision
from vault import sealing
from vault.models import KeyClass, ShredOrder


class BreachHolder:
    """Words about breaches are nobody's in particular: an erasure leaves them, and they end with the term of the register. Counts,
    times and closed words stay: whether somebody was told in time is what the authority asks (GDPR art. 33(5))."""

    name = "breaches"
    category = Category.BREACHES
    fields = frozenset({"consent.BreachRevision.texts"})

    def count(self, target: Target) -> int:
        return 0

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        return iter(())

    def destroy(self, target: Target) -> int:
        return 0

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        """Shreds the key of whatever was amended last before that time."""
        newest = BreachRevision.objects.filter(breach=OuterRef("pk")).order_by("-number").values("at")[:1]
        shredded = ShredOrder.objects.filter(
            key_class=KeyClass.RECORD, owner=OuterRef("code"), ordered_at__gte=OuterRef("last_at")
        )
        due = (
            Breach.objects.filter(project=project)
            .annotate(last_at=Subquery(newest))
            .filter(~Exists(shredded), last_at__lt=made_before)
            .select_related("project__organization")
            .order_by("id")[:limit]
        )
        for breach in due:
            sealing.shred(
                breach.project.organization.code, owner=breach.code, key_class=KeyClass.RECORD, reason="retention"
            )
        return len(due)
