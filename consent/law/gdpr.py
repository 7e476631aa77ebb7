"""Special-category data and data that is called de-identified: GDPR art. 9, HIPAA. No Django here."""

from typing import Final

from consent.law.terms import Case, Prohibition
from consent.vocabulary import Scope

SPECIAL_CATEGORIES: Final = frozenset({Scope.EMOTION, Scope.IDENTIFY, Scope.ACCENT, Scope.NONVERBAL})
"""Scopes whose results are, or reveal, special categories of personal data (GDPR art. 9(1))."""


class SpecialCategoriesNeedExplicitConsent:
    """GDPR art. 9(2)(a): emotion, voiceprints, accent and sounds of the body open for explicit consent only."""

    id = "gdpr-9-2-a"
    citation = "Regulation (EU) 2016/679, art. 9(1) and 9(2)(a)"

    def applies(self, case: Case) -> bool:
        return case.scope in SPECIAL_CATEGORIES and case.consent is not None

    def verdict(self, case: Case) -> Prohibition | None:
        if case.consent is None or case.consent.explicit:
            return None
        return Prohibition(
            rule=self.id,
            citation=self.citation,
            message=f"{case.scope} is special-category data and the consent recorded is not explicit",
            remedy="Ask for explicit consent and record it as a new consent.",
        )


class NothingWithAVoiceIsDeidentified:
    """HIPAA 45 CFR 164.514(b)(2)(i)(P): biometric identifiers, voice prints included, are identifiers. What holds audio or an
    embedding cannot be handed on as de-identified, whoever consented."""

    id = "hipaa-164-514-b"
    citation = "45 CFR 164.514(b)(2)(i)(P)"

    scopes = frozenset({Scope.AUDIO_STORE, Scope.IDENTIFY})

    def applies(self, case: Case) -> bool:
        return case.scope in self.scopes

    def verdict(self, case: Case) -> Prohibition | None:
        if not case.deidentified:
            return None
        return Prohibition(
            rule=self.id,
            citation=self.citation,
            message=f"{case.scope} holds an identifier and the purpose hands its results on as de-identified",
            remedy=f"None: leave {case.scope} out of a purpose that is called de-identified.",
        )
