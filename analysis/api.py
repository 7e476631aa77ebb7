"""Recordings, analyses, results and timelines over HTTP. Each view parses, makes one call, and presents."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.api_pages import page, page_of
from accounts.roles import Permission
from analysis import claiming, deletion, reading, redacted_audio, submission, subtitles
from analysis import serializers as shapes
from analysis.api_uploads import RawUpload
from analysis.errors import NotFinished
from analysis.models import Analysis, Recording
from analysis.states import AnalysisState
from analysis.transcription_hints import Hints
from analysis.transcripts import Transcript, TranscriptFormat
from consent.gate import Participant

PLAIN_TEXT, SUBRIP, WEBVTT = "text/plain", "application/x-subrip", "text/vtt"

RECORDING_EXAMPLE = OpenApiExample(
    "A call between a customer and an employee, one channel each",
    request_only=True,
    value={
        "purpose": "0198f3a2-6f0e-7cc1-9d4a-3b1f0a7e5c22",
        "context": "support",
        "jurisdiction": "DE",
        "recorded_at": "2026-11-23T10:00:00Z",
        "participants": [
            {"subject": "0198f3a2-6f0e-7cc1-9d4a-3b1f0a7e5c11", "role": "customer", "channel": 0},
            {"subject": "0198f3a2-6f0e-7cc1-9d4a-3b1f0a7e5c44", "role": "employee", "channel": 1},
        ],
        "scopes": ["speech.transcribe", "speech.language"],
    },
)


class Recordings(ApiView):
    @operation(
        "recordings_list",
        summary="List recordings, newest first",
        permission=Permission.VIEW_RECORDING,
        answer=page_of(shapes.RecordingSerializer),
        query=shapes.RecordingParameters,
    )
    def get(self, request: Request) -> Response:
        rows: QuerySet[Recording] = Recording.objects.visible_to(request.user)
        if (state := self.query.get("state")) is not None:
            rows = rows.filter(state=state.value)
        if (purpose := self.query.get("purpose")) is not None:
            rows = rows.filter(purpose__code=purpose)
        if (subject := self.query.get("subject")) is not None:
            rows = rows.filter(participants__subject__code=subject)
        return Response(page(_readable(rows), request, self.query, _recordings))

    @operation(
        "recordings_create",
        summary="Submit a recording",
        description="The gate is asked first; a refusal names every missing scope. The audio follows at `upload.url`.",
        permission=Permission.SUBMIT_RECORDING,
        body=shapes.RecordingForm,
        answer=shapes.RecordingSerializer,
        status_code=201,
        examples=[RECORDING_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        form = self.read(shapes.RecordingForm)
        asked = submission.Submission(
            purpose=form["purpose"],
            context=form["context"],
            jurisdiction=form["jurisdiction"],
            recorded_at=form["recorded_at"],
            participants=tuple(
                Participant(named["subject"], named["role"], named["channel"], named.get("jurisdiction", ""))
                for named in form["participants"]
            ),
            scopes=tuple(form["scopes"]),
            exposure_notice_shown_at=form["exposure_notice_shown_at"],
            hints=_hints(form),
            enrol=frozenset(named["subject"] for named in form["participants"] if named["enrol"]),
        )
        recording = submission.create_recording(self.project, asked, actor=self.actor)
        return Response(_recording(recording), status=201)


class OneRecording(ApiView):
    @operation(
        "recordings_read",
        summary="Read a recording's state",
        permission=Permission.VIEW_RECORDING,
        answer=shapes.RecordingSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        return Response(_recording(self.find(Recording.objects.all(), code)))

    @operation(
        "recordings_delete",
        summary="Delete a recording's audio and results",
        description="Stops its jobs. A bare marker stays until its term ends.",
        permission=Permission.DELETE_RECORDING,
        answer=shapes.RecordingSerializer,
    )
    def delete(self, request: Request, code: UUID) -> Response:
        recording = deletion.delete_recording(self.find(Recording.objects.all(), code), actor=self.actor)
        return Response(_recording(recording))


class RecordingAudio(RawUpload):
    """The upload, whose body is read from the socket by `submission` and by nothing before it; and kept audio, redacted."""

    @operation(
        "recordings_audio_read",
        summary="Read a recording's kept audio without personal data",
        description=(
            "A WAV file of what is kept under `audio.store`, with a tone or silence over the words that the recording's transcripts"
            " show to be personal data, on every channel. Audio leaves redacted or not at all. Refused"
            " where somebody is heard of whom no transcript may be opened."
        ),
        permission=Permission.READ_RESULTS,
        answer=None,
        media="audio/wav",
        query=shapes.RedactedAudioParameters,
    )
    def get(self, request: Request, code: UUID) -> StreamingHttpResponse:
        recording = self.find(Recording.objects.select_related("project__organization", "purpose"), code)
        audio = redacted_audio.read_audio(recording, fill=self.query["fill"], actor=self.actor)
        answer = StreamingHttpResponse(audio, content_type="audio/wav")
        answer["Content-Length"] = str(audio.size)
        answer["Content-Disposition"] = f'attachment; filename="{recording.code}-redacted.wav"'
        return answer

    @operation(
        "recordings_upload",
        summary="Upload a recording's audio",
        description=(
            "The raw bytes of a WAV, FLAC, MP3, Ogg, Opus, WebM or M4A file, with a Content-Length. They are sealed while they"
            " arrive. A recording takes audio once. With an Idempotency-Key, the announced length stands for the body."
        ),
        permission=Permission.SUBMIT_RECORDING,
        raw_body=True,
        answer=shapes.UploadedSerializer,
        status_code=201,
    )
    def put(self, request: Request, code: UUID) -> Response:
        recording = self.find(Recording.objects.select_related("project__organization", "purpose"), code)
        body = self.audio(request._request)
        received, analysis = submission.receive_audio(recording, self.reading(body), body.length, actor=self.actor)
        return Response({"recording": received.code, "analysis": analysis.code}, status=201)


class Analyses(ApiView):
    @operation(
        "analyses_list",
        summary="List jobs, newest first",
        permission=Permission.VIEW_RECORDING,
        answer=page_of(shapes.AnalysisSerializer),
        query=shapes.AnalysisParameters,
    )
    def get(self, request: Request) -> Response:
        rows: QuerySet[Analysis] = Analysis.objects.visible_to(request.user).select_related("recording")
        if (recording := self.query.get("recording")) is not None:
            rows = rows.filter(recording__code=recording)
        if (state := self.query.get("state")) is not None:
            rows = rows.filter(state=state.value)
        return Response(page(rows, request, self.query, _analyses))

    @operation(
        "analyses_create",
        summary="Queue another job on a recording",
        description="Its audio must still be there: kept under `audio.store`, or waiting for an earlier job.",
        permission=Permission.SUBMIT_RECORDING,
        body=shapes.AnalysisForm,
        answer=shapes.AnalysisSerializer,
        status_code=201,
    )
    def post(self, request: Request) -> Response:
        form = self.read(shapes.AnalysisForm)
        recording = self.refer(Recording.objects.all(), form["recording"], "recording")
        analysis = submission.request_analysis(recording, form["scopes"], actor=self.actor, hints=_hints(form))
        return Response(shapes.AnalysisSerializer(analysis).data, status=201)


class OneAnalysis(ApiView):
    @operation(
        "analyses_read",
        summary="Read a job's state, stage and progress",
        permission=Permission.VIEW_RECORDING,
        answer=shapes.AnalysisSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        return Response(shapes.AnalysisSerializer(self.find(_with_recording(), code)).data)


class AnalysisCancellation(ApiView):
    @operation(
        "analyses_cancel",
        summary="Cancel a job",
        description="A queued job ends at once, a running one at its next check.",
        permission=Permission.SUBMIT_RECORDING,
        answer=shapes.AnalysisSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        analysis = claiming.cancel(self.find(_with_recording(), code), actor=self.actor)
        return Response(shapes.AnalysisSerializer(analysis).data)


class AnalysisResults(ApiView):
    @operation(
        "results_read",
        summary="Read a job's results",
        description="The gate is asked for each participant and scope; what it does not allow is withheld. The read is recorded.",
        permission=Permission.READ_RESULTS,
        answer=shapes.ResultsSerializer,
        query=shapes.RedactionParameters,
    )
    def get(self, request: Request, code: UUID) -> Response:
        analysis = self.find(_with_recording(), code)
        view = reading.read_results(analysis, actor=self.actor, redacted=self.query["redact"])
        return Response(view.as_json())


class AnalysisTimeline(ApiView):
    @operation(
        "results_timeline_read",
        summary="Read a job's results as one timeline",
        permission=Permission.READ_RESULTS,
        answer=shapes.TimelineSerializer,
        query=shapes.RedactionParameters,
    )
    def get(self, request: Request, code: UUID) -> Response:
        analysis = self.find(_with_recording(), code)
        timeline = reading.read_timeline(analysis, actor=self.actor, redacted=self.query["redact"])
        return Response(timeline.as_json())


class AnalysisTranscript(ApiView):
    @operation(
        "results_transcript_read",
        summary="Read a job's transcript",
        description=(
            "As JSON, plain text or subtitles: `format` says which. Like every read it gives what the gate allows; where that"
            " leaves something out, the header `X-Withheld` says why (`not_permitted`, `destroyed`), in every format."
        ),
        permission=Permission.READ_RESULTS,
        answer=shapes.TranscriptSerializer,
        or_media=(PLAIN_TEXT, SUBRIP, WEBVTT),
        query=shapes.TranscriptParameters,
    )
    def get(self, request: Request, code: UUID) -> HttpResponse:
        analysis = self.find(_with_recording(), code)
        form = self.query["format"]
        transcript = reading.read_transcript(
            analysis,
            actor=self.actor,
            redacted=self.query["redact"],
            task=self.query["task"],
            with_language=form is TranscriptFormat.VERBOSE_JSON,
        )
        answer = _written(transcript, form)
        if transcript.withheld:
            answer["X-Withheld"] = ", ".join(transcript.withheld)
        return answer


class RecordingTimeline(ApiView):
    @operation(
        "results_recording_timeline_read",
        summary="Read the timeline of a recording's newest finished job",
        permission=Permission.READ_RESULTS,
        answer=shapes.TimelineSerializer,
        query=shapes.RedactionParameters,
    )
    def get(self, request: Request, code: UUID) -> Response:
        recording = self.find(Recording.objects.all(), code)
        newest = _with_recording().filter(recording=recording, state=AnalysisState.DONE.value).order_by("-id").first()
        if newest is None:
            raise NotFinished("no job of this recording is done")
        timeline = reading.read_timeline(newest, actor=self.actor, redacted=self.query["redact"])
        return Response(timeline.as_json())


def _hints(form: dict[str, Any]) -> Hints:
    given = form.get("transcription", {})
    return Hints(given.get("language"), given.get("prompt", ""), tuple(given.get("hot_words", ())))


def _written(transcript: Transcript, form: TranscriptFormat) -> HttpResponse:
    match form:
        case TranscriptFormat.TEXT:
            return HttpResponse(transcript.text, content_type=f"{PLAIN_TEXT}; charset=utf-8")
        case TranscriptFormat.SRT:
            return HttpResponse(subtitles.subrip(transcript), content_type=f"{SUBRIP}; charset=utf-8")
        case TranscriptFormat.VTT:
            return HttpResponse(subtitles.webvtt(transcript), content_type=f"{WEBVTT}; charset=utf-8")
    return Response(transcript.as_json(verbose=form is TranscriptFormat.VERBOSE_JSON))


def _with_recording() -> QuerySet[Analysis]:
    rows: QuerySet[Analysis] = Analysis.objects.select_related("recording__project__organization", "recording__purpose")
    return rows


def _readable(rows: QuerySet[Recording]) -> QuerySet[Recording]:
    return rows.select_related("purpose").prefetch_related("participants__subject")


def _recordings(rows: list[Recording]) -> Iterable[Any]:
    return shapes.RecordingSerializer(rows, many=True).data


def _analyses(rows: list[Analysis]) -> Iterable[Any]:
    return shapes.AnalysisSerializer(rows, many=True).data


def _recording(recording: Recording) -> dict[str, Any]:
    return dict(shapes.RecordingSerializer(_readable(Recording.objects.filter(pk=recording.pk)).get()).data)
