"""Filters of the consent pages: by the state that counts now, by scope, by what ends soon."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from consent import records
from consent.models import CurrentGrant
from consent.vocabulary import GrantState, Scope


def expiring(rows: QuerySet[Any], now: datetime, within: timedelta) -> QuerySet[Any]:
    """Records that still hold somewhere and whose term ends within that time."""
    return records.with_state(rows, GrantState.GIVEN).filter(expires_at__gt=now, expires_at__lte=now + within)


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
    words = tuple((state.value, state.value) for state in GrantState)

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
