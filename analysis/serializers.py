"""The JSON of recordings, analyses, results and timelines: one strict form per verb, one shape per answer."""

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api_fields import (
    Code,
    Moment,
    PageParameters,
    QueryParameters,
    StrictSerializer,
    Text,
    TrueOrFalse,
    WholeNumber,
    Word,
    Words,
)
from analysis.models import Analysis, Recording
from analysis.redaction.blanking import Fill
from analysis.redaction.spans import DataType
from analysis.states import AnalysisState, RecordingState, Stage
from analysis.submission import MAX_PARTICIPANTS
from analysis.timeline import SpanType
from analysis.transcription_hints import LONGEST_HOT_WORD, LONGEST_PROMPT, MOST_HOT_WORDS
from analysis.transcripts import Task, TranscriptFormat
from consent.api_fields import Place
from consent.vocabulary import Context, ParticipantRole, Scope

Shape = serializers.Serializer[Any]


# Recordings


class ParticipantForm(StrictSerializer):
    subject = Code()
    role = Word(ParticipantRole)
    channel = WholeNumber(
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        max_value=1023,
        help_text="The channel that is this person's alone, from 0; left out when there is none.",
    )
    jurisdiction = Place(required=False, help_text="Where this person was, if not where the recording was.")
    enrol = TrueOrFalse(
        required=False,
        default=False,
        help_text="Make a voiceprint of this person, under `voice.identify`, from a channel on which nobody else may be heard.",
    )


class TranscriptionForm(StrictSerializer):
    """Options of transcription. What they say is sealed, and goes with the recording's last job."""

    language = serializers.RegexField(
        "^[a-z]{2,3}$",
        required=False,
        help_text="The language of the speech, a code like `en` (ISO 639, as Whisper has it); left out: it is detected.",
    )
    prompt = Text(
        required=False,
        allow_blank=True,
        default="",
        max_length=LONGEST_PROMPT,
        help_text="Text such as might have been said before: its spelling and style are followed. The last 150 words or so count.",
    )
    hot_words = serializers.ListField(
        child=Text(max_length=LONGEST_HOT_WORD),
        required=False,
        default=list,
        max_length=MOST_HOT_WORDS,
        help_text="Words that are likely to be said, such as names; for translations too.",
    )


class RecordingForm(StrictSerializer):
    purpose = Code()
    context = Word(Context, help_text="`unknown` is judged by the strictest rule.")  # type: ignore[assignment]  # DRF's metaclass takes fields out of the class
    jurisdiction = Place()
    recorded_at = Moment()
    exposure_notice_shown_at = Moment(
        required=False,
        allow_null=True,
        default=None,
        help_text="When people were told that emotion or accent recognition would be used on them: before `recorded_at`.",
    )
    participants = ParticipantForm(many=True, allow_empty=False, max_length=MAX_PARTICIPANTS)  # type: ignore[call-arg]  # many=True takes it
    scopes = Words(Scope, allow_empty=False)
    transcription = TranscriptionForm(required=False, help_text="For the job that the upload queues.")


class RecordingParameters(PageParameters):
    state = Word(RecordingState, required=False)
    purpose = serializers.CharField(required=False, max_length=36)
    subject = serializers.CharField(required=False, max_length=36)


class UploadSerializer(Shape):
    method = serializers.CharField()
    url = serializers.CharField(help_text="Relative reference: send the audio there as a raw body.")


class ParticipantSerializer(Shape):
    subject = serializers.CharField(source="subject.code")
    role = Word(ParticipantRole)
    channel = serializers.IntegerField(allow_null=True)
    jurisdiction = serializers.CharField(allow_blank=True)
    in_kept_audio = serializers.BooleanField(help_text="False where kept audio leaves this person's voice out.")
    enrol = serializers.BooleanField(help_text="A voiceprint of this person is still to be made from this recording.")


class RecordingSerializer(Shape):
    code = serializers.CharField()
    state = Word(RecordingState)
    purpose = serializers.CharField(source="purpose.code")
    context = Word(Context)  # type: ignore[assignment]  # DRF's metaclass takes fields out of the class
    jurisdiction = serializers.CharField()
    recorded_at = serializers.DateTimeField()
    exposure_notice_shown_at = serializers.DateTimeField(allow_null=True)
    scopes = serializers.ListField(child=Word(Scope))
    participants = ParticipantSerializer(many=True)
    size = serializers.IntegerField(allow_null=True, help_text="Bytes uploaded.")
    duration = serializers.FloatField(allow_null=True, help_text="Seconds, once decoded.")
    channels = serializers.IntegerField(allow_null=True, help_text="Channels of the upload, once decoded.")
    audio_waiting = serializers.SerializerMethodField(help_text="Sealed audio is there for a job that needs it.")
    audio_kept = serializers.SerializerMethodField(help_text="Sealed audio is kept under `audio.store`.")
    upload = serializers.SerializerMethodField(help_text="Set while the recording awaits its audio.")
    created_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    deleted_at = serializers.DateTimeField(allow_null=True)

    def get_audio_waiting(self, recording: Recording) -> bool:
        return bool(recording.waiting_audio)

    def get_audio_kept(self, recording: Recording) -> bool:
        return bool(recording.kept_audio)

    @extend_schema_field(UploadSerializer(allow_null=True))
    def get_upload(self, recording: Recording) -> dict[str, str] | None:
        if recording.state != RecordingState.AWAITING_AUDIO:
            return None
        return {"method": "PUT", "url": reverse("recording-audio", args=[recording.code])}


class UploadedSerializer(Shape):
    recording = serializers.CharField()
    analysis = serializers.CharField(help_text="The job that was queued.")


# Analyses


class AnalysisForm(StrictSerializer):
    recording = Code()
    scopes = Words(Scope, allow_empty=False)
    transcription = TranscriptionForm(required=False)


class AnalysisParameters(PageParameters):
    recording = serializers.CharField(required=False, max_length=36)
    state = Word(AnalysisState, required=False)


class AnalysisErrorSerializer(Shape):
    code = serializers.CharField(source="error_code")
    message = serializers.CharField(source="error_message", allow_blank=True)


class AnalysisSerializer(Shape):
    code = serializers.CharField()
    recording = serializers.CharField(source="recording.code")
    scopes = serializers.ListField(child=Word(Scope))
    state = Word(AnalysisState)
    stage = Word(Stage)
    progress = serializers.FloatField(min_value=0.0, max_value=1.0)
    attempts = serializers.IntegerField()
    cancel_requested = serializers.BooleanField()
    error = serializers.SerializerMethodField()
    decision = serializers.CharField(allow_blank=True, help_text="The decision that the results rest on.")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(AnalysisErrorSerializer(allow_null=True))
    def get_error(self, analysis: Analysis) -> dict[str, str] | None:
        return dict(AnalysisErrorSerializer(analysis).data) if analysis.error_code else None


# Results


class RedactionParameters(QueryParameters):
    redact = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Personal data is taken out of everything in the answer, and `redaction` says where it was. Refused where"
        " somebody was heard of whom no transcript may be opened.",
    )


class TranscriptParameters(RedactionParameters):
    format = Word(TranscriptFormat, required=False, default=TranscriptFormat.JSON)
    task = Word(
        Task,
        required=False,
        default=Task.TRANSCRIBE,
        help_text="`translate`: what was said, in English, from a job for `speech.translate`.",
    )


class RedactedAudioParameters(QueryParameters):
    redact = serializers.BooleanField(required=False, default=True, help_text="May be said, and only be true.")
    fill = Word(Fill, required=False, default=Fill.TONE, help_text="What is heard instead.")

    def validate_redact(self, value: bool) -> bool:
        if not value:
            raise serializers.ValidationError(
                "must be true: audio leaves redacted or not at all", code="invalid_choice"
            )
        return value


class RedactedSpanSerializer(Shape):
    type = Word(DataType)
    start = serializers.FloatField(help_text="Seconds from the start of the recording.")
    end = serializers.FloatField()
    score = serializers.FloatField(help_text="0.0 to 1.0, not calibrated.")
    recognizer = serializers.CharField()
    subjects = serializers.ListField(child=serializers.CharField(), help_text="Everyone who may be heard there.")
    channels = serializers.ListField(child=serializers.IntegerField())
    result = serializers.CharField(help_text="The transcript that it was found in.")


class RedactionSerializer(Shape):
    name = serializers.CharField()
    version = serializers.CharField()
    spans = RedactedSpanSerializer(many=True)


class WithheldSerializer(Shape):
    scope = Word(Scope)
    reason = serializers.CharField(help_text="`not_permitted`, or `destroyed`.")


class HeardSerializer(Shape):
    subject = serializers.CharField()
    role = Word(ParticipantRole)


class ResultSerializer(Shape):
    code = serializers.CharField()
    scope = Word(Scope)
    rests_on = serializers.ListField(child=Word(Scope), help_text="Every scope that it was derived under.")
    participants = HeardSerializer(many=True)
    channels = serializers.ListField(child=serializers.IntegerField())
    made_from = serializers.CharField(
        allow_null=True, help_text="The result that it says more about, and is read only with: of a link, the turns."
    )
    model = serializers.DictField(help_text="Name, version, digest, licence class and parameters of the model.")
    decision = serializers.CharField()
    created_at = serializers.DateTimeField()
    result = serializers.DictField(help_text="What the engine found; its members depend on the scope.")


class ResultsSerializer(Shape):
    analysis = serializers.CharField()
    recording = serializers.CharField()
    decision = serializers.CharField(help_text="The decision under which these were opened.")
    results = ResultSerializer(many=True)
    withheld = WithheldSerializer(many=True)
    redaction = RedactionSerializer(allow_null=True, help_text="Set where the answer was redacted.")


class TranscriptWordSerializer(Shape):
    word = serializers.CharField()
    start = serializers.FloatField()
    end = serializers.FloatField()
    probability = serializers.FloatField(allow_null=True, help_text="0.0 to 1.0, not calibrated.")


class TranscriptSegmentSerializer(Shape):
    id = serializers.IntegerField(help_text="From 0, in order of start.")
    start = serializers.FloatField(help_text="Seconds from the start of the recording.")
    end = serializers.FloatField()
    text = serializers.CharField()
    speaker = serializers.CharField(
        allow_null=True, help_text="Role and place of everyone who may be heard; null where there is one participant."
    )
    subjects = serializers.ListField(child=serializers.CharField())
    channels = serializers.ListField(child=serializers.IntegerField())
    language = serializers.CharField(allow_null=True, help_text="Only where `speech.language` may be opened.")
    temperature = serializers.FloatField(allow_null=True)
    avg_logprob = serializers.FloatField(allow_null=True, help_text="Natural logarithm, per token.")
    no_speech_prob = serializers.FloatField(allow_null=True)
    words = TranscriptWordSerializer(many=True, help_text="Empty for a translation.")
    result = serializers.CharField()


class TranscriptSerializer(Shape):
    """What `json` holds; the members that are not required come with `verbose_json`."""

    analysis = serializers.CharField()
    recording = serializers.CharField()
    decision = serializers.CharField(help_text="The decision under which it was opened.")
    text = serializers.CharField(help_text="A segment a line, led by the speaker where there are several.")
    withheld = WithheldSerializer(many=True)
    redaction = RedactionSerializer(allow_null=True, help_text="Set where the answer was redacted.")
    task = Word(Task, required=False)
    language = serializers.CharField(required=False, allow_null=True, help_text="Where it is one for all segments.")
    duration = serializers.FloatField(required=False, help_text="Seconds.")
    segments = TranscriptSegmentSerializer(many=True, required=False)
    models = serializers.ListField(child=serializers.DictField(), required=False)


class SpanSerializer(Shape):
    type = Word(SpanType)
    start = serializers.FloatField(help_text="Seconds from the start of the recording.")
    end = serializers.FloatField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]  # DRF's metaclass takes fields out of the class
    score = serializers.FloatField(allow_null=True, help_text="0.0 to 1.0 where the engine gives one.")
    subjects = serializers.ListField(
        child=serializers.CharField(),
        help_text="Everyone who may be heard there; one when the channel is theirs alone.",
    )
    channels = serializers.ListField(child=serializers.IntegerField())
    result = serializers.CharField()
    details = serializers.DictField()


class TimelineSerializer(Shape):
    analysis = serializers.CharField()
    recording = serializers.CharField()
    duration = serializers.FloatField(help_text="Seconds.")
    decision = serializers.CharField()
    spans = SpanSerializer(many=True)
    languages = serializers.ListField(child=serializers.DictField())
    summaries = serializers.ListField(child=serializers.DictField())
    models = serializers.ListField(child=serializers.DictField())
    withheld = WithheldSerializer(many=True)
    redaction = RedactionSerializer(allow_null=True, help_text="Set where the answer was redacted.")
