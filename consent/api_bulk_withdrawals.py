"""Bulk withdrawals over HTTP: counting first, withdrawing with the count's token, and how far it came."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.api_fields import Code, PageParameters, StrictSerializer, Text, Words
from accounts.api_pages import page, page_of
from accounts.roles import Permission
from consent import bulk_withdrawal
from consent.bulk_withdrawal import LIFE, MAX_SUBJECTS, Selection
from consent.models import BulkWithdrawal, Purpose, Subject
from consent.serializers import Moments, Shape
from consent.vocabulary import Scope


class BulkWithdrawalForm(StrictSerializer):
    purpose = Code(required=False, help_text="Left out: any purpose.")
    scopes = Words(Scope, required=False, allow_empty=False, help_text="Left out: any scope.")
    subjects = serializers.ListField(
        child=Code(), required=False, allow_empty=False, max_length=MAX_SUBJECTS, help_text="Left out: everybody."
    )


class BulkWithdrawalToken(StrictSerializer):
    token = Text(max_length=64, help_text="From the preview; it lets the withdrawal begin for 15 minutes.")


class BulkWithdrawalSerializer(Shape):
    code = serializers.CharField()
    purpose = serializers.CharField(source="purpose.code", allow_null=True, default=None)
    scopes = serializers.ListField(child=serializers.ChoiceField([scope.value for scope in Scope]))
    subjects_counted = serializers.IntegerField()
    grants_counted = serializers.IntegerField()
    asked_at = Moments()
    begun_at = Moments(allow_null=True)
    subjects_done = serializers.IntegerField()
    grants_done = serializers.IntegerField()
    finished_at = Moments(allow_null=True)
    seen_at = Moments(allow_null=True, help_text="When a second person saw it, in the admin.")


class BulkWithdrawalPreviewSerializer(BulkWithdrawalSerializer):
    token = serializers.CharField()
    expires_at = Moments()


class BulkWithdrawals(ApiView):
    @operation(
        "bulk_withdrawals_list",
        summary="List bulk withdrawals, newest first",
        permission=Permission.VIEW_CONSENT,
        answer=page_of(BulkWithdrawalSerializer),
        query=PageParameters,
    )
    def get(self, request: Request) -> Response:
        rows = BulkWithdrawal.objects.visible_to(request.user).select_related("purpose")
        return Response(page(rows, request, self.query, _shown))

    @operation(
        "bulk_withdrawals_create",
        summary="Count what a bulk withdrawal would withdraw",
        description="Nothing is withdrawn yet. The answer's token lets exactly this selection be withdrawn, for 15 minutes.",
        while_closed=True,
        permission=Permission.MANAGE_CONSENT,
        body=BulkWithdrawalForm,
        answer=BulkWithdrawalPreviewSerializer,
        status_code=201,
    )
    def post(self, request: Request) -> Response:
        form = self.read(BulkWithdrawalForm)
        selection = Selection(
            purpose=self.refer(Purpose.objects.all(), form["purpose"], "purpose") if "purpose" in form else None,
            scopes=tuple(form.get("scopes", ())),
            subjects=tuple(
                self.refer(Subject.objects.all(), code, f"subjects.{place}").code
                for place, code in enumerate(form.get("subjects", ()))
            ),
        )
        row = bulk_withdrawal.preview(self.project, selection, actor=self.actor)
        expires = {
            "token": bulk_withdrawal.token_of(row),
            "expires_at": Moments().to_representation(row.asked_at + LIFE),
        }
        return Response({**BulkWithdrawalSerializer(row).data, **expires}, status=201)


class OneBulkWithdrawal(ApiView):
    @operation(
        "bulk_withdrawals_read",
        summary="Read how far a bulk withdrawal came",
        permission=Permission.VIEW_CONSENT,
        answer=BulkWithdrawalSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        row = self.find(BulkWithdrawal.objects.select_related("purpose"), code)
        return Response(BulkWithdrawalSerializer(row).data)


class BulkWithdrawalExecution(ApiView):
    @operation(
        "bulk_withdrawals_execute",
        summary="Withdraw what was counted",
        description=(
            "Each person's withdrawal is effective at once. What does not fit into one call is gone on with by itself, or by "
            "calling again. Refused where more was granted since the count."
        ),
        while_closed=True,
        permission=Permission.MANAGE_CONSENT,
        body=BulkWithdrawalToken,
        answer=BulkWithdrawalSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        row = self.find(BulkWithdrawal.objects.all(), code)
        done = bulk_withdrawal.execute(row, self.read(BulkWithdrawalToken)["token"], actor=self.actor)
        return Response(BulkWithdrawalSerializer(done).data)


def _shown(rows: list[BulkWithdrawal]) -> Iterable[Any]:
    return BulkWithdrawalSerializer(rows, many=True).data
