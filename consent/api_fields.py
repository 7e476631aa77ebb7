"""Fields of JSON that more than one room's serializers share and that speak the words of consent."""

from typing import Any, ClassVar

from rest_framework import serializers

from consent.law.places import PATTERN


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
