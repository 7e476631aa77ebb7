"""Every address of the admin, taken from the resolver, in each role: with one's own rows, with rows of another organization, and
with rows of another project. What is not one's own is never shown, never named and never changed.
"""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from knox.models import AuthToken

from accounts import break_glass, membership
from accounts.causes import Cause
from accounts.governed_admin import GovernedAdmin, governed
from accounts.models import ApiClient, BreakGlass, Membership, Organization, Project, User
from accounts.roles import ROLE_PERMISSIONS, Permission, Role
from analysis.models import Analysis, Recording
from audit import exports, webhooks
from audit.models import Event, Export, Log, Webhook
from consent import (
    breaches,
    bulk_withdrawal,
    editorial,
    importing,
    publishing,
    relabelling,
    retention,
    subjects,
    withdrawal,
)
from consent.inventory import Category
from consent.models import (
    Breach,
    BreachRevision,
    BulkWithdrawal,
    ConsentRecord,
    CurrentGrant,
    Decision,
    DestructionOrder,
    EditorialPublication,
    Grant,
    GrantImport,
    Notice,
    NoticeSeries,
    ProjectRecord,
    Purpose,
    Representation,
    RestrictedRole,
    RetentionPolicy,
    RoleChange,
    Subject,
)
from consent.vocabulary import BreachKind, ParticipantRole, Scope
from tests.browser import Browser
from tests.factories import ACTOR, World, make_client, make_member, make_representative, make_world, sign_log
from vault.fields import Sealed

REFERENCE = "Ottokar Prohaska, Vega Street 7"
IMPORT = (
    b"external_reference,purpose,notice,scopes,answer,explicit,given_at,evidence_method\n"
    b"Somebody,support quality,nothing,speech.transcribe,given,yes,2024-01-01T00:00:00Z,paper\n"
)
PEOPLE_ONLY = {
    "login",
    "logout",
    "password_change",
    "password_change_done",
    "index",
    "jsi18n",
    "autocomplete",
    "app_list",
    "second_factor",
    "second_factor_set_up",
}
"""Addresses that name no row."""


OF_THE_LOG = (Event, Log, Export, Webhook, BreakGlass)
OTHERS = [
    *(("theirs", role) for role in Role),
    *(("neighbours", role) for role in (Role.CONSENT_MANAGER, Role.DATA_PROTECTION_OFFICER, Role.ADMINISTRATOR)),
]
"""Whose rows are tried in which role. The neighbours' three roles together see every page that hangs on a project."""


@dataclass(frozen=True)
class Estate:
    """One project with a row of every kind that has a page, and what must never be read by others."""

    world: World
    rows: dict[type[Model], Any]
    secrets: tuple[str, ...]


def make_estate(organization: Organization) -> Estate:
    name = f"Estate {organization.code[-8:]} {Project.objects.count()}"
    world = make_world(project=membership.create_project(organization, name, actor=ACTOR))
    record = world.consent(Scope.TRANSCRIBE, Scope.PROSODY, Scope.AUDIO_STORE)
    recording = world.upload(b"RIFF" + bytes(500), Scope.TRANSCRIBE)
    withdrawal.withdraw(world.subject, scopes=[Scope.PROSODY], actor=ACTOR)
    client = membership.create_client(world.project, f"shop {name}", [Role.OPERATOR], actor=ACTOR)
    membership.issue_token(client, actor=ACTOR)
    member = make_member(world.project, Role.OPERATOR)
    User.objects.filter(pk=member.pk).update(username=f"keeper.{organization.code[-12:]}.{world.project.pk}")
    member.refresh_from_db()
    subject = subjects.register(world.project, external_reference=REFERENCE, actor=ACTOR)
    draft = publishing.draft_notice(
        world.project, series="draft", language="en", title="A draft", text="Not yet.", material=False, actor=ACTOR
    )
    RestrictedRole.objects.get_or_create(subject=world.subject, role="employee")
    brought = importing.bring(world.project, IMPORT, actor=ACTOR)
    broken = break_glass.break_(
        make_member(world.project), minutes=1, cause=Cause.OTHER, explanation="A drill.", actor=ACTOR
    )
    log = sign_log(organization)
    rows: dict[type[Model], Any] = {
        Subject: world.subject,
        ConsentRecord: record,
        Notice: draft,
        Purpose: world.purpose,
        RoleChange: relabelling.ask(world.subject, ParticipantRole.CUSTOMER, actor=ACTOR),
        EditorialPublication: editorial.ask(draft, actor=ACTOR),
        GrantImport: brought,
        Representation: make_representative(world.subject),
        Breach: breaches.register(world.project, breaches.Facts(timezone.now(), (BreachKind.INTEGRITY,)), actor=ACTOR),
        ProjectRecord: ProjectRecord.objects.get(pk=world.project.pk),
        BulkWithdrawal: bulk_withdrawal.preview(world.project, bulk_withdrawal.Selection(), actor=ACTOR),
        Decision: Decision.objects.filter(project=world.project).latest("pk"),
        DestructionOrder: DestructionOrder.objects.get(project=world.project),
        RetentionPolicy: retention.set_policy(world.project, Category.RESULTS, 77, actor=ACTOR),
        Recording: recording,
        Analysis: recording.analyses.get(),
        Membership: Membership.objects.get(user=member),
        ApiClient: client,
        BreakGlass: broken,
        Event: Event.objects.filter(log=organization.code).latest("pk"),
        Log: log,
        Export: exports.order(log, start=0, end=None, filter_={}, recipient="", actor=ACTOR),
        Webhook: webhooks.create(
            organization.code, f"https://hooks.example.com/{organization.code}", actor=ACTOR
        ).webhook,
    }
    codes = [str(row.code) for row in (*rows.values(), subject, world.notice) if hasattr(row, "code")]
    codes += [str(event.code) for event in Event.objects.filter(log=organization.code)]
    secrets = (*codes, REFERENCE, name, member.username, client.name, world.notice.sha256)
    return Estate(world, rows, secrets)


def stored(row: dict[str, Any]) -> dict[str, Any]:
    """A row's values as the database has them: what is sealed compares with nothing else."""
    return {name: value.sealed if isinstance(value, Sealed) else value for name, value in row.items()}


def frozen(estate: Estate) -> dict[str, object]:
    """Everything that belongs to the estate, as it stands in the database."""
    project = estate.world.project
    paths = {
        **dict.fromkeys(
            (Subject, Notice, NoticeSeries, Purpose, ConsentRecord, Decision, DestructionOrder, RetentionPolicy),
            "project",
        ),
        **dict.fromkeys((Recording, Membership, ApiClient), "project"),
        **dict.fromkeys((RoleChange, EditorialPublication, GrantImport, BulkWithdrawal), "project"),
        **dict.fromkeys((Representation, Breach), "project"),
        BreachRevision: "breach__project",
        Grant: "record__project",
        CurrentGrant: "purpose__project",
        Analysis: "recording__project",
        User: "memberships__project",
        AuthToken: "user__memberships__project",
    }
    return {
        model.__name__: [
            stored(row) for row in model._default_manager.filter(**{path: project}).order_by("pk").values()
        ]
        for model, path in paths.items()
    }


@pytest.fixture(scope="module")
def mine() -> Estate:
    return make_estate(membership.create_organization("Mine", actor=ACTOR))


@pytest.fixture(scope="module")
def theirs() -> Estate:
    return make_estate(membership.create_organization("Theirs", actor=ACTOR))


@pytest.fixture(scope="module")
def neighbours(mine: Estate) -> Estate:
    """Another project of one's own organization."""
    return make_estate(mine.world.organization)


@dataclass(frozen=True)
class Address:
    """One route of the admin. `page` is the governed page that it belongs to, where it belongs to one."""

    route: str
    name: str
    page: GovernedAdmin | None

    def about(self, row: Any) -> str:
        assert self.page is not None
        return re.sub(r"<\w+:object_id>", str(getattr(row, self.page.url_field)), self.route)

    @property
    def verb(self) -> str:
        return self.name.rsplit("_", 1)[-1]


def addresses() -> list[Address]:
    """Every route below `/admin/`, from the resolver. A route of an unknown kind fails here, so that none goes untested."""
    pages = {f"{page.opts.app_label}_{page.opts.model_name}": page for page in governed(admin.site)}
    found: list[Address] = []

    def walk(patterns: list[URLPattern | URLResolver], prefix: str) -> None:
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                walk(pattern.url_patterns, route)
            else:
                name = pattern.name or ""
                page = next((page for key, page in pages.items() if name.startswith(f"{key}_")), None)
                found.append(Address(f"/{route}", name, page))

    walk([one for one in get_resolver().url_patterns if str(one.pattern) == "admin/"], "")
    return found


def about_rows() -> list[Address]:
    return [one for one in addresses() if "object_id" in one.route]


def about_lists() -> list[Address]:
    return [one for one in addresses() if one.page is not None and "object_id" not in one.route]


def test_every_route_is_known_and_none_looks_rows_up_by_number() -> None:
    others = [one for one in addresses() if one.page is None]
    assert {one.name for one in others if one.name} == PEOPLE_ONLY
    assert all("content_type_id" not in one.route for one in addresses())
    assert len(about_rows()) > 40
    assert len(about_lists()) > 20


def expected(page: GovernedAdmin, one: Address, role: Role) -> int:
    """The status of a GET with one's own row, from what the page declares and what the role permits."""
    held = ROLE_PERMISSIONS[role]
    if page.view_permission not in held:
        return 403
    act = next((act for act in page.acts if one.name.endswith(f"_{page.opts.model_name}_{act.name}")), None)
    if act is not None:
        return 200 if act.permission in held else 403
    if one.verb == "history":
        return 302 if page.in_trail and Permission.READ_LOG in held else 403
    return {"change": 200, "delete": 403}.get(one.verb, 302)


@pytest.mark.parametrize("role", list(Role))
def test_with_ones_own_rows_each_route_answers_as_the_role_permits(mine: Estate, role: Role) -> None:
    browser = Browser(make_member(mine.world.project, role))
    for one in about_rows():
        assert one.page is not None or "object_id" in one.route
        page = one.page or _page_of_redirect(one)
        path = re.sub(r"<\w+:object_id>", str(getattr(mine.rows[page.model], page.url_field)), one.route)
        wanted = expected(page, one, role) if one.page is not None else 302
        assert browser.get(path).status_code == wanted, (role, path)


@pytest.mark.parametrize("role", list(Role))
def test_lists_and_their_acts_answer_as_the_role_permits(mine: Estate, role: Role) -> None:
    browser = Browser(make_member(mine.world.project, role))
    held = ROLE_PERMISSIONS[role]
    for one in about_lists():
        assert one.page is not None
        act = next((a for a in one.page.list_acts if one.name.endswith(f"_{one.page.opts.model_name}_{a.name}")), None)
        permitted = (act.permission if act else one.page.view_permission) in held
        if one.verb == "add" and act is None:
            permitted = False
        assert browser.get(one.route).status_code == (200 if permitted else 403), (role, one.route)


@pytest.mark.parametrize(("whose", "role"), OTHERS)
def test_rows_that_are_not_ones_own_are_as_absent_as_rows_that_never_were(
    role: Role, whose: str, mine: Estate, request: pytest.FixtureRequest
) -> None:
    estate: Estate = request.getfixturevalue(whose)
    browser = Browser(make_member(mine.world.project, role))
    before = frozen(estate)
    for one in about_rows():
        page = one.page or _page_of_redirect(one)
        if page.model in OF_THE_LOG and whose == "neighbours":
            continue  # a log is the organization's: whoever may read it reads all of it
        row = estate.rows[page.model]
        path = re.sub(r"<\w+:object_id>", str(getattr(row, page.url_field)), one.route)
        nowhere = re.sub(r"<\w+:object_id>", _never(page), one.route)
        for method in ("GET", "POST"):
            answered, never = (_ask(browser, method, address) for address in (path, nowhere))
            assert answered.status_code in (302, 403), (role, method, path)
            assert answered.status_code == never.status_code, (role, method, path)
            assert answered.get("location", "").replace(path.removesuffix("change/"), "") == never.get(
                "location", ""
            ).replace(nowhere.removesuffix("change/"), "")
            _shows_nothing(answered.content.decode().replace(path, ""), estate)
    assert frozen(estate) == before


@pytest.mark.parametrize(("whose", "role"), OTHERS)
def test_lists_searches_filters_and_forms_name_nothing_that_is_not_ones_own(
    role: Role, whose: str, mine: Estate, request: pytest.FixtureRequest
) -> None:
    estate: Estate = request.getfixturevalue(whose)
    browser = Browser(make_member(mine.world.project, role))
    _shows_nothing(browser.see("/admin/"), estate)
    for one in about_lists():
        assert one.page is not None
        if one.page.model in OF_THE_LOG and whose == "neighbours":
            continue
        queries = [
            "",
            f"project__id__exact={estate.world.project.pk}",
            f"purpose__id__exact={estate.world.purpose.pk}",
            "q=" + str(getattr(estate.rows[one.page.model], "code", "")),
            f"q={estate.world.subject.code}",
        ]
        for query in queries:
            answered = browser.get(f"{one.route}?{query}" if query else one.route)
            body = answered.content.decode()
            for typed in query.split("=")[1:]:
                body = body.replace(typed, "")
            _shows_nothing(body, estate)


@pytest.mark.parametrize("role", list(Role))
def test_what_belongs_to_others_cannot_be_named_in_a_form(role: Role, mine: Estate, theirs: Estate) -> None:
    """Every act, of lists and of one's own rows, with keys of another organization in every field that takes one."""
    browser = Browser(make_member(mine.world.project, role))
    before = frozen(theirs)
    fields = {
        "project": theirs.world.project.pk,
        "purpose": theirs.world.purpose.pk,
        "notice": theirs.world.notice.pk,
        "series": theirs.world.notice.series_id,
        "subject": theirs.world.subject.code,
        "person": theirs.rows[Membership].user.username,
        "external_reference": REFERENCE,
        "role": "auditor",
        "roles": ["auditor"],
        "days": "5",
        "name": "x",
        "username": f"x-{role}",
        "language": "en",
        "title": "t",
        "text": "t",
        "lawful_basis": "consent",
        "contexts": ["support"],
        "scopes": ["speech.transcribe"],
        "answer": "given",
        "method": "paper",
        "shown": "on",
        "category": "results",
        "given_at_0": "2026-01-01",
        "given_at_1": "00:00:00",
    }
    for page in governed(admin.site):
        for act in page.list_acts:
            path = f"/admin/{page.opts.app_label}/{page.opts.model_name}/{act.name}/"
            answered = browser.submit(path, **fields)
            assert answered.status_code == (200 if act.permission in ROLE_PERMISSIONS[role] else 403), path
            body = answered.content.decode()
            for typed in (REFERENCE, theirs.world.subject.code, fields["person"]):
                body = body.replace(str(typed), "")
            _shows_nothing(body, theirs)
    path = f"/admin/consent/subject/{mine.world.subject.code}/record-consent/"
    _shows_nothing(browser.submit(path, **fields).content.decode(), theirs)
    assert frozen(theirs) == before


@pytest.mark.parametrize("role", list(Role))
def test_autocompletion_offers_ones_own_rows_only(role: Role, mine: Estate, theirs: Estate, neighbours: Estate) -> None:
    browser = Browser(make_member(mine.world.project, role))
    sources = [
        ("consent", "consentrecord", "subject"),
        ("consent", "consentrecord", "purpose"),
        ("consent", "consentrecord", "notice"),
        ("consent", "grant", "record"),
        ("analysis", "participant", "recording"),
        ("accounts", "membership", "user"),
        ("accounts", "membership", "project"),
        ("accounts", "apiclient", "user"),
    ]
    for app, model, field in sources:
        for term in ("", "0", "e", theirs.world.subject.code):
            query = f"term={term}&app_label={app}&model_name={model}&field_name={field}"
            answered = browser.get(f"/admin/autocomplete/?{query}")
            assert answered.status_code in (200, 403, 404)
            for estate in (theirs, neighbours):
                _shows_nothing(answered.content.decode(), estate)


def test_nobody_gets_anywhere_without_signing_in(mine: Estate) -> None:
    stranger = Browser()
    for one in [*about_rows(), *about_lists()]:
        page = one.page or _page_of_redirect(one)
        path = re.sub(r"<\w+:object_id>", str(getattr(mine.rows[page.model], page.url_field)), one.route)
        for method in ("GET", "POST"):
            answered = _ask(stranger, method, path)
            assert answered.status_code in (302, 403)
            if answered.status_code == 302 and one.page is not None:
                assert answered["location"].startswith("/admin/login/?next="), path
            _shows_nothing(answered.content.decode(), mine)


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}, {"organization": None}])
def test_the_door_closes_for_a_signed_in_person_at_once(change: dict[str, object], mine: Estate) -> None:
    user = make_member(mine.world.project, Role.CONSENT_MANAGER)
    browser = Browser(user)
    assert browser.get("/admin/consent/subject/").status_code == 200
    User.objects.filter(pk=user.pk).update(**change)
    assert browser.get("/admin/consent/subject/").status_code == 302


def test_an_api_client_cannot_use_the_admin_even_with_the_staff_flag(mine: Estate) -> None:
    client, _ = make_client(mine.world.project, Role.CONSENT_MANAGER)
    User.objects.filter(pk=client.user_id).update(is_staff=True)
    browser = Browser()
    browser.force_login(User.objects.get(pk=client.user_id), backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get("/admin/").status_code == 302


def test_a_role_that_was_taken_away_opens_nothing_in_a_session_that_goes_on(mine: Estate) -> None:
    user = make_member(mine.world.project, Role.CONSENT_MANAGER)
    browser = Browser(user)
    assert browser.get("/admin/consent/subject/").status_code == 200
    membership.remove_member(user, mine.world.project, Role.CONSENT_MANAGER, actor=ACTOR)
    assert browser.get("/admin/consent/subject/").status_code == 403


def test_djangos_model_permissions_open_nothing(mine: Estate) -> None:
    from django.contrib.auth.models import Permission as ModelPermission

    user = make_member(mine.world.project)
    user.user_permissions.set(ModelPermission.objects.all())
    browser = Browser(user)
    assert "You hold no role" in browser.see("/admin/")
    assert browser.get("/admin/consent/subject/").status_code == 403
    assert not LogEntry.objects.exists()


def _ask(browser: Browser, method: str, path: str) -> Any:
    return browser.get(path) if method == "GET" else browser.submit(path, understood="on", scopes=["speech.transcribe"])


def _never(page: GovernedAdmin) -> str:
    return "999999999" if page.url_field == "id" else "01a00000-0000-7000-8000-000000000000"


def _page_of_redirect(one: Address) -> GovernedAdmin:
    """The page below which a nameless redirect of Django's lies."""
    _, _, app, model, *_ = one.route.split("/")
    return next(page for page in governed(admin.site) if (page.opts.app_label, page.opts.model_name) == (app, model))


def _shows_nothing(body: str, estate: Estate) -> None:
    for secret in estate.secrets:
        assert secret not in body, secret
