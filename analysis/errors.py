"""Errors of the analysis room. `code` is stable and part of the API; `transient` says whether trying again can help."""


class AnalysisError(Exception):
    """Base of all errors of this room."""

    code = "analysis_error"
    transient = False


class RecordingNotReceivable(AnalysisError):
    """Audio was sent for a recording that already has its audio, is receiving it, or is gone."""

    code = "recording_not_receivable"


class AudioTooLarge(AnalysisError):
    """The upload is larger than the configured limit."""

    code = "audio_too_large"


class AudioTruncated(AnalysisError):
    """The body ended before Content-Length said it would; nothing was kept."""

    code = "audio_truncated"


class AudioEmpty(AnalysisError):
    """The body holds no bytes."""

    code = "audio_empty"


class UploadsFull(AnalysisError):
    """This process receives as much audio at once as it may."""

    code = "uploads_full"
    transient = True


class TooManyUploads(AnalysisError):
    """The client sends as much audio at once as one client may."""

    code = "too_many_uploads"
    transient = True


class AudioGone(AnalysisError):
    """The recording's audio is no longer there: its last job ended and nobody granted keeping it."""

    code = "audio_gone"


class NotFinished(AnalysisError):
    """Results were asked of a job that has none (yet)."""

    code = "analysis_not_done"


class RecordingDeleted(NotFinished):
    """The recording was deleted, and its results with it."""

    code = "recording_deleted"


class TranscriptAbsent(AnalysisError):
    """A transcript, or a translation, was asked of a job that was not for one."""

    code = "transcript_absent"


class RedactionImpossible(AnalysisError):
    """It cannot be told where personal data was said: of somebody who was heard no transcript may be opened."""

    code = "redaction_impossible"


class RedactionTooLong(AnalysisError):
    """Audio that must be decoded to be redacted is longer than that is done while a client waits."""

    code = "redaction_too_long"


class RedactionUnavailable(AnalysisError):
    """The audio cannot be redacted at this moment; later it can."""

    code = "redaction_unavailable"
    transient = True


class NotCancellable(AnalysisError):
    """Only a queued or running job can be cancelled."""

    code = "analysis_not_cancellable"


class ScopeOutsideRecording(AnalysisError):
    """A job asked for a scope that the recording was not submitted for."""

    code = "scope_outside_recording"


class ScopeWithoutEngine(AnalysisError):
    """No engine of this installation answers the scope; it is refused, never ignored."""

    code = "scope_without_engine"


class HintsWithoutWords(AnalysisError):
    """Options of transcription came with a job that neither transcribes nor translates."""

    code = "transcription_options_without_scope"


class LanguageUnsupported(AnalysisError):
    """The language that was given is not one that the installation's model knows."""

    code = "transcription_language_unsupported"


class EnrolmentImpossible(AnalysisError):
    """A voiceprint was asked for without the scope for it, or of somebody who is not alone on a channel."""

    code = "enrolment_impossible"


class LeaseLost(AnalysisError):
    """Another worker holds this job now; this one must stop and write nothing."""

    code = "lease_lost"


class CancelRequested(AnalysisError):
    """Somebody cancelled the job while it ran."""

    code = "cancelled"


class ConsentChanged(AnalysisError):
    """Consent that the running job rests on is no longer in force; what it found is discarded."""

    code = "consent_changed"


class TooManyParticipants(AnalysisError):
    """A recording names more participants, or the same one twice, than it may."""

    code = "participants_invalid"
