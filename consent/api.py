"""Subjects and consents over HTTP. Each view parses, makes one call, and presents."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.api_fields import PageParameters
from accounts.api_pages import page, page_of
from accounts.roles import Permission
from consent import accept, answering, granting, iso27560, linked_data, records, relabelling, subjects, withdrawal
from consent import serializers as shapes
from consent.models import ConsentRecord, Notice, Purpose, Representation, Subject

CONSENT_EXAMPLE = OpenApiExample(
    "Explicit consent to two scopes",
    request_only=True,
    value={
        "subject": "0198f3a2-6f0e-7cc1-9d4a-3b1f0a7e5c11",
        "purpose": "0198f3a2-6f0e-7cc1-9d4a-3b1f0a7e5c22",
        "notice": "0198f3a2-6f0e-7cc1-9d4a-3b1f0a7e5c33",
        "scopes": ["speech.transcribe", "voice.emotion"],
        "given": True,
        "explicit": True,
        "given_at": "2026-11-23T09:30:00Z",
        "jurisdiction": "DE",
        "evidence": {
            "method": "web_form",
            "origin": "https://shop.example/consent",
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        },
    },
)


class Subjects(ApiView):
    @operation(
        "subjects_list",
        summary="List subjects, newest first",
        permission=Permission.VIEW_CONSENT,
        answer=page_of(shapes.SubjectSerializer),
        query=PageParameters,
    )
    def get(self, request: Request) -> Response:
        rows = Subject.objects.visible_to(request.user)
        return Response(page(rows, request, self.query, _subjects))

    @operation(
        "subjects_create",
        summary="Register a subject",
        permission=Permission.MANAGE_CONSENT,
        body=shapes.SubjectForm,
        answer=shapes.SubjectDetailSerializer,
        status_code=201,
    )
    def post(self, request: Request) -> Response:
        subject = subjects.register(self.project, **self.read(shapes.SubjectForm), actor=self.actor)
        return Response(_subject(subject), status=201)


class SubjectLookup(ApiView):
    @operation(
        "subjects_lookup",
        summary="Find a subject by its external reference",
        description="Changes nothing. The reference comes in the body, because a URL ends up in the logs of whatever it passes.",
        permission=Permission.VIEW_CONSENT,
        body=shapes.SubjectLookupForm,
        answer=shapes.SubjectDetailSerializer,
    )
    def post(self, request: Request) -> Response:
        found = subjects.find_by_reference(self.project, **self.read(shapes.SubjectLookupForm))
        if found is None:
            raise NotFound("no such thing here")
        return Response(_subject(found))


class OneSubject(ApiView):
    @operation(
        "subjects_read",
        summary="Read a subject",
        permission=Permission.VIEW_CONSENT,
        answer=shapes.SubjectDetailSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        return Response(_subject(self.find(Subject.objects.all(), code)))

    @operation(
        "subjects_erase",
        summary="Erase a person",
        while_closed=True,
        description="At this commit everything about the person is unreadable; the order says when it is destroyed.",
        permission=Permission.ERASE_SUBJECT,
        answer=shapes.DestructionSerializer,
        status_code=202,
    )
    def delete(self, request: Request, code: UUID) -> Response:
        order = withdrawal.erase(self.find(Subject.objects.all(), code), actor=self.actor)
        return Response(shapes.DestructionSerializer(order).data, status=202)


class SubjectWithdrawal(ApiView):
    @operation(
        "subjects_withdraw",
        summary="Withdraw a person's consent",
        while_closed=True,
        description="Everything the person ever granted, or one purpose, or some scopes. Effective at once.",
        permission=Permission.MANAGE_CONSENT,
        body=shapes.SubjectWithdrawalForm,
        answer=shapes.WithdrawalSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        subject = self.find(Subject.objects.all(), code)
        form = self.read(shapes.SubjectWithdrawalForm)
        purpose = self.refer(Purpose.objects.all(), form["purpose"], "purpose") if "purpose" in form else None
        done = withdrawal.withdraw(subject, purpose=purpose, scopes=form.get("scopes"), actor=self.actor)
        return Response(_withdrawal(done))


class SubjectRoleChange(ApiView):
    @operation(
        "role_changes_create",
        summary="Ask for another role for a person",
        description=(
            "After the law denied something for the person's role, another role opens it only when a second person has approved."
        ),
        permission=Permission.MANAGE_CONSENT,
        body=shapes.RoleChangeForm,
        answer=shapes.RoleChangeSerializer,
        status_code=201,
    )
    def post(self, request: Request, code: UUID) -> Response:
        subject = self.find(Subject.objects.all(), code)
        change = relabelling.ask(subject, **self.read(shapes.RoleChangeForm), actor=self.actor)
        return Response(shapes.RoleChangeSerializer(change).data, status=201)


class Consents(ApiView):
    @operation(
        "consents_list",
        summary="List consent records, newest first",
        permission=Permission.VIEW_CONSENT,
        answer=page_of(shapes.ConsentSerializer),
        query=shapes.ConsentParameters,
    )
    def get(self, request: Request) -> Response:
        rows: QuerySet[ConsentRecord] = ConsentRecord.objects.visible_to(request.user)
        if (subject := self.query.get("subject")) is not None:
            rows = rows.filter(subject__code=subject)
        if (purpose := self.query.get("purpose")) is not None:
            rows = rows.filter(purpose__code=purpose)
        if (state := self.query.get("state")) is not None:
            rows = records.with_state(rows, state)
        return Response(page(records.readable(rows), request, self.query, _consents))

    @operation(
        "consents_create",
        summary="Record what a person answered",
        permission=Permission.MANAGE_CONSENT,
        body=shapes.ConsentForm,
        answer=shapes.ConsentDetailSerializer,
        status_code=201,
        examples=[CONSENT_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        form = self.read(shapes.ConsentForm)
        representation = None
        if "representative" in form:
            representation = self.refer(Representation.objects.all(), form["representative"], "representative")
        record = granting.record_consent(
            self.project,
            *_what_it_is_about(self, form),
            granting.Answer(
                scopes=tuple(form["scopes"]),
                given=form["given"],
                explicit=form["explicit"],
                given_at=form["given_at"],
                evidence_method=form["evidence"]["method"],
                evidence_sha256=form["evidence"]["sha256"],
                evidence_origin=form["evidence"]["origin"],
                age_band=form["age_band"],
                representation=representation,
                jurisdiction=form["jurisdiction"],
                expires_at=form["expires_at"],
                until_event=form.get("until_event", ""),
                uses=form["uses"],
                spoken_statement=form["spoken_statement"],
                covers_recorded_from=form["covers_recorded_from"],
            ),
            actor=self.actor,
        )
        return Response(_consent(record), status=201)


class ConsentRequests(ApiView):
    @operation(
        "consent_requests_create",
        summary="Record that a person was asked",
        description="A record in the state `requested`. It opens nothing, and closes nothing that is in force.",
        permission=Permission.MANAGE_CONSENT,
        body=shapes.ConsentRequestForm,
        answer=shapes.ConsentDetailSerializer,
        status_code=201,
    )
    def post(self, request: Request) -> Response:
        form = self.read(shapes.ConsentRequestForm)
        record = granting.record_request(
            self.project,
            *_what_it_is_about(self, form),
            granting.Answer(
                scopes=tuple(form["scopes"]),
                given=False,
                explicit=False,
                given_at=form["asked_at"],
                evidence_method=form["evidence"]["method"],
                evidence_sha256=form["evidence"]["sha256"],
                evidence_origin=form["evidence"]["origin"],
                jurisdiction=form["jurisdiction"],
            ),
            actor=self.actor,
        )
        return Response(_consent(record), status=201)


class ConsentDeferral(ApiView):
    @operation(
        "consents_defer",
        summary="Record that a person put off their answer",
        description="For a consent that was requested. It opens nothing, and closes nothing that is in force.",
        permission=Permission.MANAGE_CONSENT,
        body=shapes.WithdrawalForm,
        answer=shapes.ConsentDetailSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        record = self.find(ConsentRecord.objects.select_related("subject__project__organization"), code)
        answering.defer(record, scopes=self.read(shapes.WithdrawalForm).get("scopes"), actor=self.actor)
        return Response(_consent(record))


class ConsentInvalidation(ApiView):
    @operation(
        "consents_invalidate",
        summary="Say that a consent never was one",
        while_closed=True,
        description="For what turned out to be forged, or given by somebody else. Ends it as a withdrawal would.",
        permission=Permission.MANAGE_CONSENT,
        body=shapes.WithdrawalForm,
        answer=shapes.WithdrawalSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        record = self.find(ConsentRecord.objects.select_related("subject__project__organization"), code)
        scopes = self.read(shapes.WithdrawalForm).get("scopes")
        return Response(_withdrawal(withdrawal.invalidate(record, scopes=scopes, actor=self.actor)))


class SubjectEvents(ApiView):
    @operation(
        "subjects_report_event",
        summary="Report an event until which a person consented",
        while_closed=True,
        description="Every consent that was given until this event ends now, as a withdrawal would end it.",
        permission=Permission.MANAGE_CONSENT,
        body=shapes.EventForm,
        answer=shapes.WithdrawalSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        subject = self.find(Subject.objects.all(), code)
        form = self.read(shapes.EventForm)
        purpose = self.refer(Purpose.objects.all(), form["purpose"], "purpose") if "purpose" in form else None
        done = withdrawal.report_event(subject, form["event"], purpose=purpose, actor=self.actor)
        return Response(_withdrawal(done))


class OneConsent(ApiView):
    @operation(
        "consents_read",
        summary="Read a consent record, with the state of each scope and its history",
        permission=Permission.VIEW_CONSENT,
        answer=shapes.ConsentDetailSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        return Response(_consent(self.find(ConsentRecord.objects.all(), code)))


class FullConsentRecord(ApiView):
    @operation(
        "consent_record_read",
        summary="Read a whole consent record, as ISO/IEC TS 27560 structures it",
        description="With `Accept: application/ld+json` in the terms of the W3C's Data Privacy Vocabulary.",
        permission=Permission.VIEW_CONSENT,
        answer=shapes.FullRecordSerializer,
        or_media=(linked_data.MEDIA_TYPE,),
    )
    def get(self, request: Request, code: UUID) -> Response:
        record = self.find(records.readable(ConsentRecord.objects.all()), code)
        whole = iso27560.as_json(records.describe([record])[0])
        either = {"Vary": "Accept"}
        if accept.prefers(request.headers.get("Accept", ""), linked_data.MEDIA_TYPE):
            return Response(linked_data.as_linked_data(whole), headers=either, content_type=linked_data.MEDIA_TYPE)
        return Response(whole, headers=either)


class ConsentWithdrawal(ApiView):
    @operation(
        "consents_withdraw",
        summary="Withdraw a consent",
        while_closed=True,
        description="One call, effective at once; what was derived under it is ordered destroyed in the same transaction.",
        permission=Permission.MANAGE_CONSENT,
        body=shapes.WithdrawalForm,
        answer=shapes.WithdrawalSerializer,
    )
    def post(self, request: Request, code: UUID) -> Response:
        record = self.find(ConsentRecord.objects.select_related("subject__project__organization"), code)
        form = self.read(shapes.WithdrawalForm)
        done = withdrawal.withdraw(record.subject, record=record, scopes=form.get("scopes"), actor=self.actor)
        return Response(_withdrawal(done))


def _what_it_is_about(view: ApiView, form: Mapping[str, Any]) -> tuple[Subject, Purpose, Notice]:
    return (
        view.refer(Subject.objects.all(), form["subject"], "subject"),
        view.refer(Purpose.objects.all(), form["purpose"], "purpose"),
        view.refer(Notice.objects.select_related("series"), form["notice"], "notice"),
    )


def _subjects(rows: list[Subject]) -> Iterable[Any]:
    return shapes.SubjectSerializer(rows, many=True).data


def _consents(rows: list[ConsentRecord]) -> Iterable[Any]:
    return shapes.ConsentSerializer(records.describe(rows), many=True).data


def _consent(record: ConsentRecord) -> Any:
    whole = records.readable(ConsentRecord.objects.filter(pk=record.pk))
    return shapes.ConsentDetailSerializer(records.describe(list(whole))[0]).data


def _subject(subject: Subject) -> Any:
    order = records.erasure_of(subject)
    return {
        **shapes.SubjectSerializer(subject).data,
        "erasure": None if order is None else shapes.DestructionSerializer(order).data,
    }


def _withdrawal(done: withdrawal.Withdrawal) -> dict[str, Any]:
    return {
        "code": done.code,
        "subject": done.subject,
        "closed": [{"purpose": purpose, "scope": scope} for purpose, scope in done.closed],
        "orders": list(done.orders),
    }
