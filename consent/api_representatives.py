"""Representatives over HTTP: who acts for a person, and the end of that. Who they are is sealed and never shown again."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.api_fields import Moment, PageParameters, Sha256, StrictSerializer, Text, TrueOrFalse, Word
from accounts.api_pages import page, page_of
from accounts.roles import Permission
from consent import representing
from consent.models import Representation, Subject
from consent.representing import MAX_IDENTITY
from consent.vocabulary import RepresentativeRelation


class ProofForm(StrictSerializer):
    sha256 = Sha256(help_text="Of the document that proves it.")
    reference = Text(
        required=False, allow_blank=True, default="", max_length=MAX_IDENTITY, help_text="Where it is kept. Sealed."
    )


class RepresentativeForm(StrictSerializer):
    relation = Word(RepresentativeRelation)
    identity = Text(
        max_length=MAX_IDENTITY, help_text="Who they are. Sealed at once; never shown again through the API."
    )
    proof = ProofForm()
    of_child = TrueOrFalse(help_text="True for a parent or guardian of a child.")
    ends_at = Moment(
        required=False, allow_null=True, default=None, help_text="The day a child comes of age, or the mandate ends."
    )


class RepresentativeSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    subject = serializers.CharField(source="subject.code")
    relation = Word(RepresentativeRelation, allow_blank=True)
    of_child = serializers.BooleanField()
    proof_sha256 = serializers.CharField()
    began_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True, help_text="When somebody ended it before its time.")


class SubjectRepresentatives(ApiView):
    @operation(
        "representatives_list",
        summary="List who represents or represented a person, newest first",
        permission=Permission.VIEW_CONSENT,
        answer=page_of(RepresentativeSerializer),
        query=PageParameters,
    )
    def get(self, request: Request, code: UUID) -> Response:
        subject = self.find(Subject.objects.all(), code)
        rows = Representation.objects.filter(subject=subject).select_related("subject")
        return Response(page(rows, request, self.query, _representatives))

    @operation(
        "representatives_create",
        summary="Register somebody who acts for a person",
        description="A parent or guardian of a child, until majority; or somebody with a mandate for an adult.",
        permission=Permission.MANAGE_CONSENT,
        body=RepresentativeForm,
        answer=RepresentativeSerializer,
        status_code=201,
    )
    def post(self, request: Request, code: UUID) -> Response:
        subject = self.find(Subject.objects.all(), code)
        form = self.read(RepresentativeForm)
        proof = form.pop("proof")
        found = representing.register(
            subject, **form, proof_sha256=proof["sha256"], proof_reference=proof["reference"], actor=self.actor
        )
        return Response(RepresentativeSerializer(found).data, status=201)


class RepresentativeEnd(ApiView):
    @operation(
        "representatives_end",
        summary="End a representation before its time",
        while_closed=True,
        description="What was granted through it is no longer in force; the person, or who represents them now, answers anew.",
        permission=Permission.MANAGE_CONSENT,
        answer=RepresentativeSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        found = self.find(Representation.objects.select_related("subject"), code)
        return Response(RepresentativeSerializer(representing.end(found, actor=self.actor)).data)


def _representatives(rows: list[Representation]) -> Iterable[Any]:
    return RepresentativeSerializer(rows, many=True).data
