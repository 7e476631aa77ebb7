"""What goes when no job needs it any more: waiting audio, what was said to help transcribe it, and uploads that were given up."""

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from analysis.models import Analysis, Recording
from analysis.states import UNFINISHED, RecordingState
from vault import sealing, storage
from vault.models import KeyClass


def dispose_of_waiting_audio(recording_id: int) -> bool:
    """Orders the work key destroyed once the recording's last job has ended. Idempotent; False when a job still needs it."""
    with transaction.atomic():
        recording: Recording | None = (
            Recording.objects.select_for_update(of=("self",), no_key=True)
            .select_related("project__organization")
            .filter(pk=recording_id)
            .first()
        )
        if recording is None or not (recording.waiting_audio or recording.hints.exists()):
            return False
        if recording.participants.filter(subject__restricted_at__isnull=False).exists():
            # What is stored about somebody restricted stays; once that is lifted the next sweep comes by.
            return False
        unfinished = [state.value for state in UNFINISHED]
        if Analysis.objects.filter(recording=recording, state__in=unfinished).exists():
            return False
        sealing.shred(
            recording.project.organization.code,
            owner=recording.code,
            key_class=KeyClass.WORK,
            reason="last job ended",
        )
        recording.hints.all().delete()
        recording.waiting_audio = ""
        recording.save(update_fields=["waiting_audio"])
    return True


def tidy() -> int:
    """Disposes of audio whose jobs have all ended, reopens uploads that were given up, and removes sealed files whose
    transaction never came. Returns how many things changed."""
    changed = Recording.objects.filter(state=RecordingState.RECEIVING.value, receiving_until__lt=timezone.now()).update(
        state=RecordingState.AWAITING_AUDIO.value, receiving_until=None, receiving_blob=""
    )
    waiting = Recording.objects.filter(
        ~Q(waiting_audio="") | Q(hints__isnull=False), state=RecordingState.COMPLETE.value
    )
    for pk in list(waiting.values_list("pk", flat=True).distinct()[:500]):
        changed += dispose_of_waiting_audio(pk)
    return changed + storage.remove_orphans()
