"""Reading kept audio: without personal data, or not at all."""

import io
import json
import time
import wave
from collections.abc import Sequence
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from accounts.roles import Role
from analysis import pipeline, redacted_audio, rendition, submission
from analysis.engines.clip import SAMPLE_RATE, ModelIdentity
from analysis.listening import Finding
from analysis.models import Analysis, Recording
from analysis.plan import Hearing
from analysis.redaction.blanking import MARGIN, Fill
from analysis.states import AnalysisState
from audit.events import EventName
from audit.models import Event
from consent import destruction, gate, withdrawal
from consent.models import Decision
from consent.vocabulary import ParticipantRole, Scope
from tests.analysis.redaction.test_rewriting import transcript
from tests.callers import Answer, Caller
from tests.factories import ACTOR, World
from vault import shredding
from vault.errors import KeyShredded

SAID = "so my name is Anna Miller, thanks"
FIRST, LAST = 1.6 - MARGIN, 2.3 + MARGIN
"""Seconds that are taken out of it."""
MODEL = ModelIdentity("a model", "1", "0" * 64, "MIT", "permissive", False)
Pcm = NDArray[np.int16]


def noise(channels: int, rate: int = 22_050, seconds: float = 4.0) -> Pcm:
    return np.random.default_rng(3).integers(-9000, 9000, (int(seconds * rate), channels), dtype=np.int16)


def wav(samples: Pcm, rate: int = 22_050) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def flac(samples: Pcm, rate: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate)
        assert isinstance(stream, av.AudioStream)
        layout = "mono" if samples.shape[1] == 1 else "stereo"
        stream.codec_context.layout = layout
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def opened(answer: Answer) -> tuple[Pcm, int]:
    assert answer.status == 200, answer
    assert (answer.kind, answer.headers["Cache-Control"]) == ("audio/wav", "no-store")
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    with wave.open(io.BytesIO(answer.content)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)
        return samples.reshape(-1, file.getnchannels()), file.getframerate()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> dict[int, str]:
    """What is heard on each channel; the engines are replaced by this, and nothing else is."""
    texts: dict[int, str] = {0: SAID, 1: "and how may I help you, Anna?"}

    def listen(_channels: object, hearings: Sequence[Hearing], _checkpoints: object, _hints: object) -> list[Finding]:
        return [
            Finding(one, Scope.TRANSCRIBE, frozenset({Scope.TRANSCRIBE}), transcript(texts[one.channels[0]]), MODEL)
            for one in hearings
            if Scope.TRANSCRIBE in one.scopes
        ]

    monkeypatch.setattr(pipeline, "listen", listen)
    return texts


def analysed(recording: Recording) -> Recording:
    job = Analysis.objects.get(recording=recording)
    pipeline.run(job.code)
    job.refresh_from_db()
    assert (job.state, job.error_code) == (AnalysisState.DONE, "")
    shredding.carry_out_orders()
    return Recording.objects.get(pk=recording.pk)


def kept(world: World, audio: bytes, **more: Any) -> Recording:
    world.consent(Scope.AUDIO_STORE, Scope.TRANSCRIBE)
    return analysed(world.upload(audio, Scope.AUDIO_STORE, Scope.TRANSCRIBE, **more))


def path(recording: Recording, query: str = "redact=true") -> str:
    return f"/v1/recordings/{recording.code}/audio?{query}"


@pytest.mark.parametrize("fill", ["tone", "silence"])
def test_a_wav_file_comes_back_bit_by_bit_but_for_the_words(
    world: World, operator: Caller, said: dict[int, str], fill: str
) -> None:
    samples = noise(2)
    recording = kept(world, wav(samples))
    heard, rate = opened(operator.get(path(recording, f"redact=true&fill={fill}")))
    assert rate == 22_050
    first, last = int(FIRST * rate), int(np.ceil(LAST * rate))
    assert (heard[:first] == samples[:first]).all()
    assert (heard[last:] == samples[last:]).all()
    middle = heard[first:last].astype(float)
    if fill == "silence":
        assert not middle.any()
    else:
        assert (middle[:, 0] == middle[:, 1]).all()
        spectrum = np.abs(np.fft.rfft(middle[:, 0]))
        loudest = np.fft.rfftfreq(len(middle), 1 / rate)[spectrum.argmax()]
        assert abs(loudest - 1000) < 2
        assert np.abs(middle).max() < 3300


def test_other_formats_are_decoded_first(world: World, operator: Caller, said: dict[int, str]) -> None:
    samples = noise(1, 16_000)
    recording = kept(world, flac(samples))
    heard, rate = opened(operator.get(path(recording, "redact=true&fill=silence")))
    assert (rate, len(heard)) == (SAMPLE_RATE, len(samples))
    first, last = int(FIRST * rate), int(np.ceil(LAST * rate))
    plain = (samples[:, 0] / np.float32(32768)).astype(np.float32)
    expected = np.frombuffer(b"".join(rendition.frames([plain], ())), dtype="<i2").reshape(-1, 1)
    assert (heard[:first] == expected[:first]).all()
    assert (heard[last:] == expected[last:]).all()
    assert not heard[first:last].any()
    # The decoder is free again.
    assert operator.get(path(recording)).status == 200


def test_it_is_on_the_trail_with_both_decisions(world: World, operator: Caller, said: dict[int, str]) -> None:
    recording = kept(world, wav(noise(1)))
    before = Decision.objects.filter(project=world.project, action="read").count()
    operator.get(path(recording))
    event = Event.objects.get(log=world.organization.code, name=EventName.AUDIO_READ.value)
    entry = json.loads(bytes(event.entry))
    assert entry["detail"] == {"redacted": True, "fill": "tone", "opened": ["0 audio.store"]}
    looks = Caller(world.project, Role.DATA_PROTECTION_OFFICER).get(f"/v1/subjects/{world.subject.code}/access").body
    assert [(look["kind"], look["object"]["code"], look["scopes"]) for look in looks["results"]] == [
        ("audio", recording.code, ["audio.store"])
    ]
    assert [one["kind"] for one in entry["objects"]].count("decision") == 2
    assert Decision.objects.filter(project=world.project, action="read").count() == before + 2


@pytest.mark.parametrize(
    "query",
    ["redact=false", "redact=", "redact=maybe", "redact=true&fill=music", "redact=true&types=name"],
)
def test_audio_leaves_redacted_or_not_at_all(world: World, operator: Caller, said: dict[int, str], query: str) -> None:
    recording = kept(world, wav(noise(1)))
    answer = operator.get(path(recording, query))
    assert (answer.status, answer.kind) == (400, "application/problem+json")
    assert not Event.objects.filter(log=world.organization.code, name=EventName.AUDIO_READ.value).exists()


def test_audio_that_is_not_kept_is_gone_even_while_a_job_waits_for_it(world: World, operator: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    recording = world.upload(wav(noise(1)), Scope.TRANSCRIBE)
    answer = operator.get(path(recording))
    assert (answer.status, answer.body["code"]) == (410, "audio_gone")


def test_without_consent_for_words_or_for_keeping_nothing_leaves(
    world: World, operator: Caller, said: dict[int, str]
) -> None:
    recording = kept(world, wav(noise(1)))
    withdrawal.withdraw(world.subject, scopes=[Scope.TRANSCRIBE], actor=ACTOR)
    answer = operator.get(path(recording))
    assert (answer.status, answer.body["code"]) == (403, "consent_denied")
    assert answer.body["missing_scopes"] == ["speech.transcribe"]
    assert Decision.objects.get(code=answer.body["decision"]).allowed is False
    withdrawal.withdraw(world.subject, scopes=[Scope.AUDIO_STORE], actor=ACTOR)
    assert operator.get(path(recording)).body["missing_scopes"] == ["audio.store"]
    destruction.carry_out_orders()
    shredding.carry_out_orders()
    assert operator.get(path(recording)).body["code"] == "audio_gone"


def test_a_transcript_that_was_destroyed_does_not_come_back_with_new_consent(
    world: World, operator: Caller, said: dict[int, str]
) -> None:
    recording = kept(world, wav(noise(1)))
    withdrawal.withdraw(world.subject, scopes=[Scope.TRANSCRIBE], actor=ACTOR)
    world.consent(Scope.TRANSCRIBE, covers_recorded_from=recording.recorded_at)
    answer = operator.get(path(recording))
    assert (answer.status, answer.body["code"]) == (409, "redaction_impossible")


def two_people(world: World, other: Any) -> list[gate.Participant]:
    return [
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channel=0),
        gate.Participant(other.code, ParticipantRole.EMPLOYEE, channel=1),
    ]


def test_one_voice_without_a_transcript_holds_the_whole_recording_back(
    world: World, operator: Caller, said: dict[int, str]
) -> None:
    other = world.another_subject()
    world.consent(Scope.AUDIO_STORE, Scope.TRANSCRIBE, subject=other)
    recording = kept(world, wav(noise(2)), people=two_people(world, other))
    assert operator.get(path(recording)).status == 200
    withdrawal.withdraw(other, scopes=[Scope.TRANSCRIBE], actor=ACTOR)
    answer = operator.get(path(recording))
    assert (answer.status, answer.body["code"]) == (409, "redaction_impossible")
    assert Event.objects.filter(log=world.organization.code, name=EventName.AUDIO_READ.value).count() == 1


def test_where_one_party_decides_audio_with_somebody_who_no_longer_wants_it_kept_is_gone_at_once(
    world: World, operator: Caller, said: dict[int, str]
) -> None:
    other = world.another_subject()
    world.consent(Scope.AUDIO_STORE, Scope.TRANSCRIBE, subject=other)
    recording = kept(world, wav(noise(2)), people=two_people(world, other))
    Recording.objects.filter(pk=recording.pk).update(jurisdiction="US-NY")
    withdrawal.withdraw(other, scopes=[Scope.AUDIO_STORE], actor=ACTOR)
    assert Recording.objects.get(pk=recording.pk).kept_audio
    answer = operator.get(path(recording))
    assert (answer.status, answer.body["code"]) == (410, "audio_gone")


def test_somebody_whom_the_kept_audio_leaves_out_needs_no_transcript(
    world: World, operator: Caller, said: dict[int, str]
) -> None:
    other = world.another_subject()
    world.consent(Scope.TRANSCRIBE, subject=other)
    world.consent(Scope.AUDIO_STORE, Scope.TRANSCRIBE)
    asked = world.ask(Scope.AUDIO_STORE, Scope.TRANSCRIBE, people=two_people(world, other), jurisdiction="US-NY")
    recording = submission.create_recording(
        world.project,
        submission.Submission(
            asked.purpose, asked.context, asked.jurisdiction, asked.recorded_at, asked.participants, asked.scopes
        ),
        actor=ACTOR,
    )
    audio = wav(noise(2))
    submission.receive_audio(recording, io.BytesIO(audio).read, len(audio), actor=ACTOR)
    recording = analysed(recording)
    withdrawal.withdraw(other, actor=ACTOR)
    heard, rate = opened(operator.get(path(recording, "redact=true&fill=silence")))
    assert rate == SAMPLE_RATE
    assert not heard[:, 1].any()
    assert heard[: int(FIRST * rate), 0].any()
    assert not heard[int(FIRST * rate) : int(LAST * rate), 0].any()


def test_words_of_each_are_taken_out_of_every_channel(world: World, operator: Caller, said: dict[int, str]) -> None:
    other = world.another_subject()
    world.consent(Scope.AUDIO_STORE, Scope.TRANSCRIBE, subject=other)
    samples = noise(2)
    recording = kept(world, wav(samples), people=two_people(world, other))
    heard, rate = opened(operator.get(path(recording, "redact=true&fill=silence")))
    silent = np.asarray(~heard.any(axis=1))
    # "Anna?" stands at 2.4 s on the other channel: one stretch with the name on this one.
    assert not silent[: int(FIRST * rate)].any()
    assert silent[int(FIRST * rate) + 1 : int((2.7 + MARGIN) * rate)].all()
    assert not silent[int((2.7 + MARGIN) * rate) + 1 :].any()


def test_of_two_decodings_at_once_the_second_is_asked_to_come_back(
    world: World, operator: Caller, said: dict[int, str]
) -> None:
    recording = kept(world, flac(noise(1, 16_000)))
    first = redacted_audio.read_audio(recording, fill=Fill.TONE, actor=ACTOR)
    try:
        busy = operator.get(path(recording))
        assert (busy.status, busy.body["code"]) == (503, "redaction_unavailable")
        assert busy.headers["Retry-After"]
    finally:
        first.close()
    assert operator.get(path(recording)).status == 200


def test_what_is_too_long_to_decode_meanwhile_is_refused(
    world: World, operator: Caller, said: dict[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = kept(world, flac(noise(1, 16_000)))
    monkeypatch.setattr(redacted_audio, "LONGEST_DECODED", 2.0)
    answer = operator.get(path(recording))
    assert (answer.status, answer.body["code"]) == (422, "redaction_too_long")


def test_a_withdrawal_while_it_is_read_ends_it(world: World, said: dict[int, str]) -> None:
    recording = kept(world, wav(noise(2, 48_000, 60.0), 48_000))
    audio = redacted_audio.read_audio(recording, fill=Fill.TONE, actor=ACTOR)
    next(audio)
    next(audio)
    withdrawal.withdraw(world.subject, scopes=[Scope.AUDIO_STORE], actor=ACTOR)
    time.sleep(1.1)
    with pytest.raises(KeyShredded):
        for _ in audio:
            pass
