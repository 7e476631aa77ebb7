"""Admin page of subjects: who is known by which code, what they answered, and the acts about a whole person."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts.admin_acts import Act, Outcome
from accounts.admin_display import Tone, badge, badges, counts, moment, part, words
from accounts.roles import Permission
from audit.entry import Actor
from consent import records, relabelling, restricting, revealing, subjects, withdrawal
from consent.admin_filters import (
    ErasedFilter,
    RestrictedFilter,
)
from consent.admin_forms import (
    AnswerForm,
    EraseForm,
    FindForm,
    RegisterForm,
    RestrictForm,
    RoleForm,
)
from consent.admin_policy import ConsentAdmin
from consent.admin_records import ConsentRecordAdmin, record_for, withdrawn
from consent.admin_words import scope_badge, scope_words
from consent.errors import InvalidRecord
from consent.models import ConsentRecord, CurrentGrant, Subject
from consent.vocabulary import GrantState, ParticipantRole, RestrictionGround

if TYPE_CHECKING:
    pass


def _register(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    subject = subjects.register(form["project"], external_reference=form["external_reference"], actor=actor)
    return Outcome("The person is registered.", subject)


def _find(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    found = subjects.find_by_reference(form["project"], form["external_reference"])
    if found is None:
        raise InvalidRecord("external_reference", "nobody here has this reference")
    return Outcome("Found.", found)


def _reveal(subject: Subject, _: Mapping[str, Any], actor: Actor) -> Outcome:
    reference = revealing.reference(subject, actor=actor)
    return Outcome("This look is recorded in the trail.", subject, shown_once=[("External reference", reference)])


def _erase(subject: Subject, _: Mapping[str, Any], actor: Actor) -> Outcome:
    order = withdrawal.erase(subject, actor=actor)
    return Outcome(f"Erased. Nothing of this person opens any more; order {order.code} destroys what is held.", subject)


def _withdraw_all(subject: Subject, _: Mapping[str, Any], actor: Actor) -> Outcome:
    return withdrawn(withdrawal.withdraw(subject, actor=actor), subject)


def _ask_role(subject: Subject, form: Mapping[str, Any], actor: Actor) -> Outcome:
    asked = relabelling.ask(subject, ParticipantRole(form["role"]), actor=actor)
    return Outcome("Asked for. Somebody else has to approve it.", asked)


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
        ("Consent", {"fields": ("in_force", "answers", "voiceprints")}),
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
            record_for,
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
            Permission.RESTRICT_SUBJECT,
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
            Permission.RESTRICT_SUBJECT,
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

    @admin.display(description="Voiceprints")
    def voiceprints(self, row: Subject) -> SafeString:
        """That there are some, and until when; what is in them nobody is shown."""
        found = row.voiceprints.select_related("purpose").order_by("purpose__name")
        return counts(
            {one.purpose.name: f"made {moment(one.made_at)}, kept until {moment(one.expires_at)}" for one in found}
        )

    def _views(self, row: Subject) -> list[records.RecordView]:
        rows = records.readable(ConsentRecord.objects.filter(subject=row).order_by("-id"))
        return records.describe(list(rows[:100]))
