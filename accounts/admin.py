"""Admin pages of members and API clients, for administrators. Roles come and go through `membership`, people through `people`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from knox.models import AuthToken

from accounts import admin_break_glass, membership, people, second_factor
from accounts.admin_acts import Act, ActForm, Outcome
from accounts.admin_display import Tone, badge, code, exact_moment, moment, words
from accounts.governed_admin import GovernedAdmin
from accounts.models import ApiClient, Membership, Project, User
from accounts.roles import ROLE_PERMISSIONS, Permission, Role
from audit.entry import Actor

MAX_TOKEN_DAYS = 365


def _role_choices() -> list[tuple[str, str]]:
    return [(role.value, words(role.value)) for role in Role]


class MemberForm(ActForm):
    """A person who is already in the organization, and a role for them. The name is typed: a list would show who else there is."""

    project = forms.ModelChoiceField(Project.objects.none())
    person = forms.ModelChoiceField(
        User.objects.none(),
        to_field_name="username",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="The name by which somebody of your organization signs in.",
    )
    role = forms.ChoiceField(choices=_role_choices, help_text="You cannot give yourself a role.")

    def rows(self, rows: QuerySet[Any] | None) -> QuerySet[Any] | None:
        """People of the administrator's own organization, without programs and without the administrator."""
        if rows is None or rows.model is not User:
            return super().rows(rows)
        staff = User.objects.filter(is_staff=True, is_active=True, api_client=None)
        return staff.filter(organization=self.user.organization_id).exclude(pk=self.user.pk).order_by("username")


class PersonForm(ActForm):
    project = forms.ModelChoiceField(Project.objects.none())
    username = forms.CharField(
        max_length=150, validators=[UnicodeUsernameValidator()], widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(choices=_role_choices)


class ClientForm(ActForm):
    project = forms.ModelChoiceField(Project.objects.none())
    name = forms.CharField(max_length=120, help_text="Which program this is.")
    roles = forms.MultipleChoiceField(choices=_role_choices, widget=forms.CheckboxSelectMultiple)
    days = forms.IntegerField(
        label="Token valid for", min_value=1, max_value=MAX_TOKEN_DAYS, initial=90, help_text="Days."
    )


class TokenForm(ActForm):
    days = forms.IntegerField(
        label="Token valid for", min_value=1, max_value=MAX_TOKEN_DAYS, initial=90, help_text="Days."
    )


def _add_member(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    people.require_someone_else(form["person"], actor)
    found = membership.add_member(form["person"], form["project"], Role(form["role"]), actor=actor)
    return Outcome("The role is given.", found)


def _add_person(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    new = people.add_person(form["project"], form["username"], Role(form["role"]), actor=actor)
    return Outcome(
        "Hand these over safely. The password is not shown again; it can be changed after signing in.",
        new.membership,
        shown_once=[("Name", new.membership.user.username), ("First password", new.password)],
    )


def _remove_member(row: Membership, _: Mapping[str, Any], actor: Actor) -> Outcome:
    people.require_someone_else(row.user, actor)
    membership.remove_member(row.user, row.project, Role(row.role), actor=actor)
    return Outcome(f"{row.user.username} is no longer {words(row.role)} in {row.project.name}.")


def _reset_second_factor(row: Membership, _: Mapping[str, Any], actor: Actor) -> Outcome:
    people.require_someone_else(row.user, actor)
    if second_factor.reset(row.user, actor=actor):
        return Outcome("Taken away. Another one is set up at the next sign-in; whoever is signed in is out.", row)
    return Outcome("There was none.", row)


def _has_second_factor(row: Membership) -> bool:
    return second_factor.device_of(row.user) is not None


def _token(client: ApiClient, days: int, actor: Actor) -> Outcome:
    issued = membership.issue_token(client, actor=actor, life=timedelta(days=days))
    return Outcome(
        "Copy the token now: only its hash is stored, and it is not shown again.",
        client,
        shown_once=[("Token", issued.secret), ("Valid until", exact_moment(issued.expires_at))],
    )


def _create_client(_: Any, form: Mapping[str, Any], actor: Actor) -> Outcome:
    roles = [Role(role) for role in form["roles"]]
    client = membership.create_client(form["project"], form["name"], roles, actor=actor)
    return _token(client, form["days"], actor)


def _issue_token(client: ApiClient, form: Mapping[str, Any], actor: Actor) -> Outcome:
    return _token(client, form["days"], actor)


def _revoke(client: ApiClient, _: Mapping[str, Any], actor: Actor) -> Outcome:
    membership.revoke_client(client, actor=actor)
    return Outcome("Revoked. Its tokens are gone and its calls are refused from now on.", client)


def _live(client: ApiClient) -> bool:
    return client.revoked_at is None


@admin.register(Membership)
class MembershipAdmin(GovernedAdmin):
    view_permission = Permission.MANAGE_MEMBERS
    url_field = "id"
    heading = "Members"
    introduction = "Who signs in, and in which role. A role is a set of permissions on one project."
    empty_hint = "Nobody yet."
    position = 200
    list_display = ("username", "role_shown", "project", "since")
    list_filter = ("project", "role")
    list_select_related = ("user", "project")
    search_fields = ("user__username", "user__code")
    search_help_text = "A name, or a code as the trail shows it."
    ordering = ("user__username", "role")
    fieldsets = ((None, {"fields": ("username", "role_shown", "permissions", "project", "since", "code_shown")}),)
    list_acts = (
        Act(
            "new-person",
            "Add a new person",
            "Add a new person",
            Permission.MANAGE_MEMBERS,
            _add_person,
            PersonForm,
            confirm_label="Add",
        ),
        Act(
            "add",
            "Give a role",
            "Give somebody a role",
            Permission.MANAGE_MEMBERS,
            _add_member,
            MemberForm,
            confirm_label="Give role",
        ),
    )
    acts = (
        Act(
            "remove",
            "Remove role",
            "Take this role away",
            Permission.MANAGE_MEMBERS,
            _remove_member,
            explanation="Its permissions end at once. What another role gives stays.",
            grave=True,
        ),
        Act(
            "reset-second-factor",
            "Reset second factor",
            "Take this person's second factor away",
            Permission.MANAGE_MEMBERS,
            _reset_second_factor,
            applies=_has_second_factor,
            explanation="For somebody who lost theirs. Make sure that it is they who ask: with the password alone one gets in.",
            grave=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """People only: the memberships of programs are shown as the roles of their client."""
        return (
            super().get_queryset(request).filter(user__api_client=None).select_related("user", "project__organization")
        )

    def caption(self, row: Membership) -> str:
        return f"{row.user.username}: {words(row.role)}"

    @admin.display(description="Person", ordering="user__username")
    def username(self, row: Membership) -> str:
        return str(row.user.username)

    @admin.display(description="Role", ordering="role")
    def role_shown(self, row: Membership) -> str:
        return words(row.role)

    @admin.display(description="May")
    def permissions(self, row: Membership) -> str:
        return ", ".join(sorted(words(permission) for permission in ROLE_PERMISSIONS[Role(row.role)]))

    @admin.display(description="Since", ordering="created_at")
    def since(self, row: Membership) -> str:
        return moment(row.created_at)

    @admin.display(description="Code in the trail")
    def code_shown(self, row: Membership) -> SafeString:
        return code(row.user.code)


@admin.register(ApiClient)
class ApiClientAdmin(GovernedAdmin):
    view_permission = Permission.MANAGE_MEMBERS
    heading = "API clients"
    introduction = (
        "Programs that call the API. Each is bound to one project; tokens expire and are stored as hashes only."
    )
    empty_hint = "No program has access yet."
    position = 210
    list_display = ("name", "project", "roles_shown", "state", "created")
    list_filter = ("project",)
    list_select_related = ("project",)
    search_fields = ("name", "code")
    ordering = ("name",)
    fieldsets = (
        (None, {"fields": ("name", "project", "roles_shown", "state", "created", "revoked", "tokens", "code_shown")}),
    )
    list_acts = (
        Act(
            "add",
            "Create a client",
            "Create an API client",
            Permission.MANAGE_MEMBERS,
            _create_client,
            ClientForm,
            explanation="Give it the roles that it needs and no more. Its token is shown once.",
            confirm_label="Create",
        ),
    )
    acts = (
        Act(
            "new-token",
            "New token",
            "Issue a new token",
            Permission.MANAGE_MEMBERS,
            _issue_token,
            TokenForm,
            applies=_live,
            explanation="Earlier tokens stay valid until they expire or the client is revoked.",
            confirm_label="Issue",
        ),
        Act(
            "revoke",
            "Revoke",
            "Revoke this client",
            Permission.MANAGE_MEMBERS,
            _revoke,
            applies=_live,
            explanation="Every token of it is deleted at once. A revoked client does not come back: create a new one.",
            grave=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("user", "project__organization")

    @admin.display(description="Roles")
    def roles_shown(self, row: ApiClient) -> str:
        return ", ".join(words(role) for role in row.roles)

    @admin.display(description="State", ordering="revoked_at")
    def state(self, row: ApiClient) -> SafeString:
        return badge("active", Tone.GOOD) if row.revoked_at is None else badge("revoked", Tone.ENDED)

    @admin.display(description="Created", ordering="created_at")
    def created(self, row: ApiClient) -> str:
        return moment(row.created_at)

    @admin.display(description="Revoked")
    def revoked(self, row: ApiClient) -> str:
        return exact_moment(row.revoked_at)

    @admin.display(description="Tokens valid until")
    def tokens(self, row: ApiClient) -> str:
        ends = AuthToken.objects.filter(user=row.user).order_by("expiry").values_list("expiry", flat=True)
        return ", ".join(moment(end) for end in ends) or "no token"

    @admin.display(description="Code in the trail")
    def code_shown(self, row: ApiClient) -> SafeString:
        return code(row.code)


__all__ = ("ApiClientAdmin", "MembershipAdmin", "admin_break_glass")
