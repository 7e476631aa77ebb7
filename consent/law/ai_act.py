"""The EU AI Act (Regulation 2024/1689): no emotion inference at work or in education, and nobody unaware of emotion recognition.

Both hold wherever a recording was made: the Act reaches whoever uses the output of a system in the Union (art. 2(1)(c)), and a
result does not know where it will be read. No Django here.
"""

from consent.law.terms import Case, Prohibition
from consent.vocabulary import Context, Ground, ParticipantRole, Scope


class NoEmotionAtWorkOrInEducation:
    """Art. 5(1)(f): no inference of emotions of a person in the areas of workplace and education, "except where the use of the
    AI system is intended to be put in place or into the market for medical or safety reasons".

    Somebody is in those areas by their role (employee, candidate, student, and an interviewer, who is at work), or by the
    context, unless the role says that they came from outside. An unknown role or context counts as inside. The exception is a
    ground that the purpose documents, with its impact assessment; no call can claim it. It covers people whose role is known:
    nobody can document a ground for they do not know whom.
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
        inside = case.role in self.inside or (case.context in self.areas and case.role not in self.outside)
        known = case.role is not ParticipantRole.UNKNOWN and case.context is not Context.UNKNOWN
        if not inside or (case.ground is not Ground.NONE and known):
            return None
        return Prohibition(
            rule=self.id,
            citation=self.citation,
            message=f"no emotion inference about a participant in the role {case.role} in the context {case.context}",
            remedy="None: consent cannot waive this rule. Leave voice.emotion out for this participant.",
            by_role=True,
        )


class PeopleAreToldBefore:
    """Art. 50(3): deployers of emotion recognition or biometric categorisation "shall inform the natural persons exposed thereto
    of the operation of the system". The time at which that was done stands with the recording and lies before it.

    The exception for detecting and investigating criminal offences is not open: nothing in voxgov is made for it.
    """

    id = "eu-ai-act-50-3"
    citation = "Regulation (EU) 2024/1689, art. 50(3)"

    scopes = frozenset({Scope.EMOTION, Scope.ACCENT})

    def applies(self, case: Case) -> bool:
        return case.scope in self.scopes

    def verdict(self, case: Case) -> Prohibition | None:
        shown = case.exposure_notice_shown_at
        if shown is not None and shown < case.recorded_at:
            return None
        when = "was not" if shown is None else "was only afterwards"
        return Prohibition(
            rule=self.id,
            citation=self.citation,
            message=f"whoever was recorded {when} told that {case.scope} would be used on them",
            remedy="Tell people before recording them, and state when: exposure_notice_shown_at, before recorded_at.",
        )
