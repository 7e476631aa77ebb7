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


class StatementState(StrEnum):
    """What became of a spoken statement."""

    WAITING = "waiting"
    RUNNING = "running"
    MATCHED = "matched"
    NOT_MATCHED = "not_matched"
    NOT_HEARD = "not_heard"
    """The clip could not be decoded, or nothing in it could be made out."""
    OVERTAKEN = "overtaken"
    """The person withdrew, answered otherwise or was erased before it was heard."""


class AgeBand(StrEnum):
    """How old the person was when they answered, as far as consent law asks. Years, both ends included."""

    UNSTATED = "unstated"
    UNDER_13 = "under_13"
    FROM_13 = "13_to_15"
    FROM_16 = "16_to_17"
    ADULT = "adult"


class Ground(StrEnum):
    """The documented ground on which a purpose infers emotion at work or in education (EU AI Act, art. 5(1)(f))."""

    NONE = "none"
    MEDICAL = "medical"
    SAFETY = "safety"


class RepresentativeRelation(StrEnum):
    """What makes somebody a representative."""

    PARENT = "parent"
    GUARDIAN = "guardian"
    MANDATE = "mandate"
    """A power of attorney, or appointed by a court."""


class ObligationKind(StrEnum):
    """What an allowed act must do besides."""

    MASK = "mask"
    """Leave this participant's voice out: nothing of it is analysed or kept under the scope."""
    ISOLATE = "isolate"
    """Hear and keep of this participant only what matches their voiceprint: they share every channel with somebody left out."""


class GrantState(StrEnum):
    """ISO/IEC TS 27560 event states. Only `GIVEN` opens anything."""

    REQUESTED = "requested"
    DEFERRED = "deferred"
    """The person was asked and put off their answer."""
    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    """A newer record answers for this scope."""
    INVALIDATED = "invalidated"
    """It turned out never to have been consent."""
    RENEWAL_DUE = "renewal_due"
    """Not in force until the person answers again; what was derived is kept, unread, until then or until its term."""


HOLDS: frozenset[GrantState] = frozenset({GrantState.GIVEN, GrantState.RENEWAL_DUE})
"""States in which what was derived under a grant is kept."""

UNANSWERED: frozenset[GrantState] = frozenset({GrantState.REQUESTED, GrantState.DEFERRED})
"""States in which a person was asked and has not answered yet."""

LIVE: frozenset[GrantState] = HOLDS | UNANSWERED
"""States that a withdrawal ends: what is in force, what waits for renewal, what waits for an answer."""


class EndCause(StrEnum):
    """Why grants ended."""

    WITHDRAWAL = "withdrawal"
    ERASURE = "erasure"
    TERM = "term"
    EVENT = "event"
    INVALIDATION = "invalidation"
    REPRESENTATION = "representation"
    NOTICE = "notice"


class RestrictionGround(StrEnum):
    """Why processing is restricted (GDPR art. 18(1))."""

    ACCURACY_CONTESTED = "accuracy_contested"
    """The person says that something is not true (a)."""
    UNLAWFUL_PROCESSING = "unlawful_processing"
    """It was not lawful, and the person wants it kept rather than erased (b)."""
    LEGAL_CLAIMS = "legal_claims"
    """We need it no more, the person does, for a claim (c)."""
    OBJECTION = "objection"
    """The person objected, and whose reasons weigh more is not decided (d)."""
    INQUIRY = "inquiry"
    """Nobody asked: something about it is being looked into."""


class LawfulBasis(StrEnum):
    """GDPR art. 6(1)."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTERESTS = "vital_interests"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"


class RetentionClass(StrEnum):
    """How long at most what was derived under a purpose is kept. A project's own terms may be shorter."""

    BRIEF = "brief"
    STANDARD = "standard"
    EXTENDED = "extended"


class PartyRole(StrEnum):
    """Who somebody is in the processing (ISO/IEC TS 27560, party identification)."""

    CONTROLLER = "controller"
    JOINT_CONTROLLER = "joint_controller"
    PROCESSOR = "processor"
    PROTECTION_OFFICER = "data_protection_officer"
    REPRESENTATIVE = "controller_representative"


class PartyType(StrEnum):
    ORGANIZATION = "organization"
    PERSON = "person"
    AUTHORITY = "public_authority"


class Right(StrEnum):
    """What people can ask for (GDPR art. 7(3), 15-22, 77)."""

    WITHDRAW = "withdraw"
    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    PORTABILITY = "portability"
    OBJECTION = "objection"
    COMPLAINT = "complaint"


class EvidenceMethod(StrEnum):
    WEB_FORM = "web_form"
    PAPER = "paper"
    SPOKEN = "spoken"
    WRITTEN_RELEASE = "written_release"
    """Signed on paper or electronically, and naming what is collected, why and for how long (740 ILCS 14/10)."""
    API_ATTESTATION = "api_attestation"


class AccessKind(StrEnum):
    """What of a person somebody looked at."""

    RESULTS = "results"
    AUDIO = "audio"
    EXTERNAL_REFERENCE = "external_reference"
    EVIDENCE_ORIGIN = "evidence_origin"
    REPRESENTATIVE = "representative"
    RECEIPT = "receipt"
    SPOKEN_STATEMENT = "spoken_statement"


class ImportState(StrEnum):
    """Where an import of existing consents stands."""

    CHECKED = "checked"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    TURNED_DOWN = "turned_down"
    STOPPED = "stopped"


class BreachKind(StrEnum):
    """What a breach of security did to personal data (GDPR art. 4(12))."""

    CONFIDENTIALITY = "confidentiality"
    """Somebody saw it, or got it, who must not."""
    INTEGRITY = "integrity"
    """It was changed."""
    AVAILABILITY = "availability"
    """It was lost or destroyed, or cannot be reached."""


class BreachRisk(StrEnum):
    """What a breach means for the rights and freedoms of people (GDPR art. 33(1), 34(1))."""

    UNDETERMINED = "undetermined"
    UNLIKELY = "unlikely"
    """Unlikely to result in a risk: nobody has to be told."""
    RISK = "risk"
    HIGH = "high"


class BreachText(StrEnum):
    """What is said of a breach in words of one's own. Sealed."""

    NATURE = "nature"
    CONSEQUENCES = "consequences"
    MEASURES = "measures"
    CONTACT = "contact"
    """Where more can be learnt (art. 33(3)(b))."""
    DELAY_REASON = "delay_reason"
    """Why the authority was told after 72 hours."""
    NOT_TOLD_REASON = "not_told_reason"
    """Why the people concerned need not be told, or not one by one."""


class NotTold(StrEnum):
    """Why the people concerned are not told one by one (GDPR art. 34(3))."""

    UNINTELLIGIBLE = "unintelligible"
    """Nobody who got it can read it, as where it is sealed (a)."""
    RISK_REMOVED = "risk_removed"
    """What was done since makes the high risk unlikely (b)."""
    TOLD_PUBLICLY = "told_publicly"
    """One by one would take a disproportionate effort, and the public was told (c)."""


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
    RESTRICTED = "restricted"
    PURPOSE_UNKNOWN = "purpose_unknown"
    PURPOSE_INACTIVE = "purpose_inactive"
    SCOPE_OUTSIDE_PURPOSE = "scope_outside_purpose"
    CONTEXT_OUTSIDE_PURPOSE = "context_outside_purpose"
    CONTEXT_UNKNOWN = "context_unknown"
    NOT_GRANTED = "not_granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    USES_CONSUMED = "uses_consumed"
    REPRESENTATION_ENDED = "representation_ended"
    NOTICE_SUPERSEDED = "notice_superseded"
    RENEWAL_DUE = "renewal_due"
    RECORDED_BEFORE_CONSENT = "recorded_before_consent"
    RECORDED_IN_FUTURE = "recorded_in_future"
    LAW = "law"
    ROLE_RELABELLED = "role_relabelled"
    PARTICIPANT_UNBOUND = "participant_unbound"
    NOT_EXPLICIT = "not_explicit"
    NO_SCOPE_REQUESTED = "no_scope_requested"
