"""Representatives: proven, sealed, until majority or the end of a mandate; what they granted ends with them."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import Error, connection
from django.utils import timezone

from accounts.roles import Role
from audit.events import EventName
from consent import gate, representing, restoring, withdrawal
from consent.errors import InvalidRecord, RepresentationEnded
from consent.models import CurrentGrant, DestructionOrder, Grant, Representation
from consent.representing import REPRESENTATION
from consent.vocabulary import AgeBand, DenialReason, RepresentativeRelation, Scope
from tests.callers import Caller
from tests.factories import ACTOR, World, make_representative
from tests.people import events
from vault import journal
from vault.journal import Entry

PARENT = RepresentativeRelation.PARENT


def child(world: World, representation: Representation) -> None:
    world.consent(Scope.TRANSCRIBE, age_band=AgeBand.UNDER_13, representation=representation)


def reasons(world: World) -> list[DenialReason]:
    return [denial.reason for denial in gate.evaluate(world.ask(Scope.TRANSCRIBE)).denials]


def test_who_a_representative_is_lies_sealed_and_opens_through_the_row(world: World) -> None:
    found = make_representative(world.subject, identity="Wilhelmina Quartz")
    with connection.cursor() as cursor:
        cursor.execute("SELECT identity, proof_reference FROM consent_representation WHERE id = %s", [found.pk])
        row = cursor.fetchone()
    assert not any(text in bytes(value) for value in row for text in (b"Quartz", b"7-12"))
    opened = Representation.objects.select_related("project__organization", "subject").get(pk=found.pk)
    assert opened.identity.text() == "Wilhelmina Quartz"
    assert len(events(world, EventName.REPRESENTATIVE_REGISTERED)) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"identity": "  "}, "identity"),
        ({"ends_at": None}, "ends_at"),
        ({"ends_at": timezone.now() - timedelta(days=1)}, "ends_at"),
        ({"relation": RepresentativeRelation.MANDATE}, "relation"),
        ({"of_child": False}, "relation"),
        ({"proof_reference": "x" * 501}, "proof_reference"),
        ({"proof_sha256": ""}, "proof_sha256"),
        ({"proof_sha256": "A" * 64}, "proof_sha256"),
    ],
)
def test_what_does_not_make_a_representative_is_refused(world: World, change: dict[str, object], field: str) -> None:
    values: dict[str, object] = {
        "relation": PARENT,
        "identity": "their mother",
        "proof_sha256": "0" * 64,
        "of_child": True,
        "ends_at": timezone.now() + timedelta(days=100),
    }
    with pytest.raises(InvalidRecord) as refused:
        representing.register(world.subject, **{**values, **change}, actor=ACTOR)  # type: ignore[arg-type]
    assert refused.value.field == field


def test_a_representative_answers_for_their_own_person_only(world: World) -> None:
    somebody_elses = make_representative(world.another_subject())
    with pytest.raises(InvalidRecord) as refused:
        child(world, somebody_elses)
    assert refused.value.field == "representative"


def test_a_child_comes_of_age_at_the_exact_instant(world: World, superuser: Callable[[str], object]) -> None:
    mother = make_representative(world.subject)
    child(world, mother)
    assert reasons(world) == []
    superuser("ALTER TABLE consent_representation DISABLE TRIGGER representation_only_ends")
    superuser(f"UPDATE consent_representation SET ends_at = now() WHERE id = {mother.pk}")
    superuser("ALTER TABLE consent_representation ENABLE TRIGGER representation_only_ends")
    assert reasons(world) == [DenialReason.REPRESENTATION_ENDED]
    with pytest.raises(RepresentationEnded):
        child(world, mother)
    world.consent(Scope.TRANSCRIBE)
    assert reasons(world) == []


def test_a_representative_withdraws_what_they_gave(world: World) -> None:
    child(world, make_representative(world.subject))
    withdrawal.withdraw(world.subject, actor=ACTOR)
    assert reasons(world) == [DenialReason.WITHDRAWN]


def test_an_ended_representation_closes_what_was_given_through_it_and_nothing_else(world: World) -> None:
    mother, father = make_representative(world.subject), make_representative(world.subject, identity="their father")
    child(world, mother)
    world.consent(Scope.PROSODY, age_band=AgeBand.UNDER_13, representation=father)
    before = journal.last_number()
    representing.end(mother, actor=ACTOR)
    assert reasons(world) == [DenialReason.RENEWAL_DUE]
    assert gate.evaluate(world.ask(Scope.PROSODY)).allowed
    assert CurrentGrant.objects.get(subject=world.subject, scope=Scope.TRANSCRIBE).grant.state == "renewal_due"
    # Nothing is destroyed: it waits, unread, for what is answered now.
    assert not DestructionOrder.objects.filter(subject=world.subject.code).exists()
    kinds = [entry.kind for entry in journal.entries() if entry.number > before]
    assert kinds == [REPRESENTATION, "withdrawal"]
    with pytest.raises(RepresentationEnded):
        representing.end(mother, actor=ACTOR)
    with pytest.raises(RepresentationEnded):
        child(world, mother)
    child(world, father)
    assert reasons(world) == []


def test_what_an_ended_representative_gave_can_still_be_withdrawn(world: World) -> None:
    mother = make_representative(world.subject)
    child(world, mother)
    representing.end(mother, actor=ACTOR)
    assert withdrawal.withdraw(world.subject, actor=ACTOR).orders
    assert reasons(world) == [DenialReason.WITHDRAWN]


def test_a_restored_backup_neither_brings_a_representative_back_nor_what_they_gave(world: World) -> None:
    mother = make_representative(world.subject)
    child(world, mother)
    at = timezone.now()
    body = {"project": world.project.code, "subject": world.subject.code}
    ended = Entry(1, at, REPRESENTATION, {**body, "representation": mother.code})
    closed = Entry(
        2, at, "withdrawal", {**body, "grants": [[world.purpose.code, "speech.transcribe"]], "state": "renewal_due"}
    )
    assert restoring.replay(ended)
    assert not restoring.replay(closed)
    assert not restoring.replay(ended)
    assert Representation.objects.get(pk=mother.pk).ended_at is not None
    child(world, make_representative(world.subject))
    assert not restoring.replay(closed)
    assert reasons(world) == []


def test_the_grants_alone_come_back_closed_too(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    body = {"project": world.project.code, "subject": world.subject.code, "state": "renewal_due"}
    closed = Entry(1, timezone.now(), "withdrawal", {**body, "grants": [[world.purpose.code, "speech.transcribe"]]})
    assert restoring.replay(closed)
    assert reasons(world) == [DenialReason.RENEWAL_DUE]
    assert not DestructionOrder.objects.filter(subject=world.subject.code).exists()
    assert Grant.objects.filter(record__subject=world.subject).count() == 2


def test_a_representation_only_ends(world: World) -> None:
    mother = make_representative(world.subject)
    for change in ("ends_at = ends_at + interval '1 year'", "subject_id = subject_id", "identity = 'x'"):
        with pytest.raises(Error), connection.cursor() as cursor:
            cursor.execute(f"UPDATE consent_representation SET {change} WHERE id = {mother.pk}")
    representing.end(mother, actor=ACTOR)
    with pytest.raises(Error, match="only ends"), connection.cursor() as cursor:
        cursor.execute("UPDATE consent_representation SET ended_at = NULL WHERE id = %s", [mother.pk])


def test_representatives_are_registered_listed_and_ended_over_http_and_never_named(world: World) -> None:
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    path = f"/v1/subjects/{world.subject.code}/representatives"
    form = {
        "relation": "guardian",
        "identity": "Wilhelmina Quartz",
        "proof": {"sha256": "0" * 64, "reference": "court file 7-12"},
        "of_child": True,
        "ends_at": "2099-01-01T00:00:00Z",
    }
    made = manager.post(path, form)
    assert made.status == 201, made
    assert b"Quartz" not in made.content
    assert b"7-12" not in made.content
    assert manager.get(path).body["results"] == [made.body]
    consent = {
        "subject": world.subject.code,
        "purpose": world.purpose.code,
        "notice": world.notice.code,
        "scopes": ["speech.transcribe"],
        "given": True,
        "explicit": True,
        "given_at": timezone.now().isoformat(),
        "jurisdiction": "DE",
        "age_band": "under_13",
        "representative": made.body["code"],
        "evidence": {"method": "paper", "sha256": world.notice.sha256},
    }
    answered = manager.post("/v1/consents", consent)
    assert (answered.status, answered.body["representative"]) == (201, made.body["code"])
    assert reasons(world) == []
    ended = manager.post(f"/v1/representatives/{made.body['code']}/end")
    assert ended.status == 200
    assert ended.body["ended_at"] is not None
    again = manager.post("/v1/consents", consent)
    assert (again.status, again.body["code"]) == (409, "representation_ended")
