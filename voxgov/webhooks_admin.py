"""The admin page of webhooks: where the log is sent and how that goes, for who looks after webhooks. Read-only: they are changed
through the API, whose answers alone show a secret."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.access import organizations_with
from accounts.admin_acts import held_projects
from accounts.admin_display import NOTHING, Tone, badge, code, exact_moment, moment, part, words
from accounts.governed_admin import GovernedAdmin
from accounts.roles import Permission
from audit import sequenced, webhooks
from audit.models import Webhook
from audit.webhooks import Disabled
from consent.admin_filters import WordFilter
from voxgov.audit_admin import event_words

_STATES: Final[Mapping[str, Q]] = {
    "sending": Q(enabled=True, failures=0),
    "failing": Q(enabled=True, failures__gt=0),
    "stopped": Q(enabled=False) & ~Q(disabled_reason=Disabled.ASKED.value),
    "resting": Q(enabled=False, disabled_reason=Disabled.ASKED.value),
}
_WHY: Final[Mapping[str, str]] = {
    Disabled.ASKED: "somebody stopped it",
    Disabled.GONE: "the receiver said that it is gone (410)",
    Disabled.FAILING: "nothing could be delivered for three days",
    Disabled.SECRET_LOST: "its secret opens no more: it was deleted before a backup brought it back, or altered",
}
_SHOWN: Final = 30


class StateFilter(WordFilter):
    title = "state"
    parameter_name = "state"
    words = tuple((state, state) for state in _STATES)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        return queryset if chosen is None else queryset.filter(_STATES[chosen])


@admin.register(Webhook)
class WebhookAdmin(GovernedAdmin):
    view_permission = Permission.MANAGE_WEBHOOKS
    heading = "Webhooks"
    introduction = "Where the events of the log are sent, and how that goes. They are made and changed through the API."
    empty_hint = "The log is sent nowhere."
    position = 310
    list_display = ("url", "state_shown", "events", "behind", "delivered", "why_short")
    list_filter = (StateFilter,)
    search_fields = ()
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("url", "state_shown", "why", "code_shown", "created")}),
        ("What is sent", {"fields": ("names_shown", "place", "behind")}),
        ("How it goes", {"fields": ("delivered", "failing", "next_attempt", "recent")}),
        ("Secrets in force", {"fields": ("secrets_shown",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        logs = organizations_with(request.user, self.view_permission).values_list("code", flat=True)
        return Webhook.objects.filter(log__in=list(logs)).order_by("-id")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is None:
            return bool(held_projects(request, self.view_permission))
        return organizations_with(request.user, self.view_permission).filter(code=obj.log).exists()

    def caption(self, row: Webhook) -> str:
        return row.url

    def cards(self, request: HttpRequest) -> Sequence[Mapping[str, Any]]:
        rows = self.get_queryset(request)
        return [
            {
                "label": f"webhooks {state}",
                "count": rows.filter(_STATES[state]).count(),
                "query": f"?state={state}",
                "pressing": True,
            }
            for state in ("failing", "stopped")
        ]

    @admin.display(description="State")
    def state_shown(self, row: Webhook) -> SafeString:
        if not row.enabled:
            by_hand = row.disabled_reason == Disabled.ASKED
            return badge("resting", Tone.ENDED) if by_hand else badge("stopped", Tone.BAD)
        return badge("failing", Tone.WAITING) if row.failures else badge("sending", Tone.GOOD)

    @admin.display(description="Why")
    def why(self, row: Webhook) -> str:
        reason = _WHY.get(row.disabled_reason, row.disabled_reason)
        return f"{reason}, {exact_moment(row.disabled_at)}" if reason else NOTHING

    @admin.display(description="Last failure")
    def why_short(self, row: Webhook) -> str:
        return words(row.last_outcome) if row.failures or not row.enabled else NOTHING

    @admin.display(description="Made")
    def created(self, row: Webhook) -> str:
        return exact_moment(row.created_at)

    @admin.display(description="Events")
    def events(self, row: Webhook) -> str:
        return f"{len(row.names)} kinds" if row.names else "all"

    @admin.display(description="Events")
    def names_shown(self, row: Webhook) -> str:
        return ", ".join(event_words(name) for name in row.names) if row.names else "all"

    @admin.display(description="Place in the log")
    def place(self, row: Webhook) -> SafeString:
        return code(webhooks.place_of(row))

    @admin.display(description="Entries behind")
    def behind(self, row: Webhook) -> int:
        return sequenced.behind(row.log, webhooks.place_of(row))

    @admin.display(description="Last delivered")
    def delivered(self, row: Webhook) -> str:
        return moment(row.last_delivered_at)

    @admin.display(description="Failing")
    def failing(self, row: Webhook) -> str:
        if not row.failures:
            return NOTHING
        return f"{row.failures} times in a row since {exact_moment(row.failing_since)}: {words(row.last_outcome)}"

    @admin.display(description="Next attempt")
    def next_attempt(self, row: Webhook) -> str:
        return exact_moment(row.next_attempt_at) if row.failures and row.enabled else NOTHING

    @admin.display(description="Newest attempts")
    def recent(self, row: Webhook) -> SafeString:
        items = [
            {
                "at": exact_moment(one.at),
                "what": "test message" if one.test else f"{one.generation}:{one.index}",
                "outcome": words(one.outcome),
                "status": one.status,
                "attempt": one.attempt,
            }
            for one in row.deliveries.order_by("-id")[:_SHOWN]
        ]
        return part("deliveries", items=items)

    @admin.display(description="Made, and until when they sign")
    def secrets_shown(self, row: Webhook) -> SafeString:
        in_force = webhooks.secrets_in_force(row, timezone.now())
        return part("secrets", items=[(moment(one.created_at), moment(one.expires_at)) for one in in_force])
