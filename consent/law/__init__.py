"""The law as rules: small objects, each with an id, its citation and one verb. A rule that says no outranks every grant.

Here is the rule set and how a case is judged by it. What rules are asked and answer is in `terms`, where they hold in `places`,
and the rules by their source in the other modules. Rules see roles, places and how consent was given, never who somebody is;
`unknown` is judged by the strictest reading. No Django here.
"""

from collections.abc import Collection, Mapping
from typing import Final

from consent.law.ai_act import NoEmotionAtWorkOrInEducation, PeopleAreToldBefore
from consent.law.biometrics import NobodyElsesVoiceprint, VoiceprintNeedsPublicSchedule, VoiceprintNeedsWrittenRelease
from consent.law.children import ChildrenAreRepresented, ParentsConsentBelowThirteen
from consent.law.gdpr import NothingWithAVoiceIsDeidentified, SpecialCategoriesNeedExplicitConsent
from consent.law.own import OWN_RULES, OwnRule
from consent.law.recording import EveryoneAgreesToKeeping
from consent.law.terms import Case, Companion, Consent, Obligation, Prohibition, Rule

RULE_SET_VERSION: Final = "2026-11-5"
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

OWN: Final[Mapping[str, OwnRule]] = {rule.id: rule for rule in OWN_RULES}
"""Rules about a participant alone that a project may lay upon itself besides, by their ids."""

CITATIONS: Final = {rule.id: rule.citation for rule in (*RULES, *GROUP_RULES, *OWN_RULES)}
"""Where each rule stands, by its id."""

__all__ = (
    "CITATIONS",
    "GROUP_RULES",
    "OWN",
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
    "rule_set_name",
    "with_own",
)


def rule_set_name(own_version: int) -> str:
    """What decisions call the rules they were judged by: the version of the law's and, where there are any, of the project's."""
    return f"{RULE_SET_VERSION}+{own_version}" if own_version else RULE_SET_VERSION


def with_own(own: Collection[str]) -> tuple[Rule, ...]:
    """The rules about a participant alone, with those of a project. Raises `KeyError` for one that this version does not know: what
    cannot be judged is not allowed."""
    return (*RULES, *(OWN[rule] for rule in own)) if own else RULES


def judge(case: Case, rules: tuple[Rule, ...]) -> list[Prohibition | Obligation]:
    """What the rules say about the case, in their order; nothing where none has anything against it."""
    return [found for rule in rules if rule.applies(case) and (found := rule.verdict(case)) is not None]


def asked(case: Case, rules: tuple[Rule, ...] = RULES) -> list[Rule]:
    """The rules that have a say in such a case, whatever they say: of these and of those about groups."""
    return [rule for rule in (*rules, *GROUP_RULES) if rule.applies(case)]
