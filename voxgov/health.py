"""Whether this process lives, and whether it can do its work. Says what is away, never why."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from django.db import connections
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import standing
from vault.keys import provider
from voxgov.celery import app as celery

log = structlog.get_logger(__name__)

BROKER_PATIENCE: Final = 2
PROVIDER_EVERY: Final = 5
"""Seconds."""
_provider_answered = float("-inf")


def _database(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT 1")


def _broker() -> None:
    with celery.connection_for_write(connect_timeout=BROKER_PATIENCE) as connection:
        connection.ensure_connection(max_retries=1, timeout=BROKER_PATIENCE)


def _key_provider() -> None:
    """Asked again some seconds after it answered: this page needs no token, and a provider on the network counts its calls."""
    global _provider_answered  # noqa: PLW0603 (one clock per process)
    if time.monotonic() - _provider_answered > PROVIDER_EVERY:
        provider().epochs()
        _provider_answered = time.monotonic()


NEEDED: Final[Mapping[str, Callable[[], None]]] = {
    "database": lambda: _database("default"),
    "keys_database": lambda: _database("keys"),
    "key_provider": _key_provider,
}
USEFUL: Final[Mapping[str, Callable[[], None]]] = {"broker": _broker, "log": standing.require_open}
"""Without the broker everything but the bell works, and the sweep rings what was missed; while the log is closed after a restored
backup, withdrawals are taken. Neither must close the door to a withdrawal."""


class LiveSerializer(serializers.Serializer[Any]):
    status = serializers.CharField()


class ReadySerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ready", "degraded", "unavailable"])
    checks = serializers.DictField(child=serializers.ChoiceField(["ok", "unavailable"]))


class OpenView(APIView):
    """For load balancers, without a token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    metadata_class = None
    http_method_names = ("get", "head")


class Live(OpenView):
    @extend_schema(
        operation_id="health_live", summary="The process answers", responses={200: LiveSerializer}, tags=["health"]
    )
    def get(self, request: Request) -> Response:
        return Response({"status": "live"}, headers={"Cache-Control": "no-store"})


class Ready(OpenView):
    @extend_schema(
        operation_id="health_ready",
        summary="What the process needs is there",
        description="503 when a database or the key provider is away; `degraded` when the broker is, or the service is closed.",
        responses={200: ReadySerializer, 503: ReadySerializer},
        tags=["health"],
    )
    def get(self, request: Request) -> Response:
        needed = {name: _passes(name, check) for name, check in NEEDED.items()}
        useful = {name: _passes(name, check) for name, check in USEFUL.items()}
        status = "unavailable" if not all(needed.values()) else "ready" if all(useful.values()) else "degraded"
        checks = {name: "ok" if passed else "unavailable" for name, passed in {**needed, **useful}.items()}
        return Response(
            {"status": status, "checks": checks},
            status=503 if status == "unavailable" else 200,
            headers={"Cache-Control": "no-store"},
        )


def _passes(name: str, check: Callable[[], None]) -> bool:
    try:
        check()
    except Exception as error:  # whatever goes wrong, the answer is that it is away
        log.warning("not_ready", check=name, error=type(error).__name__)
        return False
    return True
