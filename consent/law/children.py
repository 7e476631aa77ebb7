"""Children: below the age of digital consent somebody with parental responsibility answers for them. No Django here."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from consent.law.places import EEA, any_may_lie_in, may_lie_in
from consent.law.terms import Case, Prohibition
from consent.vocabulary import AgeBand, Context, ParticipantRole

LEAST_AGE: Final[Mapping[AgeBand, int]] = {
    AgeBand.UNDER_13: 0,
    AgeBand.FROM_13: 13,
    AgeBand.FROM_16: 16,
    AgeBand.ADULT: 18,
}
"""The youngest that somebody of a band may be, in years. `unstated` is not there: see `_age`."""

CONSENT_AGE: Final[Mapping[str, int]] = {
    **dict.fromkeys(("BE", "DK", "EE", "FI", "GB", "IS", "LV", "MT", "NO", "PT", "SE"), 13),
    **dict.fromkeys(("AT", "BG", "CY", "ES", "IT", "LI", "LT"), 14),
    **dict.fromkeys(("CZ", "FR", "GR", "SI"), 15),
}
"""Where a member state (or the United Kingdom) chose an age below the Regulation's 16, as art. 8(1) lets it."""

DEFAULT_AGE: Final = 16
TERRITORIES: Final = EEA | {"GB"}
"""Where the Regulation holds, or the United Kingdom's, which kept the article."""


class ChildrenAreRepresented:
    """GDPR art. 8(1): below the age of digital consent, processing is lawful "only if and to the extent that consent is given or
    authorised by the holder of parental responsibility over the child".

    The highest age among the places of the recording counts; an unknown place has the Regulation's 16.
    """

    id = "gdpr-8"
    citation = "Regulation (EU) 2016/679, art. 8(1)"

    def applies(self, case: Case) -> bool:
        return case.consent is not None and any_may_lie_in(case.places, TERRITORIES)

    def verdict(self, case: Case) -> Prohibition | None:
        return _verdict(self.id, self.citation, case, _age_of_consent(case.places))


class ParentsConsentBelowThirteen:
    """COPPA (15 U.S.C. 6502(b), 16 CFR 312.5): verifiable parental consent before anything is collected from a child below 13."""

    id = "coppa-312-5"
    citation = "15 U.S.C. 6502(b); 16 CFR 312.5"

    def applies(self, case: Case) -> bool:
        return case.consent is not None and any_may_lie_in(case.places, {"US"})

    def verdict(self, case: Case) -> Prohibition | None:
        return _verdict(self.id, self.citation, case, 13)


@lru_cache(maxsize=1024)
def _age_of_consent(places: frozenset[str]) -> int:
    """The highest age among everywhere that these places may be. Remembered: it is asked for each person and scope."""
    ages = (
        CONSENT_AGE.get(territory, DEFAULT_AGE)
        for place in places
        for territory in TERRITORIES
        if may_lie_in(place, territory)
    )
    return max(ages, default=DEFAULT_AGE)


def _verdict(rule: str, citation: str, case: Case, limit: int) -> Prohibition | None:
    if case.consent is None or case.consent.represented or _age(case) >= limit:
        return None
    return Prohibition(
        rule=rule,
        citation=citation,
        message=f"the person may be younger than {limit} and answered for themself",
        remedy="Record the answer of a parent or guardian, with proof that they are; or state the age, if it is higher.",
    )


def _age(case: Case) -> int:
    """The youngest that the person may be. Nobody's age is asked for without need: unstated means adult, except where children
    are to be expected, or nobody knows where and as what the person speaks."""
    assert case.consent is not None
    if case.consent.age_band is AgeBand.UNSTATED:
        expected = case.role in (ParticipantRole.STUDENT, ParticipantRole.UNKNOWN) or case.context in (
            Context.EDUCATION,
            Context.UNKNOWN,
        )
        return 0 if expected else 18
    return LEAST_AGE[case.consent.age_band]
