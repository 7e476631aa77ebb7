"""The admin page of the audit trail: read-only, for whoever may read the log of their organization. Looking is itself recorded.

Entries are shown with every word that is hashed: objects of a person stay blinded. Searching by a person's object needs that
the viewer sees the object itself.
"""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from accounts.access import organizations_with_log
from accounts.admin_acts import actor, held_projects, person
from accounts.admin_display import NOTHING, Tone, badge, code, exact_moment, part
from accounts.governed_admin import GovernedAdmin
from accounts.roles import Permission
from audit import ports, proofs, signing, trail
from audit.entry import ObjectKind, Reference, leaf_hash
from audit.errors import EventNotSigned
from audit.events import EventName
from audit.models import Event, EventReference, Log
from consent.admin_filters import WordFilter
from voxgov.audit_api import OPENED_BY

NOT_YET = "not signed yet; a moment, then reload"


def event_words(name: str) -> str:
    """`consent:subject:revealed` as "subject revealed"."""
    return " ".join(name.split(":")[1:]).replace("-", " ")


class RoomFilter(WordFilter):
    title = "about"
    parameter_name = "about"
    words = (
        ("accounts", "people and programs"),
        ("consent", "consent"),
        ("analysis", "recordings"),
        ("vault", "keys"),
        ("audit", "the trail"),
    )

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        return queryset if chosen is None else queryset.filter(name__startswith=f"{chosen}:")


class NameFilter(WordFilter):
    """Offered once it is said what the events are about: all names at once would be a page of their own."""

    title = "event"
    parameter_name = "event"
    words = tuple((name.value, event_words(name.value)) for name in EventName)

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        about = request.GET.get(RoomFilter.parameter_name, "")
        return tuple(word for word in self.words if about and word[0].startswith(f"{about}:"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        return queryset if chosen is None else queryset.filter(name=chosen)


@admin.register(Event)
class EventAdmin(GovernedAdmin):
    view_permission = Permission.READ_LOG
    heading = "Audit trail"
    introduction = (
        "What happened, in order. Entries name nobody: persons and what belongs to them appear as blinded values."
    )
    empty_hint = "Nothing happened yet."
    position = 300
    list_display = ("at_shown", "what", "by", "outcome_shown", "why")
    list_filter = (RoomFilter, NameFilter, "outcome", "actor_kind")
    search_fields = ("code",)
    search_help_text = (
        "The whole code of an event, of who acted, or of a request; and, for whoever may see it, of a subject, consent "
        "record, decision, recording or analysis."
    )
    ordering = ("-id",)
    date_hierarchy = "at"
    fieldsets = (
        (None, {"fields": ("what", "at_shown", "by", "outcome_shown", "why", "about")}),
        ("Entry", {"fields": ("entry_shown", "leaf", "code_shown", "request_shown")}),
        ("Proof that it is in the signed log", {"fields": ("place", "proof", "proof_command")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        logs = list(organizations_with_log(request.user).values_list("code", flat=True))
        return Event.objects.filter(log__in=logs).order_by("-id")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is None:
            return bool(held_projects(request, self.view_permission))
        return organizations_with_log(request.user).filter(code=obj.log).exists()

    def caption(self, row: Event) -> str:
        return f"{event_words(row.name)}, {exact_moment(row.at)}"

    def sought(self, request: HttpRequest, term: str) -> Q:
        found = Q(actor_code=term) | Q(request_id=term)
        try:
            found |= Q(code=UUID(term))
        except ValueError:
            return found
        if self._sees(request, term):
            found |= Q(pk__in=EventReference.objects.filter(code=term, kind__in=list(OPENED_BY)).values("event_id"))
        return found

    def _sees(self, request: HttpRequest, term: str) -> bool:
        """Whether the object with this code is one that the viewer sees on its own page; only then is it searched for."""
        return any(model.objects.visible_to(request.user).filter(code=term).exists() for model in OPENED_BY.values())

    # Looking is recorded

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        shown = getattr(response, "context_data", None) or {}
        if "cl" in shown:
            self._record_look(request, len(shown["cl"].result_list), sorted(set(request.GET) - {"p", "o"}))
            names = self._names(request, {row.actor_code for row in shown["cl"].result_list})
            for row in shown["cl"].result_list:
                row.actor_name = names.get(row.actor_code, "")
        return response

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        found.result_list = list(found.result_list)
        return found

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            row.actor_name = self._names(request, {row.actor_code}).get(row.actor_code, "")
        return row

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().change_view(request, object_id, form_url, extra_context)
        if (getattr(response, "context_data", None) or {}).get("original") is not None:
            self._record_look(request, 1, [])
        return response

    def _record_look(self, request: HttpRequest, events: int, searched_by: list[str]) -> None:
        organization = person(request).organization
        assert organization is not None  # the site lets nobody else in
        with transaction.atomic():
            trail.record(
                EventName.TRAIL_READ,
                organization=organization.code,
                actor=actor(request),
                objects=[Reference(ObjectKind.LOG, organization.code)],
                detail={"events": events, "searched_by": searched_by},
            )

    def _names(self, request: HttpRequest, codes: set[str]) -> Mapping[str, str]:
        """Names of who acted, for those who manage members; the codes are all that anybody else needs."""
        if not held_projects(request, Permission.MANAGE_MEMBERS):
            return {}
        return ports.name_resolver.face(sorted(codes))

    @admin.display(description="At", ordering="id")
    def at_shown(self, row: Event) -> str:
        return exact_moment(row.at)

    @admin.display(description="What", ordering="name")
    def what(self, row: Event) -> str:
        return event_words(row.name)

    @admin.display(description="By")
    def by(self, row: Any) -> SafeString:
        return part("actor", kind=row.actor_kind, code=row.actor_code, name=getattr(row, "actor_name", ""))

    @admin.display(description="Outcome", ordering="outcome")
    def outcome_shown(self, row: Event) -> Any:
        if not row.outcome:
            return NOTHING
        return badge(row.outcome, Tone.GOOD if row.outcome == "allow" else Tone.BAD)

    @admin.display(description="Why")
    def why(self, row: Event) -> str:
        return str(_entry(row).get("reason") or NOTHING)

    @admin.display(description="About")
    def about(self, row: Event) -> SafeString:
        items = [
            {"kind": item["kind"], "code": item.get("code", ""), "blind": item.get("blind", "")}
            for item in _entry(row).get("objects", ())
        ]
        return part("about", items=items)

    @admin.display(description="Readable form (its canonical JSON is what is hashed)")
    def entry_shown(self, row: Event) -> SafeString:
        return part("entry", text=json.dumps(_entry(row), indent=2, ensure_ascii=False))

    @admin.display(description="Leaf hash (RFC 6962)")
    def leaf(self, row: Event) -> SafeString:
        return code(leaf_hash(bytes(row.entry)).hex())

    @admin.display(description="Place")
    def place(self, row: Event) -> str:
        found = self._proof(row)
        return NOT_YET if found is None else f"entry {found.proof.index} of {found.size}, in {found.origin}"

    @admin.display(description="Proof (c2sp.org/tlog-proof@v1)")
    def proof(self, row: Event) -> Any:
        found = self._proof(row)
        return NOT_YET if found is None else part("entry", text=found.proof.encode().decode())

    @admin.display(description="To check it, save proof and canonical entry, and run")
    def proof_command(self, row: Event) -> Any:
        log = Log.objects.filter(leaves__event=row).first()
        if log is None:
            return NOT_YET
        vkey = signing.verifier_key(log)
        return code(f"voxgov-verify.pyz event.tlog-proof --entry event.json --key '{vkey}'")

    def _proof(self, row: Event) -> proofs.EventProof | None:
        try:
            return proofs.of_event(row)
        except EventNotSigned:
            return None

    @admin.display(description="Event code")
    def code_shown(self, row: Event) -> SafeString:
        return code(row.code)

    @admin.display(description="Request")
    def request_shown(self, row: Event) -> SafeString:
        return code(row.request_id)


def _entry(row: Event) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bytes(row.entry))
    return found
