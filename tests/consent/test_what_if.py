"""What a change of policy would close is known before it is made, and is what it then closes."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.roles import Role
from analysis.models import Analysis
from consent import gate, ports, publishing, rule_sets, what_if, withdrawal
from consent.models import Decision, Notice, Subject
from consent.vocabulary import Context, ParticipantRole, Scope
from consent.what_if import Consequences
from tests.callers import Caller
from tests.factories import ACTOR, World, make_world
from vault import plugs
from vault.plugs import PlugMissing

NOTHING = Consequences(0, 0, 0, True)


def draft(world: World, *, material: bool = True, series: str = "voice") -> Notice:
    return publishing.draft_notice(
        world.project, series=series, language="en", title="Anew", text="More.", material=material, actor=ACTOR
    )


def queued(
    world: World, subject: Subject, *scopes: Scope, role: ParticipantRole = ParticipantRole.CUSTOMER
) -> Analysis:
    recording = world.upload(b"audio" * 100, *scopes, people=[gate.Participant(subject.code, role)])
    return Analysis.objects.get(recording=recording)


def people(world: World, count: int, *scopes: Scope) -> list[Subject]:
    found = [world.another_subject() for _ in range(count)]
    for subject in found:
        world.consent(*scopes, subject=subject)
    return found


def open_pairs(world: World, subjects: list[Subject], *scopes: Scope) -> set[tuple[str, Scope]]:
    return {
        (pair.subject, pair.scope)
        for one in subjects
        for pair in gate.evaluate(
            world.ask(*scopes, people=[gate.Participant(one.code, ParticipantRole.CUSTOMER)])
        ).granted
    }


def test_a_material_notice_would_close_what_it_then_closes(world: World) -> None:
    some = people(world, 3, Scope.TRANSCRIBE, Scope.PROSODY)
    queued(world, some[0], Scope.TRANSCRIBE)
    queued(world, some[1], Scope.TRANSCRIBE, Scope.PROSODY)
    notice = draft(world)
    before = open_pairs(world, some, Scope.TRANSCRIBE, Scope.PROSODY)
    assert what_if.of_publishing(notice) == Consequences(subjects=3, grants=6, jobs=2, all_jobs=True)
    assert open_pairs(world, some, Scope.TRANSCRIBE, Scope.PROSODY) == before
    publishing.publish_notice(notice, actor=ACTOR)
    assert len(before) == 6
    assert open_pairs(world, some, Scope.TRANSCRIBE, Scope.PROSODY) == set()


def test_what_is_closed_already_is_not_counted(world: World) -> None:
    some = people(world, 5, Scope.TRANSCRIBE)
    withdrawal.withdraw(some[0], actor=ACTOR)
    withdrawal.erase(some[1], actor=ACTOR)
    world.consent(Scope.TRANSCRIBE, subject=some[2], given=False)
    job = queued(world, some[3], Scope.TRANSCRIBE)
    Analysis.objects.filter(pk=job.pk).update(state="done")
    expired = world.another_subject()
    ends = timezone.now() + timedelta(seconds=1)
    world.consent(Scope.TRANSCRIBE, subject=expired, expires_at=ends)
    while timezone.now() <= ends:
        time.sleep(0.05)
    assert what_if.of_publishing(draft(world)) == Consequences(subjects=2, grants=2, jobs=0, all_jobs=True)


def test_grants_under_a_notice_that_was_superseded_are_not_closed_twice(world: World) -> None:
    people(world, 2, Scope.TRANSCRIBE)
    newer = publishing.publish_notice(draft(world), actor=ACTOR)
    renewed = World(world.organization, world.project, newer, world.purpose, world.another_subject())
    renewed.consent(Scope.TRANSCRIBE)
    assert what_if.of_publishing(draft(world)) == Consequences(subjects=1, grants=1, jobs=0, all_jobs=True)


def test_an_editorial_notice_one_of_another_series_and_one_that_is_out_close_nothing(world: World) -> None:
    people(world, 2, Scope.TRANSCRIBE)
    assert what_if.of_publishing(draft(world, material=False)) == NOTHING
    assert what_if.of_publishing(draft(world, series="another")) == NOTHING
    assert what_if.of_publishing(world.notice) == NOTHING


def test_own_rules_would_close_what_they_then_close(world: World) -> None:
    explicit = people(world, 2, Scope.TRANSCRIBE)
    implied = [world.another_subject() for _ in range(3)]
    for subject in implied:
        world.consent(Scope.TRANSCRIBE, Scope.PROSODY, subject=subject, explicit=False)
    queued(world, implied[0], Scope.TRANSCRIBE)
    queued(world, explicit[0], Scope.TRANSCRIBE)
    before = open_pairs(world, explicit + implied, Scope.TRANSCRIBE, Scope.PROSODY)
    assert what_if.of_choosing(world.project, ["own-explicit"]) == Consequences(3, 6, 1, True)
    assert rule_sets.of(world.project).own == ()
    rule_sets.choose(world.project, ["own-explicit"], actor=ACTOR)
    after = open_pairs(world, explicit + implied, Scope.TRANSCRIBE, Scope.PROSODY)
    assert len(before - after) == 6
    # What is chosen already closes nothing any more, and taking it away would close nothing either.
    assert what_if.of_choosing(world.project, ["own-explicit"]) == NOTHING
    assert what_if.of_choosing(world.project, []) == NOTHING


def test_a_grant_that_another_role_or_context_still_opens_is_not_closed_but_its_job_is(world: World) -> None:
    (one,) = people(world, 1, Scope.TRANSCRIBE)
    queued(world, one, Scope.TRANSCRIBE, role=ParticipantRole.UNKNOWN)
    assert what_if.of_choosing(world.project, ["own-known"]) == Consequences(0, 0, 1, True)


def test_a_grant_that_the_law_lets_open_nothing_is_not_counted(world: World) -> None:
    (one,) = people(world, 1, Scope.TRANSCRIBE)
    world.consent(Scope.NONVERBAL, subject=one, explicit=False)
    world.consent(Scope.EMOTION, subject=one)
    assert what_if.of_choosing(world.project, ["own-explicit", "own-no-emotion"]) == Consequences(1, 1, 0, True)
    work = make_world(contexts=[Context.EMPLOYMENT])
    work.consent(Scope.EMOTION)
    assert what_if.of_choosing(work.project, ["own-no-emotion"]).grants == 1  # somebody from outside may be heard there


def test_where_there_are_more_jobs_than_are_looked_at_the_count_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = people(world, 1, Scope.TRANSCRIBE)
    for _ in range(3):
        queued(world, one, Scope.TRANSCRIBE)
    monkeypatch.setattr(what_if, "MOST_JOBS", 2)
    assert what_if.of_publishing(draft(world)) == Consequences(1, 1, 2, False)
    monkeypatch.setattr(what_if, "MOST_JOBS", 3)
    assert what_if.of_publishing(draft(world)) == Consequences(1, 1, 3, True)


def test_both_previews_over_http_record_no_decision(world: World) -> None:
    (one,) = people(world, 1, Scope.TRANSCRIBE)
    queued(world, one, Scope.TRANSCRIBE)
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    before = Decision.objects.count()
    closes = {"subjects": 1, "grants": 1, "jobs": 1, "all_jobs": True}
    assert manager.get(f"/v1/notices/{draft(world).code}/publish-preview").body == closes
    assert manager.post("/v1/rule-set:preview", {"rules": ["own-end"]}).body == closes
    assert Decision.objects.count() == before


def test_a_counter_that_nobody_plugged_in_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ports.work_counter.filled
    monkeypatch.setattr(ports.work_counter, "_face", None)
    with pytest.raises(PlugMissing, match=r"consent\.WorkCounter"):
        plugs.require_all()
