"""Governed throughput against bare faster-whisper, on the same clips, weights, beam and threads, in the same run.

Governed means everything: real worker process, claim, gate, range decryption, sandboxed decoding, voice activity, words
with times, sealing, commit. Bare means one process that calls faster-whisper on the plain files, one after the other.
Rounds alternate, and the fastest round of each counts, because other work on a machine only ever makes a round slower.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from analysis import claiming
from analysis.models import Analysis
from analysis.states import AnalysisState
from benchmarks.figures import Figure, Say
from benchmarks.stage import LIBRIVOX, Stage, joined, seconds_of
from benchmarks.worker import ROOT, Worker
from consent.vocabulary import Scope
from voxgov.celery import app

PACKAGES = ("faster-whisper", "ctranslate2", "torch", "cryptography")
SHORT_CLIPS = 40
LONG_SECONDS = 150.0
ROUNDS = 2
SWEEP_EVERY = 5.0


def run(say: Say) -> list[Figure]:
    """`short_ratio`: a queue of 40 short clips, first bell to last commit. `long_ratio`: recordings over two minutes."""
    # Plain audio lies in no directory of voxgov's, and not longer than it is needed.
    with TemporaryDirectory() as work:
        return _compare(say, Path(work))


def _compare(say: Say, work: Path) -> list[Figure]:
    clips = sorted(LIBRIVOX.glob("*.wav"))
    short = [clips[index % len(clips)] for index in range(SHORT_CLIPS)]
    long = [joined(clips, work / f"long{number}.wav", rotate=number, at_least=LONG_SECONDS) for number in range(2)]
    governed = _Governed()
    with Worker(settings.VAR_DIR / "log" / "bench-worker.log") as worker:
        governed.run(worker, [clips[0]])  # loads the models
        bare = _Bare()
        try:
            figures = []
            for name, queue in (("short", short), ("long", long)):
                governed_s, bare_s = [], []
                for number in range(ROUNDS):
                    bare_s.append(bare.run(queue))
                    governed_s.append(governed.run(worker, queue))
                    say(f"{name} round {number + 1}: bare {bare_s[-1]:.2f} s, governed {governed_s[-1]:.2f} s")
                audio = sum(seconds_of(path) for path in queue)
                figures.append(
                    Figure(
                        f"{name}_ratio",
                        round(min(bare_s) / min(governed_s), 4),
                        "times bare throughput",
                        "bare faster-whisper, sequential, word times",
                        round(min(bare_s) / min(governed_s), 4),
                    )
                )
                figures.append(
                    Figure(
                        f"{name}_governed_x_realtime",
                        audio / min(governed_s),
                        "s of audio per s",
                        f"bare {audio / min(bare_s):.2f}",
                        min(bare_s) / min(governed_s),
                    )
                )
            return figures
        finally:
            bare.close()


class _Governed:
    """One consenting person, and a way to time a queue of recordings."""

    def __init__(self) -> None:
        self._stage = Stage([Scope.TRANSCRIBE])
        self._person = self._stage.consenting()

    def run(self, worker: Worker, files: Sequence[Path]) -> float:
        """Seconds from the first bell to the last commit for these files."""
        app.control.cancel_consumer("model", destination=[worker.name], reply=True, timeout=10)
        recordings = [self._stage.upload_file(self._person, path) for path in files]
        jobs = Analysis.objects.filter(recording__in=recordings)
        began = timezone.now()
        swept = time.monotonic()
        app.control.add_consumer("model", destination=[worker.name], reply=True, timeout=10)
        while jobs.exclude(state=AnalysisState.DONE.value).exists():
            ended = jobs.filter(state__in=["failed", "denied", "cancelled"]).first()
            if ended is not None:
                raise RuntimeError(f"a job ended {ended.state}: {ended.error_code} {ended.error_message}")
            if time.monotonic() - swept > SWEEP_EVERY:
                # What the scheduler does in production: a bell is void after a minute, and a long queue waits longer.
                swept = time.monotonic()
                claiming.sweep()
            time.sleep(0.05)
        last: datetime = jobs.aggregate(last=Max("finished_at"))["last"]
        seconds: float = (last - began).total_seconds()
        return seconds


class _Bare:
    """A process that calls faster-whisper on files named on its standard input, and answers with seconds."""

    def __init__(self) -> None:
        model = settings.VOXGOV_MODELS_DIR / settings.VOXGOV_ASR_MODEL
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.raw_whisper", str(model), str(settings.VOXGOV_THREADS)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, files: Sequence[Path]) -> float:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\t".join(map(str, files)) + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(30)
