"""A consent record as ISO/IEC TS 27560:2023 structures it: header, processing, parties, events; and, for a voice, scopes, evidence,
who answered. `docs/schemas/consent-record.schema.json` describes it, `linked_data` says the same in the terms of the W3C's Data
Privacy Vocabulary. Pure presentation of what is stored; nothing sealed is opened for it.
"""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from consent.law.biometrics import ILLINOIS, VoiceprintNeedsWrittenRelease
from consent.law.gdpr import SPECIAL_CATEGORIES
from consent.law.places import any_may_lie_in
from consent.models import ConsentRecord, Purpose, SpokenStatement
from consent.processing import DAYS
from consent.records import RecordView
from consent.vocabulary import RetentionClass, Scope

SCHEMA_VERSION: Final = "ISO/IEC TS 27560:2023; voxgov 1"
_RECEIPTS: Final = uuid.UUID("6f2a1c1e-5a0b-5d0e-9a5e-7a6f78676f76")
"""Namespace of the ids of receipts (RFC 9562, version 5): a record has one, and it needs no column."""

KINDS: Final[Mapping[Scope, str]] = {
    Scope.AUDIO_STORE: "recording of the voice",
    Scope.TRANSCRIBE: "words spoken, with their times",
    Scope.TRANSLATE: "words spoken, in another language",
    Scope.LANGUAGE: "language spoken",
    Scope.PROSODY: "pitch, pauses, rate and level of the voice",
    Scope.DIARIZE: "who of several speakers spoke when",
    Scope.LIVE: "the voice while it is heard",
    Scope.NONVERBAL: "sounds of the body, such as laughter or a cough",
    Scope.EMOTION: "emotion expressed by the voice",
    Scope.IDENTIFY: "voiceprint",
    Scope.ACCENT: "accent",
    Scope.AGGREGATE: "statistics over many voices",
    Scope.SHARE: "what is handed to others",
    Scope.TRAIN: "samples from which models learn",
}
"""Which kind of personal data each scope is about."""


def receipt_id(code: str) -> str:
    """The id of the receipt of a record or an ending."""
    return str(uuid.uuid5(_RECEIPTS, code))


def as_json(view: RecordView) -> dict[str, Any]:
    """The whole record, with every revision, as JSON values."""
    record = view.record
    return {
        "schema_version": SCHEMA_VERSION,
        "record_id": record.code,
        "subject_id": record.subject.code,
        "receipt_id": receipt_id(record.code),
        "processing": _processing(record),
        "parties": parties(record.purpose),
        "events": [
            {
                "id": step.code,
                "scope": step.scope,
                "time": _time(step.at),
                "state": step.state,
                "consent_type": "explicit" if record.explicit else "regular",
                "expressed_by": "subject" if record.representation is None else "representative",
                "reason": step.reason,
                "superseded_by": step.superseded_by or None,
            }
            for step in view.history
        ],
        "given_at": _time(record.given_at),
        "registered_at": _time(record.registered_at),
        "duration": duration(record),
        "covers_recorded_from": _time(record.covers_recorded_from),
        "scopes": [{"scope": s.scope, "state": s.state, "since": _time(s.since)} for s in view.scopes],
        "subject_jurisdiction": record.jurisdiction,
        "age_band": record.age_band,
        "representative": None
        if record.representation is None
        else {
            "id": record.representation.code,
            "relation": record.representation.relation,
            "proof_sha256": record.representation.proof_sha256,
        },
        "evidence": {
            "method": record.evidence_method,
            "sha256": record.evidence_sha256,
            "statement": _statement(record),
        },
        "supersedes": sorted({grant.record.code for grant in record.superseded.all()}),
    }


def duration(record: ConsentRecord) -> dict[str, Any]:
    """Until when it holds: the first of what is named. `forbidden_by`: the law that does not let it be open-ended."""
    open_ended = record.expires_at is None and not record.until_event and record.uses is None
    return {
        "until": _time(record.expires_at),
        "until_event": record.until_event or None,
        "uses": record.uses,
        "open_ended": open_ended,
        "forbidden_by": forbidden_by(record) if open_ended else [],
    }


def forbidden_by(record: ConsentRecord) -> list[str]:
    """Citations of the rules that forbid consent without an end to what this record is about, where the person is protected."""
    named = {grant.scope for grant in record.grants.all()}
    if Scope.IDENTIFY not in named or not any_may_lie_in({record.jurisdiction}, ILLINOIS):
        return []
    return [VoiceprintNeedsWrittenRelease.citation]


def parties(purpose: Purpose) -> list[dict[str, Any]]:
    """Everyone who takes part, each with an id within the record."""
    return [{"id": f"party-{number}", **party} for number, party in enumerate(purpose.parties, start=1)]


def _processing(record: ConsentRecord) -> dict[str, Any]:
    purpose, notice = record.purpose, record.notice
    controllers = [party["id"] for party in parties(purpose) if party["role"] in ("controller", "joint_controller")]
    days = DAYS[RetentionClass(purpose.retention_class)]
    return {
        "privacy_notice": {
            "id": notice.code,
            "series": notice.series.code,
            "version": notice.version,
            "language": notice.language,
            "sha256": notice.sha256,
        },
        "purpose": {"id": purpose.code, "name": purpose.name, "description": purpose.description},
        "lawful_basis": purpose.lawful_basis,
        "contexts": list(purpose.contexts),
        "personal_data": list(_personal_data(record)),
        "controllers": controllers,
        "collection_method": purpose.collection_method or record.evidence_method,
        "processing_method": purpose.processing_method,
        "processing_locations": list(purpose.processing_locations),
        "storage_locations": list(purpose.storage_locations),
        "retention_period": {"class": purpose.retention_class, "at_most": f"P{days}D"},
        "jurisdictions": list(purpose.jurisdictions),
        "third_party_recipients": list(purpose.recipients),
        "geographic_restrictions": purpose.geographic_restrictions,
        "withdrawal_method": purpose.withdrawal_method,
        "rights": list(purpose.rights),
        "supervisory_authority": purpose.supervisory_authority,
        "special_categories": any(item["special_category"] for item in _personal_data(record)),
        "high_risk": purpose.high_risk,
        "impact_assessment": purpose.dpia_reference,
        "deidentified": purpose.deidentified,
    }


def _personal_data(record: ConsentRecord) -> Iterable[dict[str, Any]]:
    for name in sorted({grant.scope for grant in record.grants.all()}):
        scope = Scope(name)
        yield {
            "scope": scope.value,
            "kind": KINDS[scope],
            "special_category": scope in SPECIAL_CATEGORIES,
            "optional": scope.value in record.purpose.optional_scopes,
        }


def _statement(record: ConsentRecord) -> dict[str, Any] | None:
    """What a spoken statement came to; None where there was none."""
    statement: SpokenStatement | None = getattr(record, "statement", None)
    if statement is None:
        return None
    return {
        "state": statement.state,
        "ratio": statement.ratio,
        "transcript_sha256": statement.transcript_sha256 or None,
        "seconds": statement.seconds,
        "model": statement.model,
    }


def _time(moment: Any) -> str | None:
    return None if moment is None else str(moment.isoformat()).replace("+00:00", "Z")
