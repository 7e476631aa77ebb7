"""Webhooks over HTTP: who looks after them, where they lead, what they are sent and how that goes. What they do is `audit`'s.

They belong to the organization whose log they read. To make one, to point one elsewhere or to open one again is to hand out the
log, and takes permission to read it as well. A secret is in one answer only, and in no table in the clear, the one of answers to
repeated calls included.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import operation
from accounts.api_fields import PageParameters, StrictSerializer, Text, WholeNumber, Word, Words
from accounts.api_pages import page, page_of
from accounts.roles import Permission
from audit import sequenced, webhooks
from audit.addresses import MAX_URL
from audit.events import EventName
from audit.models import Webhook, WebhookDelivery, WebhookSecret
from audit.posting import Outcome
from audit.webhooks import MAX_OVERLAP, Disabled, Shown, Start
from voxgov.log_api import LogView

_HOUR: Final = timedelta(hours=1)
_KEPT: Final = re.compile(rb'"secret":"@([0-9a-f-]{36})"')
"""A secret in an answer that is kept: which row holds it. No secret begins so."""

Shape = serializers.Serializer[Any]


class WebhookForm(StrictSerializer):
    url = Text(max_length=MAX_URL, help_text="https://..., of a host in the public internet.")
    names = Words(EventName, required=False, default=list, help_text="Events that are sent; none named: every event.")
    start = Word(Start, required=False, default=Start.NOW, help_text="Where in the log it begins.")


class WebhookChange(StrictSerializer):
    url = Text(required=False, max_length=MAX_URL)
    names = Words(EventName, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError("names nothing to change", code="required")
        return attrs


class RotationForm(StrictSerializer):
    overlap_hours = WholeNumber(
        required=False,
        default=24,
        min_value=0,
        max_value=MAX_OVERLAP // _HOUR,
        help_text="How long earlier secrets sign beside the new one. 0 for a secret that others may know.",
    )


class SecretSerializer(Shape):
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True, help_text="Until then it signs; empty for the newest.")


class WebhookSerializer(Shape):
    code = serializers.CharField()
    url = serializers.CharField()
    names = serializers.ListField(child=Word(EventName))
    enabled = serializers.BooleanField()
    disabled_reason = serializers.ChoiceField([(word.value, word.value) for word in Disabled], allow_null=True)
    disabled_at = serializers.DateTimeField(allow_null=True)
    place = serializers.CharField(help_text="generation:index of the last entry that was sent or left out.")
    behind = serializers.IntegerField(help_text="Entries of the log that it has not passed.")
    failures = serializers.IntegerField(help_text="How often in a row the next event could not be delivered.")
    failing_since = serializers.DateTimeField(allow_null=True)
    next_attempt_at = serializers.DateTimeField(allow_null=True, help_text="While it fails.")
    last_outcome = serializers.CharField(allow_null=True, help_text="A word as in its deliveries.")
    last_attempt_at = serializers.DateTimeField(allow_null=True)
    last_delivered_at = serializers.DateTimeField(allow_null=True)
    secrets = SecretSerializer(many=True, help_text="Those in force, newest first.")
    created_at = serializers.DateTimeField()


class WebhookWithSecretSerializer(WebhookSerializer):
    secret = serializers.CharField(
        allow_null=True, help_text="whsec_...: shown this once. Empty in a repetition when it is gone by then."
    )


class TestMessageSerializer(Shape):
    message = serializers.CharField(help_text="Its webhook-id; the delivery appears under it.")


class DeliverySerializer(Shape):
    message = serializers.CharField(help_text="The webhook-id: the event's code, or the id of a test message.")
    test = serializers.BooleanField()
    place = serializers.CharField(allow_null=True, help_text="generation:index of the event.")
    attempt = serializers.IntegerField()
    at = serializers.DateTimeField()
    milliseconds = serializers.IntegerField()
    outcome = Word(Outcome)
    status = serializers.IntegerField(allow_null=True, help_text="HTTP status of the answer; empty where none came.")


class WebhookView(LogView):
    """Base: finds a webhook of the caller's own organization."""

    def rows(self) -> QuerySet[Webhook]:
        return Webhook.objects.filter(log=self.organization)

    def webhook(self, code: UUID) -> Webhook:
        """Raises `NotFound`."""
        found = self.rows().filter(code=str(code)).first()
        if found is None:
            raise NotFound("no such thing here")
        return found

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Webhook.DoesNotExist):
            exc = NotFound("no such thing here")  # deleted while this call was under way
        return super().handle_exception(exc)


class SecretView(WebhookView):
    """Base: answers with a secret that was made just now."""

    _shown: Shown | None = None

    def show(self, shown: Shown, status: int) -> Response:
        self._shown = shown
        shown.webhook.refresh_from_db()
        return Response({**_webhook(shown.webhook), "secret": shown.secret}, status=status)

    def kept(self, body: bytes) -> bytes:
        if self._shown is None:
            return body
        return body.replace(self._shown.secret.encode(), b"@" + self._shown.row.code.encode(), 1)

    def repeated(self, body: bytes) -> bytes:
        """With the secret as long as it is there: whoever lost the first answer needs it. Raises `ProviderUnavailable`."""
        found = _KEPT.search(body)
        if found is None:
            return body
        rows = WebhookSecret.objects.filter(code=found[1].decode(), webhook__log=self.organization)
        row = rows.select_related("webhook").first()
        secret = None if row is None else row.secret.text()
        return body.replace(found[0], b'"secret":' + json.dumps(secret).encode(), 1)


class Webhooks(SecretView):
    @operation(
        "webhooks_list",
        summary="List webhooks, newest first",
        permission=Permission.MANAGE_WEBHOOKS,
        answer=page_of(WebhookSerializer),
        query=PageParameters,
    )
    def get(self, request: Request) -> Response:
        return Response(page(self.rows(), request, self.query, _webhooks))

    @operation(
        "webhooks_create",
        summary="Send the events of the log to an address",
        description="Signed as Standard Webhooks has it, in the log's order, at least once. The secret is shown this once.",
        permission=Permission.MANAGE_WEBHOOKS,
        also=[Permission.READ_LOG],
        body=WebhookForm,
        answer=WebhookWithSecretSerializer,
        status_code=201,
    )
    def post(self, request: Request) -> Response:
        shown = webhooks.create(self.organization, **self.read(WebhookForm), actor=self.actor)
        return self.show(shown, 201)


class OneWebhook(WebhookView):
    @operation(
        "webhooks_read",
        summary="Read how a webhook stands",
        permission=Permission.MANAGE_WEBHOOKS,
        answer=WebhookSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        return Response(_webhook(self.webhook(code)))

    @operation(
        "webhooks_update",
        summary="Change a webhook's address, its events, or both",
        description="It goes on where it stands; what is left out of the body stays as it is.",
        permission=Permission.MANAGE_WEBHOOKS,
        also=[Permission.READ_LOG],
        body=WebhookChange,
        answer=WebhookSerializer,
    )
    def patch(self, request: Request, code: UUID) -> Response:
        webhook = self.webhook(code)
        return Response(_webhook(webhooks.change(webhook, **self.read(WebhookChange), actor=self.actor)))

    @operation(
        "webhooks_delete",
        summary="Delete a webhook",
        description="With its deliveries and its secrets, whose key is destroyed.",
        permission=Permission.MANAGE_WEBHOOKS,
        answer=WebhookSerializer,
    )
    def delete(self, request: Request, code: UUID) -> Response:
        webhook = self.webhook(code)
        last = _webhook(webhook)
        webhooks.delete(webhook, actor=self.actor)
        return Response(last)


class WebhookRotation(SecretView):
    @operation(
        "webhooks_rotate",
        summary="Make a new secret for a webhook",
        description="Earlier secrets sign beside it until the overlap is over. The secret is shown this once.",
        permission=Permission.MANAGE_WEBHOOKS,
        body=RotationForm,
        answer=WebhookWithSecretSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        webhook = self.webhook(code)
        overlap = self.read(RotationForm)["overlap_hours"] * _HOUR
        return self.show(webhooks.rotate(webhook, overlap=overlap, actor=self.actor), 200)


class WebhookEnabling(WebhookView):
    @operation(
        "webhooks_enable",
        summary="Send to a webhook again, from where it stopped",
        permission=Permission.MANAGE_WEBHOOKS,
        also=[Permission.READ_LOG],
        answer=WebhookSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        return Response(_webhook(webhooks.enable(self.webhook(code), actor=self.actor)))


class WebhookDisabling(WebhookView):
    @operation(
        "webhooks_disable",
        summary="Send nothing to a webhook for now",
        description="Its place in the log stays.",
        permission=Permission.MANAGE_WEBHOOKS,
        answer=WebhookSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        return Response(_webhook(webhooks.disable(self.webhook(code), Disabled.ASKED, actor=self.actor)))


class WebhookTest(WebhookView):
    @operation(
        "webhooks_test",
        summary="Send a test message to a webhook",
        description="In the background, to a disabled one too. It moves nothing and is never repeated: see the deliveries.",
        permission=Permission.MANAGE_WEBHOOKS,
        answer=TestMessageSerializer,
        status_code=202,
    )
    def post(self, request: Request, code: UUID) -> Response:
        return Response({"message": webhooks.ping(self.webhook(code))}, status=202)


class WebhookDeliveries(WebhookView):
    @operation(
        "webhooks_deliveries_list",
        summary="List the newest attempts to deliver to a webhook",
        permission=Permission.MANAGE_WEBHOOKS,
        answer=page_of(DeliverySerializer),
        query=PageParameters,
    )
    def get(self, request: Request, code: UUID) -> Response:
        rows = WebhookDelivery.objects.filter(webhook=self.webhook(code))
        return Response(page(rows, request, self.query, _deliveries))


def _webhooks(rows: Sequence[Webhook]) -> Iterable[Mapping[str, Any]]:
    return [_webhook(row) for row in rows]


def _webhook(row: Webhook) -> dict[str, Any]:
    place = webhooks.place_of(row)
    in_force = webhooks.secrets_in_force(row, timezone.now()) if row.pk else ()
    return dict(
        WebhookSerializer(
            {
                "code": row.code,
                "url": row.url,
                "names": row.names,
                "enabled": row.enabled,
                "disabled_reason": row.disabled_reason or None,
                "disabled_at": row.disabled_at,
                "place": str(place),
                "behind": sequenced.behind(row.log, place),
                "failures": row.failures,
                "failing_since": row.failing_since,
                "next_attempt_at": row.next_attempt_at if row.failures and row.enabled else None,
                "last_outcome": row.last_outcome or None,
                "last_attempt_at": row.last_attempt_at,
                "last_delivered_at": row.last_delivered_at,
                "secrets": [{"created_at": one.created_at, "expires_at": one.expires_at} for one in in_force],
                "created_at": row.created_at,
            }
        ).data
    )


def _deliveries(rows: Sequence[WebhookDelivery]) -> Iterable[Mapping[str, Any]]:
    return [
        DeliverySerializer(
            {
                "message": row.message,
                "test": row.test,
                "place": None if row.index is None else f"{row.generation}:{row.index}",
                "attempt": row.attempt,
                "at": row.at,
                "milliseconds": row.milliseconds,
                "outcome": row.outcome,
                "status": row.status,
            }
        ).data
        for row in rows
    ]
