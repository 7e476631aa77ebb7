"""The law as rules: small objects, each with an id, its citation and one verb. A rule that says no outranks every grant.

Here is the rule set and how a case is judged by it. What rules are asked and answer is in `terms`, where they hold in `places`,
and the rules by their source in the other modules. Rules see roles, places and how consent was given, never who somebody is;
`unknown` is judged by the strictest reading. No Django here.
"""

from typing import Final

from consent.law.ai_act import NoEmotionAtWorkOrInEducation, PeopleAreToldBefore
from consent.law.biometrics import NobodyElsesVoiceprint, VoiceprintNeedsPublicSchedule, VoiceprintNeedsWrittenRelease
from consent.law.children import ChildrenAreRepresented, ParentsConsentBelowThirteen
from consent.law.gdpr import NothingWithAVoiceIsDeidentified, SpecialCategoriesNeedExplicitConsent
from consent.law.recording import EveryoneAgreesToKeeping
from consent.law.terms import Case, Companion, Consent, Obligation, Prohibition, Rule

RULE_SET_VERSION: Final = "2026-11-2"
"""Moves whenever a rule changes; each Decision names the version it was judged by."""

RULES: Final[tuple[Rule, ...]] = (
    NoEmotionAtWorkOrInEducation(),
    PeopleAreToldBefore(),
    SpecialCategoriesNeedExplicitConsent(),
    NothingWithAVoiceIsDeidentified(),
    ChildrenAreRepresented(),
    ParentsConsentBelowThirteen(),
    VoiceprintNeedsWrittenRelease(),
    VoiceprintNeedsPublicSchedule(),
)
"""Rules about a participant alone."""

GROUP_RULES: Final[tuple[Rule, ...]] = (EveryoneAgreesToKeeping(), NobodyElsesVoiceprint())
"""Rules about a participant among others: judged once it is known what the first say about each of them."""

CITATIONS: Final = {rule.id: rule.citation for rule in (*RULES, *GROUP_RULES)}
"""Where each rule stands, by its id."""

__all__ = (
    "CITATIONS",
    "GROUP_RULES",
    "RULES",
    "RULE_SET_VERSION",
    "Case",
    "Companion",
    "Consent",
    "Obligation",
    "Prohibition",
    "Rule",
    "asked",
    "judge",
)


def judge(case: Case, rules: tuple[Rule, ...]) -> list[Prohibition | Obligation]:
    """What the rules say about the case, in their order; nothing where none has anything against it."""
    return [found for rule in rules if rule.applies(case) and (found := rule.verdict(case)) is not None]


def asked(case: Case) -> list[Rule]:
    """The rules that have a say in such a case, whatever they say."""
    return [rule for rule in (*RULES, *GROUP_RULES) if rule.applies(case)]
