"""Two people on one channel, one of whom consents to nothing: what is heard and kept of the other, and that nothing else is there.

Real voices, real models: a voice is enrolled, known again, told from the other's in a conversation, kept, and withdrawn.
"""

from pathlib import Path

import numpy as np
import pytest

from analysis import pipeline, reading, submission
from analysis.audio import open_kept_audio
from analysis.engine_box import engines
from analysis.engines.clip import Clip, no_checkpoint
from analysis.errors import EnrolmentImpossible
from analysis.models import Analysis, Result
from analysis.states import AnalysisState
from consent import destruction, gate, withdrawal
from consent.errors import ConsentDenied
from consent.models import Voiceprint
from consent.vocabulary import Action, Scope
from tests.analysis.engines.voices import real_voices
from tests.analysis.sounds import wav
from tests.analysis.test_keeping import samples_of
from tests.analysis.voiceprinted import WANTED, conversation, done, run, submit, two
from tests.factories import ACTOR, World, make_world
from vault import shredding

pytestmark = pytest.mark.models


def content_words(text: str) -> set[str]:
    return {word for word in "".join(c if c.isalpha() else " " for c in text.lower()).split() if len(word) > 4}


def said(samples: np.ndarray) -> set[str]:
    """The longer words that the real transcriber hears."""
    from analysis.engines.transcription import TranscriptionOptions

    box, clip = engines(), Clip(samples.astype(np.float32))
    found = box.transcriber.run(clip, box.activity.run(clip), TranscriptionOptions(), no_checkpoint)
    return content_words(" ".join(utterance.text for utterance in found.utterances))


def test_of_somebody_who_did_not_consent_nothing_can_be_recovered_audio_included(enrolled: World, data: Path) -> None:
    world, talked = enrolled, conversation(data)
    other = world.another_subject()
    recording = submit(world, wav([talked.sound.astype(np.float32)]), *WANTED, people=two(world, other))
    view = done(recording)
    recording.refresh_from_db()

    # Every result is about the one who consents, rests on the voiceprint, and says what was heard.
    assert {result.scope for result in view.results} == {Scope.IDENTIFY, Scope.TRANSCRIBE, Scope.EMOTION}
    others = [turn for turn in talked.turns if turn.speaker == "allison-smith"]
    for result in view.results:
        assert result.subjects == (world.subject.code,)
        assert Scope.IDENTIFY in result.rests_on
        heard = result.body["heard"]["stretches"]
        assert heard
        leaked = sum(max(0.0, min(s["end"], t.end) - max(s["start"], t.start)) for s in heard for t in others)
        assert leaked == 0.0
    assert not Result.objects.filter(participants__subject=other).exists()
    assert [row.subject_id for row in Voiceprint.objects.filter(subject__project=world.project)] == [world.subject.pk]

    # What is kept, opened with every key: the other's words are not in it, nor in the transcript, nor their voice.
    permit = gate.require(
        submission.gate_request(recording, recording.kept_scopes, told_apart=True),
        action=Action.READ,
        actor=ACTOR,
        object_code=recording.code,
    )
    source = open_kept_audio(recording, permit).source
    kept = samples_of(source.read(0, source.size))[:, 0] / 32_768
    audible = np.zeros(len(kept), np.bool_)
    for turn in others:
        audible[round(turn.start * 16_000) : round(turn.end * 16_000)] = True
    assert kept.any()
    assert not kept[audible].any()
    theirs = np.concatenate([talked.sound[round(t.start * 16_000) : round(t.end * 16_000)] for t in others])
    own = [turn for turn in talked.turns if turn.speaker == "reader"]
    mine = np.concatenate([talked.sound[round(t.start * 16_000) : round(t.end * 16_000)] for t in own])
    only_theirs = said(theirs) - said(mine)
    assert len(only_theirs) > 5
    written = " ".join(u["text"] for r in view.results if r.scope == Scope.TRANSCRIBE for u in r.body["utterances"])
    assert not only_theirs & (said(kept) | content_words(written))
    with engines().voices.held() as encoder:
        voice, stranger = encoder.embed(kept.astype(np.float32)), encoder.embed(theirs.astype(np.float32))
    assert stranger is not None
    assert voice is None or float(voice @ stranger) < 0.72

    # Without the consent to recognition nothing of it stays, audio included.
    withdrawal.withdraw(world.subject, scopes=[Scope.IDENTIFY], actor=ACTOR)
    destruction.carry_out_orders()
    shredding.carry_out_orders()
    recording.refresh_from_db()
    assert recording.kept_audio == ""
    assert not Result.objects.filter(analysis__recording=recording).exists()
    assert not Voiceprint.objects.filter(subject=world.subject).exists()


def test_a_mixed_recording_from_which_one_withdraws_leaves_what_never_held_them(enrolled: World, data: Path) -> None:
    """Both let themselves be transcribed and kept, one alone lets their expression be estimated; then the other withdraws."""
    world = enrolled
    other = world.another_subject()
    world.consent(Scope.TRANSCRIBE, Scope.AUDIO_STORE, subject=other)
    audio = wav([conversation(data).sound.astype(np.float32)])
    recording = submit(world, audio, *WANTED, people=two(world, other))
    view = done(recording)
    assert {(r.scope, len(r.subjects)) for r in view.results} >= {(Scope.TRANSCRIBE, 2), (Scope.EMOTION, 1)}
    recording.refresh_from_db()
    assert recording.kept_audio
    assert not recording.kept_apart

    withdrawal.withdraw(other, actor=ACTOR)

    job = Analysis.objects.get(recording=recording)
    left = reading.read_results(job, actor=ACTOR).results
    assert {(result.scope, result.subjects) for result in left} == {
        (Scope.EMOTION, (world.subject.code,)),
        (Scope.IDENTIFY, (world.subject.code,)),
    }
    destruction.carry_out_orders()
    shredding.carry_out_orders()
    recording.refresh_from_db()
    assert recording.kept_audio == ""
    assert {tuple(r.subjects) for r in reading.read_results(job, actor=ACTOR).results} == {(world.subject.code,)}
    assert not Result.objects.filter(analysis=job, participants__subject=other).exists()


def test_withdrawal_between_telling_apart_and_commit_commits_nothing(
    enrolled: World, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = enrolled
    audio = wav([conversation(data).sound.astype(np.float32)])
    scopes = (Scope.IDENTIFY, Scope.TRANSCRIBE)
    recording = submit(world, audio, *scopes, people=two(world, world.another_subject()))
    monkeypatch.setattr(pipeline, "listen", lambda *_: [])
    original = pipeline._commit

    def commit(*args: object) -> None:
        withdrawal.withdraw(world.subject, scopes=[Scope.IDENTIFY], actor=ACTOR)
        original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "_commit", commit)
    first = run(recording)
    assert first.state in (AnalysisState.QUEUED, AnalysisState.DENIED)
    monkeypatch.setattr(pipeline, "_commit", original)
    assert run(recording).state == AnalysisState.DENIED
    assert not Result.objects.filter(analysis__recording=recording).exists()


def test_a_voice_is_verified_against_the_voiceprint_of_whoever_it_is_said_to_be(enrolled: World, data: Path) -> None:
    voices = real_voices(data)
    for name, matches in (("reader", "yes"), ("carlo-flora", "no")):
        speech = np.concatenate([clip.samples for clip in voices[name]])
        (result,) = done(submit(enrolled, wav([speech]), Scope.IDENTIFY)).results
        summary = result.body["summary"]
        assert (summary["matches"], summary["reason"]) == (matches, None)
        assert 0.0 <= summary["score"] <= 1.0
        assert "template" not in str(result.body)


def test_whoever_is_not_alone_on_a_channel_is_not_enrolled() -> None:
    world = make_world()
    other = world.another_subject()
    world.consent(*WANTED)
    world.consent(*WANTED, subject=other)
    with pytest.raises(EnrolmentImpossible):
        submit(world, b"", Scope.IDENTIFY, people=two(world, other), enrol=True)
    with pytest.raises(EnrolmentImpossible):
        submit(world, b"", Scope.TRANSCRIBE, enrol=True)


def test_too_little_voice_is_not_enrolled_and_the_result_says_so(data: Path) -> None:
    world = make_world()
    world.consent(Scope.IDENTIFY)
    clip = real_voices(data)["reader"][0].cut(0.0, 3.0)
    (result,) = done(submit(world, wav([clip.samples]), Scope.IDENTIFY, enrol=True)).results
    assert result.body["summary"]["enrolment"] == {"enrolled": False, "reason": "too_little_voice"}
    assert not Voiceprint.objects.filter(subject=world.subject).exists()


def test_without_a_voiceprint_the_submission_is_refused_as_ever(data: Path) -> None:
    world = make_world()
    world.consent(*WANTED)
    with pytest.raises(ConsentDenied):
        submit(world, b"", *WANTED, people=two(world, world.another_subject()))
