"""Why somebody broke the glass, in words that may stand in the trail for good."""

from enum import StrEnum


class Cause(StrEnum):
    INCIDENT = "incident"
    LEGAL_ORDER = "legal_order"
    PERSON_AT_RISK = "person_at_risk"
    RECOVERY = "recovery"
    OTHER = "other"
