"""`GovernedAdmin`, the base of every admin page: rows through `visible_to`, permissions from projects, writes through acts.

Django's model permissions and its superuser flag count for nothing here. Pages are read-only; whatever changes something is an
`Act` that makes one domain call. Nothing is deleted, nothing is done in bulk, and Django's own LogEntry is never written.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib import admin, messages
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.utils import flatten_fieldsets, quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, PermissionDenied
from django.db.models import Field, ForeignKey, ManyToManyField, Model, Q, QuerySet
from django.forms import ModelChoiceField, ModelMultipleChoiceField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin_acts import Act, ActForm, Outcome, actor, held_projects, person, project_id_of, visible_rows
from accounts.admin_display import code, short_code
from accounts.errors import AccountsError
from accounts.roles import Permission

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _RelatedFilter = admin.RelatedFieldListFilter
    _ChangeList = ChangeList
else:
    _ModelAdmin = admin.ModelAdmin
    _RelatedFilter = admin.RelatedFieldListFilter
    _ChangeList = ChangeList

EVENTS: Final = "admin:audit_event_changelist"


class VisibleRelatedFilter(_RelatedFilter):
    """A filter by a related row that offers only rows which the viewer sees."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[Any]:
        rows = model_admin.related_rows(request, field)
        return [(str(row.pk), str(row)) for row in rows[:200]]


class GovernedChangeList(_ChangeList):
    """Links rows by their public code."""

    def url_for_result(self, result: Any) -> str:
        found: str = self.model_admin.url_of(result)  # type: ignore[attr-defined]  # GovernedAdmin only
        return found


class GovernedAdmin(_ModelAdmin):
    """Base of every admin page. A subclass names `view_permission`, `fieldsets` and its acts."""

    view_permission: ClassVar[Permission]
    url_field: ClassVar[str] = "code"
    acts: ClassVar[Sequence[Act]] = ()
    list_acts: ClassVar[Sequence[Act]] = ()
    refusals: ClassVar[tuple[type[Exception], ...]] = (AccountsError,)
    heading: ClassVar[str] = ""
    introduction: ClassVar[str] = ""
    empty_hint: ClassVar[str] = "There is nothing here yet."
    position: ClassVar[int] = 100
    in_trail: ClassVar[bool] = False
    """Whether the trail can be searched for one object of this kind: those that it blinds."""

    actions = None
    save_on_top = False
    list_per_page = 50
    show_full_result_count = False
    change_form_template = "admin/governed/detail.html"
    change_list_template = "admin/governed/list.html"
    act_template = "admin/governed/act.html"
    shown_once_template = "admin/governed/shown_once.html"

    # Rows

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = self.model._default_manager.all()
        visible_to = getattr(rows, "visible_to", None)
        if visible_to is not None and self.model.view_permission == self.view_permission:
            found: QuerySet[Any] = visible_to(request.user)
        else:
            found = visible_rows(rows, request.user, self.view_permission)
        ordering = self.get_ordering(request)
        return found.order_by(*ordering) if ordering else found

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """By public code among what the viewer sees; a row of somebody else is as absent as one that never was."""
        return super().get_object(request, object_id, self.url_field)

    def url_of(self, row: Any) -> str:
        return reverse(self._route("change"), args=(quote(str(getattr(row, self.url_field))),))

    def link(self, row: Any, text: str = "") -> SafeString:
        return format_html('<a href="{}">{}</a>', self.url_of(row), text or str(row))

    def link_to(self, row: Any, text: str) -> SafeString:
        """A link to the page of another governed model, or only the text where it has none."""
        owner = self.admin_site._registry.get(type(row))
        return owner.link(row, text) if isinstance(owner, GovernedAdmin) else format_html("{}", text)

    # Permissions

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        held = held_projects(request, self.view_permission)
        return bool(held) if obj is None else self.project_of(obj) in held

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return any(act.name == "add" and self.may_act(request, act) for act in self.list_acts)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def may_act(self, request: HttpRequest, act: Act, row: Any = None) -> bool:
        held = held_projects(request, act.permission)
        return bool(held) if row is None else self.project_of(row) in held

    def project_of(self, row: Any) -> int:
        return project_id_of(row)

    # Lists

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return GovernedChangeList

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Every filter by a relation offers visible rows only, however it was written down."""
        return [
            (named, VisibleRelatedFilter) if isinstance(named, str) and self._is_relation(named) else named
            for named in super().get_list_filter(request)
        ]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what a filter or the date line offers; Django would let any column of the table be probed by prefix."""
        if request is None:
            return False
        offered = {self.date_hierarchy} if self.date_hierarchy else set()
        for named in self.get_list_filter(request):
            if isinstance(named, str):
                offered.add(named)
            elif isinstance(named, tuple):
                offered.add(named[0])
            elif lookup == getattr(named, "parameter_name", None):
                return True
        return any(lookup == name or lookup.startswith(f"{name}__") for name in offered if name) and set(
            lookup.split("__")[1:]
        ) <= {"id", "exact", "isnull", "year", "month", "day", "gte", "lt"}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {
            "title": self.heading or str(self.opts.verbose_name_plural).capitalize(),
            "introduction": self.introduction,
            "empty_hint": self.empty_hint,
            "buttons": [
                {"label": act.label, "url": reverse(self._route(act.name)), "name": act.name}
                for act in self.list_acts
                if self.may_act(request, act)
            ],
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    @admin.display(description="Code")
    def code_short(self, row: Any) -> SafeString:
        return short_code(row.code)

    @admin.display(description="Code")
    def code_shown(self, row: Any) -> SafeString:
        return code(row.code)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        found = self.sought(request, term) if term else None
        if found is None:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(found), False

    def sought(self, request: HttpRequest, term: str) -> Q | None:
        """Which rows the term finds, where that is more than `search_fields` can say."""
        return None

    def cards(self, request: HttpRequest) -> Sequence[Mapping[str, Any]]:
        """Counts for the start page: `label`, `count`, `query` (of this page's list) and `pressing`."""
        return ()

    # One object

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What a page shows is always written down; a new column never appears by itself."""
        if not self.fieldsets:
            raise ImproperlyConfigured(f"{type(self).__name__} names no fieldsets")
        return self.fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [str(name) for name in flatten_fieldsets(self.get_fieldsets(request, obj))]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        if row is None and self.has_view_permission(request):
            return self._absent(request)
        context = {
            "title": str(self.opts.verbose_name).capitalize(),
            "subtitle": None if row is None else self.caption(row),
            "caption": "" if row is None else self.caption(row),
            "heading": self.heading,
            "show_close": False,
            "acts": [] if row is None else self._offered(request, row),
            "history_url": None if row is None else self._history_url(request, row),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def caption(self, row: Any) -> str:
        """What an object is called at the top of its page: its code unless a subclass knows a name that is nobody's."""
        return str(row)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The history of an object is what the trail says about it."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            if not self.has_view_permission(request):
                raise PermissionDenied
            return self._absent(request)
        url = self._history_url(request, row)
        if url is None:
            raise PermissionDenied
        return HttpResponseRedirect(url)

    # Acts

    def get_urls(self) -> list[URLPattern]:
        own: list[URLPattern] = []
        for act in self.list_acts:
            view = self.admin_site.admin_view(partial(self.list_act_view, act=act))
            own.append(path(f"{act.name}/", view, name=self._name(act.name)))
        for act in self.acts:
            view = self.admin_site.admin_view(partial(self.act_view, act=act))
            own.append(path(f"<str:object_id>/{act.name}/", view, name=self._name(act.name)))
        return own + super().get_urls()

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Reached only where no act is called `add`."""
        raise PermissionDenied

    def list_act_view(self, request: HttpRequest, *, act: Act) -> HttpResponseBase:
        if not self.may_act(request, act):
            raise PermissionDenied
        return self._act_page(request, act, None)

    def act_view(self, request: HttpRequest, object_id: str, *, act: Act) -> HttpResponseBase:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            if not self.has_view_permission(request):
                raise PermissionDenied
            return self._absent(request)
        if not self.may_act(request, act, row):
            raise PermissionDenied
        return self._act_page(request, act, row)

    def _act_page(self, request: HttpRequest, act: Act, row: Any) -> HttpResponseBase:
        posted = request.method == "POST"
        initial = {**self.act_initial(request, act, row), **act.initial(row)}
        form = act.form(
            request.POST if posted else None,
            request.FILES if posted else None,
            user=person(request),
            permission=act.permission,
            target=row,
            initial=initial,
        )
        if posted and form.is_valid():
            try:
                outcome = act.perform(row, form.cleaned_data, actor(request))
            except self.refusals as refusal:
                named = getattr(refusal, "field", None)
                form.add_error(named if named in form.fields else None, _sentence(refusal))
            else:
                return self._done(request, act, row, outcome)
        return TemplateResponse(request, self.act_template, self._act_context(request, act, row, form))

    def act_initial(self, request: HttpRequest, act: Act, row: Any) -> Mapping[str, Any]:
        """What the form of an act starts with."""
        return {}

    def _act_context(self, request: HttpRequest, act: Act, row: Any, form: ActForm) -> dict[str, Any]:
        fields = [(None, {"fields": [name for name, found in form.fields.items() if not found.widget.is_hidden]})]
        shown = AdminForm(form, fields if fields[0][1]["fields"] else [], {}, model_admin=self)  # type: ignore[arg-type]
        return {
            **self.admin_site.each_context(request),
            "title": act.title,
            "subtitle": None,
            "caption": "" if row is None else self.caption(row),
            "heading": self.heading or str(self.opts.verbose_name_plural).capitalize(),
            "act": act,
            "form": form,
            "adminform": shown,
            "errors": form.errors,
            "media": self.media + form.media,
            "opts": self.opts,
            "original": row,
            "back_url": self.url_of(row) if row is not None else reverse(self._route("changelist")),
        }

    def _done(self, request: HttpRequest, act: Act, row: Any, outcome: Outcome) -> HttpResponseBase:
        target = outcome.target if outcome.target is not None else row
        url = self._url_after(request, target)
        if outcome.shown_once:
            context = {
                **self._act_context(request, act, row, act.form(user=person(request), permission=act.permission)),
                "outcome": outcome,
                "back_url": url,
            }
            return TemplateResponse(request, self.shown_once_template, context)
        self.message_user(request, outcome.message, messages.SUCCESS)
        return HttpResponseRedirect(url)

    def _url_after(self, request: HttpRequest, target: Any) -> str:
        if isinstance(target, Model) and target.pk is not None:
            owner = self.admin_site._registry.get(type(target))
            if isinstance(owner, GovernedAdmin) and owner.get_queryset(request).filter(pk=target.pk).exists():
                return owner.url_of(target)
        return reverse(self._route("changelist"))

    def _offered(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        return [
            {"act": act, "url": reverse(self._route(act.name), args=(quote(str(getattr(row, self.url_field))),))}
            for act in self.acts
            if act.applies(row) and self.may_act(request, act, row)
        ]

    # Choices, wherever Django itself would make a form

    def related_rows(self, request: HttpRequest, field: Any) -> QuerySet[Any]:
        """Rows of a related model that the viewer sees: through that model's own page, or else by this page's permission."""
        model = field.remote_field.model
        owner = self.admin_site._registry.get(model)
        if isinstance(owner, GovernedAdmin):
            return owner.get_queryset(request)
        return visible_rows(model._default_manager.all(), request.user, self.view_permission)

    def formfield_for_foreignkey(
        self, db_field: "ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> "ModelChoiceField[Any] | None":
        kwargs["queryset"] = self.related_rows(request, db_field)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(
        self, db_field: "ManyToManyField[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> "ModelMultipleChoiceField[Any] | None":
        kwargs["queryset"] = self.related_rows(request, db_field)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    # Django's own ways of writing, all shut

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        raise PermissionDenied

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        raise PermissionDenied

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        raise PermissionDenied

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        raise PermissionDenied

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """LogEntry stores `str(obj)` in the clear and outlives erasure; domain functions record into the trail instead."""
        return None

    log_change = log_addition

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        return None

    # Small things

    def _route(self, name: str) -> str:
        return f"admin:{self._name(name)}"

    def _name(self, name: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{name}"

    def _is_relation(self, named: str) -> bool:
        try:
            found: Field[Any, Any] = self.opts.get_field(named)  # type: ignore[assignment]
        except FieldDoesNotExist:
            return False
        return bool(found.is_relation)

    def _absent(self, request: HttpRequest) -> HttpResponse:
        self.message_user(request, "There is no such thing here.", messages.WARNING)
        return HttpResponseRedirect(reverse("admin:index"))

    def _history_url(self, request: HttpRequest, row: Any) -> str | None:
        if not self.in_trail or self.project_of(row) not in held_projects(request, Permission.READ_LOG):
            return None
        return f"{reverse(EVENTS)}?q={row.code}"


def _sentence(refusal: Exception) -> str:
    text = str(refusal)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def governed(site: admin.AdminSite) -> Iterator[GovernedAdmin]:
    """Every page of a site, in the order in which they are listed."""
    pages = [found for found in site._registry.values() if isinstance(found, GovernedAdmin)]
    yield from sorted(pages, key=lambda page: page.position)
