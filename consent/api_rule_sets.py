"""A project's rule set over HTTP: what it is judged by, what it may lay upon itself, and what a change of policy would close."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.api_fields import StrictSerializer
from accounts.roles import Permission
from consent import law, rule_sets, what_if
from consent.api_fields import ConsequencesSerializer
from consent.serializers import Moments, Shape


class RuleSetForm(StrictSerializer):
    rules = serializers.ListField(
        child=serializers.ChoiceField(sorted(law.OWN)),
        allow_empty=True,
        max_length=len(law.OWN),
        help_text="Every own rule from now on. The law's are in force without being named.",
    )


class LawRuleSerializer(Shape):
    id = serializers.CharField()
    citation = serializers.CharField()


class OwnRuleSerializer(Shape):
    id = serializers.CharField()
    summary = serializers.CharField()
    chosen = serializers.BooleanField()


class RuleSetSerializer(Shape):
    name = serializers.CharField(
        help_text="As decisions give it: the version of the law's rules, and of the project's own."
    )
    law = LawRuleSerializer(many=True, help_text="In force for everybody; none of them can be chosen away.")
    own = OwnRuleSerializer(many=True, help_text="What a project may lay upon itself besides. Each only forbids.")
    changed_at = Moments(allow_null=True)


class ProjectRuleSet(ApiView):
    @operation(
        "rule_set_read",
        summary="Read what the project is judged by",
        permission=Permission.VIEW_CONSENT,
        answer=RuleSetSerializer,
    )
    def get(self, request: Request) -> Response:
        return Response(_shown(rule_sets.of(self.project)))

    @operation(
        "rule_set_set",
        summary="Choose the project's own rules",
        description="Effective at this commit, also for jobs that run. Ask for the preview first.",
        permission=Permission.MANAGE_CONSENT,
        body=RuleSetForm,
        answer=RuleSetSerializer,
    )
    def put(self, request: Request) -> Response:
        return Response(_shown(rule_sets.choose(self.project, self.read(RuleSetForm)["rules"], actor=self.actor)))


class RuleSetPreview(ApiView):
    @operation(
        "rule_set_preview",
        summary="See what a choice of own rules would close",
        permission=Permission.VIEW_CONSENT,
        body=RuleSetForm,
        answer=ConsequencesSerializer,
    )
    def post(self, request: Request) -> Response:
        found = what_if.of_choosing(self.project, self.read(RuleSetForm)["rules"])
        return Response(ConsequencesSerializer(found).data)


def _shown(rules: rule_sets.Rules) -> Any:
    return RuleSetSerializer(
        {
            "name": rules.name,
            "law": [{"id": rule.id, "citation": rule.citation} for rule in (*law.RULES, *law.GROUP_RULES)],
            "own": [
                {"id": rule.id, "summary": rule.summary, "chosen": rule.id in rules.own} for rule in law.OWN.values()
            ],
            "changed_at": rules.changed_at,
        }
    ).data
