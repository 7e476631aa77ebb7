"""Admin pages of recordings and jobs: states, progress and who took part. Never content: results are read through the gate only."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.admin_display import NOTHING, Tone, badge, code, exact_moment, moment, part, words
from accounts.governed_admin import GovernedAdmin
from accounts.roles import Permission
from analysis.models import Analysis, Recording
from analysis.states import UNFINISHED, AnalysisState, RecordingState
from consent.admin_words import scope_words
from consent.models import Decision

_RECORDING_TONES: Mapping[str, Tone] = {
    RecordingState.COMPLETE: Tone.GOOD,
    RecordingState.DELETED: Tone.ENDED,
}
_JOB_TONES: Mapping[str, Tone] = {
    AnalysisState.DONE: Tone.GOOD,
    AnalysisState.FAILED: Tone.BAD,
    AnalysisState.DENIED: Tone.BAD,
    AnalysisState.CANCELLED: Tone.ENDED,
}


@admin.register(Recording)
class RecordingAdmin(GovernedAdmin):
    view_permission = Permission.VIEW_RECORDING
    heading = "Recordings"
    introduction = (
        "What was submitted and where it stands. What was said is sealed and opens through the API only, by permit."
    )
    empty_hint = "No recording yet. Recordings are submitted through the API."
    position = 80
    in_trail = True
    list_display = ("code_short", "state_shown", "purpose_name", "context", "length", "submitted")
    list_filter = ("project", "purpose", "state", "context")
    list_select_related = ("purpose",)
    search_fields = ("code__istartswith",)
    search_help_text = "The beginning of a recording's code."
    ordering = ("-id",)
    date_hierarchy = "created_at"
    fieldsets = (
        (None, {"fields": ("code_shown", "state_shown", "purpose_link", "scopes_shown")}),
        ("Who and where", {"fields": ("people", "context", "jurisdiction", "recorded")}),
        ("Jobs", {"fields": ("jobs",)}),
        ("Audio", {"fields": ("length", "channels_shown", "uploaded", "audio_held")}),
        ("Times", {"fields": ("submitted", "completed", "deleted")}),
    )

    @admin.display(description="State", ordering="state")
    def state_shown(self, row: Recording) -> SafeString:
        return badge(words(row.state), _RECORDING_TONES.get(row.state, Tone.WAITING))

    @admin.display(description="Purpose", ordering="purpose__name")
    def purpose_name(self, row: Recording) -> str:
        return row.purpose.name

    @admin.display(description="Purpose")
    def purpose_link(self, row: Recording) -> SafeString:
        return self.link_to(row.purpose, row.purpose.name)

    @admin.display(description="Asked for")
    def scopes_shown(self, row: Recording) -> SafeString:
        return part("scopes", items=[(scope, scope_words(scope)) for scope in row.scopes])

    @admin.display(description="Participants")
    def people(self, row: Recording) -> SafeString:
        items = [
            {
                "who": self.link_to(person.subject, code(person.subject.code)),
                "role": person.role,
                "channel": "any channel" if person.channel is None else f"channel {person.channel}",
            }
            for person in row.participants.select_related("subject").order_by("position")
        ]
        return part("people", items=items)

    @admin.display(description="Analyses")
    def jobs(self, row: Recording) -> SafeString:
        items = [
            {"link": self.link_to(job, moment(job.created_at)), "state": _state(job), "progress": _progress(job)}
            for job in row.analyses.order_by("-id")[:100]
        ]
        return part("jobs", items=items)

    @admin.display(description="Length", ordering="duration")
    def length(self, row: Recording) -> str:
        return NOTHING if row.duration is None else f"{row.duration:.1f} s"

    @admin.display(description="Channels")
    def channels_shown(self, row: Recording) -> str:
        return NOTHING if row.channels is None else str(row.channels)

    @admin.display(description="Uploaded")
    def uploaded(self, row: Recording) -> str:
        return NOTHING if row.size is None else f"{row.size:,} bytes"

    @admin.display(description="Audio held")
    def audio_held(self, row: Recording) -> str:
        held = [("waiting for analysis, sealed", row.waiting_audio), ("kept by consent, sealed", row.kept_audio)]
        return "; ".join(text for text, blob in held if blob) or "none"

    @admin.display(description="Recorded")
    def recorded(self, row: Recording) -> str:
        return exact_moment(row.recorded_at)

    @admin.display(description="Submitted", ordering="id")
    def submitted(self, row: Recording) -> str:
        return moment(row.created_at)

    @admin.display(description="Complete")
    def completed(self, row: Recording) -> str:
        return exact_moment(row.completed_at)

    @admin.display(description="Deleted")
    def deleted(self, row: Recording) -> str:
        return exact_moment(row.deleted_at)


@admin.register(Analysis)
class AnalysisAdmin(GovernedAdmin):
    view_permission = Permission.VIEW_RECORDING
    heading = "Analyses"
    introduction = "The jobs and how far they are. Results are not shown here."
    empty_hint = "No analysis yet. One is queued as soon as a recording is complete."
    position = 90
    in_trail = True
    list_display = ("code_short", "state_shown", "stage", "progress_shown", "scopes_short", "queued")
    list_filter = ("state", "stage")
    search_fields = ("code__istartswith",)
    search_help_text = "The beginning of an analysis' code."
    ordering = ("-id",)
    date_hierarchy = "created_at"
    fieldsets = (
        (None, {"fields": ("code_shown", "state_shown", "stage", "progress_shown", "recording_link", "scopes_shown")}),
        ("Outcome", {"fields": ("error", "decision_link", "results_shown")}),
        ("Times", {"fields": ("queued", "started", "finished", "attempts")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("recording__project")

    def cards(self, request: HttpRequest) -> Sequence[Mapping[str, Any]]:
        rows = self.get_queryset(request)
        under_way = rows.filter(state__in=[state.value for state in UNFINISHED]).count()
        since = timezone.now() - timedelta(days=7)
        failed = rows.filter(state=AnalysisState.FAILED.value, finished_at__gte=since).count()
        return [
            {"label": "analyses under way", "count": under_way, "query": "", "pressing": False},
            {"label": "analyses failed in 7 days", "count": failed, "query": "?state__exact=failed", "pressing": True},
        ]

    @admin.display(description="State", ordering="state")
    def state_shown(self, row: Analysis) -> SafeString:
        return _state(row)

    @admin.display(description="Progress", ordering="progress")
    def progress_shown(self, row: Analysis) -> SafeString:
        return _progress(row)

    @admin.display(description="Scopes")
    def scopes_short(self, row: Analysis) -> str:
        return ", ".join(row.scopes)

    @admin.display(description="Scopes")
    def scopes_shown(self, row: Analysis) -> SafeString:
        return part("scopes", items=[(scope, scope_words(scope)) for scope in row.scopes])

    @admin.display(description="Recording")
    def recording_link(self, row: Analysis) -> SafeString:
        return self.link_to(row.recording, code(row.recording.code))

    @admin.display(description="Error")
    def error(self, row: Analysis) -> str:
        return f"{row.error_message} ({row.error_code})" if row.error_code else "none"

    @admin.display(description="Rests on decision")
    def decision_link(self, row: Analysis) -> SafeString:
        decision = Decision.objects.filter(code=row.decision, project=row.recording.project_id).first()
        return code(row.decision) if decision is None else self.link_to(decision, code(row.decision))

    @admin.display(description="Results held")
    def results_shown(self, row: Analysis) -> str:
        held = sorted(row.results.values_list("scope", flat=True))
        return f"{len(held)} sealed ({', '.join(held)})" if held else "none"

    @admin.display(description="Queued", ordering="id")
    def queued(self, row: Analysis) -> str:
        return moment(row.created_at)

    @admin.display(description="Started")
    def started(self, row: Analysis) -> str:
        return exact_moment(row.started_at)

    @admin.display(description="Finished")
    def finished(self, row: Analysis) -> str:
        return exact_moment(row.finished_at)


def _state(row: Analysis) -> SafeString:
    return badge(row.state, _JOB_TONES.get(row.state, Tone.WAITING))


def _progress(row: Analysis) -> SafeString:
    return part("progress", percent=round(100 * min(max(row.progress, 0.0), 1.0)))
