"""Receipts over HTTP: of a consent, and of what ended it. Each is downloaded as the exact bytes that were signed."""

from uuid import UUID

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.api_fields import Word
from accounts.roles import Permission
from consent import receipts
from consent.models import ConsentRecord, Ending
from consent.serializers import Shape
from consent.vocabulary import EndCause, GrantState, Scope


class SignatureSerializer(Shape):
    algorithm = serializers.CharField()
    key_id = serializers.CharField(help_text="RFC 7638 thumbprint; published at `/.well-known/voxgov-receipts.json`.")
    public_key = serializers.CharField()
    value = serializers.CharField()


class ReceiptSerializer(Shape):
    """Canonical JSON (RFC 8785), signed; `python -m consent.receipt` checks the file as it comes."""

    receipt = serializers.DictField()
    signature = SignatureSerializer()


class ClosedGrantSerializer(Shape):
    record_id = serializers.CharField()
    purpose = serializers.CharField()
    scope = Word(Scope)
    state = Word(GrantState)


class DestroyedSerializer(Shape):
    order = serializers.CharField()
    purpose = serializers.CharField(allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField())
    ordered_at = serializers.CharField()
    done_at = serializers.CharField(allow_null=True)
    destroyed = serializers.DictField(child=serializers.IntegerField(), help_text="How many items, per kind of data.")
    keys_destroyed = serializers.BooleanField(
        help_text="False while it is under way, or where a key serves another purpose."
    )
    unrecoverable_from = serializers.CharField(allow_null=True, help_text="When backups open nothing of it any more.")


class EndingSerializer(Shape):
    ending_id = serializers.CharField()
    subject_id = serializers.CharField()
    cause = Word(EndCause)
    at = serializers.CharField()
    closed = ClosedGrantSerializer(many=True)
    destruction = DestroyedSerializer(many=True)


class ConsentReceipt(ApiView):
    @operation(
        "consent_receipt_read",
        summary="Download the signed receipt of a consent",
        description="The record as it stands now. `python -m consent.receipt` checks it without this service.",
        permission=Permission.VIEW_CONSENT,
        answer=ReceiptSerializer,
    )
    def get(self, request: Request, code: UUID) -> HttpResponse:
        record = self.find(ConsentRecord.objects.select_related("project__organization", "subject"), code)
        return _file(receipts.of_consent(record, actor=self.actor), record.code)


class OneEnding(ApiView):
    @operation(
        "endings_read",
        summary="Read what ended consent, and how far the destruction has come",
        permission=Permission.VIEW_CONSENT,
        answer=EndingSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        return Response(receipts.describe(self.find(Ending.objects.select_related("subject"), code)))


class EndingReceipt(ApiView):
    @operation(
        "ending_receipt_read",
        summary="Download the signed receipt of a withdrawal or another end of consent",
        description="Says what was closed, what is destroyed by now, and when backups open nothing of it any more.",
        permission=Permission.VIEW_CONSENT,
        answer=ReceiptSerializer,
    )
    def get(self, request: Request, code: UUID) -> HttpResponse:
        ending = self.find(Ending.objects.select_related("project__organization", "subject"), code)
        return _file(receipts.of_ending(ending, actor=self.actor), ending.code)


def _file(content: bytes, code: str) -> HttpResponse:
    answer = HttpResponse(content, content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="receipt-{code}.json"'
    return answer
