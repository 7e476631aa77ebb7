"""What a writer of `bench audit` does once per event, in each of its ways: it records a decision of the gate, the commonest event.

An event that stands alone is one statement, and so are the rows put beside it; one in a transaction has a BEGIN and a COMMIT around
it, and so have the two statements put beside that.
"""

import os
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import psycopg
from django.db import transaction

from audit import entry, trail
from audit.entry import Detail, ObjectKind, Reference
from audit.events import EventName
from vault.codes import new_code

ACTOR = trail.system("bench")
_SUBJECT = new_code()
_DETAIL: Detail = {"action": "read", "scopes": ["speech.transcribe"], "policy_epoch": 1}
_EVENT = (
    "INSERT INTO bench_event (code, log, at, name, actor_kind, actor_code, outcome, request_id, entry)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id"
)
_REFERENCES = (
    "INSERT INTO bench_reference (event_id, log, kind, code, salt) VALUES (%s, %s, %s, %s, %s), (%s, %s, %s, %s, %s)"
)
_AT_ONCE = (
    f"WITH event AS ({_EVENT}) INSERT INTO bench_reference (event_id, log, kind, code, salt)"
    " SELECT event.id, one.* FROM event, (VALUES (%s, %s, %s, %s::bytea), (%s, %s, %s, %s::bytea)) AS one"
)


def make_plain_tables() -> None:
    """Tables of the same shape and with the same indexes, without the queue and without a log; as the owner."""
    with psycopg.connect(os.environ["OWNER_DATABASE_URL"], autocommit=True) as owner:
        for name, like in (("bench_event", "audit_event"), ("bench_reference", "audit_eventreference")):
            owner.execute(f"CREATE TABLE IF NOT EXISTS {name} (LIKE {like} INCLUDING ALL)".encode())
            owner.execute(f"GRANT INSERT, SELECT ON {name} TO voxgov_app".encode())


def trail_alone(log: str) -> None:
    """One durable event that is a change by itself."""
    trail.record_alone(EventName.DECISION_ALLOWED, organization=log, actor=ACTOR, **_said())


def trail_within(log: str) -> None:
    """One durable event in the transaction of a change."""
    with transaction.atomic():
        trail.record(EventName.DECISION_ALLOWED, organization=log, actor=ACTOR, **_said())


def plain_alone(log: str) -> None:
    """The same rows by one plain statement that commits by itself; nothing is composed."""
    database, composed = _plain(log)
    salt = secrets.token_bytes(32)
    blinded = [log, "decision", new_code(), salt, log, "subject", _SUBJECT, salt]
    database.execute(_AT_ONCE, [*_columns(log, composed), *blinded])


def plain_within(log: str) -> None:
    """The same rows by two plain statements in a transaction; nothing is composed."""
    database, composed = _plain(log)
    with database.transaction():
        row = database.execute(_EVENT, _columns(log, composed)).fetchone()
        assert row is not None
        salt = secrets.token_bytes(32)
        database.execute(
            _REFERENCES, [row[0], log, "decision", new_code(), salt, row[0], log, "subject", _SUBJECT, salt]
        )


WAYS: Mapping[str, Callable[[str], None]] = {
    "plain-alone": plain_alone,
    "trail-alone": trail_alone,
    "plain-within": plain_within,
    "trail-within": trail_within,
}


def _said() -> dict[str, Any]:
    objects = [Reference(ObjectKind.DECISION, new_code()), Reference(ObjectKind.SUBJECT, _SUBJECT, 1)]
    return {"objects": objects, "outcome": "allow", "detail": _DETAIL}


def _columns(log: str, composed: bytes) -> list[Any]:
    return [
        new_code(),
        log,
        datetime.now(UTC),
        EventName.DECISION_ALLOWED.value,
        "system",
        "bench",
        "allow",
        "",
        composed,
    ]


@lru_cache(maxsize=1)
def _plain(log: str) -> tuple[psycopg.Connection[Any], bytes]:
    composed = entry.compose(
        EventName.DECISION_ALLOWED,
        code=new_code(),
        log=log,
        at=datetime.now(UTC),
        actor=ACTOR,
        references=[Reference(ObjectKind.DECISION, new_code()), Reference(ObjectKind.SUBJECT, _SUBJECT, 1)],
        outcome="allow",
        reason="",
        request_id="",
        detail=_DETAIL,
    )
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True), composed.canonical
