"""The analysis room's entries in the inventory of personal data: audio that waits, audio that is kept, results, recordings."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from analysis import deletion
from analysis.models import Analysis, Participant, Recording, Result, TranscriptionHints
from analysis.states import UNFINISHED, RecordingState
from analysis.submission import gate_request
from audit import trail
from consent import gate, inventory, restricting
from consent.inventory import Category, Target
from consent.vocabulary import Scope
from vault import sealing
from vault.models import KeyClass

ACTOR = trail.system("destruction")


def _recordings(target: Target) -> QuerySet[Recording]:
    """Every recording that the person is in, for the target's purpose."""
    rows = Recording.objects.filter(project=target.project, participants__subject__code=target.subject)
    if target.purpose:
        rows = rows.filter(purpose__code=target.purpose)
    return rows.select_related("project__organization").order_by("id")


def _with_audio(target: Target) -> QuerySet[Recording]:
    """The same, but audio that came in after the order rests on a later consent and is left alone."""
    rows = _recordings(target)
    return rows if target.whole_person else rows.filter(completed_at__lte=target.made_until)


def _with_somebody_restricted(recording: str = "pk") -> Exists:
    """Terms stand still for what concerns somebody whose processing is restricted: to destroy is to process (GDPR art. 4(2)),
    and of all processing only storage goes on (art. 18(2))."""
    return Exists(Participant.objects.filter(recording=OuterRef(recording), subject__restricted_at__isnull=False))


def _is_needed(recording: Recording) -> bool:
    """Whether anybody in it still grants anything, or would if their processing were not restricted."""
    request = gate_request(recording)
    if gate.evaluate(request).granted:
        return True
    subjects = [person.subject for person in request.participants]
    return restricting.holds_something(request.project, subjects, request.purpose, request.scopes)


_HINTS_FIELDS = frozenset({"code", "recording", "analysis", "sealed", "created_at"})


class WaitingAudioHolder:
    """What lies under the work key: audio, and what was said to help transcribe it, which may be there before the audio is. It goes
    when the last job ends, at the latest when its term does."""

    name = "waiting_audio"
    category = Category.WAITING_AUDIO
    fields = frozenset(
        {"analysis.Recording.waiting_audio", *(f"analysis.TranscriptionHints.{name}" for name in _HINTS_FIELDS)}
    )

    def _rows(self, target: Target) -> QuerySet[Recording]:
        rows = _recordings(target).filter(~Q(waiting_audio="") | Exists(_hints()))
        if target.whole_person:
            return rows
        return rows.filter(
            Q(completed_at__lte=target.made_until) | Q(completed_at=None, created_at__lte=target.made_until)
        )

    def count(self, target: Target) -> int:
        return self._rows(target).count()

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        for row in self._rows(target):
            yield {"recording": row.code, "size": row.size, "transcription_hints": row.hints.exists()}

    def destroy(self, target: Target) -> int:
        """The whole person: all of it. Some scopes: where nothing is granted any more, to anybody in the recording."""
        gone = 0
        for recording in self._rows(target):
            if target.whole_person or not _is_needed(recording):
                gone += _drop_waiting(recording)
        return gone

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        """Jobs that waited for a restriction to be lifted get their audio's whole term afterwards."""
        lifted = Participant.objects.filter(recording=OuterRef("pk"), subject__restriction_lifted_at__gte=made_before)
        audio = Q(completed_at__lt=made_before) & ~Q(waiting_audio="")
        rows = Recording.objects.filter(audio | Exists(_hints().filter(created_at__lt=made_before)), project=project)
        rows = rows.filter(~Exists(lifted), ~_with_somebody_restricted())
        return sum(_drop_waiting(row) for row in rows.select_related("project__organization").order_by("id")[:limit])


def _hints() -> QuerySet[TranscriptionHints]:
    rows: QuerySet[TranscriptionHints] = TranscriptionHints.objects.filter(recording=OuterRef("pk"))
    return rows


def _drop_waiting(recording: Recording) -> int:
    with transaction.atomic():
        locked = Recording.objects.select_for_update(of=("self",), no_key=True).get(pk=recording.pk)
        if not (locked.waiting_audio or locked.hints.exists()):
            return 0
        deletion.stop_jobs(locked, actor=ACTOR)
        sealing.shred(
            recording.project.organization.code, owner=locked.code, key_class=KeyClass.WORK, reason="destroyed"
        )
        locked.hints.all().delete()
        locked.waiting_audio = ""
        locked.save(update_fields=["waiting_audio"])
    return 1


class KeptAudioHolder:
    """Audio that everybody in it granted keeping, under all their keys. Where voices in it were told apart by voiceprint, it goes
    with the consent to that as well."""

    name = "kept_audio"
    category = Category.KEPT_AUDIO
    fields = frozenset({"analysis.Recording.kept_audio", "analysis.Recording.kept_apart"})

    def _rows(self, target: Target) -> QuerySet[Recording]:
        rows = _with_audio(target).exclude(kept_audio="")
        if not target.whole_person:
            # Whom the kept audio leaves out has nothing in it to destroy.
            kept = Participant.objects.filter(subject__code=target.subject, in_kept_audio=True)
            rows = rows.filter(pk__in=kept.values("recording"))
        if target.whole_person or Scope.AUDIO_STORE.value in target.scopes:
            return rows
        return rows.filter(kept_apart=True) if Scope.IDENTIFY.value in target.scopes else rows.none()

    def count(self, target: Target) -> int:
        return self._rows(target).count()

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        for row in self._rows(target):
            yield {"recording": row.code, "size": row.size}

    def destroy(self, target: Target) -> int:
        return sum(_drop_kept(row) for row in self._rows(target))

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        rows = Recording.objects.filter(project=project, completed_at__lt=made_before).exclude(kept_audio="")
        rows = rows.filter(~_with_somebody_restricted())
        return sum(_drop_kept(row) for row in rows.order_by("id")[:limit])

    def destroy_due_of(self, purpose: int, made_before: datetime, limit: int) -> int:
        rows = Recording.objects.filter(purpose=purpose, completed_at__lt=made_before).exclude(kept_audio="")
        rows = rows.filter(~_with_somebody_restricted())
        return sum(_drop_kept(row) for row in rows.order_by("id")[:limit])


def _drop_kept(recording: Recording) -> int:
    with transaction.atomic():
        locked = Recording.objects.select_for_update(of=("self",), no_key=True).get(pk=recording.pk)
        gone = deletion.destroy_kept_audio(locked)
        locked.save(update_fields=["kept_audio"])
    return gone


class ResultHolder:
    """What the engines found: words, language, sounds, prosody, expression. Sealed; the rows go too."""

    name = "results"
    category = Category.RESULTS
    fields = frozenset(
        f"analysis.Result.{name}"
        for name in ("code", "scope", "rests_on", "channels", "sealed", "decision", "input_commitment", "created_at")
    ) | {"analysis.Result_participants.participant", "analysis.Result_participants.result"}

    def _rows(self, target: Target) -> QuerySet[Result]:
        rows = Result.objects.filter(
            analysis__recording__project=target.project,
            participants__subject__code=target.subject,
        )
        if not target.whole_person:
            rows = rows.filter(created_at__lte=target.made_until)
        if target.purpose:
            rows = rows.filter(analysis__recording__purpose__code=target.purpose)
        if not target.whole_person:
            rows = rows.filter(rests_on__overlap=sorted(target.scopes))
        return rows.distinct()

    def count(self, target: Target) -> int:
        return self._rows(target).count()

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        for row in self._rows(target).select_related("analysis__recording").order_by("id"):
            yield {
                "result": row.code,
                "recording": row.analysis.recording.code,
                "scope": row.scope,
                "made": row.created_at,
            }

    def destroy(self, target: Target) -> int:
        return deletion.destroy_results(self._rows(target).values_list("pk", flat=True))

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        due = Result.objects.filter(analysis__recording__project=project, created_at__lt=made_before)
        return _destroy_oldest(due, limit)

    def destroy_due_of(self, purpose: int, made_before: datetime, limit: int) -> int:
        due = Result.objects.filter(analysis__recording__purpose=purpose, created_at__lt=made_before)
        return _destroy_oldest(due, limit)


def _destroy_oldest(due: QuerySet[Result], limit: int) -> int:
    free = due.filter(~_with_somebody_restricted("analysis__recording")).order_by("id")
    return deletion.destroy_results(free.values_list("pk", flat=True)[:limit])


_RECORDING_FIELDS = frozenset(
    {
        "code",
        "purpose",
        "context",
        "jurisdiction",
        "recorded_at",
        "exposure_notice_shown_at",
        "scopes",
        "state",
        "receiving_until",
        "size",
    }
    | {"duration", "channels", "created_at", "completed_at", "deleted_at"}
)
_PARTICIPANT_FIELDS = frozenset(
    {"recording", "subject", "role", "channel", "jurisdiction", "position", "in_kept_audio", "enrol"}
)
_ANALYSIS_FIELDS = frozenset(
    {"code", "recording", "scopes", "state", "stage", "progress", "decision", "error_code", "error_message"}
    | {"created_at", "started_at", "finished_at", "cancel_requested", "attempts", "due_at"}
)


class RecordingHolder:
    """That somebody was recorded: the recording's row, its participants, its jobs."""

    name = "recordings"
    category = Category.RECORDINGS
    fields = frozenset(
        {
            *(f"analysis.Recording.{name}" for name in _RECORDING_FIELDS),
            *(f"analysis.Participant.{name}" for name in _PARTICIPANT_FIELDS),
            *(f"analysis.Analysis.{name}" for name in _ANALYSIS_FIELDS),
            "audit.EventReference.code",
            "audit.EventReference.salt",
        }
    )

    def count(self, target: Target) -> int:
        return _recordings(target).count() if target.whole_person else 0

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        for row in _recordings(target):
            yield {"recording": row.code, "recorded_at": row.recorded_at, "state": row.state, "scopes": row.scopes}

    def destroy(self, target: Target) -> int:
        """The whole person: their participations go; a recording that nobody else is in goes with its jobs."""
        if not target.whole_person:
            return 0
        return sum(_forget_person(recording, target.subject) for recording in _recordings(target))

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        rows = (
            Recording.objects.filter(project=project, created_at__lt=made_before)
            .exclude(analyses__state__in=[state.value for state in UNFINISHED])
            .filter(~_with_somebody_restricted())
            .select_related("project__organization")
            .order_by("id")
        )
        gone = 0
        for recording in rows[:limit]:
            _remove(recording)
            gone += 1
        return gone


def _forget_person(recording: Recording, subject: str) -> int:
    """Cuts the person out of a recording that others are in too. Their voice is in its audio, so the recording is closed: with one
    participant fewer the rest would seem to be bound to all of it."""
    if not Participant.objects.filter(recording=recording).exclude(subject__code=subject).exists():
        _remove(recording)
        return 1
    with transaction.atomic():
        locked = (
            Recording.objects.select_for_update(of=("self",), no_key=True)
            .select_related("project__organization")
            .get(pk=recording.pk)
        )
        deletion.stop_jobs(locked, actor=ACTOR)
        deletion.destroy_audio(locked)
        if locked.state != RecordingState.DELETED:
            locked.state = RecordingState.CLOSED.value
        locked.receiving_until, locked.receiving_blob = None, ""
        locked.save()
        theirs = Participant.objects.filter(recording=locked, subject__code=subject)
        shared = Result.objects.filter(participants__in=theirs)
        deletion.destroy_results(shared.values_list("pk", flat=True))
        deleted, _ = theirs.delete()
    return int(deleted > 0)


def _remove(recording: Recording) -> None:
    """Deletes the recording with everything under it, and the salts that tie log entries to it."""
    with transaction.atomic():
        locked = (
            Recording.objects.select_for_update(of=("self",), no_key=True)
            .select_related("project__organization")
            .get(pk=recording.pk)
        )
        codes = [locked.code, *Analysis.objects.filter(recording=locked).values_list("code", flat=True)]
        results = Result.objects.filter(analysis__recording=locked)
        deletion.destroy_results(results.values_list("pk", flat=True))
        deletion.destroy_audio(locked)
        Participant.objects.filter(recording=locked).delete()
        Analysis.objects.filter(recording=locked).delete()
        locked.delete()
        trail.forget(recording.project.organization.code, codes)


def declare_all() -> None:
    for holder in (WaitingAudioHolder(), KeptAudioHolder(), ResultHolder(), RecordingHolder()):
        inventory.declare(holder)
