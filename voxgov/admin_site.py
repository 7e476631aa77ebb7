"""The governed admin site: who gets in, what is listed, and what is noted while the glass is broken. Signing in is `sign_in`.

Only pages that stand on `GovernedAdmin` are listed; what third-party packages register by themselves is left out, because it
would show rows of every organization.
"""

from functools import partial, wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from accounts import break_glass
from accounts.governed_admin import GovernedAdmin, governed
from accounts.models import User
from voxgov import sign_in


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
        """Whoever may enter and has shown the second factor in this session."""
        return self.may_enter(request) and sign_in.is_verified(request)

    def may_enter(self, request: HttpRequest) -> bool:
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
        own: list[URLPattern | URLResolver] = [
            path("second-factor/", partial(sign_in.second_factor, site=self), name="second_factor"),
            path("second-factor/set-up/", partial(sign_in.set_up, site=self), name="second_factor_set_up"),
        ]
        return own + [found for found in super().get_urls() if getattr(found, "name", None) != "view_on_site"]

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Each request of somebody for whom the glass is broken is recorded before it is answered."""
        return super().admin_view(noting_break_glass(view), cacheable)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        glass = break_glass.open_for(request.user) if isinstance(request.user, User) else None
        return {**super().each_context(request), "glass": glass}

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
        if request.method == "GET" and self.may_enter(request):
            return HttpResponseRedirect(sign_in.next_step(request))
        return sign_in.SignIn.as_view(extra_context=context)(request)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:  # type: ignore[override]  # stubs say TemplateResponse
        request.current_app = self.name
        return PasswordChangeView.as_view(
            form_class=sign_in.PasswordForm,
            success_url=reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )(request)


def noting_break_glass(view: Any) -> Any:
    @wraps(view)
    def noted(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        glass = break_glass.open_for(request.user) if isinstance(request.user, User) else None
        if glass is not None:
            match = request.resolver_match
            name = "" if match is None else match.view_name
            break_glass.note_act(glass, view=name, method=str(request.method))
        return view(request, *args, **kwargs)

    return noted
