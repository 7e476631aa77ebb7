"""People who use the admin in tests, each in their role, and what they fill in and find."""

import re
from datetime import timedelta

from django.utils import timezone

from accounts.roles import Role
from audit.events import EventName
from audit.models import Event
from consent.vocabulary import Scope
from tests.browser import Browser
from tests.factories import World, make_member


def events(world: World, name: EventName) -> list[Event]:
    return list(Event.objects.filter(log=world.organization.code, name=name.value).order_by("id"))


def manager(world: World) -> Browser:
    return Browser(make_member(world.project, Role.CONSENT_MANAGER))


def officer(world: World) -> Browser:
    return Browser(make_member(world.project, Role.DATA_PROTECTION_OFFICER))


def administrator(world: World) -> Browser:
    return Browser(make_member(world.project, Role.ADMINISTRATOR))


def answer(world: World, *scopes: Scope, **other: str) -> dict[str, object]:
    """A filled form that records consent."""
    now = timezone.now() - timedelta(minutes=1)
    return {
        "purpose": world.purpose.pk,
        "notice": world.notice.pk,
        "scopes": [scope.value for scope in scopes],
        "answer": "given",
        "explicit": "on",
        "given_at_0": now.strftime("%Y-%m-%d"),
        "given_at_1": now.strftime("%H:%M:%S"),
        "jurisdiction": "DE",
        "method": "paper",
        "shown": "on",
        **other,
    }


def listed(page: str) -> set[str]:
    """The pages that the start page offers."""
    return set(re.findall(r'href="/admin/(\w+/\w+)/"', page))
