"""Voiceprints under the Illinois Biometric Information Privacy Act (740 ILCS 14), and caps on how long they are kept.

Each rule holds wherever a participant may be in Illinois, whoever of them it is about. No Django here.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from consent.inventory import Category
from consent.law.places import any_may_lie_in
from consent.law.terms import Case, Prohibition
from consent.vocabulary import EvidenceMethod, Scope

ILLINOIS: Final = frozenset({"US-IL"})
TEXAS: Final = frozenset({"US-TX"})


class _Voiceprint:
    """What the three rules on making a voiceprint share: when they apply. Telling speakers apart compares templates of all who may
    be heard on a channel, for seconds only; the Act does not say that seconds are too short."""

    def applies(self, case: Case) -> bool:
        makes_one = case.scope is Scope.IDENTIFY or (case.scope is Scope.DIARIZE and not case.alone)
        return makes_one and any_may_lie_in(case.places, ILLINOIS)


class VoiceprintNeedsWrittenRelease(_Voiceprint):
    """740 ILCS 14/15(b): nobody's biometric identifier is collected unless they were told in writing "the specific purpose and
    length of term" and gave a written release. A consent without an end names no term."""

    id = "bipa-15-b"
    citation = "740 ILCS 14/15(b)"

    def applies(self, case: Case) -> bool:
        return super().applies(case) and case.consent is not None

    def verdict(self, case: Case) -> Prohibition | None:
        assert case.consent is not None
        if case.consent.method is not EvidenceMethod.WRITTEN_RELEASE:
            missing = "without a written release"
        elif case.consent.open_ended:
            missing = "for a term that the release does not name"
        else:
            return None
        return Prohibition(
            rule=self.id,
            citation=self.citation,
            message=f"a voiceprint would be made {missing}",
            remedy="Record a consent with evidence method written_release that says until when it holds.",
        )


class VoiceprintNeedsPublicSchedule(_Voiceprint):
    """740 ILCS 14/15(a): whoever holds biometric identifiers must have a retention schedule "made available to the public"
    before."""

    id = "bipa-15-a"
    citation = "740 ILCS 14/15(a)"

    def verdict(self, case: Case) -> Prohibition | None:
        if case.schedule_published:
            return None
        return Prohibition(
            rule=self.id,
            citation=self.citation,
            message="no retention schedule is published, and a voiceprint may not be made before it is",
            remedy="Publish the project's retention schedule.",
        )


class NobodyElsesVoiceprint(_Voiceprint):
    """740 ILCS 14/15(b): a voiceprint of somebody who did not release it is not made, not even to leave that person out. On a
    shared channel telling the voices apart would make one, so the analysis is denied rather than masked."""

    id = "bipa-15-b-others"
    citation = "740 ILCS 14/15(b)"

    def verdict(self, case: Case) -> Prohibition | None:
        if all(companion.consents or not companion.shares_a_channel for companion in case.companions):
            return None
        return Prohibition(
            rule=self.id,
            citation=self.citation,
            message="somebody on the same channel released no voiceprint, and telling the voices apart would make one",
            remedy="Submit the recording with one channel per participant, or record the other person's written release.",
        )


@dataclass(frozen=True, slots=True)
class Cap:
    """The longest that the law lets a category of data be kept, in days from when it was made."""

    rule: str
    citation: str
    category: Category
    territories: frozenset[str]
    days: int


CAPS: Final = (
    Cap("bipa-15-a", "740 ILCS 14/15(a)", Category.VOICEPRINTS, ILLINOIS, 3 * 365),
    Cap("cubi-503-001-c", "Tex. Bus. & Com. Code 503.001(c)(3)", Category.VOICEPRINTS, TEXAS, 365),
)
"""Illinois counts its three years from the last interaction and Texas its one from the end of the purpose. Both come after the
voiceprint was made, so that counting from then on is within either."""


def is_capped(category: Category) -> bool:
    """Whether any law caps the category anywhere."""
    return any(cap.category is category for cap in CAPS)


def caps(category: Category, places: Collection[str]) -> tuple[Cap, ...]:
    """The caps on a category where people may be in these places, the shortest first. No place at all is as good as `unknown`."""
    found = (cap for cap in CAPS if cap.category is category and any_may_lie_in(places, cap.territories))
    return tuple(sorted(found, key=lambda cap: cap.days))
