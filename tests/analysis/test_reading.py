"""Reading while consent changes: what a withdrawal ordered destroyed opens never again, whatever is granted afterwards."""

import pytest
from django.utils import timezone

from analysis import pipeline, reading, submission
from analysis.errors import AudioGone
from analysis.models import Analysis, Recording
from consent import destruction, granting, publishing, withdrawal
from consent.models import Purpose
from consent.vocabulary import Context, EvidenceMethod, LawfulBasis, Scope
from tests.factories import ACTOR, PROCESSING, World
from tests.quick_engines import quick_audio, quick_engines


@pytest.fixture(autouse=True)
def _quick() -> object:
    with quick_engines():
        yield


def analysed(world: World, *scopes: Scope) -> Analysis:
    recording = world.upload(quick_audio(), *scopes)
    job = Analysis.objects.get(recording=recording)
    pipeline.run(job.code)
    return Analysis.objects.get(pk=job.pk)


def another_purpose_holds(world: World, *scopes: Scope) -> Purpose:
    """A second purpose for which the person granted the same: its grant keeps the scope's key alive."""
    purpose = publishing.create_purpose(
        world.project, name="training", series=world.notice.series, lawful_basis=LawfulBasis.CONSENT, scopes=scopes,
        contexts=[Context.SUPPORT], processing=PROCESSING, dpia_reference="DPIA 2026/8", actor=ACTOR,
    )  # fmt: skip
    granting.record_consent(
        world.project,
        world.subject,
        purpose,
        world.notice,
        granting.Answer(
            scopes=scopes,
            given=True,
            explicit=True,
            given_at=timezone.now(),
            evidence_method=EvidenceMethod.PAPER,
            evidence_sha256=world.notice.sha256,
        ),
        actor=ACTOR,
    )
    return purpose


def test_results_ordered_destroyed_stay_shut_though_another_purpose_keeps_the_key_and_consent_was_given_anew(
    world: World,
) -> None:
    """Between the withdrawal and the worker that destroys, a new consent that names the recording opens nothing old."""
    world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    another_purpose_holds(world, Scope.TRANSCRIBE)
    job = analysed(world, Scope.TRANSCRIBE, Scope.PROSODY)
    order = withdrawal.withdraw(world.subject, purpose=world.purpose, scopes=[Scope.TRANSCRIBE], actor=ACTOR).orders[0]
    world.consent(Scope.TRANSCRIBE, covers_recorded_from=job.recording.recorded_at)
    view = reading.read_results(job, actor=ACTOR)
    assert [result.scope for result in view.results] == [Scope.PROSODY]
    # What was measured on the words goes with them.
    shut = [(item.scope, item.reason) for item in view.withheld]
    assert shut == [(Scope.TRANSCRIBE, "destroyed"), (Scope.PROSODY, "destroyed")]
    assert destruction.carry_out(order)
    assert [result.scope for result in reading.read_results(job, actor=ACTOR).results] == [Scope.PROSODY]


def test_kept_audio_ordered_destroyed_serves_no_further_job(world: World) -> None:
    world.consent(Scope.AUDIO_STORE, Scope.PROSODY)
    another_purpose_holds(world, Scope.AUDIO_STORE)
    job = analysed(world, Scope.AUDIO_STORE, Scope.PROSODY)
    recording = Recording.objects.get(pk=job.recording_id)
    assert recording.kept_audio
    withdrawal.withdraw(world.subject, purpose=world.purpose, scopes=[Scope.AUDIO_STORE], actor=ACTOR)
    world.consent(Scope.AUDIO_STORE, covers_recorded_from=recording.recorded_at)
    with pytest.raises(AudioGone):
        submission.request_analysis(recording, [Scope.PROSODY], actor=ACTOR)
