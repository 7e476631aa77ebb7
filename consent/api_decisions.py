"""The gate's decisions over HTTP: their JSON, and the views."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.api_fields import Code, Moment, PageParameters, StrictSerializer, WholeNumber, Word, Words
from accounts.api_pages import page, page_of
from accounts.roles import Permission
from consent import dry_run, explaining, law
from consent.api_fields import Place
from consent.models import Decision, Purpose, Subject
from consent.serializers import Moments, Shape
from consent.verdicts import Denial, GateRequest, Participant, Verdict
from consent.vocabulary import Action, Context, DenialReason, ObligationKind, ParticipantRole, Scope

MAX_PARTICIPANTS: Final = 32
"""As many as a recording may have."""


class DecisionParameters(PageParameters):
    action = Word(Action, required=False)
    allowed = serializers.BooleanField(required=False, allow_null=True, default=None)
    subject = serializers.CharField(required=False, max_length=36)
    object = serializers.CharField(required=False, max_length=36, help_text="Code of a recording or an analysis.")


class JudgedParticipantSerializer(Shape):
    subject = serializers.CharField()
    role = Word(ParticipantRole)
    channel = serializers.IntegerField(allow_null=True)
    jurisdiction = serializers.CharField(allow_blank=True, required=False)


class DecisionRequestSerializer(Shape):
    purpose = serializers.CharField()
    context = Word(Context)  # type: ignore[assignment]  # DRF's metaclass takes fields out of the class
    jurisdiction = serializers.CharField()
    recorded_at = serializers.CharField()
    exposure_notice_shown_at = serializers.CharField(allow_null=True, required=False)
    participants = JudgedParticipantSerializer(many=True)
    scopes = serializers.ListField(child=Word(Scope))


class GrantedSerializer(Shape):
    subject = serializers.CharField()
    scope = Word(Scope)
    grant = serializers.CharField(help_text="The revision that it rests on.")


class DenialSerializer(Shape):
    subject = serializers.CharField(allow_blank=True)
    scope = serializers.CharField(allow_blank=True)
    reason = serializers.CharField()
    message = serializers.CharField()
    remedy = serializers.CharField()
    rule = serializers.CharField(allow_blank=True)
    citation = serializers.CharField(allow_blank=True)


class ObligationSerializer(Shape):
    kind = Word(ObligationKind)
    participant = serializers.IntegerField(help_text="Position in the request, from 0.")
    scope = Word(Scope, required=False, help_text="What it is about; in decisions of before 2026-11-3, keeping audio.")
    rule = serializers.CharField()
    citation = serializers.CharField()


class DeciderSerializer(Shape):
    kind = serializers.CharField(source="actor_kind")
    code = serializers.CharField(source="actor_code")


class DecisionSerializer(Shape):
    code = serializers.CharField()
    action = Word(Action)
    allowed = serializers.BooleanField()
    object = serializers.CharField(source="object_code", allow_blank=True)
    subjects = serializers.ListField(child=serializers.CharField())
    request = DecisionRequestSerializer()
    granted = GrantedSerializer(many=True)
    denials = DenialSerializer(many=True)
    obligations = ObligationSerializer(many=True)
    rules = serializers.ListField(
        child=serializers.CharField(), help_text="The rules of law that what is granted was judged by."
    )
    policy_epoch = serializers.IntegerField()
    rule_set = serializers.CharField()
    actor = DeciderSerializer(source="*")
    at = Moments()


class ReliedNoticeSerializer(Shape):
    code = serializers.CharField()
    version = serializers.IntegerField()
    language = serializers.CharField()
    sha256 = serializers.CharField()


class ReliedSerializer(Shape):
    subject = serializers.CharField()
    scope = Word(Scope)
    grant = serializers.CharField(source="grant.code")
    revision = serializers.IntegerField(source="grant.revision")
    consent = serializers.CharField(source="grant.record.code")
    explicit = serializers.BooleanField(source="grant.record.explicit")
    given_at = Moments(source="grant.record.given_at")
    notice = ReliedNoticeSerializer(source="grant.record.notice")


class RuleAskedSerializer(Shape):
    id = serializers.CharField()
    citation = serializers.CharField(allow_blank=True)


class BasisSerializer(Shape):
    grants = ReliedSerializer(many=True)
    rules = RuleAskedSerializer(many=True)


class DecisionDetailSerializer(DecisionSerializer):
    explanation = serializers.ListField(
        child=serializers.CharField(), help_text="In plain words, a sentence each; as of the decision."
    )
    basis = BasisSerializer(help_text="The grants and the rules of law that it rests on, as of the decision.")


class AskedParticipantForm(StrictSerializer):
    subject = Code()
    role = Word(ParticipantRole)
    channel = WholeNumber(required=False, allow_null=True, default=None, min_value=0, max_value=1023)
    jurisdiction = Place(required=False, help_text="Where this person was, if not where the recording was.")


class QuestionForm(StrictSerializer):
    purpose = Code()
    context = Word(Context, help_text="`unknown` is judged by the strictest rule.")  # type: ignore[assignment]  # as above
    jurisdiction = Place()
    recorded_at = Moment()
    exposure_notice_shown_at = Moment(required=False, allow_null=True, default=None)
    participants = AskedParticipantForm(many=True, allow_empty=False, max_length=MAX_PARTICIPANTS)  # type: ignore[call-arg]  # many=True takes it
    scopes = Words(Scope, allow_empty=False)

    def validate_participants(self, people: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({person["subject"] for person in people}) != len(people):
            raise serializers.ValidationError("names a participant twice", code="duplicate")
        return people


class PairAnswer(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    ISOLATE = "isolate"
    """Allowed of what matches this participant's own voiceprint, and of nothing else on the channel."""
    LEAVE_OUT = "leave_out"
    """Allowed if this participant's voice is left out."""


class ReasonSerializer(Shape):
    reason = Word(DenialReason)
    message = serializers.CharField()
    remedy = serializers.CharField()
    rule = serializers.CharField(allow_blank=True)
    citation = serializers.CharField(allow_blank=True)


class ScopeAnswerSerializer(Shape):
    scope = Word(Scope)
    answer = Word(PairAnswer)
    grant = serializers.CharField(allow_blank=True, help_text="The revision that it would rest on.")
    denials = ReasonSerializer(many=True)


class ParticipantAnswerSerializer(Shape):
    subject = serializers.CharField()
    role = Word(ParticipantRole)
    scopes = ScopeAnswerSerializer(many=True)


class DryRunSerializer(Shape):
    allowed = serializers.BooleanField(help_text="Whether all of it would be allowed, under the obligations.")
    participants = ParticipantAnswerSerializer(many=True)
    obligations = ObligationSerializer(many=True)
    rules = RuleAskedSerializer(many=True, help_text="Those that would have a say in what is granted.")
    rule_set = serializers.CharField()
    policy_epoch = serializers.IntegerField()
    judged_at = Moments()
    valid_until = Moments(allow_null=True, help_text="When the first of the grants ends by itself.")


class DryRun(ApiView):
    @operation(
        "decisions_preview",
        summary="Ask the gate what it would answer",
        description="Nothing is recorded but that it was asked: no decision, no use of a consent, no memory of a role.",
        permission=Permission.VIEW_DECISION,
        body=QuestionForm,
        answer=DryRunSerializer,
    )
    def post(self, request: Request) -> Response:
        form = self.read(QuestionForm)
        question = GateRequest(
            project=self.project.pk,
            purpose=self.refer(Purpose.objects.all(), form["purpose"], "purpose").code,
            context=form["context"],
            jurisdiction=form["jurisdiction"],
            recorded_at=form["recorded_at"],
            participants=tuple(
                Participant(
                    self.refer(Subject.objects.all(), person["subject"], f"participants.{position}.subject").code,
                    person["role"],
                    person["channel"],
                    person.get("jurisdiction", ""),
                )
                for position, person in enumerate(form["participants"])
            ),
            scopes=tuple(form["scopes"]),
            exposure_notice_shown_at=form["exposure_notice_shown_at"],
        )
        return Response(_answer(dry_run.ask(question, project=self.project.code, actor=self.actor)))


class Decisions(ApiView):
    @operation(
        "decisions_list",
        summary="List the gate's decisions, newest first",
        permission=Permission.VIEW_DECISION,
        answer=page_of(DecisionSerializer),
        query=DecisionParameters,
    )
    def get(self, request: Request) -> Response:
        rows = Decision.objects.visible_to(request.user)
        if (action := self.query.get("action")) is not None:
            rows = rows.filter(action=action.value)
        if (allowed := self.query.get("allowed")) is not None:
            rows = rows.filter(allowed=allowed)
        if (subject := self.query.get("subject")) is not None:
            rows = rows.filter(subjects__contains=[subject])
        if (about := self.query.get("object")) is not None:
            rows = rows.filter(object_code=about)
        return Response(page(rows, request, self.query, _decisions))


class OneDecision(ApiView):
    @operation(
        "decisions_read",
        summary="Read a decision, with its explanation and what it rests on",
        permission=Permission.VIEW_DECISION,
        answer=DecisionDetailSerializer,
    )
    def get(self, request: Request, code: UUID) -> Response:
        decision = self.find(Decision.objects.all(), code)
        explained = explaining.explain(decision)
        return Response(
            {
                **DecisionSerializer(decision).data,
                "explanation": list(explained.sentences),
                "basis": BasisSerializer(explained).data,
            }
        )


def _decisions(rows: list[Decision]) -> Iterable[Any]:
    return DecisionSerializer(rows, many=True).data


def _answer(verdict: Verdict) -> Any:
    granted = {(pair.subject, pair.scope): pair.grant for pair in verdict.granted}
    duties = {(duty.kind, duty.participant, duty.scope) for duty in verdict.obligations}
    denied: dict[tuple[str, str], list[Denial]] = {}
    for denial in verdict.denials:
        denied.setdefault((denial.subject, denial.scope), []).append(denial)

    def scope_of(position: int, subject: str, scope: Scope) -> dict[str, Any]:
        grant = granted.get((subject, scope), "")
        reasons = denied.get((subject, scope), [])
        answer = PairAnswer.ALLOW if grant else PairAnswer.DENY
        if grant and (ObligationKind.ISOLATE, position, scope) in duties:
            answer = PairAnswer.ISOLATE
        elif not grant and not reasons and (ObligationKind.MASK, position, scope) in duties:
            answer = PairAnswer.LEAVE_OUT
        return {"scope": scope, "answer": answer, "grant": grant, "denials": reasons}

    return DryRunSerializer(
        {
            "allowed": verdict.allowed,
            "participants": [
                {
                    "subject": person.subject,
                    "role": person.role,
                    "scopes": [scope_of(position, person.subject, scope) for scope in verdict.request.scopes],
                }
                for position, person in enumerate(verdict.request.participants)
            ],
            "obligations": verdict.obligations,
            "rules": [{"id": rule, "citation": law.CITATIONS[rule]} for rule in sorted(verdict.rules)],
            "rule_set": verdict.rule_set,
            "policy_epoch": verdict.policy_epoch,
            "judged_at": verdict.judged_at,
            "valid_until": verdict.valid_until,
        }
    ).data
