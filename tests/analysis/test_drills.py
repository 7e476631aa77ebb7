"""Kill drills: a worker goes dark at a random instant, the broker forgets everything. The job finishes, once.

`VOXGOV_DRILL_ROUNDS` says how often each drill is run: five by default, fifty by `deploy/test --drills`.
"""

import os
import random
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import valkey
from django.db import connections
from django.utils import timezone

from analysis import claiming
from analysis.models import Analysis, Recording, Result
from analysis.states import AnalysisState, Stage
from audit.models import Event, EventReference
from benchmarks.worker import Worker
from consent.vocabulary import Scope
from tests.factories import World, make_world

pytestmark = [pytest.mark.drill, pytest.mark.services, pytest.mark.models]
ROUNDS = int(os.environ.get("VOXGOV_DRILL_ROUNDS", "5"))
SCOPES = (Scope.NONVERBAL, Scope.PROSODY, Scope.EMOTION)
PATIENCE = 90.0


@pytest.fixture
def world() -> World:
    world = make_world()
    world.consent(*SCOPES)
    return world


@pytest.fixture
def speech(data: Path) -> bytes:
    return (data / "librivox" / "sense_and_sensibility_01_austen_64kb-0930.wav").read_bytes()


def await_state(recording: Recording, *states: AnalysisState) -> Analysis:
    began = time.monotonic()
    while True:
        job = Analysis.objects.get(recording=recording)
        if job.state in states:
            return job
        assert time.monotonic() - began < PATIENCE, f"the job is {job.state} in stage {job.stage}"
        time.sleep(0.01)


def committed(job: Analysis) -> int:
    """How often results of this job were committed, by the trail."""
    events = EventReference.objects.filter(kind="analysis", code=job.code).values_list("event_id", flat=True)
    return Event.objects.filter(pk__in=list(events), name="analysis:results:committed").count()


def assert_finished_once(recording: Recording) -> None:
    job = await_state(recording, AnalysisState.DONE, AnalysisState.FAILED, AnalysisState.DENIED)
    assert (job.state, job.error_code) == (AnalysisState.DONE, "")
    assert Result.objects.filter(analysis=job).count() == len(SCOPES)
    assert committed(job) == 1


def test_a_worker_killed_at_any_instant_loses_nothing_and_doubles_nothing(
    world: World, speech: bytes, var: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed_in: dict[str, int] = {}
    for number in range(ROUNDS):
        recording = world.upload(speech, *SCOPES)
        with Worker(var / "log" / "drill-worker.log") as worker:
            await_state(recording, AnalysisState.RUNNING, AnalysisState.DONE)
            # The first job of a worker also loads its models: the instants spread over loading, decoding, engines, commit.
            time.sleep(random.uniform(0.0, 4.0))
            worker.kill()
        job = Analysis.objects.get(recording=recording)
        killed_in[f"{job.state}/{job.stage}"] = killed_in.get(f"{job.state}/{job.stage}", 0) + 1
        assert committed(job) == (1 if job.state == AnalysisState.DONE else 0)
        # What a minute and a half of waiting would do: the lease of the dead worker has run out.
        Analysis.objects.filter(pk=job.pk, state=AnalysisState.RUNNING).update(
            lease_until=timezone.now() - timedelta(seconds=1)
        )
        with Worker(var / "log" / "drill-worker.log"):
            claiming.sweep(ring_again_after=timedelta(0))
            assert_finished_once(recording)
        with capsys.disabled():
            print(f"\n  worker killed, round {number + 1}/{ROUNDS}: was {job.state}/{job.stage}, finished once", end="")
    with capsys.disabled():
        print(f"\n  {ROUNDS} rounds; killed in {killed_in}")


def test_a_flushed_broker_loses_no_job(
    world: World, speech: bytes, var: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker: Any = valkey.Valkey.from_url(os.environ["VALKEY_URL"])
    with Worker(var / "log" / "drill-worker.log"):
        for number in range(ROUNDS):
            recordings = [world.upload(speech, *SCOPES) for _ in range(2)]
            broker.flushall()
            claiming.sweep(ring_again_after=timedelta(0))
            for recording in recordings:
                assert_finished_once(recording)
            with capsys.disabled():
                print(f"\n  broker flushed, round {number + 1}/{ROUNDS}: both jobs finished once", end="")
    broker.close()


def test_a_database_that_drops_every_connection_loses_no_job(
    world: World,
    speech: bytes,
    var: Path,
    superuser: Callable[[str], list[tuple[object, ...]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What a restart of the database is to its clients, at any instant of a job."""
    dropped_in: dict[str, int] = {}
    with Worker(var / "log" / "drill-worker.log"):
        for number in range(ROUNDS):
            recording = world.upload(speech, *SCOPES)
            await_state(recording, AnalysisState.RUNNING, AnalysisState.DONE)
            time.sleep(random.uniform(0.0, 1.0))
            connections.close_all()
            superuser("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'voxgov_app'")
            job = Analysis.objects.get(recording=recording)
            dropped_in[f"{job.state}/{job.stage}"] = dropped_in.get(f"{job.state}/{job.stage}", 0) + 1
            began = time.monotonic()
            while Analysis.objects.get(pk=job.pk).state != AnalysisState.DONE:
                assert time.monotonic() - began < PATIENCE
                # What waiting would do: the lease of the job that nobody could put back has run out.
                Analysis.objects.filter(
                    pk=job.pk, state=AnalysisState.RUNNING, lease_until__lt=timezone.now() + timedelta(seconds=80)
                ).update(lease_until=timezone.now() - timedelta(seconds=1))
                claiming.sweep(ring_again_after=timedelta(seconds=5))
                time.sleep(0.5)
            assert_finished_once(recording)
            with capsys.disabled():
                print(f"\n  connections dropped, round {number + 1}/{ROUNDS}: the job finished once", end="")
    with capsys.disabled():
        print(f"\n  {ROUNDS} rounds; dropped in {dropped_in}")


def test_a_running_job_shows_progress_and_its_stage(world: World, speech: bytes, var: Path) -> None:
    recording = world.upload(speech, *SCOPES)
    seen: set[str] = set()
    fractions: list[float] = []
    with Worker(var / "log" / "drill-worker.log"):
        began = time.monotonic()
        while (job := Analysis.objects.get(recording=recording)).state != AnalysisState.DONE:
            assert time.monotonic() - began < PATIENCE
            seen.add(job.stage)
            fractions.append(job.progress)
            time.sleep(0.005)
    assert seen - {Stage.WAITING.value, Stage.FINISHED.value}
    assert fractions == sorted(fractions)
