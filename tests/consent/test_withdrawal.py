"""Withdrawal: one call, effective at once, limited to what it names; erasure takes the whole person."""

import threading
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connections, transaction

from audit.models import EventReference
from consent import destruction, gate, revealing, subjects, withdrawal
from consent.errors import ConsentDenied, DuplicateSubject, InvalidRecord, NothingToWithdraw, SubjectErased
from consent.models import Decision, DestructionOrder, Grant, Subject
from consent.vocabulary import Action, ParticipantRole, Scope
from tests.factories import ACTOR, World, make_world
from vault import sealing, shredding
from vault.context import Context as SealContext
from vault.errors import KeyShredded
from vault.keys import KeyName
from vault.models import DataKey


def sealed_under(world: World, scope: Scope) -> tuple[SealContext, list[KeyName], bytes]:
    organization, subject = world.organization.code, world.subject.code
    context = SealContext(organization, (subject,), scope.value, "result", "sealed", "object")
    keys = [KeyName.subject(organization, subject, scope.value)]
    return context, keys, sealing.seal(context, keys, b"what was said")


def test_only_the_scopes_named_are_withdrawn(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    done = withdrawal.withdraw(world.subject, scopes=[Scope.PROSODY], actor=ACTOR)
    assert [scope for _, scope in done.closed] == [Scope.PROSODY]
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed
    assert not gate.evaluate(world.ask(Scope.PROSODY)).allowed


def test_what_was_sealed_is_unreadable_from_the_withdrawing_commit_on_and_its_key_destroyed_after(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    words, pitch = sealed_under(world, Scope.TRANSCRIBE), sealed_under(world, Scope.PROSODY)
    withdrawal.withdraw(world.subject, scopes=[Scope.TRANSCRIBE], actor=ACTOR)
    with pytest.raises(KeyShredded):
        sealing.open(*words)
    assert DataKey.objects.filter(owner=world.subject.code, scope=Scope.TRANSCRIBE).exists()
    shredding.carry_out_orders()
    assert not DataKey.objects.filter(owner=world.subject.code, scope=Scope.TRANSCRIBE).exists()
    assert sealing.open(*pitch) == b"what was said"


def test_consent_given_again_does_not_bring_back_what_was_withdrawn(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    before = sealed_under(world, Scope.TRANSCRIBE)
    withdrawal.withdraw(world.subject, actor=ACTOR)
    world.consent(Scope.TRANSCRIBE)
    after = sealed_under(world, Scope.TRANSCRIBE)
    shredding.carry_out_orders()
    assert sealing.open(*after) == b"what was said"
    with pytest.raises(KeyShredded):
        sealing.open(*before)


def test_a_scope_that_another_purpose_still_holds_keeps_its_key(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    world.under_another_purpose(Scope.TRANSCRIBE).consent(Scope.TRANSCRIBE)
    sealed = sealed_under(world, Scope.TRANSCRIBE)
    withdrawal.withdraw(world.subject, purpose=world.purpose, actor=ACTOR)
    shredding.carry_out_orders()
    assert sealing.open(*sealed) == b"what was said"
    withdrawal.withdraw(world.subject, actor=ACTOR)
    with pytest.raises(KeyShredded):
        sealing.open(*sealed)


def test_a_refusal_that_replaces_a_grant_destroys_what_rested_on_it(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    before = sealed_under(world, Scope.TRANSCRIBE)
    world.consent(Scope.TRANSCRIBE, given=False)
    with pytest.raises(KeyShredded):
        sealing.open(*before)
    assert DestructionOrder.objects.filter(subject=world.subject.code, reason="refusal").exists()
    world.consent(Scope.TRANSCRIBE)
    with pytest.raises(KeyShredded):
        sealing.open(*before)


def test_an_answer_given_before_a_withdrawal_cannot_undo_it_however_late_it_comes_in(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE)
    withdrawal.withdraw(world.subject, actor=ACTOR)
    with pytest.raises(InvalidRecord) as caught:
        world.consent(Scope.TRANSCRIBE, given_at=record.given_at)
    assert caught.value.field == "given_at"
    assert not gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed
    world.consent(Scope.PROSODY, given_at=record.given_at - timedelta(days=1))  # nothing was withdrawn there


def test_a_denial_about_somebody_erased_or_unknown_names_nobody(world: World) -> None:
    person = world.another_subject()
    destruction.carry_out(withdrawal.erase(person, actor=ACTOR).code)
    for code in (person.code, make_world().subject.code):
        people = [gate.Participant(code, ParticipantRole.CUSTOMER)]
        with pytest.raises(ConsentDenied) as caught:
            gate.require(world.ask(Scope.TRANSCRIBE, people=people), action=Action.SUBMIT, actor=ACTOR)
        decision = Decision.objects.get(code=caught.value.decision)
        assert code not in str([decision.subjects, decision.request, decision.denials])
        assert not EventReference.objects.filter(log=world.organization.code, code=code).exists()


def test_an_order_that_is_late_names_nobody_who_was_erased_meanwhile(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    late = withdrawal.withdraw(world.subject, actor=ACTOR).orders[0]
    destruction.carry_out(withdrawal.erase(world.subject, actor=ACTOR).code)
    destruction.carry_out(late)
    assert not EventReference.objects.filter(code=world.subject.code).exists()


def test_withdrawing_nothing_says_so(world: World) -> None:
    with pytest.raises(NothingToWithdraw):
        withdrawal.withdraw(world.subject, actor=ACTOR)


def test_withdrawn_grants_stay_as_history(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE)
    withdrawal.withdraw(world.subject, actor=ACTOR)
    states = list(Grant.objects.filter(record=record).order_by("revision").values_list("revision", "state"))
    assert states == [(1, "given"), (2, "withdrawn")]


def test_an_order_is_carried_out_once_and_says_what_went(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    code = withdrawal.withdraw(world.subject, actor=ACTOR).orders[0]
    assert destruction.carry_out(code) is True
    assert destruction.carry_out(code) is False
    assert DestructionOrder.objects.get(code=code).done_at is not None


def test_a_withdrawal_waits_for_a_commit_that_holds_the_subject_and_is_seen_by_the_next(world: World) -> None:
    """The committing transaction holds the subject's row shared: a withdrawal comes wholly before it or wholly after."""
    from consent import locking

    world.consent(Scope.TRANSCRIBE)
    began, done = threading.Event(), threading.Event()

    def withdraw() -> None:
        began.set()
        withdrawal.withdraw(world.subject, actor=ACTOR)
        done.set()
        connections.close_all()

    with transaction.atomic():
        locking.hold(world.project.pk, [world.subject.code])
        assert gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed
        thread = threading.Thread(target=withdraw)
        thread.start()
        began.wait()
        assert not done.wait(0.3)
        assert gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed
    thread.join(10)
    assert done.is_set()
    assert not gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed


def test_grant_and_withdrawal_racing_leave_one_answer_and_a_whole_history(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE)
    errors: list[Exception] = []

    def hammer(step: int) -> None:
        try:
            for _ in range(5):
                # An answer that a later withdrawal overtook is refused, and nothing in force is nothing to withdraw.
                with suppress(NothingToWithdraw, InvalidRecord):
                    if step % 2:
                        world.consent(Scope.TRANSCRIBE)
                    else:
                        withdrawal.withdraw(world.subject, actor=ACTOR)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=hammer, args=(step,)) for step in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    history = list(Grant.objects.filter(record__subject=world.subject).order_by("id"))
    state = gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed
    assert state == (history[-1].state == "given")
    assert record.grants.count() <= 2


def test_erasure_leaves_bare_proof_and_no_link(world: World) -> None:
    person = world.another_subject("CUSTOMER-4711")
    record = world.consent(Scope.TRANSCRIBE, subject=person)
    people = [gate.Participant(person.code, ParticipantRole.CUSTOMER)]
    gate.require(world.ask(Scope.TRANSCRIBE, people=people), action=Action.READ, actor=ACTOR)
    assert Decision.objects.filter(subjects__contains=[person.code]).exists()

    order = withdrawal.erase(person, actor=ACTOR)
    destruction.carry_out(order.code)
    shredding.carry_out_orders()

    person = Subject.objects.get(pk=person.pk)
    assert person.external_reference is None
    assert person.external_index is None
    assert not Decision.objects.filter(subjects__contains=[person.code]).exists()
    assert not EventReference.objects.filter(code__in=[person.code, record.code]).exists()
    assert not DataKey.objects.filter(owner=person.code).exists()
    assert [grant.state for grant in record.grants.order_by("revision")] == ["given", "withdrawn"]
    with pytest.raises(SubjectErased):
        world.consent(Scope.TRANSCRIBE, subject=person)
    with pytest.raises(SubjectErased):
        revealing.reference(person, actor=ACTOR)


def test_a_decision_about_two_people_keeps_the_other_when_one_is_erased(world: World) -> None:
    other = world.another_subject()
    people = [
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, 0),
        gate.Participant(other.code, ParticipantRole.CUSTOMER, 1),
    ]
    world.consent(Scope.TRANSCRIBE)
    world.consent(Scope.TRANSCRIBE, subject=other)
    permit = gate.require(world.ask(Scope.TRANSCRIBE, people=people), action=Action.READ, actor=ACTOR)
    destruction.carry_out(withdrawal.erase(other, actor=ACTOR).code)
    decision = Decision.objects.get(code=permit.decision)
    assert decision.subjects == [world.subject.code]
    assert other.code not in str([decision.request, decision.granted, decision.denials])


def test_an_erasure_leaves_the_decisions_of_other_projects_alone(world: World) -> None:
    """The gate names nobody from elsewhere; a row that does, however it came to be, is still not this erasure's to touch."""
    elsewhere = make_world()
    foreign, shared = (
        Decision.objects.create(
            project=elsewhere.project, action=Action.READ.value, allowed=False, actor_kind="system", actor_code="tests",
            subjects=people, request={"participants": people}, granted=[], denials=[], policy_epoch=0, rule_set="1",
        )
        for people in ([world.subject.code], [world.subject.code, elsewhere.subject.code])
    )  # fmt: skip
    destruction.carry_out(withdrawal.erase(world.subject, actor=ACTOR).code)
    assert Decision.objects.filter(pk=foreign.pk).exists()
    assert world.subject.code in Decision.objects.get(pk=shared.pk).subjects


def test_decisions_about_somebody_who_was_not_erased_cannot_be_pruned(world: World) -> None:
    from django.db import Error, connection

    with pytest.raises(Error, match="was not erased"), connection.cursor() as cursor:
        cursor.execute("SELECT consent_prune_decisions(%s)", [world.subject.code])


def test_one_external_reference_belongs_to_one_subject(world: World) -> None:
    person = world.another_subject("CUSTOMER-1")
    with pytest.raises(DuplicateSubject):
        world.another_subject("CUSTOMER-1")
    assert subjects.find_by_reference(world.project, "CUSTOMER-1") == person
    assert subjects.find_by_reference(world.project, "CUSTOMER-2") is None
    assert make_world().another_subject("CUSTOMER-1") != person
