"""How a question to the gate is judged from the facts: what is missing, what the law says, who can be heard alone. Pure.

Default deny: a pair of participant and scope is granted only when every check passes. What is missing for each pair comes first,
then the rules about each participant alone, then those about participants among others, which need to know the first two.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from consent import binding, law
from consent.facts import Facts, PairFacts, PurposeFacts
from consent.law import Case, Companion, Consent, Obligation, Prohibition
from consent.law.places import UNKNOWN
from consent.verdicts import Denial, GateRequest, Granted, Participant, Verdict
from consent.vocabulary import (
    HOLDS,
    AgeBand,
    Context,
    DenialReason,
    EvidenceMethod,
    GrantState,
    Ground,
    ObligationKind,
    ParticipantRole,
    Scope,
)

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far in the future a recording time may lie before it is disbelieved."""

ABSENCES: Final = frozenset(
    {
        DenialReason.NOT_GRANTED,
        DenialReason.REFUSED,
        DenialReason.WITHDRAWN,
        DenialReason.EXPIRED,
        DenialReason.USES_CONSUMED,
        DenialReason.REPRESENTATION_ENDED,
        DenialReason.NOTICE_SUPERSEDED,
        DenialReason.RENEWAL_DUE,
        DenialReason.RECORDED_BEFORE_CONSENT,
    }
)
"""Reasons that come down to this person's consent not being there: an obligation to leave their voice out answers them."""

_VOICES_APART: Final = "voices-apart"
_MINIMISATION: Final = "Regulation (EU) 2016/679, art. 5(1)(c)"
"""What obliges to leave out, before anything is heard, whoever did not consent: no more is processed than consent covers."""

_RECORD_NEW: Final = "Record a new consent for this scope and purpose."


@dataclass(frozen=True, slots=True)
class _Missing:
    """The first thing that a pair lacks, law aside."""

    reason: DenialReason
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """One participant and one scope on the way to an answer."""

    person: Participant
    scope: Scope
    facts: PairFacts | None
    missing: _Missing | None
    case: Case
    prohibitions: tuple[Prohibition, ...] = ()
    obligation: Obligation | None = None

    @property
    def consents(self) -> bool:
        return self.missing is None and not self.prohibitions

    @property
    def is_only_absent(self) -> bool:
        """Whether nothing but this person's consent is not there, so that leaving them out answers it."""
        return self.missing is not None and self.missing.reason in ABSENCES and not self.prohibitions

    @property
    def may_be_left_out(self) -> bool:
        """Whether their voice may be told from somebody else's to be silenced: not where nothing may be done with it at all."""
        return self.missing is None or self.missing.reason in ABSENCES


def judge(request: GateRequest, facts: Facts) -> Verdict:
    """The whole answer to a request, from what is recorded now."""
    granted: list[Granted] = []
    denials: list[Denial] = []
    if not request.scopes or not request.participants:
        message = "no participant or no scope was named"
        denials.append(Denial("", "", DenialReason.NO_SCOPE_REQUESTED, message, "Name at least one."))
    # Where somebody is protected counts too, whatever the recording says; an unknown there adds nothing to what it says.
    places = request.places | (facts.places - {UNKNOWN})
    pairs = {}
    for asked in _asked(request):
        pair = _alone(request, facts, places, asked)
        pairs[pair.person.subject, pair.scope] = pair
    # Voiceprints first: whose voice may be told apart by one decides how a recording may be kept.
    voices = [pair for pair in pairs.values() if pair.scope is Scope.IDENTIFY]
    pairs.update(_among_others(request, voices, frozenset()))
    apart = frozenset(
        person.subject for person in request.participants if _is_told_apart(request, facts, pairs, person.subject)
    )
    pairs.update(_among_others(request, [pair for pair in pairs.values() if pair.scope is not Scope.IDENTIFY], apart))
    for pair in pairs.values():
        if pair.consents and pair.facts is not None:
            uses = None if pair.facts.used_here else pair.facts.uses
            granted.append(Granted(pair.person.subject, pair.scope, pair.facts.grant, pair.facts.record, uses))
    unbound, duties = _on_shared_channels(request, pairs, granted, apart)
    left_out = {(request.participants[duty.participant].subject, duty.scope) for duty in duties if _masks(duty)}
    for key, pair in pairs.items():
        if not (key in left_out and pair.is_only_absent):
            denials.extend(_denials(pair))
    denials.extend(unbound)
    shut = {(denial.subject, denial.scope) for denial in unbound}
    granted = [pair for pair in granted if (pair.subject, pair.scope.value) not in shut]
    rests_on = [pairs[pair.subject, pair.scope] for pair in granted]
    obligations = [pair.obligation for pair in pairs.values() if pair.obligation is not None]
    return Verdict(
        request=request,
        granted=tuple(granted),
        denials=tuple(denials),
        obligations=tuple(dict.fromkeys([*obligations, *duties])),
        rules=frozenset(rule.id for pair in rests_on for rule in law.asked(pair.case, law.with_own(facts.own_rules))),
        rule_set=law.rule_set_name(facts.own_rules_version),
        consent_epochs=facts.consent_epochs,
        policy_epoch=facts.policy_epoch,
        organization=facts.organization,
        project_code=facts.project_code,
        judged_at=facts.now,
        valid_until=min((end for pair in rests_on for end in _ends(pair.facts)), default=None),
        erased=frozenset(subject for (subject, _), pair in facts.pairs.items() if pair.erased),
    )


def _asked(request: GateRequest) -> Iterator[tuple[int, Participant, Scope]]:
    for position, person in enumerate(request.participants):
        for scope in request.scopes:
            yield position, person, scope


def _alone(request: GateRequest, facts: Facts, places: frozenset[str], asked: tuple[int, Participant, Scope]) -> _Pair:
    """What is missing for a pair, and besides it every rule of law that would deny in any case."""
    position, person, scope = asked
    known = facts.pair(person.subject, scope.value)
    missing = (
        _nobody_to_hear(known)
        or _outside_purpose(request, scope, facts.purpose)
        or _not_granted(scope, facts, known)
        or _not_covered(request, facts, known)
    )
    case = Case(
        scope=scope,
        role=person.role,
        context=request.context,
        places=places,
        consent=_consent(known),
        recorded_at=request.recorded_at,
        exposure_notice_shown_at=request.exposure_notice_shown_at,
        ground=Ground.NONE if facts.purpose is None else Ground(facts.purpose.ground),
        deidentified=facts.purpose is not None and facts.purpose.deidentified,
        schedule_published=facts.schedule_published,
        position=position,
        maskable=binding.is_alone(request.participants, person),
        alone=len(request.participants) == 1 or binding.is_alone(request.participants, person),
    )
    rules = law.with_own(facts.own_rules)
    found = tuple(verdict for verdict in law.judge(case, rules) if isinstance(verdict, Prohibition))
    return _Pair(person, scope, known, missing or _relabelled(case, known), case, found)


def _among_others(
    request: GateRequest, pairs: Sequence[_Pair], apart: Collection[str]
) -> Mapping[tuple[str, Scope], _Pair]:
    """Those of the pairs about which the rules about groups have a say, with what these say of each, given what is known of the
    others; `apart` are the subjects whose voice can be told from the others'."""
    grouped = [pair for pair in pairs if any(rule.applies(pair.case) for rule in law.GROUP_RULES)]
    neighbours = binding.neighbours(request.participants) if grouped else []
    judged = {}
    for pair in grouped:
        companions = tuple(
            Companion(
                position=other.case.position,
                consents=other.consents,
                consent=other.case.consent,
                shares_a_channel=other.case.position in neighbours[pair.case.position],
                maskable=other.case.maskable,
            )
            for other in grouped
            if other.scope is pair.scope and other is not pair
        )
        known = pair.person.subject in apart
        case = replace(pair.case, consents=pair.consents, companions=companions, apart=known)
        found = law.judge(case, law.GROUP_RULES)
        obligation = next((verdict for verdict in found if isinstance(verdict, Obligation)), None)
        if pair.missing is not None and pair.missing.reason not in ABSENCES:
            obligation = None
        prohibitions = (*pair.prohibitions, *(verdict for verdict in found if isinstance(verdict, Prohibition)))
        judged[pair.person.subject, pair.scope] = replace(
            pair, case=case, prohibitions=prohibitions, obligation=obligation
        )
    return judged


def _denials(pair: _Pair) -> Iterator[Denial]:
    if pair.obligation is not None:
        return
    subject, scope = pair.person.subject, pair.scope.value
    if pair.missing is not None:
        yield Denial(subject, scope, pair.missing.reason, pair.missing.message, pair.missing.remedy)
    for no in pair.prohibitions:
        yield Denial(subject, scope, DenialReason.LAW, no.message, no.remedy, no.rule, no.citation, no.by_role)


def _consent(pair: PairFacts | None) -> Consent | None:
    if pair is None or pair.state != GrantState.GIVEN:
        return None
    return Consent(
        explicit=pair.explicit,
        method=EvidenceMethod(pair.method),
        age_band=AgeBand(pair.age_band),
        represented=pair.represented,
        open_ended=pair.open_ended,
    )


def _ends(pair: PairFacts | None) -> Iterator[datetime]:
    if pair is not None:
        yield from (end for end in (pair.expires_at, pair.representation_ends_at) if end is not None)


def _nobody_to_hear(pair: PairFacts | None) -> _Missing | None:
    if pair is None or not pair.known:
        return _Missing(DenialReason.SUBJECT_UNKNOWN, "no such subject in this project", "Register the subject first.")
    if pair.erased:
        return _Missing(DenialReason.SUBJECT_ERASED, "this person's data was erased", "None.")
    if pair.restricted:
        message = "nothing may be done with this person's data, because its processing is restricted"
        return _Missing(DenialReason.RESTRICTED, message, "Lift the restriction, once its ground is gone.")
    return None


def _outside_purpose(request: GateRequest, scope: Scope, purpose: PurposeFacts | None) -> _Missing | None:
    if purpose is None:
        return _Missing(DenialReason.PURPOSE_UNKNOWN, "no such purpose in this project", "Create the purpose first.")
    if not purpose.active:
        return _Missing(DenialReason.PURPOSE_INACTIVE, "the purpose is not active", "Activate the purpose.")
    if scope.value not in purpose.scopes:
        message = f"the purpose does not include {scope}"
        return _Missing(DenialReason.SCOPE_OUTSIDE_PURPOSE, message, "Use another purpose.")
    if request.context.value not in purpose.contexts:
        unknown = request.context is Context.UNKNOWN
        reason = DenialReason.CONTEXT_UNKNOWN if unknown else DenialReason.CONTEXT_OUTSIDE_PURPOSE
        return _Missing(reason, f"the purpose does not include the context {request.context}", "Name the true context.")
    return None


def _not_granted(scope: Scope, facts: Facts, pair: PairFacts | None) -> _Missing | None:
    if pair is None or pair.state == "":
        return _Missing(DenialReason.NOT_GRANTED, f"{scope} was never granted for this purpose", _RECORD_NEW)
    if pair.state == GrantState.REFUSED:
        return _Missing(DenialReason.REFUSED, f"{scope} was refused", _RECORD_NEW)
    if pair.state == GrantState.WITHDRAWN:
        return _Missing(DenialReason.WITHDRAWN, f"consent to {scope} was withdrawn", _RECORD_NEW)
    if facts.purpose is not None and pair.notice_version < facts.purpose.least_valid_version and pair.state in HOLDS:
        remedy = "Show the current notice and record a new consent."
        message = f"consent to {scope} was given under an older notice"
        return _Missing(DenialReason.NOTICE_SUPERSEDED, message, remedy)
    if pair.state == GrantState.RENEWAL_DUE:
        return _Missing(DenialReason.RENEWAL_DUE, f"consent to {scope} must be renewed", _RECORD_NEW)
    if pair.state != GrantState.GIVEN:
        return _Missing(DenialReason.NOT_GRANTED, f"{scope} is {pair.state}, which opens nothing", _RECORD_NEW)
    if pair.expires_at is not None and pair.expires_at <= facts.now:
        return _Missing(DenialReason.EXPIRED, f"consent to {scope} ended", _RECORD_NEW)
    if pair.uses is not None and pair.used >= pair.uses and not pair.used_here:
        message = f"consent to {scope} was for {pair.uses} recordings, and these were made"
        return _Missing(DenialReason.USES_CONSUMED, message, _RECORD_NEW)
    if pair.representation_ends_at is not None and pair.representation_ends_at <= facts.now:
        message = f"who consented to {scope} for this person no longer represents them"
        return _Missing(DenialReason.REPRESENTATION_ENDED, message, "Record what the person answers for themself.")
    return None


def _not_covered(request: GateRequest, facts: Facts, pair: PairFacts | None) -> _Missing | None:
    if request.recorded_at > facts.now + CLOCK_SKEW:
        return _Missing(DenialReason.RECORDED_IN_FUTURE, "recorded_at lies in the future", "State the true time.")
    if pair is None or pair.covers_from is None or request.recorded_at < pair.covers_from:
        message = "the recording is older than the consent and the consent does not name it"
        remedy = "Record a new consent that covers recordings from that time on."
        return _Missing(DenialReason.RECORDED_BEFORE_CONSENT, message, remedy)
    return None


def _relabelled(case: Case, pair: PairFacts | None) -> _Missing | None:
    """A role that unlocks what was denied in another is not believed until a second person says that it is true."""
    if pair is None or not pair.restricted_roles or case.role.value in pair.restricted_roles | pair.approved_roles:
        return None
    for role in sorted(pair.restricted_roles):
        before = law.judge(replace(case, role=ParticipantRole(role)), law.RULES)
        if any(isinstance(verdict, Prohibition) and verdict.by_role for verdict in before):
            message = (
                f"{case.scope} was denied for this person in the role {role}, and they come in the role {case.role}"
            )
            remedy = f"Ask for the role {case.role}; a second person must approve it."
            return _Missing(DenialReason.ROLE_RELABELLED, message, remedy)
    return None


def _is_told_apart(request: GateRequest, facts: Facts, pairs: Mapping[tuple[str, Scope], _Pair], subject: str) -> bool:
    """Whether the person lets their voice be recognized here, no rule forbids it, and there is a voiceprint to do it by."""
    pair = pairs.get((subject, Scope.IDENTIFY))
    if pair is None or not pair.consents or pair.facts is None:
        return False
    return request.told_apart or (pair.facts.voiceprint != "" and pair.facts.voiceprint == facts.voice_model)


def _on_shared_channels(
    request: GateRequest,
    pairs: Mapping[tuple[str, Scope], _Pair],
    granted: Sequence[Granted],
    apart: Collection[str],
) -> tuple[list[Denial], list[Obligation]]:
    """About participants who granted a scope but share every channel with somebody who did not: isolated, on condition that the
    others are left out, where their voice can be told apart; otherwise denied."""
    standing = {(pair.subject, pair.scope) for pair in granted}
    groups = binding.groups(request.participants)
    unbound = [
        (position, person.subject, scope)
        # First whether the voice may be recognized at all: whoever cannot have that is not told apart for anything else.
        for scope in sorted(request.scopes, key=lambda scope: scope is not Scope.IDENTIFY)
        for position, person in enumerate(request.participants)
        if (person.subject, scope) in standing
        and not any(person in group and all((other.subject, scope) in standing for other in group) for group in groups)
    ]
    neighbours = binding.neighbours(request.participants) if unbound else []
    told_apart = set(apart)
    denials: list[Denial] = []
    duties: list[Obligation] = []
    for position, subject, scope in unbound:
        near = [request.participants[other].subject for other in sorted(neighbours[position])]
        absent = [pairs[other, scope] for other in near if (other, scope) not in standing]
        if subject in told_apart and all(pair.may_be_left_out for pair in absent):
            duties.append(_duty(ObligationKind.ISOLATE, position, scope))
            duties.extend(_duty(ObligationKind.MASK, pair.case.position, scope) for pair in absent)
            continue
        denials.append(_unbound(subject, scope))
        if scope is Scope.IDENTIFY:
            told_apart.discard(subject)
    return denials, duties


def _duty(kind: ObligationKind, position: int, scope: Scope) -> Obligation:
    return Obligation(_VOICES_APART, _MINIMISATION, kind, position, scope)


def _masks(duty: Obligation) -> bool:
    return duty.kind is ObligationKind.MASK


def _unbound(subject: str, scope: Scope) -> Denial:
    return Denial(
        subject,
        scope.value,
        DenialReason.PARTICIPANT_UNBOUND,
        f"this participant shares every channel with somebody who did not grant {scope}",
        "Submit the recording with one channel per participant, record the other person's consent, or ask for voice.identify too,"
        " once this participant's voice is enrolled under it.",
    )
