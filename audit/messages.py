"""What a webhook is sent: an event of the log, or a test, as Standard Webhooks 1.0.0 has it. When it is sent is `delivery`'s."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from standardwebhooks import Webhook as Signature

from audit import sequenced
from audit.sequenced import Sequenced


@dataclass(frozen=True, slots=True)
class Message:
    """What is signed and sent. `event` is None for a test message."""

    id: str
    body: str
    event: Sequenced | None


def signed_headers(message: Message, secrets_in_force: Sequence[str], now: datetime) -> Mapping[str, str]:
    """Those of Standard Webhooks 1.0.0: one signature for each secret in force, the newest first."""
    signatures = [Signature(secret).sign(message.id, now, message.body) for secret in secrets_in_force]
    return {
        "content-type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def of_event(event: Sequenced) -> Message:
    """The entry and its place. The id is the event's code, and so the same at every attempt."""
    document = event.document()
    body = sequenced.text({"type": event.name, "timestamp": document["entry"]["at"], "data": document})
    return Message(event.code, body, event)


def of_test(webhook: str, id: str, now: datetime) -> Message:
    """Says which webhook it is for, and nothing else."""
    at = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
    body = sequenced.text({"type": "audit:webhook:test", "timestamp": at, "data": {"webhook": webhook}})
    return Message(id, body, None)
