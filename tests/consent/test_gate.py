"""The gate: default deny, every reason named, every decision on the trail, and no way around it."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from audit.models import Event
from consent import gate, publishing, withdrawal
from consent.errors import BeyondPermit, ConsentDenied, GateInsideTransaction, PermitForged
from consent.models import Decision
from consent.vocabulary import Action, Context, DenialReason, ParticipantRole, Scope
from tests.factories import ACTOR, World, make_world, publish


def reasons(world: World, *scopes: Scope, **how: object) -> list[DenialReason]:
    return [denial.reason for denial in gate.evaluate(world.ask(*scopes, **how)).denials]  # type: ignore[arg-type]


def test_nothing_is_permitted_without_a_grant(world: World) -> None:
    assert reasons(world, Scope.TRANSCRIBE) == [DenialReason.NOT_GRANTED]


def test_a_recorded_grant_opens_its_scope_and_no_other(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed
    assert reasons(world, Scope.PROSODY) == [DenialReason.NOT_GRANTED]


def test_one_missing_scope_denies_the_whole_request_and_is_named(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    with pytest.raises(ConsentDenied) as caught:
        gate.require(world.ask(Scope.TRANSCRIBE, Scope.EMOTION), action=Action.SUBMIT, actor=ACTOR)
    assert [denial.scope for denial in caught.value.verdict.denials] == [Scope.EMOTION]


def test_a_partial_permit_names_only_what_is_granted(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    permit = gate.require(world.ask(Scope.TRANSCRIBE, Scope.EMOTION), action=Action.CLAIM, actor=ACTOR, partial=True)
    assert permit.allows(world.subject.code, Scope.TRANSCRIBE)
    with pytest.raises(BeyondPermit):
        permit.require_pair(world.subject.code, Scope.EMOTION)


def test_a_refused_grant_opens_nothing(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, given=False)
    assert reasons(world, Scope.TRANSCRIBE) == [DenialReason.REFUSED]


def test_a_later_refusal_closes_an_earlier_grant(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    world.consent(Scope.TRANSCRIBE, given=False)
    assert reasons(world, Scope.TRANSCRIBE) == [DenialReason.REFUSED]


def test_withdrawal_closes_at_once_and_a_new_grant_opens_again(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    withdrawal.withdraw(world.subject, actor=ACTOR)
    assert reasons(world, Scope.TRANSCRIBE) == [DenialReason.WITHDRAWN]
    world.consent(Scope.TRANSCRIBE)
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed


def test_a_grant_ends_at_its_exact_instant(world: World, superuser) -> None:  # type: ignore[no-untyped-def]
    record = world.consent(Scope.TRANSCRIBE, expires_at=timezone.now() + timedelta(hours=1))
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed
    superuser(f"UPDATE consent_consentrecord SET expires_at = now() WHERE id = {record.pk}")
    assert reasons(world, Scope.TRANSCRIBE) == [DenialReason.EXPIRED]


def test_a_recording_older_than_the_consent_is_denied_unless_the_consent_names_it(world: World) -> None:
    last_week = timezone.now() - timedelta(days=7)
    world.consent(Scope.TRANSCRIBE)
    assert reasons(world, Scope.TRANSCRIBE, recorded_at=last_week) == [DenialReason.RECORDED_BEFORE_CONSENT]
    world.consent(Scope.TRANSCRIBE, covers_recorded_from=last_week - timedelta(days=1))
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE, recorded_at=last_week)).allowed


def test_a_recording_from_the_future_is_denied(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    tomorrow = timezone.now() + timedelta(days=1)
    assert reasons(world, Scope.TRANSCRIBE, recorded_at=tomorrow) == [DenialReason.RECORDED_IN_FUTURE]


def test_a_material_notice_closes_every_older_grant_by_one_row(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    newer = publishing.draft_notice(
        world.project,
        series="voice",
        language="en",
        title="New",
        text="Now we also sell it.",
        material=True,
        actor=ACTOR,
    )
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed
    publishing.publish_notice(newer, actor=ACTOR)
    assert reasons(world, Scope.TRANSCRIBE) == [DenialReason.NOTICE_SUPERSEDED]


def test_an_editorial_notice_leaves_grants_valid(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    newer = publishing.draft_notice(
        world.project, series="voice", language="en", title="Typo", text="A comma, added.", material=False, actor=ACTOR
    )
    publish(newer)
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed


def test_an_inactive_purpose_and_a_context_outside_it_are_denied(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    assert reasons(world, Scope.TRANSCRIBE, context=Context.MEDIA) == [DenialReason.CONTEXT_OUTSIDE_PURPOSE]
    assert DenialReason.CONTEXT_UNKNOWN in reasons(world, Scope.TRANSCRIBE, context=Context.UNKNOWN)
    publishing.set_purpose_active(world.purpose, False, actor=ACTOR)
    assert reasons(world, Scope.TRANSCRIBE) == [DenialReason.PURPOSE_INACTIVE]


def test_a_scope_outside_the_purpose_is_denied() -> None:
    world = make_world(scopes=[Scope.TRANSCRIBE])
    assert reasons(world, Scope.EMOTION) == [DenialReason.SCOPE_OUTSIDE_PURPOSE]


def test_another_projects_subject_is_unknown(world: World) -> None:
    stranger = make_world()
    stranger.consent(Scope.TRANSCRIBE)
    people = [gate.Participant(stranger.subject.code, ParticipantRole.CUSTOMER)]
    assert reasons(world, Scope.TRANSCRIBE, people=people) == [DenialReason.SUBJECT_UNKNOWN]


def test_an_erased_person_is_denied(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    withdrawal.erase(world.subject, actor=ACTOR)
    assert reasons(world, Scope.TRANSCRIBE) == [DenialReason.SUBJECT_ERASED]


def test_special_categories_need_explicit_consent(world: World) -> None:
    world.consent(Scope.NONVERBAL, Scope.TRANSCRIBE, explicit=False)
    verdict = gate.evaluate(world.ask(Scope.NONVERBAL, Scope.TRANSCRIBE))
    assert [(d.scope, d.rule) for d in verdict.denials] == [(Scope.NONVERBAL, "gdpr-9-2-a")]


@pytest.mark.parametrize(
    "role",
    [
        ParticipantRole.EMPLOYEE,
        ParticipantRole.CANDIDATE,
        ParticipantRole.STUDENT,
        ParticipantRole.INTERVIEWER,
        ParticipantRole.UNKNOWN,
    ],
)
def test_no_emotion_about_people_at_work_or_in_education_whatever_they_granted(
    world: World, role: ParticipantRole
) -> None:
    world.consent(Scope.EMOTION, Scope.TRANSCRIBE)
    verdict = gate.evaluate(world.ask(Scope.EMOTION, Scope.TRANSCRIBE, role=role))
    assert [(d.scope, d.rule) for d in verdict.denials] == [(Scope.EMOTION, "eu-ai-act-5-1-f")]


def test_emotion_of_a_customer_in_the_same_call_may_still_be_analysed(world: World) -> None:
    employee = world.another_subject()
    world.consent(Scope.EMOTION)
    world.consent(Scope.EMOTION, subject=employee)
    people = [
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channel=0),
        gate.Participant(employee.code, ParticipantRole.EMPLOYEE, channel=1),
    ]
    permit = gate.require(world.ask(Scope.EMOTION, people=people), action=Action.CLAIM, actor=ACTOR, partial=True)
    assert permit.allows(world.subject.code, Scope.EMOTION)
    assert not permit.allows(employee.code, Scope.EMOTION)


def test_a_shared_channel_needs_everyone_on_it(world: World) -> None:
    other = world.another_subject()
    world.consent(Scope.TRANSCRIBE)
    people = [
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER),
        gate.Participant(other.code, ParticipantRole.OTHER),
    ]
    verdict = gate.evaluate(world.ask(Scope.TRANSCRIBE, people=people))
    assert {(d.subject, d.reason) for d in verdict.denials} == {
        (other.code, DenialReason.NOT_GRANTED),
        (world.subject.code, DenialReason.PARTICIPANT_UNBOUND),
    }
    world.consent(Scope.TRANSCRIBE, subject=other)
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE, people=people)).allowed


def test_a_denial_is_recorded_even_when_the_callers_work_is_rolled_back(world: World) -> None:
    before = Decision.objects.filter(project=world.project, allowed=False).count()
    with pytest.raises(ConsentDenied) as caught:
        gate.require(world.ask(Scope.TRANSCRIBE), action=Action.READ, actor=ACTOR)
    with pytest.raises(RuntimeError), transaction.atomic():
        raise RuntimeError("the request fails afterwards")
    assert Decision.objects.filter(project=world.project, allowed=False).count() == before + 1
    assert Decision.objects.get(code=caught.value.decision).allowed is False
    event = Event.objects.filter(log=world.organization.code).latest("id")
    assert (event.name, event.outcome) == ("consent:decision:denied", "deny")


def test_require_refuses_to_run_inside_a_transaction_that_could_lose_the_denial(world: World) -> None:
    with pytest.raises(GateInsideTransaction), transaction.atomic():
        gate.require(world.ask(Scope.TRANSCRIBE), action=Action.READ, actor=ACTOR)


def test_a_permit_cannot_be_made_by_hand(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    permit = gate.require(world.ask(Scope.TRANSCRIBE), action=Action.READ, actor=ACTOR)
    with pytest.raises(PermitForged):
        gate.Permit(
            decision="x",
            action=Action.READ,
            project=permit.project,
            organization=permit.organization,
            object_code="",
            purpose=permit.purpose,
            granted=permit.granted,
            consent_epochs={},
            policy_epoch=0,
            rule_set="",
            valid_until=None,
        )


def test_a_permit_stops_being_in_force_when_consent_is_withdrawn(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    request = world.ask(Scope.TRANSCRIBE, Scope.PROSODY)
    permit = gate.require(request, action=Action.CLAIM, actor=ACTOR)
    assert gate.still_in_force(permit, request)
    withdrawal.withdraw(world.subject, scopes=[Scope.PROSODY], actor=ACTOR)
    assert not gate.still_in_force(permit, request)


def test_evaluate_takes_one_round_trip_for_any_number_of_people_and_scopes(world: World) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    people = [gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, 0)] + [
        gate.Participant(world.another_subject().code, ParticipantRole.OTHER, channel) for channel in range(1, 8)
    ]
    with CaptureQueriesContext(connection) as queries:
        gate.evaluate(world.ask(*Scope, people=people))
    assert len(queries) == 1
