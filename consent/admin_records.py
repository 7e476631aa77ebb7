"""Admin page of consent records: what people were shown and what they answered, with its history as a timeline."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.admin_acts import Act, Outcome
from accounts.admin_display import Tone, badge, badges, code, exact_moment, moment, part, words
from accounts.admin_people import names_of_staff
from accounts.roles import Permission
from audit.entry import Actor
from consent import granting, records, revealing, withdrawal
from consent.admin_filters import (
    CurrentScopeFilter,
    CurrentStateFilter,
    ExpiringFilter,
    ProofFilter,
    RenewalFilter,
    expiring,
    lacking_proof,
    renewal_due,
)
from consent.admin_forms import (
    RecordConsentForm,
    WithdrawForm,
    answer_of,
)
from consent.admin_policy import ConsentAdmin, notice_name
from consent.admin_words import STATE_WORDS, scope_badge, scope_words, state_tone
from consent.models import ConsentRecord, Subject
from consent.vocabulary import GrantState, Scope

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList


ONE_ACT = timedelta(seconds=2)


def record_for(subject: Subject, form: Mapping[str, Any], actor: Actor) -> Outcome:
    record = granting.record_consent(
        subject.project, subject, form["purpose"], form["notice"], answer_of(form), actor=actor
    )
    return Outcome("The answer is recorded.", record)


def _record(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    return record_for(form["subject"], form, actor)


def _withdraw(record: ConsentRecord, form: Mapping[str, Any], actor: Actor) -> Outcome:
    scopes = [Scope(scope) for scope in form["scopes"]]
    return withdrawn(withdrawal.withdraw(record.subject, record=record, scopes=scopes, actor=actor), record)


def _reveal(record: ConsentRecord, _: Mapping[str, Any], actor: Actor) -> Outcome:
    origin = revealing.evidence_origin(record, actor=actor)
    return Outcome("This look is recorded in the trail.", record, shown_once=[("Where the evidence is from", origin)])


def withdrawn(done: withdrawal.Withdrawal, target: Any) -> Outcome:
    closed = ", ".join(sorted({scope for _, scope in done.closed}))
    return Outcome(f"Withdrawn, effective at once: {closed}. What was derived is ordered destroyed.", target)


def _has_open_scope(record: ConsentRecord) -> bool:
    return any(scope.state == GrantState.GIVEN for view in records.describe([record]) for scope in view.scopes) and (
        record.subject.erased_at is None
    )


@admin.register(ConsentRecord)
class ConsentRecordAdmin(ConsentAdmin):
    view_permission = Permission.VIEW_CONSENT
    heading = "Consent records"
    introduction = "What people were shown and what they answered. Records are append-only: a change is a new revision."
    empty_hint = "No answer is recorded yet. Record one here, on a subject's page, or through the API."
    position = 20
    in_trail = True
    list_display = ("code_short", "subject_short", "purpose_name", "states_counted", "answered", "until")
    list_filter = (
        *("project", "purpose", ExpiringFilter, RenewalFilter, ProofFilter),
        *(CurrentStateFilter, CurrentScopeFilter, "explicit"),
    )
    list_select_related = ("subject", "purpose")
    search_fields = ("code__istartswith",)
    search_help_text = "The beginning of a record's code, or the whole code of a subject."
    ordering = ("-id",)
    date_hierarchy = "registered_at"
    fieldsets = (
        (None, {"fields": ("code_shown", "subject_link", "purpose_link", "notice_link", "states")}),
        ("Timeline", {"fields": ("timeline",)}),
        (
            "Answer",
            {"fields": ("explicit", "answered", "registered", "until", "covers_from", "evidence", "evidence_hash")},
        ),
    )
    list_acts = (
        Act(
            "add",
            "Record consent",
            "Record what a person answered",
            Permission.MANAGE_CONSENT,
            _record,
            RecordConsentForm,
            explanation="One record per answer. An earlier record is never changed: the newer answer counts.",
            confirm_label="Record",
        ),
    )
    acts = (
        Act(
            "withdraw",
            "Withdraw",
            "Withdraw this consent",
            Permission.MANAGE_CONSENT,
            _withdraw,
            WithdrawForm,
            applies=_has_open_scope,
            explanation="Effective the moment you confirm. What was derived under these scopes is destroyed and stays so.",
            confirm_label="Withdraw now",
            grave=True,
        ),
        Act(
            "reveal",
            "Reveal origin of evidence",
            "Where the evidence is from",
            Permission.REVEAL_SUBJECT,
            _reveal,
            applies=lambda record: record.subject.erased_at is None and record.evidence_origin is not None,
            explanation="The look is recorded in the trail with your name.",
            at_once=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return records.readable(super().get_queryset(request))

    def sought(self, request: HttpRequest, term: str) -> Q:
        return Q(code__istartswith=term) | Q(subject__code=term)

    def get_changelist_instance(self, request: HttpRequest) -> "ChangeList":
        """Describes all rows of the page at once, so that a list of fifty needs no fifty queries."""
        found = super().get_changelist_instance(request)
        rows: list[Any] = list(found.result_list)
        for row, view in zip(rows, records.describe(rows), strict=True):
            row.described = view
        found.result_list = rows
        return found

    def cards(self, request: HttpRequest) -> Sequence[Mapping[str, Any]]:
        soon = expiring(self.get_queryset(request), timezone.now(), timedelta(days=30)).count()
        rows = self.get_queryset(request)
        return [
            {"label": "consents end within 30 days", "count": soon, "query": "?expiring=30", "pressing": True},
            {
                "label": "consents wait to be renewed",
                "count": renewal_due(rows).count(),
                "query": "?renewal=due",
                "pressing": True,
            },
            {
                "label": "consents of children lack proof of representation",
                "count": lacking_proof(rows, timezone.now()).count(),
                "query": "?proof=missing",
                "pressing": True,
            },
        ]

    @admin.display(description="Purpose", ordering="purpose__name")
    def purpose_name(self, row: ConsentRecord) -> str:
        return row.purpose.name

    @admin.display(description="Purpose")
    def purpose_link(self, row: ConsentRecord) -> SafeString:
        return self.link_to(row.purpose, row.purpose.name)

    @admin.display(description="Notice shown")
    def notice_link(self, row: ConsentRecord) -> SafeString:
        return self.link_to(row.notice, notice_name(row.notice))

    @admin.display(description="State now")
    def states(self, row: Any) -> SafeString:
        return badges(scope_badge(scope) for scope in _described(row).scopes)

    @admin.display(description="State now")
    def states_counted(self, row: Any) -> SafeString:
        """In a list: how many scopes are in which state; the record's own page names them."""
        counted: Counter[tuple[str, Tone]] = Counter()
        for scope in _described(row).scopes:
            text, tone = scope_badge(scope)
            counted[words(text.partition(": ")[2]), tone] += 1
        return badges((f"{count} {text}", tone) for (text, tone), count in counted.items())

    @admin.display(description="Answered", ordering="given_at")
    def answered(self, row: ConsentRecord) -> str:
        return moment(row.given_at)

    @admin.display(description="Recorded here")
    def registered(self, row: ConsentRecord) -> str:
        return exact_moment(row.registered_at)

    @admin.display(description="Holds until", ordering="expires_at")
    def until(self, row: ConsentRecord) -> str:
        return "no end set" if row.expires_at is None else moment(row.expires_at)

    @admin.display(description="Covers recordings from")
    def covers_from(self, row: ConsentRecord) -> str:
        return "the answer on" if row.covers_recorded_from is None else moment(row.covers_recorded_from)

    @admin.display(description="Evidence")
    def evidence(self, row: ConsentRecord) -> str:
        if row.subject.erased_at is not None:
            sealed = "; where from: destroyed"
        else:
            sealed = "; where from: •••••••• (sealed)" if row.evidence_origin is not None else ""
        return words(row.evidence_method) + sealed

    @admin.display(description="SHA-256 of what was shown")
    def evidence_hash(self, row: ConsentRecord) -> SafeString:
        return code(row.evidence_sha256)

    @admin.display(description="What happened")
    def timeline(self, row: Any) -> SafeString:
        grants = {grant.code: grant for grant in row.grants.all()}
        names = names_of_staff(row.project, {grant.actor_code for grant in grants.values()})
        steps: list[dict[str, Any]] = []
        for step in _described(row).history:
            grant = grants[step.code]
            # What happened to several scopes in one act is one step: they differ by less than anybody could act.
            act = (step.state, step.reason, grant.actor_code, grant.ending_id, step.superseded_by)
            if not steps or steps[-1]["act"] != act or step.at - steps[-1]["moment"] > ONE_ACT:
                actor = names.get(grant.actor_code) or f"{grant.actor_kind} {grant.actor_code}"
                steps.append(
                    {
                        "act": act,
                        "moment": step.at,
                        "at": exact_moment(step.at),
                        "badge": badge(words(step.state), state_tone(step.state)),
                        "what": STATE_WORDS.get(step.state, words(step.state)),
                        "reason": words(step.reason),
                        "actor": actor,
                        "scopes": [],
                    }
                )
            steps[-1]["scopes"].append((step.scope, scope_words(step.scope), step.revision))
        return part(
            "timeline",
            answered=exact_moment(row.given_at),
            registered=exact_moment(row.registered_at),
            notice=notice_name(row.notice),
            steps=steps,
            ends=self._ending(row),
        )

    def _ending(self, row: ConsentRecord) -> str:
        if row.expires_at is None:
            return ""
        verb = "ended" if row.expires_at <= timezone.now() else "will end"
        return f"{verb} by its own term on {moment(row.expires_at)}"


def _described(row: Any) -> records.RecordView:
    found = getattr(row, "described", None)
    if isinstance(found, records.RecordView):
        return found
    view = records.describe([row])[0]
    row.described = view
    return view
