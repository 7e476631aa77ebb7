"""Webhooks over HTTP: who looks after them, where they lead, what they are sent and how that goes. What they do is `audit`'s.

They belong to the organization whose log they read. To make one, to point one elsewhere or to open one again is to hand out the
log, and takes permission to read it as well. A secret is in one answer only, and in no table in the clear, the one of answers to
repeated calls included.
"""

import json
import re
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import operation
from accounts.api_fields import PageParameters
from accounts.api_pages import page, page_of
from accounts.roles import Permission
from audit import webhooks
from audit.models import Webhook, WebhookDelivery, WebhookSecret
from audit.webhooks import Disabled, Shown
from voxgov import webhooks_shapes as shapes
from voxgov.log_api import LogView

_HOUR: Final = timedelta(hours=1)
_KEPT: Final = re.compile(rb'"secret":"@([0-9a-f-]{36})"')
"""A secret in an answer that is kept: which row holds it. No secret begins so."""


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
        return Response({**shapes.webhook(shown.webhook), "secret": shown.secret}, status=status)

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
        answer=page_of(shapes.WebhookSerializer),
        query=PageParameters,
    )
    def get(self, request: Request) -> Response:
        return Response(page(self.rows(), request, self.query, shapes.webhooks))

    @operation(
        "webhooks_create",
        summary="Send the events of the log to an address",
        description="Signed as Standard Webhooks has it, in the log's order, at least once. The secret is shown this once.",
        permission=Permission.MANAGE_WEBHOOKS,
        also=[Permission.READ_LOG],
        body=shapes.WebhookForm,
        answer=shapes.WebhookWithSecretSerializer,
        status_code=201,
    )
    def post(self, request: Request) -> Response:
        shown = webhooks.create(self.organization, **self.read(shapes.WebhookForm), actor=self.actor)
        return self.show(shown, 201)


class OneWebhook(WebhookView):
    @operation(
        "webhooks_read",
        summary="Read how a webhook stands",
        permission=Permission.MANAGE_WEBHOOKS,
        answer=shapes.WebhookSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        return Response(shapes.webhook(self.webhook(code)))

    @operation(
        "webhooks_update",
        summary="Change a webhook's address, its events, or both",
        description="It goes on where it stands; what is left out of the body stays as it is.",
        permission=Permission.MANAGE_WEBHOOKS,
        also=[Permission.READ_LOG],
        body=shapes.WebhookChange,
        answer=shapes.WebhookSerializer,
    )
    def patch(self, request: Request, code: UUID) -> Response:
        webhook = self.webhook(code)
        return Response(shapes.webhook(webhooks.change(webhook, **self.read(shapes.WebhookChange), actor=self.actor)))

    @operation(
        "webhooks_delete",
        summary="Delete a webhook",
        description="With its deliveries and its secrets, whose key is destroyed.",
        permission=Permission.MANAGE_WEBHOOKS,
        answer=shapes.WebhookSerializer,
    )
    def delete(self, request: Request, code: UUID) -> Response:
        webhook = self.webhook(code)
        last = shapes.webhook(webhook)
        webhooks.delete(webhook, actor=self.actor)
        return Response(last)


class WebhookRotation(SecretView):
    @operation(
        "webhooks_rotate",
        summary="Make a new secret for a webhook",
        description="Earlier secrets sign beside it until the overlap is over. The secret is shown this once.",
        permission=Permission.MANAGE_WEBHOOKS,
        body=shapes.RotationForm,
        answer=shapes.WebhookWithSecretSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        webhook = self.webhook(code)
        overlap = self.read(shapes.RotationForm)["overlap_hours"] * _HOUR
        return self.show(webhooks.rotate(webhook, overlap=overlap, actor=self.actor), 200)


class WebhookEnabling(WebhookView):
    @operation(
        "webhooks_enable",
        summary="Send to a webhook again, from where it stopped",
        permission=Permission.MANAGE_WEBHOOKS,
        also=[Permission.READ_LOG],
        answer=shapes.WebhookSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        return Response(shapes.webhook(webhooks.enable(self.webhook(code), actor=self.actor)))


class WebhookDisabling(WebhookView):
    @operation(
        "webhooks_disable",
        summary="Send nothing to a webhook for now",
        description="Its place in the log stays.",
        permission=Permission.MANAGE_WEBHOOKS,
        answer=shapes.WebhookSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        return Response(shapes.webhook(webhooks.disable(self.webhook(code), Disabled.ASKED, actor=self.actor)))


class WebhookTest(WebhookView):
    @operation(
        "webhooks_test",
        summary="Send a test message to a webhook",
        description="In the background, to a disabled one too. It moves nothing and is never repeated: see the deliveries.",
        permission=Permission.MANAGE_WEBHOOKS,
        answer=shapes.TestMessageSerializer,
        status_code=202,
    )
    def post(self, request: Request, code: UUID) -> Response:
        return Response({"message": webhooks.ping(self.webhook(code))}, status=202)


class WebhookDeliveries(WebhookView):
    @operation(
        "webhooks_deliveries_list",
        summary="List the newest attempts to deliver to a webhook",
        permission=Permission.MANAGE_WEBHOOKS,
        answer=page_of(shapes.DeliverySerializer),
        query=PageParameters,
    )
    def get(self, request: Request, code: UUID) -> Response:
        rows = WebhookDelivery.objects.filter(webhook=self.webhook(code))
        return Response(page(rows, request, self.query, shapes.deliveries))
