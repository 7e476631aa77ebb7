"""Export bundles over HTTP, for whoever may read the log: ordered, made in the background with progress, downloaded.

What a bundle holds and how it is verified without us is in docs/auditing.md.
"""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import FileResponse, HttpResponse
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import organizations_with_log
from accounts.api_base import ApiView, operation
from accounts.api_fields import Moment, PageParameters, StrictSerializer, Word
from accounts.api_pages import page, page_of
from accounts.roles import Permission
from audit import exports
from audit.events import EventName
from audit.models import Export, ExportState, Log


class FilterForm(StrictSerializer):
    name = serializers.ListField(child=Word(EventName), required=False, min_length=1, max_length=100)
    actor = serializers.ListField(
        child=serializers.CharField(max_length=64), required=False, min_length=1, max_length=100
    )
    outcome = serializers.ListField(
        child=serializers.ChoiceField(["allow", "deny"]), required=False, min_length=1, max_length=2
    )
    since = Moment(required=False)
    until = Moment(required=False, help_text="Up to, and not at, this time.")


class ExportForm(StrictSerializer):
    generation = serializers.IntegerField(min_value=1, required=False, help_text="Of the log; the newest by default.")
    start = serializers.IntegerField(
        min_value=0, default=0, help_text="Size of the earlier checkpoint; 0 begins with the log's first entry."
    )
    end = serializers.IntegerField(
        min_value=1, required=False, help_text="Size of the later checkpoint; the newest by default."
    )
    filter = FilterForm(required=False, help_text="What does not match stands in the bundle as a hash only.")
    recipient = serializers.CharField(
        required=False,
        max_length=200,
        help_text="Auditor's public key (voxgov-auditor-v1:...) that the bundle is sealed to.",
    )


class ExportSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    generation = serializers.IntegerField()
    start = serializers.IntegerField()
    end = serializers.IntegerField()
    filter = serializers.DictField()
    sealed = serializers.BooleanField()
    state = Word(ExportState)
    progress = serializers.FloatField(help_text="0 to 1.")
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    size = serializers.IntegerField(allow_null=True, help_text="Bytes.")
    sha256 = serializers.CharField(help_text="Of the file; hexadecimal, empty until it is done.")
    file = serializers.CharField(allow_null=True, help_text="Where it is downloaded, once it is done.")
    error = serializers.CharField(help_text="Empty unless it failed.")


class ExportView(ApiView):
    def rows(self) -> "QuerySet[Export]":
        logs = organizations_with_log(self.request.user).values_list("code", flat=True)
        return Export.objects.filter(log__code__in=list(logs)).select_related("log")

    def one(self, code: UUID) -> Export:
        found = self.rows().filter(code=str(code)).first()
        if found is None:
            raise NotFound("no such thing here")
        return found


class Exports(ExportView):
    @operation(
        "audit_exports_list",
        summary="List the exports of the organization's log",
        permission=Permission.READ_LOG,
        answer=page_of(ExportSerializer),
        query=PageParameters,
    )
    def get(self, request: Request) -> Response:
        return Response(page(self.rows(), request, self.query, lambda rows: [_shown(one) for one in rows]))

    @operation(
        "audit_exports_create",
        summary="Order an export bundle",
        description="Made in the background; follow `progress`. Both ends are sizes of signed checkpoints.",
        permission=Permission.READ_LOG,
        answer=ExportSerializer,
        status_code=201,
        body=ExportForm,
    )
    def post(self, request: Request) -> Response:
        asked = self.read(ExportForm)
        code = self.project.organization.code
        logs = Log.objects.filter(code=code).order_by("-generation")
        if (generation := asked.get("generation")) is not None:
            logs = logs.filter(generation=generation)
        log = logs.first()
        if log is None:
            raise NotFound("no such log here")
        export = exports.order(
            log,
            start=asked["start"],
            end=asked.get("end"),
            filter_=_filter(asked.get("filter", {})),
            recipient=asked.get("recipient", ""),
            actor=self.actor,
        )
        return Response(_shown(export), status=status.HTTP_201_CREATED)


class OneExport(ExportView):
    @operation(
        "audit_export_read",
        summary="Read how an export stands",
        permission=Permission.READ_LOG,
        answer=ExportSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        return Response(_shown(self.one(code)))


class ExportFile(ExportView):
    @operation(
        "audit_export_file_read",
        summary="Download an export bundle",
        description="The file, as it was made; 409 until it is done.",
        permission=Permission.READ_LOG,
        answer=None,
        media="application/octet-stream",
    )
    def get(self, request: Request, code: UUID) -> HttpResponse:
        export = self.one(code)
        path = exports.read(export, actor=self.actor)
        return FileResponse(  # type: ignore[return-value]  # a streaming response is no HttpResponse by its type
            path.open("rb"), content_type="application/octet-stream", as_attachment=True, filename=path.name
        )


def _filter(asked: dict[str, Any]) -> dict[str, list[str]]:
    """As the manifest names it: field to accepted values."""
    return {
        name: [str(one) for one in value] if isinstance(value, list) else [value.isoformat()]
        for name, value in asked.items()
    }


def _shown(export: Export) -> dict[str, Any]:
    return {
        "code": export.code,
        "generation": export.log.generation,
        "start": export.start,
        "end": export.end,
        "filter": export.filter,
        "sealed": bool(export.recipient),
        "state": export.state,
        "progress": export.progress,
        "created_at": export.created_at,
        "finished_at": export.finished_at,
        "size": export.size,
        "sha256": export.sha256,
        "file": f"/v1/audit/exports/{export.code}/file" if export.state == ExportState.DONE else None,
        "error": export.error_code,
    }
