"""Cursor pagination. A page is `{next, previous, results}`; links are relative references.

A cursor is sealed: it holds a row number, and those count across all tenants.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlencode

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db.models import QuerySet
from rest_framework import serializers, status
from rest_framework.exceptions import APIException
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

NEWEST, OLDEST = "-id", "id"


class CursorInvalid(APIException):
    """The cursor was not made here, or was made for another list."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "cursor_invalid"
    default_detail = "this cursor was not made by this list"


class SealedCursor(CursorPagination):
    """DRF's cursor with its position sealed under a key derived from the secret key."""

    def __init__(self, ordering: str, limit: int) -> None:
        self.ordering = ordering
        self.page_size = limit

    def decode_cursor(self, request: Request) -> Cursor | None:
        encoded = request.query_params.get(self.cursor_query_param)
        if encoded is None:
            return None
        try:
            plain = _seal().decrypt(encoded.encode()).decode()
        except (InvalidToken, UnicodeEncodeError):
            raise CursorInvalid from None
        parts = {name: values[0] for name, values in parse_qs(plain, keep_blank_values=True).items()}
        if parts.get("of") != f"{request.path} {self.ordering}":
            raise CursorInvalid
        return Cursor(offset=int(parts["o"]), reverse=parts["r"] == "1", position=parts.get("p"))  # type: ignore[arg-type]  # text, as DRF makes it

    def encode_cursor(self, cursor: Cursor) -> str:
        parts = {
            "of": f"{self.path} {self.ordering}",
            "o": str(cursor.offset),
            "r": "1" if cursor.reverse else "0",
            **({} if cursor.position is None else {"p": str(cursor.position)}),
        }
        token = _seal().encrypt(urlencode(parts).encode()).decode()
        return str(replace_query_param(str(self.base_url), self.cursor_query_param, token))

    def take(self, rows: QuerySet[Any], request: Request) -> list[Any]:
        """One page of rows; the links are ready afterwards."""
        self.path = request.path
        page = self.paginate_queryset(rows, request) or []
        self.base_url = request.get_full_path()
        return page


def page(
    rows: QuerySet[Any],
    request: Request,
    parameters: Mapping[str, Any],
    present: Callable[[list[Any]], Iterable[Any]],
    *,
    ordering: str = NEWEST,
) -> dict[str, Any]:
    """One page of `rows`, presented, with its links. Raises `CursorInvalid`."""
    pager = SealedCursor(ordering, int(parameters["limit"]))
    results = list(present(pager.take(rows, request)))
    return {"next": pager.get_next_link(), "previous": pager.get_previous_link(), "results": results}


@lru_cache(maxsize=64)
def page_of(item: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    """The schema of one page of `item`."""
    fields = {
        "next": serializers.CharField(allow_null=True, help_text="Relative reference of the next page."),
        "previous": serializers.CharField(allow_null=True, help_text="Relative reference of the page before."),
        "results": item(many=True),
    }
    return type(f"{item.__name__.removesuffix('Serializer')}PageSerializer", (serializers.Serializer,), fields)


@lru_cache(maxsize=1)
def _seal() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(sha256(b"voxgov/cursor/v1\x00" + settings.SECRET_KEY.encode()).digest()))
