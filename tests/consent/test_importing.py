"""Existing consents from a CSV file: checked, asked for, approved by a second person, recorded row by row, once."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import Error, connection
from django.utils import timezone

from accounts.access import actor_of
from accounts.roles import Role
from audit.entry import Actor
from audit.events import EventName
from consent import destruction, gate, importing, representing, subjects, withdrawal
from consent.errors import AlreadyDecided, ImportNotReady, ImportUnreadable, InvalidRecord, SecondPersonNeeded
from consent.models import ConsentRecord, GrantImport, ImportedRow, Representation, Subject
from consent.vocabulary import GrantState, ImportState, Scope
from tests.factories import ACTOR, World, make_member, make_world
from tests.people import events
from vault.models import ShredOrder

REFERENCE = "Wilhelmina Quartz, +44 20 7946 0958"


@pytest.fixture(autouse=True)
def _nothing_left_running() -> Iterator[None]:
    yield
    for row in GrantImport.objects.filter(state=ImportState.RUNNING.value):
        importing.stop(row, "test")


def row(world: World, reference: str = REFERENCE, **other: str) -> dict[str, str]:
    return {
        "external_reference": reference,
        "purpose": world.purpose.name,
        "notice": world.notice.sha256,
        "scopes": "speech.transcribe;speech.prosody",
        "answer": "given",
        "explicit": "yes",
        "given_at": "2024-05-31T14:00:00+02:00",
        "evidence_method": "paper",
        "evidence_origin": "file 7-12",
        "jurisdiction": "DE",
        "age_band": "adult",
        **other,
    }


def file(*rows: dict[str, str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def person(world: World) -> Actor:
    return actor_of(make_member(world.project, Role.CONSENT_MANAGER))


def approved(world: World, content: bytes) -> GrantImport:
    first = person(world)
    return importing.approve(
        importing.ask(importing.bring(world.project, content, actor=first), actor=first), actor=person(world)
    )


def done(world: World, content: bytes) -> GrantImport:
    found = approved(world, content)
    importing.carry_out()
    return GrantImport.objects.get(pk=found.pk)


def problems(world: World, *rows: dict[str, str]) -> set[tuple[int, str]]:
    return {(found.row, found.column) for found in importing.dry_run(world.project, file(*rows)).problems}


# Reading


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"purpose,notice\n", "missing columns"),
        ("external_reference,ünknown\n".encode(), "no such column: number 2"),
        (b"purpose,purpose\n", "named twice"),
        (b"external_reference\nK\xfcnstler\n", "line 2 is not UTF-8"),
        (b"external_reference\nA\x00B\n", "line 2 holds a zero byte"),
        (
            b"purpose,notice,scopes,answer,explicit,given_at,evidence_method\n",
            "column external_reference or subject must say",
        ),
    ],
)
def test_a_file_that_is_none_is_refused_with_a_sentence_that_says_where(
    world: World, content: bytes, said: str
) -> None:
    with pytest.raises(ImportUnreadable, match=said):
        importing.bring(world.project, content, actor=ACTOR)
    assert not GrantImport.objects.filter(project=world.project).exists()


def test_a_broken_quote_is_named_by_its_line(world: World) -> None:
    content = file(row(world)) + b'"open'
    with pytest.raises(ImportUnreadable, match="line 3 is not CSV"):
        importing.dry_run(world.project, content)


def test_a_file_without_a_header_is_refused_without_repeating_what_stood_there(world: World) -> None:
    with pytest.raises(ImportUnreadable) as refused:
        importing.dry_run(world.project, f"{REFERENCE},x\n".encode())
    assert "Quartz" not in str(refused.value)


def test_a_byte_order_mark_and_capital_names_are_no_problem(world: World) -> None:
    content = b"\xef\xbb\xbf" + file(row(world)).replace(b"external_reference", b"External_Reference", 1)
    assert not importing.dry_run(world.project, content).problems


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("purpose", "no such purpose"),
        ("purpose", ""),
        ("notice", "0" * 64),
        ("scopes", "speech.transcribe everything"),
        ("scopes", ""),
        ("answer", "perhaps"),
        ("explicit", "maybe"),
        ("given_at", "31.05.2024"),
        ("given_at", "2024-05-31T14:00:00"),
        ("given_at", "2999-01-01T00:00:00Z"),
        ("expires_at", "2024-06-01T00:00:00Z"),
        ("evidence_method", "telepathy"),
        ("evidence_origin", "x" * 501),
        ("external_reference", "x" * 201),
        ("jurisdiction", "nowhere"),
        ("age_band", "old"),
        ("covers_recorded_from", "2025-01-01T00:00:00Z"),
    ],
)
def test_what_is_wrong_is_said_by_row_and_column(world: World, column: str, value: str) -> None:
    extra = {"expires_at": "", "covers_recorded_from": ""}
    assert problems(world, row(world, "first", **extra), row(world, "second", **{**extra, column: value})) == {
        (3, column)
    }


def test_every_problem_of_a_row_is_said_and_rows_of_the_wrong_length_too(world: World) -> None:
    content = file(row(world, answer="perhaps", explicit="maybe")) + b"too,short\n"
    found = importing.dry_run(world.project, content).problems
    assert {(one.row, one.column) for one in found} == {(2, "answer"), (2, "explicit"), (3, "")}


def test_a_person_is_named_in_one_way(world: World) -> None:
    assert problems(world, row(world, REFERENCE, subject=world.subject.code)) == {(2, "external_reference")}
    assert problems(world, row(world, "", subject=world.subject.code)) == set()
    assert problems(world, row(world, "", subject=make_world().subject.code)) == {(2, "subject")}


def test_an_answer_that_a_withdrawal_has_overtaken_is_found_by_the_check(world: World) -> None:
    subject = world.another_subject(REFERENCE)
    world.consent(Scope.TRANSCRIBE, subject=subject)
    withdrawal.withdraw(subject, actor=ACTOR)
    assert problems(world, row(world)) == {(2, "given_at")}


def test_names_of_another_project_are_unknown_here(world: World) -> None:
    other = make_world()
    assert problems(world, row(world, notice=other.notice.sha256)) == {(2, "notice")}
    assert problems(world, row(world, purpose=other.purpose.code)) == {(2, "purpose")}


# From the check to the records


def test_a_dry_run_records_nothing(world: World) -> None:
    report = importing.dry_run(world.project, file(row(world), row(world, "another")))
    assert (report.row_count, report.new_people, report.repeated, report.problems) == (2, 2, 0, ())
    assert not GrantImport.objects.filter(project=world.project).exists()
    assert Subject.objects.filter(project=world.project).count() == 1


def test_an_import_is_recorded_when_a_second_person_approved_and_not_before(world: World) -> None:
    first, second = person(world), person(world)
    brought = importing.bring(world.project, file(row(world)), actor=first)
    with pytest.raises(ImportNotReady):
        importing.approve(brought, actor=second)
    with pytest.raises(SecondPersonNeeded):
        importing.ask(brought, actor=second)
    importing.ask(brought, actor=first)
    with pytest.raises(SecondPersonNeeded):
        importing.approve(brought, actor=first)
    importing.carry_out()
    assert not ConsentRecord.objects.filter(project=world.project).exists()
    importing.approve(brought, actor=second)
    with pytest.raises(AlreadyDecided):
        importing.approve(brought, actor=second)
    assert importing.carry_out() == 1
    record = ConsentRecord.objects.get(project=world.project)
    assert record.given_at.isoformat() == "2024-05-31T12:00:00+00:00"
    assert record.evidence_sha256 == world.notice.sha256
    assert {(grant.actor_code, grant.reason) for grant in record.grants.all()} == {(first.code, "import")}
    named = [EventName.IMPORT_ASKED, EventName.IMPORT_APPROVED, EventName.IMPORT_FINISHED, EventName.GRANT_GIVEN]
    assert [len(events(world, name)) for name in named] == [1, 1, 1, 1]


def test_the_gate_opens_for_what_is_recorded_from_now_on_and_for_nothing_before_the_answer(world: World) -> None:
    subject = world.another_subject(REFERENCE)
    before = timezone.now()
    done(world, file(row(world)))
    people = [gate.Participant(subject.code, world.ask().participants[0].role)]
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE, people=people)).granted
    early = world.ask(Scope.TRANSCRIBE, people=people, recorded_at=before - timedelta(days=2000))
    assert not gate.evaluate(early).granted
    assert ConsentRecord.objects.get(subject=subject).registered_at >= before


def test_a_refusal_is_imported_as_a_refusal(world: World) -> None:
    done(world, file(row(world, answer="refused")))
    record = ConsentRecord.objects.get(project=world.project)
    assert set(record.grants.values_list("state", flat=True)) == {GrantState.REFUSED.value}


def test_the_same_row_is_recorded_once_in_whichever_import(world: World) -> None:
    content = file(row(world), row(world), row(world, "another"))
    first = done(world, content)
    assert (first.recorded, first.repeated, first.failed) == (2, 1, 0)
    again = done(world, content)
    assert (again.recorded, again.repeated) == (0, 3)
    assert ConsentRecord.objects.filter(project=world.project).count() == 2


def test_a_run_that_was_cut_off_goes_on_where_it_stood(world: World) -> None:
    found = approved(world, file(*[row(world, f"person {number}") for number in range(5)]))

    class Cut(Exception):
        pass

    def cut_off(place: int, _: int) -> None:
        if place == 2:
            raise Cut

    with pytest.raises(Cut):
        importing.carry_out(cut_off)
    assert ConsentRecord.objects.filter(project=world.project).count() == 2
    assert importing.carry_out() == 0, "the lease of whoever died is not over"
    GrantImport.objects.filter(pk=found.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    seen: list[tuple[int, int]] = []
    assert importing.carry_out(lambda place, rows: seen.append((place, rows))) == 3
    assert seen == [(3, 5), (4, 5), (5, 5)]
    assert ConsentRecord.objects.filter(project=world.project).count() == 5


def test_a_row_that_is_refused_meanwhile_is_named_and_the_others_are_recorded(world: World) -> None:
    subject = world.another_subject(REFERENCE)
    found = approved(world, file(row(world), row(world, "another")))
    world.consent(Scope.TRANSCRIBE, subject=subject)
    withdrawal.withdraw(subject, actor=ACTOR)
    importing.carry_out()
    found.refresh_from_db()
    assert (found.state, found.recorded, found.failed) == (ImportState.DONE, 1, 1)
    assert [(problem["row"], problem["column"]) for problem in found.problems] == [(2, "given_at")]


def test_rows_that_cannot_be_recorded_are_not_asked_for_and_not_kept(world: World) -> None:
    first = person(world)
    brought = importing.bring(world.project, file(row(world, answer="perhaps")), actor=first)
    assert brought.content is None
    with pytest.raises(InvalidRecord):
        importing.ask(brought, actor=first)


# Answers by representatives


def mother(**other: str) -> dict[str, str]:
    return {
        "age_band": "under_13",
        "representative": "Wilhelmina's mother, Ottilie Quartz",
        "representative_relation": "parent",
        "representative_proof": "ab" * 32,
        "representative_document": "court file 7-12",
        "representative_until": "2099-01-01T00:00:00Z",
        **other,
    }


def test_an_answer_by_a_representative_is_recorded_with_their_proof_until_its_end(world: World) -> None:
    done(world, file(row(world, **mother())))
    record = ConsentRecord.objects.select_related(
        "representation__project__organization", "representation__subject"
    ).get(project=world.project)
    found = record.representation
    assert found is not None
    assert (found.relation, found.of_child, found.proof_sha256) == ("parent", True, "ab" * 32)
    assert found.ends_at is not None
    assert found.ends_at.year == 2099
    assert found.identity is not None
    assert found.identity.text() == "Wilhelmina's mother, Ottilie Quartz"
    people = [gate.Participant(record.subject.code, world.ask().participants[0].role)]
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE, people=people)).allowed
    assert len(events(world, EventName.REPRESENTATIVE_REGISTERED)) == 1


def test_a_dry_run_registers_no_representative(world: World) -> None:
    assert not importing.dry_run(world.project, file(row(world, **mother()))).problems
    assert not Representation.objects.filter(project=world.project).exists()


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"representative": ""}, "representative"),
        ({"representative_relation": ""}, "representative_relation"),
        ({"representative_relation": "neighbour"}, "representative_relation"),
        ({"representative_proof": ""}, "representative_proof"),
        ({"representative_proof": "a file"}, "representative_proof"),
        ({"representative_until": ""}, "representative_until"),
        ({"representative_until": "2001-01-01T00:00:00Z"}, "representative_until"),
        ({"representative_until": "2099-01-01"}, "representative_until"),
        ({"representative": "x" * 501}, "representative"),
        ({"representative_document": "x" * 501}, "representative_document"),
    ],
)
def test_what_is_wrong_about_a_representative_is_said_by_row_and_column(
    world: World, change: dict[str, str], column: str
) -> None:
    assert problems(world, row(world, "first", **mother()), row(world, "second", **mother(**change))) == {(3, column)}


def test_a_mandate_for_an_adult_needs_no_end(world: World) -> None:
    adult = mother(age_band="adult", representative_relation="mandate", representative_until="")
    done(world, file(row(world, **adult)))
    assert Representation.objects.get(project=world.project).of_child is False


def test_the_same_representative_is_registered_once_and_two_with_one_document_are_two(world: World) -> None:
    first, second = {"scopes": "speech.transcribe"}, {"scopes": "speech.prosody"}
    father = mother(representative="Their father")
    done(
        world,
        file(row(world, **mother(), **first), row(world, **mother(), **second), row(world, **father, **first)),
    )
    assert Representation.objects.filter(project=world.project).count() == 2
    done(world, file(row(world, **mother(), scopes="speech.language")))
    assert Representation.objects.filter(project=world.project).count() == 2


def test_a_representation_that_somebody_ended_is_not_brought_back_by_an_import(world: World) -> None:
    done(world, file(row(world, **mother())))
    again = row(world, **mother(), scopes="speech.language")
    waiting = approved(world, file(again))
    representing.end(Representation.objects.get(project=world.project), actor=ACTOR)
    assert problems(world, again) == {(2, "representative")}
    importing.carry_out()
    waiting.refresh_from_db()
    assert (waiting.recorded, waiting.failed) == (0, 1)
    assert Representation.objects.filter(project=world.project).count() == 1


def test_a_row_without_a_representative_is_the_row_that_it_was_before_there_were_such_columns(world: World) -> None:
    done(world, file(row(world)))
    empty = dict.fromkeys(mother(), "") | {"age_band": "adult"}
    assert importing.dry_run(world.project, file(row(world, **empty))).repeated == 1


# What lies there meanwhile


def test_nothing_of_the_rows_lies_in_the_clear_and_nothing_is_left_of_them_afterwards(world: World) -> None:
    content = file(row(world))
    found = approved(world, content)
    with connection.cursor() as cursor:
        cursor.execute("SELECT grantimport::text FROM consent_grantimport AS grantimport WHERE id = %s", [found.pk])
        stored = cursor.fetchone()[0]
        cursor.execute("SELECT content FROM consent_grantimport WHERE id = %s", [found.pk])
        sealed = bytes(cursor.fetchone()[0])
    for word in ("Quartz", "7946", "file 7-12"):
        assert word not in stored
        assert word.encode() not in sealed
    importing.carry_out()
    found.refresh_from_db()
    assert found.content is None
    assert ShredOrder.objects.filter(owner=found.code).exists()
    assert all(b"Quartz" not in bytes(event.entry) for event in events(world, EventName.IMPORT_FINISHED))


@pytest.mark.parametrize("end", ["turned down", "waited too long"])
def test_an_import_that_is_not_approved_leaves_no_rows(world: World, end: str) -> None:
    first = person(world)
    brought = importing.ask(importing.bring(world.project, file(row(world)), actor=first), actor=first)
    if end == "turned down":
        importing.turn_down(brought, actor=person(world))
    else:
        # As its owner: the application may not change when something was asked for.
        long_ago = timezone.now() + timedelta(days=importing.DAYS, minutes=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(timezone, "now", lambda: long_ago)
            importing.carry_out()
    brought.refresh_from_db()
    assert brought.state in (ImportState.TURNED_DOWN, ImportState.STOPPED)
    assert brought.content is None
    with pytest.raises((AlreadyDecided, ImportNotReady)):
        importing.approve(brought, actor=person(world))
    assert not ConsentRecord.objects.filter(project=world.project).exists()


def test_an_erasure_ends_every_open_import_that_names_the_person(world: World) -> None:
    subject = world.another_subject(REFERENCE)
    found = approved(world, file(row(world), row(world, "another")))
    destruction.carry_out(withdrawal.erase(subject, actor=ACTOR).code)
    found.refresh_from_db()
    assert (found.state, found.content, found.mentions) == (ImportState.STOPPED, None, [])
    importing.carry_out()
    assert not ConsentRecord.objects.filter(project=world.project).exists()


def test_a_person_erased_while_the_import_runs_is_not_registered_anew(world: World) -> None:
    subject = world.another_subject(REFERENCE)
    approved(world, file(row(world)))
    withdrawal.erase(subject, actor=ACTOR)
    importing.carry_out()
    assert subjects.find_by_reference(world.project, REFERENCE) is None


def test_which_row_became_whose_record_goes_with_the_person(world: World) -> None:
    subject = world.another_subject(REFERENCE)
    done(world, file(row(world)))
    destruction.carry_out(withdrawal.erase(subject, actor=ACTOR).code)
    assert not ImportedRow.objects.filter(project=world.project).exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consent_grantimport SET asked_by_code = 'nobody' WHERE id = {pk}",
        "UPDATE consent_grantimport SET state = 'running' WHERE id = {pk}",
        "UPDATE consent_grantimport SET approved_at = now(), approved_by_code = asked_by_code, state = 'running' WHERE id = {pk}",
        "DELETE FROM consent_grantimport WHERE id = {pk}",
    ],
)
def test_the_database_lets_no_import_run_that_a_second_person_did_not_approve(world: World, statement: str) -> None:
    brought = importing.bring(world.project, file(row(world)), actor=person(world))
    with pytest.raises(Error), connection.cursor() as cursor:
        cursor.execute(statement.format(pk=brought.pk))


# The command


def test_the_command_shows_the_check_with_a_progress_bar_and_records_nothing(world: World, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "consents.csv"
    path.write_bytes(file(row(world), row(world, "another", answer="perhaps")))
    said, bar = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError, match="1 of 2 rows"):
        call_command(
            "consent", "import", str(path), "--project", world.project.code, "--dry-run", stdout=said, stderr=bar
        )
    assert "row 3, answer: must be given or refused" in said.getvalue()
    assert "100 %" in bar.getvalue()
    assert not GrantImport.objects.filter(project=world.project).exists()


def test_the_command_asks_in_the_name_of_a_person_who_may(world: World, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "consents.csv"
    path.write_bytes(file(row(world)))
    arguments = ["consent", "import", str(path), "--project", world.project.code]
    for nobody in ([], ["--as", "nobody"], ["--as", make_member(world.project, Role.AUDITOR).username]):
        with pytest.raises(CommandError):
            call_command(*arguments, *nobody, stdout=io.StringIO(), stderr=io.StringIO())
    user = make_member(world.project, Role.CONSENT_MANAGER)
    said = io.StringIO()
    call_command(*arguments, "--as", user.username, stdout=said, stderr=io.StringIO())
    found = GrantImport.objects.get(project=world.project)
    assert (found.state, found.asked_by_code) == (ImportState.WAITING, user.code)
    assert found.code in said.getvalue()
    assert json.dumps(found.problems) == "[]"
