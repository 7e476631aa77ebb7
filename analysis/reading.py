"""Reading results: the gate, then opening only what the Permit names, and the read on the trail before anything leaves."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from analysis.errors import NotFinished, RecordingDeleted, TranscriptAbsent
from analysis.models import Analysis, Participant, Result
from analysis.redacting import Redaction, redact
from analysis.sealed_results import Lineage, result_context
from analysis.states import AnalysisState, RecordingState
from analysis.submission import gate_request
from analysis.timeline import Timeline, assemble
from analysis.transcripts import SCOPES, Task, Transcript
from analysis.transcripts import assemble as assemble_transcript
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import accesses, destruction, gate
from consent.errors import ConsentDenied
from consent.gate import Permit
from consent.vocabulary import Action, Scope
from vault import sealing
from vault.errors import KeyShredded


@dataclass(frozen=True, slots=True)
class OpenedResult:
    """One result in the clear, for whoever the Permit was given to."""

    code: str
    scope: str
    rests_on: tuple[str, ...]
    subjects: tuple[str, ...]
    roles: tuple[str, ...]
    channels: tuple[int, ...]
    model: dict[str, Any]
    decision: str
    created_at: datetime
    body: dict[str, Any]
    positions: tuple[int, ...] = ()
    """Where the submission named each of `subjects`, from 0."""
    made_from: str = ""
    """The result that it says more about, where it is about one."""

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "scope": self.scope,
            "rests_on": list(self.rests_on),
            "participants": [
                {"subject": subject, "role": role} for subject, role in zip(self.subjects, self.roles, strict=True)
            ],
            "channels": list(self.channels),
            "made_from": self.made_from or None,
            "model": self.model,
            "decision": self.decision,
            "created_at": self.created_at,
            "result": self.body,
        }


@dataclass(frozen=True, slots=True)
class Withheld:
    """A result that is there but was not opened, and why."""

    scope: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        return {"scope": self.scope, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class ResultsView:
    """Everything that one read may see of one job."""

    analysis: str
    recording: str
    duration: float
    decision: str
    results: tuple[OpenedResult, ...]
    withheld: tuple[Withheld, ...]
    redaction: Redaction | None = None
    """Set where personal data was taken out of `results`."""

    def as_json(self) -> dict[str, Any]:
        return {
            "analysis": self.analysis,
            "recording": self.recording,
            "decision": self.decision,
            "results": [result.as_json() for result in self.results],
            "withheld": [item.as_json() for item in self.withheld],
            "redaction": self.redaction.as_json() if self.redaction is not None else None,
        }


def read_results(
    analysis: Analysis, *, actor: Actor, redacted: bool = False, only: Collection[Scope] = tuple(Scope)
) -> ResultsView:
    """Opens what may be read now of the results of the scopes in `only`, and asks the gate for no other; with `redacted`, personal
    data is taken out of it before it leaves.

    Raises `ConsentDenied` when nothing may be read, `NotFinished`, `RedactionImpossible`, vault errors.
    """
    if analysis.recording.state == RecordingState.DELETED:
        raise RecordingDeleted("the recording was deleted, and its results with it")
    if analysis.state != AnalysisState.DONE:
        raise NotFinished(f"the job is {analysis.state}")
    recording = analysis.recording
    found = analysis.results.filter(scope__in=[scope.value for scope in only])
    rows = list(found.prefetch_related("participants__subject", "made_from__participants__subject").order_by("id"))
    # What was cut out of a shared channel rests on the recognition of the voice, too.
    needed = {*only, *(Scope(scope) for row in rows for scope in row.rests_on)}
    asked = [Scope(scope) for scope in analysis.scopes if scope in needed]
    request = gate_request(recording, asked, told_apart=True)
    denied: ConsentDenied | None = None
    redaction: Redaction | None = None
    with transaction.atomic():
        try:
            permit = gate.require(
                request,
                action=Action.READ,
                actor=actor,
                object_code=analysis.code,
                partial=True,
                caller_commits=True,
            )
        except ConsentDenied as denial:
            denied = denial
        else:
            opened, withheld = open_all(rows, permit)
            if redacted:
                opened, redaction = redact(opened)
            _record_read(analysis, permit, opened, actor, redacted=redacted)
    if denied is not None:
        raise denied
    return ResultsView(
        analysis=analysis.code,
        recording=recording.code,
        duration=recording.duration or 0.0,
        decision=permit.decision,
        results=tuple(opened),
        withheld=tuple(withheld),
        redaction=redaction,
    )


def read_timeline(analysis: Analysis, *, actor: Actor, redacted: bool = False) -> Timeline:
    """The same read, assembled into one timeline of typed spans in seconds."""
    view = read_results(analysis, actor=actor, redacted=redacted)
    return assemble(view)


def read_transcript(
    analysis: Analysis,
    *,
    actor: Actor,
    redacted: bool = False,
    task: Task = Task.TRANSCRIBE,
    with_language: bool = False,
) -> Transcript:
    """The same read of the words alone and, `with_language`, of what they were spoken in, where that may be opened. What was
    translated is redacted by what was transcribed, which is read with it then.

    Raises what `read_results` raises, and `TranscriptAbsent` for a job that was not for this.
    """
    wanted = SCOPES[task]
    if wanted not in analysis.scopes:
        raise TranscriptAbsent(f"the job was not for {wanted}")
    only = {wanted}
    if redacted:
        only.add(Scope.TRANSCRIBE)
    if with_language:
        only.add(Scope.LANGUAGE)
    view = read_results(analysis, actor=actor, redacted=redacted, only=only)
    return assemble_transcript(view, task, several=analysis.recording.participants.count() > 1)


def open_all(rows: Sequence[Result], permit: Permit) -> tuple[list[OpenedResult], list[Withheld]]:
    """Those of the results that the Permit opens, and why each other one is withheld. Raises vault errors."""
    orders = destruction.open_orders(permit.project, permit.purpose, sorted(permit.consent_epochs))
    opened: list[OpenedResult] = []
    withheld: list[Withheld] = []
    for row in rows:
        people = _people(row)
        lineage = _lineage(row)
        if row.made_from_id != getattr(row.made_from, "pk", None) or not all(part.subjects for part in lineage.parts()):
            # Destroyed since the rows were found: whose consent it rests on cannot be told any more.
            withheld.append(Withheld(row.scope, "destroyed"))
            continue
        if not all(
            permit.allows(subject, scope)
            for part in lineage.parts()
            for subject in part.subjects
            for scope in part.rests_on
        ):
            withheld.append(Withheld(row.scope, "not_permitted"))
            continue
        if any(
            destruction.names(order, part.subjects, part.rests_on, row.created_at)
            for order in orders
            for part in lineage.parts()
        ):
            # As below, where the key serves another purpose and the worker has not come by yet.
            withheld.append(Withheld(row.scope, "destroyed"))
            continue
        try:
            body = sealing.open(
                result_context(permit.organization, lineage.subjects, Scope(row.scope), row.code),
                lineage.keys(permit.organization),
                bytes(row.sealed),
            )
        except KeyShredded:
            # Consent was withdrawn and given again: what was derived before stays destroyed.
            withheld.append(Withheld(row.scope, "destroyed"))
            continue
        opened.append(
            OpenedResult(
                code=row.code,
                scope=row.scope,
                rests_on=tuple(row.rests_on),
                subjects=lineage.subjects,
                roles=tuple(person.role for person in people),
                channels=tuple(row.channels),
                model=row.model,
                decision=row.decision,
                created_at=row.created_at,
                body=json.loads(body),
                positions=tuple(person.position for person in people),
                made_from=row.made_from.code if row.made_from is not None else "",
            )
        )
    return opened, withheld


def _people(row: Result) -> list[Participant]:
    return sorted(row.participants.all(), key=lambda participant: participant.subject.code)


def _lineage(row: Result) -> Lineage:
    return Lineage(
        tuple(person.subject.code for person in _people(row)),
        frozenset(Scope(scope) for scope in row.rests_on),
        _lineage(row.made_from) if row.made_from is not None else None,
    )


def _record_read(
    analysis: Analysis, permit: Permit, opened: list[OpenedResult], actor: Actor, *, redacted: bool
) -> None:
    """Names whoever something was opened of, and says what of whom by their place: others in the recording were not read."""
    pairs = {(subject, result.scope) for result in opened for subject in result.subjects}
    people = sorted({subject for subject, _ in pairs})
    trail.record(
        EventName.RESULTS_READ,
        organization=permit.organization,
        actor=actor,
        objects=[
            Reference(ObjectKind.ANALYSIS, analysis.code),
            Reference(ObjectKind.DECISION, permit.decision),
            *[Reference(ObjectKind.SUBJECT, code, permit.consent_epochs[code]) for code in people],
        ],
        detail={
            "scopes": sorted({result.scope for result in opened}),
            "results": len(opened),
            **({"redacted": True} if redacted else {}),
            accesses.OPENED: accesses.opened(people, pairs),
        },
    )
