"""Who is declared on which channel, and what the file then holds: whatever does not fit falls to the strict side, when it is
submitted, when it is heard, when it is kept and when it is read.
"""

import dataclasses
import io
from collections.abc import Iterator
from contextlib import suppress

import pytest
from django.db import IntegrityError, transaction

from accounts.roles import Role
from analysis import pipeline, reading, redacted_audio, submission
from analysis.errors import AudioGone, TooManyParticipants
from analysis.models import Analysis, Participant, Recording, Result
from analysis.plan import keeping, plan, plan_apart, unbind_absent_channels
from analysis.redaction.blanking import Fill
from analysis.states import AnalysisState
from consent import gate, withdrawal
from consent.errors import ConsentDenied
from consent.models import Subject
from consent.vocabulary import Action, DenialReason, ParticipantRole, Scope
from tests.callers import Caller
from tests.consent.test_dry_run import question
from tests.consent.test_voiceprints import enrol
from tests.factories import ACTOR, World
from tests.quick_engines import quick_audio, quick_engines
from tests.voxgov.test_problems import is_problem

WORDS = Scope.TRANSCRIBE
SCOPES = (WORDS, Scope.AUDIO_STORE)
PLACE = "US-NY"
"""Where one party decides what is kept."""
Channels = tuple[int | None, int | None]


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_engines():
        yield


@pytest.fixture
def other(world: World) -> Subject:
    """Somebody else in the recording; both of them granted everything that is asked for."""
    other = world.another_subject()
    for subject in (world.subject, other):
        world.consent(*SCOPES, Scope.PROSODY, subject=subject)
    return other


def people(world: World, other: Subject, channels: Channels) -> list[gate.Participant]:
    return [
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channels[0]),
        gate.Participant(other.code, ParticipantRole.CALLER, channels[1]),
    ]


def submit(
    world: World, other: Subject, channels: Channels, *, heard: int, scopes: tuple[Scope, ...] = SCOPES
) -> Recording:
    """A recording of so many channels in which the two are declared on these."""
    asked = world.ask(*scopes, people=people(world, other, channels), jurisdiction=PLACE)
    recording = submission.create_recording(
        world.project,
        submission.Submission(asked.purpose, asked.context, PLACE, asked.recorded_at, asked.participants, asked.scopes),
        actor=ACTOR,
    )
    audio = quick_audio(heard)
    recording, _ = submission.receive_audio(recording, io.BytesIO(audio).read, len(audio), actor=ACTOR)
    return recording


def run(recording: Recording) -> Analysis:
    job = Analysis.objects.get(recording=recording)
    pipeline.run(job.code)
    job.refresh_from_db()
    return job


def results(job: Analysis) -> set[tuple[str, int, tuple[int, ...]]]:
    """Scope, number of people and channels of each."""
    return {
        (result.scope, result.participants.count(), tuple(result.channels))
        for result in Result.objects.filter(analysis=job)
    }


def require_nothing_kept(recording: Recording) -> None:
    recording.refresh_from_db()
    assert recording.kept_audio == ""
    with pytest.raises(AudioGone):
        redacted_audio.read_audio(recording, fill=Fill.SILENCE, actor=ACTOR)


SHARED_AFTER_ALL = {
    "two declared channels, a mono file": ((0, 1), 1),
    "two declared on one channel": ((0, 0), 1),
    "one declared on a channel that is not there": ((0, 7), 1),
    "one declared on a channel that is not there, and one on none": ((None, 7), 1),
    "nobody bound": ((None, None), 2),
}


@pytest.fixture(params=SHARED_AFTER_ALL.values(), ids=list(SHARED_AFTER_ALL))
def declared(request: pytest.FixtureRequest) -> tuple[Channels, int]:
    found: tuple[Channels, int] = request.param
    return found


def test_what_is_shared_after_all_is_about_both_and_goes_with_either(
    world: World, other: Subject, declared: tuple[Channels, int]
) -> None:
    channels, heard = declared
    recording = submit(world, other, channels, heard=heard)
    job = run(recording)
    assert job.state == AnalysisState.DONE
    assert results(job) == {(WORDS.value, 2, tuple(range(heard)))}
    assert Participant.objects.filter(recording=recording, in_kept_audio=True).count() == 2
    withdrawal.withdraw(other, scopes=[WORDS], actor=ACTOR)
    with suppress(ConsentDenied):
        assert reading.read_results(job, actor=ACTOR).results == ()


def test_what_is_shared_after_all_is_not_heard_once_either_withdrew(
    world: World, other: Subject, declared: tuple[Channels, int]
) -> None:
    channels, heard = declared
    recording = submit(world, other, channels, heard=heard)
    withdrawal.withdraw(other, actor=ACTOR)
    job = run(recording)
    assert job.state == AnalysisState.DENIED
    assert results(job) == set()
    require_nothing_kept(recording)


def test_what_is_shared_after_all_is_not_kept_once_either_does_not_want_that(
    world: World, other: Subject, declared: tuple[Channels, int]
) -> None:
    channels, heard = declared
    recording = submit(world, other, channels, heard=heard)
    withdrawal.withdraw(other, scopes=[Scope.AUDIO_STORE], actor=ACTOR)
    job = run(recording)
    assert job.state == AnalysisState.DONE
    assert results(job) == {(WORDS.value, 2, tuple(range(heard)))}
    require_nothing_kept(recording)


def test_whoever_is_known_by_a_voiceprint_is_isolated_on_what_is_shared_after_all(
    world: World, other: Subject, declared: tuple[Channels, int]
) -> None:
    """The gate says so for every such declaration once the file is known; nothing there is heard as it is."""
    channels, heard = declared
    world.consent(Scope.IDENTIFY)
    enrol(world)
    withdrawal.withdraw(other, actor=ACTOR)
    declared_people = unbind_absent_channels(people(world, other, channels), heard)
    asked = world.ask(Scope.IDENTIFY, *SCOPES, people=declared_people, jurisdiction=PLACE)
    permit = gate.require(asked, action=Action.CONTINUE, actor=ACTOR, partial=True)
    assert plan(declared_people, heard, permit) == []
    everywhere = tuple(range(heard))
    assert [(p.person.subject, p.channels) for p in plan_apart(declared_people, heard, permit)] == [
        (world.subject.code, everywhere)
    ]
    how = keeping(declared_people, heard, permit)
    assert how is not None
    assert (how.apart, [person.subject for person in how.people]) == (frozenset(everywhere), [world.subject.code])


@pytest.mark.parametrize("channels", [(0, 0), (None, None), (None, 0), (0, None), (5, 5)])
def test_a_declaration_that_binds_nobody_alone_is_refused_at_the_submission(world: World, channels: Channels) -> None:
    stranger = world.another_subject()
    world.consent(*SCOPES)
    with pytest.raises(ConsentDenied) as caught:
        submit(world, stranger, channels, heard=2)
    reasons = {(d.subject, d.scope): d.reason for d in caught.value.verdict.denials}
    assert reasons[stranger.code, WORDS.value] is DenialReason.NOT_GRANTED
    mine = reasons.get((world.subject.code, WORDS.value))
    # Whoever is bound to no channel has those to themself on which the other is not; there alone they may be heard.
    assert mine is (None if channels == (None, 0) else DenialReason.PARTICIPANT_UNBOUND)
    assert not Recording.objects.filter(project=world.project).exists()


def test_a_channel_that_nobody_was_declared_on_is_not_heard_and_then_nothing_is_kept(
    world: World, other: Subject
) -> None:
    recording = submit(world, other, (0, 1), heard=3)
    job = run(recording)
    assert job.state == AnalysisState.DONE
    assert results(job) == {(WORDS.value, 1, (0,)), (WORDS.value, 1, (1,))}
    require_nothing_kept(recording)


def test_where_two_share_a_declared_channel_the_other_channels_are_nobodys(world: World, other: Subject) -> None:
    recording = submit(world, other, (0, 0), heard=2)
    job = run(recording)
    assert results(job) == {(WORDS.value, 2, (0,))}
    require_nothing_kept(recording)


def test_whoever_is_bound_to_no_channel_is_heard_only_where_the_other_is_not(world: World, other: Subject) -> None:
    recording = submit(world, other, (None, 0), heard=2)
    withdrawal.withdraw(other, actor=ACTOR)
    job = run(recording)
    assert results(job) == {(WORDS.value, 1, (1,))}
    require_nothing_kept(recording)


def test_on_a_mono_file_whoever_is_bound_to_no_channel_is_not_heard_without_the_other(
    world: World, other: Subject
) -> None:
    recording = submit(world, other, (None, 0), heard=1)
    withdrawal.withdraw(other, actor=ACTOR)
    assert results(run(recording)) == set()
    require_nothing_kept(recording)


def test_nobody_is_named_twice(world: World) -> None:
    world.consent(*SCOPES)
    twice = people(world, world.subject, (0, 1))
    with pytest.raises(ValueError, match="named once"):
        world.ask(*SCOPES, people=twice)
    alone = world.submission(*SCOPES)
    with pytest.raises(TooManyParticipants):
        submission.create_recording(world.project, dataclasses.replace(alone, participants=tuple(twice)), actor=ACTOR)
    operator = Caller(world.project, Role.OPERATOR)
    named = [{"subject": world.subject.code, "role": "customer", "channel": channel} for channel in (0, 1)]
    body = question(world, *SCOPES, people=named)
    assert is_problem(operator.post("/v1/decisions:dry-run", body), 400, "invalid_request")
    answer = operator.post("/v1/recordings", body, key="named twice")
    assert answer.status in (400, 422), answer
    assert not Recording.objects.filter(project=world.project).exists()
    recording = world.upload(quick_audio(2), *SCOPES)
    with pytest.raises(IntegrityError), transaction.atomic():
        Participant.objects.create(recording=recording, subject=world.subject, role="other", position=1, channel=1)
