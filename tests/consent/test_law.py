"""The law table: for each rule at least one case that it allows and one that it denies, each written from the rule's own text.

Rules are asked directly where that says more; that the gate asks them is shown at the end of each part.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from consent import gate, law, publishing, representing, withdrawal
from consent.errors import InvalidRecord, StateOutsideEmotion
from consent.inventory import Category
from consent.law import Case, Companion, Consent, Obligation, Prohibition
from consent.law.ai_act import NoEmotionAtWorkOrInEducation, PeopleAreToldBefore
from consent.law.biometrics import (
    NobodyElsesVoiceprint,
    VoiceprintNeedsPublicSchedule,
    VoiceprintNeedsWrittenRelease,
    caps,
)
from consent.law.children import ChildrenAreRepresented, ParentsConsentBelowThirteen
from consent.law.gdpr import NothingWithAVoiceIsDeidentified, SpecialCategoriesNeedExplicitConsent
from consent.law.places import EEA, all_lie_in, any_may_lie_in, may_lie_in
from consent.law.recording import ONE_PARTY, EveryoneAgreesToKeeping
from consent.law.states import require_no_state
from consent.law.terms import Rule
from consent.vocabulary import (
    AgeBand,
    Context,
    DenialReason,
    EvidenceMethod,
    Ground,
    ObligationKind,
    ParticipantRole,
    Scope,
)
from tests.factories import ACTOR, World, make_representative, make_world, publish

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RELEASE = Consent(explicit=True, method=EvidenceMethod.WRITTEN_RELEASE, age_band=AgeBand.ADULT, open_ended=False)


def case(scope: Scope, **changes: object) -> Case:
    """A customer on a support line in Germany who consented explicitly, as an adult, and was told before."""
    plain = Case(
        scope=scope,
        role=ParticipantRole.CUSTOMER,
        context=Context.SUPPORT,
        places=frozenset({"DE"}),
        consent=Consent(explicit=True, method=EvidenceMethod.WEB_FORM, age_band=AgeBand.ADULT, open_ended=False),
        recorded_at=NOON,
        exposure_notice_shown_at=NOON - timedelta(minutes=1),
        schedule_published=True,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # fields of a Case by name


def says(rule: Rule, judged: Case) -> str:
    """`allow`, `deny` or the kind of the obligation."""
    found = rule.verdict(judged) if rule.applies(judged) else None
    if found is None:
        return "allow"
    assert (found.rule, found.citation) == (rule.id, rule.citation)
    return "deny" if isinstance(found, Prohibition) else found.kind.value


def reasons(world: World, *scopes: Scope, **how: object) -> list[tuple[str, str]]:
    return [(d.reason.value, d.rule) for d in gate.evaluate(world.ask(*scopes, **how)).denials]  # type: ignore[arg-type]


# What every rule has


def test_every_rule_has_an_id_of_its_own_and_a_citation() -> None:
    rules = (*law.RULES, *law.GROUP_RULES)
    assert len({rule.id for rule in rules}) == len(rules)
    assert all(rule.citation and (type(rule).__doc__ or "").strip() for rule in rules)


def test_a_rule_that_says_no_outranks_every_grant() -> None:
    world = make_world()
    world.consent(Scope.EMOTION, Scope.TRANSCRIBE)
    assert gate.evaluate(world.ask(Scope.EMOTION)).allowed
    assert reasons(world, Scope.EMOTION, role=ParticipantRole.EMPLOYEE) == [("law", "eu-ai-act-5-1-f")]


# EU AI Act, art. 5(1)(f): no emotion inference at work or in education, medical and safety reasons aside

AT_WORK = NoEmotionAtWorkOrInEducation()


@pytest.mark.parametrize("role", ["customer", "caller", "patient"])
def test_eu_ai_act_5_1_f_allows_whoever_comes_from_outside(role: str) -> None:
    assert says(AT_WORK, case(Scope.EMOTION, role=ParticipantRole(role))) == "allow"
    assert says(AT_WORK, case(Scope.EMOTION, role=ParticipantRole(role), context=Context.EMPLOYMENT)) == "allow"


@pytest.mark.parametrize("role", ["employee", "candidate", "student", "interviewer", "unknown"])
@pytest.mark.parametrize("context", list(Context))
def test_eu_ai_act_5_1_f_denies_whoever_is_at_work_or_in_education_in_any_context(role: str, context: Context) -> None:
    assert says(AT_WORK, case(Scope.EMOTION, role=ParticipantRole(role), context=context)) == "deny"


@pytest.mark.parametrize("context", ["employment", "education", "unknown"])
def test_eu_ai_act_5_1_f_denies_by_the_place_whom_no_role_puts_outside(context: str) -> None:
    assert says(AT_WORK, case(Scope.EMOTION, role=ParticipantRole.OTHER, context=Context(context))) == "deny"
    assert says(AT_WORK, case(Scope.EMOTION, role=ParticipantRole.OTHER)) == "allow"


@pytest.mark.parametrize("ground", ["medical", "safety"])
def test_eu_ai_act_5_1_f_excepts_medical_and_safety_reasons_that_the_purpose_documents(ground: str) -> None:
    driver = case(Scope.EMOTION, role=ParticipantRole.EMPLOYEE, context=Context.EMPLOYMENT)
    assert says(AT_WORK, driver) == "deny"
    assert says(AT_WORK, replace(driver, ground=Ground(ground))) == "allow"
    # Nobody documents a ground for they do not know whom, or where.
    assert says(AT_WORK, replace(driver, ground=Ground(ground), role=ParticipantRole.UNKNOWN)) == "deny"
    assert says(AT_WORK, replace(driver, ground=Ground(ground), context=Context.UNKNOWN)) == "deny"


def test_eu_ai_act_5_1_f_is_about_emotion_and_nothing_else() -> None:
    for scope in set(Scope) - {Scope.EMOTION}:
        assert says(AT_WORK, case(scope, role=ParticipantRole.EMPLOYEE)) == "allow"


def test_eu_ai_act_5_1_f_ground_is_declared_on_the_purpose_with_an_assessment_and_by_no_call() -> None:
    with pytest.raises(InvalidRecord) as undocumented:
        make_world(contexts=[Context.SUPPORT], scopes=[Scope.EMOTION], ground=Ground.MEDICAL, dpia_reference="")
    assert undocumented.value.field == "dpia_reference"
    world = make_world(contexts=[Context.EMPLOYMENT], ground=Ground.SAFETY, dpia_reference="DPIA 2026/3: drowsiness")
    world.consent(Scope.EMOTION)
    driver = {"role": ParticipantRole.EMPLOYEE, "context": Context.EMPLOYMENT}
    assert reasons(world, Scope.EMOTION, **driver) == []
    assert "ground" not in gate.GateRequest.__dataclass_fields__


# EU AI Act, art. 50(3): people are told before emotion recognition is used on them

TOLD = PeopleAreToldBefore()


def test_eu_ai_act_50_3_allows_when_people_were_told_before() -> None:
    assert says(TOLD, case(Scope.EMOTION)) == "allow"
    assert says(TOLD, case(Scope.ACCENT)) == "allow"


@pytest.mark.parametrize("shown", [None, NOON, NOON + timedelta(seconds=1)])
def test_eu_ai_act_50_3_denies_when_they_were_not_or_only_afterwards(shown: datetime | None) -> None:
    assert says(TOLD, case(Scope.EMOTION, exposure_notice_shown_at=shown)) == "deny"
    assert says(TOLD, case(Scope.ACCENT, exposure_notice_shown_at=shown)) == "deny"
    assert says(TOLD, case(Scope.TRANSCRIBE, exposure_notice_shown_at=shown)) == "allow"


def test_eu_ai_act_50_3_is_asked_by_the_gate() -> None:
    world = make_world()
    for scope in (Scope.EMOTION, Scope.ACCENT):
        world.consent(scope)
        assert reasons(world, scope) == []
        assert reasons(world, scope, exposure_notice_shown_at=None) == [("law", "eu-ai-act-50-3")]


# GDPR art. 9: special categories

EXPLICIT = SpecialCategoriesNeedExplicitConsent()


@pytest.mark.parametrize("scope", ["voice.emotion", "voice.identify", "voice.accent", "voice.nonverbal"])
def test_gdpr_9_allows_special_categories_for_explicit_consent_only(scope: str) -> None:
    regular = Consent(explicit=False, method=EvidenceMethod.WEB_FORM)
    assert says(EXPLICIT, case(Scope(scope))) == "allow"
    assert says(EXPLICIT, case(Scope(scope), consent=regular)) == "deny"
    assert says(EXPLICIT, case(Scope.TRANSCRIBE, consent=regular)) == "allow"


# GDPR art. 4(11) and 7: specific, informed, provable, as easy to withdraw as to give


def test_gdpr_7_allows_exactly_what_was_consented_to_and_denies_what_would_be_bundled_with_it() -> None:
    world = make_world()
    record = world.consent(Scope.TRANSCRIBE)
    assert reasons(world, Scope.TRANSCRIBE) == []
    for scope in set(Scope) - {Scope.TRANSCRIBE}:
        assert ("not_granted", "") in reasons(world, scope)
    assert "all" not in {scope.value for scope in Scope}
    assert record.evidence_sha256 == record.notice.sha256


def test_gdpr_7_withdrawal_takes_one_call_and_denies_from_then_on() -> None:
    world = make_world()
    world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    withdrawal.withdraw(world.subject, actor=ACTOR)
    assert reasons(world, Scope.TRANSCRIBE, Scope.PROSODY) == [("withdrawn", "")] * 2


# GDPR art. 7 and EDPB 05/2020: a materially new notice needs new consent


@pytest.mark.parametrize(("material", "expected"), [(False, []), (True, [("notice_superseded", "")])])
def test_gdpr_7_a_new_notice_denies_when_it_is_material_and_allows_when_it_is_editorial(
    material: bool, expected: list[tuple[str, str]]
) -> None:
    world = make_world()
    world.consent(Scope.TRANSCRIBE)
    draft = publishing.draft_notice(
        world.project, series="voice", language="en", title="Anew", text="And more.", material=material, actor=ACTOR
    )
    publish(draft)
    assert reasons(world, Scope.TRANSCRIBE) == expected


# GDPR art. 8 and COPPA: children

GDPR_8, COPPA = ChildrenAreRepresented(), ParentsConsentBelowThirteen()


def answered(band: AgeBand, *, represented: bool = False) -> Consent:
    return Consent(explicit=True, method=EvidenceMethod.PAPER, age_band=band, represented=represented)


@pytest.mark.parametrize(
    ("place", "band", "expected"),
    [
        ("DE", AgeBand.FROM_13, "deny"),  # 16: the Regulation's own age
        ("DE", AgeBand.FROM_16, "allow"),
        ("FR", AgeBand.FROM_13, "deny"),  # 15
        ("AT", AgeBand.FROM_13, "deny"),  # 14: somebody of the band may be 13
        ("SE", AgeBand.FROM_13, "allow"),  # 13
        ("SE", AgeBand.UNDER_13, "deny"),
        ("GB", AgeBand.FROM_13, "allow"),
        ("unknown", AgeBand.FROM_13, "deny"),
        ("unknown", AgeBand.FROM_16, "allow"),
        ("US-CA", AgeBand.FROM_13, "allow"),  # not the Regulation's; COPPA asks below 13
    ],
)
def test_gdpr_8_a_child_below_the_age_of_its_country_needs_a_representative(
    place: str, band: AgeBand, expected: str
) -> None:
    alone = case(Scope.TRANSCRIBE, places=frozenset({place}), consent=answered(band))
    assert says(GDPR_8, alone) == expected
    assert says(GDPR_8, replace(alone, consent=answered(band, represented=True))) == "allow"


def test_gdpr_8_the_highest_age_among_the_places_counts() -> None:
    both = frozenset({"SE", "DE"})
    assert says(GDPR_8, case(Scope.TRANSCRIBE, places=both, consent=answered(AgeBand.FROM_13))) == "deny"


def test_coppa_a_parent_consents_below_thirteen() -> None:
    for place in ("US", "US-CA", "unknown"):
        child = case(Scope.TRANSCRIBE, places=frozenset({place}), consent=answered(AgeBand.UNDER_13))
        assert says(COPPA, child) == "deny"
        assert says(COPPA, replace(child, consent=answered(AgeBand.UNDER_13, represented=True))) == "allow"
        assert says(COPPA, replace(child, consent=answered(AgeBand.FROM_13))) == "allow"
    assert says(COPPA, case(Scope.TRANSCRIBE, consent=answered(AgeBand.UNDER_13))) == "allow"


@pytest.mark.parametrize(
    ("role", "context", "expected"),
    [
        (ParticipantRole.CUSTOMER, Context.SUPPORT, "allow"),
        (ParticipantRole.STUDENT, Context.SUPPORT, "deny"),
        (ParticipantRole.CUSTOMER, Context.EDUCATION, "deny"),
        (ParticipantRole.UNKNOWN, Context.SUPPORT, "deny"),
    ],
)
def test_gdpr_8_an_age_nobody_stated_is_a_childs_where_children_are_expected(
    role: ParticipantRole, context: Context, expected: str
) -> None:
    unstated = answered(AgeBand.UNSTATED)
    assert says(GDPR_8, case(Scope.TRANSCRIBE, role=role, context=context, consent=unstated)) == expected


def test_gdpr_8_a_parents_grant_opens_the_gate_until_the_child_comes_of_age() -> None:
    world = make_world()
    world.consent(Scope.TRANSCRIBE, age_band=AgeBand.UNDER_13)
    assert reasons(world, Scope.TRANSCRIBE) == [("law", "gdpr-8"), ("law", "coppa-312-5")]
    mother = make_representative(world.subject)
    world.consent(Scope.TRANSCRIBE, age_band=AgeBand.UNDER_13, representation=mother)
    verdict = gate.evaluate(world.ask(Scope.TRANSCRIBE))
    assert (verdict.allowed, verdict.valid_until) == (True, mother.ends_at)
    representing.end(mother, actor=ACTOR)
    assert not gate.evaluate(world.ask(Scope.TRANSCRIBE)).granted


# GDPR art. 35: a high-risk purpose has an impact assessment


def test_gdpr_35_denies_to_open_a_high_risk_purpose_without_an_assessment_and_allows_it_with_one() -> None:
    with pytest.raises(InvalidRecord) as refused:
        make_world(scopes=[Scope.EMOTION], dpia_reference="")
    assert refused.value.field == "dpia_reference"
    for scopes, contexts in (([Scope.TRANSCRIBE], [Context.HEALTHCARE]), ([Scope.NONVERBAL], [Context.SUPPORT])):
        with pytest.raises(InvalidRecord):
            make_world(scopes=scopes, contexts=contexts, dpia_reference="")
    assert make_world(scopes=[Scope.EMOTION], dpia_reference="DPIA 2026/7").purpose.high_risk
    assert not make_world(scopes=[Scope.TRANSCRIBE], dpia_reference="").purpose.high_risk


def test_gdpr_35_a_purpose_may_wait_for_its_assessment_closed() -> None:
    world = make_world(scopes=[Scope.EMOTION], dpia_reference="", active=False)
    world.consent(Scope.EMOTION)
    assert reasons(world, Scope.EMOTION) == [("purpose_inactive", "")]
    with pytest.raises(InvalidRecord):
        publishing.set_purpose_active(world.purpose, True, actor=ACTOR)
    publishing.set_purpose_active(world.purpose, True, dpia_reference="DPIA 2026/9", actor=ACTOR)
    assert reasons(world, Scope.EMOTION) == []
    with pytest.raises(InvalidRecord):
        publishing.set_purpose_active(world.purpose, True, dpia_reference="another", actor=ACTOR)


def test_gdpr_35_holds_against_raw_sql() -> None:
    from django.db import Error, connection

    world = make_world(scopes=[Scope.EMOTION], dpia_reference="", active=False)
    with pytest.raises(Error, match="high_risk_needs_assessment"), connection.cursor() as cursor:
        cursor.execute("UPDATE consent_purpose SET active = true WHERE id = %s", [world.purpose.pk])
    with pytest.raises(Error, match="permission denied"), connection.cursor() as cursor:
        cursor.execute("UPDATE consent_purpose SET high_risk = false WHERE id = %s", [world.purpose.pk])


# Illinois BIPA: written release, term, public schedule, nobody else's voiceprint

IN_ILLINOIS = frozenset({"US-IL"})
RELEASED, SCHEDULED, OTHERS = VoiceprintNeedsWrittenRelease(), VoiceprintNeedsPublicSchedule(), NobodyElsesVoiceprint()


@pytest.mark.parametrize("place", ["US-IL", "US", "unknown"])
def test_bipa_15_b_allows_a_voiceprint_for_a_written_release_that_names_its_term(place: str) -> None:
    released = case(Scope.IDENTIFY, places=frozenset({place}), consent=RELEASE)
    assert says(RELEASED, released) == "allow"
    assert says(RELEASED, replace(released, consent=replace(RELEASE, open_ended=True))) == "deny"
    for method in set(EvidenceMethod) - {EvidenceMethod.WRITTEN_RELEASE}:
        assert says(RELEASED, replace(released, consent=replace(RELEASE, method=method))) == "deny"


def test_bipa_15_b_is_illinois_law() -> None:
    assert says(RELEASED, case(Scope.IDENTIFY, places=frozenset({"US-CA"}))) == "allow"
    # One participant in Illinois makes it everyone's.
    assert says(RELEASED, case(Scope.IDENTIFY, places=frozenset({"US-CA", "US-IL"}))) == "deny"


def test_bipa_15_a_a_public_schedule_comes_first() -> None:
    released = case(Scope.IDENTIFY, places=IN_ILLINOIS, consent=RELEASE)
    assert says(SCHEDULED, released) == "allow"
    assert says(SCHEDULED, replace(released, schedule_published=False)) == "deny"
    assert says(SCHEDULED, case(Scope.IDENTIFY, places=frozenset({"DE"}), schedule_published=False)) == "allow"


def other(*, consents: bool, shares: bool = True) -> tuple[Companion, ...]:
    return (Companion(1, consents, RELEASE if consents else None, shares_a_channel=shares, maskable=not shares),)


def test_bipa_15_b_others_no_voiceprint_is_made_of_whoever_did_not_release_it_not_even_to_leave_them_out() -> None:
    released = case(Scope.IDENTIFY, places=IN_ILLINOIS, consent=RELEASE)
    assert says(OTHERS, replace(released, companions=other(consents=True))) == "allow"
    assert says(OTHERS, replace(released, companions=other(consents=False))) == "deny"
    # On a channel of their own nobody else is compared with them.
    assert says(OTHERS, replace(released, companions=other(consents=False, shares=False))) == "allow"


def test_bipa_is_asked_by_the_gate_and_an_unknown_place_counts_as_illinois() -> None:
    world = make_world()
    world.consent(Scope.IDENTIFY)
    assert reasons(world, Scope.IDENTIFY, jurisdiction="DE") == []
    found = {("law", "bipa-15-b"), ("law", "bipa-15-a")}
    for place in ("US-IL", "unknown"):
        assert set(reasons(world, Scope.IDENTIFY, jurisdiction=place)) == found
    people = [gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, jurisdiction="US-IL")]
    assert set(reasons(world, Scope.IDENTIFY, jurisdiction="DE", people=people)) == found


def test_bipa_15_b_speakers_told_apart_on_a_shared_channel_are_voiceprints_for_seconds() -> None:
    shared = case(Scope.DIARIZE, places=IN_ILLINOIS, consent=RELEASE, companions=other(consents=True))
    assert [says(rule, shared) for rule in (RELEASED, SCHEDULED, OTHERS)] == ["allow"] * 3
    assert says(RELEASED, replace(shared, consent=replace(RELEASE, method=EvidenceMethod.PAPER))) == "deny"
    assert says(SCHEDULED, replace(shared, schedule_published=False)) == "deny"
    assert says(OTHERS, replace(shared, companions=other(consents=False))) == "deny"
    # Whoever has a channel of their own is declared there, and nobody is compared.
    alone = replace(shared, alone=True, consent=replace(RELEASE, method=EvidenceMethod.PAPER))
    assert says(RELEASED, alone) == "allow"
    assert says(RELEASED, replace(shared, places=frozenset({"DE"}), consent=alone.consent)) == "allow"


# The caps of BIPA and Texas CUBI


def test_bipa_and_cubi_cap_how_long_a_voiceprint_is_kept() -> None:
    assert [cap.days for cap in caps(Category.VOICEPRINTS, {"US-TX"})] == [365]
    assert [cap.days for cap in caps(Category.VOICEPRINTS, {"US-IL"})] == [3 * 365]
    assert [cap.days for cap in caps(Category.VOICEPRINTS, {"unknown"})] == [365, 3 * 365]
    assert caps(Category.VOICEPRINTS, {"DE"}) == ()
    assert caps(Category.RESULTS, {"US-TX"}) == ()


# All-party consent: the strictest place wins

KEEPING = EveryoneAgreesToKeeping()


def test_all_party_consent_allows_when_everyone_agreed() -> None:
    for place in ("DE", "US-CA", "US-NY", "unknown"):
        agreed = case(Scope.AUDIO_STORE, places=frozenset({place}), companions=other(consents=True))
        assert says(KEEPING, agreed) == "allow"


@pytest.mark.parametrize("places", [{"US-CA"}, {"DE"}, {"unknown"}, {"US"}, {"US-NY", "US-CA"}, set()])
def test_all_party_consent_denies_everyone_when_one_is_missing_where_all_must_agree(places: set[str]) -> None:
    missing = case(Scope.AUDIO_STORE, places=frozenset(places), companions=other(consents=False, shares=False))
    assert says(KEEPING, missing) == "deny"


def test_all_party_consent_leaves_out_whoever_did_not_agree_where_one_party_decides() -> None:
    new_york = frozenset({"US-NY"})
    agreed = case(Scope.AUDIO_STORE, places=new_york, companions=other(consents=False, shares=False))
    assert says(KEEPING, agreed) == "allow"
    theirs = case(
        Scope.AUDIO_STORE, places=new_york, position=1, consents=False, maskable=True, companions=other(consents=True)
    )
    assert KEEPING.verdict(theirs) == Obligation(
        KEEPING.id, KEEPING.citation, ObligationKind.MASK, 1, Scope.AUDIO_STORE
    )
    # On a shared channel they cannot be left out, and alone there is nothing else to keep.
    assert says(KEEPING, replace(agreed, companions=other(consents=False))) == "deny"
    assert says(KEEPING, replace(theirs, maskable=False)) == "allow"
    assert says(KEEPING, replace(theirs, companions=())) == "allow"


def test_all_party_consent_is_about_keeping_and_analysis_is_judged_for_each() -> None:
    for scope in set(Scope) - {Scope.AUDIO_STORE}:
        assert says(KEEPING, case(scope, companions=other(consents=False))) == "allow"


def two(world: World) -> list[gate.Participant]:
    """The world's subject, who consents to keeping and transcription, and somebody who consents to transcription only."""
    somebody = world.another_subject()
    world.consent(Scope.AUDIO_STORE, Scope.TRANSCRIBE)
    world.consent(Scope.TRANSCRIBE, subject=somebody)
    return [
        gate.Participant(world.subject.code, ParticipantRole.CUSTOMER, channel=0),
        gate.Participant(somebody.code, ParticipantRole.EMPLOYEE, channel=1),
    ]


def test_all_party_consent_one_missing_participant_refuses_the_recording_or_is_masked() -> None:
    world = make_world()
    people = two(world)
    asked = world.ask(Scope.AUDIO_STORE, Scope.TRANSCRIBE, people=people, jurisdiction="DE")
    verdict = gate.evaluate(asked)
    assert {(d.subject, d.reason, d.rule) for d in verdict.denials} == {
        (people[0].subject, DenialReason.LAW, "all-party-consent"),
        (people[1].subject, DenialReason.NOT_GRANTED, ""),
    }
    masked = gate.evaluate(replace(asked, jurisdiction="US-NY"))
    assert masked.allowed
    assert [(o.kind, o.participant) for o in masked.obligations] == [(ObligationKind.MASK, 1)]
    assert (people[1].subject, Scope.AUDIO_STORE) not in {(g.subject, g.scope) for g in masked.granted}
    # One of them in California, and all must agree again.
    in_california = (people[0], replace(people[1], jurisdiction="US-CA"))
    assert not gate.evaluate(replace(asked, jurisdiction="US-NY", participants=in_california)).allowed
    # Nobody masks somebody whom the project does not know.
    stranger = (people[0], replace(people[1], subject=make_world().subject.code))
    assert not gate.evaluate(replace(asked, jurisdiction="US-NY", participants=stranger)).allowed


def test_the_strictest_jurisdiction_among_the_participants_wins() -> None:
    assert all_lie_in({"US-NY", "US-TX"}, ONE_PARTY)
    assert not all_lie_in({"US-NY", "US-CA"}, ONE_PARTY)
    assert not all_lie_in({"US-NY", "unknown"}, ONE_PARTY)
    assert not all_lie_in(set(), ONE_PARTY)
    assert any_may_lie_in({"US"}, {"US-IL"})
    assert any_may_lie_in({"unknown"}, EEA)
    assert any_may_lie_in(set(), EEA)
    assert not any_may_lie_in({"US-NY"}, {"US-IL"})
    assert may_lie_in("DE-BY", "DE")
    assert not may_lie_in("DE", "DK")


# GDPR art. 9 on sounds of the body; HIPAA


def test_gdpr_9_sounds_of_the_body_open_for_explicit_consent_and_are_denied_otherwise() -> None:
    world = make_world()
    world.consent(Scope.NONVERBAL)
    assert reasons(world, Scope.NONVERBAL) == []
    world.consent(Scope.NONVERBAL, explicit=False)
    assert reasons(world, Scope.NONVERBAL) == [("law", "gdpr-9-2-a")]


HIPAA = NothingWithAVoiceIsDeidentified()


def test_hipaa_164_514_b_denies_to_call_audio_or_a_voiceprint_deidentified_and_allows_the_rest() -> None:
    for scope in Scope:
        expected = "deny" if scope in (Scope.AUDIO_STORE, Scope.IDENTIFY) else "allow"
        assert says(HIPAA, case(scope, deidentified=True)) == expected
        assert says(HIPAA, case(scope)) == "allow"
    with pytest.raises(InvalidRecord) as refused:
        make_world(scopes=[Scope.AUDIO_STORE], deidentified=True)
    assert refused.value.field == "deidentified"
    assert make_world(scopes=[Scope.AGGREGATE], deidentified=True).purpose.deidentified


# GDPR art. 7(1) and 17(3)(e): proof of consent is kept after erasure, bare


def test_gdpr_17_3_e_the_bare_record_stays_after_erasure_and_what_says_more_goes() -> None:
    from consent import destruction
    from consent.models import ConsentRecord, Representation

    world = make_world()
    mother = make_representative(world.subject)
    record = world.consent(Scope.TRANSCRIBE, age_band=AgeBand.UNDER_13, representation=mother)
    destruction.carry_out(withdrawal.erase(world.subject, actor=ACTOR).code)
    left = ConsentRecord.objects.get(pk=record.pk)
    assert (left.evidence_sha256, left.given_at) == (record.evidence_sha256, record.given_at)
    assert left.age_band == AgeBand.UNSTATED
    who = Representation.objects.get(pk=mother.pk)
    assert (who.identity, who.proof_reference, who.ends_at, who.relation) == (None, None, None, "")
    assert reasons(world, Scope.TRANSCRIBE) == [("subject_erased", "")]


# Tricks


def test_an_unknown_context_is_denied_by_every_purpose_and_none_can_be_made_for_it() -> None:
    world = make_world()
    world.consent(Scope.EMOTION)
    assert reasons(world, Scope.EMOTION, context=Context.UNKNOWN, role=ParticipantRole.OTHER) == [
        ("context_unknown", ""),
        ("law", "eu-ai-act-5-1-f"),
    ]


def test_a_person_named_twice_in_two_roles_is_no_request() -> None:
    world = make_world()
    twice = [
        gate.Participant(world.subject.code, role) for role in (ParticipantRole.EMPLOYEE, ParticipantRole.CUSTOMER)
    ]
    with pytest.raises(ValueError, match="named once"):
        world.ask(Scope.EMOTION, people=twice)


@pytest.mark.parametrize("scope", sorted(set(Scope) - {Scope.EMOTION}))
def test_a_state_asked_for_under_another_scope_gets_nothing(scope: Scope) -> None:
    for said in ({"arousal": 0.4}, {"windows": [{"start": 0.0, "valence": 0.1}]}, {"summary": {"Stress": "high"}}):
        with pytest.raises(StateOutsideEmotion):
            require_no_state(scope, said)
        require_no_state(Scope.EMOTION, said)


def test_what_prosody_measures_is_no_state() -> None:
    from analysis.engines import prosody

    fields = {name for kind in (prosody.Pitch, prosody.SpokenUtterance) for name in kind.__dataclass_fields__}
    require_no_state(Scope.PROSODY, {"utterances": [dict.fromkeys(fields)], "pauses": [{"start": 0.0, "end": 1.0}]})


def test_purposes_from_before_assessments_are_marked_and_closed(superuser) -> None:  # type: ignore[no-untyped-def]
    from importlib import import_module

    world, plain = make_world(scopes=[Scope.EMOTION]), make_world(scopes=[Scope.TRANSCRIBE], dpia_reference="")
    for number in (world.purpose.pk, plain.purpose.pk):
        superuser("ALTER TABLE consent_purpose DISABLE TRIGGER assessment_is_named_once")
        superuser(f"UPDATE consent_purpose SET high_risk = false, dpia_reference = '' WHERE id = {number}")
        superuser("ALTER TABLE consent_purpose ENABLE TRIGGER assessment_is_named_once")
    superuser(import_module("consent.migrations.0005_high_risk_purposes").FORWARD)
    world.purpose.refresh_from_db()
    plain.purpose.refresh_from_db()
    assert (world.purpose.high_risk, world.purpose.active) == (True, False)
    assert (plain.purpose.high_risk, plain.purpose.active) == (False, True)


def test_the_page_about_the_law_names_every_rule() -> None:
    from pathlib import Path

    from consent.law.purposes import PURPOSE_RULES

    page = (Path(__file__).parents[2] / "docs" / "law.md").read_text()
    for rule in {rule.id for rule in (*law.RULES, *law.GROUP_RULES)} | {rule.id for rule in PURPOSE_RULES}:
        assert f"`{rule}`" in page
