"""Reading JSON strictly: a parser that refuses duplicate names, and serializers and fields that refuse what they do not know.

Every room's serializers build on these. An unknown field is an error, a number is not a string, a time without an offset is
refused, and no message repeats what was sent. What a request may do is in `api_base`.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import IO, Any, ClassVar

from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

CODE_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"


class StrictJSONParser(JSONParser):
    """JSON (RFC 8259) in UTF-8 whose objects name every member once; NaN and infinities are refused."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            parsed = json.loads(
                stream.read().decode("utf-8"), object_pairs_hook=_named_once, parse_constant=_refuse_constant
            )
        except UnicodeDecodeError:
            raise ParseError("the body is not UTF-8") from None
        except RecursionError:
            raise ParseError("the body is nested too deeply") from None
        except json.JSONDecodeError as error:
            raise ParseError(f"the body is not JSON: line {error.lineno}, column {error.colno}") from None
        except ValueError:
            # A number with more digits than Python converts.
            raise ParseError("the body holds a number that cannot be read") from None
        if not isinstance(parsed, dict):
            raise ParseError("the body must be a JSON object")
        return parsed


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ParseError("a JSON object names a member twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ParseError(f"{name} is not JSON")


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses every member that it does not declare, at each level."""

    default_error_messages: ClassVar = {
        "invalid": "must be an object",
        "unknown_field": "this field does not exist",
    }

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = {name for name, field in self.fields.items() if not field.read_only}
            unknown = sorted(str(name) for name in data if name not in known)
            if unknown:
                message = str(self.error_messages["unknown_field"])
                raise serializers.ValidationError(
                    {name: [serializers.ErrorDetail(message, code="unknown_field")] for name in unknown[:20]}
                )
        return super().to_internal_value(data)


class Text(serializers.CharField):
    """A JSON string and nothing that could be made one."""

    default_error_messages: ClassVar = {"invalid": "must be a string"}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Code(serializers.RegexField):
    """A public code (UUIDv7, lower case)."""

    default_error_messages: ClassVar = {"invalid": "must be a code: 36 characters, lower case"}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(CODE_PATTERN, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Sha256(serializers.RegexField):
    """A SHA-256 in lower-case hexadecimal."""

    default_error_messages: ClassVar = {"invalid": "must be a SHA-256: 64 hexadecimal digits, lower case"}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(SHA256_PATTERN, **kwargs)


class Word(serializers.ChoiceField):
    """One word of a closed list; reads to the member of the `StrEnum`."""

    default_error_messages: ClassVar = {"invalid_choice": "is not one of the words that are allowed here"}

    def __init__(self, words: type[StrEnum], **kwargs: Any) -> None:
        self.words = words
        super().__init__([(word.value, word.value) for word in words], **kwargs)

    def to_internal_value(self, data: Any) -> StrEnum:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice")
        return self.words(data)

    def to_representation(self, value: Any) -> str:
        return str(value)


class Words(serializers.ListField):
    """A list of words, none twice."""

    default_error_messages: ClassVar = {
        "not_a_list": "must be a list",
        "duplicate": "names a word twice",
    }

    def __init__(self, words: type[StrEnum], **kwargs: Any) -> None:
        super().__init__(child=Word(words), max_length=len(words), **kwargs)

    def to_internal_value(self, data: Any) -> list[Any]:
        found: list[Any] = super().to_internal_value(data)
        if len(set(found)) != len(found):
            self.fail("duplicate")
        return found


class TrueOrFalse(serializers.BooleanField):
    """A JSON boolean; `"yes"` and `1` are not."""

    default_error_messages: ClassVar = {"invalid": "must be true or false"}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class WholeNumber(serializers.IntegerField):
    """A JSON number without a fraction; a string of digits is not."""

    default_error_messages: ClassVar = {"invalid": "must be a whole number"}

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return data


class Moment(serializers.DateTimeField):
    """A time with its offset (RFC 3339). One without an offset could mean any of 26 instants and is refused."""

    default_error_messages: ClassVar = {
        "invalid": "must be a time such as 2026-03-01T12:00:00Z",
        "naive": "must say its offset from UTC, such as Z or +01:00",
    }

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            self.fail("invalid")
        try:
            parsed = parse_datetime(value)
        except ValueError:
            parsed = None
        if parsed is None:
            self.fail("invalid")
        if is_naive(parsed):
            self.fail("naive")
        return super().to_internal_value(value)


class QueryParameters(serializers.Serializer[Any]):
    """The query parameters of one operation. Values come as strings, so that the lenient fields are right here."""


class PageParameters(QueryParameters):
    """What every list takes."""

    cursor = serializers.CharField(
        required=False, max_length=1000, help_text="Where to go on: taken from `next` or `previous` of a page."
    )
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=200, default=50, help_text="How many results a page holds at most."
    )


class FieldProblem(serializers.Serializer[Any]):
    """What is wrong with one field."""

    field = serializers.CharField(help_text="Path of the field, such as `participants.0.role`.")
    code = serializers.CharField()
    message = serializers.CharField()


class DenialProblem(serializers.Serializer[Any]):
    """One participant, one scope, one reason."""

    subject = serializers.CharField(allow_blank=True)
    scope = serializers.CharField(allow_blank=True)
    reason = serializers.CharField()
    rule = serializers.CharField(allow_blank=True, help_text="Set when the law said no.")
    citation = serializers.CharField(allow_blank=True)
    message = serializers.CharField()
    remedy = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """RFC 9457 problem details. `code` is stable; `detail` is for people and may change."""

    type = serializers.CharField(help_text="URI reference of the page that explains this code.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    request_id = serializers.CharField(help_text="As in the `X-Request-Id` header and in the audit trail.")
    errors = FieldProblem(many=True, required=False)  # type: ignore[assignment]  # DRF's metaclass takes fields out of the class
    decision = serializers.CharField(required=False, help_text="With `consent_denied`: the recorded decision.")
    missing_scopes = serializers.ListField(child=serializers.CharField(), required=False)
    denials = DenialProblem(many=True, required=False)
