"""Whatever two people granted, wherever they are and however they are bound: what the gate says beforehand is what it then gives,
with every obligation, and nothing is called allowed that is allowed only on a condition.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.roles import Role
from analysis.plan import keeping, plan, plan_apart, unbind_absent_channels
from consent import explaining, gate
from consent.errors import ConsentDenied
from consent.models import Decision, Subject
from consent.vocabulary import Action, Context, EvidenceMethod, ObligationKind, ParticipantRole, Scope
from tests.callers import Caller
from tests.consent.test_voiceprints import enrol
from tests.factories import ACTOR, World, make_world
from tests.people import officer

SCOPES = (Scope.IDENTIFY, Scope.TRANSCRIBE, Scope.DIARIZE, Scope.EMOTION, Scope.AUDIO_STORE)
PLACES = ("DE", "US-NY", "US-IL", "unknown")
ROLES = (ParticipantRole.CUSTOMER, ParticipantRole.EMPLOYEE, ParticipantRole.UNKNOWN)
GRANTS = (frozenset[Scope](), frozenset({Scope.AUDIO_STORE}), frozenset(SCOPES) - {Scope.IDENTIFY}, frozenset(SCOPES))


@dataclass(frozen=True)
class Person:
    grants: frozenset[Scope]
    known: bool
    """Whether there is a voiceprint of them."""
    role: ParticipantRole
    channel: int | None
    place: str


@dataclass(frozen=True)
class Cast:
    """People who granted this or that, with and without a voiceprint: they are registered once and asked about in all examples."""

    world: World
    subjects: dict[tuple[int, frozenset[Scope], bool], Subject]


@pytest.fixture(scope="module")
def cast() -> Cast:
    world = make_world()
    found = {}
    for place in (0, 1, 2):
        for grants in GRANTS:
            for known in (False, True) if Scope.IDENTIFY in grants else (False,):
                subject = world.another_subject()
                if grants:
                    world.consent(*grants, subject=subject, evidence_method=EvidenceMethod.WRITTEN_RELEASE)
                if known:
                    enrol(world, subject)
                found[place, grants, known] = subject
    return Cast(world, found)


people = st.builds(
    Person,
    grants=st.sampled_from(GRANTS),
    known=st.booleans(),
    role=st.sampled_from([ParticipantRole.CUSTOMER] * 3 + list(ROLES)),
    channel=st.sampled_from([None, None, 0, 1]),
    place=st.sampled_from([""] * 9 + list(PLACES)),
)
enrolled = st.builds(
    Person, st.just(frozenset(SCOPES)), st.just(True), st.just(ParticipantRole.CUSTOMER), st.just(None), st.just("")
)
with_channels_of_their_own = st.tuples(
    st.builds(
        Person, st.just(frozenset(SCOPES)), st.just(True), st.just(ParticipantRole.CUSTOMER), st.just(0), st.just("")
    ),
    st.builds(
        Person, st.sampled_from(GRANTS), st.booleans(), st.just(ParticipantRole.CUSTOMER), st.just(1), st.just("")
    ),
).map(list)
companies = (
    st.lists(people, min_size=2, max_size=3) | st.tuples(enrolled, people).map(list) | with_channels_of_their_own
)
"""Mostly somebody is among them who can be told apart or has a channel alone: obligations are rare by chance."""
places = st.sampled_from(["US-NY"] * 4 + ["DE", "US-IL", "unknown"])
asked = st.sets(st.sampled_from(SCOPES), min_size=1) | st.sets(st.sampled_from(SCOPES)).map(
    lambda some: some | {Scope.IDENTIFY}
)


def question(cast: Cast, persons: Sequence[Person], scopes: set[Scope], place: str) -> gate.GateRequest:
    participants = [
        gate.Participant(
            cast.subjects[number, person.grants, person.known and Scope.IDENTIFY in person.grants].code,
            person.role,
            person.channel,
            person.place,
        )
        for number, person in enumerate(persons)
    ]
    return cast.world.ask(*sorted(scopes), people=participants, jurisdiction=place, context=Context.SUPPORT)


def duties(verdict: gate.Verdict | gate.Permit) -> set[tuple[ObligationKind, int, Scope]]:
    return {(duty.kind, duty.participant, duty.scope) for duty in verdict.obligations}


def over_http(caller: Caller, request: gate.GateRequest) -> dict[str, Any]:
    shown = request.exposure_notice_shown_at
    answer = caller.post(
        "/v1/decisions:dry-run",
        {
            "purpose": request.purpose,
            "context": request.context.value,
            "jurisdiction": request.jurisdiction,
            "recorded_at": request.recorded_at.isoformat(),
            "exposure_notice_shown_at": None if shown is None else shown.isoformat(),
            "participants": [
                {
                    "subject": person.subject,
                    "role": person.role.value,
                    "channel": person.channel,
                    **({"jurisdiction": person.jurisdiction} if person.jurisdiction else {}),
                }
                for person in request.participants
            ],
            "scopes": [scope.value for scope in request.scopes],
        },
    )
    assert answer.status == 200, answer
    body: dict[str, Any] = answer.body
    return body


def test_what_is_answered_beforehand_is_what_the_gate_then_gives(cast: Cast) -> None:
    reached: Counter[str] = Counter()

    @given(persons=companies, scopes=asked, place=places, partial=st.booleans())
    @settings(
        max_examples=200,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=True,
    )
    def agree(persons: list[Person], scopes: set[Scope], place: str, partial: bool) -> None:
        request = question(cast, persons, scopes, place)
        before = gate.evaluate(request)
        reached.update({kind.value for kind, _, _ in duties(before)})
        reached["denied" if not before.allowed else "conditional" if before.obligations else "allowed"] += 1
        said = over_http(Caller(cast.world.project, Role.OPERATOR), request)
        # Rolled back: who is denied for their role is remembered in it, and would not be the same person in the next example.
        with transaction.atomic():
            try:
                permit = gate.require(request, action=Action.CLAIM, actor=ACTOR, partial=partial, caller_commits=True)
                decision = Decision.objects.get(code=permit.decision)
                granted = {(pair.subject, pair.scope) for pair in permit.granted}
                assert before.allowed or partial
                assert duties(permit) == duties(before)
            except ConsentDenied as denied:
                decision = Decision.objects.get(code=denied.decision)
                granted = {(pair.subject, pair.scope) for pair in before.granted}
                assert not before.allowed
                assert not (partial and before.granted)
            explained = explaining.explain(decision)
            transaction.set_rollback(True)

        assert {(pair.subject, pair.scope) for pair in before.granted} == granted
        assert said["allowed"] == before.allowed
        assert {(d["kind"], d["participant"], d["scope"]) for d in said["obligations"]} == duties(before)
        assert {(d["kind"], d["participant"], d["scope"]) for d in decision.obligations} == duties(before)
        for position, answered in enumerate(said["participants"]):
            for one in answered["scopes"]:
                pair = (answered["subject"], Scope(one["scope"]))
                isolated = (ObligationKind.ISOLATE, position, pair[1]) in duties(before)
                masked = (ObligationKind.MASK, position, pair[1]) in duties(before)
                denied_too = bool(one["denials"])
                expected = "isolate" if isolated else "allow" if pair in granted else "deny"
                if masked and not denied_too:
                    expected = "leave_out"
                assert one["answer"] == expected
                # Nobody is isolated who is not granted it, and whoever is left out is not.
                assert not (isolated and pair not in granted)
                assert not (masked and pair in granted)
                assert denied_too == (expected == "deny")
        # Every obligation has its sentence, and none is called a plain yes.
        words = " ".join(explained.sentences)
        if before.obligations:
            assert "The answer was yes." not in words
        for kind, position, _scope in duties(before):
            assert request.participants[position].subject in words
            assert ("own voiceprint" if kind is ObligationKind.ISOLATE else "left out") in words

    agree()
    assert min(reached[name] for name in ("isolate", "mask", "allowed", "conditional", "denied")) >= 5, reached


def test_nobody_who_did_not_grant_a_scope_is_on_a_channel_that_is_heard_or_kept_as_it_is(cast: Cast) -> None:
    """The rules of the design, said again without the code's own words: on any number of channels."""
    reached: Counter[str] = Counter()

    @given(persons=companies, place=places, channels=st.integers(1, 3))
    @settings(
        max_examples=400,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=True,
    )
    def hold(persons: list[Person], place: str, channels: int) -> None:
        request = question(cast, persons, set(SCOPES), place)
        request = replace(request, participants=unbind_absent_channels(request.participants, channels))
        with transaction.atomic():
            try:
                permit = gate.require(request, action=Action.CLAIM, actor=ACTOR, partial=True, caller_commits=True)
            except ConsentDenied:
                return
            finally:
                transaction.set_rollback(True)
        by_code = {person.subject: wanted for person, wanted in zip(request.participants, persons, strict=True)}

        def audible(channel: int) -> list[gate.Participant]:
            return [person for person in request.participants if person.channel is None or person.channel == channel]

        illinois = {place, *(person.place for person in persons)} & {"US-IL", "unknown"}
        heard = plan(request.participants, channels, permit)
        reached["heard"] += bool(heard)
        for hearing in heard:
            for channel in hearing.channels:
                assert audible(channel)
                for person in audible(channel):
                    assert hearing.scopes <= by_code[person.subject].grants
                    assert person in hearing.people
                    if Scope.EMOTION in hearing.scopes:
                        assert person.role is ParticipantRole.CUSTOMER
        told_apart = plan_apart(request.participants, channels, permit)
        reached["told apart"] += bool(told_apart)
        for one in told_apart:
            mine = by_code[one.person.subject]
            assert one.scopes | {Scope.IDENTIFY} <= mine.grants
            if one.obliged:
                assert mine.known
                assert not illinois, "a voiceprint of whoever did not release it would be made"
            else:
                assert one.scopes == {Scope.IDENTIFY}
                assert all(
                    Scope.IDENTIFY in by_code[person.subject].grants for ch in one.channels for person in audible(ch)
                )
            assert Scope.EMOTION not in one.scopes or one.person.role is ParticipantRole.CUSTOMER
        how = keeping(request.participants, channels, permit)
        if how is None:
            return
        reached.update(["kept"] + ["silent"] * bool(how.silent) + ["apart"] * bool(how.apart))
        inside = {person.subject for person in how.people}
        assert all(Scope.AUDIO_STORE in by_code[subject].grants for subject in inside)
        if len(inside) < len(persons):
            everywhere = {place, *(person.place for person in persons)} - {""}
            assert everywhere <= {"US-NY"}, "somebody is left out where everyone must agree"
        for channel in range(channels):
            assert audible(channel), "nobody declared this channel"
            strangers = [person for person in audible(channel) if person.subject not in inside]
            assert not strangers or channel in how.silent | how.apart

    hold()
    assert min(reached[name] for name in ("heard", "told apart", "kept", "silent", "apart")) >= 5, reached


def test_the_console_says_on_which_condition_something_was_allowed(cast: Cast) -> None:
    grants = GRANTS[3]
    mine = Person(grants, True, ParticipantRole.CUSTOMER, None, "")
    theirs = Person(frozenset(), False, ParticipantRole.CUSTOMER, None, "")
    request = question(cast, [mine, theirs], {Scope.IDENTIFY, Scope.TRANSCRIBE}, "DE")
    permit = gate.require(request, action=Action.SUBMIT, actor=ACTOR)
    assert permit.obligations
    browser = officer(cast.world)
    assert "allowed on conditions" in browser.see("/admin/consent/decision/")
    row = Decision.objects.get(code=permit.decision)
    page = browser.see(f"/admin/consent/decision/{row.code}/change/")
    assert "only what matches their own voiceprint may be used" in page
    assert "must be left out" in page
