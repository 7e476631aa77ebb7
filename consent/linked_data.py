"""A consent record as JSON-LD in the terms of the W3C's Data Privacy Vocabulary (DPV 2, profile dpv-27560). No Django here.

What DPV has no term for keeps its own name under `voxgov:`, so that nothing of the record is lost. Codes of the record become
`urn:uuid:` identifiers; nothing is fetched to read it.
"""

from collections.abc import Mapping
from typing import Any, Final

MEDIA_TYPE: Final = "application/ld+json"
CONTEXT: Final = {
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "loc": "https://w3id.org/dpv/loc#",
    "dct": "http://purl.org/dc/terms/",
    "schema": "https://schema.org/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "voxgov": "urn:voxgov:term:",
    "dct:created": {"@type": "xsd:dateTime"},
    "dpv:isIndicatedAtTime": {"@type": "xsd:dateTime"},
}
PROFILE: Final = "https://w3id.org/dpv/schema/dpv-27560#record"

STATUS: Final[Mapping[str, str]] = {
    "requested": "dpv:ConsentRequested",
    "deferred": "dpv:ConsentRequestDeferred",
    "given": "dpv:ConsentGiven",
    "refused": "dpv:ConsentRefused",
    "withdrawn": "dpv:ConsentWithdrawn",
    "expired": "dpv:ConsentExpired",
    "invalidated": "dpv:ConsentInvalidated",
    "superseded": "dpv:ConsentStatusInvalidForProcessing",
    "renewal_due": "dpv:ConsentStatusInvalidForProcessing",
}
"""States of a grant. DPV knows no name for superseded and renewal due: what it says of both is that nothing may rest on them."""

LEGAL_BASES: Final[Mapping[str, str]] = {
    "consent": "eu-gdpr:A6-1-a",
    "contract": "eu-gdpr:A6-1-b",
    "legal_obligation": "eu-gdpr:A6-1-c",
    "vital_interests": "eu-gdpr:A6-1-d",
    "public_task": "eu-gdpr:A6-1-e",
    "legitimate_interests": "eu-gdpr:A6-1-f",
}
EXPLICIT: Final = "eu-gdpr:A9-2-a"

RIGHTS: Final[Mapping[str, str]] = {
    "withdraw": "eu-gdpr:A7-3",
    "access": "eu-gdpr:A15",
    "rectification": "eu-gdpr:A16",
    "erasure": "eu-gdpr:A17",
    "restriction": "eu-gdpr:A18",
    "portability": "eu-gdpr:A20",
    "objection": "eu-gdpr:A21",
    "complaint": "eu-gdpr:A77",
}
PARTY_ROLES: Final[Mapping[str, str]] = {
    "controller": "dpv:DataController",
    "joint_controller": "dpv:JointDataControllers",
    "processor": "dpv:DataProcessor",
    "data_protection_officer": "dpv:DataProtectionOfficer",
    "controller_representative": "dpv:Representative",
}


def as_linked_data(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record of `iso27560.as_json` as JSON-LD."""
    processing = record["processing"]
    basis = [LEGAL_BASES[processing["lawful_basis"]]]
    if any(event["consent_type"] == "explicit" for event in record["events"]):
        basis.append(EXPLICIT)
    return {
        "@context": CONTEXT,
        "@id": _urn(record["record_id"]),
        "@type": "dpv:ConsentRecord",
        "dct:identifier": record["record_id"],
        "dct:conformsTo": PROFILE,
        "dct:created": record["registered_at"],
        "dpv:hasDataSubject": {"@id": _urn(record["subject_id"]), "@type": "dpv:DataSubject"},
        "dpv:hasDataController": [{"@id": f"_:{party}"} for party in processing["controllers"]],
        "dpv:hasEntity": [_party(party) for party in record["parties"]],
        "dpv:hasLegalBasis": basis,
        "dpv:hasJurisdiction": [_place(place) for place in processing["jurisdictions"]],
        "dpv:hasNotice": _notice(processing["privacy_notice"]),
        "dpv:hasProcess": _process(record),
        "dpv:hasConsentStatus": [_event(event) for event in record["events"]],
        "dpv:hasDuration": _durations(record["duration"]),
        "dpv:hasRight": [RIGHTS[right] for right in processing["rights"]],
        "dpv:hasAuthority": processing["supervisory_authority"] or None,
        "voxgov:withdrawalMethod": processing["withdrawal_method"],
        "voxgov:subjectJurisdiction": _place(record["subject_jurisdiction"]),
        "voxgov:ageBand": record["age_band"],
        "voxgov:representative": record["representative"],
        "voxgov:evidence": record["evidence"],
        "voxgov:coversRecordedFrom": record["covers_recorded_from"],
        "voxgov:givenAt": record["given_at"],
        "voxgov:receipt": record["receipt_id"],
        "dct:replaces": [{"@id": _urn(code)} for code in record["supersedes"]],
    }


def _urn(code: str) -> str:
    return f"urn:uuid:{code}"


def _place(place: str) -> str:
    return "voxgov:unknownPlace" if place == "unknown" else f"loc:{place}"


def _party(party: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@id": f"_:{party['id']}",
        "@type": PARTY_ROLES[party["role"]],
        "dpv:hasName": party["name"],
        "dpv:hasAddress": party["address"],
        "dpv:hasContact": party["contact"],
        "voxgov:partyType": party["type"],
    }


def _notice(notice: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@id": _urn(notice["id"]),
        "@type": "dpv:ConsentNotice",
        "dct:language": notice["language"],
        "schema:version": str(notice["version"]),
        "dct:isVersionOf": {"@id": _urn(notice["series"])},
        "voxgov:sha256": notice["sha256"],
    }


def _process(record: Mapping[str, Any]) -> dict[str, Any]:
    processing = record["processing"]
    purpose = processing["purpose"]
    return {
        "@type": "dpv:Process",
        "dpv:hasPurpose": {
            "@id": _urn(purpose["id"]),
            "@type": "dpv:Purpose",
            "dct:title": purpose["name"],
            "dct:description": purpose["description"],
        },
        "dpv:hasContext": [f"voxgov:context-{context}" for context in processing["contexts"]],
        "dpv:hasPersonalData": [
            {
                "@id": f"voxgov:scope-{item['scope']}",
                "@type": "dpv:SpecialCategoryPersonalData" if item["special_category"] else "dpv:PersonalData",
                "dct:description": item["kind"],
                "dpv:hasNecessity": "dpv:Optional" if item["optional"] else "dpv:Required",
                "dpv:hasDataSource": "dpv:DataSubjectDataSource",
            }
            for item in processing["personal_data"]
        ],
        "dpv:hasRecipient": processing["third_party_recipients"],
        "dpv:hasStorageCondition": [
            {"@type": "dpv:StorageLocation", "dpv:hasLocation": [_place(p) for p in processing["storage_locations"]]},
            {"@type": "dpv:StorageDuration", "dpv:hasDuration": processing["retention_period"]["at_most"]},
        ],
        "dpv:hasLocation": [_place(place) for place in processing["processing_locations"]],
        "dpv:hasImpactAssessment": processing["impact_assessment"] or None,
        "voxgov:collectionMethod": processing["collection_method"],
        "voxgov:processingMethod": processing["processing_method"] or None,
        "voxgov:geographicRestrictions": processing["geographic_restrictions"] or None,
        "voxgov:deidentified": processing["deidentified"],
    }


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@id": _urn(event["id"]),
        "@type": STATUS[event["state"]],
        "dpv:isIndicatedAtTime": event["time"],
        "dpv:isIndicatedBy": "dpv:DataSubject" if event["expressed_by"] == "subject" else "dpv:Representative",
        "voxgov:scope": f"voxgov:scope-{event['scope']}",
        "voxgov:state": event["state"],
        "voxgov:consentType": event["consent_type"],
        "voxgov:supersededBy": None if event["superseded_by"] is None else {"@id": _urn(event["superseded_by"])},
    }


def _durations(duration: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if duration["until"]:
        found.append({"@type": "dpv:UntilTimeDuration", "dct:date": duration["until"]})
    if duration["until_event"]:
        found.append({"@type": "dpv:UntilEventDuration", "dct:description": duration["until_event"]})
    if duration["uses"]:
        found.append({"@type": "dpv:FixedOccurrencesDuration", "voxgov:uses": duration["uses"]})
    return found or [{"@type": "dpv:IndeterminateDuration", "voxgov:forbiddenBy": duration["forbidden_by"]}]
