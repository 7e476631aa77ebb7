"""What somebody would try against consent, one attempt after the other; `docs/attacks.md` says where each line of the list is."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import Error, connection, connections, models, transaction
from django.utils import timezone

from accounts.roles import Role
from analysis import pipeline, reading
from analysis.models import Analysis, Participant, Recording, Result
from audit import exports
from audit.models import Event
from consent import destruction, facts, gate, judging, publishing, withdrawal
from consent.errors import ConsentDenied, InvalidRecord
from consent.models import (
    BreachRevision,
    ConsentRecord,
    CurrentGrant,
    Decision,
    DestructionOrder,
    Ending,
    Grant,
    GrantUse,
    LostEnding,
    Notice,
    NoticeSeries,
    Purpose,
    RestrictedRole,
    Subject,
)
from consent.vocabulary import Action, DenialReason, ParticipantRole, Scope
from tests.callers import Caller
from tests.factories import ACTOR, World, sign_log
from tests.quick_engines import quick_audio, quick_engines
from vault import sealing

BERLIN = ZoneInfo("Europe/Berlin")
QUICK = (Scope.TRANSCRIBE, Scope.PROSODY, Scope.EMOTION)


def reasons(world: World, *scopes: Scope, **how: Any) -> list[DenialReason]:
    return [denial.reason for denial in gate.evaluate(world.ask(*scopes, **how)).denials]


def analysed(world: World, *scopes: Scope) -> Analysis:
    with quick_engines():
        job = Analysis.objects.get(recording=world.upload(quick_audio(), *scopes))
        pipeline.run(job.code)
    return Analysis.objects.get(pk=job.pk)


# Withdraw while something is read, and while something is exported


def test_withdrawal_while_results_are_read_shuts_what_was_not_opened_yet(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read was permitted before; what it has not opened when the withdrawal commits stays shut all the same."""
    world.consent(*QUICK)
    job = analysed(world, *QUICK)
    original = sealing.open
    opened: list[int] = []

    def open_(*args: Any) -> bytes:
        if opened:
            withdraw_elsewhere(world)
        opened.append(1)
        return original(*args)

    monkeypatch.setattr(sealing, "open", open_)
    view = reading.read_results(job, actor=ACTOR)
    assert len(view.results) == 1
    assert {item.reason for item in view.withheld} == {"destroyed"}
    assert len(view.withheld) == Result.objects.filter(analysis=job).count() - 1
    with pytest.raises(ConsentDenied):
        reading.read_results(job, actor=ACTOR)


def withdraw_elsewhere(world: World) -> None:
    """On a connection of its own, to its commit."""

    def withdraw() -> None:
        try:
            if CurrentGrant.objects.filter(subject=world.subject, grant__state="given").exists():
                withdrawal.withdraw(world.subject, actor=ACTOR)
        finally:
            connections.close_all()

    thread = threading.Thread(target=withdraw)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_withdrawal_and_erasure_while_a_log_is_exported_leave_a_bundle_that_names_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only export there is is that of the log, which holds no data about anybody that a withdrawal could call back."""
    world.consent(*QUICK)
    log = sign_log(world.organization)
    export = exports.order(log, start=0, end=None, filter_={}, recipient="", actor=ACTOR)
    code = world.subject.code
    original = exports.file_of

    def and_then_they_are_gone(*args: Any) -> Any:
        if DestructionOrder.objects.filter(subject=code).count() == 0:
            withdrawal.withdraw(world.subject, actor=ACTOR)
            destruction.carry_out(withdrawal.erase(world.subject, actor=ACTOR).code)
        return original(*args)

    monkeypatch.setattr(exports, "file_of", and_then_they_are_gone)
    assert exports.make(export.code)
    monkeypatch.setattr(exports, "file_of", original)
    export.refresh_from_db()
    assert Subject.objects.get(code=code).erased_at is not None
    assert code.encode() not in exports.file_of(export).read_bytes()
    for entry in Event.objects.filter(log=world.organization.code).values_list("entry", flat=True):
        assert code not in bytes(entry).decode()


# Expiry at the exact instant, clock skew, daylight saving


def at(world: World, request: gate.GateRequest, now: datetime) -> list[str]:
    """The gate's reasons if it were that time at the database."""
    people = [person.subject for person in request.participants]
    known = facts.gather(request.project, request.purpose, people, [scope.value for scope in request.scopes])
    return [denial.reason.value for denial in judging.judge(request, replace(known, now=now)).denials]


def test_consent_is_over_at_the_very_instant_of_its_end_and_not_a_microsecond_before(world: World) -> None:
    end = timezone.now() + timedelta(days=3)
    world.consent(Scope.TRANSCRIBE, expires_at=end)
    request = world.ask(Scope.TRANSCRIBE)
    assert at(world, request, end - timedelta(microseconds=1)) == []
    assert at(world, request, end) == ["expired"]


def test_a_term_that_ends_in_the_hour_that_comes_twice_ends_in_the_one_that_was_meant(world: World) -> None:
    """On 31 October 2027 the clocks of Berlin show 2:30 twice."""
    request = world.ask(Scope.TRANSCRIBE)
    for fold, instant in (
        (0, datetime(2027, 10, 31, 0, 30, tzinfo=UTC)),
        (1, datetime(2027, 10, 31, 1, 30, tzinfo=UTC)),
    ):
        world.consent(Scope.TRANSCRIBE, expires_at=datetime(2027, 10, 31, 2, 30, tzinfo=BERLIN, fold=fold))
        assert gate.evaluate(request_again(world)).valid_until == instant
        request = request_again(world)
        assert at(world, request, instant - timedelta(seconds=1)) == []
        assert at(world, request, instant) == ["expired"]


def request_again(world: World) -> gate.GateRequest:
    return world.ask(Scope.TRANSCRIBE)


def test_a_time_without_its_zone_is_refused(world: World) -> None:
    """What it would mean depends on the season and on who reads it."""
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    form = {
        "subject": world.subject.code, "purpose": world.purpose.code, "notice": world.notice.code,
        "scopes": ["speech.transcribe"], "given": True, "explicit": True, "given_at": timezone.now().isoformat(),
        "expires_at": "2027-10-31T02:30:00", "jurisdiction": "DE",
        "evidence": {"method": "paper", "sha256": world.notice.sha256},
    }  # fmt: skip
    refused = manager.post("/v1/consents", form)
    assert (refused.status, refused.body["errors"][0]["field"]) == (400, "expires_at")
    assert manager.post("/v1/consents", {**form, "expires_at": "2027-10-31T02:30:00+02:00"}).status == 201
    with pytest.raises(ValueError, match="aware"):
        world.ask(Scope.TRANSCRIBE, recorded_at=datetime(2026, 11, 1, 2, 30))  # noqa: DTZ001 (that is the point)


def test_a_machine_whose_clock_is_wrong_revives_nothing(
    world: World, superuser: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate goes by the database's clock, which is one for all."""
    record = world.consent(Scope.TRANSCRIBE, expires_at=timezone.now() + timedelta(hours=1))
    superuser(f"UPDATE consent_consentrecord SET expires_at = now() WHERE id = {record.pk}")
    request = world.ask(Scope.TRANSCRIBE)
    last_year = timezone.now() - timedelta(days=365)
    monkeypatch.setattr(timezone, "now", lambda: last_year)
    assert [denial.reason for denial in gate.evaluate(request).denials] == [DenialReason.EXPIRED]


def test_times_from_a_clock_that_is_ahead_are_believed_for_five_minutes_and_open_nothing_early(world: World) -> None:
    now = timezone.now()
    with pytest.raises(InvalidRecord):
        world.consent(Scope.TRANSCRIBE, given_at=now + timedelta(minutes=6))
    world.consent(Scope.TRANSCRIBE, given_at=now + timedelta(minutes=4))
    assert reasons(world, Scope.TRANSCRIBE, recorded_at=now) == [DenialReason.RECORDED_BEFORE_CONSENT]
    assert reasons(world, Scope.TRANSCRIBE, recorded_at=now + timedelta(minutes=4, seconds=1)) == []
    assert reasons(world, Scope.TRANSCRIBE, recorded_at=now + timedelta(minutes=6)) == [DenialReason.RECORDED_IN_FUTURE]


# A superseded notice


def test_consent_under_a_superseded_notice_cannot_be_recorded_again_with_the_old_hash(world: World) -> None:
    draft = publishing.draft_notice(
        world.project, series="voice", language="en", title="t", text="We sell it.", material=True, actor=ACTOR
    )
    world.consent(Scope.TRANSCRIBE)
    publishing.publish_notice(draft, actor=ACTOR)
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    form = {
        "subject": world.subject.code, "purpose": world.purpose.code, "notice": world.notice.code,
        "scopes": ["speech.transcribe"], "given": True, "explicit": True, "given_at": timezone.now().isoformat(),
        "jurisdiction": "DE", "evidence": {"method": "paper", "sha256": world.notice.sha256},
    }  # fmt: skip
    assert manager.post("/v1/consents", form).body["code"] == "notice_not_published"
    mixed = manager.post("/v1/consents", {**form, "notice": draft.code})
    assert (mixed.status, mixed.body["errors"][0]["field"]) == (422, "evidence_sha256")
    assert reasons(world, Scope.TRANSCRIBE) == [DenialReason.NOTICE_SUPERSEDED]


# One of N participants missing


@pytest.mark.parametrize("channels", [True, False])
def test_one_of_eight_participants_missing_denies_the_whole_and_on_a_shared_channel_everybody(
    world: World, channels: bool
) -> None:
    people = [world.subject, *(world.another_subject() for _ in range(7))]
    for person in people[:-1]:
        world.consent(Scope.TRANSCRIBE, subject=person)
    parts = [
        gate.Participant(person.code, ParticipantRole.CUSTOMER, number if channels else None)
        for number, person in enumerate(people)
    ]
    asked = world.ask(Scope.TRANSCRIBE, people=parts)
    with pytest.raises(ConsentDenied) as denied:
        gate.require(asked, action=Action.SUBMIT, actor=ACTOR)
    missing = {denial.subject for denial in denied.value.verdict.denials}
    assert missing == ({people[-1].code} if channels else {person.code for person in people})
    if channels:
        permit = gate.require(asked, action=Action.CLAIM, actor=ACTOR, partial=True)
        assert {pair.subject for pair in permit.granted} == {person.code for person in people[:-1]}
    else:
        with pytest.raises(ConsentDenied):
            gate.require(asked, action=Action.CLAIM, actor=ACTOR, partial=True)


# Admin bulk action, .update(), raw SQL

FIXED: list[type[models.Model]] = [
    ConsentRecord, Grant, Decision, Ending, GrantUse, RestrictedRole, LostEnding, BreachRevision,
]  # fmt: skip


@pytest.mark.parametrize("model", FIXED, ids=lambda model: model.__name__)
def test_no_update_and_no_delete_reaches_what_is_append_only(model: type[models.Model]) -> None:
    rows = model._default_manager.all()
    column = next(field.attname for field in model._meta.concrete_fields if not field.primary_key)
    attempts: list[Callable[[], object]] = [
        lambda: rows.update(**{column: models.F(column)}),
        lambda: rows._raw_delete("default"),  # past what Django itself protects
    ]
    for attempt in attempts:
        with pytest.raises(Error, match="permission denied"), transaction.atomic():
            attempt()


def test_an_old_grant_cannot_be_made_current_again(world: World) -> None:
    """The one row about a grant that changes: it moves to newer revisions, of this person, purpose and scope, and nowhere else."""
    record = world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    given = record.grants.get(scope=Scope.TRANSCRIBE)
    withdrawal.withdraw(world.subject, scopes=[Scope.TRANSCRIBE], actor=ACTOR)
    stranger = world.another_subject()
    other = world.consent(Scope.TRANSCRIBE, subject=stranger).grants.get()
    pitch = world.consent(Scope.PROSODY).grants.get()
    rows = CurrentGrant.objects.filter(subject=world.subject, scope=Scope.TRANSCRIBE)
    for grant in (given, other, pitch):
        with pytest.raises(Error, match="the current grant"), transaction.atomic():
            rows.update(grant=grant)
    with pytest.raises(Error, match="the current grant"), transaction.atomic():
        CurrentGrant.objects.filter(subject=stranger).update(subject=world.subject, scope=Scope.EMOTION)
    with pytest.raises(Error, match="the current grant"), transaction.atomic():
        CurrentGrant.objects.create(subject=world.subject, purpose=world.purpose, scope=Scope.EMOTION, grant=given)
    with pytest.raises(Error, match="permission denied"), transaction.atomic():
        rows.delete()
    assert reasons(world, Scope.TRANSCRIBE) == [DenialReason.WITHDRAWN]


def test_no_statement_of_the_application_revives_an_old_notice_a_purpose_or_somebody_erased(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    gone = world.another_subject()
    withdrawal.erase(gone, actor=ACTOR)
    draft = publishing.draft_notice(
        world.project, series="voice", language="en", title="t", text="x", material=True, actor=ACTOR
    )
    publishing.publish_notice(draft, actor=ACTOR)
    attempts: list[Callable[[], object]] = [
        lambda: NoticeSeries.objects.filter(pk=world.notice.series_id).update(least_valid_version=1),
        lambda: Notice.objects.filter(pk=world.notice.pk).update(version=9),
        lambda: Purpose.objects.filter(pk=world.purpose.pk).update(scopes=["voice.emotion"]),
        lambda: Subject.objects.filter(pk=gone.pk).update(erased_at=None),
        lambda: Subject.objects.filter(pk=gone.pk).update(consent_epoch=0),
        lambda: raw("UPDATE consent_consentrecord SET expires_at = NULL, uses = NULL"),
        lambda: raw("DELETE FROM consent_restrictedrole"),
        lambda: raw("DELETE FROM consent_ending"),
        lambda: raw("ALTER TABLE consent_currentgrant DISABLE TRIGGER ALL"),
        lambda: raw("SET session_replication_role = replica"),
    ]
    for attempt in attempts:
        with pytest.raises(Error, match=r"permission denied|cannot be changed|must be owner"), transaction.atomic():
            attempt()
    assert reasons(world, Scope.TRANSCRIBE) == [DenialReason.NOTICE_SUPERSEDED]


def raw(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_bulk_action_of_the_admin_on_what_is_recorded_does_not_exist(world: World) -> None:
    from django.contrib import admin

    models_: list[type[models.Model]] = [*FIXED, CurrentGrant, Subject, Notice, Purpose]
    for model in models_:
        registered = admin.site._registry.get(model)
        if registered is not None:
            assert not registered.has_delete_permission(_Request())  # type: ignore[arg-type]
            assert "delete_selected" not in (registered.actions or [])


class _Request:
    """No request of anybody: not even with every permission anything is deleted."""

    user = None


# A backdated grant


def test_a_backdated_grant_covers_no_recording_from_before_its_time_and_undoes_no_withdrawal(world: World) -> None:
    now = timezone.now()
    yesterday = now - timedelta(days=1)
    record = world.consent(Scope.TRANSCRIBE, given_at=yesterday)
    assert record.registered_at >= now
    assert reasons(world, Scope.TRANSCRIBE, recorded_at=yesterday - timedelta(seconds=1)) == [
        DenialReason.RECORDED_BEFORE_CONSENT
    ]
    withdrawal.withdraw(world.subject, actor=ACTOR)
    with pytest.raises(InvalidRecord):
        world.consent(Scope.TRANSCRIBE, given_at=now)
    assert reasons(world, Scope.TRANSCRIBE) == [DenialReason.WITHDRAWN]


def test_a_backdated_grant_makes_no_earlier_decision_right(world: World) -> None:
    """What was denied before it was registered stays denied on record, and what was derived without it does not exist."""
    with pytest.raises(ConsentDenied) as denied:
        gate.require(world.ask(Scope.TRANSCRIBE), action=Action.SUBMIT, actor=ACTOR)
    record = world.consent(Scope.TRANSCRIBE, given_at=timezone.now() - timedelta(days=1))
    decision = Decision.objects.get(code=denied.value.decision)
    assert not decision.allowed
    assert decision.at < record.registered_at
    given = Event.objects.filter(log=world.organization.code, name="consent:grant:given").latest("id")
    assert given.at >= decision.at
    assert json.loads(bytes(given.entry))["at"] >= decision.at.isoformat()[:19]


# Scopes widened by PATCH


def test_no_patch_widens_anything(world: World) -> None:
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    operator = Caller(world.project, Role.OPERATOR)
    record = world.consent(Scope.TRANSCRIBE)
    job = analysed(world, Scope.TRANSCRIBE)
    wider = {"scopes": ["speech.transcribe", "voice.emotion"]}
    for caller, path in (
        (manager, f"/v1/consents/{record.code}"),
        (manager, f"/v1/subjects/{world.subject.code}"),
        (manager, f"/v1/notices/{world.notice.code}"),
        (operator, f"/v1/recordings/{job.recording.code}"),
        (operator, f"/v1/analyses/{job.code}"),
    ):
        for method in ("PATCH", "PUT"):
            assert caller.call(method, path, wider).status == 405, (method, path)
    refused = manager.call("PATCH", f"/v1/purposes/{world.purpose.code}", wider)
    assert (refused.status, refused.body["errors"][0]["code"]) == (400, "unknown_field")
    assert reasons(world, Scope.EMOTION) == [DenialReason.NOT_GRANTED]


# A role relabelled to unlock emotion


def test_a_role_relabelled_in_the_row_of_a_recording_unlocks_nothing_after_a_denial(world: World) -> None:
    """Roles are rows that the application could write; whoever was denied as an employee is asked about at every gate."""
    world.consent(*QUICK)
    job = analysed(world, Scope.TRANSCRIBE)
    with pytest.raises(ConsentDenied):
        gate.require(world.ask(Scope.EMOTION, role=ParticipantRole.EMPLOYEE), action=Action.SUBMIT, actor=ACTOR)
    Participant.objects.filter(recording=job.recording).update(role=ParticipantRole.CUSTOMER.value)
    Recording.objects.filter(pk=job.recording_id).update(scopes=[scope.value for scope in QUICK])
    assert reasons(world, Scope.EMOTION) == [DenialReason.ROLE_RELABELLED]
    assert not Result.objects.filter(analysis=job, scope=Scope.EMOTION).exists()
