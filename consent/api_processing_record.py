"""Over HTTP: the record of processing activities."""

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.api_fields import Word
from accounts.roles import Permission
from consent import accept, processing_record
from consent.api_notices import PartySerializer
from consent.inventory import Category
from consent.processing_record_text import MEDIA_TYPE, as_text
from consent.serializers import Moments, Shape
from consent.vocabulary import Context, LawfulBasis, ParticipantRole, Scope


class MissingSerializer(Shape):
    article = serializers.CharField()
    field = serializers.CharField()
    message = serializers.CharField()


class RecordPartiesSerializer(Shape):
    controllers = PartySerializer(many=True)
    representatives = PartySerializer(many=True)
    protection_officers = PartySerializer(many=True)


class AimSerializer(Shape):
    code = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    lawful_basis = Word(LawfulBasis)
    high_risk = serializers.BooleanField(help_text="By scopes and contexts (art. 35(3)).")
    impact_assessment = serializers.CharField(allow_blank=True)
    active = serializers.BooleanField()
    created_at = Moments()


class PeopleSerializer(Shape):
    context = Word(Context)  # type: ignore[assignment]  # DRF's metaclass takes fields out of the class
    description = serializers.CharField()


class DataKindSerializer(Shape):
    scope = Word(Scope)
    description = serializers.CharField()
    special_category = serializers.BooleanField(help_text="Art. 9(1).")


class ModelUseSerializer(Shape):
    scope = Word(Scope)
    name = serializers.CharField()
    version = serializers.CharField()
    digest = serializers.CharField()
    licence = serializers.CharField()
    validated = serializers.BooleanField()


class CategoriesSerializer(Shape):
    people = PeopleSerializer(many=True)
    roles = serializers.ListField(child=Word(ParticipantRole), help_text="In which people were recorded so far.")
    personal_data = DataKindSerializer(many=True)
    models = ModelUseSerializer(many=True, help_text="That made the results which are held.")


class RecipientsSerializer(Shape):
    named = serializers.ListField(child=serializers.CharField())
    processors = PartySerializer(many=True)


class TransfersSerializer(Shape):
    places = serializers.ListField(child=serializers.CharField(), help_text="Where data lies and is processed.")
    third_countries = serializers.ListField(child=serializers.CharField())
    safeguards = serializers.CharField(allow_blank=True)


class TimeLimitSerializer(Shape):
    category = Word(Category)
    days = serializers.IntegerField(allow_null=True, help_text="Null where only the person's erasure ends it.")


class ActivitySerializer(Shape):
    parties = RecordPartiesSerializer()
    purpose = AimSerializer()
    categories = CategoriesSerializer()
    recipients = RecipientsSerializer()
    transfers = TransfersSerializer()
    time_limits = TimeLimitSerializer(many=True)
    missing = MissingSerializer(many=True, help_text="What the article asks for and what is recorded does not answer.")


class MeasureSerializer(Shape):
    article = serializers.CharField()
    description = serializers.CharField()


class ProcessingRecordSerializer(Shape):
    citation = serializers.CharField()
    articles = serializers.DictField(child=serializers.CharField(), help_text="Which field answers which letter.")
    project = serializers.CharField()
    project_name = serializers.CharField()
    organization = serializers.CharField()
    generated_at = Moments()
    complete = serializers.BooleanField(help_text="False where an activity misses something.")
    activities = ActivitySerializer(many=True)
    security_measures = MeasureSerializer(many=True)
    outside = serializers.CharField(help_text="What of the security measures is not known here.")


class ProjectProcessingRecord(ApiView):
    @operation(
        "processing_record_read",
        summary="Read the record of processing activities (GDPR art. 30)",
        description=(
            "Generated at each call: one activity for each purpose, each letter of art. 30(1) a field, and what is missing said. "
            "With `Accept: text/markdown` the same for people to read. That it was read stands on the trail."
        ),
        permission=Permission.VIEW_PROCESSING_RECORD,
        answer=ProcessingRecordSerializer,
        or_media=(MEDIA_TYPE,),
    )
    def get(self, request: Request) -> HttpResponse:
        record = processing_record.read(self.project, actor=self.actor)
        either = {"Vary": "Accept"}
        if accept.prefers(request.headers.get("Accept", ""), MEDIA_TYPE):
            return HttpResponse(as_text(record), headers=either, content_type=f"{MEDIA_TYPE}; charset=utf-8")
        return Response(ProcessingRecordSerializer(record).data, headers=either)
