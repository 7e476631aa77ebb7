"""Admin pages of what waits for a second person: another role, a notice as editorial, an import of consents. One shape for all
three: who asked, since when, what for; approved or turned down by somebody else, through the functions of each.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from accounts.admin_acts import Act, ActForm, Outcome, held_projects, person
from accounts.admin_display import NOTHING, Tone, badge, code, colleague, exact_moment, moment, part, short_code
from accounts.admin_people import names_of
from accounts.models import Project
from accounts.roles import Permission
from audit.entry import Actor
from consent import editorial, importing, relabelling
from consent.admin_filters import WordFilter
from consent.admin_policy import ConsentAdmin, notice_name
from consent.import_rows import COLUMNS, REQUIRED
from consent.models import EditorialPublication, GrantImport, RestrictedRole, RoleChange, SecondPerson
from consent.vocabulary import ImportState

MAX_FORM_FILE = 4 * 1024 * 1024
"""Bytes of a file that comes through a form; the command takes larger ones."""
WAITING = Q(approved_at=None, turned_down_at=None)


class DecidedFilter(WordFilter):
    title = "decision"
    parameter_name = "decision"
    words = (("waiting", "waiting"), ("approved", "approved"), ("turned-down", "turned down"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found = {"waiting": WAITING, "approved": ~Q(approved_at=None), "turned-down": ~Q(turned_down_at=None)}
        return queryset.filter(found.get(self.chosen() or "", Q()))


class SecondPersonAdmin(ConsentAdmin):
    """What the three pages share. A subclass names its acts through `acts_for`."""

    view_permission = Permission.VIEW_CONSENT
    waiting: ClassVar[Q] = WAITING
    waiting_words: ClassVar[str] = ""
    ordering = ("-id",)
    list_select_related: ClassVar[Any] = ("project__organization",)

    def cards(self, request: HttpRequest) -> Sequence[Mapping[str, Any]]:
        """For who may approve: what somebody else asked for."""
        if not held_projects(request, Permission.APPROVE_CONSENT):
            return ()
        rows = self.get_queryset(request).filter(self.waiting).exclude(asked_by_code=person(request).code)
        return [
            {"label": self.waiting_words, "count": rows.count(), "query": "?decision=waiting", "pressing": True},
        ]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        found.result_list = list(found.result_list)
        self._add_names(request, found.result_list)
        return found

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            self._add_names(request, [row])
        return row

    def _add_names(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        """Who asked and who answered: whoever decides with or after them has to know."""
        codes = {getattr(row, name) for row in rows for name in _PEOPLE} - {""}
        names = names_of(person(request), codes)
        for row in rows:
            row.names = names

    def _offered(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        """Nobody is offered to approve their own; whoever asked is offered to take it back."""
        own = row.asked_by_code == person(request).code
        return [
            offer for offer in super()._offered(request, row) if offer["act"].name not in (("approve",) if own else ())
        ]

    @admin.display(description="Asked by", ordering="asked_by_code")
    def asked_by(self, row: Any) -> SafeString:
        return colleague(row.names, row.asked_by_kind, row.asked_by_code)

    @admin.display(description="Asked by", ordering="asked_by_code")
    def asked_by_short(self, row: Any) -> SafeString | str:
        """In a list: the name, or, of whoever has none here, the end of the code."""
        return row.names.get(row.asked_by_code) or short_code(row.asked_by_code)

    @admin.display(description="Asked", ordering="asked_at")
    def asked(self, row: SecondPerson) -> str:
        return moment(row.asked_at)

    @admin.display(description="Decision")
    def decision(self, row: SecondPerson) -> SafeString:
        if row.approved_at is not None:
            return badge("approved", Tone.GOOD)
        if row.turned_down_at is not None:
            return badge("turned down", Tone.BAD)
        return badge("waiting for a second person", Tone.WAITING)

    @admin.display(description="Decided by")
    def decided_by(self, row: Any) -> Any:
        decided = row.approved_by_code or row.turned_down_by_code
        if not decided:
            return "nobody yet; somebody other than who asked"
        return part(
            "decided",
            who=colleague(row.names, "", decided),
            at=exact_moment(row.approved_at or row.turned_down_at),
            back=decided == row.asked_by_code,
        )


_PEOPLE = ("asked_by_code", "approved_by_code", "turned_down_by_code")


def _open(row: SecondPerson) -> bool:
    return row.approved_at is None and row.turned_down_at is None


def _approve_role(row: RoleChange, _: Mapping[str, Any], actor: Actor) -> Outcome:
    return Outcome("Approved: the person counts in this role from now on.", relabelling.approve(row, actor=actor))


def _turn_down_role(row: RoleChange, _: Mapping[str, Any], actor: Actor) -> Outcome:
    return Outcome("Turned down: the role opens nothing.", relabelling.turn_down(row, actor=actor))


def _approve_editorial(row: EditorialPublication, _: Mapping[str, Any], actor: Actor) -> Outcome:
    editorial.approve(row, actor=actor)
    return Outcome("Approved and published. Consent under older versions stays in force.", row)


def _turn_down_editorial(row: EditorialPublication, _: Mapping[str, Any], actor: Actor) -> Outcome:
    return Outcome("Turned down: the notice stays a draft.", editorial.turn_down(row, actor=actor))


@admin.register(RoleChange)
class RoleChangeAdmin(SecondPersonAdmin):
    heading = "Changes of role"
    introduction = (
        "After the law denied something for the role in which a person spoke, another role opens it only when a second "
        "person says that it is true."
    )
    empty_hint = "Nobody asked for another role. It is asked for on a subject's page, or through the API."
    position = 80
    waiting_words = "changes of role wait for you"
    list_display = ("subject_short", "role_shown", "asked", "asked_by_short", "decision")
    list_filter = ("project", DecidedFilter)
    list_select_related = ("subject", "project__organization")
    fieldsets = (
        (None, {"fields": ("subject_link", "role_shown", "denied_in", "decision")}),
        ("People", {"fields": ("asked_by", "asked", "decided_by")}),
        ("Identity", {"fields": ("code_shown",)}),
    )
    acts = (
        Act(
            "approve",
            "Approve",
            "Say that this role is true",
            Permission.APPROVE_CONSENT,
            _approve_role,
            applies=_open,
            explanation="The gate will believe this role. Approve only what you know yourself, not what you were told.",
        ),
        Act(
            "turn-down",
            "Turn down",
            "Turn this change of role down",
            Permission.APPROVE_CONSENT,
            _turn_down_role,
            applies=_open,
            explanation="The role opens nothing. It can be asked for again.",
            grave=True,
        ),
    )

    def caption(self, row: RoleChange) -> str:
        return f"…{row.subject.code[-12:]} as {row.role}"

    @admin.display(description="Role from now on", ordering="role")
    def role_shown(self, row: RoleChange) -> str:
        return row.role

    @admin.display(description="Something was denied to them as")
    def denied_in(self, row: RoleChange) -> str:
        denied = RestrictedRole.objects.filter(subject=row.subject_id).order_by("role").values_list("role", flat=True)
        return ", ".join(denied) or NOTHING


@admin.register(EditorialPublication)
class EditorialPublicationAdmin(SecondPersonAdmin):
    heading = "Editorial publications"
    introduction = (
        "An editorial version leaves older consent in force, so two people must agree that nothing material changed."
    )
    empty_hint = "Nobody asked for one. It is asked for on the page of a drafted editorial notice, or through the API."
    position = 82
    waiting_words = "editorial notices wait for you"
    list_display = ("notice_shown", "asked", "asked_by_short", "decision")
    list_filter = ("project", DecidedFilter)
    list_select_related = ("notice__series", "project__organization")
    fieldsets = (
        (None, {"fields": ("notice_link", "decision")}),
        ("What changes", {"fields": ("before", "after")}),
        ("People", {"fields": ("asked_by", "asked", "decided_by")}),
        ("Identity", {"fields": ("code_shown",)}),
    )
    acts = (
        Act(
            "approve",
            "Approve and publish",
            "Publish this notice as editorial",
            Permission.APPROVE_CONSENT,
            _approve_editorial,
            applies=_open,
            explanation=(
                "Everybody who consented to an older version is taken to have consented to this one. Approve only when "
                "nothing changed that could matter to them. A published notice never changes."
            ),
        ),
        Act(
            "turn-down",
            "Turn down",
            "Turn this publication down",
            Permission.APPROVE_CONSENT,
            _turn_down_editorial,
            applies=_open,
            explanation="The notice stays a draft. To publish the same text as material, draft it anew.",
            grave=True,
        ),
    )

    def caption(self, row: EditorialPublication) -> str:
        return notice_name(row.notice)

    @admin.display(description="Notice")
    def notice_shown(self, row: EditorialPublication) -> str:
        return notice_name(row.notice)

    @admin.display(description="Notice")
    def notice_link(self, row: EditorialPublication) -> SafeString:
        return self.link_to(row.notice, notice_name(row.notice))

    @admin.display(description="Published before")
    def before(self, row: EditorialPublication) -> Any:
        older = (
            row.notice.series.notices.filter(
                language=row.notice.language, version__lt=row.notice.version, published_at__isnull=False
            )
            .order_by("-version")
            .first()
        )
        return "nothing in this language" if older is None else part("notice", title=older.title, text=older.text)

    @admin.display(description="To be published")
    def after(self, row: EditorialPublication) -> SafeString:
        return part("notice", title=row.notice.title, text=row.notice.text)


class FileForm(ActForm):
    project = forms.ModelChoiceField(Project.objects.none())
    file = forms.FileField(
        label="CSV file",
        help_text=(
            f"UTF-8, at most 4 MiB. The first row names the columns: {', '.join(REQUIRED)}, and external_reference or "
            f"subject. Also known: {', '.join(name for name in COLUMNS if name not in REQUIRED)}."
        ),
        error_messages={"required": "Choose a CSV file of at most 4 MiB."},
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
    )

    def clean_file(self) -> bytes:
        file = self.cleaned_data["file"]
        assert isinstance(file, UploadedFile)
        return bytes(file.read())


def _bring(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    brought = importing.bring(form["project"], form["file"], actor=actor)
    return Outcome("Checked. Nothing is recorded yet.", brought)


def _ask_import(row: GrantImport, _: Mapping[str, Any], actor: Actor) -> Outcome:
    return Outcome("Asked for. Somebody else has to approve it.", importing.ask(row, actor=actor))


def _approve_import(row: GrantImport, _: Mapping[str, Any], actor: Actor) -> Outcome:
    return Outcome("Approved. The rows are being recorded.", importing.approve(row, actor=actor))


def _turn_down_import(row: GrantImport, _: Mapping[str, Any], actor: Actor) -> Outcome:
    return Outcome("Turned down. Its rows are destroyed.", importing.turn_down(row, actor=actor))


_STATES: Mapping[str, tuple[str, Tone]] = {
    ImportState.CHECKED: ("checked, nothing recorded", Tone.WAITING),
    ImportState.WAITING: ("waiting for a second person", Tone.WAITING),
    ImportState.RUNNING: ("being recorded", Tone.WAITING),
    ImportState.DONE: ("done", Tone.GOOD),
    ImportState.TURNED_DOWN: ("turned down", Tone.BAD),
    ImportState.STOPPED: ("stopped", Tone.BAD),
}


class ImportStateFilter(WordFilter):
    title = "state"
    parameter_name = "decision"
    words = tuple((state.value, state.value.replace("_", " ")) for state in ImportState)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        return queryset if chosen is None else queryset.filter(state=chosen)


@admin.register(GrantImport)
class GrantImportAdmin(SecondPersonAdmin):
    heading = "Imports of consents"
    introduction = (
        "Existing consents from a file: checked first, approved by a second person, then recorded row by row. The rows lie "
        "sealed until the import ends."
    )
    empty_hint = "No file was brought yet."
    position = 84
    waiting = Q(state=ImportState.WAITING.value)
    waiting_words = "imports of consents wait for you"
    list_display = ("brought", "asked_by_short", "rows", "state_shown", "progress_shown", "project")
    list_filter = ("project", ImportStateFilter)
    change_form_template = "admin/governed/import.html"
    fieldsets = (
        (None, {"fields": ("state_shown", "progress_shown", "counted", "project")}),
        ("What the check found", {"fields": ("report",)}),
        ("People", {"fields": ("asked_by", "asked", "decided_by")}),
        ("Identity", {"fields": ("code_shown", "hash_shown")}),
    )
    list_acts = (
        Act(
            "add",
            "Bring a file",
            "Check a file of existing consents",
            Permission.MANAGE_CONSENT,
            _bring,
            FileForm,
            explanation="Only checks it, as recording it would. Nothing is recorded before a second person approves.",
            confirm_label="Check the file",
        ),
    )
    acts = (
        Act(
            "ask",
            "Ask for approval",
            "Ask a second person to approve this import",
            Permission.MANAGE_CONSENT,
            _ask_import,
            applies=lambda row: row.state == ImportState.CHECKED and row.problem_count == 0 and row.rows > 0,
            explanation="You attest that these people were shown these notices and answered so.",
            confirm_label="Ask",
        ),
        Act(
            "approve",
            "Approve",
            "Approve this import",
            Permission.APPROVE_CONSENT,
            _approve_import,
            applies=lambda row: row.state == ImportState.WAITING,
            explanation="Every row becomes a consent record. The gate opens for them from the moment they are recorded.",
        ),
        Act(
            "turn-down",
            "Turn down",
            "Turn this import down",
            Permission.APPROVE_CONSENT,
            _turn_down_import,
            applies=lambda row: row.state in (ImportState.CHECKED, ImportState.WAITING),
            explanation="Nothing is recorded, and the rows are destroyed at once.",
            grave=True,
        ),
    )

    def caption(self, row: GrantImport) -> str:
        return f"{row.rows} rows, brought {moment(row.asked_at)}"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page looks again by itself while rows are recorded."""
        row = self.get_object(request, object_id)
        running = row is not None and row.state == ImportState.RUNNING
        return super().change_view(
            request, object_id, form_url, {"again": 2 if running else 0, **(extra_context or {})}
        )

    @admin.display(description="Brought", ordering="id")
    def brought(self, row: GrantImport) -> str:
        return moment(row.asked_at)

    @admin.display(description="State", ordering="state")
    def state_shown(self, row: GrantImport) -> SafeString:
        return badge(*_STATES[row.state])

    @admin.display(description="Progress")
    def progress_shown(self, row: GrantImport) -> Any:
        if row.state not in (ImportState.RUNNING, ImportState.DONE):
            return NOTHING
        return part("progress", percent=100 * row.after // max(row.rows, 1))

    @admin.display(description="Rows")
    def counted(self, row: GrantImport) -> str:
        if row.state in (ImportState.RUNNING, ImportState.DONE, ImportState.STOPPED):
            return (
                f"{row.rows}: {row.recorded} recorded, {row.repeated} recorded before, {row.failed} refused, "
                f"{row.rows - row.after} to go"
            )
        return f"{row.rows}; {row.repeated} of them recorded before; {row.new_people} people are new here"

    @admin.display(description="Report")
    def report(self, row: GrantImport) -> SafeString:
        return part("problems", items=row.problems, count=row.problem_count, shown=len(row.problems), rows=row.rows)

    @admin.display(description="SHA-256 of the file")
    def hash_shown(self, row: GrantImport) -> SafeString:
        return code(row.sha256)
