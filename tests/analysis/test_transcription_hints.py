"""Options of transcription: refused where they cannot be followed, sealed under the work key, gone with the last job."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from analysis import deletion, pipeline, submission, transcription_hints
from analysis.errors import LanguageUnsupported, ScopeWithoutEngine
from analysis.holders import WaitingAudioHolder
from analysis.listening import Finding
from analysis.models import Analysis, Recording, TranscriptionHints
from analysis.states import AnalysisState
from analysis.transcription_hints import LONGEST_HOT_WORD, LONGEST_PROMPT, MOST_HOT_WORDS, NO_HINTS, Hints
from audit.models import Event
from consent import destruction, gate, withdrawal
from consent.gate import Permit
from consent.vocabulary import Action, Scope
from tests import quick_engines
from tests.analysis.test_api import recording_form
from tests.callers import Caller
from tests.factories import ACTOR, World
from vault import shredding
from vault.errors import SealBroken
from vault.models import DataKey, KeyClass

GIVEN = {"language": "de", "prompt": "A call with Marianne Dashwood.", "hot_words": ["Elinor", "Willoughby"]}
HINTS = Hints("de", "A call with Marianne Dashwood.", ("Elinor", "Willoughby"))


def submitted(world: World, operator: Caller, *scopes: Scope, given: dict[str, Any] | None = None) -> Recording:
    """Awaiting its audio."""
    world.consent(*scopes)
    answer = operator.post("/v1/recordings", recording_form(world, *scopes, transcription=given or GIVEN))
    assert answer.status == 201, answer
    return Recording.objects.get(code=answer.body["code"])


def heard(recording: Recording, operator: Caller) -> Analysis:
    path = f"/v1/recordings/{recording.code}/audio"
    answer = operator.call("PUT", path, raw=quick_engines.quick_audio())
    assert answer.status == 201, answer
    return Analysis.objects.get(code=answer.body["analysis"])


def run(job: Analysis) -> list[Hints]:
    """Runs the job with quick engines; what hints they were given."""
    told: list[Hints] = []
    with quick_engines.quick_engines():
        listen = quick_engines.listen

        def listening(channels: Any, hearings: Any, checkpoints: Any, hints: Hints) -> list[Finding]:
            told.append(hints)
            return listen(channels, hearings, checkpoints, hints)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pipeline, "listen", listening)
            pipeline.run(job.code)
    job.refresh_from_db()
    assert (job.state, job.error_code) == (AnalysisState.DONE, "")
    return told


def test_what_was_said_with_a_recording_is_told_to_the_engines_of_its_first_job_and_goes_with_it(
    world: World, operator: Caller
) -> None:
    recording = submitted(world, operator, Scope.TRANSCRIBE)
    job = heard(recording, operator)
    assert TranscriptionHints.objects.get(recording=recording).analysis == job
    assert run(job) == [HINTS]
    assert not TranscriptionHints.objects.filter(recording=recording).exists()
    shredding.carry_out_orders()
    assert not DataKey.objects.filter(owner=recording.code, key_class=KeyClass.WORK).exists()


def test_each_job_has_its_own(world: World, operator: Caller) -> None:
    recording = submitted(world, operator, Scope.TRANSCRIBE)
    first = heard(recording, operator)
    form = {"recording": recording.code, "scopes": ["speech.transcribe"]}
    second = operator.post("/v1/analyses", {**form, "transcription": {"hot_words": ["Norland"]}})
    third = operator.post("/v1/analyses", form)
    assert (second.status, third.status) == (201, 201)
    told = [run(Analysis.objects.get(code=code)) for code in (third.body["code"], second.body["code"])]
    assert told == [[NO_HINTS], [Hints(hot_words=("Norland",))]]
    assert run(first) == [HINTS]


def test_a_job_on_kept_audio_takes_hints_though_the_work_key_went_before(world: World, operator: Caller) -> None:
    recording = submitted(world, operator, Scope.TRANSCRIBE, Scope.AUDIO_STORE)
    run(heard(recording, operator))
    shredding.carry_out_orders()
    again = operator.post(
        "/v1/analyses", {"recording": recording.code, "scopes": ["speech.transcribe"], "transcription": GIVEN}
    )
    assert again.status == 201, again
    assert run(Analysis.objects.get(code=again.body["code"])) == [HINTS]
    assert not TranscriptionHints.objects.filter(recording=recording).exists()


def permit(world: World) -> Permit:
    return gate.require(world.ask(Scope.TRANSCRIBE), action=Action.CLAIM, actor=ACTOR)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"temperature": 0.5}, "transcription.temperature"),
        ({"language": "German"}, "transcription.language"),
        ({"language": ""}, "transcription.language"),
        ({"language": 5}, "transcription.language"),
        ({"prompt": "x" * (LONGEST_PROMPT + 1)}, "transcription.prompt"),
        ({"prompt": ["x"]}, "transcription.prompt"),
        ({"prompt": "a\0b"}, "transcription.prompt"),
        ({"hot_words": "Elinor"}, "transcription.hot_words"),
        ({"hot_words": ["x" * (LONGEST_HOT_WORD + 1)]}, "transcription.hot_words.0"),
        ({"hot_words": ["x"] * (MOST_HOT_WORDS + 1)}, "transcription.hot_words"),
        ({"hot_words": [""]}, "transcription.hot_words.0"),
        ([], "transcription"),
    ],
)
def test_an_option_that_is_not_known_or_out_of_range_is_refused_and_not_repeated(
    world: World, operator: Caller, given: Any, field: str
) -> None:
    world.consent(Scope.TRANSCRIBE)
    answer = operator.post("/v1/recordings", recording_form(world, Scope.TRANSCRIBE, transcription=given))
    assert (answer.status, answer.body["code"]) == (400, "invalid_request")
    assert [error["field"] for error in answer.body["errors"]] == [field]
    assert b"xxxx" not in answer.content
    assert not Recording.objects.filter(project=world.project).exists()


def test_options_for_a_job_without_words_and_languages_that_the_model_lacks_are_refused(
    world: World, operator: Caller
) -> None:
    world.consent(Scope.TRANSCRIBE, Scope.NONVERBAL)
    for scopes, given, code in (
        ((Scope.NONVERBAL,), GIVEN, "transcription_options_without_scope"),
        ((Scope.TRANSCRIBE,), {"language": "xx"}, "transcription_language_unsupported"),
    ):
        answer = operator.post("/v1/recordings", recording_form(world, *scopes, transcription=given))
        assert (answer.status, answer.body["code"]) == (422, code)


def test_a_model_that_knows_english_alone_is_asked_for_no_translation_and_no_other_language() -> None:
    with override_settings(VOXGOV_ASR_MODEL="whisper-tiny-en"):
        transcription_hints.require_usable(Hints("en"), [Scope.TRANSCRIBE])
        with pytest.raises(LanguageUnsupported):
            transcription_hints.require_usable(Hints("de"), [Scope.TRANSCRIBE])
        with pytest.raises(ScopeWithoutEngine, match="English alone"):
            transcription_hints.require_usable(NO_HINTS, [Scope.TRANSLATE])
    transcription_hints.require_usable(NO_HINTS, [Scope.TRANSLATE])


def test_hints_are_in_the_clear_neither_in_rows_nor_in_events_nor_in_a_repr(world: World, operator: Caller) -> None:
    recording = submitted(world, operator, Scope.TRANSCRIBE)
    heard(recording, operator)
    row = TranscriptionHints.objects.get(recording=recording)
    entries = [bytes(event.entry) for event in Event.objects.filter(log=world.organization.code)]
    for word in (b"Dashwood", b"Willoughby", b"Elinor"):
        assert word not in bytes(row.sealed)
        assert not any(word in entry for entry in entries)
        assert word not in repr(HINTS).encode()


def test_hints_of_one_job_do_not_open_as_those_of_another(world: World, operator: Caller) -> None:
    recording = submitted(world, operator, Scope.TRANSCRIBE)
    first = heard(recording, operator)
    second = submission.request_analysis(recording, [Scope.TRANSCRIBE], actor=ACTOR, hints=Hints(prompt="another"))
    one, other = (TranscriptionHints.objects.get(analysis=job) for job in (first, second))
    TranscriptionHints.objects.filter(pk=one.pk).update(sealed=other.sealed)
    with pytest.raises(SealBroken):
        transcription_hints.of_job(first.pk, recording, permit(world))


def test_hints_go_with_a_withdrawal_a_deletion_and_their_term(world: World, operator: Caller) -> None:
    withdrawn = submitted(world, operator, Scope.TRANSCRIBE)
    withdrawal.withdraw(world.subject, actor=ACTOR)
    destruction.carry_out_orders()
    assert not TranscriptionHints.objects.filter(recording=withdrawn).exists()

    deleted = submitted(world, operator, Scope.TRANSCRIBE)
    deletion.delete_recording(deleted, actor=ACTOR)
    assert not TranscriptionHints.objects.filter(recording=deleted).exists()

    forgotten = submitted(world, operator, Scope.TRANSCRIBE)
    holder = WaitingAudioHolder()
    assert holder.destroy_due(world.project.pk, timezone.now() - timedelta(hours=1), 10) == 0
    assert holder.destroy_due(world.project.pk, timezone.now() + timedelta(hours=1), 10) == 1
    assert not TranscriptionHints.objects.filter(recording=forgotten).exists()
