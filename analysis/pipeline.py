"""One job from claim to commit: gate, decode, listen, gate, commit. Consent is asked at the claim, between batches and again
inside the committing transaction; what changed in between discards the work.

Which engines there are is in `listening`; who holds the job is in `claiming`; audio that no job needs any more goes in `tidying`.
"""

import dataclasses
import time
import traceback
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog
from django.db import InterfaceError, OperationalError, transaction

from analysis import claiming, decode, rendition, tidying, transcription_hints
from analysis.audio import WaitingAudio, open_audio
from analysis.claiming import Claim
from analysis.engines.clip import Checkpoint
from analysis.errors import CancelRequested, ConsentChanged, LeaseLost
from analysis.identifying import Recognized, link, recognize, tell_apart
from analysis.keeping import keep_audio
from analysis.listening import Finding, listen
from analysis.models import Analysis, Participant, Recording, Result
from analysis.plan import Keeping, keeping, plan, plan_apart, unbind_absent_channels
from analysis.sealed_results import Lineage, result_context
from analysis.states import AnalysisState, RecordingState, Stage
from analysis.submission import gate_request
from audit.events import EventName
from consent import gate, locking, voiceprints
from consent.errors import ConsentDenied
from consent.gate import GateRequest, Permit
from consent.law.states import require_no_state
from consent.vocabulary import Action, Scope
from vault import sealing
from vault.codes import new_code
from vault.errors import KeyShredded, ProviderUnavailable
from vault.models import SealedBlob

log = structlog.get_logger(__name__)

CHECK_EVERY = 0.5
"""Seconds between two looks at lease, cancellation and consent while an engine works."""

LONGEST_WAIT = timedelta(seconds=30)
"""Before a job that found the key provider away is due again."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A claimed job and the permission it has."""

    held: Claim
    recording: Recording
    request: GateRequest
    permit: Permit
    organization: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """Audio sealed to be kept, and how: its row waits for the commit."""

    blob: SealedBlob
    how: Keeping


class Watch:
    """Looks, at most every `CHECK_EVERY` seconds, whether the job may go on; hands engines their checkpoints."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self._looked = 0.0

    def look(self, stage: Stage, fraction: float) -> None:
        """Raises `LeaseLost`, `CancelRequested`, `ConsentChanged`."""
        self._looked = time.monotonic()
        claiming.report(self._job.held, stage, fraction)
        if not gate.still_in_force(self._job.permit, self._job.request):
            raise ConsentChanged("consent changed while the job ran")

    def checkpoint(self, stage: Stage, start: float, end: float) -> Checkpoint:
        """For one engine: its own 0.0-1.0 becomes `start`-`end` of the job."""
        self.look(stage, start)

        def check(fraction: float) -> None:
            if time.monotonic() - self._looked >= CHECK_EVERY:
                self.look(stage, start + (end - start) * min(1.0, max(0.0, fraction)))

        return check


def run(code: str) -> None:
    """Runs the job if it can be claimed. Whatever happens, the row says so; nothing is raised for a job that lost its claim."""
    try:
        job = _begin(code)
    except LeaseLost:
        return
    if job is None:
        return
    try:
        _work(job)
    except LeaseLost:
        log.info("job_lost", analysis=code)
    except Exception as error:
        _end_badly(job, error)
    finally:
        tidying.dispose_of_waiting_audio(job.recording.pk)


def _begin(code: str) -> _Job | None:
    """Claims the job and asks the gate in one transaction: a denial ends the job there and then."""
    analyses = Analysis.objects.select_related("recording__project__organization", "recording__purpose")
    with transaction.atomic():
        analysis = analyses.filter(code=code).first()
        if analysis is None:
            return None
        recording = analysis.recording
        request = gate_request(recording, [Scope(scope) for scope in analysis.scopes])
        locking.hold(request.project, [person.subject for person in request.participants])
        held = claiming.claim(code)
        if held is None:
            return None
        analysis.refresh_from_db()
        if held.attempt > claiming.MAX_ATTEMPTS:
            claiming.finish(held, AnalysisState.FAILED, EventName.ANALYSIS_FAILED, error_code="attempts_exhausted")
            denied = True
        elif analysis.cancel_requested:
            claiming.finish(held, AnalysisState.CANCELLED, EventName.ANALYSIS_CANCELLED)
            denied = True
        else:
            try:
                permit = gate.require(
                    request,
                    action=Action.CLAIM,
                    actor=claiming.ACTOR,
                    object_code=code,
                    partial=True,
                    caller_commits=True,
                )
            except ConsentDenied as denial:
                _deny(held, denial)
                denied = True
            else:
                claiming.record_job(EventName.ANALYSIS_CLAIMED, analysis, claiming.ACTOR, decision=permit.decision)
                denied = False
    if denied:
        tidying.dispose_of_waiting_audio(recording.pk)
        return None
    return _Job(held, recording, request, permit, recording.project.organization.code)


def _work(job: _Job) -> None:
    watch = Watch(job)
    audio = open_audio(job.recording, job.permit)
    decoded = decode.server().decode(audio.source, checkpoint=watch.checkpoint(Stage.DECODING, 0.0, 0.1))
    Recording.objects.filter(pk=job.recording.pk).update(duration=decoded.duration, channels=len(decoded.channels))
    bound = _bound_as_decoded(job, len(decoded.channels))
    if bound is None:
        return
    if bound is not job:
        job, watch = bound, Watch(bound)
    people, channels = job.request.participants, decoded.channels
    hearings = plan(people, len(channels), job.permit, left_out=audio.left_out, besides=audio.besides)
    shared = plan_apart(people, len(channels), job.permit, left_out=audio.left_out)
    hearings += tell_apart(channels, shared, job.permit, watch.checkpoint)
    recognized = recognize(channels, hearings, job.permit, _to_enrol(job), watch.checkpoint)
    hints = transcription_hints.of_job(job.held.analysis, job.recording, job.permit)
    heard = listen(channels, hearings, watch.checkpoint, hints)
    findings = [*recognized.findings, *heard, *link(hearings, heard)]
    kept: _Kept | None = None
    how = None if job.recording.kept_audio else keeping(people, len(channels), job.permit)
    if how is not None and (how.as_uploaded or rendition.fits(channels)):
        checkpoint = watch.checkpoint(Stage.COMMITTING, 0.95, 1.0)
        kept = _Kept(keep_audio(job.recording, job.permit, how, channels, checkpoint, hearings=hearings), how)
    try:
        watch.look(Stage.COMMITTING, 0.99)
        _commit(job, findings, recognized, audio, kept)
    except (ConsentChanged, CancelRequested, LeaseLost, KeyShredded, ProviderUnavailable):
        # Raised before the commit, so that no row names it: whoever is in it may not want it kept for another minute.
        if kept is not None:
            sealing.discard(kept.blob)
        raise


def _to_enrol(job: _Job) -> set[str]:
    """Subjects whose voiceprint was asked for with the recording and not made yet."""
    return set(job.recording.participants.filter(enrol=True).values_list("subject__code", flat=True))


def _bound_as_decoded(job: _Job, channels: int) -> _Job | None:
    """The job as the file allows it: who was declared on a channel that is not there may be heard on any, and the gate is asked
    again with that. None when it denies everything, which ends the job."""
    participants = unbind_absent_channels(job.request.participants, channels)
    if participants == job.request.participants:
        return job
    request = dataclasses.replace(job.request, participants=participants)
    with transaction.atomic():
        locking.hold(request.project, [person.subject for person in request.participants])
        claiming.require_held(job.held)
        claiming.require_unrestricted(job.held)
        try:
            permit = gate.require(
                request,
                action=Action.CONTINUE,
                actor=claiming.ACTOR,
                object_code=job.held.code,
                partial=True,
                caller_commits=True,
            )
        except ConsentDenied as denial:
            _deny(job.held, denial)
            return None
    return dataclasses.replace(job, request=request, permit=permit)


def _commit(
    job: _Job, findings: list[Finding], recognized: Recognized, audio: WaitingAudio, kept: _Kept | None
) -> None:
    """Results, voiceprints, state and event in one transaction, under locks that hold consent still. Raises `ConsentChanged`,
    `LeaseLost`."""
    subjects = [participant.subject for participant in job.request.participants]
    with transaction.atomic():
        locking.hold(job.request.project, subjects)
        recording = Recording.objects.select_for_update(no_key=True).filter(pk=job.recording.pk).first()
        # The claim is checked before the gate is asked: a denial that is recorded must not be rolled back by a lost lease.
        claiming.require_held(job.held)
        if recording is None or recording.state != RecordingState.COMPLETE:
            raise CancelRequested("the recording was deleted or closed")
        claiming.require_unrestricted(job.held)
        try:
            permit = gate.require(
                job.request,
                action=Action.COMMIT,
                actor=claiming.ACTOR,
                object_code=job.held.code,
                partial=True,
                caller_commits=True,
            )
        except ConsentDenied as denial:
            _deny(job.held, denial)
            if kept is not None:
                sealing.discard(kept.blob)
            return
        # Withdrawn and given again is another grant: what was made under the first goes with it.
        before, now = (
            {(pair.subject, pair.scope, pair.grant) for pair in each.granted} for each in (job.permit, permit)
        )
        if not before <= now or not set(permit.obligations) <= set(job.permit.obligations):
            raise ConsentChanged("consent changed before the results were committed")
        people = {p.subject.code: p for p in job.recording.participants.select_related("subject")}
        saved: list[tuple[Finding, Result]] = []
        for finding in findings:
            source = next((row for other, row in saved if other is finding.made_from), None)
            saved.append((finding, _save_result(job, permit, finding, audio, people, made_from=source)))
        for subject, template in recognized.templates.items():
            voiceprints.keep(permit, subject, template, actor=claiming.ACTOR)
        Participant.objects.filter(recording=recording, subject__code__in=recognized.answered).update(enrol=False)
        if kept is not None and recording.kept_audio:
            # Another job kept it meanwhile, for whoever let it then: what is named nowhere is destroyed by nobody.
            sealing.discard(kept.blob)
        elif kept is not None:
            kept.blob.save()
            Recording.objects.filter(pk=job.recording.pk).update(
                kept_audio=kept.blob.code, kept_apart=bool(kept.how.apart)
            )
            within = [person.subject for person in kept.how.people]
            declared = Participant.objects.filter(recording=job.recording.pk)
            declared.filter(subject__code__in=within).update(in_kept_audio=True)
            declared.exclude(subject__code__in=within).update(in_kept_audio=False)
        claiming.finish(job.held, AnalysisState.DONE, EventName.RESULTS_COMMITTED, decision=permit.decision)
        if not gate.valid_at_commit(permit):
            raise ConsentChanged("consent ends before the results would be committed")


def _save_result(
    job: _Job,
    permit: Permit,
    finding: Finding,
    audio: WaitingAudio,
    people: dict[str, Participant],
    *,
    made_from: Result | None,
) -> Result:
    """`made_from` is the row of the finding that this one was made from, which was saved before it."""
    require_no_state(finding.scope, finding.body)
    lineage = _lineage(finding)
    for part in lineage.parts():
        for subject in part.subjects:
            for scope in part.rests_on:
                permit.require_pair(subject, scope)
    code = new_code()
    result: Result = Result.objects.create(
        code=code,
        analysis_id=job.held.analysis,
        scope=finding.scope.value,
        rests_on=sorted(scope.value for scope in finding.rests_on),
        channels=list(finding.hearing.channels),
        sealed=sealing.seal(
            result_context(job.organization, lineage.subjects, finding.scope, code),
            lineage.keys(job.organization),
            finding.as_json(),
        ),
        made_from=made_from,
        model=finding.model_json(),
        decision=permit.decision,
        input_commitment=audio.commitment,
    )
    result.participants.set([people[subject] for subject in lineage.subjects])
    return result


def _lineage(finding: Finding) -> Lineage:
    return Lineage(
        tuple(sorted(person.subject for person in finding.hearing.people)),
        finding.rests_on,
        _lineage(finding.made_from) if finding.made_from is not None else None,
    )


def _deny(held: Claim, denial: ConsentDenied) -> None:
    claiming.finish(
        held,
        AnalysisState.DENIED,
        EventName.ANALYSIS_DENIED,
        decision=denial.decision,
        error_code=denial.code,
        error_message=str(denial),
    )


def _end_badly(job: _Job, error: Exception) -> None:
    """What a failure does to the row: cancelled, back in the queue, or failed with the error's own code."""
    try:
        if isinstance(error, KeyShredded) and not gate.still_in_force(job.permit, job.request):
            # Consent went while something was opened or sealed under it, before the job looked.
            error = ConsentChanged("consent changed while the job ran")
        if isinstance(error, CancelRequested):
            with transaction.atomic():
                claiming.finish(job.held, AnalysisState.CANCELLED, EventName.ANALYSIS_CANCELLED)
        elif isinstance(error, ConsentChanged):
            # The next claim asks the gate again and goes on with what is still granted, or is denied.
            claiming.release(job.held, wait=timedelta(0), reason=error.code, count_attempt=False)
        elif isinstance(error, ProviderUnavailable):
            # An outage is no fault of the job's: it waits for as long as the outage lasts. Nothing counts these attempts but
            # the fencing token, which rises with each claim.
            wait = min(LONGEST_WAIT, timedelta(seconds=2 ** min(job.held.token, 10)))
            claiming.release(job.held, wait=wait, reason=error.code, count_attempt=False)
        elif _transient(error) and job.held.attempt < claiming.MAX_ATTEMPTS:
            claiming.release(job.held, wait=timedelta(seconds=2**job.held.attempt), reason=_code(error))
        else:
            log.error(
                "job_failed", analysis=job.held.code, code=_code(error), error=type(error).__name__, where=_where(error)
            )
            with transaction.atomic():
                claiming.finish(
                    job.held,
                    AnalysisState.FAILED,
                    EventName.ANALYSIS_FAILED,
                    error_code=_code(error),
                    error_message=str(error) if _ours(error) else "",
                )
    except (LeaseLost, OperationalError, InterfaceError) as lost:
        log.warning("job_not_ended", analysis=job.held.code, error=type(lost).__name__)


def _transient(error: Exception) -> bool:
    return bool(getattr(error, "transient", False)) or isinstance(error, OperationalError | InterfaceError)


def _where(error: Exception) -> list[str]:
    """The way to the error, without its message or any value: those could repeat what was heard."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


def _code(error: Exception) -> str:
    return str(getattr(error, "code", "internal_error")) if _ours(error) else "internal_error"


def _ours(error: Exception) -> bool:
    """Only our own errors are known to say nothing about what was heard."""
    return hasattr(error, "code") and type(error).__module__.startswith(("analysis.", "consent.", "vault.", "audit."))
