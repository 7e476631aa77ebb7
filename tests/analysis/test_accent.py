"""`voice.accent` from submission to timeline: refused without a model, special-category at the gate, and never an origin.

Real loading, gate and pipeline on a small checkpoint with random weights: what is estimated means nothing, how it is handled does.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from analysis import engine_box, pipeline, reading, submission
from analysis.engines import accent
from analysis.errors import ScopeWithoutEngine
from analysis.models import Analysis, Recording, Result
from analysis.states import AnalysisState
from consent import withdrawal
from consent.errors import ConsentDenied
from consent.gate import Participant
from consent.vocabulary import ParticipantRole, Scope
from tests.analysis.engines.checkpoints import own_manifest, tiny
from tests.factories import ACTOR, World

LABELS = ["england", "scotland", "us"]


@pytest.fixture(scope="module")
def speech(data: Path) -> bytes:
    return (data / "reading" / "sense_and_sensibility_0870-0890.wav").read_bytes()


@pytest.fixture
def _model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation that chose a model of accents."""
    directory = tiny(tmp_path / "accents", LABELS)
    monkeypatch.setattr(settings, "VOXGOV_MODELS_DIR", tmp_path)
    monkeypatch.setattr(settings, "VOXGOV_OWN_MODELS", str(own_manifest(directory, accent.ENGINE, threshold=0.0)))
    monkeypatch.setattr(settings, "VOXGOV_ACCENT_MODEL", "accents")
    engine_box.engines.cache_clear()
    yield
    engine_box.engines.cache_clear()


def run(recording: Recording) -> Analysis:
    job = Analysis.objects.get(recording=recording)
    pipeline.run(job.code)
    job.refresh_from_db()
    return job


def test_without_a_chosen_model_the_scope_is_refused_at_submission(world: World) -> None:
    world.consent(Scope.ACCENT)
    with pytest.raises(ScopeWithoutEngine, match=r"voice\.accent"):
        submission.create_recording(world.project, world.submission(Scope.ACCENT), actor=ACTOR)


@pytest.mark.usefixtures("_model")
def test_granted_it_is_one_summary_on_the_timeline_that_claims_no_origin(world: World, speech: bytes) -> None:
    world.consent(Scope.ACCENT)
    job = run(world.upload(speech, Scope.ACCENT))
    assert (job.state, job.error_code) == (AnalysisState.DONE, "")
    timeline = reading.read_timeline(job, actor=ACTOR)
    (summary,) = timeline.summaries
    assert (summary["scope"], summary["subjects"]) == ("voice.accent", [world.subject.code])
    assert summary["label"] in LABELS
    assert [score["name"] for score in summary["scores"]] == LABELS
    assert summary["meaning"] == "accent as perceived by the model, not origin"
    (model,) = timeline.models
    assert (model["name"], model["validated"]) == ("accents", False)
    assert timeline.spans == ()


@pytest.mark.usefixtures("_model")
def test_without_a_grant_nothing_is_heard_and_other_scopes_go_on(world: World, speech: bytes) -> None:
    world.consent(Scope.PROSODY)
    with pytest.raises(ConsentDenied):
        submission.create_recording(world.project, world.submission(Scope.ACCENT), actor=ACTOR)
    world.consent(Scope.ACCENT)
    recording = world.upload(speech, Scope.PROSODY, Scope.ACCENT)
    withdrawal.withdraw(world.subject, scopes=[Scope.ACCENT], actor=ACTOR)
    job = run(recording)
    assert set(Result.objects.filter(analysis=job).values_list("scope", flat=True)) == {"speech.prosody"}


@pytest.mark.usefixtures("_model")
def test_consent_that_is_not_explicit_does_not_open_it(world: World) -> None:
    world.consent(Scope.ACCENT, explicit=False)
    with pytest.raises(ConsentDenied) as denied:
        submission.create_recording(world.project, world.submission(Scope.ACCENT), actor=ACTOR)
    assert [denial.rule for denial in denied.value.verdict.denials] == ["gdpr-9-2-a"]


@pytest.mark.usefixtures("_model")
def test_of_several_people_on_one_channel_no_accent_is_estimated(world: World, speech: bytes) -> None:
    other = world.another_subject()
    people = [Participant(subject.code, ParticipantRole.CUSTOMER) for subject in (world.subject, other)]
    for subject in (world.subject, other):
        world.consent(Scope.ACCENT, subject=subject)
    (summary,) = reading.read_timeline(run(world.upload(speech, Scope.ACCENT, people=people)), actor=ACTOR).summaries
    assert (summary["label"], summary["scores"]) == ("unknown", [])


@pytest.mark.usefixtures("_model")
def test_a_job_whose_model_is_gone_fails_and_commits_nothing(
    world: World, speech: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.consent(Scope.PROSODY, Scope.ACCENT)
    recording = world.upload(speech, Scope.PROSODY, Scope.ACCENT)
    monkeypatch.setattr(settings, "VOXGOV_ACCENT_MODEL", "")
    job = run(recording)
    assert (job.state, job.error_code) == (AnalysisState.FAILED, "model_unknown")
    assert not Result.objects.filter(analysis=job).exists()
