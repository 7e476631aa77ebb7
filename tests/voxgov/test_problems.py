"""Every error leaves as RFC 9457 problem details with a stable code, and says nothing that it must not."""

import importlib
import logging
import pkgutil
from typing import Any
from uuid import UUID

import pytest
from django.urls import path
from rest_framework.views import APIView

import accounts
import analysis
import consent
import vault
from accounts import membership
from accounts.errors import AccountsError
from accounts.roles import Role
from analysis.errors import AnalysisError
from audit.errors import AuditError
from audit.models import Event
from consent.errors import ConsentError
from consent.models import Subject
from tests import factories
from tests.callers import Answer, Caller, Nobody
from vault.errors import VaultError
from voxgov import problems
from voxgov.urls import urlpatterns

INSIDE = {
    # Raised where only the service itself is wrong; the client learns that it failed, and no more.
    "accounts_error",
    "analysis_error",
    "audit_error",
    "consent_error",
    "vault_error",
    "audit_outside_transaction",
    "audit_entry_invalid",
    # Of the log's formats and the tools that check them offline: a report or an exit status, never an answer.
    "audit_log_invalid",
    "audit_note_invalid",
    "audit_checkpoint_invalid",
    "audit_proof_invalid",
    "audit_tile_invalid",
    "audit_bundle_invalid",
    "audit_check_impossible",
    "audit_request_invalid",
    "audit_witness_refused",
    "gate_inside_transaction",
    "gate_outside_transaction",
    "permit_forged",
    "beyond_permit",
    "holder_missing",
    "seal_broken",
    "shred_outside_transaction",
    "key_missing",
    "keyring_invalid",
    "certificate_invalid",
    "rotation_under_way",
    "keys_unopenable",
    "journal_broken",
    "audit_log_inconsistent",
    "audit_checkpoints_unavailable",
    # Raised in workers, where they become the state of a job.
    "lease_lost",
    "cancelled",
    "consent_changed",
    "state_outside_emotion",
    "statement_not_heard",
}


@pytest.fixture
def manager() -> Caller:
    return Caller(factories.make_project(), Role.CONSENT_MANAGER)


def is_problem(answer: Answer, status: int, code: str) -> bool:
    assert (answer.status, answer.kind, answer.body.get("code")) == (status, "application/problem+json", code), answer
    assert answer.body["status"] == status
    assert answer.body["type"] == f"/problems/{code}"
    assert answer.body["title"]
    assert answer.body["request_id"] == answer.headers["X-Request-Id"]
    assert b"Traceback" not in answer.content
    return True


def typed_errors() -> list[type[Exception]]:
    found: list[type[Exception]] = []
    for base in (AccountsError, AnalysisError, AuditError, ConsentError, VaultError):
        pending: list[type[Exception]] = [base]
        while pending:
            error = pending.pop()
            found.append(error)
            pending.extend(error.__subclasses__())
    return found


def test_every_typed_error_has_a_line_in_the_table_or_is_known_to_stay_inside() -> None:
    for room in (accounts, analysis, consent, vault):
        for module in pkgutil.iter_modules(room.__path__):
            if module.name in ("errors", "idempotency", "deletion"):
                importlib.import_module(f"{room.__name__}.{module.name}")
    open_ends = {
        f"{error.__module__}.{error.__name__}"
        for error in typed_errors()
        # What decoding and engines raise becomes the state of a job, never an answer.
        if not error.__module__.startswith(("analysis.decoding", "analysis.engines"))
        and problems._row(error.__new__(error)) is None
        and getattr(error, "code", "") not in INSIDE
    }
    assert open_ends == set()


def test_codes_are_unique_and_each_is_explained_where_its_type_points(manager: Caller) -> None:
    codes = [error.code for error in problems.TABLE if hasattr(error, "code")]
    assert len(set(codes)) == len(codes)
    for code, known in problems.catalogue().items():
        answer = Nobody().get(f"/problems/{code}")
        assert (answer.status, answer.body["title"]) == (200, known["title"])
    assert Nobody().get("/problems/nonsense").status == 404


def test_no_token_a_wrong_one_and_a_malformed_one_are_unauthenticated(manager: Caller) -> None:
    answer = Nobody().get("/v1/subjects")
    assert is_problem(answer, 401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    for wrong in ("Bearer " + "0" * 64, "Bearer", "Bearer a b", "Bearer \xff\xfe", f"Bearer {manager.token}0"):
        assert is_problem(manager.get("/v1/subjects", Authorization=wrong), 401, "authentication_failed")
    assert is_problem(manager.get("/v1/subjects", Authorization="Basic eDp5"), 401, "not_authenticated")
    assert manager.get("/v1/subjects").status == 200


def test_a_revoked_client_is_unauthenticated_at_once(manager: Caller) -> None:
    membership.revoke_client(manager.client, actor=factories.ACTOR)
    assert is_problem(manager.get("/v1/subjects"), 401, "authentication_failed")


def test_a_token_of_a_person_opens_nothing() -> None:
    from knox.models import AuthToken

    project = factories.make_project()
    person = factories.make_member(project, Role.CONSENT_MANAGER)
    caller = Caller(project, Role.CONSENT_MANAGER)
    _, caller.token = AuthToken.objects.create(user=person)
    assert is_problem(caller.get("/v1/subjects"), 401, "authentication_failed")


def test_a_permission_taken_away_is_gone_at_once(manager: Caller) -> None:
    membership.remove_member(manager.client.user, manager.client.project, Role.CONSENT_MANAGER, actor=factories.ACTOR)
    assert is_problem(manager.get("/v1/subjects"), 403, "permission_denied")


@pytest.mark.parametrize(
    "route", ["/v1/nothing", "/v1/", "/nothing", "/v1/subjects/", "/v1/subjects/7", "/v1/subjects/%00", "/v1/../etc"]
)
def test_a_route_that_does_not_exist_is_a_problem(manager: Caller, route: str) -> None:
    assert is_problem(manager.get(route), 404, "not_found")


def test_what_a_route_does_not_do_is_a_problem(manager: Caller) -> None:
    assert is_problem(manager.delete("/v1/notices"), 405, "method_not_allowed")
    assert is_problem(manager.call("OPTIONS", "/v1/notices"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"{", "not JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'{"external_reference": "a", "external_reference": "b"}', "twice"),
        (b'{"external_reference": NaN}', "NaN is not JSON"),
        (b'{"external_reference": "\xff"}', "not UTF-8"),
        (b'{"external_reference": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
        (b'{"external_reference": ' + b"9" * 5000 + b"}", "number"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(manager: Caller, raw: bytes, why: str) -> None:
    answer = manager.call("POST", "/v1/subjects", raw=raw, environ={"CONTENT_TYPE": "application/json"})
    assert is_problem(answer, 400, "parse_error")
    assert why in answer.body["detail"]
    assert not Subject.objects.filter(project=manager.client.project).exists()


def test_a_media_type_that_is_not_spoken_is_refused(manager: Caller) -> None:
    for kind in ("multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/xml", ""):
        answer = manager.call("POST", "/v1/subjects", raw=b"{}x", environ={"CONTENT_TYPE": kind})
        assert is_problem(answer, 415, "unsupported_media_type")


def test_an_oversize_body_is_refused_before_it_is_read(manager: Caller) -> None:
    answer = manager.call(
        "POST", "/v1/subjects", raw=b"{" + b" " * (1024 * 1024) + b"}", environ={"CONTENT_TYPE": "application/json"}
    )
    assert is_problem(answer, 413, "body_too_large")


def test_what_the_caller_wants_accepted_does_not_matter(manager: Caller) -> None:
    assert manager.get("/v1/subjects", Accept="text/html").kind == "application/json"


@pytest.mark.parametrize("query", ["offset=3", "format=json", "limit=2&limit=3", "limit=0", "limit=x", "cursor=%00"])
def test_an_unknown_or_wrong_query_parameter_is_refused(manager: Caller, query: str) -> None:
    answer = manager.get(f"/v1/subjects?{query}")
    assert answer.status == 400
    assert answer.body["code"] in ("unknown_parameter", "invalid_request")
    assert answer.body["errors"][0]["field"] == query.split("=", maxsplit=1)[0]


def test_a_parameter_of_another_operation_is_unknown(manager: Caller) -> None:
    assert is_problem(manager.post("/v1/subjects?external_reference=x"), 400, "unknown_parameter")


def test_a_body_where_none_is_taken_is_refused(manager: Caller) -> None:
    world = factories.make_world(project=manager.client.project)
    answer = manager.post(f"/v1/notices/{world.notice.code}/publish", {"force": True})
    assert is_problem(answer, 400, "body_unexpected")


def test_no_message_repeats_what_was_sent(manager: Caller) -> None:
    answer = manager.post("/v1/notices", {"series": 1, "language": "a private thing", "title": ["a private thing"]})
    assert is_problem(answer, 400, "invalid_request")
    assert b"private" not in answer.content


def test_the_service_failing_is_a_problem_without_a_word_of_why(manager: Caller) -> None:
    class Broken(APIView):
        def get(self, request: Any) -> Any:
            raise RuntimeError("a secret of the service")

    route = path("v1/broken", Broken.as_view())
    urlpatterns.append(route)
    logging.disable(logging.CRITICAL)
    try:
        answer = manager.get("/v1/broken")
    finally:
        logging.disable(logging.NOTSET)
        urlpatterns.remove(route)
    assert is_problem(answer, 500, "internal_error")
    assert b"secret" not in answer.content


def test_an_id_that_the_client_sends_is_not_used_and_never_reaches_the_trail(manager: Caller) -> None:
    sent = "jane.doe-1980-01-01"
    answer = manager.post("/v1/subjects", X_Request_Id=sent)
    given = answer.headers["X-Request-Id"]
    assert answer.status == 201
    assert UUID(given).version == 7
    event = Event.objects.filter(log=manager.client.project.organization.code).latest("id")
    assert (event.name, event.request_id) == ("consent:subject:registered", given)
    assert given.encode() in bytes(event.entry)
    assert sent.encode() not in bytes(event.entry)


def test_a_missing_key_provider_closes_the_door_and_says_when_to_come_back(manager: Caller) -> None:
    from vault import keys

    ring = keys.provider()
    keyring = ring._path  # type: ignore[attr-defined]  # the default provider's file
    hidden = keyring.with_suffix(".away")
    keyring.rename(hidden)
    try:
        ring._checked = 0.0  # type: ignore[attr-defined]  # look again now rather than within a second
        answer = manager.post("/v1/subjects", {"external_reference": "somebody"})
    finally:
        hidden.rename(keyring)
    assert is_problem(answer, 503, "key_provider_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert not Subject.objects.filter(project=manager.client.project).exists()
