"""Admin page of the record of processing activities: read-only, generated when it is opened, and each look at it recorded."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from accounts.admin_acts import actor
from accounts.admin_display import exact_moment, part
from accounts.roles import Permission
from consent import processing_record
from consent.admin_policy import ConsentAdmin
from consent.models import ProjectRecord
from consent.processing_record import ARTICLES, Activity, PartyBody, ProcessingRecord


@admin.register(ProjectRecord)
class ProcessingRecordAdmin(ConsentAdmin):
    view_permission = Permission.VIEW_PROCESSING_RECORD
    heading = "Record of processing"
    introduction = (
        "What is processed, why, about whom and for how long (GDPR art. 30), generated from how things stand now."
    )
    empty_hint = "There is no project yet."
    position = 75
    list_display = ("name", "purposes_open")
    ordering = ("name",)
    fieldsets = (
        (None, {"fields": ("organization_name", "generated", "state")}),
        ("Activities", {"fields": ("activities",)}),
        (f"Security measures ({ARTICLES['security_measures']})", {"fields": ("measures",)}),
    )

    def caption(self, row: ProjectRecord) -> str:
        return row.name

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What stands on the trail is who opened it; whoever may not is turned away as everywhere."""
        row = self.get_object(request, object_id)
        if row is not None and request.method == "GET":
            processing_record.record_look(row, actor=actor(request))
        return super().change_view(request, object_id, form_url, extra_context)

    @admin.display(description="Open purposes")
    def purposes_open(self, row: ProjectRecord) -> int:
        return row.purposes.filter(active=True).count()

    @admin.display(description="Organization")
    def organization_name(self, row: ProjectRecord) -> str:
        return row.organization.name

    @admin.display(description="Generated")
    def generated(self, row: ProjectRecord) -> str:
        return exact_moment(_record(row).generated_at)

    @admin.display(description="Answers")
    def state(self, row: ProjectRecord) -> SafeString:
        found = [one for one in _record(row).activities if one.missing]
        return part("record_state", missing=found, citation=_record(row).citation)

    @admin.display(description="One for each purpose")
    def activities(self, row: ProjectRecord) -> SafeString:
        return part("activities", activities=[_shown(activity) for activity in _record(row).activities])

    @admin.display(description="Of this service")
    def measures(self, row: ProjectRecord) -> SafeString:
        record = _record(row)
        return part("measures", measures=record.security_measures, outside=record.outside)


def _record(row: Any) -> ProcessingRecord:
    """Generated once for each row that is shown."""
    found = getattr(row, "record_shown", None)
    if isinstance(found, ProcessingRecord):
        return found
    record = processing_record.generate(row)
    row.record_shown = record
    return record


def _shown(activity: Activity) -> dict[str, Any]:
    return {
        "activity": activity,
        "articles": ARTICLES,
        "controllers": [_party(party) for party in activity.parties.controllers],
        "representatives": [_party(party) for party in activity.parties.representatives],
        "officers": [_party(party) for party in activity.parties.protection_officers],
        "recipients": [
            *activity.recipients.named,
            *(_party(party) for party in activity.recipients.processors),
        ],
        "basis": activity.purpose.lawful_basis.replace("_", " "),
        "limits": [(limit.category.replace("_", " "), limit.days) for limit in activity.time_limits],
    }


def _party(party: PartyBody) -> str:
    return f"{party['name']}, {party['address']}, {party['contact']}"
