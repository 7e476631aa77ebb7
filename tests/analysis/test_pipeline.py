"""One job from claim to commit: nothing without consent, nothing twice, nothing lost.

Real decoding and real engines on a real clip; consent is withdrawn at each point of the way.
"""

import dataclasses
import io
import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import valkey
from django.db import transaction
from django.utils import timezone

from analysis import claiming, deletion, pipeline, reading, submission, tidying
from analysis.errors import (
    AudioEmpty,
    AudioGone,
    AudioTooLarge,
    AudioTruncated,
    LeaseLost,
    NotFinished,
    RecordingNotReceivable,
    ScopeOutsideRecording,
    ScopeWithoutEngine,
)
from analysis.models import Analysis, Recording, Result
from analysis.states import AnalysisState, RecordingState, Stage
from analysis.timeline import SpanType
from analysis.transcription_hints import Hints
from analysis.transcripts import Task
from audit.models import Event
from consent import destruction, gate, withdrawal
from consent.errors import ConsentDenied
from consent.models import Decision, Subject
from consent.vocabulary import DenialReason, ParticipantRole, Scope
from tests.analysis.points import Point, before_claim, before_commit, between_engines, while_decoding
from tests.factories import ACTOR, World
from vault import shredding, storage
from vault.models import DataKey, SealedBlob

pytestmark = pytest.mark.models
QUICK = (Scope.PROSODY, Scope.NONVERBAL)


@pytest.fixture(scope="session")
def laugh(data: Path) -> bytes:
    return (data / "human" / "laugh-male1.wav").read_bytes()


@pytest.fixture(scope="session")
def speech(data: Path) -> bytes:
    return (data / "librivox" / "sense_and_sensibility_01_austen_64kb-0870.wav").read_bytes()


def job_of(recording: Recording) -> Analysis:
    return Analysis.objects.get(recording=recording)


def run(recording: Recording) -> Analysis:
    job = job_of(recording)
    pipeline.run(job.code)
    job.refresh_from_db()
    return job


def events(world: World) -> list[str]:
    return list(Event.objects.filter(log=world.organization.code).order_by("id").values_list("name", flat=True))


def test_speech_is_analysed_under_consent_and_read_as_one_timeline(world: World, speech: bytes) -> None:
    scopes = (Scope.TRANSCRIBE, Scope.LANGUAGE, Scope.PROSODY, Scope.NONVERBAL, Scope.EMOTION)
    world.consent(*scopes)
    job = run(world.upload(speech, *scopes))
    assert (job.state, job.error_code, job.progress) == (AnalysisState.DONE, "", 1.0)

    timeline = reading.read_timeline(job, actor=ACTOR)

    types = {span.type.value for span in timeline.spans}
    assert {"utterance", "word", "prosody", "expression"} <= types
    assert timeline.languages[0]["language"] == "en"
    assert [span.start for span in timeline.spans] == sorted(span.start for span in timeline.spans)
    assert all(0 <= span.start <= span.end <= timeline.duration + 0.01 for span in timeline.spans)
    assert {model["scope"] for model in timeline.models} == {scope.value for scope in scopes}
    assert not next(model for model in timeline.models if model["scope"] == Scope.EMOTION)["validated"]
    assert {"stress", "wording", "delivery"} <= types
    json.dumps(timeline.as_json())
    assert "analysis:results:read" in events(world)


def test_what_rests_on_words_is_a_result_of_its_own_and_goes_with_them(world: World, speech: bytes) -> None:
    scopes = (Scope.TRANSCRIBE, Scope.PROSODY, Scope.EMOTION)
    world.consent(*scopes)
    job = run(world.upload(speech, *scopes))
    view = reading.read_results(job, actor=ACTOR)
    rests = {(result.model["name"], result.scope): set(result.rests_on) for result in view.results}
    words = {"speech.transcribe"}
    assert rests["prosody", "speech.prosody"] == {"speech.prosody"}
    assert rests["disfluency", "speech.prosody"] == {"speech.prosody"} | words
    assert rests["acoustic-arousal", "voice.emotion"] == rests["acoustic-states", "voice.emotion"] == {"voice.emotion"}
    assert rests["wording-and-delivery", "voice.emotion"] == {"voice.emotion"} | words

    withdrawal.withdraw(world.subject, scopes=[Scope.TRANSCRIBE], actor=ACTOR)

    left = {result.model["name"] for result in reading.read_results(job, actor=ACTOR).results}
    assert left == {"prosody", "acoustic-arousal", "acoustic-states"}


def test_without_words_nothing_is_said_about_wording_or_valence(world: World, speech: bytes) -> None:
    scopes = (Scope.LANGUAGE, Scope.PROSODY, Scope.EMOTION)
    world.consent(*scopes)
    timeline = reading.read_timeline(run(world.upload(speech, *scopes)), actor=ACTOR)
    types = {span.type.value for span in timeline.spans}
    assert "stress" in types
    assert not types & {"word", "utterance", "wording", "delivery", "incongruence", "repetition", "restart"}
    assert all(span.details["valence"] is None for span in timeline.spans if span.type == "expression")


def test_without_speech_language_the_language_is_not_returned(world: World, speech: bytes) -> None:
    world.consent(Scope.TRANSCRIBE)
    view = reading.read_results(run(world.upload(speech, Scope.TRANSCRIBE)), actor=ACTOR)
    assert [result.scope for result in view.results] == [Scope.TRANSCRIBE]
    assert "language" not in view.results[0].body


def test_a_translation_rests_on_its_own_scope_and_what_was_given_is_not_called_heard(
    world: World, speech: bytes
) -> None:
    scopes = (Scope.TRANSCRIBE, Scope.TRANSLATE, Scope.LANGUAGE)
    world.consent(*scopes)
    asked = dataclasses.replace(world.submission(*scopes), hints=Hints("en", "Sense and Sensibility.", ("Dashwood",)))
    recording = submission.create_recording(world.project, asked, actor=ACTOR)
    recording, _ = submission.receive_audio(recording, io.BytesIO(speech).read, len(speech), actor=ACTOR)
    job = run(recording)
    assert (job.state, job.error_code) == (AnalysisState.DONE, "")

    results = {result.scope: result for result in reading.read_results(job, actor=ACTOR).results}
    assert {scope: set(result.rests_on) for scope, result in results.items()} == {scope: {scope} for scope in scopes}
    assert results[Scope.LANGUAGE].body == {"language": "en", "language_probability": 1.0, "detected": False}
    for scope, task, prompt in ((Scope.TRANSCRIBE, "transcribe", True), (Scope.TRANSLATE, "translate", False)):
        parameters = results[scope].model["parameters"]
        assert (parameters["task"], parameters["prompt_given"]) == (task, prompt)
        assert (parameters["language_given"], parameters["hot_words_given"]) == (True, True)
    timeline = reading.read_timeline(job, actor=ACTOR)
    (translation, *_) = [span for span in timeline.spans if span.type is SpanType.TRANSLATION]
    assert translation.label
    assert set(results[Scope.TRANSLATE].body) == {"utterances"}

    withdrawal.withdraw(world.subject, scopes=[Scope.TRANSCRIBE], actor=ACTOR)

    left = reading.read_transcript(job, actor=ACTOR, task=Task.TRANSLATE)
    assert translation.label in left.text


def test_waiting_audio_goes_with_the_last_job(world: World, laugh: bytes) -> None:
    world.consent(Scope.NONVERBAL)
    recording = world.upload(laugh, Scope.NONVERBAL)
    blob = recording.waiting_audio
    assert storage.path_of(blob).exists()
    run(recording)
    shredding.carry_out_orders()
    recording.refresh_from_db()
    assert recording.waiting_audio == ""
    assert not storage.path_of(blob).exists()
    assert not DataKey.objects.filter(owner=recording.code).exists()
    with pytest.raises(AudioGone):
        submission.request_analysis(recording, [Scope.NONVERBAL], actor=ACTOR)


def test_audio_is_kept_only_where_everybody_granted_keeping_it(world: World, laugh: bytes) -> None:
    world.consent(Scope.NONVERBAL, Scope.AUDIO_STORE)
    recording = world.upload(laugh, Scope.NONVERBAL, Scope.AUDIO_STORE)
    run(recording)
    shredding.carry_out_orders()
    recording.refresh_from_db()
    assert storage.path_of(recording.kept_audio).exists()
    # Kept audio serves further jobs, and dies with the consent that kept it.
    again = submission.request_analysis(recording, [Scope.NONVERBAL], actor=ACTOR)
    pipeline.run(again.code)
    again.refresh_from_db()
    assert (again.state, again.error_code) == (AnalysisState.DONE, "")
    withdrawal.withdraw(world.subject, scopes=[Scope.AUDIO_STORE], actor=ACTOR)
    destruction.carry_out_orders()
    shredding.carry_out_orders()
    assert not storage.path_of(recording.kept_audio).exists()
    assert Recording.objects.get(pk=recording.pk).kept_audio == ""
    assert reading.read_results(again, actor=ACTOR).results


@pytest.mark.parametrize("point", [before_claim, while_decoding, between_engines, before_commit])
def test_withdrawal_at_each_step_discards_the_result(
    world: World, laugh: bytes, point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.consent(*QUICK)
    recording = world.upload(laugh, *QUICK)
    once: list[object] = []

    def withdraw() -> None:
        if not once:
            once.append(withdrawal.withdraw(world.subject, actor=ACTOR))

    point(monkeypatch, withdraw)
    job = run(recording)
    if job.state == AnalysisState.QUEUED:  # the next claim asks the gate again
        job = run(recording)

    assert once
    assert job.state == AnalysisState.DENIED
    assert not Result.objects.filter(analysis=job).exists()
    assert "analysis:results:committed" not in events(world)
    assert Recording.objects.get(pk=recording.pk).waiting_audio == ""


def test_a_job_goes_on_with_the_scopes_that_are_left(
    world: World, laugh: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.consent(*QUICK)
    recording = world.upload(laugh, *QUICK)
    before_commit(monkeypatch, lambda: _withdraw_once(world, Scope.NONVERBAL))
    assert run(recording).state == AnalysisState.QUEUED
    assert run(recording).state == AnalysisState.DONE
    assert list(Result.objects.filter(analysis__recording=recording).values_list("scope", flat=True)) == [Scope.PROSODY]


def _withdraw_once(world: World, scope: Scope) -> None:
    if gate.evaluate(world.ask(scope)).allowed:
        withdrawal.withdraw(world.subject, scopes=[scope], actor=ACTOR)


def test_a_withdrawn_scope_is_refused_at_the_next_read_and_the_rest_stays_readable(world: World, laugh: bytes) -> None:
    world.consent(*QUICK)
    job = run(world.upload(laugh, *QUICK))
    withdrawal.withdraw(world.subject, scopes=[Scope.PROSODY], actor=ACTOR)
    view = reading.read_results(job, actor=ACTOR)
    assert [result.scope for result in view.results] == [Scope.NONVERBAL]
    withdrawal.withdraw(world.subject, actor=ACTOR)
    with pytest.raises(ConsentDenied):
        reading.read_results(job, actor=ACTOR)
    destruction.carry_out_orders()
    assert not Result.objects.filter(analysis=job).exists()


def test_results_of_a_withdrawn_consent_stay_gone_when_consent_is_given_again(world: World, laugh: bytes) -> None:
    world.consent(Scope.NONVERBAL)
    job = run(world.upload(laugh, Scope.NONVERBAL))
    withdrawal.withdraw(world.subject, actor=ACTOR)
    world.consent(Scope.NONVERBAL, covers_recorded_from=job.recording.recorded_at)
    view = reading.read_results(job, actor=ACTOR)
    assert view.results == ()
    assert [item.reason for item in view.withheld] == ["destroyed"]


def test_two_workers_with_one_job_make_one_result(world: World, laugh: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second worker takes the job over after the first one's lease ran out; the first comes back late and loses."""
    world.consent(Scope.NONVERBAL)
    recording = world.upload(laugh, Scope.NONVERBAL)
    original = pipeline._commit
    overtaken: list[bool] = []

    def late(*args: object) -> None:
        if not overtaken:
            overtaken.append(True)
            Analysis.objects.filter(recording=recording).update(lease_until=timezone.now() - timedelta(seconds=1))
            pipeline.run(job_of(recording).code)
        original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "_commit", late)
    job = run(recording)
    assert job.state == AnalysisState.DONE
    assert job.fencing_token == 2
    assert Result.objects.filter(analysis=job).count() == 1
    assert events(world).count("analysis:results:committed") == 1


def test_a_held_job_cannot_be_claimed_and_an_old_token_writes_nothing(world: World, laugh: bytes) -> None:
    world.consent(Scope.NONVERBAL)
    job = job_of(world.upload(laugh, Scope.NONVERBAL))
    with transaction.atomic():
        first = claiming.claim(job.code)
    assert first is not None
    with transaction.atomic():
        assert claiming.claim(job.code) is None
    Analysis.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    with transaction.atomic():
        assert claiming.claim(job.code) is not None
    with pytest.raises(LeaseLost):
        claiming.report(first, Stage.DECODING, 0.5)


def test_a_cancelled_job_stops_at_its_next_check_and_commits_nothing(
    world: World, laugh: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.consent(*QUICK)
    recording = world.upload(laugh, *QUICK)

    def cancel() -> None:
        claiming.cancel(job_of(recording), actor=ACTOR)

    between_engines(monkeypatch, cancel)
    job = run(recording)
    assert job.state == AnalysisState.CANCELLED
    assert not Result.objects.filter(analysis=job).exists()
    assert Recording.objects.get(pk=recording.pk).waiting_audio == ""


def test_rubbish_fails_with_the_decoders_own_code_and_is_not_tried_again(world: World) -> None:
    world.consent(Scope.NONVERBAL)
    job = run(world.upload(b"this is no audio at all" * 100, Scope.NONVERBAL))
    assert job.state == AnalysisState.FAILED
    assert job.error_code.startswith("media_")
    assert job.attempts == 1


def test_a_poisonous_job_ends_after_a_few_attempts(world: World, laugh: bytes) -> None:
    world.consent(Scope.NONVERBAL)
    recording = world.upload(laugh, Scope.NONVERBAL)
    Analysis.objects.filter(recording=recording).update(attempts=claiming.MAX_ATTEMPTS)
    job = run(recording)
    assert (job.state, job.error_code) == (AnalysisState.FAILED, "attempts_exhausted")


def bells(job: Analysis) -> list[dict[str, Any]]:
    """The messages for a job that lie in the broker, as no worker runs: their headers."""
    with valkey.Valkey.from_url(os.environ["VALKEY_URL"]) as broker:
        messages = [json.loads(message)["headers"] for message in broker.lrange("model", 0, -1)]
    return [headers for headers in messages if job.code in headers["argsrepr"]]


def test_what_the_broker_lost_the_sweep_rings_for_again(world: World, laugh: bytes) -> None:
    world.consent(Scope.NONVERBAL)
    job = job_of(world.upload(laugh, Scope.NONVERBAL))
    with valkey.Valkey.from_url(os.environ["VALKEY_URL"]) as broker:
        broker.flushall()
    claiming.sweep(limit=10_000, ring_again_after=timedelta(0))
    assert len(bells(job)) == 1


def test_a_waiting_job_is_not_rung_again_until_its_bell_had_time_to_be_heard(world: World, laugh: bytes) -> None:
    world.consent(Scope.NONVERBAL)
    job = job_of(world.upload(laugh, Scope.NONVERBAL))
    for _ in range(4):
        claiming.sweep(limit=10_000)
    assert len(bells(job)) == 1
    Analysis.objects.filter(pk=job.pk).update(rung_at=timezone.now() - claiming.RING_AGAIN_AFTER)
    for _ in range(4):
        claiming.sweep(limit=10_000)
    assert len(bells(job)) == 2
    for headers in bells(job):
        void = datetime.fromisoformat(headers["expires"]) - timezone.now()
        assert timedelta(0) < void <= timedelta(seconds=60)


def test_a_job_put_back_for_later_is_rung_as_soon_as_it_is_due(world: World, laugh: bytes) -> None:
    world.consent(Scope.NONVERBAL)
    job = job_of(world.upload(laugh, Scope.NONVERBAL))
    held = claiming.claim(job.code)
    assert held is not None
    claiming.release(held, wait=timedelta(seconds=20), reason="busy")
    claiming.sweep(limit=10_000)
    assert len(bells(job)) == 1
    Analysis.objects.filter(pk=job.pk).update(due_at=timezone.now())
    claiming.sweep(limit=10_000)
    assert len(bells(job)) == 2


def test_results_of_an_unfinished_job_are_not_there(world: World, laugh: bytes) -> None:
    world.consent(Scope.NONVERBAL)
    with pytest.raises(NotFinished):
        reading.read_results(job_of(world.upload(laugh, Scope.NONVERBAL)), actor=ACTOR)


def test_each_persons_channel_is_heard_under_their_own_consent(world: World, data: Path) -> None:
    """A customer and an employee on two channels: both laugh, only the customer's laugh is found."""
    import wave

    import numpy as np

    with wave.open(str(data / "human" / "laugh-male1.wav")) as file:
        rate = file.getframerate()
        mono = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as stereo:
        stereo.setnchannels(2)
        stereo.setsampwidth(2)
        stereo.setframerate(rate)
        stereo.writeframes(np.column_stack([mono, mono]).tobytes())
    employee = world.another_subject()
    world.consent(Scope.NONVERBAL, Scope.PROSODY)
    world.consent(Scope.PROSODY, subject=employee)
    people = [
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, 0),
        gate.Participant(employee.code, ParticipantRole.EMPLOYEE, 1),
    ]
    recording = world.upload(buffer.getvalue(), Scope.PROSODY, people=people)
    Recording.objects.filter(pk=recording.pk).update(scopes=[Scope.NONVERBAL.value, Scope.PROSODY.value])
    Analysis.objects.filter(recording=recording).update(scopes=[Scope.NONVERBAL.value, Scope.PROSODY.value])
    view = reading.read_results(run(recording), actor=ACTOR)
    heard = {(result.scope, result.subjects, result.channels) for result in view.results}
    assert heard == {
        (Scope.NONVERBAL, (world.subject.code,), (0,)),
        (Scope.PROSODY, (world.subject.code,), (0,)),
        (Scope.PROSODY, (employee.code,), (1,)),
    }


def two_people(
    world: World, *scopes: Scope, channels: tuple[int | None, int | None]
) -> tuple[Subject, list[gate.Participant]]:
    """A customer and another person who both granted the scopes, on these channels."""
    other = world.another_subject()
    world.consent(*scopes)
    world.consent(*scopes, subject=other)
    return other, [
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channels[0]),
        gate.Participant(other.code, ParticipantRole.OTHER, channels[1]),
    ]


def test_a_channel_that_the_file_does_not_have_binds_nobody(world: World, laugh: bytes) -> None:
    """Two people declared on two channels, but the file is mono: whoever is left after a withdrawal is not alone on it."""
    other, people = two_people(world, Scope.NONVERBAL, channels=(0, 1))
    recording = world.upload(laugh, Scope.NONVERBAL, people=people)
    withdrawal.withdraw(other, actor=ACTOR)
    job = run(recording)
    assert job.state == AnalysisState.DENIED
    assert not Result.objects.filter(analysis=job).exists()
    decision = Decision.objects.get(code=job.decision)
    assert {denial["reason"] for denial in decision.denials} == {"withdrawn", "participant_unbound"}


def test_a_recording_of_somebody_who_was_erased_is_closed_for_the_others_too(world: World, laugh: bytes) -> None:
    other, people = two_people(world, Scope.NONVERBAL, channels=(None, None))
    waiting = submission.create_recording(world.project, world.submission(Scope.NONVERBAL, people=people), actor=ACTOR)
    queued = world.upload(laugh, Scope.NONVERBAL, people=people)
    destruction.carry_out(withdrawal.erase(other, actor=ACTOR).code)
    with pytest.raises(RecordingNotReceivable):
        submission.receive_audio(Recording.objects.get(pk=waiting.pk), io.BytesIO(laugh).read, len(laugh), actor=ACTOR)
    assert run(queued).state == AnalysisState.CANCELLED
    shredding.carry_out_orders()
    assert not DataKey.objects.filter(owner=queued.code).exists()
    assert Recording.objects.get(pk=queued.pk).state == RecordingState.CLOSED


def test_a_recording_deleted_at_the_last_moment_gets_no_results(
    world: World, laugh: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.consent(*QUICK, Scope.AUDIO_STORE)
    recording = world.upload(laugh, *QUICK, Scope.AUDIO_STORE)

    def delete() -> None:
        deletion.delete_recording(recording, actor=ACTOR)

    before_commit(monkeypatch, delete)
    job = run(recording)
    assert job.state == AnalysisState.CANCELLED
    assert not Result.objects.filter(analysis=job).exists()
    assert Recording.objects.get(pk=recording.pk).kept_audio == ""


def test_audio_that_came_in_under_a_new_consent_survives_an_older_withdrawals_order(world: World, laugh: bytes) -> None:
    world.consent(Scope.NONVERBAL)
    recording = submission.create_recording(world.project, world.submission(Scope.NONVERBAL), actor=ACTOR)
    order = withdrawal.withdraw(world.subject, actor=ACTOR).orders[0]
    world.consent(Scope.NONVERBAL, covers_recorded_from=recording.recorded_at)
    submission.receive_audio(recording, io.BytesIO(laugh).read, len(laugh), actor=ACTOR)
    destruction.carry_out(order)
    assert run(recording).state == AnalysisState.DONE


def test_one_persons_withdrawal_leaves_the_others_job_alone(world: World, laugh: bytes) -> None:
    other, people = two_people(world, Scope.NONVERBAL, channels=(0, 1))
    recording = world.upload(laugh, Scope.NONVERBAL, people=people)
    order = withdrawal.withdraw(other, actor=ACTOR).orders[0]
    destruction.carry_out(order)
    assert job_of(recording).state == AnalysisState.QUEUED
    assert Recording.objects.get(pk=recording.pk).waiting_audio


def test_a_denial_at_commit_is_not_lost_with_the_lease(
    world: World, laugh: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is checked before the gate is asked, so a worker that lost it records nothing that a rollback could take."""
    world.consent(Scope.NONVERBAL)
    recording = world.upload(laugh, Scope.NONVERBAL)

    def overtaken() -> None:
        withdrawal.withdraw(world.subject, actor=ACTOR)
        Analysis.objects.filter(recording=recording).update(fencing_token=99)

    before_commit(monkeypatch, overtaken)
    before = Decision.objects.filter(project=world.project, allowed=False).count()
    assert run(recording).state == AnalysisState.RUNNING
    assert Decision.objects.filter(project=world.project, allowed=False).count() == before


def test_consent_that_ends_before_the_commit_gets_no_result(
    world: World, laugh: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.consent(Scope.NONVERBAL, expires_at=timezone.now() + timedelta(hours=1))
    recording = world.upload(laugh, Scope.NONVERBAL)
    permits: list[gate.Permit] = []

    def too_late(permit: gate.Permit) -> bool:
        permits.append(permit)
        return False

    monkeypatch.setattr(gate, "valid_at_commit", too_late)
    job = run(recording)
    assert permits[0].valid_until is not None
    assert job.state == AnalysisState.QUEUED
    assert not Result.objects.filter(analysis=job).exists()


def test_a_bell_that_fails_after_the_commit_leaves_the_upload_whole(
    world: World, laugh: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(code: str) -> None:
        raise RuntimeError("the bell fell off")

    world.consent(Scope.NONVERBAL)
    monkeypatch.setattr("analysis.bell.ring", broken)
    recording = world.upload(laugh, Scope.NONVERBAL)
    assert recording.state == RecordingState.COMPLETE
    assert storage.path_of(recording.waiting_audio).exists()
    assert run(recording).state == AnalysisState.DONE


def test_a_recording_is_refused_with_every_missing_scope_before_a_byte_is_read(world: World) -> None:
    world.consent(Scope.NONVERBAL)
    with pytest.raises(ConsentDenied) as caught:
        submission.create_recording(world.project, world.submission(*QUICK, Scope.EMOTION), actor=ACTOR)
    assert {denial.scope for denial in caught.value.verdict.denials} == {Scope.PROSODY, Scope.EMOTION}
    assert not Recording.objects.filter(project=world.project).exists()
    assert Decision.objects.get(code=caught.value.decision).allowed is False


def test_consent_withdrawn_between_submission_and_upload_refuses_the_audio_unread(world: World) -> None:
    world.consent(Scope.NONVERBAL)
    recording = submission.create_recording(world.project, world.submission(Scope.NONVERBAL), actor=ACTOR)
    withdrawal.withdraw(world.subject, actor=ACTOR)

    def read(size: int) -> bytes:
        raise AssertionError("a byte was read")

    with pytest.raises(ConsentDenied):
        submission.receive_audio(recording, read, 100, actor=ACTOR)


def test_erasure_during_an_upload_keeps_nothing_of_it(world: World, laugh: bytes) -> None:
    world.consent(Scope.NONVERBAL)
    recording = submission.create_recording(world.project, world.submission(Scope.NONVERBAL), actor=ACTOR)
    body = memoryview(laugh)
    position = 0

    def read(size: int) -> bytes:
        nonlocal position
        if position == 0:
            withdrawal.erase(world.subject, actor=ACTOR)
        piece = bytes(body[position : position + size])
        position += len(piece)
        return piece

    before = SealedBlob.objects.count()
    with pytest.raises(ConsentDenied) as caught:
        submission.receive_audio(recording, read, len(laugh), actor=ACTOR)
    assert {denial.reason for denial in caught.value.verdict.denials} == {DenialReason.SUBJECT_ERASED}
    assert SealedBlob.objects.count() == before
    assert not Analysis.objects.filter(recording=recording).exists()


def test_a_body_that_is_empty_too_large_or_cut_short_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.conf import settings

    world.consent(Scope.NONVERBAL)
    recording = submission.create_recording(world.project, world.submission(Scope.NONVERBAL), actor=ACTOR)
    with pytest.raises(AudioEmpty):
        submission.receive_audio(recording, io.BytesIO(b"").read, 0, actor=ACTOR)
    with pytest.raises(AudioTruncated):
        submission.receive_audio(recording, io.BytesIO(b"half").read, 8, actor=ACTOR)
    monkeypatch.setattr(settings, "VOXGOV_MAX_AUDIO_BYTES", 10)
    with pytest.raises(AudioTooLarge):
        submission.receive_audio(recording, io.BytesIO(b"x" * 11).read, 11, actor=ACTOR)
    recording.refresh_from_db()
    assert recording.state == RecordingState.AWAITING_AUDIO
    _, job = submission.receive_audio(recording, io.BytesIO(b"x" * 10).read, 10, actor=ACTOR)
    assert job.state == AnalysisState.QUEUED
    with pytest.raises(RecordingNotReceivable):
        submission.receive_audio(recording, io.BytesIO(b"x" * 10).read, 10, actor=ACTOR)


def test_scopes_that_no_engine_answers_or_nobody_submitted_are_refused(world: World, laugh: bytes) -> None:
    world.consent(*Scope)
    with pytest.raises(ScopeWithoutEngine):
        submission.create_recording(world.project, world.submission(Scope.ACCENT), actor=ACTOR)
    recording = world.upload(laugh, Scope.NONVERBAL)
    with pytest.raises(ScopeOutsideRecording):
        submission.request_analysis(recording, [Scope.PROSODY], actor=ACTOR)


def test_an_upload_that_was_given_up_opens_again(world: World) -> None:
    world.consent(Scope.NONVERBAL)
    recording = submission.create_recording(world.project, world.submission(Scope.NONVERBAL), actor=ACTOR)
    Recording.objects.filter(pk=recording.pk).update(
        state=RecordingState.RECEIVING.value, receiving_until=timezone.now() - timedelta(seconds=1)
    )
    tidying.tidy()
    recording.refresh_from_db()
    assert recording.state == RecordingState.AWAITING_AUDIO


def test_a_deleted_recording_leaves_neither_audio_nor_results(world: World, laugh: bytes) -> None:
    world.consent(*QUICK, Scope.AUDIO_STORE)
    recording = world.upload(laugh, *QUICK, Scope.AUDIO_STORE)
    job = run(recording)
    kept = Recording.objects.get(pk=recording.pk).kept_audio
    deletion.delete_recording(recording, actor=ACTOR)
    shredding.carry_out_orders()
    assert not storage.path_of(kept).exists()
    assert not Result.objects.filter(analysis=job).exists()
    assert Recording.objects.get(pk=recording.pk).state == RecordingState.DELETED


def test_erasing_a_person_takes_their_recordings_with_them(world: World, laugh: bytes) -> None:
    from audit.models import EventReference

    world.consent(*QUICK)
    recording = world.upload(laugh, *QUICK)
    job = run(recording)
    order = withdrawal.erase(world.subject, actor=ACTOR)
    destruction.carry_out(order.code)
    shredding.carry_out_orders()
    assert not Recording.objects.filter(pk=recording.pk).exists()
    assert not Analysis.objects.filter(pk=job.pk).exists()
    codes = [world.subject.code, recording.code, job.code]
    assert not EventReference.objects.filter(code__in=codes).exists()
