"""The register of breaches over HTTP (GDPR art. 33 and 34): their JSON, and the views."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.api_fields import Moment, PageParameters, StrictSerializer, Text, WholeNumber, Word, Words
from accounts.api_pages import page, page_of
from accounts.roles import Permission
from audit.entry import ActorKind
from consent import breaches
from consent.breaches import MAX_COUNT, MAX_TEXT, Clock, Facts
from consent.inventory import Category
from consent.models import Breach, BreachRevision
from consent.serializers import Moments, Shape
from consent.vocabulary import BreachKind, BreachRisk, BreachText, NotTold, ParticipantRole

_SEALED = "Sealed. Name nobody where you need not."


class BreachTextsForm(StrictSerializer):
    """What is said in words. What is left out stays as it was; empty text takes it away."""

    nature = Text(required=False, allow_blank=True, max_length=MAX_TEXT, help_text=f"What happened. {_SEALED}")
    consequences = Text(required=False, allow_blank=True, max_length=MAX_TEXT, help_text=f"What is likely. {_SEALED}")
    measures = Text(required=False, allow_blank=True, max_length=MAX_TEXT, help_text=f"Taken and proposed. {_SEALED}")
    contact = Text(
        required=False, allow_blank=True, max_length=MAX_TEXT, help_text="Where more can be learnt (art. 33(3)(b))."
    )
    delay_reason = Text(
        required=False, allow_blank=True, max_length=MAX_TEXT, help_text="Needed where the authority was told late."
    )
    not_told_reason = Text(
        required=False, allow_blank=True, max_length=MAX_TEXT, help_text="Needed with `not_told` (art. 34(3))."
    )


class BreachChange(StrictSerializer):
    """What is known now. What is left out stays as it was."""

    aware_at = Moment(required=False, help_text="When the controller became aware; the 72 hours begin then.")
    kinds = Words(BreachKind, required=False, allow_empty=False)
    people = Words(ParticipantRole, required=False, help_text="Categories of people concerned.")
    people_count = WholeNumber(
        required=False, allow_null=True, min_value=0, max_value=MAX_COUNT, help_text="About how many."
    )
    data_categories = Words(Category, required=False, help_text="Categories of data concerned.")
    records_count = WholeNumber(
        required=False, allow_null=True, min_value=0, max_value=MAX_COUNT, help_text="About how many."
    )
    risk = Word(BreachRisk, required=False)
    authority_notified_at = Moment(required=False, allow_null=True)
    persons_notified_at = Moment(required=False, allow_null=True)
    not_told = Word(NotTold, required=False, allow_null=True, help_text="Why people are not told one by one.")
    texts = BreachTextsForm(required=False)


class BreachForm(BreachChange):
    aware_at = Moment(help_text="When the controller became aware; the 72 hours begin then.")
    kinds = Words(BreachKind, allow_empty=False)


class OpenPointSerializer(Shape):
    article = serializers.CharField()
    message = serializers.CharField()


class BreachSerializer(Shape):
    code = serializers.CharField()
    registered_at = Moments()
    revision = serializers.IntegerField()
    amended_at = Moments()
    aware_at = Moments()
    due_at = Moments(help_text="72 hours after `aware_at` (art. 33(1)).")
    clock = Word(Clock)
    overdue = serializers.BooleanField()
    kinds = serializers.ListField(child=Word(BreachKind))
    people = serializers.ListField(child=Word(ParticipantRole))
    people_count = serializers.IntegerField(allow_null=True)
    data_categories = serializers.ListField(child=Word(Category))
    records_count = serializers.IntegerField(allow_null=True)
    risk = Word(BreachRisk)
    authority_notified_at = Moments(allow_null=True)
    persons_notified_at = Moments(allow_null=True)
    not_told = Word(NotTold, allow_null=True)
    stated = serializers.ListField(child=Word(BreachText), help_text="Which texts there are.")
    open_points = OpenPointSerializer(many=True, help_text="What art. 33 and 34 still ask for.")


class BreachHistorySerializer(Shape):
    revision = serializers.IntegerField()
    at = Moments()
    actor_kind = Word(ActorKind)
    actor_code = serializers.CharField()
    risk = Word(BreachRisk)
    aware_at = Moments()
    authority_notified_at = Moments(allow_null=True)
    persons_notified_at = Moments(allow_null=True)


class BreachDetailSerializer(BreachSerializer):
    texts = serializers.DictField(
        child=serializers.CharField(), allow_null=True, help_text="By name; null once the register's term is over."
    )
    history = BreachHistorySerializer(many=True)


class Breaches(ApiView):
    @operation(
        "breaches_list",
        summary="List breaches, newest first",
        description="What was said of them in words is read one by one.",
        permission=Permission.MANAGE_BREACHES,
        answer=page_of(BreachSerializer),
        query=PageParameters,
    )
    def get(self, request: Request) -> Response:
        rows = Breach.objects.visible_to(request.user)
        return Response(page(rows, request, self.query, _breaches))

    @operation(
        "breaches_create",
        summary="Register a breach",
        while_closed=True,
        description="What is not known yet may follow (art. 33(4)). A database that went back may be the breach: this works then.",
        permission=Permission.MANAGE_BREACHES,
        body=BreachForm,
        answer=BreachSerializer,
        status_code=201,
    )
    def post(self, request: Request) -> Response:
        breach = breaches.register(self.project, Facts(**_facts(self.read(BreachForm))), actor=self.actor)
        return Response(_shown(breaches.newest(breach)), status=201)


class OneBreach(ApiView):
    @operation(
        "breaches_read",
        summary="Read a breach with its texts and its history",
        description="That its texts were read stands on the trail.",
        permission=Permission.MANAGE_BREACHES,
        answer=BreachDetailSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        breach = self.find(Breach.objects.all(), code)
        texts = breaches.read(breach, actor=self.actor)
        history = [_step(revision) for revision in breach.revisions.order_by("number")]
        shown = {**_body(breaches.newest(breach)), "texts": texts, "history": history}
        return Response(BreachDetailSerializer(shown).data)


class BreachRevisions(ApiView):
    @operation(
        "breaches_amend",
        summary="Amend a breach",
        while_closed=True,
        description="Adds a revision in which what is given replaces what was known before; earlier ones stay as they are.",
        permission=Permission.MANAGE_BREACHES,
        body=BreachChange,
        answer=BreachSerializer,
        status_code=201,
    )
    def post(self, request: Request, code: UUID) -> Response:
        breach = breaches.amend(
            self.find(Breach.objects.all(), code), _facts(self.read(BreachChange)), actor=self.actor
        )
        return Response(_shown(breaches.newest(breach)), status=201)


def _facts(form: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: tuple(value) if isinstance(value, list) else value for name, value in form.items()}
    if "texts" in form:
        said["texts"] = {BreachText(name): text for name, text in form["texts"].items()}
    return said


def _breaches(rows: list[Breach]) -> Iterable[Any]:
    newest = {row.breach_id: row for row in breaches.newest_of(Breach.objects.filter(pk__in=[row.pk for row in rows]))}
    return [_shown(newest[row.pk]) for row in rows]


def _shown(revision: BreachRevision) -> Any:
    return BreachSerializer(_body(revision)).data


def _body(revision: BreachRevision) -> dict[str, Any]:
    now = timezone.now()
    where = breaches.clock(revision, now)
    same = (
        *("aware_at", "kinds", "people", "people_count", "data_categories", "records_count", "risk"),
        *("authority_notified_at", "persons_notified_at", "stated"),
    )
    return {
        **{name: getattr(revision, name) for name in same},
        "code": revision.breach.code,
        "registered_at": revision.breach.registered_at,
        "revision": revision.number,
        "amended_at": revision.at,
        "due_at": breaches.due_at(revision),
        "clock": where,
        "overdue": where is Clock.OVERDUE,
        "not_told": revision.not_told or None,
        "open_points": breaches.open_points(revision, now),
    }


def _step(revision: BreachRevision) -> dict[str, Any]:
    same = ("at", "actor_kind", "actor_code", "risk", "aware_at", "authority_notified_at", "persons_notified_at")
    return {"revision": revision.number, **{name: getattr(revision, name) for name in same}}
