"""The JSON of notices, purposes, subjects, consents, decisions and retention: one strict form per verb, one shape per answer."""

from typing import Any

from rest_framework import serializers

from accounts.api_fields import (
    Code,
    Moment,
    PageParameters,
    Sha256,
    StrictSerializer,
    Text,
    TrueOrFalse,
    WholeNumber,
    Word,
    Words,
)
from consent.api_fields import Place
from consent.consistency import EVENT, MAX_ORIGIN, MAX_USES
from consent.inventory import Category
from consent.processing import MAX_PARTIES, MAX_TEXT
from consent.retention import MAX_DAYS
from consent.subjects import MAX_REFERENCE
from consent.vocabulary import (
    Action,
    AgeBand,
    Context,
    EndCause,
    EvidenceMethod,
    GrantState,
    Ground,
    LawfulBasis,
    ObligationKind,
    ParticipantRole,
    PartyRole,
    PartyType,
    RetentionClass,
    Right,
    Scope,
    StatementState,
)

Shape = serializers.Serializer[Any]


class Moments(serializers.DateTimeField):
    """A UTC time in an answer."""


# Notices


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


# Purposes


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


# Subjects


class SubjectForm(StrictSerializer):
    external_reference = Text(
        required=False,
        allow_blank=False,
        max_length=MAX_REFERENCE,
        help_text="How you know this person. Sealed at once; never shown again through the API.",
    )


class SubjectLookupForm(StrictSerializer):
    external_reference = Text(
        allow_blank=False, max_length=MAX_REFERENCE, help_text="Exact match, through a blind index."
    )


class DestructionSerializer(Shape):
    code = serializers.CharField()
    subject = serializers.CharField()
    reason = serializers.CharField()
    ordered_at = Moments()
    done_at = Moments(allow_null=True)


class SubjectSerializer(Shape):
    code = serializers.CharField()
    created_at = Moments()
    erased_at = Moments(allow_null=True)


class SubjectDetailSerializer(SubjectSerializer):
    erasure = DestructionSerializer(allow_null=True, help_text="The order to destroy, once the person was erased.")


class RoleChangeForm(StrictSerializer):
    role = Word(ParticipantRole, help_text="The role in which the person counts from now on.")


class RoleChangeSerializer(Shape):
    code = serializers.CharField()
    subject = serializers.CharField(source="subject.code")
    role = Word(ParticipantRole)
    asked_at = Moments()
    approved_at = Moments(allow_null=True, help_text="A second person approves, in the admin.")


class SubjectWithdrawalForm(StrictSerializer):
    purpose = Code(required=False, help_text="Limits the withdrawal to one purpose.")
    scopes = Words(Scope, required=False, allow_empty=False)


# Consents


class EvidenceForm(StrictSerializer):
    method = Word(EvidenceMethod)
    sha256 = Sha256(help_text="Of exactly what was shown; must be the notice's own.")
    origin = Text(
        required=False,
        allow_blank=True,
        default="",
        max_length=MAX_ORIGIN,
        help_text="Where the answer came from. Sealed; never shown again through the API.",
    )


class ConsentForm(StrictSerializer):
    subject = Code()
    purpose = Code()
    notice = Code(help_text="The version that was shown.")
    scopes = Words(Scope, allow_empty=False, help_text="Each scope by name; there is no `all`.")
    given = TrueOrFalse(help_text="False records a refusal.")
    explicit = TrueOrFalse(help_text="GDPR art. 9: special-category scopes open for explicit consent only.")
    given_at = Moment(help_text="When the person answered.")
    evidence = EvidenceForm()
    age_band = Word(
        AgeBand, required=False, default=AgeBand.UNSTATED, help_text="How old the person was, where that was asked."
    )
    representative = Code(
        required=False, help_text="Who answered, where it was not the person: a representative registered for them."
    )
    jurisdiction = Place(help_text="Where the person is protected: ISO 3166 code, or `unknown`.")
    expires_at = Moment(required=False, allow_null=True, default=None, help_text="Until when it holds.")
    until_event = serializers.RegexField(
        EVENT,
        required=False,
        help_text="Until which event it holds, such as `contract_ended`; report it when it comes.",
    )
    uses = WholeNumber(
        required=False,
        allow_null=True,
        default=None,
        min_value=1,
        max_value=MAX_USES,
        help_text="For how many recordings it holds; 1 is one-shot.",
    )
    spoken_statement = TrueOrFalse(
        required=False,
        default=False,
        help_text="True where a clip follows in which the person says the notice's phrase; until it is heard it is `requested`.",
    )
    covers_recorded_from = Moment(
        required=False,
        allow_null=True,
        default=None,
        help_text="Set when the person also named earlier recordings: those from this time on.",
    )


class ConsentParameters(PageParameters):
    subject = serializers.CharField(required=False, max_length=36)
    purpose = serializers.CharField(required=False, max_length=36)
    state = Word(GrantState, required=False, help_text="At least one scope is in this state now.")


class ConsentRequestForm(StrictSerializer):
    subject = Code()
    purpose = Code()
    notice = Code(help_text="The version that is shown.")
    scopes = Words(Scope, allow_empty=False)
    asked_at = Moment(help_text="When the person was asked.")
    jurisdiction = Place(help_text="Where the person is protected: ISO 3166 code, or `unknown`.")
    evidence = EvidenceForm()


class EventForm(StrictSerializer):
    event = serializers.RegexField(EVENT, help_text="The event until which consent was given.")
    purpose = Code(required=False, help_text="Only for this purpose.")


class WithdrawalForm(StrictSerializer):
    scopes = Words(Scope, required=False, allow_empty=False, help_text="Everything when left out.")


class ClosedSerializer(Shape):
    purpose = serializers.CharField()
    scope = Word(Scope)


class WithdrawalSerializer(Shape):
    code = serializers.CharField(help_text="Of the ending, which has a receipt.")
    subject = serializers.CharField()
    closed = ClosedSerializer(many=True)
    orders = serializers.ListField(child=serializers.CharField(), help_text="Orders that destroy what was derived.")


class ScopeStateSerializer(Shape):
    scope = Word(Scope)
    state = Word(GrantState)
    since = Moments()
    in_force = serializers.BooleanField(help_text="Law and context aside, the gate would rest on it now.")


class RevisionSerializer(Shape):
    code = serializers.CharField()
    scope = Word(Scope)
    revision = serializers.IntegerField()
    state = Word(GrantState)
    at = Moments()
    reason = serializers.CharField(allow_blank=True)
    superseded_by = serializers.CharField(allow_blank=True, help_text="The record that answers for this scope now.")


class ShownNoticeSerializer(Shape):
    code = serializers.CharField()
    version = serializers.IntegerField()
    language = serializers.CharField()
    sha256 = serializers.CharField()


class EvidenceSerializer(Shape):
    method = Word(EvidenceMethod, source="evidence_method")
    sha256 = serializers.CharField(source="evidence_sha256")


class StatementSerializer(Shape):
    state = Word(StatementState)
    ratio = serializers.FloatField(
        allow_null=True, help_text="Share of the required phrase that was heard, 0.0 to 1.0."
    )
    transcript_sha256 = serializers.CharField(allow_blank=True)
    seconds = serializers.FloatField(allow_null=True)
    received_at = Moments()
    finished_at = Moments(allow_null=True)


class ConsentSerializer(Shape):
    code = serializers.CharField(source="record.code")
    subject = serializers.CharField(source="record.subject.code")
    purpose = serializers.CharField(source="record.purpose.code")
    notice = ShownNoticeSerializer(source="record.notice")
    explicit = serializers.BooleanField(source="record.explicit")
    given_at = Moments(source="record.given_at")
    registered_at = Moments(source="record.registered_at", help_text="The gate opens from here on.")
    expires_at = Moments(source="record.expires_at", allow_null=True)
    until_event = serializers.CharField(source="record.until_event", allow_blank=True)
    uses = serializers.IntegerField(source="record.uses", allow_null=True)
    jurisdiction = serializers.CharField(source="record.jurisdiction")
    covers_recorded_from = Moments(source="record.covers_recorded_from", allow_null=True)
    age_band = Word(AgeBand, source="record.age_band")
    representative = serializers.CharField(
        source="record.representation.code", allow_null=True, default=None, help_text="Who answered for the person."
    )
    evidence = EvidenceSerializer(source="record")
    scopes = ScopeStateSerializer(many=True)


class ConsentDetailSerializer(ConsentSerializer):
    statement = StatementSerializer(
        source="record.statement", allow_null=True, default=None, help_text="The clip in which the person consented."
    )
    history = RevisionSerializer(many=True)


class FullRecordSerializer(serializers.Serializer[Any]):
    """The whole record as ISO/IEC TS 27560 structures it; `docs/schemas/consent-record.schema.json` says all of it."""

    schema_version = serializers.CharField()
    record_id = serializers.CharField()
    subject_id = serializers.CharField()
    receipt_id = serializers.CharField()
    processing = serializers.DictField()
    parties = serializers.ListField(child=serializers.DictField())
    events = serializers.ListField(child=serializers.DictField())
    given_at = serializers.CharField()
    registered_at = serializers.CharField()
    duration = serializers.DictField()
    covers_recorded_from = serializers.CharField(allow_null=True)
    scopes = serializers.ListField(child=serializers.DictField())
    subject_jurisdiction = serializers.CharField()
    age_band = serializers.CharField()
    representative = serializers.DictField(allow_null=True)
    evidence = serializers.DictField()
    supersedes = serializers.ListField(child=serializers.CharField())


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


# Decisions


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


# Retention


class RetentionForm(StrictSerializer):
    days = WholeNumber(min_value=0, max_value=MAX_DAYS)


class CapSerializer(Shape):
    rule = serializers.CharField()
    citation = serializers.CharField()
    days = serializers.IntegerField()


class RetentionSerializer(Shape):
    category = Word(Category)
    days = serializers.IntegerField(allow_null=True, help_text="Null where only erasure ends it.")
    own = serializers.BooleanField(help_text="False: the default, because the project has set none.")
    caps = CapSerializer(many=True, help_text="What the law allows at most; a term cannot exceed it.")


class TermSerializer(Shape):
    category = Word(Category)
    days = serializers.IntegerField()


class RetentionScheduleSerializer(Shape):
    project = serializers.CharField()
    version = serializers.IntegerField()
    published_at = serializers.CharField()
    sha256 = serializers.CharField()
    terms = TermSerializer(many=True)
    destruction = serializers.CharField()


class RetentionListSerializer(Shape):
    results = RetentionSerializer(many=True)
