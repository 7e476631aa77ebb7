"""How long consent holds: until a time, until an event, for a number of recordings, until withdrawn; and what ends by itself."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import Error, connection, connections
from django.utils import timezone

from accounts.roles import Role
from audit.events import EventName
from consent import answering, destruction, expiring, gate, granting, restoring, withdrawal
from consent.errors import ConsentDenied, InvalidRecord, NothingToWithdraw
from consent.models import ConsentRecord, CurrentGrant, DestructionOrder, Ending, Grant, GrantUse
from consent.vocabulary import Action, AgeBand, DenialReason, EndCause, EvidenceMethod, Scope
from tests.callers import Caller
from tests.factories import ACTOR, World, make_representative, make_world
from tests.people import events
from vault import journal
from vault.codes import new_code
from vault.journal import Entry

Superuser = Callable[[str], object]


def state(world: World, scope: Scope = Scope.TRANSCRIBE) -> str:
    return str(CurrentGrant.objects.get(subject=world.subject, scope=scope.value).grant.state)


def reasons(world: World, recording: str = "") -> list[DenialReason]:
    return [denial.reason for denial in gate.evaluate(world.ask(Scope.TRANSCRIBE, recording=recording)).denials]


def take(world: World, recording: str, action: Action = Action.SUBMIT) -> gate.Permit:
    return gate.require(world.ask(Scope.TRANSCRIBE, recording=recording), action=action, actor=ACTOR)


# A number of uses


def test_one_shot_consent_is_for_one_recording_and_for_everything_done_with_it(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE, uses=1)
    first, second = new_code(), new_code()
    take(world, first)
    for action in (Action.UPLOAD, Action.CLAIM, Action.COMMIT, Action.READ):
        take(world, first, action)
    with pytest.raises(ConsentDenied) as refused:
        take(world, second)
    assert [denial.reason for denial in refused.value.verdict.denials] == [DenialReason.USES_CONSUMED]
    assert list(GrantUse.objects.filter(record=record).values_list("number", "object_code")) == [(1, first)]


def test_asking_takes_no_use(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, uses=1)
    for _ in range(3):
        assert reasons(world) == []
    assert not GrantUse.objects.filter(record__subject=world.subject).exists()


def test_a_permit_that_names_no_recording_takes_a_use_of_its_own(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, uses=1)
    take(world, "")
    assert reasons(world) == [DenialReason.USES_CONSUMED]


def test_one_record_for_two_scopes_is_used_once_by_one_recording(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE, Scope.PROSODY, uses=1)
    gate.require(world.ask(Scope.TRANSCRIBE, Scope.PROSODY, recording=new_code()), action=Action.SUBMIT, actor=ACTOR)
    assert GrantUse.objects.filter(record=record).count() == 1


@pytest.mark.parametrize("uses", [1, 3])
def test_uses_are_taken_exactly_once_whoever_races_for_them(world: World, uses: int) -> None:
    record = world.consent(Scope.TRANSCRIBE, uses=uses)
    start = threading.Barrier(8)
    outcomes: list[str] = []

    def submit() -> None:
        try:
            start.wait()
            take(world, new_code())
            outcomes.append("allowed")
        except ConsentDenied as denied:
            outcomes.append(denied.verdict.denials[0].reason.value)
        except Exception as error:
            outcomes.append(repr(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["allowed"] * uses + ["uses_consumed"] * (8 - uses)
    assert list(GrantUse.objects.filter(record=record).order_by("number").values_list("number", flat=True)) == [
        *range(1, uses + 1)
    ]


def test_two_uses_are_taken_together_or_not_at_all(world: World) -> None:
    other = world.another_subject()
    world.consent(Scope.TRANSCRIBE, uses=1)
    world.consent(Scope.TRANSCRIBE, subject=other, uses=1)
    alone = [gate.Participant(other.code, world.ask(Scope.TRANSCRIBE).participants[0].role, 1)]
    gate.require(world.ask(Scope.TRANSCRIBE, people=alone, recording=new_code()), action=Action.SUBMIT, actor=ACTOR)
    both = [gate.Participant(world.subject.code, alone[0].role, 0), *alone]
    with pytest.raises(ConsentDenied):
        gate.require(world.ask(Scope.TRANSCRIBE, people=both, recording=new_code()), action=Action.SUBMIT, actor=ACTOR)
    assert reasons(world) == []


def test_a_use_that_was_taken_stays_taken_after_a_restored_backup(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE, uses=1)
    recording = new_code()
    body = {
        "project": world.project.code,
        "subject": world.subject.code,
        "consent": record.code,
        "recording": recording,
    }
    entry = Entry(1, timezone.now(), "use", body)
    assert restoring.replay(entry)
    assert not restoring.replay(entry)
    assert reasons(world) == [DenialReason.USES_CONSUMED]
    assert reasons(world, recording) == []


def test_a_use_is_in_the_journal_when_the_permit_is_given(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, uses=1)
    before = journal.last_number()
    recording = new_code()
    take(world, recording)
    noted = [entry for entry in journal.entries() if entry.number > before and entry.kind == "use"]
    assert [entry.body["recording"] for entry in noted] == [recording]


def test_uses_and_endings_never_change(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, uses=1)
    take(world, new_code())
    withdrawal.withdraw(world.subject, actor=ACTOR)
    for statement in (
        "DELETE FROM consent_grantuse",
        "UPDATE consent_grantuse SET number = 7",
        "UPDATE consent_ending SET cause = 'term'",
    ):
        with pytest.raises(Error, match="permission denied"), connection.cursor() as cursor:
            cursor.execute(statement)


# Until an event


def test_consent_until_an_event_ends_when_it_is_reported_and_not_before(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, until_event="contract_ended")
    world.consent(Scope.PROSODY)
    with pytest.raises(NothingToWithdraw):
        withdrawal.report_event(world.subject, "something_else", actor=ACTOR)
    assert reasons(world) == []
    before = journal.last_number()
    done = withdrawal.report_event(world.subject, "contract_ended", actor=ACTOR)
    assert done.closed == ((world.purpose.code, "speech.transcribe"),)
    assert state(world) == "expired"
    assert DestructionOrder.objects.filter(code__in=done.orders, reason="event").exists()
    assert gate.evaluate(world.ask(Scope.PROSODY)).allowed
    noted = [entry.body for entry in journal.entries() if entry.number > before and entry.kind == "withdrawal"]
    assert [body["state"] for body in noted] == ["expired"]


def test_an_event_that_the_backup_forgot_ends_the_consent_again(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, until_event="contract_ended")
    body = {
        "project": world.project.code,
        "subject": world.subject.code,
        "grants": [[world.purpose.code, "speech.transcribe"]],
        "state": "expired",
    }
    assert restoring.replay(Entry(1, timezone.now(), "withdrawal", body))
    assert state(world) == "expired"
    assert DestructionOrder.objects.filter(subject=world.subject.code).exists()


# Until a time


def past_its_term(world: World, superuser: Superuser, record: ConsentRecord) -> None:
    superuser(f"UPDATE consent_consentrecord SET expires_at = now() - interval '1 second' WHERE id = {record.pk}")


def test_what_is_over_is_written_down_and_what_was_derived_under_it_ordered_destroyed(
    world: World, superuser: Superuser
) -> None:
    record = world.consent(Scope.TRANSCRIBE, expires_at=timezone.now() + timedelta(hours=1))
    world.consent(Scope.PROSODY, expires_at=timezone.now() + timedelta(hours=1))
    expiring.sweep()
    assert state(world) == "given"
    past_its_term(world, superuser, record)
    assert reasons(world) == [DenialReason.EXPIRED]
    before = journal.last_number()
    expiring.sweep()
    assert (state(world), state(world, Scope.PROSODY)) == ("expired", "given")
    assert DestructionOrder.objects.filter(subject=world.subject.code, reason="term").exists()
    assert Ending.objects.get(subject=world.subject).cause == EndCause.TERM
    assert len(events(world, EventName.GRANT_EXPIRED)) == 1
    # A restored backup knows the time by itself; that keys were shredded it does not.
    kinds = {entry.kind for entry in journal.entries() if entry.number > before}
    assert kinds == {"shred-order"}
    assert expiring.sweep() == 0


def test_a_child_that_came_of_age_is_asked_anew_and_nothing_is_destroyed(world: World, superuser: Superuser) -> None:
    mother = make_representative(world.subject)
    world.consent(Scope.TRANSCRIBE, age_band=AgeBand.UNDER_13, representation=mother)
    superuser("ALTER TABLE consent_representation DISABLE TRIGGER representation_only_ends")
    superuser(f"UPDATE consent_representation SET ends_at = now() WHERE id = {mother.pk}")
    superuser("ALTER TABLE consent_representation ENABLE TRIGGER representation_only_ends")
    expiring.sweep()
    assert state(world) == "renewal_due"
    assert reasons(world) == [DenialReason.RENEWAL_DUE]
    assert not DestructionOrder.objects.filter(subject=world.subject.code).exists()
    world.consent(Scope.TRANSCRIBE)
    assert reasons(world) == []


# Requests, refusals, what never was consent


def answer(world: World) -> granting.Answer:
    return granting.Answer(
        scopes=(Scope.TRANSCRIBE,),
        given=False,
        explicit=True,
        given_at=timezone.now(),
        evidence_method=EvidenceMethod.WEB_FORM,
        evidence_sha256=world.notice.sha256,
    )


def request(world: World) -> ConsentRecord:
    return granting.record_request(
        world.project, world.subject, world.purpose, world.notice, answer(world), actor=ACTOR
    )


def test_a_request_is_a_record_that_opens_nothing(world: World) -> None:
    record = request(world)
    assert (state(world), record.explicit) == ("requested", False)
    assert reasons(world) == [DenialReason.NOT_GRANTED]
    given = world.consent(Scope.TRANSCRIBE)
    assert reasons(world) == []
    assert record.grants.get(state="superseded").superseded_by == given


def test_an_answer_put_off_is_deferred_until_it_is_given_or_withdrawn(world: World) -> None:
    record = request(world)
    answering.defer(record, actor=ACTOR)
    assert (state(world), reasons(world)) == ("deferred", [DenialReason.NOT_GRANTED])
    assert len(events(world, EventName.GRANT_DEFERRED)) == 1
    with pytest.raises(InvalidRecord):
        answering.defer(record, actor=ACTOR)
    given = world.consent(Scope.TRANSCRIBE)
    assert reasons(world) == []
    assert record.grants.get(state="superseded").superseded_by == given
    with pytest.raises(InvalidRecord):
        answering.defer(given, actor=ACTOR)
    later = make_world()
    answering.defer(request(later), actor=ACTOR)
    withdrawal.withdraw(later.subject, actor=ACTOR)
    assert state(later) == "withdrawn"


def test_an_answer_put_off_closes_nothing_that_is_in_force(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    answering.defer(request(world), actor=ACTOR)
    assert (state(world), reasons(world)) == ("given", [])


def test_an_answer_is_put_off_over_http(world: World) -> None:
    record = request(world)
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    done = manager.post(f"/v1/consents/{record.code}/defer", {})
    assert (done.status, done.body["scopes"][0]["state"]) == (200, "deferred"), done
    assert [step["state"] for step in done.body["history"]] == ["requested", "deferred"]
    assert manager.get(f"/v1/consents/{record.code}/record").body["scopes"][0]["state"] == "deferred"


def test_a_request_closes_nothing_that_is_in_force(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    request(world)
    assert (state(world), reasons(world)) == ("given", [])


def test_what_never_was_consent_is_invalidated_and_what_rested_on_it_destroyed(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE)
    done = withdrawal.invalidate(record, actor=ACTOR)
    assert state(world) == "invalidated"
    assert DestructionOrder.objects.filter(code__in=done.orders, reason="invalidation").exists()
    assert [grant.state for grant in record.grants.order_by("revision")] == ["given", "invalidated"]
    with pytest.raises(InvalidRecord):
        world.consent(Scope.TRANSCRIBE, given_at=record.given_at)


def test_a_newer_answer_supersedes_the_older_which_a_backup_does_not_bring_back(world: World) -> None:
    old = world.consent(Scope.TRANSCRIBE)
    before = journal.last_number()
    new = world.consent(Scope.TRANSCRIBE, explicit=False, expires_at=timezone.now() + timedelta(days=1))
    assert old.grants.get(state="superseded").superseded_by == new
    noted = [entry for entry in journal.entries() if entry.number > before]
    assert [entry.body["state"] for entry in noted] == ["superseded"]
    backup = make_world()
    backup.consent(Scope.TRANSCRIBE)
    body = {
        "project": backup.project.code,
        "subject": backup.subject.code,
        "grants": [[backup.purpose.code, "speech.transcribe"]],
        "state": "superseded",
    }
    assert restoring.replay(Entry(1, timezone.now(), "withdrawal", body))
    assert state(backup) == "renewal_due"
    assert not DestructionOrder.objects.filter(subject=backup.subject.code).exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"uses": 0}, "uses"),
        ({"uses": 10**7}, "uses"),
        ({"until_event": "When the contract ends"}, "until_event"),
        ({"jurisdiction": "Germany"}, "jurisdiction"),
    ],
)
def test_a_duration_or_place_that_is_none_is_refused(world: World, change: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        world.consent(Scope.TRANSCRIBE, **change)  # type: ignore[arg-type]  # fields of an answer by name
    assert refused.value.field == field


def test_everything_that_is_wrong_is_said_at_once_field_by_field(world: World) -> None:
    with pytest.raises(InvalidRecord) as refused:
        world.consent(Scope.TRANSCRIBE, uses=0, jurisdiction="Germany", given_at=timezone.now() + timedelta(days=1))
    assert [field for field, _ in refused.value.problems] == ["jurisdiction", "uses", "given_at"]


def test_where_a_person_is_protected_counts_whatever_the_recording_says(world: World) -> None:
    world.consent(Scope.IDENTIFY, jurisdiction="US-IL")
    asked = world.ask(Scope.IDENTIFY, jurisdiction="DE")
    assert "bipa-15-b" in {denial.rule for denial in gate.evaluate(asked).denials}
    world.consent(Scope.IDENTIFY, jurisdiction="unknown")
    assert gate.evaluate(world.ask(Scope.IDENTIFY, jurisdiction="DE")).allowed


def test_uses_and_places_go_with_an_erased_person(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE, uses=2, jurisdiction="US-IL", until_event="contract_ended")
    take(world, new_code())
    destruction.carry_out(withdrawal.erase(world.subject, actor=ACTOR).code)
    left = ConsentRecord.objects.get(pk=record.pk)
    assert (left.jurisdiction, left.until_event) == ("unknown", "")
    assert not GrantUse.objects.filter(record=record).exists()


def test_durations_requests_events_and_invalidation_over_http(world: World) -> None:
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    about = {"subject": world.subject.code, "purpose": world.purpose.code, "notice": world.notice.code}
    shown = {"method": "web_form", "sha256": world.notice.sha256}
    common = {**about, "scopes": ["speech.transcribe"], "jurisdiction": "DE", "evidence": shown}
    now = timezone.now().isoformat()
    asked = manager.post("/v1/consent-requests", {**common, "asked_at": now})
    assert (asked.status, asked.body["scopes"][0]["state"]) == (201, "requested"), asked
    form = {**common, "given": True, "explicit": True, "given_at": now, "uses": 2, "until_event": "contract_ended"}
    given = manager.post("/v1/consents", form)
    assert given.status == 201, given
    assert (given.body["uses"], given.body["until_event"], given.body["jurisdiction"]) == (2, "contract_ended", "DE")
    missing = manager.post("/v1/consents", {name: value for name, value in form.items() if name != "jurisdiction"})
    assert [(e["field"], e["code"]) for e in missing.body["errors"]] == [("jurisdiction", "required")]
    ended = manager.post(f"/v1/subjects/{world.subject.code}/events", {"event": "contract_ended"})
    assert (ended.status, ended.body["closed"][0]["scope"]) == (200, "speech.transcribe")
    again = manager.post("/v1/consents", {**form, "given_at": timezone.now().isoformat()}).body["code"]
    invalid = manager.post(f"/v1/consents/{again}/invalidate", {})
    assert invalid.status == 200
    assert Grant.objects.filter(record__code=again, state="invalidated").count() == 1
