"""The trail: written with the change it speaks of, naming nobody, unchangeable by the application."""

import json

import pytest
from django.db import Error, connection, transaction

from accounts import membership
from audit import trail
from audit.entry import PERSONAL, Actor, ActorKind, ObjectKind, Reference, blind, compose, leaf_hash
from audit.errors import EntryInvalid, EventOutsideTransaction
from audit.events import EventName
from audit.models import Event, EventReference
from tests.factories import ACTOR, make_organization, make_world
from vault.codes import new_code


def test_an_event_commits_with_its_change_or_not_at_all() -> None:
    organization = make_organization()
    before = Event.objects.filter(log=organization.code).count()
    with pytest.raises(RuntimeError), transaction.atomic():
        membership.create_project(organization, "never", actor=ACTOR)
        raise RuntimeError("the change fails")
    assert Event.objects.filter(log=organization.code).count() == before


def test_an_event_outside_a_transaction_is_refused() -> None:
    with pytest.raises(EventOutsideTransaction):
        trail.record(EventName.PROJECT_CREATED, organization=new_code(), actor=ACTOR)


def test_an_event_that_stands_alone_is_committed_when_it_returns_and_refused_within_a_transaction() -> None:
    log, subject = new_code(), new_code()
    objects = [Reference(ObjectKind.SUBJECT, subject, 0)]
    code = trail.record_alone(EventName.TRAIL_READ, organization=log, actor=ACTOR, objects=objects)
    with pytest.raises(RuntimeError, match="stands alone"), transaction.atomic():
        trail.record_alone(EventName.TRAIL_READ, organization=log, actor=ACTOR)
    event = Event.objects.get(log=log)
    assert str(event.code) == code
    assert EventReference.objects.get(event=event).code == subject


@pytest.mark.parametrize("blinded", [0, 1, 2, 16, 17, 40])
def test_every_blinded_object_of_an_event_opens_with_its_salt(blinded: int) -> None:
    log = new_code()
    people = [new_code() for _ in range(blinded)]
    with transaction.atomic():
        for _ in range(2):
            trail.record(
                EventName.SUBJECT_REVEALED,
                organization=log,
                actor=ACTOR,
                objects=[Reference(ObjectKind.SUBJECT, person, 1) for person in people],
            )
    for event in Event.objects.filter(log=log):
        shown = [one["blind"] for one in json.loads(bytes(event.entry))["objects"]]
        opened = [blind("subject", bytes(one.salt), one.code) for one in event.references.order_by("id")]
        assert opened == shown
        assert [one.code for one in event.references.order_by("id")] == people
    assert Event.objects.filter(log=log).count() == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET outcome = 'allow'",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event CASCADE",
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "UPDATE audit_eventreference SET code = ''",
        "UPDATE consent_grant SET state = 'given'",
        "DELETE FROM consent_consentrecord",
        "UPDATE consent_decision SET allowed = true",
        "DELETE FROM consent_decision",
        "DELETE FROM consent_subject",
        "UPDATE vault_shredorder SET owner = ''",
        "DELETE FROM vault_shredorder",
        "DROP TABLE audit_event",
    ],
)
def test_the_application_cannot_change_what_is_append_only(statement: str) -> None:
    make_world()
    with (
        pytest.raises(Error, match=r"permission denied|must be owner"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_tests_run_as_the_application_role() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)")
        assert cursor.fetchone() == ("voxgov_app", False)


def test_a_superuser_meets_the_trigger_too(superuser) -> None:  # type: ignore[no-untyped-def]
    make_world()
    with pytest.raises(Exception, match="cannot be changed or deleted"):
        superuser("UPDATE audit_event SET outcome = 'allow'")


def test_entries_name_nobody_and_open_only_with_their_salts() -> None:
    world = make_world()
    world.another_subject("somebody@example.org")
    event = Event.objects.filter(log=world.organization.code, name="consent:subject:registered").latest("id")
    entry = bytes(event.entry)
    reference = EventReference.objects.get(event=event, kind="subject")
    assert reference.code.encode() not in entry
    assert b"example.org" not in entry
    shown = json.loads(entry)["objects"][0]
    assert shown["blind"] == blind("subject", bytes(reference.salt), reference.code)


def test_two_entries_about_one_person_cannot_be_linked_once_the_salts_are_gone() -> None:
    world = make_world()
    with transaction.atomic():
        for _ in range(2):
            trail.record(
                EventName.SUBJECT_REVEALED,
                organization=world.organization.code,
                actor=ACTOR,
                objects=[Reference(ObjectKind.SUBJECT, world.subject.code, 0)],
            )
    about = EventReference.objects.filter(code=world.subject.code)
    entries = [json.loads(bytes(reference.event.entry)) for reference in about.select_related("event")]
    blinds = [shown["blind"] for entry in entries for shown in entry["objects"] if "blind" in shown]
    assert len(blinds) == len(set(blinds)) >= 3
    assert trail.forget(world.organization.code, [world.subject.code]) >= 3
    assert not EventReference.objects.filter(code=world.subject.code).exists()


def test_the_entry_schema_is_frozen() -> None:
    """Exactly these members, exactly this encoding: a change of either is a new schema version."""
    from datetime import UTC, datetime

    entry = compose(
        EventName.PROJECT_CREATED,
        code="e",
        log="o",
        at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        actor=Actor(ActorKind.USER, "u"),
        references=[Reference(ObjectKind.PROJECT, "p")],
        outcome="",
        reason="",
        request_id="r",
        detail={"b": 1, "a": ["x"]},
    )
    assert entry.canonical == (
        b'{"actor":{"code":"u","kind":"user"},"at":"2026-01-02T03:04:05.000006Z","detail":{"a":["x"],"b":1},"event":"e",'
        b'"log":"o","name":"accounts:project:created","objects":[{"code":"p","kind":"project"}],"outcome":"","reason":"",'
        b'"request":"r","version":1}'
    )
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"  # RFC 6962


def test_an_entry_that_breaks_the_schema_is_refused() -> None:
    from django.utils import timezone

    def build(detail: dict[str, object], references: list[Reference]) -> None:
        compose(
            EventName.PROJECT_CREATED,
            code=new_code(),
            log=new_code(),
            at=timezone.now(),
            actor=ACTOR,
            references=references,
            outcome="",
            reason="",
            request_id="",
            detail=detail,  # type: ignore[arg-type]  # the point of the test
        )

    broken: list[dict[str, object]] = [
        {"x": 2**53},
        {"x": [-(2**53)]},
        {"x": "\ud800"},
        {"x": 0.5},
        {"x": {"nested": 1}},
        {"x": "y" * 70_000},
    ]
    for detail in broken:
        with pytest.raises(EntryInvalid):
            build(detail, [])
    code = new_code()
    for kind in PERSONAL:
        with pytest.raises(EntryInvalid, match="in clear"):
            build({"leaked": code}, [Reference(kind, code)])


def test_nobody_but_the_application_may_call_the_pruning_functions(superuser) -> None:  # type: ignore[no-untyped-def]
    rows = superuser(
        "SELECT proname, prosecdef, pg_get_userbyid(proowner), proacl::text FROM pg_proc WHERE proname LIKE 'consent_prune%'"
    )
    assert len(rows) == 2
    for name, definer, owner, privileges in rows:
        assert (definer, owner) == (True, "voxgov_prune"), name
        grantees = {entry.split("=")[0] for entry in str(privileges).strip("{}").split(",")}
        assert grantees == {"voxgov_prune", "voxgov_app"}, name
