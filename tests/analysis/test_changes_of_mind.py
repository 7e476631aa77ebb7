"""Two people on one channel, and one of them changes their mind while the job is under way: what is committed was valid at that
commit and rests on what it was made from, and nothing of the mixed audio stays beyond what they still let be kept.

Real voices, real models. One of the two is enrolled, so that their voice can be told from the other's.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis import pipeline, reading, submission
from analysis.audio import open_kept_audio
from analysis.models import Analysis, Participant, Recording, Result
from analysis.states import AnalysisState
from benchmarks.corpora.conversations import Conversation
from consent import gate, withdrawal
from consent.errors import ConsentDenied
from consent.models import Decision, Subject
from consent.vocabulary import Action, ParticipantRole, Scope
from tests.analysis.points import (
    Point,
    before_claim,
    before_commit,
    before_keeping,
    between_engines,
    once_kept,
    once_told_apart,
)
from tests.analysis.points import while_decoding as decoding
from tests.analysis.sounds import wav
from tests.analysis.test_keeping import Pcm, samples_of
from tests.analysis.voiceprinted import conversation, done, run, submit, two
from tests.factories import ACTOR, World
from vault import storage
from vault.codes import new_code

pytestmark = pytest.mark.models

QUICK = (Scope.IDENTIFY, Scope.PROSODY)
POINTS = [before_claim, decoding, once_told_apart, between_engines, before_commit]


@pytest.fixture
def world(enrolled: World) -> World:
    enrolled.consent(Scope.PROSODY, Scope.NONVERBAL)
    return enrolled


@pytest.fixture
def talked(data: Path) -> Conversation:
    return conversation(data)


def mixed(talked: Conversation) -> bytes:
    """Its first twelve seconds, in which both of them speak."""
    return wav([talked.sound[: 12 * 16_000].astype(np.float32)])


def once(act: Callable[[], object]) -> Callable[[], None]:
    done_already: list[object] = []

    def doing() -> None:
        if not done_already:
            done_already.append(True)
            act()

    return doing


def runs(recording: Recording, monkeypatch: pytest.MonkeyPatch, point: Point, act: Callable[[], object]) -> list[str]:
    """Runs the job until it ends, with the act at that point of its first run; the states it was left in. Whatever a run committed
    is asserted to be valid by the decision that committed it."""
    with monkeypatch.context() as patch:
        point(patch, once(act))
        states = [run(recording).state]
        require_honest(recording)
        while states[-1] == AnalysisState.QUEUED and len(states) < 3:
            states.append(run(recording).state)
            require_honest(recording)
    return states


def require_honest(recording: Recording) -> None:
    """Every result rests on pairs that its decision names, and on no audio but what it says."""
    for result in Result.objects.filter(analysis__recording=recording):
        granted = Decision.objects.get(code=result.decision).granted
        pairs = {(pair["subject"], pair["scope"]) for pair in granted}
        people = set(result.participants.values_list("subject__code", flat=True))
        assert {(person, scope) for person in people for scope in result.rests_on} <= pairs


def committed(recording: Recording) -> set[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Scope, subjects and what it rests on, of every result."""
    return {
        (
            result.scope,
            tuple(sorted(result.participants.values_list("subject__code", flat=True))),
            tuple(sorted(result.rests_on)),
        )
        for result in Result.objects.filter(analysis__recording=recording)
    }


def kept_samples(recording: Recording) -> Pcm:
    recording = Recording.objects.get(pk=recording.pk)
    permit = gate.require(
        submission.gate_request(recording, recording.kept_scopes, told_apart=True),
        action=Action.READ,
        actor=ACTOR,
        object_code=recording.code,
    )
    source = open_kept_audio(recording, permit).source
    return samples_of(source.read(0, source.size))


def alone(subject: Subject, *scopes: Scope) -> set[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Results about one person who was told apart."""
    return {(scope.value, (subject.code,), tuple(sorted({scope.value, Scope.IDENTIFY.value}))) for scope in scopes}


@pytest.mark.parametrize("point", POINTS)
def test_a_scope_that_the_other_withdraws_leaves_no_result_about_the_two_of_them(
    world: World, talked: Conversation, point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = world.another_subject()
    world.consent(Scope.PROSODY, subject=other)
    recording = submit(world, mixed(talked), *QUICK[1:], people=two(world, other))
    states = runs(
        recording, monkeypatch, point, lambda: withdrawal.withdraw(other, scopes=[Scope.PROSODY], actor=ACTOR)
    )
    assert states[-1] == AnalysisState.DENIED
    assert committed(recording) == set()
    assert Recording.objects.get(pk=recording.pk).waiting_audio == ""


@pytest.mark.parametrize("point", POINTS)
def test_whoever_can_be_told_apart_is_heard_alone_once_the_other_withdrew(
    world: World, talked: Conversation, point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = world.another_subject()
    world.consent(*QUICK, subject=other)
    recording = submit(world, mixed(talked), *QUICK, people=two(world, other))
    states = runs(recording, monkeypatch, point, lambda: withdrawal.withdraw(other, actor=ACTOR))
    assert states[-1] == AnalysisState.DONE
    assert committed(recording) == alone(world.subject, *QUICK)


@pytest.mark.parametrize("point", POINTS)
def test_what_was_told_apart_stays_so_when_the_other_consents_meanwhile(
    world: World, talked: Conversation, point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audio that was heard was the isolated one; a job that had not begun hears the two of them."""
    other = world.another_subject()
    recording = submit(world, mixed(talked), *QUICK, people=two(world, other))
    covers = recording.recorded_at
    states = runs(
        recording,
        monkeypatch,
        point,
        lambda: world.consent(Scope.PROSODY, subject=other, covers_recorded_from=covers),
    )
    assert states == [AnalysisState.DONE]
    expected = alone(world.subject, *QUICK)
    if point is before_claim:
        pair = tuple(sorted([world.subject.code, other.code]))
        expected = alone(world.subject, Scope.IDENTIFY) | {("speech.prosody", pair, ("speech.prosody",))}
    assert committed(recording) == expected


@pytest.mark.parametrize("point", POINTS)
def test_whoever_withdraws_recognition_meanwhile_is_not_heard_alone(
    world: World, talked: Conversation, point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = world.another_subject()
    scopes = (*QUICK, Scope.AUDIO_STORE)
    recording = submit(world, mixed(talked), *scopes, people=two(world, other))
    blobs = blob_files()
    states = runs(
        recording, monkeypatch, point, lambda: withdrawal.withdraw(world.subject, scopes=[Scope.IDENTIFY], actor=ACTOR)
    )
    assert states[-1] == AnalysisState.DENIED
    assert committed(recording) == set()
    assert Recording.objects.get(pk=recording.pk).kept_audio == ""
    assert blob_files() <= blobs


def blob_files() -> set[str]:
    root = storage.path_of(new_code()).parents[1]
    return {path.name for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("point", [*POINTS, before_keeping, once_kept])
def test_once_the_other_withdraws_keeping_their_voice_is_not_in_what_is_kept(
    world: World, talked: Conversation, point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = world.another_subject()
    world.consent(Scope.PROSODY, Scope.AUDIO_STORE, subject=other)
    scopes = (*QUICK, Scope.AUDIO_STORE)
    recording = submit(world, mixed(talked), *scopes, people=two(world, other))
    blobs = blob_files()
    states = runs(
        recording, monkeypatch, point, lambda: withdrawal.withdraw(other, scopes=[Scope.AUDIO_STORE], actor=ACTOR)
    )
    assert states[-1] == AnalysisState.DONE
    found = Recording.objects.get(pk=recording.pk)
    assert found.kept_apart
    within = Participant.objects.filter(recording=recording, in_kept_audio=True)
    assert [person.subject_id for person in within] == [world.subject.pk]
    kept = kept_samples(recording)[:, 0]
    assert kept.any()
    for turn in talked.turns:
        if turn.speaker != "reader":
            assert not kept[round(turn.start * 16_000) : round(turn.end * 16_000)].any()
    # One blob is kept, and what an earlier run had sealed of the two of them lies nowhere any more.
    assert blob_files() - blobs == {storage.path_of(found.kept_audio).name}


def test_a_second_job_that_keeps_the_audio_too_changes_nothing_of_what_is_kept(
    world: World, talked: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers, two jobs: while the first is about to commit audio without the other's voice, the other consents and the second
    keeps it as uploaded. One of them is kept, with the people who are in it."""
    other = world.another_subject()
    scopes = (*QUICK, Scope.AUDIO_STORE)
    recording = submit(world, mixed(talked), *scopes, people=two(world, other))
    first = Analysis.objects.get(recording=recording)
    second: list[Analysis] = []
    blobs = blob_files()

    def overtake() -> None:
        world.consent(Scope.AUDIO_STORE, subject=other, covers_recorded_from=recording.recorded_at)
        again = submission.request_analysis(recording, [Scope.AUDIO_STORE], actor=ACTOR)
        second.append(again)
        pipeline.run(again.code)

    with monkeypatch.context() as patch:
        once_kept(patch, once(overtake))
        pipeline.run(first.code)
    for job in (first, *second):
        job.refresh_from_db()
        assert (job.state, job.error_code) == (AnalysisState.DONE, "")
    found = Recording.objects.get(pk=recording.pk)
    within = Participant.objects.filter(recording=recording, in_kept_audio=True).count()
    assert (found.kept_apart, within) == (False, 2)
    permit = gate.require(
        submission.gate_request(found, found.kept_scopes), action=Action.READ, actor=ACTOR, object_code=found.code
    )
    source = open_kept_audio(found, permit).source
    assert source.read(0, source.size) == mixed(talked)
    assert blob_files() - blobs == {storage.path_of(found.kept_audio).name}


def test_what_is_heard_of_audio_that_was_kept_apart_rests_on_recognition_too(
    world: World, talked: Conversation
) -> None:
    """The other consents once only the enrolled person's stretches are kept: what is heard of these is theirs alone, and goes with
    their consent to be recognized."""
    other = world.another_subject()
    scopes = (*QUICK, Scope.AUDIO_STORE)
    recording = submit(world, mixed(talked), *scopes, people=two(world, other))
    done(recording)
    assert Recording.objects.get(pk=recording.pk).kept_apart
    world.consent(Scope.PROSODY, subject=other, covers_recorded_from=recording.recorded_at)
    again = submission.request_analysis(recording, [Scope.PROSODY], actor=ACTOR)
    pipeline.run(again.code)
    again.refresh_from_db()
    assert (again.state, again.error_code) == (AnalysisState.DONE, "")
    rows = Result.objects.filter(analysis=again, scope=Scope.PROSODY.value)
    assert rows.exists()
    for row in rows:
        assert list(row.participants.values_list("subject", flat=True)) == [world.subject.pk]
        assert Scope.IDENTIFY.value in row.rests_on
    withdrawal.withdraw(world.subject, scopes=[Scope.IDENTIFY], actor=ACTOR)
    with pytest.raises(ConsentDenied):
        reading.read_results(again, actor=ACTOR, only=[Scope.IDENTIFY])
    assert not reading.read_results(again, actor=ACTOR).results


def test_nobody_is_looked_for_in_audio_that_their_voice_was_left_out_of(world: World, talked: Conversation) -> None:
    """The other lets their voice be recognized once only the enrolled person's stretches are kept."""
    other = world.another_subject()
    scopes = (*QUICK, Scope.AUDIO_STORE)
    recording = submit(world, mixed(talked), *scopes, people=two(world, other))
    done(recording)
    world.consent(Scope.IDENTIFY, subject=other, covers_recorded_from=recording.recorded_at)
    again = submission.request_analysis(recording, [Scope.IDENTIFY], actor=ACTOR)
    pipeline.run(again.code)
    again.refresh_from_db()
    assert (again.state, again.error_code) == (AnalysisState.DONE, "")
    (row,) = Result.objects.filter(analysis=again)
    assert list(row.participants.values_list("subject", flat=True)) == [world.subject.pk]


def test_what_was_made_under_a_consent_that_was_withdrawn_is_not_committed_under_the_next(
    world: World, talked: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = submit(world, wav([talked.sound.astype(np.float32)]), Scope.PROSODY)

    def change() -> None:
        withdrawal.withdraw(world.subject, scopes=[Scope.PROSODY], actor=ACTOR)
        world.consent(Scope.PROSODY, covers_recorded_from=recording.recorded_at)

    states = runs(recording, monkeypatch, before_commit, change)
    assert states == [AnalysisState.QUEUED, AnalysisState.DONE]
    assert Result.objects.filter(analysis__recording=recording).count() == 1


def test_a_voice_in_opposite_phase_on_two_shared_channels_is_in_neither_as_it_is_kept(
    world: World, talked: Conversation
) -> None:
    """In the mix of both channels the other's voice cancels out, so that nothing is heard of it; on each channel it is loud."""
    others = [turn for turn in talked.turns if turn.speaker != "reader"]
    own = [turn for turn in talked.turns if turn.speaker == "reader"]
    theirs = np.concatenate([talked.sound[round(t.start * 16_000) : round(t.end * 16_000)] for t in others])
    mine = np.concatenate([talked.sound[round(t.start * 16_000) : round(t.end * 16_000)] for t in own])
    length = min(len(theirs), len(mine))
    mine, theirs = mine[:length] / 2, theirs[:length] / 2
    sound = [(mine + theirs).astype(np.float32), (mine - theirs).astype(np.float32)]
    recording = submit(world, wav(sound), *QUICK, Scope.AUDIO_STORE, people=two(world, world.another_subject()))
    done(recording)
    kept = kept_samples(recording).astype(np.float64) / 32_768
    assert kept.any()
    assert np.abs(kept[:, 0] - kept[:, 1]).max() < 1e-3


@pytest.mark.parametrize("where", ["US-IL", "US", "unknown"])
def test_where_the_other_may_be_in_illinois_no_voice_is_told_from_theirs(
    world: World, talked: Conversation, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = world.another_subject()
    people = two(world, other)
    people[1] = dataclasses.replace(people[1], jurisdiction=where)
    with pytest.raises(ConsentDenied) as caught:
        submit(world, b"", *QUICK, people=people)
    assert "bipa-15-b-others" in {denial.rule for denial in caught.value.verdict.denials}
    # Nor where it becomes known after the submission: the worker asks again, and opens no voiceprint.
    recording = submit(world, mixed(talked), *QUICK, people=two(world, other))
    Participant.objects.filter(recording=recording, subject=other).update(jurisdiction=where)
    monkeypatch.setattr(pipeline, "tell_apart", _never)
    assert run(recording).state == AnalysisState.DENIED
    assert committed(recording) == set()


def test_a_consent_that_puts_the_other_in_illinois_meanwhile_stops_the_job(
    world: World, talked: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = world.another_subject()
    recording = submit(world, mixed(talked), *QUICK, people=two(world, other))
    states = runs(
        recording,
        monkeypatch,
        once_told_apart,
        lambda: world.consent(Scope.PROSODY, subject=other, jurisdiction="US-IL"),
    )
    assert states[-1] == AnalysisState.DENIED
    assert committed(recording) == set()


def test_of_an_employee_who_is_told_apart_no_emotion_is_inferred(
    world: World, talked: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = world.another_subject()
    people = two(world, other)
    people[0] = dataclasses.replace(people[0], role=ParticipantRole.EMPLOYEE)
    scopes = (*QUICK, Scope.EMOTION)
    with pytest.raises(ConsentDenied) as caught:
        submit(world, b"", *scopes, people=people)
    assert "eu-ai-act-5-1-f" in {denial.rule for denial in caught.value.verdict.denials}
    fresh = Recording.objects.filter(project=world.project).count()
    recording = submit(world, mixed(talked), *QUICK, people=people)
    assert Recording.objects.filter(project=world.project).count() == fresh + 1
    # Even a row that was tampered with brings the worker to nothing: the gate is asked by role.
    Recording.objects.filter(pk=recording.pk).update(scopes=[scope.value for scope in scopes])
    Analysis.objects.filter(recording=recording).update(scopes=[scope.value for scope in scopes])
    assert run(recording).state == AnalysisState.DONE
    assert committed(recording) == alone(world.subject, *QUICK)
    denial = Decision.objects.filter(project=world.project, action=Action.COMMIT.value).latest("id").denials
    assert {(one["subject"], one["rule"]) for one in denial} >= {(world.subject.code, "eu-ai-act-5-1-f")}


def test_a_customer_beside_an_employee_is_heard_alone_and_nothing_is_said_of_the_employee(
    world: World, talked: Conversation
) -> None:
    employee = world.another_subject()
    world.consent(Scope.EMOTION, subject=employee)
    people = two(world, employee)
    people[1] = dataclasses.replace(people[1], role=ParticipantRole.EMPLOYEE)
    scopes = (*QUICK, Scope.EMOTION)
    with pytest.raises(ConsentDenied):
        submit(world, b"", *scopes, people=people)
    recording = submit(world, mixed(talked), *QUICK, people=people)
    Recording.objects.filter(pk=recording.pk).update(scopes=[scope.value for scope in scopes])
    Analysis.objects.filter(recording=recording).update(scopes=[scope.value for scope in scopes])
    assert run(recording).state == AnalysisState.DONE
    assert committed(recording) == alone(world.subject, *scopes)


def _never(_channels: object, shared: list[object], *_: object) -> list[object]:
    assert not shared, "voices were told apart"
    return []
