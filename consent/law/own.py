"""Rules that a project may lay upon itself besides the law. Each only forbids, so that choosing one can open nothing, and none of
the law's can be chosen away. No Django here.
"""

from typing import Final

from consent.law.gdpr import SPECIAL_CATEGORIES
from consent.law.terms import Case, Prohibition
from consent.vocabulary import Context, EvidenceMethod, ParticipantRole, Scope

_CITATION: Final = "the project's own rule"


class ExplicitConsentToEverything:
    """Consent that is not explicit opens nothing, whatever the scope."""

    id = "own-explicit"
    citation = _CITATION
    summary = "Only explicit consent opens anything."

    def applies(self, case: Case) -> bool:
        return case.consent is not None

    def verdict(self, case: Case) -> Prohibition | None:
        if case.consent is None or case.consent.explicit:
            return None
        message = f"the consent recorded for {case.scope} is not explicit"
        return Prohibition(self.id, self.citation, message, "Ask for explicit consent and record it as a new consent.")


class ConsentNamesAnEnd:
    """Consent that names no time, no event and no number of recordings opens nothing."""

    id = "own-end"
    citation = _CITATION
    summary = "Consent without an end opens nothing."

    def applies(self, case: Case) -> bool:
        return case.consent is not None

    def verdict(self, case: Case) -> Prohibition | None:
        if case.consent is None or not case.consent.open_ended:
            return None
        message = f"the consent recorded for {case.scope} names no end"
        return Prohibition(self.id, self.citation, message, "Record a consent that says until when it holds.")


class EvidenceBesidesAttestation:
    """For special categories it is not enough that a program says that somebody consented."""

    id = "own-evidence"
    citation = _CITATION
    summary = "Special categories need evidence besides a program's attestation."

    def applies(self, case: Case) -> bool:
        return case.scope in SPECIAL_CATEGORIES and case.consent is not None

    def verdict(self, case: Case) -> Prohibition | None:
        if case.consent is None or case.consent.method is not EvidenceMethod.API_ATTESTATION:
            return None
        message = f"the only evidence of consent to {case.scope} is a program's attestation"
        remedy = "Record a consent with a form, a paper, a release or a spoken statement as its evidence."
        return Prohibition(self.id, self.citation, message, remedy)


class NobodyUnknown:
    """An unknown role or context opens nothing."""

    id = "own-known"
    citation = _CITATION
    summary = "Nothing is done about somebody whose role or context is unknown."

    def applies(self, case: Case) -> bool:
        return True

    def verdict(self, case: Case) -> Prohibition | None:
        if case.role is not ParticipantRole.UNKNOWN and case.context is not Context.UNKNOWN:
            return None
        return Prohibition(self.id, self.citation, "the role or the context is unknown", "Name both.")


class NoEmotion:
    """No emotion inference, whoever consented."""

    id = "own-no-emotion"
    citation = _CITATION
    summary = "No emotion inference about anybody."

    def applies(self, case: Case) -> bool:
        return case.scope is Scope.EMOTION

    def verdict(self, case: Case) -> Prohibition | None:
        remedy = "None: leave voice.emotion out."
        return Prohibition(self.id, self.citation, "this project infers no emotion about anybody", remedy)


OwnRule = ExplicitConsentToEverything | ConsentNamesAnEnd | EvidenceBesidesAttestation | NobodyUnknown | NoEmotion
OWN_RULES: Final[tuple[OwnRule, ...]] = (
    ExplicitConsentToEverything(),
    ConsentNamesAnEnd(),
    EvidenceBesidesAttestation(),
    NobodyUnknown(),
    NoEmotion(),
)
"""What there is to choose from."""
