"""The JSON of subjects and consents: one strict form per verb, one shape per answer. Other topics keep theirs by their views."""

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
from consent.subjects import MAX_REFERENCE
from consent.vocabulary import (
    AgeBand,
    EvidenceMethod,
    GrantState,
    ParticipantRole,
    RestrictionGround,
    Scope,
    StatementState,
)

Shape = serializers.Serializer[Any]


class Moments(serializers.DateTimeField):
    """A UTC time in an answer."""


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
    restricted_at = Moments(allow_null=True, help_text="Since when nothing may be done with what is stored about them.")
    restriction_ground = Word(RestrictionGround, allow_blank=True)


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
    turned_down_at = Moments(allow_null=True)


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
