"""While the service is closed because its database went back, whatever closes a gate is taken all the same, and is in the journal
from which the recovery closes it again."""

from collections.abc import Iterator

import pytest

from accounts.roles import Role
from audit import outside
from consent import gate
from consent.vocabulary import DenialReason, Scope
from tests.callers import Answer, Caller
from tests.factories import World, make_representative
from vault import journal


@pytest.fixture
def closed() -> Iterator[None]:
    yield
    outside.open_again()


def reasons(world: World) -> list[DenialReason]:
    return [denial.reason for denial in gate.evaluate(world.ask(Scope.TRANSCRIBE)).denials]


def noted(world: World, kind: str, since: int) -> bool:
    return any(
        one.number > since and one.kind == kind and one.body.get("subject") == world.subject.code
        for one in journal.entries()
    )


def close_and_call(world: World, path: str, body: object = None) -> Answer:
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    outside.close(["for the test"])
    assert manager.get("/v1/subjects").status == 503
    return manager.post(path, body)


@pytest.mark.usefixtures("closed")
def test_a_consent_that_never_was_one_is_invalidated(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE)
    since = journal.last_number()
    done = close_and_call(world, f"/v1/consents/{record.code}/invalidate", {})
    assert done.status == 200, done
    assert reasons(world) == [DenialReason.NOT_GRANTED]
    assert noted(world, "withdrawal", since)


@pytest.mark.usefixtures("closed")
def test_an_event_ends_what_was_given_until_it(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, until_event="contract_ended")
    since = journal.last_number()
    done = close_and_call(world, f"/v1/subjects/{world.subject.code}/events", {"event": "contract_ended"})
    assert done.status == 200, done
    assert reasons(world) == [DenialReason.NOT_GRANTED]
    assert noted(world, "withdrawal", since)


@pytest.mark.usefixtures("closed")
def test_a_representation_ends_and_closes_what_was_given_through_it(world: World) -> None:
    mother = make_representative(world.subject)
    world.consent(Scope.TRANSCRIBE, representation=mother)
    assert reasons(world) == []
    since = journal.last_number()
    done = close_and_call(world, f"/v1/representatives/{mother.code}/end")
    assert done.status == 200, done
    assert reasons(world) == [DenialReason.RENEWAL_DUE]
    assert noted(world, "representation", since)
