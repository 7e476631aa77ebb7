"""Admin pages of what is asked and kept in general: notices, purposes, terms of retention. Published notices are read-only."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.access import projects_with
from accounts.admin_acts import Act, Outcome
from accounts.admin_display import NOTHING, Tone, badge, code, exact_moment, part, short_code, words
from accounts.governed_admin import GovernedAdmin
from accounts.models import Project
from accounts.roles import Permission
from audit.entry import Actor
from consent import editorial, publishing, retention, terms
from consent.admin_filters import PublishedFilter
from consent.admin_forms import ContinueNoticeForm, DraftNoticeForm, PurposeForm, TermForm, processing_of
from consent.admin_words import scope_words
from consent.errors import ConsentError
from consent.inventory import DEFAULT_DAYS, Category
from consent.models import Notice, Purpose, RetentionPolicy
from consent.processing import DAYS
from consent.vocabulary import Context, Ground, LawfulBasis, RetentionClass, Scope
from vault.errors import VaultError


class ConsentAdmin(GovernedAdmin):
    """What the pages of this room share."""

    refusals = (*GovernedAdmin.refusals, ConsentError, VaultError)

    @admin.display(description="Subject")
    def subject_short(self, row: Any) -> SafeString:
        return short_code(row.subject.code)

    @admin.display(description="Subject")
    def subject_link(self, row: Any) -> SafeString:
        return self.link_to(row.subject, code(row.subject.code))


def notice_name(notice: Notice) -> str:
    return f"{notice.series.name}, version {notice.version} ({notice.language})"


def _draft(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    notice = publishing.draft_notice(
        form["project"],
        series=form["series"],
        language=form["language"],
        title=form["title"],
        text=form["text"],
        material=form["material"],
        actor=actor,
    )
    return Outcome("Drafted. Nobody is shown it until it is published.", notice)


def _next_version(before: Notice, form: Mapping[str, Any], actor: Actor) -> Outcome:
    return _draft(None, {**form, "project": before.project, "series": before.series.name}, actor)


def _publish(notice: Notice, _: Mapping[str, Any], actor: Actor) -> Outcome:
    return Outcome("Published. From here on it never changes.", publishing.publish_notice(notice, actor=actor))


def _ask_editorial(notice: Notice, _: Mapping[str, Any], actor: Actor) -> Outcome:
    return Outcome("Asked for. Somebody else has to approve it.", editorial.ask(notice, actor=actor))


def _waits(notice: Notice) -> bool:
    return notice.editorial_publications.filter(approved_at=None, turned_down_at=None).exists()


def _create_purpose(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    purpose = publishing.create_purpose(
        form["project"],
        name=form["name"],
        series=form["series"],
        lawful_basis=LawfulBasis(form["lawful_basis"]),
        scopes=[Scope(scope) for scope in form["scopes"]],
        contexts=[Context(context) for context in form["contexts"]],
        description=form["description"],
        recipients=form["recipients"],
        processing=processing_of(form),
        ground=form["ground"],
        deidentified=form["deidentified"],
        dpia_reference=form["dpia_reference"],
        actor=actor,
    )
    return Outcome("The purpose is open.", purpose)


def _activate(purpose: Purpose, _: Mapping[str, Any], actor: Actor) -> Outcome:
    return Outcome("The purpose is open again.", publishing.set_purpose_active(purpose, True, actor=actor))


def _deactivate(purpose: Purpose, _: Mapping[str, Any], actor: Actor) -> Outcome:
    publishing.set_purpose_active(purpose, False, actor=actor)
    return Outcome("Closed. Nothing that rests on this purpose is permitted any more.", purpose)


def _set_term(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    policy = retention.set_policy(form["project"], form["category"], form["days"], actor=actor)
    return Outcome(f"{words(policy.category).capitalize()}: kept for {policy.days} days.")


@admin.register(Notice)
class NoticeAdmin(ConsentAdmin):
    view_permission = Permission.VIEW_CONSENT
    heading = "Notices"
    introduction = "The exact texts that people are shown before they answer. A published notice never changes."
    empty_hint = (
        "No notice yet. Draft one, have it read, then publish it: consent can be recorded under it from then on."
    )
    position = 30
    list_display = ("name", "title", "language", "effect", "state", "project")
    list_filter = ("project", PublishedFilter, "language", "material")
    list_select_related = ("series", "project")
    search_fields = ("series__name", "title", "code__istartswith")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("name", "title", "language", "effect", "state", "project")}),
        ("Text", {"fields": ("text_shown",)}),
        ("Identity", {"fields": ("code_shown", "hash_shown", "drafted", "published")}),
    )
    list_acts = (
        Act(
            "add",
            "Draft a notice",
            "Draft a notice",
            Permission.MANAGE_CONSENT,
            _draft,
            DraftNoticeForm,
            initial=lambda _: {"language": "en", "material": True},
            confirm_label="Save draft",
        ),
    )
    acts = (
        Act(
            "publish",
            "Publish",
            "Publish this notice",
            Permission.MANAGE_CONSENT,
            _publish,
            applies=lambda notice: notice.published_at is None and notice.material,
            explanation=(
                "A published notice can never be changed. It is material: consent given under older versions stops "
                "counting the moment you publish."
            ),
        ),
        Act(
            "ask-editorial",
            "Ask to publish",
            "Ask to publish this notice as editorial",
            Permission.MANAGE_CONSENT,
            _ask_editorial,
            applies=lambda notice: notice.published_at is None and not notice.material and not _waits(notice),
            explanation=(
                "An editorial version leaves consent under older versions in force, so a second person must approve it."
            ),
            confirm_label="Ask",
        ),
        Act(
            "new-version",
            "Draft a new version",
            "Draft a new version or translation",
            Permission.MANAGE_CONSENT,
            _next_version,
            ContinueNoticeForm,
            initial=lambda notice: {
                "language": notice.language,
                "title": notice.title,
                "text": notice.text,
                "material": notice.material,
            },
            confirm_label="Save draft",
        ),
    )

    def caption(self, row: Notice) -> str:
        return notice_name(row)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("series", "project__organization")

    @admin.display(description="Notice", ordering="series__name")
    def name(self, row: Notice) -> str:
        return f"{row.series.name}, version {row.version}"

    @admin.display(description="Effect")
    def effect(self, row: Notice) -> str:
        return "material: older consent must be renewed" if row.material else "editorial: older consent stays valid"

    @admin.display(description="State")
    def state(self, row: Notice) -> SafeString:
        if row.published_at is None:
            return badge("waiting for a second person" if _waits(row) else "draft", Tone.WAITING)
        if row.version < row.series.least_valid_version:
            return badge("superseded", Tone.ENDED)
        return badge("published", Tone.GOOD)

    @admin.display(description="As shown to people")
    def text_shown(self, row: Notice) -> SafeString:
        return format_html('<div class="vg-text">{}</div>', row.text)

    @admin.display(description="SHA-256")
    def hash_shown(self, row: Notice) -> SafeString:
        return code(row.sha256)

    @admin.display(description="Drafted")
    def drafted(self, row: Notice) -> str:
        return exact_moment(row.created_at)

    @admin.display(description="Published")
    def published(self, row: Notice) -> str:
        return exact_moment(row.published_at)


@admin.register(Purpose)
class PurposeAdmin(ConsentAdmin):
    view_permission = Permission.VIEW_CONSENT
    heading = "Purposes"
    introduction = "Why voices are processed, on which lawful basis, and which analyses each purpose may use."
    empty_hint = "No purpose yet. Draft a notice first: each purpose names the notice that people are shown for it."
    position = 40
    list_display = ("name", "basis", "scopes_shown", "state", "project")
    list_filter = ("project", "active", "lawful_basis")
    list_select_related = ("series", "project")
    search_fields = ("name", "code__istartswith")
    ordering = ("name",)
    fieldsets = (
        (None, {"fields": ("name", "description", "state", "project", "notice_shown")}),
        ("Limits", {"fields": ("basis", "scopes_long", "contexts_shown", "recipients_shown", "places_shown")}),
        ("Processing", {"fields": ("controllers_shown", "stored_in", "safeguards_shown", "kept", "withdrawal_method")}),
        ("Law", {"fields": ("risk", "assessment", "ground_shown", "deidentified")}),
        ("Identity", {"fields": ("code_shown", "created")}),
    )
    list_acts = (
        Act(
            "add",
            "Create a purpose",
            "Create a purpose",
            Permission.MANAGE_CONSENT,
            _create_purpose,
            PurposeForm,
            explanation="Name every scope it needs and no more: there is no “all”, and scopes are not added later.",
            confirm_label="Create",
        ),
    )
    acts = (
        Act(
            "deactivate",
            "Close purpose",
            "Close this purpose",
            Permission.MANAGE_CONSENT,
            _deactivate,
            applies=lambda purpose: purpose.active,
            explanation="Closes the gate for everything that rests on this purpose, at once. It can be opened again.",
            grave=True,
        ),
        Act(
            "activate",
            "Open purpose",
            "Open this purpose again",
            Permission.MANAGE_CONSENT,
            _activate,
            applies=lambda purpose: not purpose.active,
            explanation="Consent in force under this purpose counts again.",
        ),
    )

    @admin.display(description="Lawful basis", ordering="lawful_basis")
    def basis(self, row: Purpose) -> str:
        return words(row.lawful_basis)

    @admin.display(description="Scopes")
    def scopes_shown(self, row: Purpose) -> str:
        return ", ".join(row.scopes)

    @admin.display(description="Scopes")
    def scopes_long(self, row: Purpose) -> SafeString:
        return part("scopes", items=[(scope, scope_words(scope)) for scope in row.scopes])

    @admin.display(description="Contexts")
    def contexts_shown(self, row: Purpose) -> str:
        return ", ".join(row.contexts)

    @admin.display(description="Recipients of results")
    def recipients_shown(self, row: Purpose) -> str:
        return ", ".join(row.recipients) or "nobody else"

    @admin.display(description="Meant for")
    def places_shown(self, row: Purpose) -> str:
        return ", ".join(row.jurisdictions) or "not stated"

    @admin.display(description="Responsible")
    def controllers_shown(self, row: Purpose) -> str:
        return "; ".join(f"{party['name']}, {party['address']}, {party['contact']}" for party in row.parties) or NOTHING

    @admin.display(description="Stored in")
    def stored_in(self, row: Purpose) -> str:
        return ", ".join(row.storage_locations) or "not stated"

    @admin.display(description="Safeguards outside the EEA")
    def safeguards_shown(self, row: Purpose) -> str:
        return row.transfer_safeguards or "none stated"

    @admin.display(description="Kept")
    def kept(self, row: Purpose) -> str:
        return f"at most {DAYS[RetentionClass(row.retention_class)]} days"

    @admin.display(description="Risk")
    def risk(self, row: Purpose) -> SafeString:
        return badge("high", Tone.WAITING) if row.high_risk else badge("not high", Tone.GOOD)

    @admin.display(description="Impact assessment")
    def assessment(self, row: Purpose) -> str:
        return row.dpia_reference or "none named"

    @admin.display(description="Emotion at work or in education")
    def ground_shown(self, row: Purpose) -> str:
        return "never" if row.ground == Ground.NONE else f"for {row.ground} reasons, as the assessment documents"

    @admin.display(description="State", ordering="active")
    def state(self, row: Purpose) -> SafeString:
        return badge("open", Tone.GOOD) if row.active else badge("closed", Tone.ENDED)

    @admin.display(description="Notice")
    def notice_shown(self, row: Purpose) -> str:
        return f"{row.series.name}; consent counts from version {row.series.least_valid_version} on"

    @admin.display(description="Created")
    def created(self, row: Purpose) -> str:
        return exact_moment(row.created_at)


@admin.register(RetentionPolicy)
class RetentionPolicyAdmin(ConsentAdmin):
    view_permission = Permission.MANAGE_RETENTION
    url_field = "id"
    heading = "Retention"
    introduction = (
        "How long each kind of data is kept before the sweep destroys it. "
        "Identity and consent records end by erasure only."
    )
    position = 70
    list_display = ("category", "days", "project")
    fieldsets = ((None, {"fields": ("category", "days", "project")}),)
    change_list_template = "admin/governed/retention.html"
    list_acts = (
        Act(
            "add",
            "Set a term",
            "Set how long a kind of data is kept",
            Permission.MANAGE_RETENTION,
            _set_term,
            TermForm,
            explanation="Shortening a term destroys everything older at the next sweep.",
            confirm_label="Set",
        ),
    )

    def caption(self, row: RetentionPolicy) -> str:
        return words(row.category)

    def act_initial(self, request: HttpRequest, act: Act, row: Any) -> Mapping[str, Any]:
        project = projects_with(request.user, act.permission).filter(code=request.GET.get("project", "")).first()
        known = {category.value for category in DEFAULT_DAYS}
        category = request.GET.get("category", "")
        if project is None or category not in known:
            return {}
        return {"project": project, "category": category, "days": terms.days_for(project, Category(category))}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The terms in force, defaults included: a list of what somebody set would leave out most of them."""
        projects = projects_with(request.user, self.view_permission).order_by("name")
        return super().changelist_view(
            request,
            {"terms": [(project, self._terms(request, project)) for project in projects], **(extra_context or {})},
        )

    def _terms(self, request: HttpRequest, project: Project) -> list[dict[str, Any]]:
        own = set(self.get_queryset(request).filter(project=project).values_list("category", flat=True))
        return [
            {
                "category": words(category),
                "days": terms.days_for(project, category),
                "own": category.value in own,
                "url": f"{reverse(self._route('add'))}?project={project.code}&category={category.value}"
                if category in DEFAULT_DAYS
                else "",
            }
            for category in Category
        ]
