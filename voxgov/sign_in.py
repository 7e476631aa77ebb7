"""Signing in to the admin: name and password, then the second factor, which is set up the first time. All of it on the trail.

Nobody gets in without an event. A failure goes to the log of the organization of whose name was used; a name that nobody has
belongs to no organization, so there is no log to write to; axes counts those. Wrong tokens count towards the same lockout.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import django_otp
from axes.handlers.proxy import AxesProxyHandler
from django import forms
from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.views import LoginView
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from accounts import people
from accounts import second_factor as factors
from accounts.access import actor_of
from accounts.errors import NoSecondFactorPending, SecondFactorThere
from accounts.models import Authenticator, User
from audit import trail
from audit.entry import ObjectKind, Reference
from audit.events import EventName

if TYPE_CHECKING:
    from voxgov.admin_site import GovernedAdminSite


class SignInForm(AdminAuthenticationForm):
    """Staff of an organization only; every refusal reads the same."""

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if user.organization_id is None or hasattr(user, "api_client"):
            raise self.get_invalid_login_error()


class TokenForm(forms.Form):
    token = forms.CharField(
        max_length=40,
        label="Code",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True, "inputmode": "text"}),
    )


class PasswordForm(AdminPasswordChangeForm):
    """Somebody's own password, changed by themself."""

    def save(self, commit: bool = True) -> Any:
        with transaction.atomic():
            user = super().save(commit)
            people.record_password_change(user, actor_of(user))
        return user


class SignIn(LoginView):
    """The first step. Where no second factor is asked for, it is the last one too."""

    authentication_form = SignInForm
    template_name = "admin/login.html"

    @method_decorator(sensitive_post_parameters())
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        with transaction.atomic():
            super().form_valid(form)
            name = EventName.LOGIN_PASSWORD_ACCEPTED if settings.VOXGOV_SECOND_FACTOR else EventName.LOGIN_SUCCEEDED
            _record(name, user, outcome="allow")
        return HttpResponseRedirect(next_step(self.request))

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        named = User.objects.filter(username=self.request.POST.get("username", "")).select_related("organization")
        locked = bool(getattr(self.request, "axes_locked_out", False))
        with transaction.atomic():
            for user in named:
                _record(EventName.LOGIN_FAILED, user, outcome="deny", reason="locked_out" if locked else "refused")
        return super().form_invalid(form)


def is_verified(request: HttpRequest) -> bool:
    return not settings.VOXGOV_SECOND_FACTOR or getattr(request.user, "otp_device", None) is not None


def next_step(request: HttpRequest) -> str:
    """Where somebody goes who has given name and password: the second factor, and from there where they wanted to."""
    if is_verified(request):
        return _wanted(request)
    return f"{reverse('admin:second_factor')}?{urlencode({REDIRECT_FIELD_NAME: _wanted(request)})}"


@never_cache
@csrf_protect
@sensitive_post_parameters()
def second_factor(request: HttpRequest, *, site: "GovernedAdminSite") -> HttpResponseBase:
    """The second step: a token, or a recovery code."""
    user = _entering(request, site)
    if user is None:
        return _back(request)
    if is_verified(request):
        return HttpResponseRedirect(_wanted(request))
    if factors.device_of(user) is None:
        return HttpResponseRedirect(f"{reverse('admin:second_factor_set_up')}?{_onward(request)}")
    form = TokenForm(request.POST or None)
    if request.method == "POST":
        if "leave" in request.POST:
            return _back(request)
        device = _checked(request, user, form)
        if device is not None:
            _let_in(request, user, device)
            return HttpResponseRedirect(_wanted(request))
    return _page(request, site, "admin/second_factor.html", "Second factor", form=form)


@never_cache
@csrf_protect
@sensitive_post_parameters()
@sensitive_variables()
def set_up(request: HttpRequest, *, site: "GovernedAdminSite") -> HttpResponseBase:
    """Setting it up the first time: the secret is shown once, a token proves that the app has it, recovery codes are shown once."""
    user = _entering(request, site)
    if user is None:
        return _back(request)
    if factors.device_of(user) is not None:
        return HttpResponseRedirect(f"{reverse('admin:second_factor')}?{_onward(request)}")
    form = TokenForm()
    enrolment = None
    pending = False
    if request.method == "POST":
        pending = True
        try:
            if "leave" in request.POST:
                return _back(request)
            if "begin" in request.POST:
                enrolment = factors.begin(user)
            else:
                form = TokenForm(request.POST)
                codes = factors.confirm(user, form.cleaned_data["token"]) if form.is_valid() else None
                device = factors.device_of(user)
                if codes is not None and device is not None:
                    _let_in(request, user, device)
                    shown = {"codes": codes, "onward": _wanted(request)}
                    return _page(request, site, "admin/recovery_codes.html", "Recovery codes", **shown)
                form.add_error("token", "This code is not right. Wait for the next one, or start again.")
        except (NoSecondFactorPending, SecondFactorThere):
            pending = False
    return _page(
        request,
        site,
        "admin/second_factor_set_up.html",
        "Set up a second factor",
        form=form,
        enrolment=enrolment,
        pending=pending,
        groups=[] if enrolment is None else [enrolment.secret[i : i + 4] for i in range(0, len(enrolment.secret), 4)],
    )


def _entering(request: HttpRequest, site: "GovernedAdminSite") -> User | None:
    """Whoever has given name and password, and may enter with the second factor."""
    if not site.may_enter(request):
        return None
    return User.objects.select_related("organization").get(username=request.user.get_username())


def _checked(request: HttpRequest, user: User, form: TokenForm) -> Authenticator | None:
    credentials = {"username": user.username}
    if not AxesProxyHandler.is_allowed(request, credentials):
        request.axes_locked_out = True  # type: ignore[attr-defined]  # axes' middleware answers with its lockout
        with transaction.atomic():
            _record(EventName.LOGIN_FAILED, user, outcome="deny", reason="locked_out")
        return None
    if not form.is_valid():
        return None
    device = factors.verify(user, form.cleaned_data["token"])
    if device is None:
        user_login_failed.send(sender=__name__, credentials=credentials, request=request)
        form.add_error("token", "This code is not right. Each further wrong one makes you wait longer.")
    return device


def _let_in(request: HttpRequest, user: User, device: Authenticator) -> None:
    with transaction.atomic():
        request.session.cycle_key()
        django_otp.login(request, device)
        _record(EventName.LOGIN_SUCCEEDED, user, outcome="allow")


def _back(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponseRedirect(f"{reverse('admin:login')}?{_onward(request)}")


def _wanted(request: HttpRequest) -> str:
    """Where the person wanted to go, if it is here."""
    given = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME) or ""
    safe = url_has_allowed_host_and_scheme(given, {request.get_host()}, require_https=request.is_secure())
    return given if safe else reverse("admin:index")


def _onward(request: HttpRequest) -> str:
    return urlencode({REDIRECT_FIELD_NAME: _wanted(request)})


def _page(request: HttpRequest, site: "GovernedAdminSite", template: str, title: str, **more: Any) -> TemplateResponse:
    request.current_app = site.name
    context = {
        "site_title": site.site_title,
        "site_header": site.site_header,
        "title": title,
        "next": _wanted(request),
        "is_popup": False,
        "is_nav_sidebar_enabled": False,
        **more,
    }
    return TemplateResponse(request, template, context)


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
