"""Every route, generated from the OpenAPI document: without a token, with each role, and with another organization's codes.

A route that is added is tried here without a line being written; one that takes a body must be given a valid one below.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pytest
from django.apps import apps
from django.db import connections
from django.urls import resolve
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator

from accounts.api_base import UNSAFE, Operation, operation_of
from accounts.roles import ROLE_PERMISSIONS, Permission, Role
from audit import exports, webhooks
from audit.models import Event
from consent import breaches, bulk_withdrawal, withdrawal
from consent.vocabulary import BreachKind, Scope
from tests import factories
from tests.callers import Answer, Caller, Nobody
from tests.factories import World

WEBHOOK = "https://hooks.example.com/voxgov"
NOWHERE = "0198f3a2-6f0e-7cc1-9d4a-3b1f0a7e5c11"
ALL_ROLES = tuple(Role)
RECORDED = frozenset({"consent_decision", "audit_event", "audit_eventreference", "audit_unsequenced"})
"""What a refused request leaves in our own trail."""
OPEN = {"/health/live", "/health/ready"}


@dataclass(frozen=True)
class Route:
    """One method of one path of the OpenAPI document."""

    method: str
    path: str
    id: str
    document: dict[str, Any]

    def at(self, code: str) -> str:
        return (
            self.path.replace("{code}", code)
            .replace("{category}", "kept_audio")
            .replace("{generation}", "1")
            .replace("{tile}", "0/000.p/1")
        )

    @property
    def operation(self) -> Operation:
        view = resolve(self.at(NOWHERE)).func.view_class  # type: ignore[attr-defined]  # Django's own mark on a view
        found = operation_of(view, self.method)
        assert found is not None, f"{self.method} {self.path} declares no operation"
        return found

    @property
    def kind(self) -> str:
        """What the code in the path is a code of: the segment before it."""
        return self.path.split("/{code}")[0].rsplit("/", 1)[1]


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]  # drf-spectacular types only a part
    schema = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    found: dict[str, Any] = json.loads(json.dumps(schema, default=str))
    return found


def routes() -> list[Route]:
    return [
        Route(method.upper(), path, operation["operationId"], operation)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
        if path not in OPEN
    ]


@dataclass(frozen=True)
class Household:
    """One organization with one thing of each kind, and a client that holds every role."""

    world: World
    codes: dict[str, str]
    caller: Caller

    @classmethod
    def make(cls) -> "Household":
        world = factories.make_world()
        caller = Caller(world.project, *ALL_ROLES)
        consent = world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
        recording = world.upload(b"audio" * 100, Scope.TRANSCRIBE)
        decisions = caller.get("/v1/decisions").body["results"]
        event = Event.objects.filter(log=world.organization.code).first()
        assert event is not None
        log = factories.sign_log(world.organization)
        export = exports.order(log, start=0, end=None, filter_={}, recipient="", actor=factories.ACTOR)
        bulk = bulk_withdrawal.preview(world.project, bulk_withdrawal.Selection(), actor=factories.ACTOR)
        breach = breaches.Facts(timezone.now(), (BreachKind.INTEGRITY,))
        codes = {
            "breaches": breaches.register(world.project, breach, actor=factories.ACTOR).code,
            "bulk-withdrawals": bulk.code,
            "exports": export.code,
            "notices": world.notice.code,
            "purposes": world.purpose.code,
            "subjects": world.subject.code,
            "consents": consent.code,
            "decisions": decisions[0]["code"],
            "recordings": recording.code,
            "analyses": recording.analyses.get().code,
            "events": str(event.code),
            "webhooks": webhooks.create(world.organization.code, WEBHOOK, actor=factories.ACTOR).webhook.code,
            "notice_series": world.notice.series.code,
            "endings": withdrawal.withdraw(world.subject, scopes=[Scope.PROSODY], actor=factories.ACTOR).code,
            "representatives": factories.make_representative(world.subject).code,
        }
        return cls(world, codes, caller)

    def bodies(self) -> dict[str, dict[str, Any]]:
        """A valid body for every operation that needs one."""
        moment = timezone.now().isoformat()
        return {
            "notices_create": {"series": "new", "language": "en", "title": "t", "text": "t", "material": False},
            "purposes_create": {
                "name": "new",
                "notice_series": self.codes["notice_series"],
                "lawful_basis": "consent",
                "processing": {
                    "parties": [
                        {"name": "Example Ltd", "address": "1 Example Street", "contact": "privacy@example.com"}
                    ],
                    "storage_locations": ["DE"],
                    "jurisdictions": ["DE"],
                    "withdrawal_method": "Say so.",
                },
                "scopes": ["speech.transcribe"],
                "contexts": ["support"],
            },
            "purposes_update": {"active": True},
            "subjects_create": {"external_reference": "new"},
            "subjects_lookup": {"external_reference": "nobody's"},
            "role_changes_create": {"role": "customer"},
            "representatives_create": {
                "relation": "parent",
                "identity": "their mother",
                "proof": {"sha256": "0" * 64},
                "of_child": True,
                "ends_at": "2099-01-01T00:00:00Z",
            },
            "subjects_withdraw": {"purpose": self.codes["purposes"], "scopes": ["speech.transcribe"]},
            "consents_create": {
                "subject": self.codes["subjects"],
                "purpose": self.codes["purposes"],
                "notice": self.codes["notices"],
                "scopes": ["speech.transcribe"],
                "given": True,
                "explicit": True,
                "given_at": moment,
                "jurisdiction": "DE",
                "representative": self.codes["representatives"],
                "evidence": {"method": "web_form", "sha256": self.world.notice.sha256},
            },
            "consent_requests_create": {
                "subject": self.codes["subjects"],
                "purpose": self.codes["purposes"],
                "notice": self.codes["notices"],
                "scopes": ["speech.transcribe"],
                "asked_at": moment,
                "jurisdiction": "DE",
                "evidence": {"method": "web_form", "sha256": self.world.notice.sha256},
            },
            "consents_defer": {"scopes": ["speech.transcribe"]},
            "consents_invalidate": {"scopes": ["speech.transcribe"]},
            "bulk_withdrawals_create": {
                "purpose": self.codes["purposes"],
                "subjects": [self.codes["subjects"]],
                "scopes": ["speech.transcribe"],
            },
            "bulk_withdrawals_execute": {"token": "of another preview"},
            "rule_set_set": {"rules": ["own-explicit"]},
            "rule_set_preview": {"rules": ["own-explicit"]},
            "breaches_create": {"aware_at": moment, "kinds": ["confidentiality"]},
            "breaches_amend": {"risk": "high"},
            "subjects_restrict": {"ground": "objection"},
            "subjects_report_event": {"event": "contract_ended", "purpose": self.codes["purposes"]},
            "consents_withdraw": {"scopes": ["speech.transcribe"]},
            "retention_set": {"days": 10},
            "webhooks_create": {"url": WEBHOOK},
            "webhooks_update": {"names": ["consent:grant:given"]},
            "webhooks_rotate": {"overlap_hours": 1},
            "recordings_create": {
                "purpose": self.codes["purposes"],
                "context": "support",
                "jurisdiction": "DE",
                "recorded_at": moment,
                "participants": [{"subject": self.codes["subjects"], "role": "customer"}],
                "scopes": ["speech.transcribe"],
            },
            "decisions_preview": {
                "purpose": self.codes["purposes"],
                "context": "support",
                "jurisdiction": "DE",
                "recorded_at": moment,
                "participants": [{"subject": self.codes["subjects"], "role": "customer"}],
                "scopes": ["speech.transcribe"],
            },
            "audit_exports_create": {"filter": {"outcome": ["deny"]}},
            "analyses_create": {"recording": self.codes["recordings"], "scopes": ["speech.transcribe"]},
        }


@pytest.fixture(scope="module")
def ours() -> Household:
    return Household.make()


@pytest.fixture(scope="module")
def theirs() -> Household:
    return Household.make()


@pytest.fixture(scope="module")
def reader() -> Household:
    """A household that never named another's code, so that its own refused requests do not hold one."""
    return Household.make()


def send(caller: Caller, route: Route, path: str, body: dict[str, Any] | None) -> Answer:
    if route.operation.raw_body:
        return caller.call(route.method, path, raw=b"audio")
    return caller.call(route.method, path, body)


def everything(but: frozenset[str] = frozenset()) -> str:
    """A hash over every row of every table, in both databases."""
    digest = hashlib.sha256()
    for model in apps.get_models():
        table = model._meta.db_table
        if table in but:
            continue
        alias = "keys" if model._meta.app_label == "vault" and table in tables("keys") else "default"
        with connections[alias].cursor() as cursor:
            cursor.execute(f"SELECT coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '') FROM \"{table}\" AS t")
            digest.update(f"{table} {cursor.fetchone()[0]}\n".encode())
    return digest.hexdigest()


@lru_cache(maxsize=2)
def tables(alias: str) -> frozenset[str]:
    return frozenset(connections[alias].introspection.table_names())


def test_there_are_routes_and_each_declares_what_it_needs(ours: Household) -> None:
    found = routes()
    assert len(found) >= 35
    assert len({route.id for route in found}) == len(found)
    bodies = ours.bodies()
    for route in found:
        operation = route.operation
        if operation.body is not None:
            assert route.id in bodies, f"give {route.id} a valid body"
        only_asks = route.id.endswith(("_lookup", "_preview"))
        assert operation.changes == (route.method in UNSAFE and not only_asks)
        if operation.changes:
            assert not operation.permission.startswith("view_"), f"{route.id} changes things for who may only look"


@pytest.mark.parametrize("route", routes(), ids=lambda route: route.id)
def test_without_a_token_nothing_is_answered(route: Route) -> None:
    answer = send(Nobody(), route, route.at(NOWHERE), {})
    assert (answer.status, answer.body["code"]) == (401, "not_authenticated")


@pytest.fixture(scope="module")
def callers(ours: Household) -> dict[Role, Caller]:
    return {role: Caller(ours.world.project, role) for role in Role}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("route", routes(), ids=lambda route: route.id)
def test_a_role_gets_as_far_as_its_permissions(route: Route, role: Role, callers: dict[Role, Caller]) -> None:
    answer = send(callers[role], route, route.at(NOWHERE), {"no such field": 1} if route.operation.body else None)
    if set(route.operation.needs) <= ROLE_PERMISSIONS[role]:
        # Far enough to be told that there is no such thing, that the body is wrong, or the answer itself.
        assert answer.status in (200, 201, 400, 404), answer
    else:
        assert (answer.status, answer.body["code"]) == (403, "permission_denied")


def test_no_single_role_may_do_everything() -> None:
    needed = {permission for route in routes() for permission in route.operation.needs}
    assert all(not needed <= ROLE_PERMISSIONS[role] for role in Role)
    assert {route.id for route in routes() if set(route.operation.needs) <= ROLE_PERMISSIONS[Role.AUDITOR]} == {
        "processing_record_read",
        "audit_events_list",
        "audit_event_read",
        "audit_proof_read",
        "audit_stream_read",
        "audit_logs_list",
        "audit_checkpoint_read",
        "audit_consistency_read",
        "audit_tile_read",
        "audit_exports_list",
        "audit_exports_create",
        "audit_export_read",
        "audit_export_file_read",
    }
    assert {route.id for route in routes() if set(route.operation.needs) <= ROLE_PERMISSIONS[Role.ADMINISTRATOR]} == {
        "processing_record_read",
        "webhooks_list",
        "webhooks_read",
        "webhooks_delete",
        "webhooks_rotate",
        "webhooks_disable",
        "webhooks_test",
        "webhooks_deliveries_list",
    }
    assert Permission.READ_RESULTS not in ROLE_PERMISSIONS[Role.DATA_PROTECTION_OFFICER]


@pytest.mark.parametrize("route", [r for r in routes() if "{code}" in r.path], ids=lambda route: route.id)
def test_another_organizations_code_is_not_found_and_nothing_changes(
    route: Route, ours: Household, theirs: Household
) -> None:
    before = everything()
    body = ours.bodies().get(route.id)
    answer = send(ours.caller, route, route.at(theirs.codes[route.kind]), body)
    nobodys = send(ours.caller, route, route.at(NOWHERE), body)
    assert (answer.status, answer.body["code"]) == (404, "not_found")
    assert {**answer.body, "request_id": ""} == {**nobodys.body, "request_id": ""}
    assert everything() == before


def fields_with_codes(body: Any, codes: set[str], path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for name, value in items:
        if isinstance(value, str) and value in codes:
            yield (*path, name)
        else:
            yield from fields_with_codes(value, codes, (*path, name))


def replaced(body: Any, path: tuple[Any, ...], value: str) -> Any:
    copy = json.loads(json.dumps(body))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copy


@pytest.mark.parametrize("route", [r for r in routes() if r.operation.body], ids=lambda route: route.id)
def test_another_organizations_code_in_a_body_opens_nothing(route: Route, ours: Household, theirs: Household) -> None:
    body = ours.bodies()[route.id]
    kinds = {code: kind for kind, code in ours.codes.items()}
    path = route.at(ours.codes.get(route.kind, "")) if "{code}" in route.path else route.at("")
    for place in fields_with_codes(body, set(kinds)):
        value: Any = body
        for step in place:
            value = value[step]
        # A refused recording leaves its denial in our own trail, and that is all it leaves.
        before = everything(but=RECORDED)
        answer = send(ours.caller, route, path, replaced(body, place, theirs.codes[kinds[value]]))
        assert answer.status in (403, 422), answer
        assert everything(but=RECORDED) == before
        assert not Event.objects.filter(log=theirs.world.organization.code, actor_code=ours.caller.client.code).exists()


@pytest.mark.parametrize(
    "route", [r for r in routes() if r.method == "GET" and "{" not in r.path], ids=lambda route: route.id
)
def test_lists_and_their_filters_show_nothing_of_another_organization(
    route: Route, reader: Household, theirs: Household
) -> None:
    filters = [p["name"] for p in route.document.get("parameters", []) if p["in"] == "query"]
    code_of = {"subject": "subjects", "purpose": "purposes", "recording": "recordings", "object": "recordings"}
    queries = ["limit=200"] if "limit" in filters else [""]
    queries += [f"{name}={theirs.codes[code_of[name]]}" for name in filters if name in code_of]
    for query in queries:
        answer = reader.caller.get(f"{route.path}?{query}" if query else route.path)
        assert answer.status == 200, answer
        shown = set(re.findall(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.content))
        assert not shown & {code.encode() for code in theirs.codes.values()}


def test_the_document_is_valid_and_says_how_every_route_fails() -> None:
    from openapi_spec_validator import validate

    validate(document())
    assert document()["openapi"].startswith("3.1")
    for route in routes():
        answers = route.document["responses"]
        for status in ("400", "401", "403", "404", "default"):
            assert "application/problem+json" in answers[status]["content"], f"{route.id} {status}"
        assert route.document["security"] == [{"clientToken": []}]
        named = [p["name"] for p in route.document.get("parameters", []) if p["in"] == "header"]
        if route.id == "audit_stream_read":
            assert named == ["Last-Event-ID"]
        else:
            assert named == (["Idempotency-Key"] if route.operation.changes else [])


def test_consents_and_recordings_come_with_an_example() -> None:
    for route in routes():
        if route.id in ("consents_create", "recordings_create"):
            content = route.document["requestBody"]["content"]["application/json"]
            assert content["examples"]
