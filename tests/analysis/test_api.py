"""Recordings, uploads, jobs, results and timelines over HTTP. What the engines find is tested elsewhere."""

import hashlib
import io
import json
import resource
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import RequestFactory, override_settings
from django.utils import timezone

from analysis import audio_body, claiming
from analysis.models import Analysis, Recording, Result
from analysis.sealed_results import result_context, result_keys
from analysis.states import AnalysisState, Stage
from audit.events import EventName
from consent import withdrawal
from consent.models import Decision
from consent.vocabulary import Scope
from tests import factories
from tests.callers import Answer, Caller
from tests.factories import World
from vault import sealing
from vault.codes import new_code
from vault.models import SealedBlob

AUDIO = hashlib.shake_256(b"some audio").digest(200_000)


def recording_form(world: World, *scopes: Scope, **changes: Any) -> dict[str, Any]:
    now = timezone.now()
    return {
        "purpose": world.purpose.code,
        "context": "support",
        "jurisdiction": "DE",
        "recorded_at": now.isoformat(),
        "exposure_notice_shown_at": (now - timedelta(minutes=1)).isoformat(),
        "participants": [{"subject": world.subject.code, "role": "customer", "channel": 0}],
        "scopes": [scope.value for scope in scopes or (Scope.TRANSCRIBE,)],
        **changes,
    }


def submit(world: World, operator: Caller, *scopes: Scope) -> dict[str, Any]:
    answer = operator.post("/v1/recordings", recording_form(world, *scopes))
    assert answer.status == 201, answer
    return dict(answer.body)


def upload(operator: Caller, recording: dict[str, Any], audio: bytes = AUDIO, **more: Any) -> Answer:
    return operator.call(recording["upload"]["method"], recording["upload"]["url"], raw=audio, **more)


def finish(world: World, code: str, scope: Scope, body: dict[str, Any]) -> Analysis:
    """Ends a job with one sealed result, as a worker would."""
    claim = claiming.claim(code)
    assert claim is not None
    analysis = Analysis.objects.get(code=code)
    rests_on = frozenset({scope})
    subjects = (world.subject.code,)
    result = new_code()
    organization = world.organization.code
    sealed = sealing.seal(
        result_context(organization, subjects, scope, result),
        result_keys(organization, subjects, rests_on),
        json.dumps(body).encode(),
    )
    with transaction.atomic():
        claiming.report(claim, Stage.COMMITTING, 1.0)
        row = Result.objects.create(
            code=result,
            analysis=analysis,
            scope=scope.value,
            rests_on=[scope.value],
            channels=[0],
            sealed=sealed,
            model={"name": "a model", "validated": False},
            decision=new_code(),
            input_commitment="0" * 64,
        )
        row.participants.set(analysis.recording.participants.all())
        claiming.finish(claim, AnalysisState.DONE, EventName.RESULTS_COMMITTED)
    return Analysis.objects.get(code=code)


TRANSCRIPT = {
    "utterances": [
        {
            "start": 0.5,
            "end": 1.5,
            "text": "Good morning.",
            "words": [{"start": 0.5, "end": 0.9, "text": "Good", "probability": 0.9}],
        }
    ]
}


def test_a_recording_without_consent_is_refused_and_every_missing_scope_is_named(
    world: World, operator: Caller
) -> None:
    answer = operator.post("/v1/recordings", recording_form(world, Scope.TRANSCRIBE, Scope.EMOTION))
    assert (answer.status, answer.kind) == (403, "application/problem+json")
    problem = answer.body
    assert problem["code"] == "consent_denied"
    assert problem["missing_scopes"] == ["speech.transcribe", "voice.emotion"]
    assert {(denial["subject"], denial["scope"], denial["reason"]) for denial in problem["denials"]} == {
        (world.subject.code, "speech.transcribe", "not_granted"),
        (world.subject.code, "voice.emotion", "not_granted"),
    }
    assert Decision.objects.get(code=problem["decision"]).allowed is False
    assert not Recording.objects.filter(project=world.project).exists()


def test_a_refusal_by_law_names_the_rule_and_its_source(world: World, operator: Caller) -> None:
    world.consent(Scope.EMOTION)
    people = [{"subject": world.subject.code, "role": "employee"}]
    problem = operator.post("/v1/recordings", recording_form(world, Scope.EMOTION, participants=people)).body
    assert {denial["rule"] for denial in problem["denials"]} == {"eu-ai-act-5-1-f"}
    assert "2024/1689" in problem["denials"][0]["citation"]


def test_somebody_elses_subject_is_refused_like_one_that_does_not_exist(world: World, operator: Caller) -> None:
    other = factories.make_world()
    other.consent(Scope.TRANSCRIBE)

    def ask(subject: str) -> dict[str, Any]:
        people = [{"subject": subject, "role": "customer"}]
        answer = operator.post("/v1/recordings", recording_form(world, participants=people))
        assert answer.status == 403
        return {
            **answer.body,
            "request_id": "",
            "decision": "",
            "denials": [{**denial, "subject": ""} for denial in answer.body["denials"]],
        }

    assert ask(other.subject.code) == ask("0198f3a2-6f0e-7cc1-9d4a-3b1f0a7e5c11")


def test_audio_is_sealed_and_queued_in_one_call(world: World, operator: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    recording = submit(world, operator)
    assert recording["state"] == "awaiting_audio"
    assert recording["upload"]["method"] == "PUT"
    answer = upload(operator, recording)
    assert answer.status == 201, answer
    shown = operator.get(f"/v1/recordings/{recording['code']}").body
    assert (shown["state"], shown["size"], shown["upload"]) == ("complete", len(AUDIO), None)
    job = operator.get(f"/v1/analyses/{answer.body['analysis']}").body
    assert (job["state"], job["stage"], job["progress"], job["error"]) == ("queued", "waiting", 0.0, None)
    assert SealedBlob.objects.get(
        code=Recording.objects.get(code=recording["code"]).waiting_audio
    ).plaintext_size == len(AUDIO)
    listed = operator.get(f"/v1/analyses?recording={recording['code']}&state=queued").body["results"]
    assert listed == [job]
    assert operator.get("/v1/recordings?state=complete").body["results"] == [shown]
    assert operator.get(f"/v1/recordings?subject={world.subject.code}").body["results"] == [shown]
    assert operator.get("/v1/recordings?state=deleted").body["results"] == []


def test_a_recording_takes_audio_once(world: World, operator: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    recording = submit(world, operator)
    upload(operator, recording)
    again = upload(operator, recording)
    assert (again.status, again.body["code"]) == (409, "recording_not_receivable")


def test_an_upload_repeated_with_its_key_gets_the_first_answer(world: World, operator: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    recording = submit(world, operator)
    first = upload(operator, recording, key="upload-1")
    again = upload(operator, recording, key="upload-1")
    assert (again.status, again.content) == (first.status, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    shorter = upload(operator, recording, AUDIO[:-1], key="upload-1")
    assert (shorter.status, shorter.body["code"]) == (422, "idempotency_key_reused")
    assert Analysis.objects.filter(recording__code=recording["code"]).count() == 1


def test_an_upload_that_failed_may_be_tried_again_with_its_key(world: World, operator: Caller) -> None:
    record = world.consent(Scope.TRANSCRIBE)
    recording = submit(world, operator)
    withdrawal.withdraw(world.subject, record=record, actor=factories.ACTOR)
    refused = upload(operator, recording, key="upload-1")
    assert (refused.status, refused.body["code"]) == (403, "consent_denied")
    world.consent(Scope.TRANSCRIBE, covers_recorded_from=timezone.now() - timedelta(days=1))
    assert upload(operator, recording, key="upload-1").status == 201


def test_audio_without_a_length_is_refused(world: World, operator: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    recording = submit(world, operator)
    answer = upload(operator, recording, b"")
    assert (answer.status, answer.body["code"]) == (411, "length_required")


def test_audio_beyond_the_limit_is_refused_before_it_is_read(world: World, operator: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    recording = submit(world, operator)
    with override_settings(VOXGOV_MAX_AUDIO_BYTES=1000):
        answer = upload(operator, recording, AUDIO[:1001])
    assert (answer.status, answer.body["code"]) == (413, "audio_too_large")
    assert upload(operator, recording, AUDIO[:1001]).status == 201


def test_a_full_disk_refuses_the_upload_and_keeps_nothing_of_it(world: World, operator: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    recording = submit(world, operator)
    before = set(settings.VOXGOV_BLOB_DIR.rglob("*"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(AUDIO) // 2, hard))  # the kernel refuses what goes beyond
    try:
        refused = upload(operator, recording)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (refused.status, refused.body["code"]) == (503, "storage_unavailable")
    assert {path for path in settings.VOXGOV_BLOB_DIR.rglob("*") if path.is_file()} <= before
    assert operator.get(f"/v1/recordings/{recording['code']}").body["state"] == "awaiting_audio"
    assert upload(operator, recording).status == 201


def test_compressed_transport_is_refused(world: World, operator: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    recording = submit(world, operator)
    answer = upload(operator, recording, Content_Encoding="gzip")
    assert answer.status == 415
    assert Recording.objects.get(code=recording["code"]).state == "awaiting_audio"


def test_a_body_that_ends_early_keeps_nothing_and_may_be_sent_again(world: World, operator: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    recording = submit(world, operator)
    cut_off = {"wsgi.input": io.BytesIO(AUDIO[:500]), "CONTENT_LENGTH": "1000"}
    answer = upload(operator, recording, environ=cut_off)
    assert (answer.status, answer.body["code"]) == (400, "audio_truncated")
    assert upload(operator, recording).status == 201


class Pipe:
    """A socket that never holds more than it is asked for, and notes how much that was."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.largest = 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "an unbounded read would hold the whole body in memory"
        self.largest = max(self.largest, size)
        size = min(size, self.left)
        self.left -= size
        return b"\0" * size


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    yield Pipe(audio_body.COURTESY + 2_000)


def test_a_body_is_read_in_bounded_pieces(pipe: Pipe) -> None:
    request = RequestFactory().put("/v1/recordings/x/audio")
    request.META["CONTENT_LENGTH"] = str(pipe.left)
    request._stream = pipe  # type: ignore[assignment]  # where a WSGI server's socket stands
    body = audio_body.AudioBody(request)
    assert body.read(1000) == b"\0" * 1000
    body.read_away_shortly()
    assert pipe.left == audio_body.COURTESY + 1_000, "more than a courtesy is left where it is"
    body.read_away()
    assert (pipe.left, pipe.largest) == (0, audio_body.CHUNK)


def test_another_job_runs_only_while_audio_is_there_and_within_the_recordings_scopes(
    world: World, operator: Caller
) -> None:
    world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    recording = submit(world, operator)
    upload(operator, recording)
    form = {"recording": recording["code"], "scopes": ["speech.transcribe"]}
    made = operator.post("/v1/analyses", form)
    assert made.status == 201, made
    assert made.body["scopes"] == ["speech.transcribe"]
    beyond = operator.post("/v1/analyses", {**form, "scopes": ["speech.prosody"]})
    assert (beyond.status, beyond.body["code"]) == (422, "scope_outside_recording")
    without = operator.post("/v1/analyses", {**form, "scopes": ["speech.live"]})
    assert (without.status, without.body["code"]) == (422, "scope_without_engine")
    operator.delete(f"/v1/recordings/{recording['code']}")
    gone = operator.post("/v1/analyses", form)
    assert (gone.status, gone.body["code"]) == (410, "audio_gone")


def test_a_voice_is_enrolled_only_where_it_is_asked_to_be_recognized(world: World, operator: Caller) -> None:
    world.consent(Scope.TRANSCRIBE, Scope.IDENTIFY)

    def asked(*scopes: Scope) -> Answer:
        form = recording_form(world, *scopes)
        form["jurisdiction"] = "DE"
        form["participants"][0]["enrol"] = True
        return operator.post("/v1/recordings", form)

    refused = asked(Scope.TRANSCRIBE)
    assert (refused.status, refused.body["code"]) == (422, "enrolment_impossible")
    created = asked(Scope.TRANSCRIBE, Scope.IDENTIFY)
    assert created.status == 201
    assert Recording.objects.get(code=created.body["code"]).participants.get().enrol
    assert created.body["participants"][0]["enrol"] is True


def test_a_queued_job_is_cancelled_once(world: World, operator: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    code = upload(operator, submit(world, operator)).body["analysis"]
    cancelled = operator.post(f"/v1/analyses/{code}/cancel")
    assert (cancelled.status, cancelled.body["state"]) == (200, "cancelled")
    again = operator.post(f"/v1/analyses/{code}/cancel")
    assert (again.status, again.body["code"]) == (409, "analysis_not_cancellable")


def test_results_of_a_job_that_is_not_done_are_not_there_yet(world: World, operator: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    recording = submit(world, operator)
    code = upload(operator, recording).body["analysis"]
    for path in (
        f"/v1/analyses/{code}/results",
        f"/v1/analyses/{code}/timeline",
        f"/v1/recordings/{recording['code']}/timeline",
    ):
        answer = operator.get(path)
        assert (answer.status, answer.body["code"]) == (409, "analysis_not_done")


def test_results_are_read_under_a_decision_until_consent_is_withdrawn(world: World, operator: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    recording = submit(world, operator)
    code = upload(operator, recording).body["analysis"]
    finish(world, code, Scope.TRANSCRIBE, TRANSCRIPT)
    results = operator.get(f"/v1/analyses/{code}/results")
    assert results.status == 200, results
    assert results.body["results"][0]["result"] == TRANSCRIPT
    assert Decision.objects.get(code=results.body["decision"]).action == "read"
    timeline = operator.get(f"/v1/analyses/{code}/timeline")
    assert [(span["type"], span["start"], span["label"]) for span in timeline.body["spans"]] == [
        ("utterance", 0.5, "Good morning."),
        ("word", 0.5, "Good"),
    ]
    newest = operator.get(f"/v1/recordings/{recording['code']}/timeline")
    assert newest.body["spans"] == timeline.body["spans"]
    withdrawal.withdraw(world.subject, actor=factories.ACTOR)
    for path in (
        f"/v1/analyses/{code}/results",
        f"/v1/analyses/{code}/timeline",
        f"/v1/recordings/{recording['code']}/timeline",
    ):
        refused = operator.get(path)
        assert (refused.status, refused.body["code"]) == (403, "consent_denied")
        assert {denial["reason"] for denial in refused.body["denials"]} == {"withdrawn"}
        assert b"Good" not in refused.content


def test_answers_are_never_stored_by_caches(world: World, operator: Caller) -> None:
    assert operator.get("/v1/recordings").headers["Cache-Control"] == "no-store"
    assert operator.get("/v1/recordings?x=1").headers["Cache-Control"] == "no-store"


def test_a_deleted_recording_leaves_a_bare_marker(world: World, operator: Caller) -> None:
    world.consent(Scope.TRANSCRIBE)
    recording = submit(world, operator)
    code = upload(operator, recording).body["analysis"]
    deleted = operator.delete(f"/v1/recordings/{recording['code']}")
    assert (deleted.status, deleted.body["state"], deleted.body["audio_waiting"]) == (200, "deleted", False)
    assert operator.get(f"/v1/analyses/{code}").body["state"] == "cancelled"
    refused = upload(operator, recording)
    assert (refused.status, refused.body["code"]) == (409, "recording_not_receivable")


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"recorded_at": "yesterday"}, "recorded_at", "invalid"),
        ({"recorded_at": "2026-01-01T12:00:00"}, "recorded_at", "naive"),
        ({"jurisdiction": "Germany"}, "jurisdiction", "invalid"),
        ({"context": "all"}, "context", "invalid_choice"),
        ({"participants": []}, "participants", "empty"),
        ({"participants": [{"subject": "x", "role": "customer"}]}, "participants.0.subject", "invalid"),
        (
            {"participants": [{"subject": "0198f3a2-6f0e-7cc1-9d4a-3b1f0a7e5c11", "role": "boss"}]},
            "participants.0.role",
            "invalid_choice",
        ),
        (
            {"participants": [{"subject": "0198f3a2-6f0e-7cc1-9d4a-3b1f0a7e5c11", "role": "customer", "channel": "0"}]},
            "participants.0.channel",
            "invalid",
        ),
        ({"scopes": ["speech.transcribe"], "skip_consent": True}, "skip_consent", "unknown_field"),
    ],
)
def test_a_recording_form_is_read_strictly(
    world: World, operator: Caller, change: dict[str, Any], field: str, code: str
) -> None:
    answer = operator.post("/v1/recordings", recording_form(world, **change))
    assert (answer.status, answer.body["code"]) == (400, "invalid_request"), answer
    assert [(error["field"], error["code"]) for error in answer.body["errors"]] == [(field, code)]
    assert not Decision.objects.filter(project=world.project).exists()
