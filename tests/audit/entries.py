"""Entries for tests: made from a number alone, varied as a real log's are, and always the same for the same number."""

import hashlib

from audit.schema import canonical_json

LOG = "01980000-0000-7000-8000-0000000000aa"
NAMES = ("consent:decision:allowed", "consent:decision:denied", "analysis:results:read", "consent:grant:withdrawn")


def entry(number: int, log: str = LOG) -> bytes:
    """The canonical bytes of entry `number`."""
    name = NAMES[number % len(NAMES)]
    blind = hashlib.sha256(str(number).encode()).hexdigest()
    return canonical_json(
        {
            "version": 1,
            "event": f"01980000-0000-7000-8000-{number:012x}",
            "log": log,
            "at": f"2026-01-{1 + number // 86400 % 28:02}T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000006Z",
            "name": name,
            "actor": {"kind": "client", "code": "01980000-0000-7000-8000-0000000000c1"},
            "objects": [{"kind": "subject", "blind": blind, "epoch": number % 3}, {"kind": "purpose", "code": "p-1"}],
            "outcome": {"allowed": "allow", "denied": "deny"}.get(name.rpartition(":")[2], ""),
            "reason": "scope_not_granted" if number % 4 == 1 else "",
            "request": f"r-{number % 7}",
            "detail": {"scopes": ["speech.transcribe", "voice.emotion"][: number % 3], "count": number},
        }
    )
