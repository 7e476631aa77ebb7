"""Who looked at what about a person, when, under which decision; and nothing of it after an erasure."""

import json
from typing import Any

import pytest

from accounts.access import actor_of
from accounts.models import User
from accounts.roles import Role
from analysis import reading
from analysis.models import Analysis, Result
from analysis.sealed_results import result_context, result_keys
from audit.entry import Actor
from audit.events import EventName
from consent import destruction, gate, receipts, revealing, withdrawal
from consent.errors import ConsentDenied
from consent.models import Subject
from consent.vocabulary import ParticipantRole, Scope
from tests.callers import Answer, Caller
from tests.factories import ACTOR, World, make_member, make_representative, make_world
from tests.people import events
from tests.voxgov.test_problems import is_problem
from vault import sealing


@pytest.fixture
def reader(world: World) -> User:
    return make_member(world.project, Role.OPERATOR)


def looks(world: World, subject: Subject | None = None, query: str = "", *roles: Role) -> Answer:
    caller = Caller(world.project, *(roles or (Role.DATA_PROTECTION_OFFICER,)))
    return caller.get(f"/v1/subjects/{(subject or world.subject).code}/access{query}")


def analysed(world: World, found: dict[Subject, tuple[Scope, ...]]) -> Analysis:
    """A finished job that found one result per person and scope, each on a channel of their own."""
    people = [gate.Participant(one.code, ParticipantRole.CUSTOMER, channel=n) for n, one in enumerate(found)]
    scopes = sorted({scope for each in found.values() for scope in each})
    for subject in found:
        world.consent(*scopes, subject=subject)
    recording = world.upload(b"audio" * 100, *scopes, people=people)
    job = Analysis.objects.get(recording=recording)
    Analysis.objects.filter(pk=job.pk).update(state="done")
    for subject, each in found.items():
        for scope in each:
            row = Result(analysis=job, scope=scope.value, rests_on=[scope.value], channels=[0], model={}, decision="")
            row.sealed = sealing.seal(
                result_context(world.organization.code, (subject.code,), scope, row.code),
                result_keys(world.organization.code, (subject.code,), frozenset({scope})),
                json.dumps({"found": True}).encode(),
            )
            row.save()
            row.participants.set(recording.participants.filter(subject=subject))
    return Analysis.objects.get(pk=job.pk)


def read(job: Analysis, by: Actor = ACTOR) -> str:
    return reading.read_results(job, actor=by).decision


def test_a_read_says_who_when_what_of_this_person_and_under_which_decision(world: World, reader: User) -> None:
    other = world.another_subject()
    job = analysed(world, {world.subject: (Scope.TRANSCRIBE, Scope.PROSODY), other: (Scope.PROSODY,)})
    decision = read(job, actor_of(reader))
    (mine,) = looks(world).body["results"]
    assert mine["kind"] == "results"
    assert mine["by"] == {"kind": "user", "code": reader.code, "name": None}
    assert mine["scopes"] == ["speech.prosody", "speech.transcribe"]
    assert mine["object"] == {"kind": "analysis", "code": job.code}
    assert mine["decision"] == decision
    (theirs,) = looks(world, other).body["results"]
    assert theirs["scopes"] == ["speech.prosody"]
    assert theirs["event"] == mine["event"]


def test_somebody_whose_results_were_withheld_was_not_read(world: World) -> None:
    other = world.another_subject()
    job = analysed(world, {world.subject: (Scope.PROSODY,), other: (Scope.PROSODY,)})
    withdrawal.withdraw(other, actor=ACTOR)
    read(job)
    assert len(looks(world).body["results"]) == 1
    assert looks(world, other).body["results"] == []


def test_a_denied_read_is_no_access(world: World) -> None:
    job = analysed(world, {world.subject: (Scope.PROSODY,)})
    withdrawal.withdraw(world.subject, actor=ACTOR)
    with pytest.raises(ConsentDenied):
        read(job)
    assert looks(world).body["results"] == []


def test_a_reveal_and_a_receipt_are_accesses_too(world: World, reader: User) -> None:
    record = world.consent(Scope.TRANSCRIBE, evidence_origin="file 7-12")
    mother = make_representative(world.subject)
    revealing.reference(world.subject, actor=actor_of(reader))
    assert revealing.evidence_origin(record, actor=actor_of(reader)) == "file 7-12"
    assert revealing.representative(mother, actor=actor_of(reader)).identity == "their mother"
    receipts.of_consent(record, actor=ACTOR)
    found = looks(world).body["results"]
    assert [(one["kind"], one["object"], one["decision"]) for one in found] == [
        ("receipt", {"kind": "consent", "code": record.code}, None),
        ("representative", {"kind": "representative", "code": mother.code}, None),
        ("evidence_origin", {"kind": "consent", "code": record.code}, None),
        ("external_reference", None, None),
    ]


def test_pages_go_on_where_they_stopped(world: World) -> None:
    job = analysed(world, {world.subject: (Scope.PROSODY,)})
    decisions = [read(job) for _ in range(5)]
    caller = Caller(world.project, Role.DATA_PROTECTION_OFFICER)
    seen: list[str] = []
    path: Any = f"/v1/subjects/{world.subject.code}/access?limit=2"
    while path:
        answer = caller.get(path)
        seen += [one["decision"] for one in answer.body["results"]]
        path = answer.body["next"]
    assert seen == decisions[::-1]


def test_names_are_for_who_manages_members(world: World, reader: User) -> None:
    read(analysed(world, {world.subject: (Scope.PROSODY,)}), actor_of(reader))
    (one,) = looks(world, None, "", Role.DATA_PROTECTION_OFFICER, Role.ADMINISTRATOR).body["results"]
    assert one["by"]["name"] == reader.username


def test_looking_is_itself_on_the_trail(world: World) -> None:
    before = len(events(world, EventName.TRAIL_READ))
    looks(world)
    assert len(events(world, EventName.TRAIL_READ)) == before + 1


def test_nothing_of_it_survives_an_erasure_from_its_commit_on(world: World) -> None:
    other = world.another_subject()
    read(analysed(world, {world.subject: (Scope.PROSODY,), other: (Scope.PROSODY,)}))
    order = withdrawal.erase(world.subject, actor=ACTOR)
    assert is_problem(looks(world), 410, "subject_erased")
    destruction.carry_out(order.code)
    assert is_problem(looks(world), 410, "subject_erased")
    (theirs,) = looks(world, other).body["results"]
    assert theirs["scopes"] == ["speech.prosody"]
    assert world.subject.code not in str(theirs)


def test_another_project_of_the_organization_learns_nothing(world: World) -> None:
    read(analysed(world, {world.subject: (Scope.PROSODY,)}))
    elsewhere = make_world()
    assert is_problem(looks(elsewhere, world.subject), 404, "not_found")
