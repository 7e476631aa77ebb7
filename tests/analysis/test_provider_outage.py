"""Jobs while the key provider is away: they wait, however long it takes, and go on when it is back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from analysis import claiming, pipeline
from analysis.keeping import keep_audio
from analysis.models import Analysis, Result
from analysis.plan import Keeping
from analysis.states import AnalysisState
from audit.models import Event
from consent.vocabulary import Scope
from tests.factories import World
from tests.vault.test_sealing import restart
from vault.models import SealedBlob

NO_AUDIO = b"this is no audio at all" * 100
"""The decoder refuses it: a job that gets so far has opened its recording."""


@contextmanager
def outage() -> Iterator[None]:
    keyring = Path(settings.VOXGOV_KEY_PROVIDER["path"])
    away = keyring.with_suffix(".away")
    keyring.rename(away)
    restart()
    try:
        yield
    finally:
        away.rename(keyring)
        restart()


def run(job: Analysis) -> Analysis:
    Analysis.objects.filter(pk=job.pk).update(due_at=timezone.now())
    pipeline.run(job.code)
    job.refresh_from_db()
    return job


def test_a_job_waits_out_an_outage_of_any_length_and_then_runs(world: World) -> None:
    world.consent(Scope.NONVERBAL)
    recording = world.upload(NO_AUDIO, Scope.NONVERBAL)
    job = Analysis.objects.get(recording=recording)
    waits = []
    with outage():
        for _ in range(2 * claiming.MAX_ATTEMPTS):
            run(job)
            waits.append(job.due_at - timezone.now())
            assert (job.state, job.error_code, job.attempts) == (AnalysisState.QUEUED, "", 0)
    assert waits[0] < timedelta(seconds=3)
    assert timedelta(seconds=28) < waits[-1] <= pipeline.LONGEST_WAIT == timedelta(seconds=30)
    recording.refresh_from_db()
    assert SealedBlob.objects.filter(code=recording.waiting_audio).exists()
    assert not Result.objects.filter(analysis=job).exists()
    reasons = Event.objects.filter(log=world.organization.code, name="analysis:job:requeued")
    assert reasons.count() == len(waits)

    run(job)
    assert (job.state, job.attempts) == (AnalysisState.FAILED, 1)
    assert job.error_code.startswith("media_")


def test_an_outage_in_the_middle_leaves_nothing_half_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job has heard its recording, and the provider goes before the audio is kept."""
    world.consent(Scope.NONVERBAL, Scope.AUDIO_STORE)
    recording = world.upload(NO_AUDIO, Scope.NONVERBAL, Scope.AUDIO_STORE)
    job = Analysis.objects.get(recording=recording)
    blobs = SealedBlob.objects.count()

    def keep(held: pipeline._Job) -> None:
        with outage():
            as_uploaded = Keeping(held.request.participants, frozenset())
            keep_audio(held.recording, held.permit, as_uploaded, (), lambda fraction: None, hearings=())

    monkeypatch.setattr(pipeline, "_work", keep)
    run(job)
    assert (job.state, job.attempts) == (AnalysisState.QUEUED, 0)
    assert SealedBlob.objects.count() == blobs
