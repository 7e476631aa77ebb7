"""Webhooks for tests: to a receiver on this machine, with a clock that is moved by hand."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from standardwebhooks import Webhook as Verifier

from audit import webhooks
from audit.events import EventName
from audit.models import Event, Webhook
from audit.webhooks import Shown, Start
from tests.audit.receiver import Received, Receiver
from tests.audit.signed import ACTOR


@dataclass
class Clock:
    """A little ahead, so that what the test makes after it is due at once."""

    now: datetime = field(default_factory=lambda: timezone.now() + timedelta(seconds=10))

    def __call__(self) -> datetime:
        return self.now

    def move(self, by: timedelta) -> None:
        self.now += by


def make(log: str, receiver: Receiver, *names: EventName, start: Start = Start.BEGINNING) -> Shown:
    return webhooks.create(log, receiver.url, names=names, start=start, actor=ACTOR)


def verified(received: Received, secret: str) -> dict[str, Any]:
    """The body, as a receiver reads it after the library has verified it. Raises its `WebhookVerificationError`."""
    found: dict[str, Any] = Verifier(secret).verify(received.body, received.headers)
    return found


def ids(receiver: Receiver) -> list[str]:
    return [received.headers["webhook-id"] for received in receiver.received]


def again(webhook: Webhook) -> Webhook:
    """The row as it is now."""
    found: Webhook = Webhook.objects.get(pk=webhook.pk)
    return found


def entries(log: str, name: EventName) -> list[dict[str, Any]]:
    rows = Event.objects.filter(log=log, name=name.value).order_by("id").values_list("entry", flat=True)
    return [json.loads(bytes(entry)) for entry in rows]
