"""Events reach their webhooks: in order, signed, at least once, over failures of days, dead workers and restored backups."""

import base64
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings
from django.db import connections, transaction
from standardwebhooks import WebhookVerificationError

from audit import delivery, outside, webhooks
from audit.delivery import FIRST_DELAY, GIVE_UP_AFTER, LEASE, LONGEST_DELAY
from audit.errors import ServiceClosed
from audit.events import EventName
from audit.models import Webhook, WebhookDelivery, WebhookSecret
from audit.posting import Courier
from audit.tlog.merkle import leaf_hash
from audit.webhooks import Disabled
from benchmarks.worker import Worker
from tests.audit.hooks import Clock, again, entries, ids, make, verified
from tests.audit.receiver import Received, Receiver, receiving
from tests.audit.signed import ACTOR, codes_of, continued, record, sequence, sign
from vault import keys
from vault.codes import new_code
from vault.errors import ProviderUnavailable
from voxgov.celery import app

SECOND = timedelta(seconds=1)


@pytest.fixture
def log() -> str:
    return new_code()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(settings, "VOXGOV_WEBHOOK_LOOPBACK", True)
    with receiving() as found:
        yield found
    # No other test's sweep finds a webhook that leads to nobody.
    Webhook.objects.filter(url=found.url).delete()


def deliver_all(webhook: Webhook, clock: Clock) -> int:
    """Turn after turn, as the sweep would, until nothing is due."""
    delivered = 0
    while webhook.code in delivery.due(clock()):
        delivered += delivery.deliver(webhook.code, clock=clock)
    return delivered


# What is sent


def test_events_arrive_in_the_logs_order_signed_and_with_the_bytes_that_were_hashed(
    log: str, receiver: Receiver, clock: Clock
) -> None:
    record(log, 60)
    shown = make(log, receiver)
    record(log, 60)
    sign(log)
    assert deliver_all(shown.webhook, clock) == 121
    assert ids(receiver) == codes_of(log)
    for index, received in enumerate(receiver.received):
        body = verified(received, shown.secret)
        data = body["data"]
        canonical = base64.b64decode(data["canonical"])
        assert (data["generation"], data["index"]) == (1, index)
        assert data["leaf_hash"] == leaf_hash(canonical).hex()
        assert data["entry"] == json.loads(canonical)
        assert (body["type"], body["timestamp"]) == (data["entry"]["name"], data["entry"]["at"])
        assert received.headers["webhook-id"] == data["code"]
    assert receiver.connections <= 5, "events of one turn share a connection"


def test_a_message_says_nothing_of_a_person_that_the_entry_does_not(log: str, receiver: Receiver, clock: Clock) -> None:
    record(log, name=EventName.GRANT_GIVEN, subject="0198f3a2-6f0e-7cc1-9d4a-3b1f0a7e5c11")
    sign(log)
    shown = make(log, receiver)
    deliver_all(shown.webhook, clock)
    (received,) = receiver.received
    assert b"0198f3a2-6f0e" not in received.body
    assert b"salt" not in received.body
    assert b"blind" in received.body


def test_a_receiver_finds_out_what_was_changed_replayed_or_signed_by_others(
    log: str, receiver: Receiver, clock: Clock
) -> None:
    record(log)
    sign(log)
    shown, other = make(log, receiver), make(new_code(), receiver)
    deliver_all(shown.webhook, clock)
    (received,) = receiver.received
    verified(received, shown.secret)
    headers = received.headers
    for forged in (
        Received("/", headers, received.body.replace(b"subject", b"object")),
        Received("/", {**headers, "webhook-id": new_code()}, received.body),
        Received("/", {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}, received.body),
        Received("/", {**headers, "webhook-timestamp": "1700000000"}, received.body),
    ):
        with pytest.raises(WebhookVerificationError):
            verified(forged, shown.secret)
    with pytest.raises(WebhookVerificationError):
        verified(received, other.secret)


def test_only_the_events_that_were_asked_for_arrive_and_the_place_passes_the_others(
    log: str, receiver: Receiver, clock: Clock
) -> None:
    shown = make(log, receiver, EventName.GRANT_GIVEN, EventName.GRANT_WITHDRAWN)
    for name in (EventName.GRANT_GIVEN, EventName.SUBJECT_REGISTERED, EventName.GRANT_WITHDRAWN, EventName.TRAIL_READ):
        record(log, 3, name=name)
    sign(log)
    assert deliver_all(shown.webhook, clock) == 6
    types = [json.loads(received.body)["type"] for received in receiver.received]
    assert types == ["consent:grant:given"] * 3 + ["consent:grant:withdrawn"] * 3
    assert again(shown.webhook).index == 12
    assert shown.webhook.code not in delivery.due(clock())


def test_a_new_webhook_begins_with_its_own_creation_unless_it_asks_for_the_beginning(
    log: str, receiver: Receiver, clock: Clock
) -> None:
    record(log, 5)
    sign(log)
    shown = make(log, receiver, start=webhooks.Start.NOW)
    record(log)
    sign(log)
    deliver_all(shown.webhook, clock)
    assert ids(receiver) == codes_of(log)[5:]
    assert json.loads(receiver.received[0].body)["type"] == "audit:webhook:created"


def test_nothing_of_another_log_arrives(log: str, receiver: Receiver, clock: Clock) -> None:
    shown = make(log, receiver)
    other = new_code()
    for code in (log, other):
        record(code, 3)
        sign(code)
    deliver_all(shown.webhook, clock)
    assert ids(receiver) == codes_of(log)


def test_what_no_checkpoint_covers_waits(log: str, receiver: Receiver, clock: Clock) -> None:
    shown = make(log, receiver)
    sequence(log)
    assert shown.webhook.code not in delivery.due(clock())
    assert delivery.deliver(shown.webhook.code, clock=clock) == 0
    sign(log)
    assert deliver_all(shown.webhook, clock) == 1


def test_a_log_that_was_continued_is_sent_to_its_end_and_then_goes_on(
    log: str, receiver: Receiver, clock: Clock
) -> None:
    shown = make(log, receiver)
    record(log, 2)
    sign(log)
    continued(log)
    record(log, 3)
    sign(log)
    assert deliver_all(shown.webhook, clock) == 6
    assert ids(receiver) == codes_of(log)
    assert str(webhooks.place_of(again(shown.webhook))) == "2:2"


def test_nothing_is_sent_while_the_service_is_closed(
    log: str, receiver: Receiver, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = make(log, receiver)
    sign(log)
    monkeypatch.setattr(settings, "VOXGOV_CHECKPOINT_DIR", tmp_path)
    outside.close(["for the test"])
    assert delivery.sweep(clock) == []
    with pytest.raises(ServiceClosed):
        delivery.deliver(shown.webhook.code, clock=clock)
    assert receiver.received == []
    outside.open_again()
    assert deliver_all(shown.webhook, clock) == 1


# What does not arrive


def test_an_event_that_does_not_arrive_holds_up_those_behind_it_and_comes_first_again(
    log: str, receiver: Receiver, clock: Clock
) -> None:
    shown = make(log, receiver)
    record(log, 4)
    sign(log)
    receiver.answers = [(204, {}), (204, {}), (500, {}), (503, {})]
    assert delivery.deliver(shown.webhook.code, clock=clock) == 2
    first, second, third, *_ = codes_of(log)
    assert ids(receiver) == [first, second, third]
    failed = again(shown.webhook)
    assert (failed.index, failed.failures, failed.last_outcome, failed.failing_since) == (1, 1, "rejected", clock.now)
    clock.move(FIRST_DELAY)
    assert delivery.deliver(shown.webhook.code, clock=clock) == 0
    clock.move(2 * FIRST_DELAY)
    assert delivery.deliver(shown.webhook.code, clock=clock) == 3
    assert ids(receiver) == [first, second, third, third, third, *codes_of(log)[3:]]
    healed = again(shown.webhook)
    assert (healed.failures, healed.failing_since, healed.index) == (0, None, 4)
    attempts = WebhookDelivery.objects.filter(webhook=healed, message=third).order_by("id")
    assert [(one.attempt, one.outcome, one.status) for one in attempts] == [
        (1, "rejected", 500),
        (2, "rejected", 503),
        (3, "delivered", 204),
    ]


def test_waits_double_up_to_some_hours_and_are_drawn_between_nothing_and_all_of_it() -> None:
    longest = [delivery.delay(failures, lambda low, high: high) for failures in range(1, 40)]
    assert longest[:5] == [SECOND * seconds for seconds in (5, 10, 20, 40, 80)]
    assert longest == sorted(longest)
    assert longest[-1] == LONGEST_DELAY == timedelta(hours=4)
    assert {delivery.delay(failures, lambda low, high: low) for failures in range(1, 40)} == {timedelta(0)}
    drawn = {delivery.delay(8) for _ in range(50)}
    assert len(drawn) > 40
    assert all(timedelta(0) <= wait <= 640 * SECOND for wait in drawn)


def test_a_receiver_that_is_away_for_three_days_is_tried_all_along_and_then_disabled_and_said_so(
    log: str, receiver: Receiver, clock: Clock
) -> None:
    shown = make(log, receiver)
    sign(log)
    receiver.otherwise = 502
    began, attempts = clock.now, 0
    while again(shown.webhook).enabled:
        delivery.deliver(shown.webhook.code, clock=clock)
        attempts += 1
        row = again(shown.webhook)
        ceiling = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(attempts - 1, 20))
        assert row.failures == attempts
        assert clock.now <= row.next_attempt_at <= clock.now + ceiling
        if row.enabled:
            assert shown.webhook.code not in delivery.due(row.next_attempt_at - timedelta(microseconds=1))
            clock.now = row.next_attempt_at
    assert clock.now == began + GIVE_UP_AFTER, "the last attempt is made when the time is over"
    assert 25 < attempts < 200
    assert (row.disabled_reason, row.index) == ("failing", -1)
    (event,) = entries(log, EventName.WEBHOOK_DISABLED)
    assert (event["reason"], event["actor"]) == ("failing", {"kind": "system", "code": "webhooks"})
    assert event["detail"] == {"failures": attempts, "outcome": "rejected", "status": 502}
    assert event["objects"][0] == {"kind": "webhook", "code": shown.webhook.code}
    clock.move(timedelta(days=30))
    assert shown.webhook.code not in delivery.due(clock())
    assert delivery.deliver(shown.webhook.code, clock=clock) == 0


def test_a_webhook_that_is_enabled_again_goes_on_where_it_stopped(log: str, receiver: Receiver, clock: Clock) -> None:
    shown = make(log, receiver)
    record(log, 3)
    sign(log)
    receiver.answers = [(204, {}), (410, {})]
    delivery.deliver(shown.webhook.code, clock=clock)
    record(log, 2)
    webhooks.enable(shown.webhook, actor=ACTOR)
    sign(log)
    deliver_all(shown.webhook, Clock())
    # One came twice: the receiver had refused it. None is missing.
    assert ids(receiver) == [*codes_of(log)[:2], *codes_of(log)[1:]]
    assert {"audit:webhook:disabled", "audit:webhook:enabled"} <= {
        json.loads(received.body)["type"] for received in receiver.received
    }


def test_a_receiver_that_says_gone_is_believed_at_once(log: str, receiver: Receiver, clock: Clock) -> None:
    shown = make(log, receiver)
    sign(log)
    receiver.answers = [(410, {})]
    delivery.deliver(shown.webhook.code, clock=clock)
    row = again(shown.webhook)
    assert (row.enabled, row.disabled_reason) == (False, "gone")
    (event,) = entries(log, EventName.WEBHOOK_DISABLED)
    assert event["reason"] == "gone"


@pytest.mark.parametrize(("asked", "least"), [(120, 120 * SECOND), (999_999, LONGEST_DELAY)])
def test_a_receiver_may_ask_for_more_time(
    log: str, receiver: Receiver, clock: Clock, asked: int, least: timedelta
) -> None:
    shown = make(log, receiver)
    sign(log)
    receiver.answers = [(429, {"Retry-After": str(asked)})]
    delivery.deliver(shown.webhook.code, clock=clock)
    assert again(shown.webhook).next_attempt_at == clock.now + least


def test_a_name_that_leads_inside_is_a_failure_and_nothing_is_contacted(
    log: str, receiver: Receiver, clock: Clock
) -> None:
    shown = webhooks.create(log, "https://hooks.example.com/", start=webhooks.Start.BEGINNING, actor=ACTOR)
    sign(log)
    answers = [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:169.254.169.254"]]
    for number in range(3):
        delivery.deliver(
            shown.webhook.code,
            clock=clock,
            courier=lambda target: Courier(target, resolver=lambda host, port: answers.pop(0)),
        )
        row = again(shown.webhook)
        assert (row.last_outcome, row.failures) == ("address_refused", number + 1)
        clock.now = row.next_attempt_at
    assert receiver.received == []
    webhooks.delete(shown.webhook, actor=ACTOR)


def test_an_address_that_stricter_rules_no_longer_let_through_is_a_failure(
    log: str, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = make(log, receiver)
    sign(log)
    monkeypatch.setattr(settings, "VOXGOV_WEBHOOK_LOOPBACK", False)
    assert delivery.deliver(shown.webhook.code, clock=clock) == 0
    assert again(shown.webhook).last_outcome == "address_refused"
    assert receiver.received == []


# Several workers, and dead ones


def test_two_workers_at_once_send_nothing_twice(log: str, receiver: Receiver, clock: Clock) -> None:
    shown = make(log, receiver)
    record(log, 40)
    sign(log)
    barrier = threading.Barrier(4)
    counts: list[int] = []

    def work() -> None:
        barrier.wait()
        for _ in range(5):
            counts.append(delivery.deliver(shown.webhook.code, clock=clock))
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deliver_all(shown.webhook, clock)
    assert ids(receiver) == codes_of(log)


def test_a_worker_that_was_too_slow_loses_and_stops(log: str, receiver: Receiver, clock: Clock) -> None:
    """Another takes over while the first still waits for its answer."""
    shown = make(log, receiver)
    record(log, 3)
    sign(log)
    taken_over: list[int] = []

    def meanwhile(request: Received) -> None:
        if len(receiver.received) == 1:
            later = Clock(clock.now + LEASE + SECOND)
            taken_over.append(delivery.deliver(shown.webhook.code, clock=later))
            connections.close_all()

    receiver.on_request = meanwhile
    assert delivery.deliver(shown.webhook.code, clock=clock) == 0
    assert taken_over == [4]
    first, *others = codes_of(log)
    assert ids(receiver) == [first, first, *others]
    assert again(shown.webhook).index == 3


@pytest.mark.parametrize("act", ["disable", "delete", "change", "rotate"])
def test_whoever_changes_a_webhook_stops_the_worker_that_sends_to_it(
    log: str, receiver: Receiver, clock: Clock, act: str
) -> None:
    shown = make(log, receiver)
    record(log, 5)
    sign(log)

    def meanwhile(request: Received) -> None:
        if len(receiver.received) == 2:
            if act == "disable":
                webhooks.disable(shown.webhook, Disabled.ASKED, actor=ACTOR)
            elif act == "delete":
                webhooks.delete(shown.webhook, actor=ACTOR)
            elif act == "change":
                webhooks.change(shown.webhook, names=[EventName.GRANT_GIVEN], actor=ACTOR)
            else:
                webhooks.rotate(shown.webhook, overlap=timedelta(0), actor=ACTOR)
            connections.close_all()

    receiver.on_request = meanwhile
    assert delivery.deliver(shown.webhook.code, clock=clock) == 1
    assert len(receiver.received) == 2


def test_a_worker_that_dies_between_the_answer_and_its_note_sends_that_one_event_again(
    log: str, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = make(log, receiver)
    record(log, 2)
    sign(log)

    def dies(*args: object, **columns: object) -> bool:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(delivery._Turn, "_write", dies)
        patch.setattr(delivery, "_let_go", lambda claim: None)
        with pytest.raises(SystemExit):
            delivery.deliver(shown.webhook.code, clock=clock)
    assert delivery.deliver(shown.webhook.code, clock=clock) == 0, "the lease of the dead holds"
    clock.move(LEASE)
    assert deliver_all(shown.webhook, clock) == 3
    first, *others = codes_of(log)
    assert ids(receiver) == [first, first, *others]


@pytest.mark.services
def test_a_real_worker_is_rung_and_what_it_was_sending_when_it_was_killed_comes_again(
    log: str, receiver: Receiver, var: Path
) -> None:
    shown = make(log, receiver)
    record(log, 2)
    sign(log)
    holding, killed = threading.Event(), threading.Event()

    def hold_the_second(request: Received) -> None:
        if len(receiver.received) == 2:
            holding.set()
            killed.wait(30)

    receiver.on_request = hold_the_second
    with Worker(var / "log" / "hooks-test.log", {"VOXGOV_WEBHOOK_LOOPBACK": "1"}, queue="light") as worker:
        assert shown.webhook.code in delivery.sweep()
        assert holding.wait(30), "the worker sends"
        worker.kill()
        killed.set()
    assert again(shown.webhook).index == 0
    clock = Clock()
    assert shown.webhook.code not in delivery.due(clock())
    clock.move(LEASE)
    assert deliver_all(shown.webhook, clock) == 2
    first, second, third = codes_of(log)
    assert ids(receiver) == [first, second, second, third]


# Ringing


def test_the_sweep_rings_for_what_waited_longest_and_leaves_lanes_free(
    log: str, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[tuple[str, list[str], str]] = []
    monkeypatch.setattr(
        current_app, "send_task", lambda name, args, queue, **options: rung.append((name, args, queue)), raising=False
    )
    made = [make(log, receiver).webhook for _ in range(3)]
    resting = make(log, receiver).webhook
    webhooks.disable(resting, Disabled.ASKED, actor=ACTOR)
    sign(log)
    for number, webhook in enumerate(made):
        Webhook.objects.filter(pk=webhook.pk).update(served_at=clock.now - timedelta(days=300 - number))
    codes = [webhook.code for webhook in made]
    # Those of other tests that were never taken up would come before these.
    Webhook.objects.filter(served_at=None).update(served_at=clock.now)
    assert delivery.due(clock())[:3] == codes
    assert delivery.sweep(clock) == codes[: delivery.LANES]
    assert rung == [("audit.deliver", [code], "light") for code in codes[: delivery.LANES]]
    Webhook.objects.filter(code=codes[0]).update(lease_until=clock.now + SECOND)
    assert delivery.sweep(clock) == [codes[1]]
    Webhook.objects.filter(code=codes[1]).update(lease_until=clock.now + SECOND)
    assert delivery.sweep(clock) == []
    assert resting.code not in delivery.due(clock())
    Webhook.objects.filter(code__in=codes).update(lease_until=None)
    delivery.deliver(codes[0], clock=clock)
    record(log)
    sign(log)
    assert delivery.due(clock())[:2] == codes[1:], "whoever was served waits until the others were"


def test_the_schedule_and_the_sweep_name_tasks_that_there_are(log: str, receiver: Receiver) -> None:
    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)
    shown = make(log, receiver)
    sign(log)
    app.tasks[delivery.DELIVER].run(shown.webhook.code)
    assert ids(receiver) == codes_of(log)


def test_a_worker_lets_go_after_a_while_so_that_others_get_their_turn(
    log: str, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = make(log, receiver)
    record(log, 3)
    sign(log)
    monkeypatch.setattr(delivery, "TURN", 0.0)
    assert delivery.deliver(shown.webhook.code, clock=clock) == 0
    monkeypatch.setattr(delivery._Turn, "_over", lambda turn: len(receiver.received) >= 2)
    assert delivery.deliver(shown.webhook.code, clock=clock) == 2
    assert again(shown.webhook).lease_until is None
    assert shown.webhook.code in delivery.due(clock())


# Test messages, and what is kept of deliveries


def test_a_test_message_is_signed_moves_nothing_and_reaches_a_disabled_webhook_too(
    log: str, receiver: Receiver, clock: Clock
) -> None:
    shown = make(log, receiver)
    webhooks.disable(shown.webhook, Disabled.ASKED, actor=ACTOR)
    sign(log)
    asked = webhooks.ping(shown.webhook)
    assert webhooks.ping(shown.webhook) == asked
    assert shown.webhook.code in delivery.due(clock())
    assert delivery.deliver(shown.webhook.code, clock=clock) == 0
    (received,) = receiver.received
    body = verified(received, shown.secret)
    assert (body["type"], body["data"]) == ("audit:webhook:test", {"webhook": shown.webhook.code})
    assert received.headers["webhook-id"] == asked
    row = again(shown.webhook)
    assert (row.ping, row.index, row.failures) == ("", -1, 0)
    noted = WebhookDelivery.objects.get(webhook=row)
    assert (noted.test, noted.message, noted.outcome, noted.index) == (True, asked, "delivered", None)


def test_a_test_message_that_fails_disables_nothing(log: str, receiver: Receiver, clock: Clock) -> None:
    shown = make(log, receiver)
    webhooks.ping(shown.webhook)
    receiver.answers = [(410, {})]
    delivery.deliver(shown.webhook.code, clock=clock)
    row = again(shown.webhook)
    assert (row.enabled, row.failures, row.ping) == (True, 0, "")
    assert WebhookDelivery.objects.get(webhook=row).outcome == "gone"


def test_the_newest_deliveries_are_kept(
    log: str, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "KEPT_DELIVERIES", 10)
    shown = make(log, receiver)
    record(log, 30)
    sign(log)
    deliver_all(shown.webhook, clock)
    kept = WebhookDelivery.objects.filter(webhook=shown.webhook).order_by("index").values_list("index", flat=True)
    assert list(kept) == list(range(21, 31))


# Secrets


def test_both_secrets_sign_until_the_overlap_is_over(log: str, receiver: Receiver, clock: Clock) -> None:
    shown = make(log, receiver)
    rotated = webhooks.rotate(shown.webhook, overlap=timedelta(days=1), actor=ACTOR)
    clock.now = rotated.row.created_at
    sign(log)
    deliver_all(shown.webhook, clock)
    for received in receiver.received:
        assert len(received.headers["webhook-signature"].split(" ")) == 2
        verified(received, shown.secret)
        verified(received, rotated.secret)
    ends = WebhookSecret.objects.get(pk=shown.row.pk).expires_at
    assert ends is not None
    record(log)
    sign(log)
    receiver.received.clear()
    # The library's own clock does not move, so that what is signed later is judged by its signatures alone.
    clock.now = ends + timedelta(microseconds=1)
    in_force = webhooks.secrets_in_force(shown.webhook, clock())
    assert [row.secret.text() for row in in_force] == [rotated.secret]
    deliver_all(shown.webhook, clock)
    assert len(receiver.received[0].headers["webhook-signature"].split(" ")) == 1


def test_a_webhook_whose_key_was_destroyed_sends_nothing_although_a_backup_brings_it_back(
    log: str, receiver: Receiver, clock: Clock
) -> None:
    shown = make(log, receiver)
    sign(log)
    rows = [shown.webhook, *shown.webhook.secrets.all()]
    webhooks.delete(Webhook.objects.get(pk=shown.webhook.pk), actor=ACTOR)
    with transaction.atomic():
        for row in rows:
            row.save(force_insert=True)
    webhooks.ping(shown.webhook)
    assert delivery.deliver(shown.webhook.code, clock=clock) == 0
    assert receiver.received == []
    row = again(shown.webhook)
    assert (row.enabled, row.disabled_reason, row.ping) == (False, "secret_lost", "")
    assert shown.webhook.code not in delivery.due(clock())


def test_while_the_key_provider_is_away_nothing_is_sent_and_nothing_counts(
    log: str, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = make(log, receiver)
    sign(log)

    def away(*args: object) -> None:
        raise ProviderUnavailable("for the test")

    with monkeypatch.context() as patch:
        patch.setattr(keys, "for_opening", away)
        assert delivery.deliver(shown.webhook.code, clock=clock) == 0
    row = again(shown.webhook)
    assert (row.failures, row.enabled, row.index, row.lease_until) == (0, True, -1, None)
    assert shown.webhook.code not in delivery.due(clock())
    clock.move(delivery.WITHOUT_KEYS)
    assert deliver_all(shown.webhook, clock) == 1


def test_a_secret_that_was_altered_signs_nothing(log: str, receiver: Receiver, clock: Clock) -> None:
    shown, other = make(log, receiver), make(log, receiver)
    sign(log)
    WebhookSecret.objects.filter(pk=shown.row.pk).update(webhook=other.webhook)
    other.webhook.secrets.filter(pk=other.row.pk).update(expires_at=clock.now)
    assert delivery.deliver(other.webhook.code, clock=clock) == 0
    assert again(other.webhook).disabled_reason == "secret_lost"
    assert receiver.received == []


def test_without_a_secret_nothing_is_sent(log: str, receiver: Receiver, clock: Clock) -> None:
    shown = make(log, receiver)
    sign(log)
    shown.webhook.secrets.all().delete()
    assert delivery.deliver(shown.webhook.code, clock=clock) == 0
    assert receiver.received == []
    assert again(shown.webhook).disabled_reason == "secret_lost"
