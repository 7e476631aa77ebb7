"""The law as rules: small objects, each with an id, its citation and one verb. A rule that says no outranks every grant.

Rules see roles, context and scope, never who somebody is. `unknown` is judged by the strictest reading. No Django here.
"""

from dataclasses import dataclass
from typing import Protocol

from consent.vocabulary import Context, ParticipantRole, Scope

RULE_SET_VERSION = "2026-11-1"
"""Moves whenever a rule changes; each Decision names the version it was judged by."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a rule judges: one participant, one scope."""

    scope: Scope
    role: ParticipantRole
    context: Context
    jurisdiction: str
    explicit: bool | None
    """Whether the grant in force is explicit consent; None when there is no grant in force."""


@dataclass(frozen=True, slots=True)
class Prohibition:
    """A rule's no: which rule, where it stands in law, and what would have to change."""

    rule: str
    citation: str
    message: str
    remedy: str


class Rule(Protocol):
    """One rule of law. `verdict` returns None where the rule has nothing against it."""

    id: str
    citation: str

    def applies(self, case: Case) -> bool: ...

    def verdict(self, case: Case) -> Prohibition | None: ...


class NoEmotionAtWorkOrInEducation:
    """EU AI Act (Regulation 2024/1689) art. 5(1)(f): no inference of emotions of a person in the areas of workplace and
    education. The medical and safety exception is not open in this version, so the rule has no way around it.

    Somebody is in those areas by their role (employee, candidate, student, and an interviewer, who is at work), or by the
    context, unless the role says that they came from outside. An unknown role or context counts as inside.
    """

    id = "eu-ai-act-5-1-f"
    citation = "Regulation (EU) 2024/1689, art. 5(1)(f)"

    inside = frozenset(
        {
            ParticipantRole.EMPLOYEE,
            ParticipantRole.CANDIDATE,
            ParticipantRole.STUDENT,
            ParticipantRole.INTERVIEWER,
            ParticipantRole.UNKNOWN,
        }
    )
    outside = frozenset({ParticipantRole.CUSTOMER, ParticipantRole.PATIENT, ParticipantRole.CALLER})
    areas = frozenset({Context.EMPLOYMENT, Context.EDUCATION, Context.UNKNOWN})

    def applies(self, case: Case) -> bool:
        return case.scope is Scope.EMOTION

    def verdict(self, case: Case) -> Prohibition | None:
        if case.role in self.inside or (case.context in self.areas and case.role not in self.outside):
            return Prohibition(
                rule=self.id,
                citation=self.citation,
                message=f"no emotion inference about a participant in the role {case.role} in the context {case.context}",
                remedy="None: consent cannot waive this rule. Leave voice.emotion out for this participant.",
            )
        return None


class SpecialCategoriesNeedExplicitConsent:
    """GDPR art. 9(2)(a): emotion, voiceprints, accent and sounds of the body open for explicit consent only."""

    id = "gdpr-9-2-a"
    citation = "Regulation (EU) 2016/679, art. 9(1) and 9(2)(a)"

    scopes = frozenset({Scope.EMOTION, Scope.IDENTIFY, Scope.ACCENT, Scope.NONVERBAL})

    def applies(self, case: Case) -> bool:
        return case.scope in self.scopes and case.explicit is not None

    def verdict(self, case: Case) -> Prohibition | None:
        if case.explicit:
            return None
        return Prohibition(
            rule=self.id,
            citation=self.citation,
            message=f"{case.scope} is special-category data and the consent recorded is not explicit",
            remedy="Ask for explicit consent and record it as a new consent.",
        )


RULES: tuple[Rule, ...] = (NoEmotionAtWorkOrInEducation(), SpecialCategoriesNeedExplicitConsent())


def prohibitions(case: Case) -> list[Prohibition]:
    """Every rule's objection to the case, in the order of `RULES`."""
    return [found for rule in RULES if rule.applies(case) and (found := rule.verdict(case)) is not None]
