"""Over HTTP: who looked at what about a person."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import may
from accounts.api_base import ApiView, operation
from accounts.api_fields import PageParameters, Word
from accounts.api_pages import page, page_of
from accounts.roles import Permission
from audit import ports, trail
from audit.entry import ActorKind, ObjectKind, Reference
from audit.events import EventName
from audit.models import Event
from consent import accesses
from consent.accesses import Access
from consent.models import Subject
from consent.serializers import Moments, Shape
from consent.vocabulary import AccessKind, Scope


class AccessActorSerializer(Shape):
    kind = Word(ActorKind)
    code = serializers.CharField()
    name = serializers.CharField(allow_null=True, help_text="For who may manage members; null for everybody else.")


class AccessObjectSerializer(Shape):
    kind = Word(ObjectKind)
    code = serializers.CharField()


class AccessSerializer(Shape):
    at = Moments()
    kind = Word(AccessKind)
    by = AccessActorSerializer()
    scopes = serializers.ListField(child=Word(Scope), help_text="What was opened of this person; empty if it has none.")
    object = AccessObjectSerializer(
        allow_null=True, help_text="The analysis, recording, consent or representative looked at."
    )
    decision = serializers.CharField(allow_null=True, help_text="The gate's decision that allowed it.")
    event = serializers.CharField(help_text="The audit event that says so.")


class SubjectAccess(ApiView):
    @operation(
        "subjects_access_list",
        summary="List who looked at what about a person, newest first",
        description=(
            "Results that were read; the external reference, origin of evidence and representative that were revealed; receipts "
            "that were given; spoken statements that were heard. That this list was read is itself recorded."
        ),
        permission=Permission.VIEW_CONSENT,
        also=(Permission.VIEW_DECISION,),
        answer=page_of(AccessSerializer),
        query=PageParameters,
    )
    def get(self, request: Request, code: UUID) -> Response:
        subject = self.find(Subject.objects.select_related("project__organization"), code)
        knows = may(request.user, Permission.MANAGE_MEMBERS, self.client.project_id)

        def present(events: list[Event]) -> Iterable[Any]:
            looks = accesses.describe(subject, events)
            names = ports.name_resolver.face(sorted({look.actor_code for look in looks})) if knows else {}
            return [_look(look, names) for look in looks]

        found = page(accesses.of(subject), request, self.query, present)
        organization = self.project.organization.code
        with transaction.atomic():
            trail.record(
                EventName.TRAIL_READ,
                organization=organization,
                actor=self.actor,
                objects=[Reference(ObjectKind.LOG, organization)],
                detail={"events": len(found["results"]), "searched_by": ["subject"]},
            )
        return Response(found)


def _look(look: Access, names: Mapping[str, str]) -> Any:
    about = {"kind": look.object_kind, "code": look.object_code} if look.object_code else None
    return AccessSerializer(
        {
            "at": look.at,
            "kind": look.kind,
            "by": {"kind": look.actor_kind, "code": look.actor_code, "name": names.get(look.actor_code)},
            "scopes": look.scopes,
            "object": about,
            "decision": look.decision or None,
            "event": look.event,
        }
    ).data
