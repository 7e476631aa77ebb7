"""Asking the gate what it would answer: a whole question, judged as a real one is, and nothing recorded but that it was asked."""

from django.db import transaction

from audit import standing, trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import deciding, gate
from consent.models import Subject
from consent.verdicts import GateRequest, Verdict


def ask(request: GateRequest, *, project: str, actor: Actor) -> Verdict:
    """What the gate would answer now. No Decision is made, no use is taken, and whoever would be denied for their role is not
    remembered in it. `project` is the code of the request's project. Raises `ServiceClosed`."""
    standing.require_open()
    verdict = gate.evaluate(request)
    codes = [person.subject for person in request.participants]
    alive = Subject.objects.filter(project=request.project, code__in=codes, erased_at=None)
    with transaction.atomic():
        trail.record(
            EventName.DECISION_TRIED,
            organization=verdict.organization,
            actor=actor,
            objects=[
                *(Reference(ObjectKind.SUBJECT, one.code, one.consent_epoch) for one in alive.order_by("pk")),
                Reference(ObjectKind.PROJECT, project),
            ],
            outcome="allow" if verdict.allowed else "deny",
            reason=", ".join(sorted({denial.reason.value for denial in verdict.denials})),
            detail={
                "scopes": [scope.value for scope in request.scopes],
                "granted": sorted({pair.scope.value for pair in verdict.granted}),
                "obligations": deciding.obligations(verdict),
                "rule_set": verdict.rule_set,
                "policy_epoch": verdict.policy_epoch,
            },
        )
    return verdict
