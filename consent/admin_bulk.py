"""Admin page of withdrawals for many people at once: counted first, begun by whoever counted, looked at by somebody else
afterwards. Nobody approves a withdrawal.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts.admin_acts import Act, ActForm, Outcome, held_projects, person
from accounts.admin_display import NOTHING, Tone, badge, colleague, exact_moment, moment, part
from accounts.admin_people import names_of
from accounts.models import Project
from accounts.roles import Permission
from audit.entry import Actor
from consent import bulk_withdrawal
from consent.admin_filters import WordFilter
from consent.admin_policy import ConsentAdmin
from consent.admin_words import scope_choices
from consent.bulk_withdrawal import Selection
from consent.models import BulkWithdrawal, Purpose
from consent.vocabulary import Scope

_UNSEEN = Q(begun_at__isnull=False, seen_at=None)


class SelectionForm(ActForm):
    project = forms.ModelChoiceField(Project.objects.none())
    purpose = forms.ModelChoiceField(Purpose.objects.none(), required=False, help_text="Empty: every purpose.")
    scopes = forms.MultipleChoiceField(
        choices=scope_choices, required=False, widget=forms.CheckboxSelectMultiple, help_text="None: every scope."
    )


class SeenFilter(WordFilter):
    title = "second person"
    parameter_name = "seen"
    words = (("no", "not looked at yet"), ("yes", "looked at"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found = {"no": _UNSEEN, "yes": Q(seen_at__isnull=False)}
        return queryset.filter(found.get(self.chosen() or "", Q()))


def _count(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    selection = Selection(purpose=form["purpose"], scopes=tuple(Scope(scope) for scope in form["scopes"]))
    row = bulk_withdrawal.preview(form["project"], selection, actor=actor)
    return Outcome("Counted. Nothing is withdrawn yet.", row)


def _begin(row: BulkWithdrawal, _: Mapping[str, Any], actor: Actor) -> Outcome:
    done = bulk_withdrawal.execute(row, bulk_withdrawal.token_of(row), actor=actor)
    if done.finished_at is None:
        return Outcome("Begun. What is left goes on by itself; each person's withdrawal is effective at once.", done)
    return Outcome("Withdrawn, effective at once. What was derived is ordered destroyed.", done)


def _acknowledge(row: BulkWithdrawal, _: Mapping[str, Any], actor: Actor) -> Outcome:
    return Outcome("It stands in the trail that you looked at it.", bulk_withdrawal.acknowledge(row, actor=actor))


@admin.register(BulkWithdrawal)
class BulkWithdrawalAdmin(ConsentAdmin):
    view_permission = Permission.VIEW_CONSENT
    heading = "Bulk withdrawals"
    introduction = (
        "The consent of many people, withdrawn at once: counted first, and looked at by a second person afterwards."
    )
    empty_hint = "None yet. Count one here, or through the API."
    position = 86
    list_display = ("selection", "counted", "progress", "seen")
    list_filter = ("project", SeenFilter)
    list_select_related = ("purpose", "project__organization")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("selection", "counted", "progress", "seen")}),
        ("People", {"fields": ("asked_by", "begun_by", "seen_by")}),
        ("Identity", {"fields": ("code_shown",)}),
    )
    list_acts = (
        Act(
            "add",
            "Withdraw for many",
            "Count what would be withdrawn",
            Permission.MANAGE_CONSENT,
            _count,
            SelectionForm,
            explanation="This only counts. The next page shows whom it would be about, and begins it.",
            confirm_label="Count",
        ),
    )
    acts = (
        Act(
            "begin",
            "Withdraw now",
            "Withdraw what was counted",
            Permission.MANAGE_CONSENT,
            _begin,
            applies=lambda row: row.begun_at is None,
            explanation=(
                "Effective at once for each person; what was derived from their voices is destroyed. Refused where more was "
                "granted since it was counted, or after 15 minutes: count again then."
            ),
            confirm_label="Withdraw now",
            grave=True,
        ),
        Act(
            "acknowledge",
            "I have seen this",
            "Say that you looked at this withdrawal",
            Permission.APPROVE_CONSENT,
            _acknowledge,
            applies=lambda row: row.begun_at is not None and row.seen_at is None,
            explanation="For somebody other than who counted or began it. It is recorded; it undoes nothing.",
        ),
    )

    def caption(self, row: BulkWithdrawal) -> str:
        return f"{row.grants_counted} grants of {row.subjects_counted} people"

    def cards(self, request: HttpRequest) -> Sequence[Mapping[str, Any]]:
        if not held_projects(request, Permission.APPROVE_CONSENT):
            return ()
        me = person(request).code
        rows = self.get_queryset(request).filter(_UNSEEN).exclude(asked_by_code=me).exclude(begun_by_code=me)
        return [
            {"label": "bulk withdrawals to look at", "count": rows.count(), "query": "?seen=no", "pressing": True},
        ]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row: Any = super().get_object(request, object_id, from_field)
        if row is not None:
            row.names = names_of(person(request), {row.asked_by_code, row.begun_by_code, row.seen_by_code} - {""})
        return row

    @admin.display(description="Whose consent to what")
    def selection(self, row: BulkWithdrawal) -> str:
        whose = f"{len(row.subjects)} named people" if row.subjects else "everybody"
        purpose = "every purpose" if row.purpose is None else row.purpose.name
        return f"{whose}, {purpose}, {', '.join(row.scopes) or 'every scope'}"

    @admin.display(description="Counted", ordering="id")
    def counted(self, row: BulkWithdrawal) -> str:
        return f"{self.caption(row)}, {moment(row.asked_at)}"

    @admin.display(description="Progress", ordering="finished_at")
    def progress(self, row: BulkWithdrawal) -> SafeString:
        if row.begun_at is None:
            return badge("only counted", Tone.WAITING)
        done = f"{row.subjects_done} of {row.subjects_counted} people"
        return (
            badge(f"under way: {done}", Tone.WAITING) if row.finished_at is None else badge(f"done: {done}", Tone.GOOD)
        )

    @admin.display(description="Second person", ordering="seen_at")
    def seen(self, row: BulkWithdrawal) -> SafeString:
        if row.seen_at is not None:
            return badge(f"looked at {moment(row.seen_at)}", Tone.GOOD)
        return badge("not looked at yet", Tone.WAITING)

    @admin.display(description="Counted by")
    def asked_by(self, row: Any) -> SafeString:
        return colleague(row.names, row.asked_by_kind, row.asked_by_code)

    @admin.display(description="Begun by")
    def begun_by(self, row: Any) -> Any:
        return NOTHING if row.begun_at is None else colleague(row.names, row.begun_by_kind, row.begun_by_code)

    @admin.display(description="Looked at by")
    def seen_by(self, row: Any) -> Any:
        if row.seen_at is None:
            return "nobody yet; somebody other than who counted or began it"
        return part("decided", who=colleague(row.names, "", row.seen_by_code), at=exact_moment(row.seen_at), back=False)
