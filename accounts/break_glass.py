"""Breaking the glass: every permission in the organization for one named person, for minutes, with a reason, all on the trail.

It opens pages and acts, and nothing else: the gate, the second person and append-only tables hold as for everybody. Whether it is
open is asked at each request, so that it ends by itself; that its end is recorded by a sweep changes nothing of that. Somebody else
looks at it afterwards.
"""

import hashlib
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from accounts.causes import Cause
from accounts.errors import GlassRefused, OwnRole
from accounts.models import BreakGlass, User
from audit import trail
from audit.entry import Actor, ActorKind, Detail, ObjectKind, Reference
from audit.events import EventName

MOST_MINUTES: Final = 60


def break_(user: User, *, minutes: int, cause: Cause, explanation: str, actor: Actor) -> BreakGlass:
    """Raises `GlassRefused` for whom or for how long it cannot be, or while it is open for the person already."""
    if user.organization is None or not user.is_staff or not user.is_active or hasattr(user, "api_client"):
        raise GlassRefused("only a person who signs in and belongs to an organization")
    if not 1 <= minutes <= MOST_MINUTES:
        raise GlassRefused(f"for 1 to {MOST_MINUTES} minutes")
    if not explanation.strip() or len(explanation) > 500:
        raise GlassRefused("say why, in at most 500 characters")
    close_over(user)
    try:
        with transaction.atomic():
            found: BreakGlass = BreakGlass.objects.create(
                organization=user.organization,
                user=user,
                user_code=user.code,
                cause=cause.value,
                explanation=explanation.strip(),
                ends_at=timezone.now() + timedelta(minutes=minutes),
            )
            _record(
                EventName.GLASS_BROKEN,
                found,
                actor,
                {"minutes": minutes, "explanation_sha256": hashlib.sha256(found.explanation.encode()).hexdigest()},
            )
    except IntegrityError as error:
        raise GlassRefused("it is open for this person already") from error
    return found


def open_for(user: User) -> BreakGlass | None:
    """What is open for the person at this moment."""
    found: BreakGlass | None = BreakGlass.objects.filter(
        user=user, organization=user.organization_id, closed_at=None, ends_at__gt=timezone.now()
    ).first()
    return found


@transaction.atomic
def note_act(glass: BreakGlass, *, view: str, method: str) -> None:
    """Records one request that was made under it: which page, never about whom."""
    BreakGlass.objects.filter(pk=glass.pk).update(acts=F("acts") + 1)
    _record(EventName.GLASS_USED, glass, Actor(ActorKind.USER, glass.user_code), {"view": view, "method": method})


@transaction.atomic
def close(glass: BreakGlass, *, actor: Actor, reason: str = "asked") -> bool:
    """Ends it before its time, or records that its time is over. False when that was done before."""
    row = BreakGlass.objects.select_for_update(of=("self",), no_key=True).get(pk=glass.pk)
    if row.closed_at is not None:
        return False
    row.closed_at = timezone.now()
    row.save(update_fields=["closed_at"])
    _record(EventName.GLASS_CLOSED, row, actor, {"acts": row.acts}, reason=reason)
    return True


def close_over(user: User | None = None) -> int:
    """Records the end of what is over; nothing of it has opened anything since its time."""
    over = BreakGlass.objects.filter(closed_at=None, ends_at__lte=timezone.now())
    if user is not None:
        over = over.filter(user=user)
    return sum(close(glass, actor=trail.system("break-glass"), reason="term") for glass in over)


@transaction.atomic
def see(glass: BreakGlass, *, actor: Actor) -> BreakGlass:
    """Somebody else says that they have looked at what was done. Raises `OwnRole` for the person themself."""
    row: BreakGlass = BreakGlass.objects.select_for_update(of=("self",), no_key=True).get(pk=glass.pk)
    if actor.kind is not ActorKind.USER or actor.code == row.user_code:
        raise OwnRole("somebody else looks at this")
    if row.seen_at is None:
        row.seen_by_code = actor.code
        row.seen_at = timezone.now()
        row.save(update_fields=["seen_by_code", "seen_at"])
        _record(EventName.GLASS_SEEN, row, actor, {})
    return row


def _record(name: EventName, glass: BreakGlass, actor: Actor, detail: Detail, reason: str = "") -> None:
    trail.record(
        name,
        organization=glass.organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.USER, glass.user_code)],
        reason=reason or glass.cause,
        detail={"glass": glass.code, **detail},
    )
