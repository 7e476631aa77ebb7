"""Fields of JSON that more than one room's serializers share and that speak the words of consent."""

from typing import Any, ClassVar

from rest_framework import serializers

from consent.law.places import PATTERN


class ConsequencesSerializer(serializers.Serializer[Any]):
    """What a change of policy would close."""

    subjects = serializers.IntegerField(help_text="People of whom at least one grant would open nothing any more.")
    grants = serializers.IntegerField(help_text="In force now, one per person, purpose and scope.")
    jobs = serializers.IntegerField(help_text="Queued and running jobs that would lose something.")
    all_jobs = serializers.BooleanField(help_text="False where there were too many unfinished jobs to look at all.")


class Place(serializers.RegexField):
    """A jurisdiction: ISO 3166 country or subdivision, or `unknown`, which is judged by the strictest rule."""

    default_error_messages: ClassVar = {"invalid": "must be an ISO 3166 code, such as DE or US-IL, or unknown"}

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", "ISO 3166 code, such as `DE` or `US-IL`, or `unknown`.")
        super().__init__(PATTERN, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)
