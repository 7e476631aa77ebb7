"""Spoken statements: requested until heard, given when they match, refused otherwise; heard under a permit that allows nothing
else.

What is heard is a fake here; `test_a_real_voice` runs the real models through the same cases.
"""

import hashlib
import io
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from accounts.roles import Role
from audit.events import EventName
from consent import destruction, evidence, gate, matching, ports, publishing, restricting, statements, withdrawal
from consent.errors import (
    BeyondPermit,
    InvalidRecord,
    PermitForged,
    StatementCutShort,
    StatementEmpty,
    StatementNotExpected,
    StatementNotHeard,
    StatementTooLarge,
)
from consent.evidence import EvidencePermit, Heard
from consent.models import ConsentRecord, CurrentGrant, SpokenStatement
from consent.vocabulary import DenialReason, EvidenceMethod, RestrictionGround, Scope, StatementState
from tests.callers import Caller
from tests.factories import ACTOR, World, make_world
from tests.people import events
from vault import storage
from vault.models import SealedBlob
from vault.sealing import RangeReader

PHRASE = "I agree that this call is recorded and transcribed."
CLIP = hashlib.shake_256(b"a clip").digest(100_000)
MODEL = {"name": "a fake"}


@pytest.fixture
def world() -> World:
    world = make_world()
    draft = publishing.draft_notice(
        world.project,
        series="voice",
        language="en",
        title="How we use your voice",
        text="We record and transcribe this call.",
        material=True,
        required_phrase=PHRASE,
        actor=ACTOR,
    )
    notice = publishing.publish_notice(draft, actor=ACTOR)
    return World(world.organization, world.project, notice, world.purpose, world.subject)


Say = Callable[[str], None]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Sets what will be heard in every clip; the clip is opened and read all the same."""

    def set_words(text: str) -> None:
        def hear(permit: EvidencePermit, clip: RangeReader, language: str) -> Heard:
            permit.require_scope(Scope.TRANSCRIBE)
            assert clip.read(0, clip.size) == CLIP
            assert language == "en"
            return Heard(text, 4.2, dict(MODEL))

        monkeypatch.setattr(ports.statement_transcriber, "_face", hear)

    return set_words


def spoken(world: World, *scopes: Scope, **changes: Any) -> ConsentRecord:
    answer: dict[str, Any] = {"evidence_method": EvidenceMethod.SPOKEN, "spoken_statement": True, **changes}
    return world.consent(*(scopes or (Scope.TRANSCRIBE,)), **answer)


def upload(record: ConsentRecord, clip: bytes = CLIP) -> SpokenStatement:
    return statements.receive(record, io.BytesIO(clip).read, len(clip), actor=ACTOR)


def heard(statement: SpokenStatement) -> SpokenStatement:
    statements.hear(statement.code)
    return SpokenStatement.objects.get(pk=statement.pk)


def reasons(world: World) -> list[DenialReason]:
    return [denial.reason for denial in gate.evaluate(world.ask(Scope.TRANSCRIBE)).denials]


def state(world: World) -> str:
    return str(CurrentGrant.objects.get(subject=world.subject, scope="speech.transcribe").grant.state)


def test_until_it_was_heard_spoken_consent_is_requested_and_opens_nothing(world: World, say: Say) -> None:
    say(PHRASE)
    record = spoken(world)
    assert (state(world), reasons(world)) == ("requested", [DenialReason.NOT_GRANTED])
    statement = upload(record)
    assert (state(world), reasons(world)) == ("requested", [DenialReason.NOT_GRANTED])
    assert heard(statement).state == StatementState.MATCHED
    assert (state(world), reasons(world)) == ("given", [])
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE)).granted


def test_a_statement_that_does_not_match_is_refused_with_the_reason(world: World, say: Say) -> None:
    say("Hello, I would like to ask about my invoice.")
    record = spoken(world, Scope.TRANSCRIBE, Scope.PROSODY)
    statement = heard(upload(record))
    assert (statement.state, statement.model) == (StatementState.NOT_MATCHED, MODEL)
    assert statement.ratio is not None
    assert statement.ratio < matching.THRESHOLD
    last = record.grants.order_by("-id").first()
    assert last is not None
    assert (last.state, last.reason) == ("refused", "statement not matched")
    assert reasons(world) == [DenialReason.REFUSED]


def test_of_what_was_said_only_ratio_and_hash_are_kept(world: World, say: Say, superuser: Any) -> None:
    said = f"{PHRASE} By the way my name is Wilhelmina Quartz"
    say(said)
    statement = heard(upload(spoken(world)))
    assert (statement.ratio, statement.seconds) == (1.0, 4.2)
    assert statement.transcript_sha256 == hashlib.sha256(said.encode()).hexdigest()
    rows = superuser("SELECT statement::text FROM consent_spokenstatement AS statement")
    events_ = superuser("SELECT convert_from(entry, 'UTF8') FROM audit_event WHERE name LIKE 'consent:%'")
    assert "Quartz" not in str(rows) + str(events_)


def test_the_clip_lies_sealed_under_the_persons_record_key_and_goes_with_them(world: World, say: Say) -> None:
    say(PHRASE)
    statement = heard(upload(spoken(world)))
    blob = SealedBlob.objects.get(code=statement.blob)
    assert (blob.key_class, blob.owners) == ("record", [world.subject.code])
    assert CLIP[1000:1040] not in storage.path_of(blob.code).read_bytes()
    withdrawal.withdraw(world.subject, actor=ACTOR)
    destruction.carry_out_orders()
    assert storage.path_of(blob.code).exists()  # proof outlives the consent, not the person
    destruction.carry_out(withdrawal.erase(world.subject, actor=ACTOR).code)
    assert not storage.path_of(blob.code).exists()
    assert not SpokenStatement.objects.filter(pk=statement.pk).exists()


def test_hearing_is_on_the_trail_with_its_basis_before_the_clip_is_opened(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hear(permit: EvidencePermit, clip: RangeReader, language: str) -> Heard:
        [event] = events(world, EventName.STATEMENT_HEARD)
        assert json.loads(bytes(event.entry))["reason"] == permit.basis
        return Heard(PHRASE, 3.0, {})

    monkeypatch.setattr(ports.statement_transcriber, "_face", hear)
    assert heard(upload(spoken(world))).state == StatementState.MATCHED
    assert len(events(world, EventName.STATEMENT_RECEIVED)) == 1


def test_a_permit_to_hear_evidence_is_for_transcription_only_and_made_by_nobody_else() -> None:
    permit = evidence.permit_for("s", "p", "o")
    permit.require_scope(Scope.TRANSCRIBE)
    for scope in set(Scope) - {Scope.TRANSCRIBE}:
        with pytest.raises(BeyondPermit):
            permit.require_scope(scope)
    with pytest.raises(PermitForged):
        EvidencePermit("s", "p", "o")


# What else may happen meanwhile


def test_a_withdrawal_before_it_was_heard_overtakes_it(world: World, say: Say) -> None:
    say(PHRASE)
    statement = upload(spoken(world))
    withdrawal.withdraw(world.subject, actor=ACTOR)
    assert heard(statement).state == StatementState.OVERTAKEN
    assert state(world) == "withdrawn"


def test_a_later_answer_overtakes_it(world: World, say: Say) -> None:
    say(PHRASE)
    statement = upload(spoken(world))
    world.consent(Scope.TRANSCRIBE, given=False)
    assert heard(statement).state == StatementState.OVERTAKEN
    assert state(world) == "refused"


def test_an_erasure_overtakes_it(world: World, say: Say) -> None:
    say(PHRASE)
    statement = upload(spoken(world))
    withdrawal.erase(world.subject, actor=ACTOR)
    assert heard(statement).state == StatementState.OVERTAKEN


@pytest.mark.parametrize("first", ["asked at once", "asked beside consent in force"])
def test_whoever_withdrew_is_not_listened_to(world: World, monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    def listen(*_: object) -> Heard:
        pytest.fail("the clip was opened after the withdrawal")

    monkeypatch.setattr(ports.statement_transcriber, "_face", listen)
    if first == "asked beside consent in force":
        world.consent(Scope.TRANSCRIBE)
    statement = upload(spoken(world))
    withdrawal.withdraw(world.subject, actor=ACTOR)
    assert heard(statement).state == StatementState.OVERTAKEN
    assert not events(world, EventName.STATEMENT_HEARD)


def test_nobody_is_listened_to_while_restricted_and_the_statement_waits(world: World, say: Say) -> None:
    say(PHRASE)
    statement = upload(spoken(world))
    restricting.restrict(world.subject, RestrictionGround.OBJECTION, ACTOR)
    assert heard(statement).state == StatementState.WAITING
    restricting.lift(world.subject, ACTOR)
    assert heard(statement).state == StatementState.MATCHED


def test_what_was_heard_while_the_restriction_came_is_heard_again_afterwards(
    world: World, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(PHRASE)
    statement = upload(spoken(world))
    hear = ports.statement_transcriber.face

    def meanwhile(*args: Any) -> Heard:
        restricting.restrict(world.subject, RestrictionGround.OBJECTION, ACTOR)
        return hear(*args)

    monkeypatch.setattr(ports.statement_transcriber, "_face", meanwhile)
    assert heard(statement).state == StatementState.WAITING
    assert state(world) == "requested"
    restricting.lift(world.subject, ACTOR)
    SpokenStatement.objects.filter(pk=statement.pk).update(due_at=timezone.now())
    monkeypatch.setattr(ports.statement_transcriber, "_face", hear)
    assert heard(statement).state == StatementState.MATCHED


def test_a_narrower_answer_given_since_is_not_replaced_by_an_older_statement(world: World, say: Say) -> None:
    say(PHRASE)
    world.consent(Scope.TRANSCRIBE)
    statement = upload(spoken(world))
    narrower = world.consent(Scope.TRANSCRIBE, uses=1)
    assert heard(statement).state == StatementState.OVERTAKEN
    assert CurrentGrant.objects.get(subject=world.subject, scope="speech.transcribe").grant.record == narrower


def test_a_statement_that_failed_takes_nothing_away_that_is_in_force(world: World, say: Say) -> None:
    say("Something else entirely.")
    world.consent(Scope.TRANSCRIBE)
    record = spoken(world)
    assert reasons(world) == []
    assert heard(upload(record)).state == StatementState.NOT_MATCHED
    assert (state(world), reasons(world)) == ("given", [])
    assert record.grants.filter(state="refused").exists()


def test_a_consent_given_before_a_withdrawal_in_force_is_not_opened_by_a_late_statement(world: World, say: Say) -> None:
    say(PHRASE)
    world.consent(Scope.TRANSCRIBE)
    statement = upload(spoken(world))
    withdrawal.withdraw(world.subject, actor=ACTOR)
    assert heard(statement).state == StatementState.OVERTAKEN
    assert reasons(world) == [DenialReason.WITHDRAWN]


def test_a_clip_that_cannot_be_decoded_is_not_heard(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def hear(permit: EvidencePermit, clip: RangeReader, language: str) -> Heard:
        raise StatementNotHeard("noise")

    monkeypatch.setattr(ports.statement_transcriber, "_face", hear)
    assert heard(upload(spoken(world))).state == StatementState.NOT_HEARD
    assert state(world) == "refused"


def test_a_worker_that_fails_leaves_it_to_the_next_which_is_rung_again(
    world: World, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hear(permit: EvidencePermit, clip: RangeReader, language: str) -> Heard:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(ports.statement_transcriber, "_face", hear)
    statement = heard(upload(spoken(world)))
    assert (statement.state, statement.attempts) == (StatementState.WAITING, 1)
    assert not statements.hear(statement.code)  # it is due in two seconds
    SpokenStatement.objects.filter(pk=statement.pk).update(due_at=timezone.now(), rung_at=None)
    assert statements.sweep() >= 1
    say(PHRASE)
    assert heard(statement).state == StatementState.MATCHED


def test_one_that_fails_again_and_again_is_given_up(world: World, say: Say) -> None:
    say(PHRASE)
    statement = upload(spoken(world))
    SpokenStatement.objects.filter(pk=statement.pk).update(attempts=statements.MAX_ATTEMPTS)
    assert heard(statement).state == StatementState.NOT_HEARD


def test_of_two_workers_one_answers_and_a_late_one_writes_nothing(
    world: World, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(PHRASE)
    statement = upload(spoken(world))
    slow, taken = threading.Event(), threading.Event()

    def hear(permit: EvidencePermit, clip: RangeReader, language: str) -> Heard:
        taken.set()
        slow.wait(10)
        return Heard("nothing of the kind", 1.0, {})

    monkeypatch.setattr(ports.statement_transcriber, "_face", hear)
    outcome: list[bool] = []

    def first() -> None:
        outcome.append(statements.hear(statement.code))
        connections.close_all()

    thread = threading.Thread(target=first)
    thread.start()
    taken.wait(10)
    assert not statements.hear(statement.code)
    SpokenStatement.objects.filter(pk=statement.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    say(PHRASE)
    assert heard(statement).state == StatementState.MATCHED
    slow.set()
    thread.join(10)
    assert outcome == [False]
    assert SpokenStatement.objects.get(pk=statement.pk).state == StatementState.MATCHED
    assert state(world) == "given"


# What is taken in


def test_a_statement_is_awaited_once_and_only_for_consent_that_was_spoken(world: World, say: Say) -> None:
    say(PHRASE)
    with pytest.raises(StatementNotExpected):
        upload(world.consent(Scope.PROSODY))
    record = spoken(world)
    statement = upload(record)
    with pytest.raises(StatementNotExpected):
        upload(record)
    heard(statement)
    with pytest.raises(StatementNotExpected):
        upload(record)


def test_what_is_no_clip_is_refused_and_leaves_nothing(world: World) -> None:
    record = spoken(world)
    before = SealedBlob.objects.count()
    with pytest.raises(StatementTooLarge):
        statements.receive(record, io.BytesIO(b"").read, statements.MAX_BYTES + 1, actor=ACTOR)
    with pytest.raises(StatementEmpty):
        upload(record, b"")
    with pytest.raises(StatementCutShort):
        statements.receive(record, io.BytesIO(b"short").read, 100, actor=ACTOR)
    assert SealedBlob.objects.count() == before
    assert not SpokenStatement.objects.filter(record=record).exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"given": False}, "spoken_statement"),
        ({"evidence_method": EvidenceMethod.PAPER}, "spoken_statement"),
    ],
)
def test_a_statement_that_could_prove_nothing_is_refused(world: World, change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        spoken(world, **change)
    assert refused.value.field == field


def test_a_notice_without_a_phrase_has_nothing_to_say_and_one_too_short_is_refused() -> None:
    world = make_world()
    with pytest.raises(InvalidRecord) as refused:
        spoken(world)
    assert refused.value.field == "notice"
    with pytest.raises(InvalidRecord) as short:
        publishing.draft_notice(
            world.project,
            series="voice",
            language="en",
            title="T",
            text="T",
            material=True,
            required_phrase="Yes, please.",
            actor=ACTOR,
        )
    assert short.value.field == "required_phrase"


def test_the_phrase_belongs_to_the_notices_hash_and_notices_without_one_hash_as_before() -> None:
    shown: dict[str, Any] = {"series": "s", "version": 1, "language": "en", "title": "t", "text": "x"}
    assert publishing.canonical_notice(**shown) == publishing.canonical_notice(**shown, required_phrase="")
    assert publishing.canonical_notice(**shown) != publishing.canonical_notice(**shown, required_phrase=PHRASE)
    assert b"required_phrase" not in publishing.canonical_notice(**shown)


def test_a_statement_is_uploaded_over_http_and_its_outcome_read_with_the_consent(world: World, say: Say) -> None:
    say(PHRASE)
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    form = {
        "subject": world.subject.code,
        "purpose": world.purpose.code,
        "notice": world.notice.code,
        "scopes": ["speech.transcribe"],
        "given": True,
        "explicit": True,
        "given_at": timezone.now().isoformat(),
        "jurisdiction": "DE",
        "spoken_statement": True,
        "evidence": {"method": "spoken", "sha256": world.notice.sha256},
    }
    made = manager.post("/v1/consents", form)
    assert (made.status, made.body["scopes"][0]["state"], made.body["statement"]) == (201, "requested", None), made
    path = f"/v1/consents/{made.body['code']}"
    sent = manager.call("PUT", f"{path}/statement", raw=CLIP)
    assert (sent.status, sent.body["state"]) == (201, "waiting"), sent
    again = manager.call("PUT", f"{path}/statement", raw=CLIP)
    assert (again.status, again.body["code"]) == (409, "statement_not_expected")
    statements.hear(SpokenStatement.objects.get(record__code=made.body["code"]).code)
    shown = manager.get(path).body
    assert (shown["scopes"][0]["state"], shown["statement"]["state"], shown["statement"]["ratio"]) == (
        "given",
        "matched",
        1.0,
    )
    whole = manager.get(f"{path}/record").body["evidence"]["statement"]
    assert (whole["state"], whole["model"]) == ("matched", MODEL)


# How much was said


@pytest.mark.parametrize(
    ("said", "matches"),
    [
        (PHRASE, True),
        ("Yes, I agree that this call is recorded and transcribed, thank you.", True),
        ("i AGREE that this call is recorded, and transcribed", True),
        ("I agree that the call is recorded and transcribed.", True),
        ("I agree that this call is recorded", False),
        ("I do not agree that this call is recorded and transcribed.", False),
        ("I agree that this call is recorded and transcribed. No, wait, I don't.", False),
        ("Recorded and transcribed is this call that I agree.", False),
        ("", False),
        ("I agree.", False),
    ],
)
def test_what_counts_as_having_said_the_phrase(said: str, matches: bool) -> None:
    assert (matching.ratio(PHRASE, said) >= matching.THRESHOLD) is matches


def test_a_phrase_that_says_not_may_be_said() -> None:
    phrase = "I agree, and I know that I need not agree."
    assert matching.ratio(phrase, phrase) == 1.0


def test_languages_without_spaces_are_compared_by_their_characters() -> None:
    phrase = "この通話の録音に同意します"
    assert matching.ratio(phrase, "はい、この通話の録音に同意します。") == 1.0
    assert matching.ratio(phrase, "料金について質問があります") < matching.THRESHOLD
    assert len(matching.words(phrase)) == len(phrase)


@pytest.mark.models
def test_a_real_voice_says_the_phrase_and_another_does_not(data: Path) -> None:

    said = json.loads((data / "librivox" / "transcripts.json").read_text())
    name, text = next(iter(sorted(said.items())))
    clip = (data / "librivox" / (name if name.endswith(".wav") else f"{name}.wav")).read_bytes()
    phrase = " ".join(str(text).split()[:12])
    for required, expected in ((phrase, StatementState.MATCHED), (PHRASE, StatementState.NOT_MATCHED)):
        world = make_world()
        draft = publishing.draft_notice(
            world.project,
            series="voice",
            language="en",
            title="T",
            text="T",
            material=True,
            required_phrase=required,
            actor=ACTOR,
        )
        notice = publishing.publish_notice(draft, actor=ACTOR)
        world = World(world.organization, world.project, notice, world.purpose, world.subject)
        statement = heard(statements.receive(spoken(world), io.BytesIO(clip).read, len(clip), actor=ACTOR))
        assert statement.state == expected
        assert statement.seconds


@pytest.mark.models
def test_a_real_clip_of_more_than_a_minute_and_noise_are_no_statements(world: World) -> None:
    import wave

    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(2 * 8_000 * 65))
    assert heard(upload(spoken(world), buffer.getvalue())).state == StatementState.NOT_HEARD
    assert heard(upload(spoken(world), CLIP)).state == StatementState.NOT_HEARD
