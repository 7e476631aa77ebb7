"""Sending the events of a log to its webhooks: in the log's order, at least once, again and again for three days.

Each webhook has a place in its log and nothing else is kept of what it was sent: the trail is the outbox. An event that does not
arrive holds up those behind it, and is tried again until it does or the webhook is disabled. A row for each failed event would let
the others pass; but then receivers would get a log with holes in it, could not tell a late entry from a missing one, and every
event of an outage of days would have a row. A log is read in order.

Who sends holds a lease and a turn: every write names the turn, so that a worker that was too slow, or whose webhook was changed
meanwhile, loses and stops. A worker that dies leaves the lease to run out; the event that it had sent last may then come twice,
under the same id. How webhooks come and go is `webhooks`, what a message is `messages`, how one request is made `posting`.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from audit import addresses, messages, outside, sequenced, standing, trail, webhooks
from audit.errors import AddressRefused
from audit.messages import Message
from audit.models import Log, SignedCheckpoint, Webhook, WebhookDelivery
from audit.posting import Courier, Outcome, Reply
from audit.sequenced import Sequenced
from audit.webhooks import Disabled
from vault.errors import KeyMissing, KeyShredded, ProviderUnavailable, SealBroken

DELIVER: Final = "audit.deliver"
FIRST_DELAY: Final = timedelta(seconds=5)
LONGEST_DELAY: Final = timedelta(hours=4)
GIVE_UP_AFTER: Final = timedelta(days=3)
LEASE: Final = timedelta(seconds=60)
"""Longer than any one request; renewed with each."""
WITHOUT_KEYS: Final = timedelta(seconds=30)
"""When to try again where the key provider is away."""
TURN: Final = 20.0
"""Seconds after which a worker lets go of a webhook, so that the others get theirs."""
LANES: Final = 2
"""Webhooks that are sent to at once: receivers that take their time must not hold up what else the light queue does."""
KEPT_DELIVERIES: Final = 200
_BATCH: Final = 50
_ACTOR: Final = trail.system("webhooks")
_DICE: Final = secrets.SystemRandom()

Clock = Callable[[], datetime]
Open = Callable[[addresses.Target], Courier]
"""Makes the courier of one turn; tests give it a resolver of their own."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """A webhook that this worker sends to, as it was when it was claimed."""

    webhook: Webhook
    turn: int


def sweep(clock: Clock = timezone.now) -> list[str]:
    """Rings for the webhooks that have something to be sent, as far as lanes are free; returns their codes."""
    if outside.is_closed():
        return []
    now = clock()
    free = LANES - Webhook.objects.filter(lease_until__gt=now).count()
    codes = due(now)[: max(0, free)]
    for code in codes:
        current_app.send_task(DELIVER, args=[code], queue="light", retry=False, ignore_result=True, expires=10)
    return codes


def due(now: datetime) -> list[str]:
    """Codes of the webhooks that nobody sends to and somebody should: entries they have not passed, or a test message. Whichever
    was not taken up for longest comes first, so that one which always has something to send does not keep the others waiting."""
    of_its_log = {"log__code": OuterRef("log"), "log__generation": OuterRef("generation")}
    signed = SignedCheckpoint.objects.filter(**of_its_log, size__gt=OuterRef("index") + 1)
    continued = Log.objects.filter(code=OuterRef("log"), generation__gt=OuterRef("generation"))
    waiting = Q(enabled=True, next_attempt_at__lte=now) & (Q(Exists(signed)) | Q(Exists(continued)))
    rows = Webhook.objects.filter(_free(now)).filter(waiting | ~Q(ping=""))
    return list(rows.order_by(F("served_at").asc(nulls_first=True), "id").values_list("code", flat=True)[:100])


def deliver(code: str, *, clock: Clock = timezone.now, courier: Open | None = None) -> int:
    """One turn of one webhook; returns how many events arrived. 0 where somebody else has it, or nothing is due.

    Raises `ServiceClosed`: nothing is sent then, and the place stays.
    """
    standing.require_open()
    claim = _claim(code, clock())
    if claim is None:
        return 0
    try:
        return _take_turn(claim, clock, courier or _from_here)
    except (KeyShredded, KeyMissing, SealBroken) as error:
        # Deleted before a backup was taken back, so that the order to destroy its key came from the journal; or altered.
        log.error("webhook_secret_lost", webhook=code, error=type(error).__name__)
        webhooks.disable(claim.webhook, Disabled.SECRET_LOST, actor=_ACTOR)
        Webhook.objects.filter(pk=claim.webhook.pk).update(ping="")
        return 0
    except ProviderUnavailable as error:
        # Nobody's failure but ours: it counts for nothing.
        log.warning("webhook_not_signed", webhook=code, error=type(error).__name__)
        Webhook.objects.filter(_held(claim)).update(next_attempt_at=clock() + WITHOUT_KEYS)
        return 0
    finally:
        _let_go(claim)


def delay(failures: int, draw: Callable[[float, float], float] = _DICE.uniform) -> timedelta:
    """How long to wait after so many failures in a row: exponential, with full jitter, so that the receivers of one outage do not
    all come back at once."""
    ceiling = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures - 1, 20))
    return timedelta(seconds=draw(0.0, ceiling.total_seconds()))


def _from_here(target: addresses.Target) -> Courier:
    return Courier(target, loopback=settings.VOXGOV_WEBHOOK_LOOPBACK)


def _free(now: datetime) -> Q:
    return Q(lease_until=None) | Q(lease_until__lte=now)


def _claim(code: str, now: datetime) -> Claim | None:
    with transaction.atomic():
        ready = Q(enabled=True, next_attempt_at__lte=now) | ~Q(ping="")
        row = Webhook.objects.select_for_update(skip_locked=True).filter(_free(now), ready, code=code).first()
        if row is None:
            return None
        row.turn += 1
        row.served_at = now
        row.lease_until = now + LEASE
        row.save(update_fields=["turn", "served_at", "lease_until"])
    return Claim(row, row.turn)


def _held(claim: Claim) -> Q:
    return Q(pk=claim.webhook.pk, turn=claim.turn)


def _let_go(claim: Claim) -> None:
    Webhook.objects.filter(_held(claim)).update(lease_until=None)
    kept = WebhookDelivery.objects.filter(webhook=claim.webhook).order_by("-id").values_list("id", flat=True)
    oldest = next(iter(kept[KEPT_DELIVERIES - 1 : KEPT_DELIVERIES]), None)
    if oldest is not None:
        WebhookDelivery.objects.filter(webhook=claim.webhook, id__lt=oldest).delete()


def _take_turn(claim: Claim, clock: Clock, courier: Open) -> int:
    webhook = claim.webhook
    try:
        target = addresses.parse(webhook.url, loopback=settings.VOXGOV_WEBHOOK_LOOPBACK)
    except AddressRefused:
        # It passed when it was kept; the rules have become stricter.
        return _Turn(claim, clock, lambda message: Reply(Outcome.ADDRESS_REFUSED)).run()
    with courier(target) as opened:

        def send(message: Message) -> Reply:
            now = clock()
            in_force = [row.secret.text() for row in webhooks.secrets_in_force(webhook, now)]
            if not in_force:
                raise KeyShredded("the webhook has no secret to sign with")
            return opened.post(message.body.encode(), messages.signed_headers(message, in_force, now))

        return _Turn(claim, clock, send).run()


class _Turn:
    """What one worker does with one webhook until it has nothing more to send, fails, loses its claim or has had its time."""

    def __init__(self, claim: Claim, clock: Clock, send: Callable[[Message], Reply]) -> None:
        self._claim = claim
        self._webhook = claim.webhook
        self._clock = clock
        self._send = send
        self._ends = time.monotonic() + TURN

    def run(self) -> int:
        webhook = self._webhook
        if webhook.ping:
            self._ping()
        delivered = 0
        place = webhooks.place_of(webhook)
        while webhook.enabled and webhook.next_attempt_at <= self._clock() and not self._over():
            batch = sequenced.after(webhook.log, place, names=webhook.names, limit=_BATCH)
            for event in batch.events:
                if not self._deliver(event):
                    return delivered
                delivered += 1
                if self._over():
                    return delivered
            if batch.place != place and not self._write(generation=batch.place.generation, index=batch.place.index):
                return delivered
            place = batch.place
            if not batch.more:
                break
        return delivered

    def _over(self) -> bool:
        return time.monotonic() >= self._ends

    def _ping(self) -> None:
        message = messages.of_test(self._webhook.code, self._webhook.ping, self._clock())
        began, reply = time.monotonic(), self._send(message)
        with transaction.atomic():
            if self._write(ping=""):
                self._note(message, reply, began, attempt=1)

    def _deliver(self, event: Sequenced) -> bool:
        """True when it arrived and this worker may go on."""
        message = messages.of_event(event)
        began, reply = time.monotonic(), self._send(message)
        now = self._clock()
        if reply.outcome is not Outcome.DELIVERED:
            self._failed(message, reply, began, now)
            return False
        with transaction.atomic():
            attempt = self._webhook.failures + 1
            arrived = self._write(
                generation=event.place.generation,
                index=event.place.index,
                failures=0,
                failing_since=None,
                last_outcome=reply.outcome.value,
                last_attempt_at=now,
                last_delivered_at=now,
            )
            if arrived:
                self._note(message, reply, began, attempt=attempt)
        self._webhook.failures = 0
        return arrived

    def _failed(self, message: Message, reply: Reply, began: float, now: datetime) -> None:
        webhook = self._webhook
        failing_since = webhook.failing_since or now
        end = failing_since + GIVE_UP_AFTER
        wait = max(delay(webhook.failures + 1), min(timedelta(seconds=reply.retry_after), LONGEST_DELAY))
        with transaction.atomic():
            # The last attempt is made when the time is over, whatever the dice say.
            held = self._write(
                failures=F("failures") + 1,
                failing_since=failing_since,
                next_attempt_at=min(now + wait, max(end, now)),
                last_outcome=reply.outcome.value,
                last_attempt_at=now,
            )
            if not held:
                return
            self._note(message, reply, began, attempt=webhook.failures + 1)
            reason = Disabled.GONE if reply.outcome is Outcome.GONE else Disabled.FAILING if now >= end else None
            if reason is not None:
                detail = {"failures": webhook.failures + 1, "outcome": reply.outcome.value, "status": reply.status}
                webhooks.disable(webhook, reason, actor=_ACTOR, detail=detail)
        log.warning("webhook_failed", webhook=webhook.code, outcome=reply.outcome.value, status=reply.status)

    def _write(self, **columns: object) -> bool:
        """Writes as long as the webhook is this worker's, and renews the lease. False when it is not."""
        renewed = Webhook.objects.filter(_held(self._claim)).update(lease_until=self._clock() + LEASE, **columns)
        return bool(renewed)

    def _note(self, message: Message, reply: Reply, began: float, *, attempt: int) -> None:
        place = None if message.event is None else message.event.place
        WebhookDelivery.objects.create(
            webhook=self._webhook,
            message=message.id,
            test=message.event is None,
            generation=None if place is None else place.generation,
            index=None if place is None else place.index,
            attempt=attempt,
            at=self._clock(),
            milliseconds=int((time.monotonic() - began) * 1000),
            outcome=reply.outcome.value,
            status=reply.status,
        )
