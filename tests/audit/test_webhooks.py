"""How webhooks come, change and go: each with its event, their secrets sealed, shown once and rotated with overlap."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from audit import delivery, webhooks
from audit.errors import AddressRefused, TooManySecrets, TooManyWebhooks
from audit.events import EventName
from audit.models import Event, Webhook, WebhookDelivery, WebhookSecret
from audit.sequenced import Place
from audit.webhooks import MAX_OVERLAP, MAX_PER_LOG, MAX_SECRETS, Disabled, Shown, Start
from tests.audit.hooks import again, entries
from tests.audit.signed import ACTOR, record, sign
from vault import keys
from vault.codes import new_code
from vault.errors import KeyShredded
from vault.keys import KeyName
from vault.models import DataKey, KeyClass, ShredOrder

URL = "https://hooks.example.com:8443/services/T0123/very-private-path?token=abc"
DAY = timedelta(days=1)


@pytest.fixture
def log() -> str:
    return new_code()


@pytest.fixture
def shown(log: str) -> Shown:
    return webhooks.create(log, URL, names=[EventName.GRANT_GIVEN], actor=ACTOR)


def in_force(shown: Shown, after: timedelta = timedelta(0)) -> list[str]:
    rows = webhooks.secrets_in_force(shown.webhook, timezone.now() + after)
    return [row.secret.text() for row in rows]


def test_a_webhook_begins_behind_what_was_signed_or_at_the_beginning(log: str) -> None:
    record(log, 4)
    sign(log)
    assert webhooks.place_of(webhooks.create(log, URL, actor=ACTOR).webhook) == Place(1, 3)
    assert webhooks.place_of(webhooks.create(log, URL, start=Start.BEGINNING, actor=ACTOR).webhook) == Place(1, -1)


def test_its_coming_says_where_to_and_what_but_not_the_path(log: str, shown: Shown) -> None:
    (entry,) = entries(log, EventName.WEBHOOK_CREATED)
    assert entry["objects"] == [{"kind": "webhook", "code": shown.webhook.code}, {"kind": "log", "code": log}]
    assert entry["detail"] == {"host": "hooks.example.com:8443", "names": ["consent:grant:given"], "from": "1:-1"}
    assert "private" not in json.dumps(entry)


def test_every_change_has_its_event_and_what_changes_nothing_has_none(log: str, shown: Shown) -> None:
    webhook = shown.webhook
    webhooks.change(webhook, url="https://other.example.com/x", actor=ACTOR)
    webhooks.change(webhook, names=[], actor=ACTOR)
    for _ in range(2):
        webhooks.disable(webhook, Disabled.ASKED, actor=ACTOR)
    for _ in range(2):
        webhooks.enable(webhook, actor=ACTOR)
    webhooks.rotate(webhook, overlap=DAY, actor=ACTOR)
    webhooks.ping(webhook)
    webhooks.delete(webhook, actor=ACTOR)
    names = list(Event.objects.filter(log=log).order_by("id").values_list("name", flat=True))
    assert names == [
        f"audit:webhook:{what}"
        for what in ("created", "changed", "changed", "disabled", "enabled", "rotated", "deleted")
    ]
    changed = [entry["detail"] for entry in entries(log, EventName.WEBHOOK_CHANGED)]
    assert changed == [
        {"host": "other.example.com", "names": ["consent:grant:given"]},
        {"names": []},
    ]
    assert entries(log, EventName.WEBHOOK_DISABLED)[0]["reason"] == "asked"
    assert entries(log, EventName.WEBHOOK_ROTATED)[0]["detail"] == {"overlap_seconds": 86400}


@pytest.mark.parametrize("url", ["http://hooks.example.com/", "https://127.0.0.1/", "https://localhost/", "nonsense"])
def test_an_address_that_leads_inside_is_never_kept(log: str, shown: Shown, url: str) -> None:
    with pytest.raises(AddressRefused):
        webhooks.create(log, url, actor=ACTOR)
    with pytest.raises(AddressRefused):
        webhooks.change(shown.webhook, url=url, actor=ACTOR)
    assert list(Webhook.objects.filter(log=log).values_list("url", flat=True)) == [URL]


def test_a_change_keeps_the_place_and_forgets_old_failures(log: str, shown: Shown) -> None:
    now = timezone.now()
    Webhook.objects.filter(pk=shown.webhook.pk).update(
        index=7, failures=9, failing_since=now, next_attempt_at=now + DAY, lease_until=now + DAY, turn=3
    )
    row = webhooks.change(shown.webhook, names=[EventName.TRAIL_READ, EventName.GRANT_GIVEN], actor=ACTOR)
    row.refresh_from_db()
    assert (row.index, row.failures, row.failing_since, row.lease_until, row.turn) == (7, 0, None, None, 4)
    assert row.next_attempt_at <= timezone.now()
    assert row.names == ["audit:trail:read", "consent:grant:given"]


def test_an_organization_has_only_so_many(log: str) -> None:
    for _ in range(MAX_PER_LOG):
        webhooks.create(log, URL, actor=ACTOR)
    with pytest.raises(TooManyWebhooks):
        webhooks.create(log, URL, actor=ACTOR)
    webhooks.create(new_code(), URL, actor=ACTOR)


# Secrets


def test_a_secret_is_as_the_specification_has_it_and_no_two_are_alike(log: str, shown: Shown) -> None:
    prefix, encoded = shown.secret.split("_")
    assert prefix == "whsec"
    assert len(base64.b64decode(encoded, validate=True)) == 32
    assert webhooks.create(log, URL, actor=ACTOR).secret != shown.secret


def test_a_secret_lies_sealed_and_shows_nowhere(
    log: str, shown: Shown, superuser: Callable[[str], list[tuple[object, ...]]]
) -> None:
    [(stored,)] = superuser(f"SELECT secret FROM audit_webhooksecret WHERE webhook_id = {shown.webhook.pk}")
    assert isinstance(stored, bytes)
    key = base64.b64decode(shown.secret.removeprefix("whsec_"))
    assert shown.secret.encode() not in stored
    assert key not in stored
    for table in ("audit_webhook", "audit_webhooksecret", "audit_event"):
        rows = superuser(f"SELECT t::text FROM {table} AS t WHERE t::text LIKE '%{key.hex()[:20]}%'")
        assert rows == []
    assert shown.secret not in repr(shown)
    assert in_force(shown) == [shown.secret]


def test_a_secret_moved_to_another_webhook_does_not_open(log: str, shown: Shown) -> None:
    other = webhooks.create(log, URL, actor=ACTOR)
    row = WebhookSecret.objects.get(pk=shown.row.pk)
    WebhookSecret.objects.filter(pk=row.pk).update(webhook=other.webhook)
    with pytest.raises(Exception, match="names a key that is not its owner's"):
        WebhookSecret.objects.get(pk=row.pk).secret.open()


def test_a_new_secret_stands_beside_the_old_until_the_overlap_is_over(shown: Shown) -> None:
    new = webhooks.rotate(shown.webhook, overlap=DAY, actor=ACTOR)
    assert in_force(shown) == [new.secret, shown.secret]
    assert in_force(shown, DAY) == [new.secret]
    assert in_force(shown, 1000 * DAY) == [new.secret]


def test_rotating_again_never_lengthens_an_overlap_and_may_shorten_it(shown: Shown) -> None:
    second = webhooks.rotate(shown.webhook, overlap=2 * DAY, actor=ACTOR)
    third = webhooks.rotate(shown.webhook, overlap=7 * DAY, actor=ACTOR)
    assert in_force(shown) == [third.secret, second.secret, shown.secret]
    assert in_force(shown, 2 * DAY) == [third.secret, second.secret]
    fourth = webhooks.rotate(shown.webhook, overlap=timedelta(hours=1), actor=ACTOR)
    assert in_force(shown, timedelta(hours=1)) == [fourth.secret]


def test_without_overlap_only_the_new_one_is_left(shown: Shown) -> None:
    webhooks.rotate(shown.webhook, overlap=DAY, actor=ACTOR)
    new = webhooks.rotate(shown.webhook, overlap=timedelta(0), actor=ACTOR)
    assert in_force(shown) == [new.secret]
    assert WebhookSecret.objects.filter(webhook=shown.webhook).count() == 1


def test_only_so_many_secrets_overlap_and_one_can_always_be_made_without(shown: Shown) -> None:
    for _ in range(MAX_SECRETS - 1):
        webhooks.rotate(shown.webhook, overlap=DAY, actor=ACTOR)
    before = in_force(shown)
    with pytest.raises(TooManySecrets):
        webhooks.rotate(shown.webhook, overlap=timedelta(hours=1), actor=ACTOR)
    assert in_force(shown, timedelta(hours=2)) == before, "a refusal changes nothing"
    assert in_force(shown) == before
    webhooks.rotate(shown.webhook, overlap=timedelta(0), actor=ACTOR)
    assert len(in_force(shown)) == 1


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), MAX_OVERLAP + timedelta(seconds=1)])
def test_an_overlap_has_its_bounds(shown: Shown, overlap: timedelta) -> None:
    with pytest.raises(ValueError, match="at most"):
        webhooks.rotate(shown.webhook, overlap=overlap, actor=ACTOR)


def test_secrets_that_ended_go_with_the_next_rotation(shown: Shown) -> None:
    WebhookSecret.objects.filter(pk=shown.row.pk).update(expires_at=timezone.now())
    webhooks.rotate(shown.webhook, overlap=DAY, actor=ACTOR)
    assert not WebhookSecret.objects.filter(pk=shown.row.pk).exists()


# Going


def test_what_is_deleted_leaves_no_row_and_its_key_is_ordered_destroyed(log: str, shown: Shown) -> None:
    webhook = shown.webhook
    WebhookDelivery.objects.create(
        webhook=webhook, message=new_code(), attempt=1, at=timezone.now(), milliseconds=1, outcome="delivered"
    )
    name = KeyName.record(log, webhook.code)
    assert DataKey.objects.filter(organization=log, owner=webhook.code).count() == 1
    webhooks.delete(webhook, actor=ACTOR)
    assert not Webhook.objects.filter(code=webhook.code).exists()
    assert not WebhookSecret.objects.filter(code=shown.row.code).exists()
    order = ShredOrder.objects.get(owner=webhook.code)
    assert (order.organization, order.key_class, order.reason) == (log, KeyClass.RECORD, "webhook_deleted")
    with pytest.raises(KeyShredded):
        keys.for_opening([name], [b"0" * 16])


def test_a_webhook_that_is_gone_cannot_be_changed(shown: Shown) -> None:
    webhooks.delete(Webhook.objects.get(pk=shown.webhook.pk), actor=ACTOR)
    for act in (
        lambda: webhooks.enable(shown.webhook, actor=ACTOR),
        lambda: webhooks.rotate(shown.webhook, overlap=DAY, actor=ACTOR),
        lambda: webhooks.delete(shown.webhook, actor=ACTOR),
        lambda: webhooks.ping(shown.webhook),
    ):
        with pytest.raises(Webhook.DoesNotExist):
            act()
    assert not WebhookSecret.objects.filter(webhook_id=shown.webhook.pk).exists()


def test_what_is_rolled_back_never_was(log: str) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        webhooks.create(log, URL, actor=ACTOR)
        raise RuntimeError
    assert not Webhook.objects.filter(log=log).exists()
    assert not Event.objects.filter(log=log).exists()


def test_a_disabled_webhook_is_never_due_whatever_waits(log: str, shown: Shown) -> None:
    record(log, 3)
    sign(log)
    assert shown.webhook.code in delivery.due(timezone.now())
    webhooks.disable(shown.webhook, Disabled.ASKED, actor=ACTOR)
    assert shown.webhook.code not in delivery.due(timezone.now())
    row = again(shown.webhook)
    assert (row.enabled, row.disabled_reason) == (False, "asked")
    assert row.disabled_at is not None
