"""Who spoke when, as the pipeline hears and keeps it: under its own scope, on each channel for itself, and without a template."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis import listening, pipeline, reading
from analysis.engines.clip import Checkpoint, no_checkpoint
from analysis.engines.manifest import load_manifest
from analysis.listening import Engines, Finding
from analysis.models import Analysis
from analysis.plan import Hearing
from analysis.states import AnalysisState, Stage
from consent.gate import Participant
from consent.law.states import require_no_state
from consent.vocabulary import ParticipantRole, Scope
from tests.analysis.engines.test_diarization import members
from tests.analysis.engines.voices import real_voices, talk
from tests.factories import ACTOR, make_world

pytestmark = pytest.mark.models
ANNA, BEN = Participant("a", ParticipantRole.CUSTOMER), Participant("b", ParticipantRole.EMPLOYEE)
ONLY = frozenset({Scope.DIARIZE})


def checkpoints(_stage: Stage, _start: float, _end: float) -> Checkpoint:
    return no_checkpoint


def heard(data: Path, *hearings: Hearing) -> list[Finding]:
    talked = talk(real_voices(data), "allison-smith", "carlo-flora").sound.astype(np.float32)
    return listening.listen([talked, talked], hearings, checkpoints)


def test_two_people_on_one_channel_are_told_apart_under_diarization_alone(data: Path) -> None:
    (found,) = heard(data, Hearing((0,), (ANNA, BEN), ONLY))
    assert (found.scope, found.rests_on, found.model.name) == (Scope.DIARIZE, ONLY, "resemblyzer")
    assert found.body["summary"]["speakers"] == 2
    require_no_state(found.scope, found.body)


def test_what_is_sealed_holds_turns_and_no_template(data: Path) -> None:
    (found,) = heard(data, Hearing((0,), (ANNA, BEN), ONLY))
    body = json.loads(found.as_json())
    named = {name for name, value in members(body) if isinstance(value, float | int)}
    assert named == {"start", "end", "confidence", "speech", "turns", "speakers", "unassigned"}
    assert "" not in {name for name, _ in members(body)}
    assert {type(value) for value in found.model_json().values()} == {str, bool}


def test_where_one_person_is_heard_no_encoder_is_loaded(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Engines(load_manifest())
    monkeypatch.setattr(listening, "engines", lambda: box)
    found = heard(data, Hearing((0,), (ANNA,), ONLY), Hearing((1,), (BEN,), ONLY))
    assert [one.body["summary"]["speakers"] for one in found] == [1, 1]
    assert {one.model.name for one in found} == {"silero-vad"}
    assert not {"voices", "diarizer"} & set(vars(box))


def test_nothing_is_told_apart_without_the_scope(data: Path) -> None:
    assert heard(data, Hearing((0,), (ANNA, BEN), frozenset({Scope.AUDIO_STORE}))) == []


def test_turns_are_sealed_read_and_on_the_timeline(data: Path) -> None:
    world = make_world()
    world.consent(Scope.DIARIZE)
    clip = data / "librivox" / "sense_and_sensibility_01_austen_64kb-0870.wav"
    job = Analysis.objects.get(recording=world.upload(clip.read_bytes(), Scope.DIARIZE))
    pipeline.run(job.code)
    job.refresh_from_db()
    assert (job.state, job.error_code) == (AnalysisState.DONE, "")
    timeline = reading.read_timeline(job, actor=ACTOR)
    assert {(span.type.value, span.label) for span in timeline.spans} == {("speaker_turn", "speaker 1")}
    (told,) = timeline.summaries
    assert (told["scope"], told["speakers"], told["basis"]) == (Scope.DIARIZE, 1, "declaration")
