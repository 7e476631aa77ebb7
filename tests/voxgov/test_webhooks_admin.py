"""The admin page of webhooks says where the log is sent and what is wrong, and never shows a secret."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.roles import Role
from audit import webhooks
from audit.models import Webhook, WebhookDelivery
from audit.webhooks import Disabled, Shown
from tests.browser import Browser
from tests.factories import ACTOR, World, make_member, make_world
from vault.codes import new_code

URL = "https://hooks.example.com/voxgov"
LIST = "/admin/audit/webhook/"


@pytest.fixture
def shown(world: World) -> Shown:
    return webhooks.create(world.organization.code, URL, actor=ACTOR)


@pytest.fixture
def administrator(world: World) -> Browser:
    return Browser(make_member(world.project, Role.ADMINISTRATOR))


def page(browser: Browser, shown: Shown) -> str:
    return browser.see(f"{LIST}{shown.webhook.code}/change/")


def test_a_webhook_that_works_says_so(administrator: Browser, shown: Shown) -> None:
    assert URL in administrator.see(LIST)
    assert "sending" in administrator.see(LIST)
    assert shown.webhook.code in page(administrator, shown)
    assert "Nothing was sent yet" in page(administrator, shown)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Disabled.ASKED, "somebody stopped it"),
        (Disabled.GONE, "the receiver said that it is gone"),
        (Disabled.FAILING, "nothing could be delivered for three days"),
        (Disabled.SECRET_LOST, "its secret opens no more"),
    ],
)
def test_a_webhook_that_was_disabled_says_why(
    administrator: Browser, shown: Shown, reason: Disabled, said: str
) -> None:
    webhooks.disable(shown.webhook, reason, actor=ACTOR)
    assert said in page(administrator, shown)
    start = administrator.see("/admin/")
    assert ("<strong>1</strong><span>webhooks stopped</span>" in start) == (reason is not Disabled.ASKED)


def test_failures_and_attempts_are_shown(administrator: Browser, shown: Shown) -> None:
    now = timezone.now()
    Webhook.objects.filter(pk=shown.webhook.pk).update(
        failures=3, failing_since=now - timedelta(hours=2), last_outcome="timed_out", next_attempt_at=now
    )
    WebhookDelivery.objects.create(
        webhook=shown.webhook,
        message=new_code(),
        generation=1,
        index=57,
        attempt=3,
        at=now,
        milliseconds=10_000,
        outcome="timed_out",
    )
    found = page(administrator, shown)
    assert "3 times in a row since" in found
    assert "1:57" in found
    assert "timed out" in administrator.see(f"{LIST}?state=failing")
    assert URL not in administrator.see(f"{LIST}?state=sending")
    assert "<strong>1</strong><span>webhooks failing</span>" in administrator.see("/admin/")


def test_secrets_show_nowhere(administrator: Browser, shown: Shown) -> None:
    new = webhooks.rotate(shown.webhook, overlap=timedelta(hours=3), actor=ACTOR)
    for found in (administrator.see(LIST), page(administrator, shown)):
        assert "whsec" not in found
        assert shown.secret not in found
        assert new.secret not in found


def test_the_page_changes_nothing(administrator: Browser, shown: Shown) -> None:
    path = f"{LIST}{shown.webhook.code}/change/"
    administrator.submit(path, url="https://elsewhere.example.com/", enabled="")
    assert Webhook.objects.get(pk=shown.webhook.pk).url == URL
    assert administrator.get(f"{LIST}add/").status_code == 403
    assert administrator.get(f"{LIST}{shown.webhook.code}/delete/").status_code == 403


def test_who_only_reads_the_log_sees_no_webhooks(world: World, shown: Shown) -> None:
    assert Browser(make_member(world.project, Role.AUDITOR)).get(LIST).status_code == 403
    stranger = Browser(make_member(make_world().project, Role.ADMINISTRATOR))
    assert URL not in stranger.see(LIST)
