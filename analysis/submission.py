"""Taking in a recording in two steps: the gate before anything is read, then audio sealed while it streams in.

Nothing here decodes or analyses. Plaintext never touches a disk: each chunk goes from the socket into the sealing writer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Project
from analysis import bell, deletion
from analysis.errors import (
    AudioEmpty,
    AudioGone,
    AudioTooLarge,
    AudioTruncated,
    EnrolmentImpossible,
    RecordingNotReceivable,
    ScopeOutsideRecording,
    ScopeWithoutEngine,
    TooManyParticipants,
)
from analysis.models import Analysis, Participant, Recording
from analysis.states import RecordingState
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import gate, locking
from consent.binding import is_alone
from consent.errors import ConsentDenied
from consent.gate import GateRequest, Permit
from consent.models import Purpose, ScopedQuerySet, Subject
from consent.vocabulary import Action, Context, ParticipantRole, Scope
from vault import sealing, storage
from vault.codes import new_code
from vault.context import Context as SealContext
from vault.keys import KeyName
from vault.models import SealedBlob

ENGINE_SCOPES: Final = frozenset(
    {
        *(Scope.TRANSCRIBE, Scope.LANGUAGE, Scope.DIARIZE, Scope.NONVERBAL, Scope.PROSODY, Scope.EMOTION),
        Scope.IDENTIFY,
    }
)
"""The scopes that an engine of this version answers."""

ACCEPTED_SCOPES: Final = ENGINE_SCOPES | {Scope.AUDIO_STORE}
MAX_PARTICIPANTS: Final = 32
CHUNK: Final = 64 * 1024
RECEIVING_LEASE: Final = timedelta(minutes=10)
"""An upload that sends nothing for this long is given up."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What a client says about a recording before sending it. `exposure_notice_shown_at` is when people were told what would be
    used on them; None: they were not. `enrol` are the subjects of whom a voiceprint is to be made."""

    purpose: str
    context: Context
    jurisdiction: str
    recorded_at: datetime
    participants: tuple[gate.Participant, ...]
    scopes: tuple[Scope, ...]
    exposure_notice_shown_at: datetime | None = None
    enrol: frozenset[str] = frozenset()


def create_recording(project: Project, submission: Submission, *, actor: Actor) -> Recording:
    """Asks the gate and, when it allows, makes room for the audio. Raises `ConsentDenied` (recorded) and typed errors."""
    _require_known_scopes(submission.scopes)
    codes = [participant.subject for participant in submission.participants]
    if not 1 <= len(codes) <= MAX_PARTICIPANTS or len(set(codes)) != len(codes):
        raise TooManyParticipants(f"name 1 to {MAX_PARTICIPANTS} participants, each once")
    _require_enrollable(submission)
    code = new_code()
    request = GateRequest(
        project=project.pk,
        purpose=submission.purpose,
        context=submission.context,
        jurisdiction=submission.jurisdiction,
        recorded_at=submission.recorded_at,
        participants=submission.participants,
        scopes=submission.scopes,
        exposure_notice_shown_at=submission.exposure_notice_shown_at,
        recording=code,
    )
    denied: ConsentDenied | None = None
    with transaction.atomic():
        locking.hold(project.pk, codes)
        try:
            permit = gate.require(request, action=Action.SUBMIT, actor=actor, object_code=code, caller_commits=True)
        except ConsentDenied as denial:
            denied = denial
        else:
            return _make_recording(project, code, submission, permit, actor)
    raise denied


def receive_audio(
    recording: Recording, read: Callable[[int], bytes], length: int, *, actor: Actor
) -> tuple[Recording, Analysis]:
    """Seals the body while it arrives, then completes the recording and queues its job in one transaction.

    `read(n)` gives up to n bytes, empty at the end; `length` is what the client announced. Memory stays flat. Raises
    `ConsentDenied` before a byte is read, `RecordingNotReceivable`, `AudioTooLarge`, `AudioTruncated`, `AudioEmpty`.
    """
    limit: int = settings.VOXGOV_MAX_AUDIO_BYTES
    if length > limit:
        raise AudioTooLarge(f"at most {limit} bytes are accepted")
    if length == 0:
        raise AudioEmpty("the body is empty")
    gate.require(gate_request(recording), action=Action.UPLOAD, actor=actor, object_code=recording.code)
    blob_code = new_code()
    _claim_receiving(recording, blob_code)
    organization = recording.project.organization.code
    key = KeyName.work(organization, recording.code)
    try:
        with sealing.seal_stream(
            audio_context(organization, recording.code, blob_code), [key], code=blob_code
        ) as writer:
            received = 0
            touched = timezone.now()
            while received < length:
                chunk = read(min(CHUNK, length - received))
                if not chunk:
                    raise AudioTruncated(f"the body ended after {received} of {length} bytes")
                writer.write(chunk)
                received += len(chunk)
                if timezone.now() - touched > RECEIVING_LEASE / 4:
                    touched = timezone.now()
                    _extend_receiving(recording, blob_code)
            blob = writer.finish()
        analysis = _complete(recording, blob, actor)
    except BaseException:
        _receiving(recording, blob_code).update(
            state=RecordingState.AWAITING_AUDIO.value, receiving_until=None, receiving_blob=""
        )
        raise
    # From here on the audio is taken: whatever goes wrong now must not look as if it were not.
    recording.refresh_from_db()
    return recording, analysis


def request_analysis(recording: Recording, scopes: Sequence[Scope], *, actor: Actor) -> Analysis:
    """Queues another job on a recording whose audio is still there. Raises `ConsentDenied`, `AudioGone`, scope errors."""
    _require_known_scopes(scopes)
    beyond = {scope.value for scope in scopes} - set(recording.scopes)
    if beyond:
        raise ScopeOutsideRecording(f"the recording was not submitted for {', '.join(sorted(beyond))}")
    denied: ConsentDenied | None = None
    subjects = [p.subject.code for p in recording.participants.select_related("subject")]
    with transaction.atomic():
        locking.hold(recording.project_id, subjects)
        locked = Recording.objects.select_for_update(no_key=True).get(pk=recording.pk)
        if locked.state != RecordingState.COMPLETE or not (locked.waiting_audio or locked.kept_audio):
            raise AudioGone("the audio of this recording is not here")
        if not locked.waiting_audio:
            if deletion.is_kept_audio_doomed(locked):
                raise AudioGone("the audio of this recording is ordered destroyed")
            # Kept audio is opened under the scopes that it rests on: the job needs them too, whether or not they were named.
            scopes = [*scopes, *locked.kept_scopes]
        try:
            gate.require(
                gate_request(locked, list(dict.fromkeys(scopes))),
                action=Action.ENQUEUE,
                actor=actor,
                object_code=recording.code,
                caller_commits=True,
            )
        except ConsentDenied as denial:
            denied = denial
        else:
            return _queue(locked, scopes, actor)
    raise denied


def gate_request(
    recording: Recording, scopes: Sequence[Scope] | None = None, *, told_apart: bool = False
) -> GateRequest:
    """The question that a recording poses to the gate, for all its scopes or some of them. `told_apart` where what was heard or
    kept is only to be read."""
    return GateRequest(
        project=recording.project_id,
        purpose=recording.purpose.code,
        context=Context(recording.context),
        jurisdiction=recording.jurisdiction,
        recorded_at=recording.recorded_at,
        participants=tuple(
            gate.Participant(p.subject.code, ParticipantRole(p.role), p.channel, p.jurisdiction)
            for p in recording.participants.select_related("subject").order_by("position")
        ),
        scopes=tuple(Scope(scope) for scope in recording.scopes) if scopes is None else tuple(scopes),
        exposure_notice_shown_at=recording.exposure_notice_shown_at,
        recording=recording.code,
        told_apart=told_apart,
    )


def audio_context(organization: str, recording: str, blob: str) -> SealContext:
    """What waiting audio is bound to: sealed under the recording's work key, which nobody grants."""
    return SealContext(
        organization=organization, subjects=(), scope="work", kind="recording", field=recording, object_code=blob
    )


def _require_known_scopes(scopes: Sequence[Scope]) -> None:
    without = sorted(scope.value for scope in set(scopes) - ACCEPTED_SCOPES)
    if without:
        raise ScopeWithoutEngine(f"no engine of this version answers {', '.join(without)}")


def _require_enrollable(submission: Submission) -> None:
    """Raises `EnrolmentImpossible` unless each voice to be enrolled is asked to be recognized, and is alone on a channel."""
    people = {person.subject: person for person in submission.participants}
    for subject in sorted(submission.enrol):
        if Scope.IDENTIFY not in submission.scopes:
            raise EnrolmentImpossible(f"a voice is enrolled under {Scope.IDENTIFY}, which is not among the scopes")
        person = people.get(subject)
        if person is None or not (len(people) == 1 or is_alone(submission.participants, person)):
            raise EnrolmentImpossible("a voice is enrolled from a channel on which nobody else may be heard")


def _make_recording(project: Project, code: str, submission: Submission, permit: Permit, actor: Actor) -> Recording:
    recording: Recording = Recording.objects.create(
        code=code,
        project=project,
        purpose=Purpose.objects.get(project=project, code=submission.purpose),
        context=submission.context.value,
        jurisdiction=submission.jurisdiction,
        recorded_at=submission.recorded_at,
        exposure_notice_shown_at=submission.exposure_notice_shown_at,
        scopes=sorted({scope.value for scope in submission.scopes}),
    )
    subjects = {s.code: s for s in Subject.objects.filter(project=project, code__in=permit.consent_epochs)}
    Participant.objects.bulk_create(
        Participant(
            recording=recording,
            subject=subjects[participant.subject],
            role=participant.role.value,
            channel=participant.channel,
            jurisdiction=participant.jurisdiction,
            position=position,
            enrol=participant.subject in submission.enrol,
        )
        for position, participant in enumerate(submission.participants)
    )
    _record(EventName.RECORDING_CREATED, recording, actor, decision=permit.decision)
    return recording


def _claim_receiving(recording: Recording, blob_code: str) -> None:
    now = timezone.now()
    waiting = Q(state=RecordingState.AWAITING_AUDIO.value)
    given_up = Q(state=RecordingState.RECEIVING.value, receiving_until__lt=now)
    claimed = Recording.objects.filter(waiting | given_up, pk=recording.pk).update(
        state=RecordingState.RECEIVING.value, receiving_until=now + RECEIVING_LEASE, receiving_blob=blob_code
    )
    if not claimed:
        raise RecordingNotReceivable("this recording is not waiting for audio")


def _extend_receiving(recording: Recording, blob_code: str) -> None:
    if not _receiving(recording, blob_code).update(receiving_until=timezone.now() + RECEIVING_LEASE):
        raise RecordingNotReceivable("the recording went, or another upload took over, while its audio was arriving")


def _receiving(recording: Recording, blob_code: str) -> ScopedQuerySet:
    """The recording as long as this upload is the one under way."""
    return Recording.objects.filter(pk=recording.pk, state=RecordingState.RECEIVING.value, receiving_blob=blob_code)


def _complete(recording: Recording, blob: SealedBlob, actor: Actor) -> Analysis:
    """The blob is on disk already; one transaction makes the recording complete and its job queued, or neither.

    A blob whose transaction was refused is removed; one whose transaction failed is left to the sweep for orphans, which asks
    the database: after a commit whose answer was lost, the blob is the recording's only copy.
    """
    denied: ConsentDenied | None = None
    subjects = [p.subject.code for p in recording.participants.select_related("subject")]
    with transaction.atomic():
        locking.hold(recording.project_id, subjects)
        locked = Recording.objects.select_for_update(no_key=True).filter(pk=recording.pk).first()
        if locked is None or locked.state != RecordingState.RECEIVING or locked.receiving_blob != blob.code:
            raise RecordingNotReceivable(
                "the recording went, or another upload took over, while its audio was arriving"
            )
        try:
            permit = gate.require(
                gate_request(locked), action=Action.ENQUEUE, actor=actor, object_code=locked.code, caller_commits=True
            )
        except ConsentDenied as denial:
            denied = denial
        else:
            blob.save()
            locked.state = RecordingState.COMPLETE.value
            locked.receiving_until = None
            locked.receiving_blob = ""
            locked.completed_at = timezone.now()
            locked.waiting_audio = blob.code
            locked.size = blob.plaintext_size
            locked.save()
            _record(EventName.RECORDING_COMPLETED, locked, actor, decision=permit.decision, size=locked.size)
            return _queue(locked, [Scope(scope) for scope in locked.scopes], actor)
    storage.remove(blob.code)
    raise denied


def _queue(recording: Recording, scopes: Sequence[Scope], actor: Actor) -> Analysis:
    analysis: Analysis = Analysis.objects.create(recording=recording, scopes=sorted({scope.value for scope in scopes}))
    trail.record(
        EventName.ANALYSIS_QUEUED,
        organization=recording.project.organization.code,
        actor=actor,
        objects=[
            Reference(ObjectKind.ANALYSIS, analysis.code),
            Reference(ObjectKind.RECORDING, recording.code),
            Reference(ObjectKind.PROJECT, recording.project.code),
        ],
        detail={"scopes": analysis.scopes},
    )
    code = analysis.code
    transaction.on_commit(lambda: bell.ring(code), robust=True)
    return analysis


def _record(name: EventName, recording: Recording, actor: Actor, *, decision: str, size: int | None = None) -> None:
    trail.record(
        name,
        organization=recording.project.organization.code,
        actor=actor,
        objects=[
            Reference(ObjectKind.RECORDING, recording.code),
            Reference(ObjectKind.DECISION, decision),
            *[
                Reference(ObjectKind.SUBJECT, p.subject.code, p.subject.consent_epoch)
                for p in recording.participants.select_related("subject").order_by("position")
            ],
            Reference(ObjectKind.PROJECT, recording.project.code),
        ],
        detail={"scopes": recording.scopes, "size": size},
    )
