"""Deleting one recording: its audio, its jobs and what was derived from it. The row stays as a bare marker until retention ends."""

from collections.abc import Iterable
from typing import Final

from django.db import transaction
from django.utils import timezone

from analysis import claiming
from analysis.errors import NotCancellable
from analysis.models import Analysis, Recording, Result
from analysis.states import UNFINISHED, RecordingState
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import destruction, locking, restricting
from consent.errors import SubjectRestricted
from vault import journal, sealing
from vault.journal import Entry
from vault.models import KeyClass, SealedBlob

DELETED: Final = "recording-deleted"
"""What the journal calls it."""


def replay(entry: Entry) -> bool:
    """Deletes a recording again that a restored backup brought back. True when it was there."""
    back = Recording.objects.filter(code=entry.body["recording"]).exclude(state=RecordingState.DELETED.value).first()
    if back is not None:
        _delete(back, actor=trail.system("recovery"))
    return back is not None


@transaction.atomic
def delete_recording(recording: Recording, *, actor: Actor) -> Recording:
    """Deletes audio and results of the recording and stops its jobs. Idempotent.

    Raises `SubjectRestricted` where somebody in it is restricted: they may want it kept (GDPR art. 18(1)(b), (c)).
    """
    subjects = [person.subject.code for person in recording.participants.select_related("subject")]
    locking.hold(recording.project_id, subjects)
    if restricting.is_restricted(recording.project_id, subjects):
        raise SubjectRestricted("the processing of somebody's data in this recording is restricted")
    return _delete(recording, actor=actor)


@transaction.atomic
def _delete(recording: Recording, *, actor: Actor) -> Recording:
    locked: Recording = Recording.objects.select_for_update(no_key=True).get(pk=recording.pk)
    if locked.state == RecordingState.DELETED:
        return locked
    stop_jobs(locked, actor=actor)
    results = Result.objects.filter(analysis__recording=locked).count()
    destroy_results(Result.objects.filter(analysis__recording=locked).values_list("pk", flat=True))
    destroy_audio(locked)
    locked.state = RecordingState.DELETED.value
    locked.deleted_at = timezone.now()
    locked.receiving_until = None
    locked.save()
    journal.note(DELETED, {"recording": locked.code})
    trail.record(
        EventName.RECORDING_DELETED,
        organization=locked.project.organization.code,
        actor=actor,
        objects=[
            Reference(ObjectKind.RECORDING, locked.code),
            *[
                Reference(ObjectKind.SUBJECT, p.subject.code, p.subject.consent_epoch)
                for p in locked.participants.select_related("subject").order_by("position")
            ],
            Reference(ObjectKind.PROJECT, locked.project.code),
        ],
        detail={"results_destroyed": results},
    )
    return locked


def stop_jobs(recording: Recording, *, actor: Actor) -> int:
    """Cancels what is queued and tells what runs to stop at its next check. The caller holds the recording's row."""
    stopped = 0
    for job in Analysis.objects.filter(recording=recording, state__in=[state.value for state in UNFINISHED]):
        try:
            claiming.cancel(job, actor=actor)
        except NotCancellable:
            continue  # it ended meanwhile
        stopped += 1
    return stopped


def destroy_results(ids: Iterable[int]) -> int:
    """Deletes result rows, and those that were made from them; what was sealed in them goes with them."""
    given = list(ids)
    pks = [*given, *Result.objects.filter(made_from__in=given).exclude(pk__in=given).values_list("pk", flat=True)]
    Result.participants.through.objects.filter(result_id__in=pks).delete()
    deleted, _ = Result.objects.filter(pk__in=pks).delete()
    return deleted


def destroy_audio(recording: Recording) -> int:
    """Orders the work key destroyed with all that lies under it, even of an upload that never completed, and removes the kept
    blob. The caller saves."""
    gone = 0
    if recording.state != RecordingState.DELETED:
        sealing.shred(
            recording.project.organization.code, owner=recording.code, key_class=KeyClass.WORK, reason="deleted"
        )
        gone += bool(recording.waiting_audio)
        recording.waiting_audio = ""
        recording.hints.all().delete()
    return gone + destroy_kept_audio(recording)


def is_kept_audio_doomed(recording: Recording) -> bool:
    """Whether somebody in the kept audio ended the consent to it, though it lies there still."""
    people = recording.participants.filter(in_kept_audio=True).values_list("subject__code", flat=True)
    subjects = list(people)
    return any(
        destruction.names(order, subjects, recording.kept_scopes, recording.completed_at or order.ordered_at)
        for order in destruction.open_orders(recording.project_id, recording.purpose.code, subjects)
    )


def destroy_kept_audio(recording: Recording) -> int:
    """Removes the kept blob. The caller saves the recording."""
    if not recording.kept_audio:
        return 0
    blob = SealedBlob.objects.filter(code=recording.kept_audio).first()
    if blob is not None:
        sealing.discard(blob)
    recording.kept_audio = ""
    return 1
