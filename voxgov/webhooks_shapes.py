"""The JSON of webhooks: one strict form per verb, one shape per answer, and how rows become those."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone
from rest_framework import serializers

from accounts.api_fields import StrictSerializer, Text, WholeNumber, Word, Words
from audit import sequenced
from audit.addresses import MAX_URL
from audit.events import EventName
from audit.models import Webhook, WebhookDelivery
from audit.posting import Outcome
from audit.webhooks import MAX_OVERLAP, Disabled, Start, place_of, secrets_in_force

_HOUR: Final = timedelta(hours=1)

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


def webhooks(rows: Sequence[Webhook]) -> Iterable[Mapping[str, Any]]:
    return [webhook(row) for row in rows]


def webhook(row: Webhook) -> dict[str, Any]:
    place = place_of(row)
    in_force = secrets_in_force(row, timezone.now()) if row.pk else ()
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


def deliveries(rows: Sequence[WebhookDelivery]) -> Iterable[Mapping[str, Any]]:
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
