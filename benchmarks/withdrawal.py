"""How long work that runs goes on after consent was withdrawn: a real worker process, real audio, every engine that the consent
allows. Consent is withdrawn at a random moment of each job; the clock runs from the withdrawal's commit until the worker let go
of the job, and a job that stopped must have committed nothing.
"""

import random
import time
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from django.conf import settings

from analysis.models import Analysis, Recording, Result
from analysis.states import AnalysisState
from benchmarks.figures import Figure, Say
from benchmarks.stage import ACTOR, LIBRIVOX, Stage, joined
from benchmarks.worker import Worker
from consent import withdrawal
from consent.vocabulary import Scope

PACKAGES = ("faster-whisper", "ctranslate2", "torch", "django")
SCOPES = (Scope.TRANSCRIBE, Scope.LANGUAGE, Scope.NONVERBAL, Scope.PROSODY, Scope.EMOTION)
SECONDS = 150.0
WITHDRAWALS = 24
PATIENCE = 120.0
_LOOK = 0.005


def run(say: Say) -> list[Figure]:
    """`withdraw_to_stop_p95_s`."""
    with TemporaryDirectory() as work:
        path = joined(sorted(LIBRIVOX.glob("*.wav")), Path(work) / "long.wav", rotate=0, at_least=SECONDS)
        stage = Stage(SCOPES)
        with Worker(settings.VAR_DIR / "log" / "bench-worker.log"):
            _undisturbed(stage, path)  # loads the models
            whole = _undisturbed(stage, path)
            say(f"undisturbed, a job on {SECONDS:.0f} s of speech takes {whole:.1f} s")
            stops: list[float] = []
            stages: dict[str, int] = {}
            while len(stops) < WITHDRAWALS:
                stopped = _withdrawn(stage, path, random.uniform(0.0, whole))
                if stopped is None:
                    say("the job was done before: drawn again")
                    continue
                stops.append(stopped[1])
                stages[stopped[0]] = stages.get(stopped[0], 0) + 1
                say(f"withdrawal {len(stops)}/{WITHDRAWALS}, while {stopped[0]}: stopped after {stopped[1]:.2f} s")
    p95 = quantiles(stops, n=20)[18]
    where = ", ".join(f"{name} {count}" for name, count in sorted(stages.items()))
    beside = f"{WITHDRAWALS} withdrawals in jobs of {whole:.1f} s ({where}); nothing was committed"
    return [
        Figure("withdraw_to_stop_p95_s", round(p95, 3), "s", beside),
        Figure("withdraw_to_stop_max_s", round(max(stops), 3), "s", f"p50 {median(stops):.3f} s"),
    ]


def _undisturbed(stage: Stage, path: Path) -> float:
    recording = stage.upload_file(stage.consenting(), path)
    _await(recording, AnalysisState.RUNNING)
    began = time.perf_counter()
    _await(recording, AnalysisState.DONE)
    return time.perf_counter() - began


def _withdrawn(stage: Stage, path: Path, after: float) -> tuple[str, float] | None:
    """The stage that a job was in when its consent was withdrawn, and the seconds until it stopped; None when it was done."""
    person = stage.consenting()
    recording = stage.upload_file(person, path)
    _await(recording, AnalysisState.RUNNING)
    time.sleep(after)
    before = Analysis.objects.get(recording=recording)
    withdrawal.withdraw(person, actor=ACTOR)
    began = time.perf_counter()
    while True:
        job = Analysis.objects.get(recording=recording)
        if job.state != AnalysisState.RUNNING or job.fencing_token != before.fencing_token:
            break
        if time.perf_counter() - began > PATIENCE:
            raise RuntimeError(f"a job goes on {PATIENCE:.0f} s after its consent was withdrawn")
        time.sleep(_LOOK)
    took = time.perf_counter() - began
    if job.state == AnalysisState.DONE:
        # Committed before the withdrawal: what it found is readable no more, and ordered destroyed.
        return None
    _await(recording, AnalysisState.DENIED)
    if Result.objects.filter(analysis=job).exists():
        raise RuntimeError("results were committed after consent was withdrawn")
    return str(before.stage), took


def _await(recording: Recording, state: AnalysisState) -> None:
    began = time.perf_counter()
    while (job := Analysis.objects.get(recording=recording)).state != state:
        ended = job.state in (AnalysisState.FAILED, AnalysisState.CANCELLED)
        if ended or time.perf_counter() - began > PATIENCE:
            raise RuntimeError(f"the job is {job.state}, not {state}: {job.error_code} {job.error_message}")
        time.sleep(_LOOK)
