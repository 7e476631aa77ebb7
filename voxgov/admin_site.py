"""The governed admin site: who gets in, what is listed, and the sign-in on the trail.

Only pages that stand on `GovernedAdmin` are listed; what third-party packages register by themselves is left out, because it
would show rows of every organization.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from accounts.access import actor_of
from accounts.governed_admin import GovernedAdmin, governed
from accounts.models import User
from audit import trail
from audit.entry import ObjectKind, Reference
from audit.events import EventName


class GovernedAdminSite(admin.AdminSite):
    site_header = "voxgov"
    site_title = "voxgov"
    index_title = "What you may see and do"
    site_url = None
    enable_nav_sidebar = True

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Takes governed pages only; any other registration is left out without a word."""
        if isinstance(admin_class, type) and issubclass(admin_class, GovernedAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def unregister(self, model_or_iterable: Any) -> None:
        """Packages that replace each other's pages must not fail over one that was never taken."""
        models = [model_or_iterable] if isinstance(model_or_iterable, type) else list(model_or_iterable)
        super().unregister([model for model in models if self.is_registered(model)])

    def has_permission(self, request: HttpRequest) -> bool:
        """Active staff of an organization; never an API client, never a superuser."""
        user = request.user
        return (
            isinstance(user, User)
            and user.is_active
            and user.is_staff
            and not user.is_superuser
            and user.organization_id is not None
            and not hasattr(user, "api_client")
        )

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Without `view_on_site`, which looks any row of any model up by its number."""
        return [found for found in super().get_urls() if getattr(found, "name", None) != "view_on_site"]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        order = {page.model: page for page in governed(self)}
        apps = super().get_app_list(request, app_label)
        for app in apps:
            for entry in app["models"]:
                page = order[entry["model"]]
                entry["name"] = page.heading or entry["name"]
                entry["position"] = page.position
                entry["introduction"] = page.introduction
                entry["add_label"] = next((act.label for act in page.list_acts if act.name == "add"), "")
            app["models"].sort(key=lambda entry: entry["position"])
        return sorted(apps, key=lambda app: int(app["models"][0]["position"]))

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        cards = [
            {
                **card,
                "url": f"{reverse(f'admin:{page.opts.app_label}_{page.opts.model_name}_changelist')}{card['query']}",
            }
            for page in governed(self)
            if page.has_view_permission(request)
            for card in page.cards(request)
        ]
        return super().index(request, {"notices": cards, **(extra_context or {})})

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:  # type: ignore[override]  # stubs say HttpResponse
        if request.method == "GET" and self.has_permission(request):
            return super().login(request, extra_context)
        context = {
            **self.each_context(request),
            "title": "Sign in",
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            **(extra_context or {}),
        }
        if "next" not in request.GET and "next" not in request.POST:
            context["next"] = reverse("admin:index")
        request.current_app = self.name
        return SignIn.as_view(extra_context=context)(request)


class SignInForm(AdminAuthenticationForm):
    """Staff of an organization only; every refusal reads the same."""

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if user.organization_id is None or hasattr(user, "api_client"):
            raise self.get_invalid_login_error()


class SignIn(LoginView):
    """Signing in, with its event: nobody gets in without one. A failure goes to the log of the organization of whose name was
    used. A name that nobody has belongs to no organization, so there is no log to write to; axes counts those.
    """

    authentication_form = SignInForm
    template_name = "admin/login.html"

    @method_decorator(sensitive_post_parameters())
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        with transaction.atomic():
            response = super().form_valid(form)
            _record(EventName.LOGIN_SUCCEEDED, user, outcome="allow")
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        named = User.objects.filter(username=self.request.POST.get("username", "")).select_related("organization")
        locked = bool(getattr(self.request, "axes_locked_out", False))
        with transaction.atomic():
            for user in named:
                _record(EventName.LOGIN_FAILED, user, outcome="deny", reason="locked_out" if locked else "refused")
        return super().form_invalid(form)


def _record(name: EventName, user: User, *, outcome: str, reason: str = "") -> None:
    if user.organization is None:
        return
    trail.record(
        name,
        organization=user.organization.code,
        actor=actor_of(user) if outcome == "allow" else trail.system("sign-in"),
        objects=[Reference(ObjectKind.USER, user.code)],
        outcome=outcome,
        reason=reason,
    )
