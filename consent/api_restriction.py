"""Restriction of processing over HTTP: freezing what is stored about a person, and lifting that."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.api_fields import StrictSerializer, Word
from accounts.roles import Permission
from consent import restricting
from consent.models import Subject
from consent.serializers import SubjectSerializer
from consent.vocabulary import RestrictionGround


class RestrictionForm(StrictSerializer):
    ground = Word(RestrictionGround, help_text="GDPR art. 18(1), or `inquiry`.")


class SubjectRestriction(ApiView):
    @operation(
        "subjects_restrict",
        summary="Restrict the processing of a person's data",
        while_closed=True,
        description=(
            "From this commit on nothing is read, taken in, analysed or destroyed for its term; keys and data stay, and jobs wait. "
            "Withdrawal and erasure go on."
        ),
        permission=Permission.RESTRICT_SUBJECT,
        body=RestrictionForm,
        answer=SubjectSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        subject = self.find(Subject.objects.select_related("project__organization"), code)
        done = restricting.restrict(subject, self.read(RestrictionForm)["ground"], self.actor)
        return Response(SubjectSerializer(done).data)


class SubjectRestrictionEnd(ApiView):
    @operation(
        "subjects_lift_restriction",
        summary="Lift the restriction of a person's data",
        description="Tell the person before (GDPR art. 18(3)). The gate goes by their grants again, and their jobs go on.",
        permission=Permission.RESTRICT_SUBJECT,
        answer=SubjectSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        subject = self.find(Subject.objects.select_related("project__organization"), code)
        return Response(SubjectSerializer(restricting.lift(subject, self.actor)).data)
