"""Webhooks over HTTP: for who may look after them, never another organization's, with secrets that lie nowhere in the clear."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.utils import timezone
from standardwebhooks import Webhook as Verifier

from accounts import membership
from accounts.models import ProjectUserObjectPermission, Replay
from accounts.roles import Role
from audit import delivery
from audit.models import Event, Webhook
from tests import factories
from tests.audit.receiver import Receiver, receiving
from tests.audit.signed import codes_of, sign
from tests.callers import Answer, Caller
from tests.factories import ACTOR, World, make_client, make_member
from tests.voxgov.test_problems import is_problem

URL = "https://hooks.example.com/voxgov"


@pytest.fixture
def officer(world: World) -> Caller:
    return Caller(world.project, Role.DATA_PROTECTION_OFFICER)


@pytest.fixture
def administrator(world: World) -> Caller:
    return Caller(world.project, Role.ADMINISTRATOR)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(settings, "VOXGOV_WEBHOOK_LOOPBACK", True)
    with receiving() as found:
        yield found
    Webhook.objects.filter(url=found.url).delete()


def made(caller: Caller, **body: Any) -> dict[str, Any]:
    answer = caller.post("/v1/webhooks", {"url": URL, **body})
    assert answer.status == 201, answer
    return dict(answer.body)


def deliver(webhook: dict[str, Any]) -> int:
    return delivery.deliver(webhook["code"], clock=lambda: timezone.now() + timedelta(seconds=1))


def test_a_webhook_is_made_and_its_secret_shown_this_once(officer: Caller) -> None:
    webhook = made(officer, names=["consent:grant:given", "analysis:results:committed"])
    secret = webhook.pop("secret")
    assert Verifier(secret).sign("id", timezone.now(), "{}").startswith("v1,")
    assert webhook["url"] == URL
    assert webhook["names"] == ["analysis:results:committed", "consent:grant:given"]
    assert (webhook["enabled"], webhook["disabled_reason"], webhook["failures"]) == (True, None, 0)
    assert [one["expires_at"] for one in webhook["secrets"]] == [None]
    assert officer.get(f"/v1/webhooks/{webhook['code']}").body == webhook
    (listed,) = officer.get("/v1/webhooks").body["results"]
    assert listed == webhook


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"url": "https://169.254.169.254/latest/meta-data"}, 422, "webhook_address_refused"),
        ({"url": "https://2130706433/"}, 422, "webhook_address_refused"),
        ({"url": "http://hooks.example.com/"}, 422, "webhook_address_refused"),
        ({"url": "http://127.0.0.1:8000/"}, 422, "webhook_address_refused"),
        ({"url": "https://a:b@hooks.example.com/"}, 422, "webhook_address_refused"),
        ({}, 400, "invalid_request"),
        ({"url": 1}, 400, "invalid_request"),
        ({"url": URL + "x" * 2000}, 400, "invalid_request"),
        ({"url": URL, "names": ["consent:grant:imagined"]}, 400, "invalid_request"),
        ({"url": URL, "names": "consent:grant:given"}, 400, "invalid_request"),
        ({"url": URL, "names": ["consent:grant:given"] * 2}, 400, "invalid_request"),
        ({"url": URL, "start": "yesterday"}, 400, "invalid_request"),
        ({"url": URL, "secret": "whsec_AAAA"}, 400, "invalid_request"),
        ({"url": URL, "place": "1:0"}, 400, "invalid_request"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(officer: Caller, body: dict[str, Any], status: int, code: str) -> None:
    answer = officer.post("/v1/webhooks", body)
    assert is_problem(answer, status, code)
    assert officer.get("/v1/webhooks").body["results"] == []


def test_from_the_first_call_to_an_event_that_the_receiver_verifies(
    world: World, officer: Caller, receiver: Receiver
) -> None:
    webhook = made(officer, url=receiver.url, start="beginning")
    log = sign(world.organization.code).code
    assert deliver(webhook) == len(codes_of(log))
    for received in receiver.received:
        assert Verifier(webhook["secret"]).verify(received.body, received.headers)["data"]["entry"]["log"] == log
    shown = officer.get(f"/v1/webhooks/{webhook['code']}").body
    assert (shown["behind"], shown["last_outcome"]) == (0, "delivered")
    assert shown["last_delivered_at"] is not None
    deliveries = officer.get(f"/v1/webhooks/{webhook['code']}/deliveries?limit=3").body
    assert len(deliveries["results"]) == 3
    newest = deliveries["results"][0]
    assert newest["message"] == receiver.received[-1].headers["webhook-id"]
    assert (newest["outcome"], newest["status"], newest["test"], newest["attempt"]) == ("delivered", 204, False, 1)
    assert newest["place"] == shown["place"]
    assert officer.get(deliveries["next"]).body["results"]


def test_failures_are_shown_until_they_end(world: World, officer: Caller, receiver: Receiver) -> None:
    sign(world.organization.code)
    webhook = made(officer, url=receiver.url)
    sign(world.organization.code)
    receiver.answers = [(500, {}), (410, {})]
    deliver(webhook)
    shown = officer.get(f"/v1/webhooks/{webhook['code']}").body
    assert (shown["failures"], shown["last_outcome"], shown["enabled"], shown["behind"]) == (1, "rejected", True, 1)
    assert shown["failing_since"] <= shown["next_attempt_at"]
    Webhook.objects.filter(code=webhook["code"]).update(next_attempt_at=timezone.now())
    deliver(webhook)
    shown = officer.get(f"/v1/webhooks/{webhook['code']}").body
    assert (shown["enabled"], shown["disabled_reason"], shown["last_outcome"]) == (False, "gone", "gone")
    assert shown["disabled_at"] is not None
    enabled = officer.post(f"/v1/webhooks/{webhook['code']}/enable").body
    assert (enabled["enabled"], enabled["disabled_reason"], enabled["failures"]) == (True, None, 0)
    assert enabled["place"] == shown["place"]


def test_address_and_events_are_changed_apart_or_together(officer: Caller) -> None:
    webhook = made(officer, names=["consent:grant:given"])
    path = f"/v1/webhooks/{webhook['code']}"
    assert officer.call("PATCH", path, {"url": f"{URL}/2"}).body["names"] == ["consent:grant:given"]
    assert officer.call("PATCH", path, {"names": []}).body["url"] == f"{URL}/2"
    changed = officer.get(path).body
    assert (changed["url"], changed["names"]) == (f"{URL}/2", [])
    assert is_problem(officer.call("PATCH", path, {}), 400, "invalid_request")
    assert is_problem(officer.call("PATCH", path, {"url": "https://10.0.0.1/"}), 422, "webhook_address_refused")
    assert is_problem(officer.call("PATCH", path, {"enabled": False}), 400, "invalid_request")


def test_a_secret_is_rotated_with_an_overlap_of_a_day_unless_said_otherwise(officer: Caller) -> None:
    webhook = made(officer)
    path = f"/v1/webhooks/{webhook['code']}/rotate"
    rotated = officer.post(path).body
    assert rotated["secret"] != webhook["secret"]
    newest, old = rotated["secrets"]
    assert newest["expires_at"] is None
    assert old["created_at"] == webhook["secrets"][0]["created_at"]
    ends = datetime.fromisoformat(old["expires_at"])
    assert timedelta(hours=23) < ends - timezone.now() <= timedelta(hours=24)
    assert len(officer.post(path, {"overlap_hours": 0}).body["secrets"]) == 1
    for hours in (-1, 169, "1", 1.5, None):
        assert is_problem(officer.post(path, {"overlap_hours": hours}), 400, "invalid_request")
    for _ in range(4):
        officer.post(path)
    assert is_problem(officer.post(path), 409, "too_many_secrets")


def test_a_webhook_rests_is_tested_and_goes(officer: Caller, receiver: Receiver) -> None:
    webhook = made(officer, url=receiver.url)
    path = f"/v1/webhooks/{webhook['code']}"
    assert officer.post(f"{path}/disable").body["disabled_reason"] == "asked"
    asked = officer.post(f"{path}/test")
    assert asked.status == 202
    deliver(webhook)
    (received,) = receiver.received
    assert received.headers["webhook-id"] == asked.body["message"]
    (noted,) = officer.get(f"{path}/deliveries").body["results"]
    assert (noted["test"], noted["message"], noted["place"]) == (True, asked.body["message"], None)
    assert officer.delete(path).body["code"] == webhook["code"]
    for method, rest in (("GET", ""), ("DELETE", ""), ("POST", "/enable"), ("POST", "/test"), ("GET", "/deliveries")):
        assert is_problem(officer.call(method, path + rest), 404, "not_found")
    assert officer.get("/v1/webhooks").body["results"] == []


def test_one_that_is_deleted_while_a_call_is_under_way_is_not_found(
    officer: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxgov.webhooks_api import WebhookView

    webhook = made(officer)
    stale = Webhook.objects.get(code=webhook["code"])
    officer.delete(f"/v1/webhooks/{webhook['code']}")
    monkeypatch.setattr(WebhookView, "webhook", lambda view, code: stale)
    assert is_problem(officer.post(f"/v1/webhooks/{webhook['code']}/enable"), 404, "not_found")


def test_an_organization_has_twenty_at_most(officer: Caller) -> None:
    for _ in range(20):
        made(officer)
    assert is_problem(officer.post("/v1/webhooks", {"url": URL}), 409, "too_many_webhooks")
    page = officer.get("/v1/webhooks?limit=15").body
    assert len(page["results"]) + len(officer.get(page["next"]).body["results"]) == 20


# Who may


def test_the_log_is_handed_out_only_by_who_may_read_it(officer: Caller, administrator: Caller) -> None:
    webhook = made(officer)
    path = f"/v1/webhooks/{webhook['code']}"
    for refused in (
        administrator.post("/v1/webhooks", {"url": URL}),
        administrator.call("PATCH", path, {"url": URL}),
        administrator.post(f"{path}/enable"),
    ):
        assert is_problem(refused, 403, "permission_denied")
        assert "read_log" in refused.body["detail"]
    for looked_after in (
        administrator.get("/v1/webhooks"),
        administrator.get(path),
        administrator.post(f"{path}/rotate"),
        administrator.post(f"{path}/disable"),
        administrator.get(f"{path}/deliveries"),
        administrator.delete(path),
    ):
        assert looked_after.status == 200


def test_both_permissions_may_come_from_two_roles(world: World) -> None:
    both = Caller(world.project, Role.ADMINISTRATOR, Role.AUDITOR)
    assert made(both)["enabled"]
    for role in (Role.AUDITOR, Role.OPERATOR, Role.CONSENT_MANAGER):
        assert is_problem(Caller(world.project, role).get("/v1/webhooks"), 403, "permission_denied")


def test_a_webhook_is_the_organizations_whichever_project_it_was_made_in(world: World, officer: Caller) -> None:
    webhook = made(officer)
    sibling = Caller(factories.make_project(world.organization), Role.DATA_PROTECTION_OFFICER)
    assert sibling.get(f"/v1/webhooks/{webhook['code']}").status == 200
    stranger = Caller(factories.make_project(), Role.DATA_PROTECTION_OFFICER)
    assert stranger.get("/v1/webhooks").body["results"] == []
    assert is_problem(stranger.delete(f"/v1/webhooks/{webhook['code']}"), 404, "not_found")


def test_every_change_names_who_made_it(world: World, officer: Caller, administrator: Caller) -> None:
    webhook = made(officer)
    administrator.post(f"/v1/webhooks/{webhook['code']}/disable")
    actors = Event.objects.filter(log=world.organization.code, name__startswith="audit:webhook:").order_by("id")
    assert [(event.name, event.actor_code) for event in actors] == [
        ("audit:webhook:created", officer.client.code),
        ("audit:webhook:disabled", administrator.client.code),
    ]


def test_members_from_before_get_the_permission_that_their_role_now_has(world: World) -> None:
    give = import_module("accounts.migrations.0004_manage_webhooks_rows").give
    people = {role: make_member(world.project, role) for role in (Role.ADMINISTRATOR, Role.AUDITOR)}
    client, _ = make_client(world.project, Role.DATA_PROTECTION_OFFICER)
    rows = ProjectUserObjectPermission.objects.filter(
        content_object=world.project, permission__codename="manage_webhooks"
    )
    expected = {people[Role.ADMINISTRATOR].pk, client.user.pk}
    assert set(rows.values_list("user", flat=True)) == expected
    rows.delete()
    for _ in range(2):
        give(apps, None)
    assert set(rows.values_list("user", flat=True)) == expected
    assert rows.count() == 2
    membership.remove_member(people[Role.ADMINISTRATOR], world.project, Role.ADMINISTRATOR, actor=ACTOR)
    assert set(rows.values_list("user", flat=True)) == {client.user.pk}


# Repetitions


def test_a_repetition_gets_the_secret_again_although_no_table_holds_it(
    officer: Caller, superuser: Callable[[str], list[tuple[object, ...]]]
) -> None:
    first = officer.post("/v1/webhooks", {"url": URL}, key="make-1")
    again = officer.post("/v1/webhooks", {"url": URL}, key="make-1")
    assert (again.status, again.content) == (201, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    path = f"/v1/webhooks/{first.body['code']}/rotate"
    rotated, repeated = (officer.post(path, key="rotate-1") for _ in range(2))
    assert repeated.content == rotated.content
    assert Webhook.objects.filter(code=first.body["code"]).get().secrets.count() == 2
    bodies = b"".join(bytes(row.body) for row in Replay.objects.filter(client=officer.client))
    assert b'"secret":"@' in bodies
    for answer in (first, rotated):
        assert answer.body["secret"].encode() not in bodies
    assert b"whsec_" not in bodies
    assert superuser("SELECT 1 FROM accounts_replay WHERE body::text LIKE '%' || encode('whsec_', 'hex') || '%'") == []


def test_a_repetition_after_the_secret_is_gone_says_so(officer: Caller) -> None:
    first = officer.post("/v1/webhooks", {"url": URL}, key="make-1")
    officer.post(f"/v1/webhooks/{first.body['code']}/rotate", {"overlap_hours": 0})
    again: Answer = officer.post("/v1/webhooks", {"url": URL}, key="make-1")
    assert (again.status, again.body) == (201, {**first.body, "secret": None})


def test_a_repetition_by_another_client_is_another_call(world: World, officer: Caller) -> None:
    first = officer.post("/v1/webhooks", {"url": URL}, key="make-1")
    other = Caller(world.project, Role.DATA_PROTECTION_OFFICER).post("/v1/webhooks", {"url": URL}, key="make-1")
    assert other.body["code"] != first.body["code"]
    assert other.body["secret"] != first.body["secret"]
