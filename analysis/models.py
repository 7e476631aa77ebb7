"""Recordings, who speaks in them, the jobs that analyse them, and the sealed results.

The row is the job: state, lease and fencing token live here, and Celery only rings the bell. Rules are in `submission`,
`claiming`, `pipeline` and `reading`.
"""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Project
from accounts.roles import Permission
from analysis.states import AnalysisState, RecordingState, Stage
from consent.models import Purpose, ScopedQuerySet, Subject
from consent.vocabulary import Context, ParticipantRole, Scope
from vault.codes import new_code


def _choices(words: type[AnalysisState] | type[RecordingState] | type[Stage]) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in words]


class Recording(models.Model):
    """Speech that somebody submitted for one purpose. Its waiting audio is sealed under `work.{recording}`."""

    view_permission: ClassVar = Permission.VIEW_RECORDING

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="recordings")
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="recordings")
    context = models.CharField(max_length=32, choices=[(c.value, c.value) for c in Context])
    jurisdiction = models.CharField(max_length=16, help_text="ISO 3166 code, or `unknown`.")
    recorded_at = models.DateTimeField()
    exposure_notice_shown_at = models.DateTimeField(
        null=True, help_text="When people were told that emotion or accent recognition would be used on them."
    )
    scopes = ArrayField(models.CharField(max_length=32, choices=[(s.value, s.value) for s in Scope]))
    state = models.CharField(
        max_length=16, choices=_choices(RecordingState), default=RecordingState.AWAITING_AUDIO.value
    )
    receiving_until = models.DateTimeField(null=True, help_text="An upload under way is given up after this time.")
    receiving_blob = models.CharField(
        max_length=36, blank=True, help_text="Names the upload under way, and fences late ones."
    )
    waiting_audio = models.CharField(
        max_length=36, blank=True, help_text="Blob under the work key, while a job needs it."
    )
    kept_audio = models.CharField(
        max_length=36, blank=True, help_text="Blob under every participant's audio.store key."
    )
    kept_apart = models.BooleanField(
        default=False, help_text="What is kept was told apart by voiceprint, and rests on voice.identify too."
    )
    size = models.BigIntegerField(null=True, help_text="Bytes uploaded.")
    duration = models.FloatField(null=True, help_text="Seconds, once decoded.")
    channels = models.IntegerField(null=True, help_text="Channels of the upload, once decoded.")
    created_at = models.DateTimeField(auto_now_add=True)
    completed_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["project", "-id"], name="recording_recent")]

    def __str__(self) -> str:
        return self.code

    @property
    def kept_scopes(self) -> tuple[Scope, ...]:
        """The scopes that the kept audio rests on."""
        return (Scope.AUDIO_STORE, Scope.IDENTIFY) if self.kept_apart else (Scope.AUDIO_STORE,)


class Participant(models.Model):
    """A subject in one recording. Without a channel they may be heard on any."""

    view_permission: ClassVar = Permission.VIEW_RECORDING
    project_path: ClassVar = "recording__project"

    id = models.BigAutoField(primary_key=True)
    recording = models.ForeignKey(Recording, on_delete=models.CASCADE, related_name="participants")
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="participations")
    role = models.CharField(max_length=16, choices=[(r.value, r.value) for r in ParticipantRole])
    channel = models.IntegerField(null=True)
    jurisdiction = models.CharField(
        max_length=16, blank=True, help_text="Where this person was; empty where it is the recording's."
    )
    in_kept_audio = models.BooleanField(
        default=True, help_text="False where kept audio leaves this person's voice out."
    )
    enrol = models.BooleanField(
        default=False, help_text="A voiceprint is to be made of this person; the first finished job takes care of it."
    )
    position = models.IntegerField(help_text="Order in which the submission named them, from 0.")

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["recording", "subject"], name="one_participation_per_subject"),
            models.UniqueConstraint(fields=["recording", "position"], name="one_participant_per_position"),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.position}"


class Analysis(models.Model):
    """A job. Whoever holds the newest fencing token may write; a late or duplicate worker loses on it."""

    view_permission: ClassVar = Permission.VIEW_RECORDING
    project_path: ClassVar = "recording__project"

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    recording = models.ForeignKey(Recording, on_delete=models.CASCADE, related_name="analyses")
    scopes = ArrayField(models.CharField(max_length=32, choices=[(s.value, s.value) for s in Scope]))
    state = models.CharField(max_length=16, choices=_choices(AnalysisState), default=AnalysisState.QUEUED.value)
    stage = models.CharField(max_length=16, choices=_choices(Stage), default=Stage.WAITING.value)
    progress = models.FloatField(default=0.0, help_text="0.0 to 1.0.")
    fencing_token = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    due_at = models.DateTimeField(auto_now_add=True, help_text="Not claimed before this time (retries wait).")
    rung_at = models.DateTimeField(
        null=True, default=timezone.now, help_text="When a worker was last told of it; a new job is rung at its commit."
    )
    attempts = models.IntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.CharField(max_length=300, blank=True)
    decision = models.CharField(max_length=36, blank=True, help_text="The decision that the results rest on.")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "analyses"
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"],
                name="analysis_unfinished",
                condition=Q(state__in=[AnalysisState.QUEUED.value, AnalysisState.RUNNING.value]),
            ),
        ]

    def __str__(self) -> str:
        return self.code


class TranscriptionHints(models.Model):
    """What a client said to help recognize the words of one job. Sealed under `work.{recording}`; goes with its last job."""

    view_permission: ClassVar = Permission.VIEW_RECORDING
    project_path: ClassVar = "recording__project"

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    recording = models.ForeignKey(Recording, on_delete=models.CASCADE, related_name="hints")
    analysis = models.OneToOneField(
        Analysis, on_delete=models.CASCADE, null=True, related_name="hints", help_text="None until there is a job."
    )
    sealed = models.BinaryField(help_text="JSON of the language, the prompt and the hot words, sealed.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return self.code


class Result(models.Model):
    """What one engine found on one set of channels, sealed under the key of every participant whom it is about, and under those of
    what it was made from."""

    view_permission: ClassVar = Permission.READ_RESULTS
    project_path: ClassVar = "analysis__recording__project"

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(max_length=36, unique=True, default=new_code, editable=False)
    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="results")
    participants = models.ManyToManyField(Participant, related_name="results")
    scope = models.CharField(max_length=32, choices=[(s.value, s.value) for s in Scope])
    rests_on = ArrayField(models.CharField(max_length=32), help_text="Every scope that this result was derived under.")
    made_from = models.ForeignKey(
        "self",
        on_delete=models.CASCADE,
        null=True,
        related_name="derived",
        help_text="The result that it says more about: it needs that one's keys too, is read only with it, and goes with it.",
    )
    channels = ArrayField(models.IntegerField())
    sealed = models.BinaryField(help_text="JSON of the engine's result, sealed.")
    model = models.JSONField(help_text="Name, version, digest, licence and parameters of the model.")
    decision = models.CharField(max_length=36)
    input_commitment = models.CharField(max_length=64, help_text="SHA-256 of the sealed audio that was heard.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.scope} {self.code}"
