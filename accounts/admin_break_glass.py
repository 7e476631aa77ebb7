"""The admin page of break-glass access: for whom, why, until when, and who looked at it afterwards."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts import break_glass
from accounts.access import organizations_with
from accounts.admin_acts import Act, Outcome, held_projects, person
from accounts.admin_display import Tone, badge, code, exact_moment, moment, words
from accounts.governed_admin import GovernedAdmin
from accounts.models import BreakGlass
from accounts.roles import Permission
from audit.entry import Actor


def _see(row: BreakGlass, _: Mapping[str, Any], actor: Actor) -> Outcome:
    return Outcome("Recorded: you have looked at what was done.", break_glass.see(row, actor=actor))


def _close(row: BreakGlass, _: Mapping[str, Any], actor: Actor) -> Outcome:
    break_glass.close(row, actor=actor)
    return Outcome("Closed.")


def _is_open(row: BreakGlass) -> bool:
    return row.closed_at is None and row.ends_at > timezone.now()


@admin.register(BreakGlass)
class BreakGlassAdmin(GovernedAdmin):
    view_permission = Permission.READ_LOG
    heading = "Break-glass access"
    introduction = (
        "Every permission for one person, for minutes, in an emergency. It is opened with manage.py staff break-glass, each "
        "request is in the trail, and somebody else looks at it afterwards."
    )
    empty_hint = "It was never needed."
    position = 320
    list_display = ("opened", "who", "why", "state", "acts", "seen")
    search_fields = ("user_code",)
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("who", "why", "explanation", "state", "opened", "ends", "acts", "seen")}),
        ("Identity", {"fields": ("code_shown", "person_code")}),
    )
    acts = (
        Act(
            "see",
            "I have looked at this",
            "Say that you have looked at what was done",
            Permission.READ_LOG,
            _see,
            applies=lambda row: row.seen_at is None and not _is_open(row),
            explanation="Search the trail for the person's code first: every request is there.",
        ),
        Act(
            "close",
            "End it now",
            "End this access now",
            Permission.READ_LOG,
            _close,
            applies=_is_open,
            explanation="It ends by itself when its time is over.",
            grave=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = BreakGlass.objects.filter(organization__in=organizations_with(request.user, self.view_permission))
        return rows.select_related("user", "organization").order_by("-id")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is None:
            return bool(held_projects(request, self.view_permission))
        return organizations_with(request.user, self.view_permission).filter(pk=obj.organization_id).exists()

    def may_act(self, request: HttpRequest, act: Act, row: Any = None) -> bool:
        if row is None:
            return super().may_act(request, act)
        return organizations_with(request.user, act.permission).filter(pk=row.organization_id).exists()

    def cards(self, request: HttpRequest) -> Sequence[Mapping[str, Any]]:
        """For whoever may look at it: what nobody else has looked at."""
        count = self.get_queryset(request).filter(seen_at=None).exclude(user_code=person(request).code).count()
        return [{"label": "break-glass accesses nobody looked at", "count": count, "query": "", "pressing": True}]

    def caption(self, row: BreakGlass) -> str:
        return f"{row.user.username}, {moment(row.begins_at)}"

    @admin.display(description="Opened", ordering="id")
    def opened(self, row: BreakGlass) -> str:
        return exact_moment(row.begins_at)

    @admin.display(description="Ends")
    def ends(self, row: BreakGlass) -> str:
        return exact_moment(row.ends_at)

    @admin.display(description="For")
    def who(self, row: BreakGlass) -> str:
        return str(row.user.username)

    @admin.display(description="Because of")
    def why(self, row: BreakGlass) -> str:
        return words(row.cause)

    @admin.display(description="State")
    def state(self, row: BreakGlass) -> SafeString:
        return badge("open", Tone.BAD) if _is_open(row) else badge("over", Tone.ENDED)

    @admin.display(description="Looked at")
    def seen(self, row: BreakGlass) -> SafeString:
        if row.seen_at is None:
            return badge("by nobody yet", Tone.WAITING)
        return badge(moment(row.seen_at), Tone.GOOD)

    @admin.display(description="The person's code in the trail")
    def person_code(self, row: BreakGlass) -> SafeString:
        return code(row.user_code)
