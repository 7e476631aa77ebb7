"""Terms and the published schedule of retention over HTTP: their JSON, and the views."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api_base import ApiView, operation
from accounts.api_fields import StrictSerializer, WholeNumber, Word
from accounts.roles import Permission
from consent import retention, schedule, terms
from consent.inventory import Category
from consent.models import RetentionPolicy
from consent.retention import MAX_DAYS
from consent.serializers import Shape


class RetentionForm(StrictSerializer):
    days = WholeNumber(min_value=0, max_value=MAX_DAYS)


class CapSerializer(Shape):
    rule = serializers.CharField()
    citation = serializers.CharField()
    days = serializers.IntegerField()


class RetentionSerializer(Shape):
    category = Word(Category)
    days = serializers.IntegerField(allow_null=True, help_text="Null where only erasure ends it.")
    own = serializers.BooleanField(help_text="False: the default, because the project has set none.")
    caps = CapSerializer(many=True, help_text="What the law allows at most; a term cannot exceed it.")


class TermSerializer(Shape):
    category = Word(Category)
    days = serializers.IntegerField()


class RetentionScheduleSerializer(Shape):
    project = serializers.CharField()
    version = serializers.IntegerField()
    published_at = serializers.CharField()
    sha256 = serializers.CharField()
    terms = TermSerializer(many=True)
    destruction = serializers.CharField()


class RetentionListSerializer(Shape):
    results = RetentionSerializer(many=True)


class RetentionPolicies(ApiView):
    @operation(
        "retention_list",
        summary="How long each category of data is kept",
        permission=Permission.MANAGE_RETENTION,
        answer=RetentionListSerializer,
    )
    def get(self, request: Request) -> Response:
        return Response({"results": [self._present(category) for category in Category]})

    def _present(self, category: Category) -> dict[str, Any]:
        own = RetentionPolicy.objects.filter(project=self.project, category=category.value).exists()
        days = terms.days_for(self.project, category)
        caps = terms.caps_for(self.project, category)
        return dict(RetentionSerializer({"category": category, "days": days, "own": own, "caps": caps}).data)


class OneRetentionPolicy(RetentionPolicies):
    @operation(
        "retention_read",
        summary="How long one category of data is kept",
        permission=Permission.MANAGE_RETENTION,
        answer=RetentionSerializer,
    )
    def get(self, request: Request, category: str) -> Response:  # type: ignore[override]  # the route has a category
        return Response(self._present(_category(category)))

    @operation(
        "retention_set",
        summary="Set how long a category is kept",
        permission=Permission.MANAGE_RETENTION,
        body=RetentionForm,
        answer=RetentionSerializer,
    )
    def put(self, request: Request, category: str) -> Response:
        known = _category(category)
        retention.set_policy(self.project, known, **self.read(RetentionForm), actor=self.actor)
        return Response(self._present(known))


class PublicSchedule(ApiView):
    @operation(
        "retention_schedule_publish",
        summary="Publish the retention schedule",
        description=(
            "Anyone can read it from now on at `/policies/{project}/retention`, without a token, and every later change of a term"
            " publishes the next version. A voiceprint of somebody who may be in Illinois needs it first."
        ),
        permission=Permission.MANAGE_RETENTION,
        answer=RetentionScheduleSerializer,
        status_code=201,
    )
    def post(self, request: Request) -> Response:
        made = schedule.publish(self.project, actor=self.actor)
        return Response(RetentionScheduleSerializer(schedule.as_json(made)).data, status=201)


def _category(name: str) -> Category:
    try:
        return Category(name)
    except ValueError:
        raise NotFound("no such category of data") from None
