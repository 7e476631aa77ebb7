"""`Idempotency-Key`: a repetition gets the first answer, byte for byte; nothing runs twice, and nothing leaks between tenants."""

import io
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from accounts import idempotency
from accounts.idempotency import Answer, Held, IdempotencyKeyInFlight
from accounts.models import Replay
from accounts.roles import Role
from analysis import api_uploads, submission
from consent import destruction, retention
from consent.models import Subject
from consent.vocabulary import Scope
from tests import factories
from tests.callers import Answer as Answered
from tests.callers import Caller


@pytest.fixture
def manager() -> Caller:
    return Caller(factories.make_project(), Role.CONSENT_MANAGER)


def subjects_of(caller: Caller) -> int:
    return Subject.objects.filter(project=caller.client.project).count()


def test_a_repetition_gets_the_first_answer_byte_for_byte(manager: Caller) -> None:
    first = manager.post("/v1/subjects", {"external_reference": "A-1"}, key="key-1")
    again = manager.post("/v1/subjects", {"external_reference": "A-1"}, key="key-1")
    assert (first.status, first.kind, first.content) == (again.status, again.kind, again.content)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert subjects_of(manager) == 1


def test_a_refusal_is_repeated_too(manager: Caller) -> None:
    manager.post("/v1/subjects", {"external_reference": "A-1"})
    first = manager.post("/v1/subjects", {"external_reference": "A-1"}, key="key-1")
    Subject.objects.filter(project=manager.client.project).update(external_index=None)
    again = manager.post("/v1/subjects", {"external_reference": "A-1"}, key="key-1")
    assert (first.status, first.body["code"]) == (409, "duplicate_subject")
    assert (again.status, again.kind, again.content) == (409, first.kind, first.content)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/subjects", {"external_reference": "A-2"}),
        ("POST", "/v1/notices", {"external_reference": "A-1"}),
        ("POST", "/v1/subjects", None),
    ],
)
def test_a_key_used_for_another_request_is_refused(
    manager: Caller, method: str, path: str, body: dict[str, str] | None
) -> None:
    manager.post("/v1/subjects", {"external_reference": "A-1"}, key="key-1")
    answer = manager.call(method, path, body, key="key-1")
    assert (answer.status, answer.body["code"]) == (422, "idempotency_key_reused")
    assert subjects_of(manager) == 1


def test_a_key_in_flight_makes_the_repetition_wait(manager: Caller) -> None:
    body = b'{"external_reference": "A-1"}'
    held = idempotency.begin(manager.client, "key-1", method="POST", path="/v1/subjects", body=body)
    assert isinstance(held, Held)
    answer = manager.post("/v1/subjects", {"external_reference": "A-1"}, key="key-1")
    assert (answer.status, answer.body["code"]) == (409, "idempotency_key_in_flight")
    assert 0 < int(answer.headers["Retry-After"]) <= 61
    assert subjects_of(manager) == 0


def test_two_calls_at_once_with_one_key_run_once(manager: Caller) -> None:
    barrier = threading.Barrier(8)
    outcomes: list[str] = []

    def call() -> None:
        barrier.wait()
        try:
            begun = idempotency.begin(manager.client, "key-1", method="POST", path="/v1/subjects", body=b"{}")
            outcomes.append(type(begun).__name__)
        except IdempotencyKeyInFlight:
            outcomes.append("in flight")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["Held", *["in flight"] * 7]


def test_a_call_that_died_is_run_again_after_its_lease_by_one_repetition(manager: Caller) -> None:
    def begin() -> Held | Answer:
        return idempotency.begin(manager.client, "key-1", method="POST", path="/v1/subjects", body=b"{}")

    dead = begin()
    assert isinstance(dead, Held)
    Replay.objects.filter(pk=dead.replay).update(in_flight_until=timezone.now() - timedelta(seconds=1))
    second = begin()
    assert isinstance(second, Held)
    with pytest.raises(IdempotencyKeyInFlight):
        begin()
    late = Answer(201, "application/json", b'"late"')
    idempotency.finish(dead, late)
    idempotency.abandon(dead)
    good = Answer(201, "application/json", b'"good"')
    idempotency.finish(second, good)
    assert begin() == good


def test_a_repetition_that_takes_over_and_comes_to_nothing_gives_the_row_back(manager: Caller) -> None:
    def begin() -> Held | Answer:
        return idempotency.begin(manager.client, "key-1", method="POST", path="/v1/subjects", body=b"{}")

    slow = begin()
    assert isinstance(slow, Held)
    Replay.objects.filter(pk=slow.replay).update(in_flight_until=timezone.now() - timedelta(seconds=1))
    hasty = begin()
    assert isinstance(hasty, Held)
    idempotency.abandon(hasty)
    good = Answer(201, "application/json", b'"good"')
    idempotency.finish(slow, good)
    assert begin() == good


class SlowBody(io.BytesIO):
    """A body that outlasts the lease of its key while it arrives, and sees to a repetition near its end."""

    def __init__(self, audio: bytes, meanwhile: Callable[[], None]) -> None:
        super().__init__(audio)
        self.meanwhile, self.reads = meanwhile, 0

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        if self.reads == 2:
            Replay.objects.filter(status=None).update(in_flight_until=timezone.now() - timedelta(seconds=1))
        if self.reads == 3:
            self.meanwhile()
        return super().read(size)


def test_an_upload_that_outlasts_the_lease_keeps_its_key_and_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_uploads, "RENEW_EVERY", 0.0)
    world = factories.make_world()
    world.consent(Scope.TRANSCRIBE)
    operator = Caller(world.project, Role.OPERATOR)
    recording = submission.create_recording(world.project, world.submission(Scope.TRANSCRIBE), actor=factories.ACTOR)
    path, audio = f"/v1/recordings/{recording.code}/audio", b"x" * 200_000
    repetitions: list[Answered] = []
    body = SlowBody(audio, lambda: repetitions.append(operator.call("PUT", path, raw=audio, key="key-1")))
    first = operator.call("PUT", path, raw=audio, key="key-1", environ={"wsgi.input": body})
    assert first.status == 201, first
    assert [(r.status, r.body["code"]) for r in repetitions] == [(409, "idempotency_key_in_flight")]
    again = operator.call("PUT", path, raw=audio, key="key-1")
    assert (again.status, again.content) == (201, first.content)


def test_two_tenants_with_the_same_key_do_not_meet(manager: Caller) -> None:
    stranger = Caller(factories.make_project(), Role.CONSENT_MANAGER)
    colleague = Caller(manager.client.project, Role.CONSENT_MANAGER)
    answers = [
        caller.post("/v1/subjects", {"external_reference": f"A-{number}"}, key="key-1")
        for number, caller in enumerate((manager, stranger, colleague))
    ]
    assert [answer.status for answer in answers] == [201, 201, 201]
    assert len({answer.body["code"] for answer in answers}) == 3
    indexes = Replay.objects.filter(client__in=[manager.client, stranger.client, colleague.client])
    assert len({bytes(row.key_index) for row in indexes}) == 3


def test_a_request_that_was_never_understood_leaves_its_key_free(manager: Caller) -> None:
    refused = manager.post("/v1/subjects", {"external_referenze": "A-1"}, key="key-1")
    assert refused.status == 400
    corrected = manager.post("/v1/subjects", {"external_reference": "A-1"}, key="key-1")
    assert corrected.status == 201


def test_a_role_that_was_taken_away_gets_no_repetition(manager: Caller) -> None:
    from accounts import membership

    manager.post("/v1/subjects", key="key-1")
    membership.remove_member(manager.client.user, manager.client.project, Role.CONSENT_MANAGER, actor=factories.ACTOR)
    assert manager.post("/v1/subjects", key="key-1").status == 403


@pytest.mark.parametrize("key", [" ", "k" * 256, "clé", "two words"])
def test_a_malformed_key_is_refused(manager: Caller, key: str) -> None:
    answer = manager.post("/v1/subjects", key=key.encode().decode("latin-1"))
    assert (answer.status, answer.body["code"]) == (400, "idempotency_key_invalid")
    assert subjects_of(manager) == 0


def test_nothing_that_could_be_guessed_is_stored(manager: Caller) -> None:
    manager.post("/v1/subjects", {"external_reference": "jane@example.org"}, key="order-jane")
    row = Replay.objects.get(client=manager.client)
    stored = b" ".join([bytes(row.key_index), bytes(row.fingerprint), bytes(row.body), " ".join(row.mentions).encode()])
    assert b"jane" not in stored
    assert b"order" not in stored


def test_answers_go_with_the_person_they_mention(manager: Caller) -> None:
    officer = Caller(manager.client.project, Role.DATA_PROTECTION_OFFICER)
    code = manager.post("/v1/subjects", {"external_reference": "A-1"}, key="key-1").body["code"]
    other = manager.post("/v1/subjects", {"external_reference": "A-2"}, key="key-2").body["code"]
    officer.delete(f"/v1/subjects/{code}", key="key-3")
    rows = Replay.objects.filter(client__project=manager.client.project)
    assert rows.filter(mentions__contains=[code]).count() == 2
    destruction.carry_out_orders()
    assert [row.mentions for row in rows] == [[other]]


def test_answers_go_after_a_day(manager: Caller) -> None:
    manager.post("/v1/subjects", key="key-1")
    manager.post("/v1/subjects", key="key-2")
    rows = Replay.objects.filter(client=manager.client)
    rows.filter(pk=rows.order_by("pk")[0].pk).update(created_at=timezone.now() - timedelta(hours=25))
    retention.sweep_project(manager.client.project)
    assert rows.count() == 1
    assert manager.post("/v1/subjects", key="key-1").headers.get("Idempotency-Replayed") is None
    assert manager.post("/v1/subjects", key="key-2").headers.get("Idempotency-Replayed") == "true"


def test_reading_takes_no_key(manager: Caller) -> None:
    manager.get("/v1/subjects", Idempotency_Key="key-1")
    assert not Replay.objects.filter(client=manager.client).exists()
