"""Admin pages of subjects and of what they consented to. What is asked and kept in general is in `admin_policy`, what follows in
`admin_outcomes`, forms in `admin_forms`. Every change is one call of a domain function.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.admin_acts import Act, Outcome
from accounts.admin_display import Tone, badge, badges, code, exact_moment, moment, part, short_code, words
from accounts.admin_people import names_of_staff
from accounts.roles import Permission
from audit.entry import Actor
from consent import (
    admin_approvals,
    admin_bulk,
    admin_outcomes,
    granting,
    records,
    relabelling,
    restricting,
    subjects,
    withdrawal,
)
from consent.admin_filters import (
    CurrentScopeFilter,
    CurrentStateFilter,
    ErasedFilter,
    ExpiringFilter,
    ProofFilter,
    RenewalFilter,
    RestrictedFilter,
    expiring,
    lacking_proof,
    renewal_due,
)
from consent.admin_forms import (
    AnswerForm,
    EraseForm,
    FindForm,
    RecordConsentForm,
    RegisterForm,
    RestrictForm,
    RoleForm,
    WithdrawForm,
    answer_of,
)
from consent.admin_policy import ConsentAdmin, notice_name
from consent.admin_words import STATE_WORDS, scope_badge, scope_words, state_tone
from consent.errors import InvalidRecord
from consent.models import ConsentRecord, CurrentGrant, Subject
from consent.vocabulary import GrantState, ParticipantRole, RestrictionGround, Scope

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList


ONE_ACT = timedelta(seconds=2)


def _register(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    subject = subjects.register(form["project"], external_reference=form["external_reference"], actor=actor)
    return Outcome("The person is registered.", subject)


def _find(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    found = subjects.find_by_reference(form["project"], form["external_reference"])
    if found is None:
        raise InvalidRecord("external_reference", "nobody here has this reference")
    return Outcome("Found.", found)


def _reveal(subject: Subject, _: Mapping[str, Any], actor: Actor) -> Outcome:
    reference = subjects.reveal_reference(subject, actor=actor)
    return Outcome("This look is recorded in the trail.", subject, shown_once=[("External reference", reference)])


def _erase(subject: Subject, _: Mapping[str, Any], actor: Actor) -> Outcome:
    order = withdrawal.erase(subject, actor=actor)
    return Outcome(f"Erased. Nothing of this person opens any more; order {order.code} destroys what is held.", subject)


def _withdraw_all(subject: Subject, _: Mapping[str, Any], actor: Actor) -> Outcome:
    return _withdrawn(withdrawal.withdraw(subject, actor=actor), subject)


def _ask_role(subject: Subject, form: Mapping[str, Any], actor: Actor) -> Outcome:
    asked = relabelling.ask(subject, ParticipantRole(form["role"]), actor=actor)
    return Outcome("Asked for. Somebody else has to approve it.", asked)


def _record_for(subject: Subject, form: Mapping[str, Any], actor: Actor) -> Outcome:
    record = granting.record_consent(
        subject.project, subject, form["purpose"], form["notice"], answer_of(form), actor=actor
    )
    return Outcome("The answer is recorded.", record)


def _record(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    return _record_for(form["subject"], form, actor)


def _withdraw(record: ConsentRecord, form: Mapping[str, Any], actor: Actor) -> Outcome:
    scopes = [Scope(scope) for scope in form["scopes"]]
    return _withdrawn(withdrawal.withdraw(record.subject, record=record, scopes=scopes, actor=actor), record)


def _withdrawn(done: withdrawal.Withdrawal, target: Any) -> Outcome:
    closed = ", ".join(sorted({scope for _, scope in done.closed}))
    return Outcome(f"Withdrawn, effective at once: {closed}. What was derived is ordered destroyed.", target)


def _has_open_scope(record: ConsentRecord) -> bool:
    return any(scope.state == GrantState.GIVEN for view in records.describe([record]) for scope in view.scopes) and (
        record.subject.erased_at is None
    )


def _has_consent(subject: Subject) -> bool:
    given = CurrentGrant.objects.filter(subject=subject, grant__state=GrantState.GIVEN.value)
    return subject.erased_at is None and given.exists()


def _is_denied_a_role(subject: Subject) -> bool:
    return subject.erased_at is None and subject.restricted_roles.exists()


def _not_erased(subject: Subject) -> bool:
    return subject.erased_at is None


def _restrict(subject: Subject, form: Mapping[str, Any], actor: Actor) -> Outcome:
    restricting.restrict(subject, RestrictionGround(form["ground"]), actor)
    return Outcome("Restricted. Nothing is done with this person's data; what is stored stays as it is.", subject)


def _lift(subject: Subject, _: Mapping[str, Any], actor: Actor) -> Outcome:
    restricting.lift(subject, actor)
    return Outcome("Lifted. The gate goes by this person's grants again, and their jobs go on.", subject)


@admin.register(Subject)
class SubjectAdmin(ConsentAdmin):
    view_permission = Permission.VIEW_CONSENT
    heading = "Subjects"
    introduction = "The people whose voices are heard, by opaque code. Who they are stays sealed."
    empty_hint = "Nobody is registered yet. Subjects come in through the API, or with “Register a person”."
    position = 10
    in_trail = True
    list_display = ("code_short", "project", "registered", "consent", "reference")
    list_filter = ("project", ErasedFilter, RestrictedFilter)
    list_select_related = ("project",)
    search_fields = ("code__istartswith",)
    search_help_text = "The beginning of a code. To search by external reference use “Find by reference”."
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("code_shown", "project", "registered", "reference", "restricted", "erased")}),
        ("Consent", {"fields": ("in_force", "answers")}),
    )
    list_acts = (
        Act("add", "Register a person", "Register a person", Permission.MANAGE_CONSENT, _register, RegisterForm),
        Act(
            "find",
            "Find by reference",
            "Find a person by external reference",
            Permission.MANAGE_CONSENT,
            _find,
            FindForm,
            explanation="The reference travels in the body of the form only, so that it stands in no address and no log.",
            confirm_label="Find",
        ),
    )
    acts = (
        Act(
            "record-consent",
            "Record consent",
            "Record what this person answered",
            Permission.MANAGE_CONSENT,
            _record_for,
            AnswerForm,
            applies=_not_erased,
            explanation="One record per answer. An earlier record is never changed: the newer answer counts.",
            confirm_label="Record",
        ),
        Act(
            "reveal",
            "Reveal reference",
            "External reference",
            Permission.REVEAL_SUBJECT,
            _reveal,
            applies=lambda subject: subject.erased_at is None and subject.external_reference is not None,
            explanation="The look is recorded in the trail with your name.",
            at_once=True,
        ),
        Act(
            "ask-role",
            "Ask for another role",
            "Ask that this person count in another role",
            Permission.MANAGE_CONSENT,
            _ask_role,
            RoleForm,
            applies=_is_denied_a_role,
            explanation=(
                "Something was denied to this person for their role. Another role opens it only when a second person says "
                "that it is true."
            ),
            confirm_label="Ask",
        ),
        Act(
            "withdraw",
            "Withdraw everything",
            "Withdraw everything this person granted",
            Permission.MANAGE_CONSENT,
            _withdraw_all,
            applies=_has_consent,
            explanation="Effective at once, for every purpose. What was derived from their voice is destroyed.",
            confirm_label="Withdraw everything",
            grave=True,
        ),
        Act(
            "restrict",
            "Restrict",
            "Restrict the processing of this person's data",
            Permission.MANAGE_CONSENT,
            _restrict,
            RestrictForm,
            applies=lambda subject: subject.erased_at is None and subject.restricted_at is None,
            explanation=(
                "Reads are refused and jobs wait, at once. Keys and data stay, and nothing goes for its term, until it is "
                "lifted. Withdrawal and erasure go on."
            ),
            confirm_label="Restrict",
        ),
        Act(
            "lift-restriction",
            "Lift restriction",
            "Lift the restriction of this person's data",
            Permission.MANAGE_CONSENT,
            _lift,
            applies=lambda subject: subject.erased_at is None and subject.restricted_at is not None,
            explanation="From then on the gate goes by this person's grants again, and their jobs go on.",
            confirm_label="Lift",
        ),
        Act(
            "erase",
            "Erase person",
            "Erase this person",
            Permission.ERASE_SUBJECT,
            _erase,
            EraseForm,
            applies=_not_erased,
            explanation=(
                "Withdraws all consent, destroys every key of this person and everything held about them. "
                "A bare proof of past consent stays; nothing brings the rest back."
            ),
            confirm_label="Erase for good",
            grave=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        given = CurrentGrant.objects.filter(subject=OuterRef("pk"), grant__state=GrantState.GIVEN.value)
        rows: QuerySet[Any] = super().get_queryset(request).annotate(has_consent=Exists(given))
        return rows

    @admin.display(description="Code")
    def code_short(self, row: Subject) -> SafeString:
        return short_code(row.code)

    @admin.display(description="Code")
    def code_shown(self, row: Subject) -> SafeString:
        return code(row.code)

    @admin.display(description="Registered", ordering="id")
    def registered(self, row: Subject) -> str:
        return moment(row.created_at)

    @admin.display(description="Consent")
    def consent(self, row: Any) -> SafeString:
        if row.erased_at is not None:
            return badge("erased", Tone.ENDED)
        if row.restricted_at is not None:
            return badge("restricted", Tone.WAITING)
        return badge("given", Tone.GOOD) if row.has_consent else badge("none", Tone.WAITING)

    @admin.display(description="External reference")
    def reference(self, row: Subject) -> str:
        if row.erased_at is not None:
            return "destroyed"
        return "•••••••• (sealed)" if row.external_reference is not None else "none given"

    @admin.display(description="Restricted")
    def restricted(self, row: Subject) -> str:
        if row.restricted_at is None:
            return "no"
        return f"since {moment(row.restricted_at)}: {words(row.restriction_ground)}"

    @admin.display(description="Erased")
    def erased(self, row: Subject) -> str:
        if row.erased_at is None:
            return "no"
        order = records.erasure_of(row)
        done = "everything held is destroyed" if order and order.done_at else "destruction is under way"
        return f"{moment(row.erased_at)}; {done}"

    @admin.display(description="In force now")
    def in_force(self, row: Subject) -> SafeString:
        open_now = {
            (view.record.purpose.name, scope.scope)
            for view in self._views(row)
            for scope in view.scopes
            if scope.in_force
        }
        items = [(purpose, scope, scope_words(scope)) for purpose, scope in sorted(open_now)]
        return part("in_force", items=items)

    @admin.display(description="Answers")
    def answers(self, row: Subject) -> SafeString:
        page = self.admin_site._registry[ConsentRecord]
        assert isinstance(page, ConsentRecordAdmin)
        items = [
            {
                "link": page.link(view.record, moment(view.record.given_at)),
                "purpose": view.record.purpose.name,
                "states": badges(scope_badge(scope) for scope in view.scopes),
            }
            for view in self._views(row)
        ]
        return part("answers", items=items)

    def _views(self, row: Subject) -> list[records.RecordView]:
        rows = records.readable(ConsentRecord.objects.filter(subject=row).order_by("-id"))
        return records.describe(list(rows[:100]))


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
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return records.readable(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(Q(code__istartswith=term) | Q(subject__code=term)), False

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

    @admin.display(description="Code")
    def code_short(self, row: ConsentRecord) -> SafeString:
        return short_code(row.code)

    @admin.display(description="Code")
    def code_shown(self, row: ConsentRecord) -> SafeString:
        return code(row.code)

    @admin.display(description="Subject")
    def subject_short(self, row: ConsentRecord) -> SafeString:
        return short_code(row.subject.code)

    @admin.display(description="Subject")
    def subject_link(self, row: ConsentRecord) -> SafeString:
        return self.link_to(row.subject, code(row.subject.code))

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


__all__ = ("ConsentRecordAdmin", "SubjectAdmin", "admin_approvals", "admin_bulk", "admin_outcomes")
