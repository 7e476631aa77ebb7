"""Two people on one channel with real voices, of whom one may be enrolled: what tests on it submit and run."""

import io
from functools import cache
from pathlib import Path

from analysis import pipeline, reading, submission
from analysis.models import Analysis, Recording
from analysis.reading import ResultsView
from analysis.states import AnalysisState
from analysis.submission import Submission
from benchmarks.corpora.conversations import Conversation
from consent import gate
from consent.models import Subject
from consent.vocabulary import ParticipantRole, Scope
from tests.analysis.engines.voices import real_voices, talk
from tests.factories import ACTOR, World

PLACE = "US-NY"
"""Where one party decides what is kept, and no rule forbids to tell voices apart."""
WANTED = (Scope.IDENTIFY, Scope.TRANSCRIBE, Scope.EMOTION, Scope.AUDIO_STORE)


@cache
def conversation(data: Path) -> Conversation:
    return talk(real_voices(data), "reader", "allison-smith", seed=2, seconds=25.0)


def submit(
    world: World, audio: bytes, *scopes: Scope, people: list[gate.Participant] | None = None, enrol: bool = False
) -> Recording:
    asked = world.ask(*scopes, people=people, jurisdiction=PLACE)
    recording = submission.create_recording(
        world.project,
        Submission(
            asked.purpose,
            asked.context,
            PLACE,
            asked.recorded_at,
            asked.participants,
            asked.scopes,
            asked.exposure_notice_shown_at,
            enrol=frozenset({world.subject.code}) if enrol else frozenset(),
        ),
        actor=ACTOR,
    )
    recording, _ = submission.receive_audio(recording, io.BytesIO(audio).read, len(audio), actor=ACTOR)
    return recording


def run(recording: Recording) -> Analysis:
    job = Analysis.objects.get(recording=recording)
    pipeline.run(job.code)
    job.refresh_from_db()
    return job


def done(recording: Recording) -> ResultsView:
    job = run(recording)
    assert (job.state, job.error_code) == (AnalysisState.DONE, "")
    return reading.read_results(job, actor=ACTOR)


def two(world: World, other: Subject) -> list[gate.Participant]:
    return [
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER),
        gate.Participant(other.code, ParticipantRole.CALLER),
    ]
