"""The words of consent: scopes, roles, contexts, states, lawful bases. Closed lists; an unknown word is refused. No Django."""

from enum import StrEnum


class Scope(StrEnum):
    """What may be done with a voice. There is no "all"."""

    AUDIO_STORE = "audio.store"
    TRANSCRIBE = "speech.transcribe"
    TRANSLATE = "speech.translate"
    LANGUAGE = "speech.language"
    PROSODY = "speech.prosody"
    DIARIZE = "speech.diarize"
    LIVE = "speech.live"
    NONVERBAL = "voice.nonverbal"
    EMOTION = "voice.emotion"
    IDENTIFY = "voice.identify"
    ACCENT = "voice.accent"
    AGGREGATE = "data.aggregate"
    SHARE = "data.share"
    TRAIN = "data.train"


class ParticipantRole(StrEnum):
    CUSTOMER = "customer"
    EMPLOYEE = "employee"
    CANDIDATE = "candidate"
    STUDENT = "student"
    PATIENT = "patient"
    CALLER = "caller"
    INTERVIEWER = "interviewer"
    OTHER = "other"
    UNKNOWN = "unknown"


class Context(StrEnum):
    SUPPORT = "support"
    HEALTHCARE = "healthcare"
    EMPLOYMENT = "employment"
    EDUCATION = "education"
    RESEARCH = "research"
    ACCESSIBILITY = "accessibility"
    PERSONAL = "personal"
    MEDIA = "media"
    UNKNOWN = "unknown"


class GrantState(StrEnum):
    """ISO/IEC TS 27560 event states that this version produces."""

    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class LawfulBasis(StrEnum):
    """GDPR art. 6(1)."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTERESTS = "vital_interests"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"


class EvidenceMethod(StrEnum):
    WEB_FORM = "web_form"
    PAPER = "paper"
    SPOKEN = "spoken"
    API_ATTESTATION = "api_attestation"


class Action(StrEnum):
    """What somebody wants to do, as each Decision names it."""

    SUBMIT = "submit"
    UPLOAD = "upload"
    ENQUEUE = "enqueue"
    CLAIM = "claim"
    CONTINUE = "continue"
    COMMIT = "commit"
    READ = "read"


class DenialReason(StrEnum):
    """Why a scope was denied for a participant; part of the API."""

    SUBJECT_UNKNOWN = "subject_unknown"
    SUBJECT_ERASED = "subject_erased"
    PURPOSE_UNKNOWN = "purpose_unknown"
    PURPOSE_INACTIVE = "purpose_inactive"
    SCOPE_OUTSIDE_PURPOSE = "scope_outside_purpose"
    CONTEXT_OUTSIDE_PURPOSE = "context_outside_purpose"
    CONTEXT_UNKNOWN = "context_unknown"
    NOT_GRANTED = "not_granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    NOTICE_SUPERSEDED = "notice_superseded"
    RECORDED_BEFORE_CONSENT = "recorded_before_consent"
    RECORDED_IN_FUTURE = "recorded_in_future"
    LAW = "law"
    PARTICIPANT_UNBOUND = "participant_unbound"
    NOT_EXPLICIT = "not_explicit"
    NO_SCOPE_REQUESTED = "no_scope_requested"
