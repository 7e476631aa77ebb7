"""Receipts over HTTP: of a consent, and of what ended it. Each is downloaded as the exact bytes that were signed."""

from uuid import UUID

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.roles import Permission
from consent import receipts
from consent import serializers as shapes
from consent.models import ConsentRecord, Ending


class ConsentReceipt(ApiView):
    @operation(
        "consent_receipt_read",
        summary="Download the signed receipt of a consent",
        description="The record as it stands now. `python -m consent.receipt` checks it without this service.",
        permission=Permission.VIEW_CONSENT,
        answer=shapes.ReceiptSerializer,
    )
    def get(self, request: Request, code: UUID) -> HttpResponse:
        record = self.find(ConsentRecord.objects.select_related("project__organization", "subject"), code)
        return _file(receipts.of_consent(record, actor=self.actor), record.code)


class OneEnding(ApiView):
    @operation(
        "endings_read",
        summary="Read what ended consent, and how far the destruction has come",
        permission=Permission.VIEW_CONSENT,
        answer=shapes.EndingSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        return Response(receipts.describe(self.find(Ending.objects.select_related("subject"), code)))


class EndingReceipt(ApiView):
    @operation(
        "ending_receipt_read",
        summary="Download the signed receipt of a withdrawal or another end of consent",
        description="Says what was closed, what is destroyed by now, and when backups open nothing of it any more.",
        permission=Permission.VIEW_CONSENT,
        answer=shapes.ReceiptSerializer,
    )
    def get(self, request: Request, code: UUID) -> HttpResponse:
        ending = self.find(Ending.objects.select_related("project__organization", "subject"), code)
        return _file(receipts.of_ending(ending, actor=self.actor), ending.code)


def _file(content: bytes, code: str) -> HttpResponse:
    answer = HttpResponse(content, content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="receipt-{code}.json"'
    return answer
