"""Keeping a recording without somebody in it: their channel is silent, their key is not asked for, the others' consent decides."""

import io
import wave

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis import pipeline, rendition, submission
from analysis.audio import open_audio
from analysis.engines.clip import SAMPLE_RATE
from analysis.models import Analysis, Participant, Recording
from analysis.states import AnalysisState
from consent import destruction, gate, withdrawal
from consent.errors import ConsentDenied
from consent.models import Decision
from consent.vocabulary import Action, ParticipantRole, Scope
from tests.factories import ACTOR, World

Pcm = NDArray[np.int16]


def two_voices(seconds: float = 1.5) -> tuple[bytes, Pcm]:
    """A WAV file with two channels of noise at 16 kHz, and its samples."""
    samples = np.random.default_rng(7).integers(-9000, 9000, (int(seconds * SAMPLE_RATE), 2), dtype=np.int16)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.tobytes())
    return buffer.getvalue(), samples


def samples_of(audio: bytes) -> Pcm:
    with wave.open(io.BytesIO(audio)) as file:
        assert (file.getframerate(), file.getsampwidth()) == (SAMPLE_RATE, 2)
        return np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16).reshape(-1, file.getnchannels())


@pytest.fixture(autouse=True)
def _hear_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "listen", lambda *_: [])


def call_of_two(world: World, jurisdiction: str) -> tuple[Recording, Pcm]:
    """A recording in which the employee did not agree to its being kept, analysed."""
    employee = world.another_subject()
    world.consent(Scope.AUDIO_STORE, Scope.TRANSCRIBE)
    world.consent(Scope.TRANSCRIBE, subject=employee)
    people = (
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channel=0),
        gate.Participant(employee.code, ParticipantRole.EMPLOYEE, channel=1),
    )
    asked = world.ask(Scope.AUDIO_STORE, Scope.TRANSCRIBE, people=people, jurisdiction=jurisdiction)
    audio, samples = two_voices()
    recording = submission.create_recording(
        world.project,
        submission.Submission(
            asked.purpose, asked.context, jurisdiction, asked.recorded_at, asked.participants, asked.scopes
        ),
        actor=ACTOR,
    )
    submission.receive_audio(recording, io.BytesIO(audio).read, len(audio), actor=ACTOR)
    job = Analysis.objects.get(recording=recording)
    pipeline.run(job.code)
    job.refresh_from_db()
    assert (job.state, job.error_code) == (AnalysisState.DONE, "")
    return Recording.objects.get(pk=recording.pk), samples


def kept(recording: Recording, *scopes: Scope) -> Pcm:
    permit = gate.require(
        submission.gate_request(recording, scopes or [Scope.AUDIO_STORE]),
        action=Action.READ,
        actor=ACTOR,
        object_code=recording.code,
    )
    source = open_audio(recording, permit).source
    return samples_of(source.read(0, source.size))


def test_where_everyone_must_agree_a_recording_that_one_does_not_want_kept_is_refused(world: World) -> None:
    with pytest.raises(ConsentDenied):
        call_of_two(world, "DE")


def test_where_one_party_decides_the_other_is_masked_in_what_is_kept(world: World) -> None:
    recording, samples = call_of_two(world, "US-NY")
    heard = kept(recording)
    assert not heard[:, 1].any()
    assert np.abs(heard[:, 0].astype(int) - samples[: len(heard), 0]).max() <= 1
    assert len(heard) == len(samples)
    within = Participant.objects.filter(recording=recording, in_kept_audio=True)
    assert [person.subject for person in within] == [world.subject]
    decisions = Decision.objects.filter(project=world.project, action=Action.COMMIT.value)
    assert [o["participant"] for o in decisions.get().obligations] == [1]


def test_masked_audio_serves_another_job_and_goes_with_the_consent_of_whom_it_is_kept_for(world: World) -> None:
    recording, _ = call_of_two(world, "US-NY")
    again = submission.request_analysis(recording, [Scope.TRANSCRIBE], actor=ACTOR)
    pipeline.run(again.code)
    again.refresh_from_db()
    assert (again.state, again.error_code) == (AnalysisState.DONE, "")
    employee = Participant.objects.get(recording=recording, position=1).subject
    withdrawal.withdraw(employee, actor=ACTOR)
    destruction.carry_out_orders()
    assert Recording.objects.get(pk=recording.pk).kept_audio
    withdrawal.withdraw(world.subject, scopes=[Scope.AUDIO_STORE], actor=ACTOR)
    destruction.carry_out_orders()
    assert not Recording.objects.get(pk=recording.pk).kept_audio


def test_somebody_who_changes_their_mind_while_the_job_runs_is_not_in_what_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    employee = world.another_subject()
    world.consent(Scope.AUDIO_STORE, Scope.TRANSCRIBE)
    world.consent(Scope.AUDIO_STORE, Scope.TRANSCRIBE, subject=employee)
    people = (
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channel=0),
        gate.Participant(employee.code, ParticipantRole.EMPLOYEE, channel=1),
    )
    asked = world.ask(Scope.AUDIO_STORE, Scope.TRANSCRIBE, people=people, jurisdiction="US-TX")
    recording = submission.create_recording(
        world.project,
        submission.Submission(
            asked.purpose, asked.context, "US-TX", asked.recorded_at, asked.participants, asked.scopes
        ),
        actor=ACTOR,
    )
    audio, _ = two_voices()
    submission.receive_audio(recording, io.BytesIO(audio).read, len(audio), actor=ACTOR)

    def change_of_mind(*_: object) -> list[object]:
        monkeypatch.setattr(pipeline, "listen", lambda *_: [])
        withdrawal.withdraw(employee, scopes=[Scope.AUDIO_STORE], actor=ACTOR)
        return []

    monkeypatch.setattr(pipeline, "listen", change_of_mind)
    job = Analysis.objects.get(recording=recording)
    pipeline.run(job.code)
    job.refresh_from_db()
    assert job.state == AnalysisState.QUEUED
    pipeline.run(job.code)
    assert not kept(Recording.objects.get(pk=recording.pk))[:, 1].any()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_rendition_is_a_wav_file_in_which_only_the_named_channels_are_silent(count: int) -> None:
    generator = np.random.default_rng(count)
    channels = [generator.uniform(-1.2, 1.2, 40_000).astype(np.float32) for _ in range(count)]
    silent = {count - 1} if count > 1 else set()
    found = samples_of(b"".join(rendition.wav(channels, silent)))
    assert found.shape == (40_000, count)
    for channel, samples in enumerate(channels):
        expected = np.clip(np.round(samples * 32_767), -32_768, 32_767)
        assert (found[:, channel] == (0 if channel in silent else expected)).all()


def test_what_a_wav_file_cannot_hold_is_refused() -> None:
    endless = [np.broadcast_to(np.float32(0), 2**31)]
    assert not rendition.fits(endless)
    assert not rendition.fits([])
    with pytest.raises(ValueError, match="cannot hold"):
        next(rendition.wav(endless, ()))
