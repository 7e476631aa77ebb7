"""What one asks for another must approve: a notice published as editorial. Roles are in `test_relabelling`, imports in
`test_importing`."""

import pytest
from django.db import Error, connection

from accounts.access import actor_of
from accounts.roles import Role
from audit.entry import Actor, ActorKind
from audit.events import EventName
from consent import editorial, gate, publishing
from consent.errors import AlreadyDecided, InvalidRecord, NoticeImmutable, SecondPersonNeeded
from consent.models import EditorialPublication, Notice
from consent.vocabulary import Scope
from tests.callers import Caller
from tests.factories import ACTOR, World, make_member, make_world
from tests.people import events


@pytest.fixture
def world() -> World:
    world = make_world()
    world.consent(Scope.TRANSCRIBE)
    return world


def draft(world: World, *, material: bool = False) -> Notice:
    return publishing.draft_notice(
        world.project, series="voice", language="en", title="Typo", text="Corrected.", material=material, actor=ACTOR
    )


def person(world: World) -> Actor:
    return actor_of(make_member(world.project, Role.CONSENT_MANAGER))


def published(notice: Notice) -> bool:
    return Notice.objects.get(pk=notice.pk).published_at is not None


def test_an_editorial_notice_is_published_by_two_people_and_older_consent_stays(world: World) -> None:
    notice, first, second = draft(world), person(world), person(world)
    with pytest.raises(SecondPersonNeeded):
        publishing.publish_notice(notice, actor=first)
    asked = editorial.ask(notice, actor=first)
    assert not published(notice)
    for nobody in (first, Actor(ActorKind.CLIENT, "a program"), Actor(ActorKind.SYSTEM, "a part")):
        with pytest.raises(SecondPersonNeeded):
            editorial.approve(asked, actor=nobody)
    assert not published(notice)
    editorial.approve(asked, actor=second)
    assert published(notice)
    assert gate.evaluate(world.ask(Scope.TRANSCRIBE)).allowed
    assert [event.actor_code for event in events(world, EventName.EDITORIAL_ASKED)] == [first.code]
    assert [event.actor_code for event in events(world, EventName.EDITORIAL_APPROVED)] == [second.code]
    with pytest.raises(AlreadyDecided):
        editorial.approve(asked, actor=second)


def test_one_request_at_a_time_and_none_for_what_needs_none(world: World) -> None:
    notice = draft(world)
    editorial.ask(notice, actor=ACTOR)
    with pytest.raises(InvalidRecord):
        editorial.ask(notice, actor=ACTOR)
    with pytest.raises(InvalidRecord):
        editorial.ask(draft(world, material=True), actor=ACTOR)


def test_what_was_turned_down_is_not_approved_and_may_be_asked_for_again(world: World) -> None:
    notice, first, second = draft(world), person(world), person(world)
    asked = editorial.ask(notice, actor=first)
    editorial.turn_down(asked, actor=second)
    with pytest.raises(AlreadyDecided):
        editorial.approve(asked, actor=second)
    assert not published(notice)
    assert len(events(world, EventName.EDITORIAL_TURNED_DOWN)) == 1
    editorial.approve(editorial.ask(notice, actor=first), actor=second)
    with pytest.raises(NoticeImmutable):
        editorial.ask(notice, actor=first)


def test_an_approval_counts_for_its_own_notice_only(world: World) -> None:
    one, other = draft(world), draft(world)
    asked = editorial.ask(one, actor=person(world))
    editorial.approve(asked, actor=person(world))
    with pytest.raises(SecondPersonNeeded):
        publishing.publish_notice(other, approval=EditorialPublication.objects.get(pk=asked.pk), actor=ACTOR)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consent_notice SET published_at = now() WHERE id = {notice}",
        "UPDATE consent_notice SET material = true WHERE id = {notice}",
        "UPDATE consent_editorialpublication SET approved_at = now(), approved_by_code = asked_by_code WHERE id = {asked}",
        "UPDATE consent_editorialpublication SET asked_by_code = 'nobody' WHERE id = {asked}",
        "UPDATE consent_editorialpublication SET approved_at = now() WHERE id = {asked}",
        "DELETE FROM consent_editorialpublication",
    ],
)
def test_not_even_sql_of_the_application_gets_around_the_second_person(world: World, statement: str) -> None:
    notice = draft(world)
    asked = editorial.ask(notice, actor=person(world))
    with pytest.raises(Error), connection.cursor() as cursor:
        cursor.execute(statement.format(notice=notice.pk, asked=asked.pk))
    assert not published(notice)


def test_a_program_asks_over_http_and_cannot_publish(world: World) -> None:
    notice = draft(world)
    manager = Caller(world.project, Role.CONSENT_MANAGER)
    refused = manager.post(f"/v1/notices/{notice.code}/publish")
    assert (refused.status, refused.body["code"]) == (409, "second_person_needed")
    asked = manager.post(f"/v1/notices/{notice.code}/editorial-publication")
    assert (asked.status, asked.body["approved_at"]) == (201, None), asked
    again = manager.post(f"/v1/notices/{notice.code}/editorial-publication")
    assert (again.status, again.body["errors"][0]["field"]) == (422, "notice")
    assert not published(notice)
