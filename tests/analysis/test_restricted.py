"""Recordings of somebody whose processing is restricted: jobs wait, nothing is read, and nothing stored is lost."""

import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.roles import Role
from analysis import bell, claiming, deletion, holders, pipeline, plan, reading, submission, tidying
from analysis.models import Analysis, Recording, Result
from analysis.states import AnalysisState, RecordingState
from consent import destruction, gate, restricting, withdrawal
from consent.errors import ConsentDenied, SubjectRestricted
from consent.models import Decision
from consent.vocabulary import Action, DenialReason, ParticipantRole, RestrictionGround, Scope
from tests.analysis.test_keeping import two_voices
from tests.callers import Caller
from tests.factories import ACTOR, World, make_world
from tests.voxgov.test_problems import is_problem
from vault import shredding, storage
from vault.journal import Entry

OBJECTION = RestrictionGround.OBJECTION
Rung = list[str]


@pytest.fixture
def world() -> World:
    world = make_world()
    world.consent(Scope.TRANSCRIBE)
    return world


@pytest.fixture(autouse=True)
def _hear_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "listen", lambda *_: [])


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> Rung:
    heard: Rung = []

    def ring(code: str) -> bool:
        heard.append(code)
        return True

    monkeypatch.setattr(bell, "ring", ring)
    return heard


def restrict(world: World) -> None:
    restricting.restrict(world.subject, OBJECTION, ACTOR)


def lift(world: World) -> None:
    restricting.lift(world.subject, ACTOR)


def two_people(world: World) -> tuple[gate.Participant, gate.Participant]:
    """The restricted person and somebody else who consented, each on a channel of their own."""
    other = world.another_subject()
    world.consent(Scope.TRANSCRIBE, subject=other)
    return (
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channel=0),
        gate.Participant(other.code, ParticipantRole.CUSTOMER, channel=1),
    )


def job_of(recording: Recording) -> Analysis:
    return Analysis.objects.get(recording=recording)


def test_a_queued_job_waits_while_anybody_in_it_is_restricted_and_runs_afterwards(world: World, rung: Rung) -> None:
    recording = world.upload(two_voices()[0], Scope.TRANSCRIBE, people=two_people(world))
    job = job_of(recording)
    Analysis.objects.filter(pk=job.pk).update(rung_at=None)
    restrict(world)
    decided = Decision.objects.count()
    rung.clear()
    claiming.sweep()
    assert job.code not in rung
    pipeline.run(job.code)  # a bell that was rung before
    job.refresh_from_db()
    assert (job.state, job.attempts, job.fencing_token) == (AnalysisState.QUEUED, 0, 0)
    assert Decision.objects.count() == decided
    tidying.tidy()
    assert storage.path_of(Recording.objects.get(pk=recording.pk).waiting_audio).exists()
    lift(world)
    claiming.sweep()
    assert job.code in rung
    pipeline.run(job.code)
    job.refresh_from_db()
    assert job.state == AnalysisState.DONE


@pytest.mark.parametrize("point", ["open_audio", "_bound_as_decoded", "_commit"])
@pytest.mark.parametrize("alone", [True, False])
def test_a_restriction_at_any_step_of_a_running_job_puts_it_back_and_commits_nothing(
    world: World, point: str, alone: bool, monkeypatch: pytest.MonkeyPatch, rung: Rung
) -> None:
    people = None if alone else two_people(world)
    job = job_of(world.upload(two_voices()[0], Scope.TRANSCRIBE, people=people))
    original = getattr(pipeline, point)
    once: list[bool] = []

    def restricted_first(*args: object, **more: object) -> object:
        if not once:
            once.append(True)
            restrict(world)
        return original(*args, **more)

    monkeypatch.setattr(pipeline, point, restricted_first)
    pipeline.run(job.code)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.error_code) == (AnalysisState.QUEUED, 0, "")
    assert Recording.objects.get(pk=job.recording_id).waiting_audio
    lift(world)
    pipeline.run(job.code)
    job.refresh_from_db()
    assert job.state == AnalysisState.DONE


def test_a_job_whose_file_lacks_a_channel_waits_too(world: World, monkeypatch: pytest.MonkeyPatch, rung: Rung) -> None:
    """The gate is asked once more there, and its denial would end the job."""
    person = gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channel=7)
    job = job_of(world.upload(two_voices()[0], Scope.TRANSCRIBE, people=[person]))
    original = plan.unbind_absent_channels

    def restricted_first(*args: object) -> object:
        restrict(world)
        return original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "unbind_absent_channels", restricted_first)
    pipeline.run(job.code)
    job.refresh_from_db()
    assert job.state == AnalysisState.QUEUED


def test_nothing_new_is_taken_in(world: World) -> None:
    waiting = submission.create_recording(world.project, world.submission(Scope.TRANSCRIBE), actor=ACTOR)
    done = world.upload(b"audio" * 100, Scope.TRANSCRIBE)
    restrict(world)
    for act in (
        lambda: submission.create_recording(world.project, world.submission(Scope.TRANSCRIBE), actor=ACTOR),
        lambda: submission.receive_audio(waiting, io.BytesIO(b"audio").read, 5, actor=ACTOR),
        lambda: submission.request_analysis(done, [Scope.TRANSCRIBE], actor=ACTOR),
    ):
        with pytest.raises(ConsentDenied) as denied:
            act()
        assert {denial.reason for denial in denied.value.verdict.denials} == {DenialReason.RESTRICTED}


def test_results_are_not_read_until_the_restriction_is_lifted(world: World) -> None:
    job = job_of(world.upload(two_voices()[0], Scope.TRANSCRIBE))
    pipeline.run(job.code)
    job.refresh_from_db()
    restrict(world)
    with pytest.raises(ConsentDenied):
        reading.read_results(job, actor=ACTOR)
    lift(world)
    assert reading.read_results(job, actor=ACTOR).analysis == job.code


def age(recording: Recording, days: int) -> None:
    Recording.objects.filter(pk=recording.pk).update(
        completed_at=timezone.now() - timedelta(days=days), created_at=timezone.now() - timedelta(days=days)
    )


def test_terms_stand_still_and_waiting_audio_has_its_whole_term_after_the_lifting(world: World) -> None:
    recording = world.upload(two_voices()[0], Scope.TRANSCRIBE)
    age(recording, 5000)
    holder = holders.WaitingAudioHolder()
    due = timezone.now() - timedelta(days=1)
    restrict(world)
    assert holder.destroy_due(world.project.pk, due, 10) == 0
    lift(world)
    assert holder.destroy_due(world.project.pk, due, 10) == 0
    assert holder.destroy_due(world.project.pk, timezone.now() + timedelta(days=1), 10) == 1


def test_kept_audio_results_and_recordings_outlive_their_terms_until_the_lifting(world: World) -> None:
    recording = world.upload(two_voices()[0], Scope.TRANSCRIBE)
    job = job_of(recording)
    pipeline.run(job.code)
    permit = gate.require(world.ask(Scope.TRANSCRIBE), action=Action.READ, actor=ACTOR)
    result = Result.objects.create(
        analysis=job,
        scope="speech.transcribe",
        rests_on=[],
        channels=[0],
        sealed=b"",
        model={},
        decision=permit.decision,
    )
    result.participants.set(recording.participants.all())
    Recording.objects.filter(pk=recording.pk).update(kept_audio="a blob that is gone")
    age(recording, 5000)
    due = timezone.now() + timedelta(days=1)
    kept, results, whole = holders.KeptAudioHolder(), holders.ResultHolder(), holders.RecordingHolder()
    sweeps: list[Callable[[], int]] = [
        lambda: kept.destroy_due(world.project.pk, due, 10),
        lambda: kept.destroy_due_of(world.purpose.pk, due, 10),
        lambda: results.destroy_due(world.project.pk, due, 10),
        lambda: results.destroy_due_of(world.purpose.pk, due, 10),
        lambda: whole.destroy_due(world.project.pk, due, 10),
    ]
    restrict(world)
    assert [sweep() for sweep in sweeps] == [0, 0, 0, 0, 0]
    lift(world)
    assert [sweep() > 0 for sweep in sweeps] == [True, False, True, False, True]
    assert not Recording.objects.filter(pk=recording.pk).exists()


def test_somebody_elses_withdrawal_does_not_take_the_audio_that_a_restricted_job_waits_for(world: World) -> None:
    people = two_people(world)
    recording = world.upload(two_voices()[0], Scope.TRANSCRIBE, people=people)
    restrict(world)
    other = recording.participants.get(subject__code=people[1].subject).subject
    withdrawal.withdraw(other, actor=ACTOR)
    destruction.carry_out_orders()
    assert Recording.objects.get(pk=recording.pk).waiting_audio
    withdrawal.withdraw(world.subject, actor=ACTOR)
    destruction.carry_out_orders()
    shredding.carry_out_orders()
    assert not Recording.objects.get(pk=recording.pk).waiting_audio


def test_nobody_deletes_a_recording_of_somebody_who_is_restricted_but_recovery_does(world: World) -> None:
    recording = world.upload(b"audio" * 100, Scope.TRANSCRIBE)
    operator = Caller(world.project, Role.OPERATOR)
    restrict(world)
    with pytest.raises(SubjectRestricted):
        deletion.delete_recording(recording, actor=ACTOR)
    assert is_problem(operator.delete(f"/v1/recordings/{recording.code}"), 409, "subject_restricted")
    assert Recording.objects.get(pk=recording.pk).state == RecordingState.COMPLETE
    assert deletion.replay(Entry(1, timezone.now(), deletion.DELETED, {"recording": recording.code}))
    assert Recording.objects.get(pk=recording.pk).state == RecordingState.DELETED


def test_audio_of_a_job_that_was_cancelled_stays_until_the_lifting(world: World, rung: Rung) -> None:
    recording = world.upload(two_voices()[0], Scope.TRANSCRIBE)
    restrict(world)
    claiming.cancel(job_of(recording), actor=ACTOR)
    assert not tidying.dispose_of_waiting_audio(recording.pk)
    lift(world)
    assert tidying.dispose_of_waiting_audio(recording.pk)
