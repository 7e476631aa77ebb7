"""How webhooks come, change, rest and go, each with its event. Sending is `delivery`; who may do what is the rooms' above.

A webhook belongs to a log, not to whoever made it. Its secrets are made here, shown once, and sealed under a key of its own, whose
shred order is what keeps a deleted webhook deleted when an older backup of the database is restored.
"""

import base64
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from audit import addresses, sequenced, trail
from audit.entry import Actor, Detail, ObjectKind, Reference
from audit.errors import TooManySecrets, TooManyWebhooks
from audit.events import EventName
from audit.models import Webhook, WebhookSecret
from audit.sequenced import Place
from vault import sealing
from vault.codes import new_code
from vault.models import KeyClass

MAX_PER_LOG: Final = 20
MAX_SECRETS: Final = 5
MAX_OVERLAP: Final = timedelta(days=7)
_SECRET_BYTES: Final = 32
_PREFIX: Final = "whsec_"


class Start(StrEnum):
    """Where a new reader of the log begins: behind what is there, or before it."""

    NOW = "now"
    BEGINNING = "beginning"


class Disabled(StrEnum):
    """Why a webhook is not sent to."""

    ASKED = "asked"
    GONE = "gone"
    FAILING = "failing"
    SECRET_LOST = "secret_lost"  # noqa: S105 (a reason, not a secret)


@dataclass(frozen=True, slots=True)
class Shown:
    """A secret that was made just now. It is shown this once; afterwards only its seal is there."""

    webhook: Webhook
    row: WebhookSecret
    secret: str

    def __repr__(self) -> str:
        return f"Shown({self.webhook.code})"


def start_place(log: str, start: Start) -> Place:
    return sequenced.BEGINNING if start is Start.BEGINNING else sequenced.newest(log)


def create(log: str, url: str, *, names: Iterable[EventName] = (), start: Start = Start.NOW, actor: Actor) -> Shown:
    """A webhook of the log of that organization. Raises `AddressRefused`, `TooManyWebhooks`, `ProviderUnavailable`."""
    host = _host_of(url)
    place = start_place(log, start)
    with transaction.atomic():
        if Webhook.objects.filter(log=log).count() >= MAX_PER_LOG:
            raise TooManyWebhooks(f"an organization has {MAX_PER_LOG} webhooks at most")
        webhook = Webhook.objects.create(
            log=log, url=url, names=_sorted(names), generation=place.generation, index=place.index
        )
        shown = _new_secret(webhook)
        _record(
            EventName.WEBHOOK_CREATED,
            webhook,
            actor,
            detail={"host": host, "names": webhook.names, "from": str(place)},
        )
    return shown


def change(
    webhook: Webhook, *, url: str | None = None, names: Iterable[EventName] | None = None, actor: Actor
) -> Webhook:
    """Another address, other events, or both; what was sent already is not sent again. Raises `AddressRefused`."""
    moved: Detail = {} if url is None else {"host": _host_of(url)}
    with transaction.atomic():
        row = _locked(webhook)
        row.url = row.url if url is None else url
        row.names = row.names if names is None else _sorted(names)
        _start_afresh(row)
        row.save()
        _record(EventName.WEBHOOK_CHANGED, row, actor, detail={**moved, "names": row.names})
    return row


def rotate(webhook: Webhook, *, overlap: timedelta, actor: Actor) -> Shown:
    """A new secret. Those before it sign beside it until `overlap` is over, or until they would have ended anyway.

    Raises `TooManySecrets`, `ProviderUnavailable`.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise ValueError(f"secrets overlap for at most {MAX_OVERLAP}")
    now = timezone.now()
    with transaction.atomic():
        row = _locked(webhook)
        row.secrets.filter(expires_at__lte=now).delete()
        row.secrets.filter(Q(expires_at=None) | Q(expires_at__gt=now + overlap)).update(expires_at=now + overlap)
        if overlap and row.secrets.count() >= MAX_SECRETS:
            raise TooManySecrets(f"{MAX_SECRETS} secrets are in force: wait until one ends, or rotate without overlap")
        if not overlap:
            row.secrets.all().delete()
        shown = _new_secret(row)
        # Whoever is sending may still sign with what has just ended.
        _interrupt(row)
        _record(EventName.WEBHOOK_ROTATED, row, actor, detail={"overlap_seconds": int(overlap / timedelta(seconds=1))})
    return shown


def secrets_in_force(webhook: Webhook, now: datetime) -> QuerySet[WebhookSecret]:
    """Newest first."""
    rows = WebhookSecret.objects.filter(webhook=webhook).filter(Q(expires_at=None) | Q(expires_at__gt=now))
    return rows.select_related("webhook").order_by("-id")


def enable(webhook: Webhook, *, actor: Actor) -> Webhook:
    """Goes on where it stopped. Idempotent."""
    with transaction.atomic():
        row = _locked(webhook)
        if not row.enabled:
            row.enabled, row.disabled_reason, row.disabled_at = True, "", None
            _start_afresh(row)
            row.save()
            _record(EventName.WEBHOOK_ENABLED, row, actor, detail={"from": str(place_of(row))})
    return row


def disable(webhook: Webhook, reason: Disabled, *, actor: Actor, detail: Detail | None = None) -> Webhook:
    """Nothing is sent from here on; its place in the log stays. Idempotent."""
    with transaction.atomic():
        row = _locked(webhook)
        if row.enabled:
            row.enabled, row.disabled_reason, row.disabled_at = False, reason.value, timezone.now()
            _interrupt(row)
            row.save()
            _record(EventName.WEBHOOK_DISABLED, row, actor, reason=reason.value, detail=detail or {})
    return row


def delete(webhook: Webhook, *, actor: Actor) -> None:
    """The webhook, its deliveries and its secrets go; its key is ordered destroyed."""
    with transaction.atomic():
        row = _locked(webhook)
        sealing.shred(row.log, owner=row.code, key_class=KeyClass.RECORD, reason="webhook_deleted")
        _record(EventName.WEBHOOK_DELETED, row, actor)
        row.delete()


def ping(webhook: Webhook) -> str:
    """Asks for a test message, also to a webhook that is disabled; returns its id. One that still waits is asked for once."""
    with transaction.atomic():
        row = _locked(webhook)
        if not row.ping:
            row.ping = new_code()
            row.save(update_fields=["ping"])
    return row.ping


def place_of(webhook: Webhook) -> Place:
    return Place(webhook.generation, webhook.index)


def _host_of(url: str) -> str:
    """What the trail says of an address: paths and queries are how some receivers know their senders. Raises `AddressRefused`."""
    return addresses.parse(url, loopback=settings.VOXGOV_WEBHOOK_LOOPBACK).authority


def _sorted(names: Iterable[EventName]) -> list[str]:
    return sorted({name.value for name in names})


def _locked(webhook: Webhook) -> Webhook:
    """The row as it is now. Raises `Webhook.DoesNotExist` for one that was deleted meanwhile."""
    found: Webhook = Webhook.objects.select_for_update().get(pk=webhook.pk)
    return found


def _interrupt(row: Webhook) -> None:
    """Takes the webhook from the worker that holds it: its next write finds that out, and the next worker reads the row anew."""
    row.turn += 1
    row.lease_until = None
    row.save(update_fields=["turn", "lease_until"])


def _start_afresh(row: Webhook) -> None:
    """Earlier failures are of another time."""
    row.failures, row.failing_since, row.next_attempt_at = 0, None, timezone.now()
    _interrupt(row)


def _new_secret(webhook: Webhook) -> Shown:
    secret = _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    return Shown(webhook, WebhookSecret.objects.create(webhook=webhook, secret=secret), secret)


def _record(name: EventName, webhook: Webhook, actor: Actor, *, reason: str = "", detail: Detail | None = None) -> None:
    objects: Sequence[Reference] = [Reference(ObjectKind.WEBHOOK, webhook.code), Reference(ObjectKind.LOG, webhook.log)]
    trail.record(name, organization=webhook.log, actor=actor, objects=objects, reason=reason, detail=detail or {})
