"""The gate's decisions over HTTP: their JSON, and the views."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.api_fields import PageParameters, Word
from accounts.api_pages import page, page_of
from accounts.roles import Permission
from consent.models import Decision
from consent.serializers import Moments, Shape
from consent.vocabulary import Action, Context, ObligationKind, ParticipantRole, Scope


class DecisionParameters(PageParameters):
    action = Word(Action, required=False)
    allowed = serializers.BooleanField(required=False, allow_null=True, default=None)
    subject = serializers.CharField(required=False, max_length=36)
    object = serializers.CharField(required=False, max_length=36, help_text="Code of a recording or an analysis.")


class JudgedParticipantSerializer(Shape):
    subject = serializers.CharField()
    role = Word(ParticipantRole)
    channel = serializers.IntegerField(allow_null=True)
    jurisdiction = serializers.CharField(allow_blank=True, required=False)


class DecisionRequestSerializer(Shape):
    purpose = serializers.CharField()
    context = Word(Context)  # type: ignore[assignment]  # DRF's metaclass takes fields out of the class
    jurisdiction = serializers.CharField()
    recorded_at = serializers.CharField()
    exposure_notice_shown_at = serializers.CharField(allow_null=True, required=False)
    participants = JudgedParticipantSerializer(many=True)
    scopes = serializers.ListField(child=Word(Scope))


class GrantedSerializer(Shape):
    subject = serializers.CharField()
    scope = Word(Scope)
    grant = serializers.CharField(help_text="The revision that it rests on.")


class DenialSerializer(Shape):
    subject = serializers.CharField(allow_blank=True)
    scope = serializers.CharField(allow_blank=True)
    reason = serializers.CharField()
    message = serializers.CharField()
    remedy = serializers.CharField()
    rule = serializers.CharField(allow_blank=True)
    citation = serializers.CharField(allow_blank=True)


class ObligationSerializer(Shape):
    kind = Word(ObligationKind)
    participant = serializers.IntegerField(help_text="Position in the request, from 0.")
    rule = serializers.CharField()
    citation = serializers.CharField()


class DeciderSerializer(Shape):
    kind = serializers.CharField(source="actor_kind")
    code = serializers.CharField(source="actor_code")


class DecisionSerializer(Shape):
    code = serializers.CharField()
    action = Word(Action)
    allowed = serializers.BooleanField()
    object = serializers.CharField(source="object_code", allow_blank=True)
    subjects = serializers.ListField(child=serializers.CharField())
    request = DecisionRequestSerializer()
    granted = GrantedSerializer(many=True)
    denials = DenialSerializer(many=True)
    obligations = ObligationSerializer(many=True)
    rules = serializers.ListField(
        child=serializers.CharField(), help_text="The rules of law that what is granted was judged by."
    )
    policy_epoch = serializers.IntegerField()
    rule_set = serializers.CharField()
    actor = DeciderSerializer(source="*")
    at = Moments()


class Decisions(ApiView):
    @operation(
        "decisions_list",
        summary="List the gate's decisions, newest first",
        permission=Permission.VIEW_DECISION,
        answer=page_of(DecisionSerializer),
        query=DecisionParameters,
    )
    def get(self, request: Request) -> Response:
        rows = Decision.objects.visible_to(request.user)
        if (action := self.query.get("action")) is not None:
            rows = rows.filter(action=action.value)
        if (allowed := self.query.get("allowed")) is not None:
            rows = rows.filter(allowed=allowed)
        if (subject := self.query.get("subject")) is not None:
            rows = rows.filter(subjects__contains=[subject])
        if (about := self.query.get("object")) is not None:
            rows = rows.filter(object_code=about)
        return Response(page(rows, request, self.query, _decisions))


class OneDecision(ApiView):
    @operation(
        "decisions_read",
        summary="Read a decision",
        permission=Permission.VIEW_DECISION,
        answer=DecisionSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        return Response(DecisionSerializer(self.find(Decision.objects.all(), code)).data)


def _decisions(rows: list[Decision]) -> Iterable[Any]:
    return DecisionSerializer(rows, many=True).data
