"""Governed throughput against bare faster-whisper, on the same clips, weights, beam and threads, in the same run.

Governed means everything: real worker process, claim, gate, range decryption, sandboxed decoding, voice activity, words
with times, sealing, commit. Bare means one process that calls faster-whisper on the plain files, one after the other.
Rounds alternate, and the fastest round of each counts, because other work on a machine only ever makes a round slower.
"""

import subprocess
import sys
import time
import wave
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from accounts import membership
from analysis import claiming, submission
from analysis.models import Analysis, Recording
from analysis.states import AnalysisState
from audit import trail
from benchmarks.figures import Figure, Say
from benchmarks.worker import ROOT, Worker
from consent import gate, granting, publishing, subjects
from consent.models import Purpose, Subject
from consent.processing import Party, Processing
from consent.vocabulary import Context, EvidenceMethod, LawfulBasis, ParticipantRole, Scope
from voxgov.celery import app

PACKAGES = ("faster-whisper", "ctranslate2", "torch", "cryptography")
ACTOR = trail.system("bench")
SHORT_CLIPS = 40
LONG_SECONDS = 150.0
ROUNDS = 2
SWEEP_EVERY = 5.0
LIBRIVOX = ROOT / "tests" / "data" / "librivox"


def run(say: Say) -> list[Figure]:
    """`short_ratio`: a queue of 40 short clips, first bell to last commit. `long_ratio`: recordings over two minutes."""
    # Plain audio lies in no directory of voxgov's, and not longer than it is needed.
    with TemporaryDirectory() as work:
        return _compare(say, Path(work))


def _compare(say: Say, work: Path) -> list[Figure]:
    clips = sorted(LIBRIVOX.glob("*.wav"))
    short = [clips[index % len(clips)] for index in range(SHORT_CLIPS)]
    long = [_joined(clips, work / f"long{number}.wav", number) for number in range(2)]
    stage = _Stage()
    with Worker(settings.VAR_DIR / "log" / "bench-worker.log") as worker:
        stage.govern(worker, [clips[0]])  # loads the models
        bare = _Bare()
        try:
            figures = []
            for name, queue in (("short", short), ("long", long)):
                governed_s, bare_s = [], []
                for number in range(ROUNDS):
                    bare_s.append(bare.run(queue))
                    governed_s.append(stage.govern(worker, queue))
                    say(f"{name} round {number + 1}: bare {bare_s[-1]:.2f} s, governed {governed_s[-1]:.2f} s")
                audio = sum(_seconds(path) for path in queue)
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


class _Stage:
    """An organization with one consenting subject, and a way to time a queue of recordings."""

    def __init__(self) -> None:
        organization = membership.create_organization("Benchmark", actor=ACTOR)
        self.project = membership.create_project(organization, f"Benchmark {time.time_ns()}", actor=ACTOR)
        notice = publishing.draft_notice(
            self.project, series="bench", language="en", title="Bench", text="Bench.", material=True, actor=ACTOR
        )
        notice = publishing.publish_notice(notice, actor=ACTOR)
        self.purpose: Purpose = publishing.create_purpose(
            self.project,
            name="bench",
            series=notice.series,
            lawful_basis=LawfulBasis.CONSENT,
            scopes=[Scope.TRANSCRIBE],
            contexts=[Context.SUPPORT],
            processing=Processing(
                parties=[Party("Benchmark", "this machine", "nobody")],
                storage_locations=["unknown"],
                jurisdictions=["unknown"],
                withdrawal_method="None is needed: the voices are in the public domain.",
            ),
            actor=ACTOR,
        )
        self.subject: Subject = subjects.register(self.project, actor=ACTOR)
        granting.record_consent(
            self.project,
            self.subject,
            self.purpose,
            notice,
            granting.Answer(
                scopes=(Scope.TRANSCRIBE,),
                given=True,
                explicit=True,
                given_at=timezone.now() - timedelta(hours=1),
                evidence_method=EvidenceMethod.API_ATTESTATION,
                evidence_sha256=notice.sha256,
            ),
            actor=ACTOR,
        )

    def govern(self, worker: Worker, files: Sequence[Path]) -> float:
        """Seconds from the first bell to the last commit for these files."""
        app.control.cancel_consumer("model", destination=[worker.name], reply=True, timeout=10)
        recordings = [self._upload(path) for path in files]
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

    def _upload(self, path: Path) -> Recording:
        recording = submission.create_recording(
            self.project,
            submission.Submission(
                purpose=self.purpose.code,
                context=Context.SUPPORT,
                jurisdiction="unknown",
                recorded_at=timezone.now() - timedelta(seconds=1),
                participants=(gate.Participant(self.subject.code, ParticipantRole.CUSTOMER),),
                scopes=(Scope.TRANSCRIBE,),
            ),
            actor=ACTOR,
        )
        with path.open("rb") as file:
            submission.receive_audio(recording, file.read, path.stat().st_size, actor=ACTOR)
        return recording


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


def _seconds(path: Path) -> float:
    with wave.open(str(path)) as file:
        seconds: float = file.getnframes() / file.getframerate()
    return seconds


def _joined(clips: Sequence[Path], path: Path, rotate: int) -> Path:
    """A recording of over two minutes: the clips one after the other, with 0.7 s between them, as often as needed."""
    order = [*clips[rotate:], *clips[:rotate]]
    with wave.open(str(order[0])) as first:
        parameters = first.getparams()
    gap = bytes(int(0.7 * parameters.framerate) * parameters.sampwidth * parameters.nchannels)
    with wave.open(str(path), "wb") as joined:
        joined.setparams(parameters)
        length, number = 0.0, 0
        while length < LONG_SECONDS:
            source = order[number % len(order)]
            with wave.open(str(source)) as file:
                joined.writeframes(file.readframes(file.getnframes()) + gap)
            length += _seconds(source) + 0.7
            number += 1
    return path
