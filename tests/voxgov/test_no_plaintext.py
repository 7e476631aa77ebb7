"""Nothing that a person said lies in the clear: during a slow upload, while decoding, after SIGKILL of each, at the end."""

import io
import secrets
import time
import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.roles import Role
from analysis import listening, pipeline, submission
from analysis.engines.clip import ModelIdentity
from analysis.models import Analysis, Recording
from analysis.plan import Hearing
from analysis.states import AnalysisState, RecordingState, Stage
from analysis.transcription_hints import Hints
from benchmarks.worker import Worker
from consent.vocabulary import Scope
from tests.factories import ACTOR, World, make_client, make_world
from tests.processes import SlowUpload, Web
from tests.scanner import Scanner

pytestmark = pytest.mark.services


def noise(seconds: int) -> bytes:
    """A WAV file of random samples: incompressible, so that any stretch of it is a canary."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(secrets.token_bytes(seconds * 32_000))
    return buffer.getvalue()


def with_place(wav: bytes, place: bytes) -> bytes:
    """The file with a comment in it, where recorders write their position (RIFF INFO list)."""
    info = b"INFO" + b"ICMT" + len(place).to_bytes(4, "little") + place
    whole = wav[8:] + b"LIST" + len(info).to_bytes(4, "little") + info
    return b"RIFF" + len(whole).to_bytes(4, "little") + whole


def canaries_of(audio: bytes) -> list[bytes]:
    """Stretches from the beginning, the middle and the end."""
    return [audio[at : at + 24] for at in (100, len(audio) // 3, len(audio) // 2, len(audio) - 60)]


def drafts_of(recording: Recording, var: Path) -> list[Path]:
    """What is being written of its audio."""
    recording.refresh_from_db()
    return list((var / "blobs").rglob(f"{recording.receiving_blob}.draft")) if recording.receiving_blob else []


@pytest.fixture
def world() -> World:
    world = make_world()
    world.consent(Scope.TRANSCRIBE, Scope.PROSODY, Scope.AUDIO_STORE)
    return world


@pytest.fixture
def scanner(var: Path, superuser: Callable[[str], object]) -> Scanner:
    """Before each search the database writes out everything that it still holds in memory."""
    return Scanner(var, settle=lambda: superuser("CHECKPOINT"))


def test_the_scanner_finds_a_canary_in_a_table_a_log_line_a_file_and_the_broker(scanner: Scanner, var: Path) -> None:
    import os

    import valkey

    planted = [secrets.token_bytes(24) for _ in range(4)]
    assert scanner.find(planted) == []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_session VALUES (%s, %s, now())", [secrets.token_hex(20), planted[0].hex()])
    log, file = var / "log" / "planted.log", var / "tmp" / "planted"
    log.write_bytes(b"somebody said " + planted[1] + b"\n")
    file.write_bytes(planted[2])
    broker: Any = valkey.Valkey.from_url(os.environ["VALKEY_URL"])
    broker.set("planted", planted[3])
    try:
        assert any("postgres" in place for place in scanner.find([planted[0].hex().encode()]))
        assert scanner.find([planted[1]]) == ["log/planted.log"]
        assert scanner.find([planted[2]]) == ["tmp/planted"]
        assert scanner.find([planted[3]]) == ["broker:planted"]
    finally:
        log.unlink()
        file.unlink()
        broker.delete("planted")
        broker.close()


def test_nothing_lies_in_the_clear_during_a_slow_upload_nor_after_the_web_server_is_killed(
    world: World, scanner: Scanner, var: Path
) -> None:
    audio = noise(seconds=90)
    canaries = canaries_of(audio)
    _, token = make_client(world.project, Role.OPERATOR)
    recording = submission.create_recording(world.project, world.submission(Scope.TRANSCRIBE), actor=ACTOR)
    with Web(var / "log" / "web-test.log") as web:
        upload = SlowUpload(web, f"/v1/recordings/{recording.code}/audio", token, len(audio))
        for start in range(0, len(audio) * 3 // 4, 400_000):
            upload.send(audio[start : start + 400_000])
            time.sleep(0.05)
        began = time.monotonic()
        while not drafts_of(recording, var):
            assert time.monotonic() - began < 60, "the server did not begin to read"
            time.sleep(0.05)
        assert Recording.objects.get(pk=recording.pk).state == RecordingState.RECEIVING
        assert scanner.find(canaries) == []
        web.kill()
    assert scanner.find(canaries) == []
    assert Recording.objects.get(pk=recording.pk).state != RecordingState.COMPLETE


def test_nothing_lies_in_the_clear_while_a_worker_decodes_nor_after_it_is_killed(
    world: World, scanner: Scanner, var: Path
) -> None:
    audio = noise(seconds=1200)
    canaries = canaries_of(audio)
    recording = world.upload(audio, Scope.TRANSCRIBE, Scope.PROSODY)
    with Worker(var / "log" / "worker-test.log") as worker:
        job = Analysis.objects.get(recording=recording)
        began = time.monotonic()
        while Analysis.objects.get(pk=job.pk).stage in (Stage.WAITING,):
            assert time.monotonic() - began < 60, "no worker took the job"
            time.sleep(0.02)
        looks = 0
        while looks < 3 and Analysis.objects.get(pk=job.pk).state == AnalysisState.RUNNING:
            assert scanner.find(canaries) == []
            looks += 1
        assert looks > 0
        worker.kill()
    assert scanner.find(canaries) == []


def test_nothing_lies_in_the_clear_at_the_end_neither_audio_nor_transcript_nor_prompt_nor_where_it_was_recorded(
    world: World, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, place, prompt = secrets.token_hex(32), secrets.token_hex(32), secrets.token_hex(32)
    audio = with_place(noise(seconds=3), place.encode())

    def hear_a_canary(
        channels: object, hearings: list[Hearing], checkpoints: object, hints: Hints
    ) -> list[listening.Finding]:
        assert hints.prompt == prompt
        model = ModelIdentity("canary", "1", "0" * 64, "none", "open", validated=False)
        body = {"utterances": [{"start": 0.0, "end": 1.0, "text": said, "words": []}]}
        return [
            listening.Finding(hearing, Scope.TRANSCRIBE, frozenset({Scope.TRANSCRIBE}), body, model)
            for hearing in hearings
        ]

    monkeypatch.setattr(pipeline, "listen", hear_a_canary)
    scopes = (Scope.TRANSCRIBE, Scope.AUDIO_STORE)
    asked = replace(world.submission(*scopes), hints=Hints(prompt=prompt, hot_words=(prompt[:40],)))
    recording = submission.create_recording(world.project, asked, actor=ACTOR)
    assert scanner.find([prompt.encode(), prompt[:40].encode()]) == []
    recording, _ = submission.receive_audio(recording, io.BytesIO(audio).read, len(audio), actor=ACTOR)
    job = Analysis.objects.get(recording=recording)
    pipeline.run(job.code)
    job.refresh_from_db()
    assert job.state == AnalysisState.DONE
    assert Recording.objects.get(pk=recording.pk).kept_audio
    assert job.results.count() == 1
    assert scanner.find([*canaries_of(audio), said.encode(), place.encode(), prompt[:40].encode()]) == []
