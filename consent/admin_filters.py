"""Filters of the consent pages: by the state that counts now, by scope, by what ends soon."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from consent import records
from consent.law.children import LEAST_AGE
from consent.models import CurrentGrant
from consent.vocabulary import GrantState, Scope


def expiring(rows: QuerySet[Any], now: datetime, within: timedelta) -> QuerySet[Any]:
    """Records that still hold somewhere and whose term ends within that time."""
    return records.with_state(rows, GrantState.GIVEN).filter(expires_at__gt=now, expires_at__lte=now + within)


def renewal_due(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Records that closed because of a newer notice or an ended representation, or will say so once the batches come to them."""
    current = CurrentGrant.objects.filter(grant__record=OuterRef("pk"))
    superseded = current.filter(
        grant__state=GrantState.GIVEN.value,
        grant__record__notice__version__lt=F("purpose__series__least_valid_version"),
    )
    due = current.filter(grant__state=GrantState.RENEWAL_DUE.value)
    return rows.filter(Exists(due) | Exists(superseded), subject__erased_at=None)


def lacking_proof(rows: QuerySet[Any], now: datetime) -> QuerySet[Any]:
    """Records in force of somebody who was younger than 16, for whom nobody answers with proof now."""
    children = [band.value for band, age in LEAST_AGE.items() if age < AGE_OF_CONSENT]
    answered = Q(representation__ended_at=None) & (Q(representation__ends_at=None) | Q(representation__ends_at__gt=now))
    held = records.with_state(rows, GrantState.GIVEN).filter(age_band__in=children, subject__erased_at=None)
    return held.exclude(Q(representation__isnull=False) & answered & ~Q(representation__proof_sha256=""))


def lacking_document(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Representations in force of which nobody said where the proof is kept: its hash alone shows nobody anything."""
    now = timezone.now()
    open_ = Q(ended_at=None) & (Q(ends_at=None) | Q(ends_at__gt=now)) & Q(identity__isnull=False)
    return rows.filter(open_, Q(proof_reference__isnull=True) | Q(proof_sha256=""))


AGE_OF_CONSENT = 16
"""Years; what GDPR art. 8 says where a country has not chosen a lower age."""


class WordFilter(admin.SimpleListFilter):
    """A filter with a closed list of words; anything else in the address is as if nothing were chosen."""

    words: tuple[tuple[str, str], ...] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        return self.words

    def chosen(self) -> str | None:
        value = self.value()
        return value if value in {word for word, _ in self.words} else None


class CurrentStateFilter(WordFilter):
    title = "state now"
    parameter_name = "state"
    words = tuple((state.value, state.value.replace("_", " ")) for state in GrantState)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        return queryset if chosen is None else records.with_state(queryset, GrantState(chosen))


class CurrentScopeFilter(WordFilter):
    title = "scope"
    parameter_name = "scope"
    words = tuple((scope.value, scope.value) for scope in Scope)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        if chosen is None:
            return queryset
        return queryset.filter(Exists(CurrentGrant.objects.filter(grant__record=OuterRef("pk"), scope=chosen)))


class ExpiringFilter(WordFilter):
    title = "expiring soon"
    parameter_name = "expiring"
    words = (("7", "within 7 days"), ("30", "within 30 days"), ("90", "within 90 days"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        return queryset if chosen is None else expiring(queryset, timezone.now(), timedelta(days=int(chosen)))


class RenewalFilter(WordFilter):
    title = "renewal"
    parameter_name = "renewal"
    words = (("due", "renewal due"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.chosen() is None else renewal_due(queryset)


class ProofFilter(WordFilter):
    title = "proof of representation"
    parameter_name = "proof"
    words = (("missing", "missing"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.chosen() is None else lacking_proof(queryset, timezone.now())


class DocumentFilter(WordFilter):
    title = "where the proof is"
    parameter_name = "document"
    words = (("missing", "nobody said"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.chosen() is None else lacking_document(queryset)


class RepresentationFilter(WordFilter):
    title = "state"
    parameter_name = "state"
    words = (("in-force", "in force"), ("over", "over"), ("ended", "ended before its time"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        found = {
            "in-force": Q(ended_at=None) & (Q(ends_at=None) | Q(ends_at__gt=now)),
            "over": Q(ended_at=None, ends_at__lte=now),
            "ended": Q(ended_at__isnull=False),
        }
        return queryset.filter(found.get(self.chosen() or "", Q()))


class RestrictedFilter(WordFilter):
    title = "restriction"
    parameter_name = "restricted"
    words = (("yes", "restricted"), ("no", "not restricted"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        return queryset if chosen is None else queryset.filter(restricted_at__isnull=chosen == "no")


class ErasedFilter(WordFilter):
    title = "erasure"
    parameter_name = "erased"
    words = (("no", "not erased"), ("yes", "erased"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        return queryset if chosen is None else queryset.filter(erased_at__isnull=chosen == "no")


class PublishedFilter(WordFilter):
    title = "publication"
    parameter_name = "published"
    words = (("yes", "published"), ("no", "draft"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        return queryset if chosen is None else queryset.filter(published_at__isnull=chosen == "no")


class OutcomeFilter(WordFilter):
    title = "outcome"
    parameter_name = "outcome"
    words = (("allowed", "allowed"), ("denied", "denied"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        return queryset if chosen is None else queryset.filter(allowed=chosen == "allowed")


class DestructionFilter(WordFilter):
    title = "progress"
    parameter_name = "done"
    words = (("no", "under way"), ("yes", "done"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        return queryset if chosen is None else queryset.filter(done_at__isnull=chosen == "no")
