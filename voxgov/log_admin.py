"""Admin pages of the signed log, read-only, for whoever may read it: how each log stands, and which exports were made."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts.access import organizations_with_log
from accounts.admin_acts import held_projects
from accounts.admin_display import NOTHING, Tone, badge, code, exact_moment
from accounts.governed_admin import GovernedAdmin
from accounts.roles import Permission
from audit import outside, proofs
from audit.models import Cosignature, Export, ExportState, Log, SignedCheckpoint


class OfLogs(GovernedAdmin):
    """Rows of the logs that the viewer may read."""

    view_permission = Permission.READ_LOG

    def logs(self, request: HttpRequest) -> list[str]:
        return list(organizations_with_log(request.user).values_list("code", flat=True))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is None:
            return bool(held_projects(request, self.view_permission))
        return self.code_of(obj) in self.logs(request)

    def code_of(self, row: Any) -> str:
        raise NotImplementedError


@admin.register(Log)
class LogAdmin(OfLogs):
    url_field = "id"
    heading = "Signed log"
    introduction = (
        "Every event gets its place in the log, and checkpoints over it are signed. A further generation is begun after a "
        "backup was restored; its first entry names the last checkpoint of the one before."
    )
    empty_hint = "Nothing was sequenced yet."
    position = 310
    list_display = ("origin", "generation", "health", "entries", "signed", "waiting", "last_signed")
    fieldsets = (
        (None, {"fields": ("origin", "generation", "health", "begun")}),
        ("Size", {"fields": ("entries", "signed", "waiting", "last_signed", "pruned")}),
        ("For auditors", {"fields": ("vkey", "checkpoint", "witnesses")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return Log.objects.filter(code__in=self.logs(request)).order_by("-generation")

    def code_of(self, row: Any) -> str:
        return str(row.code)

    def caption(self, row: Log) -> str:
        return f"{row.origin}, generation {row.generation}"

    @admin.display(description="Health")
    def health(self, row: Log) -> SafeString:
        if outside.is_closed():
            return badge("closed: run audit recover", Tone.BAD)
        standing = self._standing(row)
        if standing.waiting or standing.signed < standing.entries:
            return badge("catching up", Tone.WAITING)
        return badge("signed", Tone.GOOD)

    @admin.display(description="Entries")
    def entries(self, row: Log) -> int:
        return self._standing(row).entries

    @admin.display(description="Under the newest checkpoint")
    def signed(self, row: Log) -> int:
        return self._standing(row).signed

    @admin.display(description="Events without a place yet")
    def waiting(self, row: Log) -> int:
        return self._standing(row).waiting

    @admin.display(description="Last signed")
    def last_signed(self, row: Log) -> str:
        newest = SignedCheckpoint.objects.filter(log=row).order_by("-size").first()
        return NOTHING if newest is None else exact_moment(newest.signed_at)

    @admin.display(description="Begun")
    def begun(self, row: Log) -> str:
        return exact_moment(row.begun_at)

    @admin.display(description="Pruned below entry")
    def pruned(self, row: Log) -> Any:
        return row.minimum_index or NOTHING

    @admin.display(description="Verifier key")
    def vkey(self, row: Log) -> SafeString:
        return code(self._standing(row).vkey)

    @admin.display(description="Newest checkpoint")
    def checkpoint(self, row: Log) -> Any:
        note = proofs.newest_checkpoint(row)
        return NOTHING if note is None else code(note.decode())

    @admin.display(description="Witnesses, and the size that each cosigned last")
    def witnesses(self, row: Log) -> Any:
        kept = Cosignature.objects.filter(checkpoint__log=row).order_by("witness", "-checkpoint__size")
        lines = [
            f"{one.witness}: {one.checkpoint.size}" for one in kept.distinct("witness").select_related("checkpoint")
        ]
        return "; ".join(lines) or NOTHING

    def _standing(self, row: Log) -> proofs.Standing:
        """Once for each row of a page."""
        if not hasattr(row, "standing"):
            row.standing = next(one for one in proofs.standings(row.code) if one.generation == row.generation)  # type: ignore[attr-defined]
        found: proofs.Standing = row.standing  # type: ignore[attr-defined]
        return found


@admin.register(Export)
class ExportAdmin(OfLogs):
    heading = "Exports"
    introduction = (
        "Bundles that auditors ordered over the API, and how each stands. A file goes a week after it was made."
    )
    empty_hint = "Nobody ordered an export yet: POST /v1/audit/exports."
    position = 320
    list_display = ("ordered", "range", "state_shown", "progress_shown", "sealed", "by")
    list_filter = ("state",)
    fieldsets = (
        (None, {"fields": ("state_shown", "progress_shown", "ordered", "by", "finished")}),
        ("Bundle", {"fields": ("range", "filter_shown", "sealed", "size_shown", "digest", "error_code")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return Export.objects.filter(log__code__in=self.logs(request)).select_related("log").order_by("-id")

    def code_of(self, row: Any) -> str:
        return str(row.log.code)

    def caption(self, row: Export) -> str:
        return f"export of {exact_moment(row.created_at)}"

    @admin.display(description="Ordered")
    def ordered(self, row: Export) -> str:
        return exact_moment(row.created_at)

    @admin.display(description="Entries")
    def range(self, row: Export) -> str:
        return f"{row.start} up to {row.end}, of {row.log.origin}"

    @admin.display(description="State")
    def state_shown(self, row: Export) -> SafeString:
        tones = {ExportState.DONE.value: Tone.GOOD, ExportState.FAILED.value: Tone.BAD}
        return badge(row.state, tones.get(row.state, Tone.WAITING))

    @admin.display(description="Progress")
    def progress_shown(self, row: Export) -> str:
        return f"{row.progress:.0%}"

    @admin.display(description="Sealed to an auditor", boolean=True)
    def sealed(self, row: Export) -> bool:
        return bool(row.recipient)

    @admin.display(description="Ordered by")
    def by(self, row: Export) -> SafeString:
        return code(f"{row.actor_kind} {row.actor_code}")

    @admin.display(description="Finished")
    def finished(self, row: Export) -> str:
        return NOTHING if row.finished_at is None else exact_moment(row.finished_at)

    @admin.display(description="Filter")
    def filter_shown(self, row: Export) -> str:
        return "; ".join(f"{name}: {', '.join(values)}" for name, values in sorted(row.filter.items())) or NOTHING

    @admin.display(description="Size")
    def size_shown(self, row: Export) -> str:
        return NOTHING if row.size is None else f"{row.size:,} bytes"

    @admin.display(description="SHA-256")
    def digest(self, row: Export) -> Any:
        return code(row.sha256) if row.sha256 else NOTHING
