"""The gate. `evaluate` is a pure read in one round trip; `require` is evaluate plus the recorded Decision, and returns a Permit.

Whatever opens personal data or runs an engine takes a Permit, so that skipping consent is a type error. Default deny: a pair
of participant and scope is granted only when every check passes; a check that cannot be made raises and grants nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from accounts.models import Project
from audit import standing, trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import binding, law
from consent.errors import BeyondPermit, ConsentDenied, GateInsideTransaction, PermitForged
from consent.facts import Facts, PairFacts, PurposeFacts, gather
from consent.models import Decision
from consent.vocabulary import Action, Context, DenialReason, GrantState, ParticipantRole, Scope

CLOCK_SKEW = timedelta(minutes=5)
"""How far in the future a recording time may lie before it is disbelieved."""


@dataclass(frozen=True, slots=True)
class Participant:
    """One person in one recording. `channel` is None when no channel is theirs alone."""

    subject: str
    role: ParticipantRole
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class GateRequest:
    """A question to the gate. Every field is mandatory; `unknown` is a value and is judged by the strictest rule."""

    project: int
    purpose: str
    context: Context
    jurisdiction: str
    recorded_at: datetime
    participants: tuple[Participant, ...]
    scopes: tuple[Scope, ...]

    def __post_init__(self) -> None:
        if self.recorded_at.tzinfo is None:
            raise ValueError("recorded_at must be an aware time")


@dataclass(frozen=True, slots=True)
class Denial:
    """One participant, one scope, one reason; `rule` and `citation` are set when the law said no."""

    subject: str
    scope: str
    reason: DenialReason
    message: str
    remedy: str
    rule: str = ""
    citation: str = ""


@dataclass(frozen=True, slots=True)
class Granted:
    """One participant, one scope, and the grant revision that it rests on."""

    subject: str
    scope: Scope
    grant: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The whole answer. `allowed` means that every pair asked for is granted."""

    request: GateRequest
    granted: tuple[Granted, ...]
    denials: tuple[Denial, ...]
    consent_epochs: Mapping[str, int]
    policy_epoch: int
    organization: str
    judged_at: datetime
    valid_until: datetime | None
    erased: frozenset[str]
    rule_set: str = law.RULE_SET_VERSION

    @property
    def allowed(self) -> bool:
        return not self.denials and bool(self.granted)


_GATE: Final = object()


@dataclass(frozen=True, slots=True)
class Permit:
    """A Decision's positive form: who may be heard, for which scopes, on which grants. Only the gate makes one."""

    decision: str
    action: Action
    project: int
    organization: str
    object_code: str
    purpose: str
    granted: tuple[Granted, ...]
    consent_epochs: Mapping[str, int]
    policy_epoch: int
    rule_set: str
    valid_until: datetime | None
    gate: object = field(repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.gate is not _GATE:
            raise PermitForged("a permit comes from consent.gate.require and from nowhere else")

    def allows(self, subject: str, scope: Scope) -> bool:
        return any(pair.subject == subject and pair.scope is scope for pair in self.granted)

    def require_pair(self, subject: str, scope: Scope) -> None:
        """Raises `BeyondPermit` unless the Permit names this participant and scope."""
        if not self.allows(subject, scope):
            raise BeyondPermit(f"the permit of decision {self.decision} does not name {scope} for this participant")

    def require_object(self, code: str) -> None:
        """Raises `BeyondPermit` unless the Permit was given for this recording or analysis."""
        if self.object_code != code:
            raise BeyondPermit(f"the permit of decision {self.decision} was given for another object")


def evaluate(request: GateRequest) -> Verdict:
    """Judges a request against what is recorded now. One round trip; records nothing."""
    facts = gather(
        request.project, request.purpose, [p.subject for p in request.participants], [s.value for s in request.scopes]
    )
    granted: list[Granted] = []
    denials: list[Denial] = []
    expiries: list[datetime] = []
    if not request.scopes or not request.participants:
        denials.append(
            Denial(
                "", "", DenialReason.NO_SCOPE_REQUESTED, "no participant or no scope was named", "Name at least one."
            )
        )
    for participant in request.participants:
        for scope in request.scopes:
            pair = facts.pair(participant.subject, scope.value)
            found = _objections(request, participant, scope, facts, pair)
            denials.extend(found)
            if not found and pair is not None:
                granted.append(Granted(participant.subject, scope, pair.grant))
                if pair.expires_at is not None:
                    expiries.append(pair.expires_at)
    unbound = _unbound(request, granted)
    denials.extend(unbound)
    shut = {(denial.subject, denial.scope) for denial in unbound}
    granted = [pair for pair in granted if (pair.subject, pair.scope.value) not in shut]
    return Verdict(
        request=request,
        granted=tuple(granted),
        denials=tuple(denials),
        consent_epochs=facts.consent_epochs,
        policy_epoch=facts.policy_epoch,
        organization=facts.organization,
        judged_at=facts.now,
        valid_until=min(expiries, default=None),
        erased=frozenset(subject for (subject, _), pair in facts.pairs.items() if pair.erased),
    )


def require(
    request: GateRequest,
    *,
    action: Action,
    actor: Actor,
    object_code: str = "",
    partial: bool = False,
    caller_commits: bool = False,
) -> Permit:
    """Evaluates, records the Decision with its event, and returns the Permit or raises `ConsentDenied`.

    With `partial` a Permit is given for the pairs that are granted, if there are any; without it, one missing pair denies all.
    Outside a transaction the decision is committed before this returns or raises, so that no rollback can lose a denial. Inside
    one, `caller_commits=True` says that the caller commits the denial too; otherwise `GateInsideTransaction` is raised.
    """
    standing.require_open()
    if connection.in_atomic_block and not caller_commits:
        raise GateInsideTransaction("require() was called inside a transaction that did not promise to commit a denial")
    with transaction.atomic():
        verdict = evaluate(request)
        allowed = verdict.allowed or (partial and bool(verdict.granted))
        code = _record(verdict, allowed, action, actor, object_code)
    if not allowed:
        raise ConsentDenied(verdict, code)
    return Permit(
        decision=code,
        action=action,
        project=request.project,
        organization=verdict.organization,
        object_code=object_code,
        purpose=request.purpose,
        granted=verdict.granted,
        consent_epochs=verdict.consent_epochs,
        policy_epoch=verdict.policy_epoch,
        rule_set=verdict.rule_set,
        valid_until=verdict.valid_until,
        gate=_GATE,
    )


def _objections(
    request: GateRequest, participant: Participant, scope: Scope, facts: Facts, pair: PairFacts | None
) -> list[Denial]:
    """The first thing that is missing, and besides it every rule of law that would deny in any case."""
    missing = (
        _no_such_person(pair)
        or _outside_purpose(request, scope, facts.purpose)
        or _not_granted(scope, facts, pair)
        or _not_covered(request, facts, pair)
    )
    case = law.Case(
        scope=scope,
        role=participant.role,
        context=request.context,
        jurisdiction=request.jurisdiction,
        explicit=pair.explicit if pair is not None and pair.state == GrantState.GIVEN else None,
    )
    found = [Denial(participant.subject, scope.value, *missing)] if missing else []
    found.extend(
        Denial(participant.subject, scope.value, DenialReason.LAW, no.message, no.remedy, no.rule, no.citation)
        for no in law.prohibitions(case)
    )
    return found


_Missing = tuple[DenialReason, str, str] | None
"""Reason, message, remedy; None when this check has nothing against it."""

_RECORD_NEW: Final = "Record a new consent for this scope and purpose."


def _no_such_person(pair: PairFacts | None) -> _Missing:
    if pair is None or not pair.known:
        return DenialReason.SUBJECT_UNKNOWN, "no such subject in this project", "Register the subject first."
    if pair.erased:
        return DenialReason.SUBJECT_ERASED, "this person's data was erased", "None."
    return None


def _outside_purpose(request: GateRequest, scope: Scope, purpose: PurposeFacts | None) -> _Missing:
    if purpose is None:
        return DenialReason.PURPOSE_UNKNOWN, "no such purpose in this project", "Create the purpose first."
    if not purpose.active:
        return DenialReason.PURPOSE_INACTIVE, "the purpose is not active", "Activate the purpose."
    if scope.value not in purpose.scopes:
        return DenialReason.SCOPE_OUTSIDE_PURPOSE, f"the purpose does not include {scope}", "Use another purpose."
    if request.context.value not in purpose.contexts:
        unknown = request.context is Context.UNKNOWN
        reason = DenialReason.CONTEXT_UNKNOWN if unknown else DenialReason.CONTEXT_OUTSIDE_PURPOSE
        return reason, f"the purpose does not include the context {request.context}", "Name the true context."
    return None


def _not_granted(scope: Scope, facts: Facts, pair: PairFacts | None) -> _Missing:
    if pair is None or pair.state == "":
        return DenialReason.NOT_GRANTED, f"{scope} was never granted for this purpose", _RECORD_NEW
    if pair.state == GrantState.REFUSED:
        return DenialReason.REFUSED, f"{scope} was refused", _RECORD_NEW
    if pair.state == GrantState.WITHDRAWN:
        return DenialReason.WITHDRAWN, f"consent to {scope} was withdrawn", _RECORD_NEW
    if pair.state != GrantState.GIVEN:
        return DenialReason.NOT_GRANTED, f"{scope} is {pair.state}, which opens nothing", _RECORD_NEW
    if pair.expires_at is not None and pair.expires_at <= facts.now:
        return DenialReason.EXPIRED, f"consent to {scope} ended", _RECORD_NEW
    if facts.purpose is None or pair.notice_version < facts.purpose.least_valid_version:
        remedy = "Show the current notice and record a new consent."
        return DenialReason.NOTICE_SUPERSEDED, f"consent to {scope} was given under an older notice", remedy
    return None


def _not_covered(request: GateRequest, facts: Facts, pair: PairFacts | None) -> _Missing:
    if request.recorded_at > facts.now + CLOCK_SKEW:
        return DenialReason.RECORDED_IN_FUTURE, "recorded_at lies in the future", "State the true time."
    if pair is None or pair.covers_from is None or request.recorded_at < pair.covers_from:
        message = "the recording is older than the consent and the consent does not name it"
        remedy = "Record a new consent that covers recordings from that time on."
        return DenialReason.RECORDED_BEFORE_CONSENT, message, remedy
    return None


def _unbound(request: GateRequest, granted: list[Granted]) -> list[Denial]:
    """Participants who granted a scope but cannot be heard alone: on every channel they share, somebody did not grant it."""
    pairs = {(pair.subject, pair.scope) for pair in granted}
    groups = binding.groups(request.participants)
    return [
        Denial(
            person.subject,
            scope.value,
            DenialReason.PARTICIPANT_UNBOUND,
            f"this participant shares every channel with somebody who did not grant {scope}",
            "Submit the recording with one channel per participant, or record the other person's consent.",
        )
        for person in request.participants
        for scope in request.scopes
        if (person.subject, scope) in pairs
        and not any(person in group and all((other.subject, scope) in pairs for other in group) for group in groups)
    ]


def still_in_force(permit: Permit, request: GateRequest) -> bool:
    """Whether everything the Permit names would be granted again now. For checks between batches; records nothing."""
    if permit.purpose != request.purpose or permit.project != request.project:
        raise BeyondPermit("the permit was given for another request")
    verdict = evaluate(request)
    now = {(pair.subject, pair.scope) for pair in verdict.granted}
    return all((pair.subject, pair.scope) in now for pair in permit.granted)


def valid_at_commit(permit: Permit) -> bool:
    """Whether no grant of the Permit ends within the next second: asked as the last thing before a commit."""
    if permit.valid_until is None:
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp() + interval '1 second' < %s", [permit.valid_until])
        row = cursor.fetchone()
    return bool(row and row[0])


def _record(verdict: Verdict, allowed: bool, action: Action, actor: Actor, object_code: str) -> str:
    request = verdict.request
    project = Project.objects.only("pk", "code").get(pk=request.project)
    # Whoever is erased, or never was in this project, is not named: nothing would ever take that name away again.
    named = {
        subject: subject if subject in verdict.consent_epochs and subject not in verdict.erased else "not named"
        for subject in [p.subject for p in request.participants]
    }
    known = sorted(subject for subject, name in named.items() if subject == name)
    decision = Decision.objects.create(
        project=project,
        action=action.value,
        object_code=object_code,
        allowed=allowed,
        subjects=known,
        request={
            "purpose": request.purpose,
            "context": request.context.value,
            "jurisdiction": request.jurisdiction,
            "recorded_at": request.recorded_at.isoformat(),
            "participants": [
                {"subject": named[p.subject], "role": p.role.value, "channel": p.channel} for p in request.participants
            ],
            "scopes": [scope.value for scope in request.scopes],
        },
        granted=[{"subject": g.subject, "scope": g.scope.value, "grant": g.grant} for g in verdict.granted],
        denials=[
            {
                "subject": named.get(d.subject, d.subject),
                "scope": d.scope,
                "reason": d.reason.value,
                "message": d.message,
                "remedy": d.remedy,
                "rule": d.rule,
                "citation": d.citation,
            }
            for d in verdict.denials
        ],
        policy_epoch=verdict.policy_epoch,
        rule_set=verdict.rule_set,
        actor_kind=actor.kind.value,
        actor_code=actor.code,
    )
    reasons = sorted({f"{d.reason}:{d.rule}" if d.rule else d.reason.value for d in verdict.denials})
    trail.record(
        EventName.DECISION_ALLOWED if allowed else EventName.DECISION_DENIED,
        organization=verdict.organization,
        actor=actor,
        objects=[
            Reference(ObjectKind.DECISION, decision.code),
            *[Reference(ObjectKind.SUBJECT, subject, verdict.consent_epochs[subject]) for subject in known],
            Reference(ObjectKind.PROJECT, project.code),
        ],
        outcome="allow" if allowed else "deny",
        reason=", ".join(reasons),
        detail={
            "action": action.value,
            "scopes": [scope.value for scope in request.scopes],
            "granted": sorted({g.scope.value for g in verdict.granted}),
            "rule_set": verdict.rule_set,
            "policy_epoch": verdict.policy_epoch,
        },
    )
    return decision.code
