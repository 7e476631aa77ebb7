"""The gate. `evaluate` is a pure read in one round trip; `require` is evaluate plus the recorded Decision, and returns a Permit.

Whatever opens personal data or runs an engine takes a Permit, so that skipping consent is a type error. Default deny: a check that
cannot be made raises and grants nothing. What is judged is in `judging`, from what `facts` finds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import connection, transaction

from audit import standing
from audit.entry import Actor
from consent import deciding, judging, using
from consent.errors import BeyondPermit, ConsentDenied, GateInsideTransaction, PermitForged
from consent.facts import gather
from consent.judging import CLOCK_SKEW
from consent.law import Obligation
from consent.verdicts import Denial, GateRequest, Granted, Participant, Verdict
from consent.vocabulary import Action, ObligationKind, Scope

__all__ = (
    "CLOCK_SKEW",
    "Denial",
    "GateRequest",
    "Granted",
    "Participant",
    "Permit",
    "Verdict",
    "evaluate",
    "require",
    "still_in_force",
    "valid_at_commit",
)

_GATE: Final = object()


@dataclass(frozen=True, slots=True)
class Permit:
    """A Decision's positive form: who may be heard, for which scopes, on which grants, and what must be done besides. Only the
    gate makes one."""

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
    obligations: tuple[Obligation, ...] = ()
    gate: object = field(repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.gate is not _GATE:
            raise PermitForged("a permit comes from consent.gate.require and from nowhere else")

    def allows(self, subject: str, scope: Scope) -> bool:
        return any(pair.subject == subject and pair.scope is scope for pair in self.granted)

    def must_mask(self, position: int, scope: Scope) -> bool:
        """Whether the voice of the participant at this position (from 0) is to be left out of what is done under the scope."""
        return self._obliges(ObligationKind.MASK, position, scope)

    def must_isolate(self, position: int, scope: Scope) -> bool:
        """Whether of the participant at this position (from 0) only what matches their voiceprint may be heard or kept."""
        return self._obliges(ObligationKind.ISOLATE, position, scope)

    def _obliges(self, kind: ObligationKind, position: int, scope: Scope) -> bool:
        return any((one.kind, one.participant, one.scope) == (kind, position, scope) for one in self.obligations)

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
        request.project,
        request.purpose,
        [person.subject for person in request.participants],
        [scope.value for scope in request.scopes],
        request.recording,
    )
    return judging.judge(request, facts)


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
        while allowed and not using.take(verdict):
            # Somebody else took the last use between the question and now: it is judged again, with that.
            verdict = evaluate(request)
            allowed = verdict.allowed or (partial and bool(verdict.granted))
        code = deciding.record(verdict, allowed, action, actor, object_code)
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
        obligations=verdict.obligations,
        gate=_GATE,
    )


def still_in_force(permit: Permit, request: GateRequest) -> bool:
    """Whether everything the Permit names would be granted again now, under no further obligation. For checks between batches;
    records nothing."""
    if permit.purpose != request.purpose or permit.project != request.project:
        raise BeyondPermit("the permit was given for another request")
    verdict = evaluate(request)
    now = {(pair.subject, pair.scope) for pair in verdict.granted}
    bound = set(permit.obligations)
    return all((pair.subject, pair.scope) in now for pair in permit.granted) and bound >= set(verdict.obligations)


def valid_at_commit(permit: Permit) -> bool:
    """Whether no grant of the Permit ends within the next second: asked as the last thing before a commit."""
    if permit.valid_until is None:
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp() + interval '1 second' < %s", [permit.valid_until])
        row = cursor.fetchone()
    return bool(row and row[0])
