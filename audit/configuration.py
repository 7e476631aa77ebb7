"""Changes of the configuration, said in every log: at each start of the sequencer, and every hour, the settings that matter are
compared with those that the log last heard of. Digests only: a log tells that something changed, and which, and not what it is.
"""

import hashlib
import json
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction

from audit import trail
from audit.entry import ObjectKind, Reference
from audit.events import EventName
from audit.models import Event, Log

ACTOR = trail.system("configuration")
_LOCK: Final = 0x636F_6E66
"""First half of the advisory lock of what a log heard; the other is a hash of the log's code."""


def record_changes() -> int:
    """Says in each log what differs from what that log last heard of; returns how many logs there was something to say in."""
    now = digests()
    return sum(
        _record(code, now) for code in Log.objects.order_by("code").distinct("code").values_list("code", flat=True)
    )


def digests() -> dict[str, str]:
    """Name of each setting that matters, and SHA-256 over its name and its value."""
    return {name: _digest(name, value) for name, value in sorted(settings.VOXGOV_RECORDED.items())}


def _digest(name: str, value: Any) -> str:
    written = json.dumps([name, value], sort_keys=True, default=str)
    return hashlib.sha256(written.encode()).hexdigest()


def _record(code: str, now: dict[str, str]) -> bool:
    with transaction.atomic():
        with connection.cursor() as cursor:  # two sequencers that start at once say it once
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK, code])
        before = _last(code)
        changed = sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))
        if not changed:
            return False
        trail.record(
            EventName.CONFIGURATION_CHANGED,
            organization=code,
            actor=ACTOR,
            objects=[Reference(ObjectKind.LOG, code)],
            detail={"changed": changed, "settings": [f"{name} {digest}" for name, digest in now.items()]},
        )
    return True


def _last(code: str) -> dict[str, str]:
    """What the log heard last; nothing where it has not, or that was pruned."""
    event = Event.objects.filter(log=code, name=EventName.CONFIGURATION_CHANGED).order_by("-id").first()
    if event is None:
        return {}
    known: list[str] = json.loads(bytes(event.entry))["detail"]["settings"]
    return dict(line.split(" ", 1) for line in known)
