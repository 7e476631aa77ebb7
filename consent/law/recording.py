"""Recording and keeping a conversation: where everyone in it must agree, and where one voice can be left out. No Django here."""

from typing import Final

from consent.law.places import all_lie_in
from consent.law.terms import Case, Obligation, Prohibition
from consent.vocabulary import ObligationKind, Scope

ONE_PARTY: Final = frozenset(
    {
        *("CA", "GB", "IE", "NZ"),
        *(
            f"US-{state}"
            for state in (
                *("AK", "AL", "AR", "AZ", "CO", "DC", "GA", "HI", "IA", "ID", "IN", "KS", "KY", "LA", "ME", "MN", "MO"),
                *("MS", "NC", "ND", "NE", "NJ", "NM", "NY", "OH", "OK", "RI", "SC", "SD", "TN", "TX", "UT", "VA", "VT"),
                *("WI", "WV", "WY"),
            )
        ),
    }
)
"""Where the consent of one party is known to suffice for recording. Everywhere else, and where nobody knows, all must agree."""


class EveryoneAgreesToKeeping:
    """All-party consent to keeping a recording (Cal. Penal Code 632, 720 ILCS 5/14, Fla. Stat. 934.03, StGB 201 and others); one
    participant who did not agree refuses it for all. Where every place lets one party decide (18 U.S.C. 2511(2)(d) and state
    law), the recording is kept without that person's voice, if their channels are theirs alone or if whoever is kept can be told
    from them by voiceprint.

    The rule is about keeping audio. Analysis is judged for each participant by the other rules.
    """

    id = "all-party-consent"
    citation = "Cal. Penal Code 632; 720 ILCS 5/14-2; StGB 201; 18 U.S.C. 2511(2)(d)"

    def applies(self, case: Case) -> bool:
        return case.scope is Scope.AUDIO_STORE

    def verdict(self, case: Case) -> Prohibition | Obligation | None:
        against = [companion for companion in case.companions if not companion.consents]
        if not case.consents:
            # Leaving this one out is possible only where something of somebody else is left to keep.
            others = any(companion.consents for companion in case.companions)
            if others and case.maskable and all_lie_in(case.places, ONE_PARTY):
                return Obligation(self.id, self.citation, ObligationKind.MASK, case.position, case.scope)
            return None
        if not against:
            return None
        if all_lie_in(case.places, ONE_PARTY):
            if all(one.maskable or (case.apart and one.shares_a_channel) for one in against):
                return None
            message = (
                "somebody on a shared channel did not agree to the recording being kept, and cannot be left out of it"
            )
        else:
            message = "somebody in the recording did not agree to its being kept, and where it was made everyone must"
        return Prohibition(
            rule=self.id,
            citation=self.citation,
            message=message,
            remedy="Record the consent of everyone in the recording, or leave audio.store out.",
        )
