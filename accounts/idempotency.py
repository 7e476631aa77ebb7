"""`Idempotency-Key`: the first answer to an unsafe call is given again, byte for byte, to every repetition of it.

A row is claimed before the call runs and holds the answer afterwards. Keys and requests are kept only as keyed hashes, and
answers hold codes and states, so that the table tells nothing that the others do not. A call that dies leaves its row in
flight until the lease ends; then a repetition runs it again. Nothing here knows HTTP beyond method, path and status.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.errors import AccountsError
from accounts.models import ApiClient, Replay

LEASE: Final = timedelta(seconds=60)
"""How long a call may be in flight before a repetition may run it. Longer than any call but an upload, which renews it while
bytes arrive."""

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_CODES = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MAX_MENTIONS: Final = 1000


class IdempotencyKeyInvalid(AccountsError):
    """An `Idempotency-Key` is 1 to 255 visible ASCII characters."""

    code = "idempotency_key_invalid"


class IdempotencyKeyReused(AccountsError):
    """The key was used for another request before."""

    code = "idempotency_key_reused"


class IdempotencyKeyInFlight(AccountsError):
    """The first call with this key is still under way."""

    code = "idempotency_key_in_flight"

    def __init__(self, wait: float) -> None:
        super().__init__("the first call with this key is still under way")
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it left the first time."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Held:
    """A claimed row: this process answers the call."""

    replay: int
    turn: int


def begin(client: ApiClient, key: str, *, method: str, path: str, body: bytes) -> Held | Answer:
    """Claims the key, or gives the answer that it got before.

    `body` stands for the request's content. Raises `IdempotencyKeyInvalid`, `IdempotencyKeyReused`, `IdempotencyKeyInFlight`.
    """
    if not _KEY.fullmatch(key):
        raise IdempotencyKeyInvalid("an Idempotency-Key is 1 to 255 visible ASCII characters")
    index = _hashed("key", f"{client.code} {key}")
    fingerprint = _hashed("request", f"{method}\n{path}\n{hashlib.sha256(body).hexdigest()}")
    until = timezone.now() + LEASE
    try:
        with transaction.atomic():
            created = Replay.objects.create(
                client=client,
                key_index=index,
                fingerprint=fingerprint,
                in_flight_until=until,
                mentions=_mentions(path.encode(), body),
            )
        return Held(created.pk, created.turn)
    except IntegrityError:
        return _meet(Replay.objects.filter(client=client, key_index=index).first(), fingerprint)


def renew(held: Held) -> bool:
    """Starts the lease of a long call again. False when another call took the row over or it was destroyed."""
    row = Replay.objects.filter(pk=held.replay, turn=held.turn, status=None)
    return bool(row.update(in_flight_until=timezone.now() + LEASE))


def finish(held: Held, answer: Answer) -> None:
    """Keeps the answer for repetitions. Does nothing when another call took the row over or it was destroyed."""
    row = Replay.objects.filter(pk=held.replay, turn=held.turn, status=None).first()
    if row is None:
        return
    mentions = sorted({*row.mentions, *_mentions(answer.body)})[:_MAX_MENTIONS]
    Replay.objects.filter(pk=held.replay, turn=held.turn, status=None).update(
        status=answer.status,
        content_type=answer.content_type,
        body=answer.body,
        mentions=mentions,
        in_flight_until=None,
    )


def abandon(held: Held) -> None:
    """Lets go of a call that came to no answer worth keeping: a repetition runs it again.

    A row that was taken over goes back to the call that had it before, which may be slow rather than dead and still answer.
    """
    row = Replay.objects.filter(pk=held.replay, turn=held.turn, status=None)
    if held.turn == 1:
        row.delete()
    else:
        row.update(turn=held.turn - 1, in_flight_until=timezone.now())


def _meet(row: Replay | None, fingerprint: bytes) -> Held | Answer:
    if row is None:
        # It went between the two statements: whoever held it came to no answer.
        raise IdempotencyKeyInFlight(1.0)
    if bytes(row.fingerprint) != fingerprint:
        raise IdempotencyKeyReused("this Idempotency-Key was used for another request")
    if row.status is not None:
        return Answer(row.status, row.content_type, bytes(row.body))
    now = timezone.now()
    taken = Replay.objects.filter(pk=row.pk, turn=row.turn, status=None, in_flight_until__lt=now).update(
        turn=F("turn") + 1, in_flight_until=now + LEASE
    )
    if not taken:
        left = (row.in_flight_until - now).total_seconds() if row.in_flight_until is not None else 1.0
        raise IdempotencyKeyInFlight(max(1.0, left))
    return Held(row.pk, row.turn + 1)


def _hashed(what: str, value: str) -> bytes:
    """HMAC-SHA256 under the service's own key and not a blind index of the vault's: a withdrawal waits for no key provider."""
    return salted_hmac(f"voxgov/idempotency/{what}", value, algorithm="sha256").digest()


def _mentions(*texts: bytes) -> list[str]:
    """Every code that stands in the texts, so that the row can be found when one of them belongs to an erased person."""
    found = {code.decode() for text in texts for code in _CODES.findall(text)}
    return sorted(found)[:_MAX_MENTIONS]
