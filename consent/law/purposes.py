"""What the law asks of a purpose before it may be opened. Judged when the purpose is made or opened; what it then permits is for
the rules on participants. No Django here.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol

from consent.law.gdpr import SPECIAL_CATEGORIES, NothingWithAVoiceIsDeidentified
from consent.vocabulary import Context, Ground, Scope


@dataclass(frozen=True, slots=True)
class Plan:
    """A purpose as the law sees it."""

    scopes: frozenset[Scope]
    contexts: frozenset[Context]
    ground: Ground
    deidentified: bool
    dpia_reference: str


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a purpose cannot be opened: the field that is wrong, and the rule."""

    field: str
    rule: str
    citation: str
    message: str


class PurposeRule(Protocol):
    """One rule of law about purposes; None means that it has nothing against this one."""

    id: str
    citation: str

    def verdict(self, plan: Plan) -> Objection | None: ...


VULNERABLE: Final = frozenset({Context.HEALTHCARE, Context.EMPLOYMENT, Context.EDUCATION})
"""Contexts in which people depend on whoever asks them (WP 248 rev.01, criterion 7)."""


def is_high_risk(scopes: Collection[Scope], contexts: Collection[Context]) -> bool:
    """GDPR art. 35(3)(b) and WP 248: special categories, or people who depend on whoever listens to them with new technology."""
    return bool(SPECIAL_CATEGORIES & set(scopes)) or bool(VULNERABLE & set(contexts))


class HighRiskNeedsImpactAssessment:
    """GDPR art. 35(1): an assessment is carried out "prior to the processing"."""

    id = "gdpr-35"
    citation = "Regulation (EU) 2016/679, art. 35(1) and 35(3)(b)"

    def verdict(self, plan: Plan) -> Objection | None:
        if plan.dpia_reference or not is_high_risk(plan.scopes, plan.contexts):
            return None
        return Objection(
            "dpia_reference",
            self.id,
            self.citation,
            "a high-risk purpose names its data protection impact assessment before it is opened",
        )


class GroundIsDocumented:
    """EU AI Act art. 5(1)(f): who relies on medical or safety reasons documents them; the assessment is where they stand."""

    id = "eu-ai-act-5-1-f-ground"
    citation = "Regulation (EU) 2024/1689, art. 5(1)(f)"

    def verdict(self, plan: Plan) -> Objection | None:
        if plan.ground is Ground.NONE or plan.dpia_reference:
            return None
        message = (
            f"emotion at work or in education for {plan.ground} reasons rests on an assessment that documents them"
        )
        return Objection("dpia_reference", self.id, self.citation, message)


class NothingDeidentifiedHoldsAVoice:
    """The same as for participants, said when the purpose is made."""

    id = NothingWithAVoiceIsDeidentified.id
    citation = NothingWithAVoiceIsDeidentified.citation

    def verdict(self, plan: Plan) -> Objection | None:
        held = sorted(plan.scopes & NothingWithAVoiceIsDeidentified.scopes)
        if not plan.deidentified or not held:
            return None
        return Objection("deidentified", self.id, self.citation, f"{', '.join(held)} cannot be called de-identified")


PURPOSE_RULES: Final[tuple[PurposeRule, ...]] = (
    HighRiskNeedsImpactAssessment(),
    GroundIsDocumented(),
    NothingDeidentifiedHoldsAVoice(),
)


def objections(plan: Plan) -> list[Objection]:
    """What stands against opening the purpose, in the order of `PURPOSE_RULES`."""
    return [found for rule in PURPOSE_RULES if (found := rule.verdict(plan)) is not None]
