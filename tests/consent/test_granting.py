"""Recording what people answered: whole records, exact evidence, one current answer per scope, nothing changed afterwards."""

from datetime import timedelta

import pytest
from django.utils import timezone

from consent import granting, publishing
from consent.errors import InvalidRecord, NoticeImmutable, NoticeNotPublished
from consent.models import CurrentGrant, Grant
from consent.vocabulary import Context, EvidenceMethod, LawfulBasis, Scope
from tests.factories import ACTOR, PROCESSING, World, make_world


def answer(world: World, **changes: object) -> granting.Answer:
    values: dict[str, object] = {
        "scopes": (Scope.TRANSCRIBE,),
        "given": True,
        "explicit": True,
        "given_at": timezone.now() - timedelta(minutes=1),
        "evidence_method": EvidenceMethod.PAPER,
        "evidence_sha256": world.notice.sha256,
    }
    return granting.Answer(**{**values, **changes})  # type: ignore[arg-type]


def refused_field(world: World, **changes: object) -> str:
    with pytest.raises(InvalidRecord) as caught:
        granting.record_consent(
            world.project, world.subject, world.purpose, world.notice, answer(world, **changes), actor=ACTOR
        )
    return caught.value.field


def test_each_scope_gets_its_own_revision_and_one_current_row(world: World) -> None:
    record = world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    again = world.consent(Scope.TRANSCRIBE)
    assert Grant.objects.filter(record=record, revision=1).count() == 2
    superseded = Grant.objects.get(record=record, revision=2)
    assert (superseded.scope, superseded.state, superseded.superseded_by) == (Scope.TRANSCRIBE, "superseded", again)
    current = CurrentGrant.objects.get(subject=world.subject, purpose=world.purpose, scope=Scope.TRANSCRIBE)
    assert current.grant.record == again


def test_the_evidence_must_be_the_hash_of_the_notice_that_was_named(world: World) -> None:
    assert refused_field(world, evidence_sha256="0" * 64) == "evidence_sha256"


def test_times_that_contradict_each_other_are_refused(world: World) -> None:
    now = timezone.now()
    assert refused_field(world, given_at=now + timedelta(days=1)) == "given_at"
    assert refused_field(world, expires_at=now - timedelta(days=1)) == "expires_at"
    assert refused_field(world, covers_recorded_from=now) == "covers_recorded_from"


def test_scopes_outside_the_purpose_or_none_at_all_are_refused() -> None:
    world = make_world(scopes=[Scope.TRANSCRIBE])
    assert refused_field(world, scopes=(Scope.EMOTION,)) == "scopes"
    assert refused_field(world, scopes=()) == "scopes"


def test_things_of_another_project_are_refused(world: World) -> None:
    stranger = make_world()
    with pytest.raises(InvalidRecord, match="another project"):
        granting.record_consent(
            world.project, stranger.subject, world.purpose, world.notice, answer(world), actor=ACTOR
        )


def test_consent_needs_a_published_notice_that_is_in_force(world: World) -> None:
    draft = publishing.draft_notice(
        world.project, series="voice", language="en", title="Next", text="Later.", material=True, actor=ACTOR
    )
    for published in (False, True):
        if published:
            publishing.publish_notice(draft, actor=ACTOR)
        notice = world.notice if published else draft
        with pytest.raises(NoticeNotPublished):
            granting.record_consent(
                world.project,
                world.subject,
                world.purpose,
                notice,
                answer(world, evidence_sha256=notice.sha256),
                actor=ACTOR,
            )


def test_a_published_notice_never_changes(world: World) -> None:
    from django.db import Error

    with pytest.raises(NoticeImmutable):
        publishing.publish_notice(world.notice, actor=ACTOR)
    world.notice.text = "Something else entirely."
    with pytest.raises(Error, match="cannot be changed"):
        world.notice.save()


def test_a_notice_hash_covers_everything_that_is_shown(world: World) -> None:
    shown = {"series": "s", "version": 1, "language": "en", "title": "t", "text": "x"}
    base = publishing.canonical_notice(**shown)  # type: ignore[arg-type]
    for field, other in {"series": "r", "version": 2, "language": "de", "title": "u", "text": "y"}.items():
        assert publishing.canonical_notice(**{**shown, field: other}) != base  # type: ignore[arg-type]


def test_a_translation_joins_an_unpublished_version_and_a_change_makes_a_new_one(world: World) -> None:
    def draft(language: str) -> int:
        return publishing.draft_notice(
            world.project, series="voice", language=language, title="T", text="Text.", material=True, actor=ACTOR
        ).version

    assert [draft("en"), draft("de"), draft("en")] == [2, 2, 3]


def test_a_purpose_names_its_scopes_and_true_contexts(world: World) -> None:
    for field, scopes, contexts in (
        ("scopes", [], [Context.SUPPORT]),
        ("contexts", [Scope.TRANSCRIBE], []),
        ("contexts", [Scope.TRANSCRIBE], [Context.UNKNOWN]),
    ):
        with pytest.raises(InvalidRecord) as caught:
            publishing.create_purpose(
                world.project,
                name="another",
                series=world.notice.series,
                lawful_basis=LawfulBasis.CONSENT,
                scopes=scopes,
                contexts=contexts,
                processing=PROCESSING,
                actor=ACTOR,
            )
        assert caught.value.field == field
