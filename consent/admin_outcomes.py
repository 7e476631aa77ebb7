"""Admin pages of what follows from consent: the gate's decisions, in plain words, and orders to destroy. Read-only for everyone."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from accounts.admin_display import (
    NOTHING,
    Tone,
    badge,
    badges,
    code,
    counts,
    exact_moment,
    moment,
    part,
    short_code,
    words,
)
from accounts.roles import Permission
from consent.admin_filters import DestructionFilter, OutcomeFilter
from consent.admin_policy import ConsentAdmin
from consent.admin_words import REASON_WORDS, scope_words
from consent.explaining import conditions, explain
from consent.models import Decision, DestructionOrder, Grant, Purpose, Subject
from consent.words import ACTION_WORDS


@admin.register(Decision)
class DecisionAdmin(ConsentAdmin):
    view_permission = Permission.VIEW_DECISION
    heading = "Decisions"
    introduction = "Every answer of the gate, with the reasons. Nothing is processed without one."
    empty_hint = "The gate was not asked yet. The first submitted recording brings the first decision."
    position = 50
    in_trail = True
    list_display = ("at_shown", "action_shown", "outcome", "in_short", "project")
    list_filter = ("project", OutcomeFilter, "action")
    list_select_related = ("project",)
    search_fields = ("code",)
    search_help_text = "The whole code of a decision, a person, a recording or an analysis."
    ordering = ("-id",)
    date_hierarchy = "at"
    fieldsets = (
        (None, {"fields": ("outcome", "at_shown", "action_shown", "explanation")}),
        ("What was asked", {"fields": ("asked",)}),
        ("Identity", {"fields": ("code_shown", "about", "by", "judged_by", "rules_asked")}),
    )

    def caption(self, row: Decision) -> str:
        return (
            f"{'Allowed' if row.allowed else 'Refused'} to {ACTION_WORDS.get(row.action, row.action)}, {moment(row.at)}"
        )

    def sought(self, request: HttpRequest, term: str) -> Q:
        return Q(code=term) | Q(object_code=term) | Q(subjects__contains=[term])

    def cards(self, request: HttpRequest) -> Sequence[Mapping[str, Any]]:
        since = timezone.now() - timedelta(days=7)
        denied = self.get_queryset(request).filter(allowed=False, at__gte=since).count()
        return [
            {
                "label": "times the gate said no in 7 days",
                "count": denied,
                "query": "?outcome=denied",
                "pressing": False,
            }
        ]

    @admin.display(description="At", ordering="id")
    def at_shown(self, row: Decision) -> str:
        return exact_moment(row.at)

    @admin.display(description="Asked to", ordering="action")
    def action_shown(self, row: Decision) -> str:
        return ACTION_WORDS.get(row.action, row.action)

    @admin.display(description="Answer", ordering="allowed")
    def outcome(self, row: Decision) -> SafeString:
        if not row.allowed:
            return badge("denied", Tone.BAD)
        if row.denials:
            return badge("allowed in part", Tone.WAITING)
        return badge("allowed on conditions", Tone.WAITING) if row.obligations else badge("allowed", Tone.GOOD)

    @admin.display(description="Why")
    def in_short(self, row: Decision) -> str:
        reasons = list(dict.fromkeys(str(denial["message"]) for denial in row.denials))
        if not reasons:
            return ", ".join(sorted({pair["scope"] for pair in row.granted}))
        return reasons[0] + (f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else "")

    @admin.display(description="In plain words")
    def explanation(self, row: Decision) -> SafeString:
        roles = {person["subject"]: person["role"] for person in row.request.get("participants", ())}
        records = {
            grant.code: grant.record
            for grant in Grant.objects.filter(
                code__in=[pair["grant"] for pair in row.granted], record__project=row.project_id
            ).select_related("record")
        }
        return part(
            "decision",
            allowed=row.allowed,
            conditions=list(conditions(row)),
            action=ACTION_WORDS.get(row.action, row.action),
            granted=[
                {
                    "role": roles.get(pair["subject"], "participant"),
                    "subject": pair["subject"],
                    "scope": pair["scope"],
                    "words": scope_words(pair["scope"]),
                    "record": self.link_to(records[pair["grant"]], "consent record")
                    if pair["grant"] in records
                    else NOTHING,
                }
                for pair in row.granted
            ],
            denials=[
                {
                    **denial,
                    "role": roles.get(denial["subject"], "participant"),
                    "words": scope_words(denial["scope"]),
                    "remedy": _remedy(str(denial["remedy"])),
                }
                for denial in row.denials
            ],
        )

    @admin.display(description="Request")
    def asked(self, row: Decision) -> SafeString:
        asked = row.request
        known = {
            subject.code: subject for subject in Subject.objects.filter(code__in=row.subjects, project=row.project_id)
        }
        purpose = Purpose.objects.filter(code=asked.get("purpose", ""), project=row.project_id).first()
        people = [
            {
                "who": self.link_to(known[person["subject"]], code(person["subject"]))
                if person["subject"] in known
                else code(person["subject"]),
                "role": person["role"],
                "channel": "any channel" if person["channel"] is None else f"channel {person['channel']}",
            }
            for person in asked.get("participants", ())
        ]
        return part(
            "asked",
            purpose=NOTHING if purpose is None else self.link_to(purpose, purpose.name),
            context=asked.get("context", NOTHING),
            jurisdiction=asked.get("jurisdiction", NOTHING),
            recorded_at=exact_moment(parse_datetime(asked.get("recorded_at", ""))),
            people=people,
            scopes=[(scope, scope_words(scope)) for scope in asked.get("scopes", ())],
        )

    @admin.display(description="Recording or analysis")
    def about(self, row: Decision) -> SafeString:
        return code(row.object_code)

    @admin.display(description="Asked by")
    def by(self, row: Decision) -> str:
        return f"{row.actor_kind} {row.actor_code}"

    @admin.display(description="Judged by")
    def judged_by(self, row: Decision) -> str:
        return f"rule set {row.rule_set}, policy epoch {row.policy_epoch}"

    @admin.display(description="Rules that had a say")
    def rules_asked(self, row: Decision) -> SafeString | str:
        asked = explain(row).rules
        return format_html_join(mark_safe("<br>"), "{}: {}", [(rule.id, rule.citation) for rule in asked]) or "none"


@admin.register(DestructionOrder)
class DestructionOrderAdmin(ConsentAdmin):
    view_permission = Permission.VIEW_CONSENT
    heading = "Destruction orders"
    introduction = "What must go, and what went. From the order on, nothing it names can be read."
    empty_hint = "Nothing was ordered destroyed yet. Withdrawal and erasure write orders here."
    position = 60
    list_display = ("ordered", "why", "subject_short", "what", "progress")
    list_filter = ("project", DestructionFilter, "reason")
    search_fields = ("code__istartswith", "subject")
    search_help_text = "The beginning of an order's code, or the code of a person."
    ordering = ("-id",)
    date_hierarchy = "ordered_at"
    fieldsets = (
        (None, {"fields": ("code_shown", "why", "subject_shown", "what", "ordered", "progress", "destroyed_shown")}),
    )

    def cards(self, request: HttpRequest) -> Sequence[Mapping[str, Any]]:
        count = self.get_queryset(request).filter(done_at=None).count()
        return [{"label": "destruction orders under way", "count": count, "query": "?done=no", "pressing": True}]

    def caption(self, row: DestructionOrder) -> str:
        return row.code

    @admin.display(description="Ordered", ordering="id")
    def ordered(self, row: DestructionOrder) -> str:
        return exact_moment(row.ordered_at)

    @admin.display(description="Why")
    def why(self, row: DestructionOrder) -> str:
        return REASON_WORDS.get(row.reason, words(row.reason))

    @admin.display(description="Subject")
    def subject_short(self, row: DestructionOrder) -> SafeString:
        return short_code(row.subject)

    @admin.display(description="Subject")
    def subject_shown(self, row: DestructionOrder) -> SafeString:
        return code(row.subject)

    @admin.display(description="What")
    def what(self, row: DestructionOrder) -> str:
        return ", ".join(row.scopes) or "the whole person"

    @admin.display(description="Progress", ordering="done_at")
    def progress(self, row: DestructionOrder) -> SafeString:
        if row.done_at is None:
            return badge("under way", Tone.WAITING)
        return badges([(f"done {moment(row.done_at)}", Tone.GOOD)])

    @admin.display(description="Destroyed, by kind of data")
    def destroyed_shown(self, row: DestructionOrder) -> SafeString:
        return counts(row.destroyed)


def _remedy(text: str) -> str:
    """The gate's remedy as a sentence of its own; some denials have none and say so."""
    if text.startswith("None: "):
        return f"Nothing helps: {text.removeprefix('None: ')}"
    return f"What helps: {text}" if text else ""
