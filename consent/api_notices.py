"""Notices and purposes over HTTP: their JSON, and the views."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.api_fields import Code, PageParameters, StrictSerializer, Text, TrueOrFalse, Word, Words
from accounts.api_pages import page, page_of
from accounts.roles import Permission
from consent import editorial, publishing, renewing, what_if
from consent.api_fields import ConsequencesSerializer, Place
from consent.models import Notice, NoticeSeries, Purpose
from consent.processing import MAX_PARTIES, MAX_TEXT, Party, Processing
from consent.serializers import Moments, Shape
from consent.vocabulary import Context, Ground, LawfulBasis, PartyRole, PartyType, RetentionClass, Right, Scope


class NoticeForm(StrictSerializer):
    series = Text(max_length=120, help_text="Name of the notice; a known name adds the next version of it.")
    language = serializers.RegexField(
        r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length=35, help_text="BCP 47 language tag."
    )
    title = Text(max_length=200)
    text = Text(max_length=100_000, trim_whitespace=False, help_text="Exactly what the person is shown.")
    material = TrueOrFalse(help_text="A material version ends the validity of consent given under older ones.")
    required_phrase = Text(
        required=False,
        allow_blank=True,
        default="",
        max_length=500,
        help_text="What a person says to consent by voice, word for word; at least four words.",
    )


class NoticeSeriesSerializer(Shape):
    code = serializers.CharField()
    name = serializers.CharField()


class RenewalSerializer(Shape):
    """How far the *renewal due* revisions have come; the gate closed at publication already."""

    total = serializers.IntegerField(allow_null=True)
    done = serializers.IntegerField()
    begun_at = Moments()
    finished_at = Moments(allow_null=True)


class NoticeSerializer(Shape):
    code = serializers.CharField()
    series = NoticeSeriesSerializer()
    version = serializers.IntegerField()
    language = serializers.CharField()
    title = serializers.CharField()
    text = serializers.CharField()
    material = serializers.BooleanField()
    required_phrase = serializers.CharField(allow_blank=True)
    sha256 = serializers.CharField(help_text="Over series, version, language, title and text as RFC 8785 JSON.")
    created_at = Moments()
    published_at = Moments(allow_null=True)


class NoticeDetailSerializer(NoticeSerializer):
    renewal = RenewalSerializer(allow_null=True, help_text="Set once a material version is published.")


class EditorialPublicationSerializer(Shape):
    code = serializers.CharField()
    notice = serializers.CharField(source="notice.code")
    asked_at = Moments()
    approved_at = Moments(allow_null=True, help_text="A second person approves, in the admin; that publishes it.")
    turned_down_at = Moments(allow_null=True)


class PartyForm(StrictSerializer):
    name = Text(max_length=200)
    address = Text(max_length=300)
    contact = Text(max_length=200, help_text="An e-mail address, a telephone number, a page.")
    role = Word(PartyRole, required=False, default=PartyRole.CONTROLLER)
    type = Word(PartyType, required=False, default=PartyType.ORGANIZATION)


class PlacesField(serializers.ListField):
    """A list of jurisdictions."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=Place(), max_length=50, **kwargs)


class ProcessingForm(StrictSerializer):
    """What a consent record must say of the processing, and what it may (ISO/IEC TS 27560)."""

    parties = PartyForm(many=True, allow_empty=False, max_length=MAX_PARTIES)  # type: ignore[call-arg]  # many=True takes it
    storage_locations = PlacesField(allow_empty=False, help_text="Where data lies.")
    jurisdictions = PlacesField(allow_empty=False, help_text="Where the purpose is meant for.")
    withdrawal_method = Text(max_length=MAX_TEXT, help_text="How people withdraw.")
    retention_class = Word(RetentionClass, required=False, default=RetentionClass.STANDARD)
    collection_method = Text(required=False, allow_blank=True, default="", max_length=MAX_TEXT)
    processing_method = Text(required=False, allow_blank=True, default="", max_length=MAX_TEXT)
    processing_locations = PlacesField(required=False, default=list)
    geographic_restrictions = Text(required=False, allow_blank=True, default="", max_length=MAX_TEXT)
    transfer_safeguards = Text(
        required=False,
        allow_blank=True,
        default="",
        max_length=MAX_TEXT,
        help_text="Where data lies or is processed outside the EEA: the safeguards of the transfer (GDPR art. 44 to 49).",
    )
    rights = Words(Right, required=False, default=lambda: list(Right))
    supervisory_authority = Text(required=False, allow_blank=True, default="", max_length=MAX_TEXT)
    optional_scopes = Words(
        Scope, required=False, default=list, help_text="Scopes that people may leave out and be served all the same."
    )


class PurposeForm(StrictSerializer):
    name = Text(max_length=120)
    notice_series = Code(help_text="Code of the notice series that people are shown for this purpose.")
    lawful_basis = Word(LawfulBasis)
    scopes = Words(Scope, allow_empty=False)
    contexts = Words(Context, allow_empty=False)
    description = Text(required=False, allow_blank=True, default="", max_length=2000)
    recipients = serializers.ListField(child=Text(max_length=200), required=False, default=list, max_length=50)
    processing = ProcessingForm()
    ground = Word(
        Ground,
        required=False,
        default=Ground.NONE,
        help_text="Why emotion at work or in education may be inferred, as the impact assessment documents.",
    )
    deidentified = TrueOrFalse(
        required=False, default=False, help_text="True where results are handed on as de-identified."
    )
    dpia_reference = Text(
        required=False,
        allow_blank=True,
        default="",
        max_length=200,
        help_text="Where the impact assessment stands. A high-risk purpose cannot be opened without.",
    )
    active = TrueOrFalse(required=False, default=True, help_text="False makes it closed, to be opened later.")


class PurposeChange(StrictSerializer):
    active = TrueOrFalse(help_text="False closes the gate for everything that rests on this purpose, at once.")
    dpia_reference = Text(
        required=False, max_length=200, help_text="Names the impact assessment where none was named yet."
    )


class PartySerializer(Shape):
    name = serializers.CharField()
    address = serializers.CharField()
    contact = serializers.CharField()
    role = Word(PartyRole)
    type = Word(PartyType)


class ProcessingSerializer(Shape):
    parties = PartySerializer(many=True)
    storage_locations = serializers.ListField(child=serializers.CharField())
    jurisdictions = serializers.ListField(child=serializers.CharField())
    withdrawal_method = serializers.CharField()
    retention_class = Word(RetentionClass)
    collection_method = serializers.CharField(allow_blank=True)
    processing_method = serializers.CharField(allow_blank=True)
    processing_locations = serializers.ListField(child=serializers.CharField())
    geographic_restrictions = serializers.CharField(allow_blank=True)
    transfer_safeguards = serializers.CharField(allow_blank=True)
    rights = serializers.ListField(child=Word(Right))
    supervisory_authority = serializers.CharField(allow_blank=True)
    optional_scopes = serializers.ListField(child=Word(Scope))


class PurposeSerializer(Shape):
    code = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    notice_series = NoticeSeriesSerializer(source="series")
    lawful_basis = Word(LawfulBasis)
    scopes = serializers.ListField(child=Word(Scope))
    contexts = serializers.ListField(child=Word(Context))
    recipients = serializers.ListField(child=serializers.CharField())
    processing = ProcessingSerializer(source="*")
    ground = Word(Ground)
    deidentified = serializers.BooleanField()
    high_risk = serializers.BooleanField(help_text="By scopes and contexts (GDPR art. 35(3)).")
    dpia_reference = serializers.CharField(allow_blank=True)
    active = serializers.BooleanField()
    created_at = Moments()


class Notices(ApiView):
    @operation(
        "notices_list",
        summary="List notices, newest first",
        permission=Permission.VIEW_CONSENT,
        answer=page_of(NoticeSerializer),
        query=PageParameters,
    )
    def get(self, request: Request) -> Response:
        rows = Notice.objects.visible_to(request.user).select_related("series")
        return Response(page(rows, request, self.query, _notices))

    @operation(
        "notices_create",
        summary="Draft a notice",
        description="A new version of the series, shown to nobody until it is published.",
        permission=Permission.MANAGE_CONSENT,
        body=NoticeForm,
        answer=NoticeSerializer,
        status_code=201,
    )
    def post(self, request: Request) -> Response:
        notice = publishing.draft_notice(self.project, **self.read(NoticeForm), actor=self.actor)
        return Response(NoticeSerializer(notice).data, status=201)


class OneNotice(ApiView):
    @operation(
        "notices_read",
        summary="Read a notice, and how far the renewals that it asks for have come",
        permission=Permission.VIEW_CONSENT,
        answer=NoticeDetailSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        notice = self.find(Notice.objects.select_related("series"), code)
        run = renewing.progress_of(notice)
        renewal = None if run is None else RenewalSerializer(run).data
        return Response({**NoticeSerializer(notice).data, "renewal": renewal})


class NoticePublication(ApiView):
    @operation(
        "notices_publish",
        summary="Publish a notice",
        description=(
            "From here on it never changes. A material version closes the gate for consent given under older ones. "
            "An editorial version is published by a second person's approval; ask for it."
        ),
        permission=Permission.MANAGE_CONSENT,
        answer=NoticeSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        notice = publishing.publish_notice(self.find(Notice.objects.all(), code), actor=self.actor)
        return Response(NoticeSerializer(notice).data)


class NoticePublicationPreview(ApiView):
    @operation(
        "notices_publish_preview",
        summary="See what publishing a notice would close",
        description="Nothing where it is editorial, or published already.",
        permission=Permission.VIEW_CONSENT,
        answer=ConsequencesSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        notice = self.find(Notice.objects.select_related("series", "project"), code)
        return Response(ConsequencesSerializer(what_if.of_publishing(notice)).data)


class NoticeEditorialPublication(ApiView):
    @operation(
        "notices_ask_editorial",
        summary="Ask that a notice be published as editorial",
        description="An editorial version leaves consent under older ones in force: a second person approves, in the admin.",
        permission=Permission.MANAGE_CONSENT,
        answer=EditorialPublicationSerializer,
        status_code=201,
    )
    def post(self, request: Request, code: UUID) -> Response:
        asked = editorial.ask(self.find(Notice.objects.all(), code), actor=self.actor)
        return Response(EditorialPublicationSerializer(asked).data, status=201)


class Purposes(ApiView):
    @operation(
        "purposes_list",
        summary="List purposes, newest first",
        permission=Permission.VIEW_CONSENT,
        answer=page_of(PurposeSerializer),
        query=PageParameters,
    )
    def get(self, request: Request) -> Response:
        rows = Purpose.objects.visible_to(request.user).select_related("series")
        return Response(page(rows, request, self.query, _purposes))

    @operation(
        "purposes_create",
        summary="Create a purpose",
        permission=Permission.MANAGE_CONSENT,
        body=PurposeForm,
        answer=PurposeSerializer,
        status_code=201,
    )
    def post(self, request: Request) -> Response:
        form = self.read(PurposeForm)
        series = self.refer(NoticeSeries.objects.all(), form.pop("notice_series"), "notice_series")
        said = form.pop("processing")
        processing = Processing(**{**said, "parties": [Party(**party) for party in said["parties"]]})
        purpose = publishing.create_purpose(
            self.project, **form, processing=processing, series=series, actor=self.actor
        )
        return Response(PurposeSerializer(purpose).data, status=201)


class OnePurpose(ApiView):
    @operation("purposes_read", summary="Read a purpose", permission=Permission.VIEW_CONSENT, answer=PurposeSerializer)
    def get(self, request: Request, code: UUID) -> Response:
        purpose = self.find(Purpose.objects.select_related("series"), code)
        return Response(PurposeSerializer(purpose).data)

    @operation(
        "purposes_update",
        summary="Open or close a purpose",
        description="Scopes and contexts never change: people consented to these. Make another purpose instead.",
        permission=Permission.MANAGE_CONSENT,
        body=PurposeChange,
        answer=PurposeSerializer,
    )
    def patch(self, request: Request, code: UUID) -> Response:
        purpose = self.find(Purpose.objects.all(), code)
        changed = publishing.set_purpose_active(purpose, **self.read(PurposeChange), actor=self.actor)
        return Response(PurposeSerializer(changed).data)


def _notices(rows: list[Notice]) -> Iterable[Any]:
    return NoticeSerializer(rows, many=True).data


def _purposes(rows: list[Purpose]) -> Iterable[Any]:
    return PurposeSerializer(rows, many=True).data
