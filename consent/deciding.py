"""Recording what the gate answered: one Decision and one event, in the caller's transaction."""

from collections.abc import Collection
from contextlib import suppress
from typing import Any, Final

import psycopg
from django.db import connection, transaction
from psycopg import sql

from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import law, subjects
from consent.errors import SubjectErased
from consent.models import Decision, RestrictedRole, Subject
from consent.verdicts import Denial, GateRequest, Verdict
from consent.vocabulary import Action

_FIELDS: Final = tuple(field for field in Decision._meta.concrete_fields if not field.primary_key)
_INSERT: Final = (
    sql.SQL("INSERT INTO {} ({}) VALUES ({})")
    .format(
        sql.Identifier(Decision._meta.db_table),
        sql.SQL(", ").join(sql.Identifier(str(field.column)) for field in _FIELDS),
        sql.SQL(", ").join([sql.Placeholder()] * len(_FIELDS)),
    )
    .as_bytes()
)


def record(verdict: Verdict, allowed: bool, action: Action, actor: Actor, object_code: str) -> str:
    """Writes the Decision and its event; returns the decision's code."""
    request = verdict.request
    # Whoever is erased, or never was in this project, is not named: nothing would ever take that name away again.
    named = {
        subject: subject if subject in verdict.consent_epochs and subject not in verdict.erased else "not named"
        for subject in [p.subject for p in request.participants]
    }
    known = sorted(subject for subject, name in named.items() if subject == name)
    decision = Decision(
        project_id=request.project,
        action=action.value,
        object_code=object_code,
        allowed=allowed,
        subjects=known,
        request=_asked(request, named),
        granted=[{"subject": g.subject, "scope": g.scope.value, "grant": g.grant} for g in verdict.granted],
        denials=[_denied(denial, named) for denial in verdict.denials],
        obligations=[
            {
                "kind": o.kind.value,
                "participant": o.participant,
                "scope": o.scope.value,
                "rule": o.rule,
                "citation": o.citation,
            }
            for o in verdict.obligations
        ],
        rules=sorted(verdict.rules),
        citations={rule: law.CITATIONS[rule] for rule in sorted(verdict.rules)},
        policy_epoch=verdict.policy_epoch,
        rule_set=verdict.rule_set,
        actor_kind=actor.kind.value,
        actor_code=actor.code,
    )
    _insert(decision)
    _remember_roles(verdict, set(known))
    reasons = sorted({f"{d.reason}:{d.rule}" if d.rule else d.reason.value for d in verdict.denials})
    trail.record(
        EventName.DECISION_ALLOWED if allowed else EventName.DECISION_DENIED,
        organization=verdict.organization,
        actor=actor,
        objects=[
            Reference(ObjectKind.DECISION, decision.code),
            *[Reference(ObjectKind.SUBJECT, subject, verdict.consent_epochs[subject]) for subject in known],
            Reference(ObjectKind.PROJECT, verdict.project_code),
        ],
        outcome="allow" if allowed else "deny",
        reason=", ".join(reasons),
        detail={
            "action": action.value,
            "scopes": [scope.value for scope in request.scopes],
            "granted": sorted({g.scope.value for g in verdict.granted}),
            "obligations": obligations(verdict),
            "rule_set": verdict.rule_set,
            "policy_epoch": verdict.policy_epoch,
        },
    )
    return decision.code


def obligations(verdict: Verdict) -> list[str]:
    """As an event names them: what is to be done, about which participant by place, under which scope."""
    return [f"{duty.kind} {duty.participant} {duty.scope}" for duty in verdict.obligations]


def _insert(decision: Decision) -> None:
    """Saves a new row by a statement that the database keeps prepared: every use of the gate waits for this one."""
    values = [field.get_db_prep_save(field.pre_save(decision, True), connection) for field in _FIELDS]
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(_INSERT, values, prepare=True)


def _remember_roles(verdict: Verdict, known: set[str]) -> None:
    """Whoever was denied for their role is remembered in it, so that another role alone opens nothing."""
    roles = {person.subject: person.role for person in verdict.request.participants}
    denied = sorted({denial.subject for denial in verdict.denials if denial.by_role} & known)
    if not denied:
        return
    ids = Subject.objects.filter(project=verdict.request.project, code__in=denied).values_list("code", "pk")
    wanted = {(number, roles[code].value) for code, number in ids}
    remembered = RestrictedRole.objects.filter(subject__in=[number for number, _ in wanted])
    new = wanted - set(remembered.values_list("subject", "role"))
    if new:
        RestrictedRole.objects.bulk_create(
            [RestrictedRole(subject_id=number, role=role) for number, role in sorted(new)], ignore_conflicts=True
        )
        transaction.on_commit(lambda: _outlast_commits_under_way({number for number, _ in new}))


def _outlast_commits_under_way(people: Collection[int]) -> None:
    """Results that are being committed were judged before this denial was there, under the locks of their people. It leaves when
    they are through: whatever is committed after somebody was told of it knows of it. (The denying transaction itself cannot wait:
    it may hold such a lock, too.)"""
    for number in sorted(people):
        with suppress(SubjectErased), transaction.atomic():
            subjects.move_consent_epoch(subjects.lock(number))


def _asked(request: GateRequest, named: dict[str, str]) -> dict[str, Any]:
    shown = request.exposure_notice_shown_at
    return {
        "purpose": request.purpose,
        "context": request.context.value,
        "jurisdiction": request.jurisdiction,
        "recorded_at": request.recorded_at.isoformat(),
        "exposure_notice_shown_at": None if shown is None else shown.isoformat(),
        "participants": [
            {
                "subject": named[person.subject],
                "role": person.role.value,
                "channel": person.channel,
                "jurisdiction": person.jurisdiction,
            }
            for person in request.participants
        ],
        "scopes": [scope.value for scope in request.scopes],
    }


def _denied(denial: Denial, named: dict[str, str]) -> dict[str, str]:
    return {
        "subject": named.get(denial.subject, denial.subject),
        "scope": denial.scope,
        "reason": denial.reason.value,
        "message": denial.message,
        "remedy": denial.remedy,
        "rule": denial.rule,
        "citation": denial.citation,
    }
