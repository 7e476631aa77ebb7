"""The register of breaches (GDPR art. 33 and 34): what happened, what it means for people, what was done, and who was told when.

What is known changes; each time is a revision, and none is ever changed. The 72 hours of art. 33(1) run from when the controller
became aware, by the clock, over weekends and holidays: the strictest reading. Whether the authority was told in time, and what the
article still asks for, is worked out from the newest revision. Words of one's own may name somebody: they lie sealed under a key of
the breach's own, and that somebody read them stands on the trail.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts.models import Project
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent.errors import BreachAmended, InvalidRecord
from consent.gate import CLOCK_SKEW
from consent.inventory import Category
from consent.models import Breach, BreachRevision
from consent.vocabulary import BreachKind, BreachRisk, BreachText, NotTold, ParticipantRole
from vault.errors import KeyShredded
from vault.fields import seal_waiting

NOTICE_TIME: Final = timedelta(hours=72)
MAX_TEXT: Final = 4000
MAX_COUNT: Final = 10_000_000_000
ACTOR: Final = trail.system("breaches")
log = structlog.get_logger(__name__)


class Clock(StrEnum):
    """Where the 72 hours stand."""

    RUNNING = "running"
    OVERDUE = "overdue"
    TOLD_IN_TIME = "told_in_time"
    TOLD_LATE = "told_late"
    NOT_NEEDED = "not_needed"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a breach. Counts are approximate, None where nobody knows yet; times are aware."""

    aware_at: datetime
    kinds: tuple[BreachKind, ...]
    people: tuple[ParticipantRole, ...] = ()
    people_count: int | None = None
    data_categories: tuple[Category, ...] = ()
    records_count: int | None = None
    risk: BreachRisk = BreachRisk.UNDETERMINED
    authority_notified_at: datetime | None = None
    persons_notified_at: datetime | None = None
    not_told: NotTold | None = None
    texts: Mapping[BreachText, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class OpenPoint:
    """What the articles still ask for."""

    article: str
    message: str


def register(project: Project, facts: Facts, *, actor: Actor) -> Breach:
    """Enters a breach. What is not known yet may follow. Raises `InvalidRecord`."""
    breach = Breach(project=project)
    revision = _revision(breach, 1, facts, actor)
    with transaction.atomic():
        breach.save(force_insert=True)
        _add(breach, revision, EventName.BREACH_REGISTERED, actor)
    return breach


def amend(breach: Breach, changes: Mapping[str, Any], *, actor: Actor) -> Breach:
    """Adds a revision in which `changes` (fields of `Facts`; of `texts` the given ones) replace what was known before.

    Raises `InvalidRecord`, `BreachAmended` when somebody else did so meanwhile, `KeyShredded` past the register's term.
    """
    before = newest(breach)
    known = _facts(before, opened(before))
    said = {**known.texts, **changes.get("texts", {})}
    facts = replace(known, **{**changes, "texts": {name: text for name, text in said.items() if text.strip()}})
    if facts == known:
        raise InvalidRecord("changes", "nothing is changed")
    revision = _revision(breach, before.number + 1, facts, actor)
    with transaction.atomic():
        locked = Breach.objects.select_for_update(of=("self",), no_key=True).get(pk=breach.pk)
        if newest(locked).number != before.number:
            raise BreachAmended("somebody else amended it meanwhile: look at it again")
        _add(breach, revision, EventName.BREACH_AMENDED, actor)
    return breach


def read(breach: Breach, *, actor: Actor) -> Mapping[BreachText, str] | None:
    """What was said of the breach in words, for somebody who may read it; the look is recorded first. None once the term of the
    register is over."""
    revision = newest(breach)
    with transaction.atomic():
        _record(EventName.BREACH_READ, revision, actor)
    try:
        return opened(revision)
    except KeyShredded:
        return None


def newest(breach: Breach) -> BreachRevision:
    found: BreachRevision = breach.revisions.select_related("breach__project__organization").latest("number")
    return found


def newest_of(breaches: QuerySet[Breach]) -> QuerySet[BreachRevision]:
    """The newest revision of each breach."""
    later = BreachRevision.objects.filter(breach=OuterRef("breach"), number__gt=OuterRef("number"))
    rows = BreachRevision.objects.filter(~Exists(later), breach__in=breaches)
    return rows.select_related("breach__project__organization")


def opened(revision: BreachRevision) -> Mapping[BreachText, str]:
    """Raises `KeyShredded` once the register's term is over."""
    return {BreachText(name): text for name, text in json.loads(revision.texts.text()).items()}


def due_at(revision: BreachRevision) -> datetime:
    """Until when the authority is told (art. 33(1))."""
    due: datetime = revision.aware_at + NOTICE_TIME
    return due


def clock(revision: BreachRevision, now: datetime) -> Clock:
    told = revision.authority_notified_at
    if told is not None:
        return Clock.TOLD_IN_TIME if told <= due_at(revision) else Clock.TOLD_LATE
    if revision.risk == BreachRisk.UNLIKELY:
        return Clock.NOT_NEEDED
    return Clock.OVERDUE if now > due_at(revision) else Clock.RUNNING


def overdue(rows: QuerySet[BreachRevision], now: datetime) -> QuerySet[BreachRevision]:
    """Of newest revisions those whose time is over without the authority having been told; the same as `clock` says."""
    return rows.exclude(risk=BreachRisk.UNLIKELY.value).filter(
        authority_notified_at=None, aware_at__lt=now - NOTICE_TIME
    )


def open_points(revision: BreachRevision, now: datetime) -> tuple[OpenPoint, ...]:
    """What art. 33(1), 33(3) and 34 still ask for, in their order. Empty when everything is stated."""
    return tuple(_open_points(revision, now))


def sweep() -> int:
    """Says on the trail, once for each breach, that the authority was not told in time. Returns how many."""
    waiting = newest_of(Breach.objects.filter(overdue_recorded_at=None))
    return sum(_record_overdue(revision) for revision in overdue(waiting, timezone.now()).order_by("pk"))


def _record_overdue(revision: BreachRevision) -> bool:
    with transaction.atomic():
        marked = Breach.objects.filter(pk=revision.breach_id, overdue_recorded_at=None).update(
            overdue_recorded_at=timezone.now()
        )
        if not marked:
            return False
        _record(EventName.BREACH_OVERDUE, revision, ACTOR)
    log.warning("breach_overdue", breach=revision.breach.code, due_at=due_at(revision).isoformat())
    return True


def _open_points(revision: BreachRevision, now: datetime) -> Iterator[OpenPoint]:
    where = clock(revision, now)
    if revision.risk == BreachRisk.UNDETERMINED:
        yield OpenPoint("33(1)", "say what risk it means for people")
    if where in (Clock.RUNNING, Clock.OVERDUE):
        late = ": the 72 hours are over, and the reasons for the delay go with the notification"
        yield OpenPoint("33(1)", f"notify the authority{late if where is Clock.OVERDUE else ''}")
    if revision.risk != BreachRisk.UNLIKELY:
        for article, name, message in (
            ("33(3)(a)", "people", "say which categories of people are concerned"),
            ("33(3)(a)", "people_count", "say approximately how many people"),
            ("33(3)(a)", "data_categories", "say which categories of data are concerned"),
            ("33(3)(a)", "records_count", "say approximately how many records"),
        ):
            if getattr(revision, name) in (None, []):
                yield OpenPoint(article, message)
    for article, text, message in (
        ("33(3)(a)", BreachText.NATURE, "describe what happened"),
        ("33(3)(b)", BreachText.CONTACT, "name where more can be learnt"),
        ("33(3)(c)", BreachText.CONSEQUENCES, "describe the likely consequences"),
        ("33(3)(d)", BreachText.MEASURES, "describe what was done and is proposed"),
    ):
        if text.value not in revision.stated:
            yield OpenPoint(article, message)
    if revision.risk == BreachRisk.HIGH and revision.persons_notified_at is None and not revision.not_told:
        yield OpenPoint("34(1)", "tell the people concerned, or say why that is not required (art. 34(3))")


def _revision(breach: Breach, number: int, facts: Facts, actor: Actor) -> BreachRevision:
    """Checked and sealed, not yet saved. Raises `InvalidRecord`."""
    problems = list(_problems(facts))
    if problems:
        raise InvalidRecord(*problems[0], also=problems[1:])
    texts = {name.value: text.strip() for name, text in facts.texts.items() if text.strip()}
    revision = BreachRevision(
        breach=breach,
        number=number,
        actor_kind=actor.kind.value,
        actor_code=actor.code,
        aware_at=facts.aware_at,
        kinds=sorted({kind.value for kind in facts.kinds}),
        people=sorted({role.value for role in facts.people}),
        people_count=facts.people_count,
        data_categories=sorted({category.value for category in facts.data_categories}),
        records_count=facts.records_count,
        risk=facts.risk.value,
        authority_notified_at=facts.authority_notified_at,
        persons_notified_at=facts.persons_notified_at,
        not_told="" if facts.not_told is None else facts.not_told.value,
        stated=sorted(texts),
        texts=json.dumps(texts),
    )
    seal_waiting(revision)
    return revision


def _facts(revision: BreachRevision, texts: Mapping[BreachText, str]) -> Facts:
    plain = {one.name for one in fields(Facts)} - {"kinds", "people", "data_categories", "risk", "not_told", "texts"}
    return Facts(
        **{name: getattr(revision, name) for name in plain},
        kinds=tuple(BreachKind(kind) for kind in revision.kinds),
        people=tuple(ParticipantRole(role) for role in revision.people),
        data_categories=tuple(Category(category) for category in revision.data_categories),
        risk=BreachRisk(revision.risk),
        not_told=NotTold(revision.not_told) if revision.not_told else None,
        texts=texts,
    )


def _problems(facts: Facts) -> Iterator[tuple[str, str]]:
    soon = timezone.now() + CLOCK_SKEW
    if not facts.kinds:
        yield "kinds", "say what the breach did to the data"
    for name in ("aware_at", "authority_notified_at", "persons_notified_at"):
        moment: datetime | None = getattr(facts, name)
        if moment is not None and moment > soon:
            yield name, "lies in the future"
        if moment is not None and moment < facts.aware_at:
            yield name, "is earlier than when the breach was known"
    for name in ("people_count", "records_count"):
        count: int | None = getattr(facts, name)
        if count is not None and not 0 <= count <= MAX_COUNT:
            yield name, f"must be between 0 and {MAX_COUNT}"
    for text, said in facts.texts.items():
        if len(said) > MAX_TEXT:
            yield text.value, f"at most {MAX_TEXT} characters"
    told = facts.authority_notified_at
    if (
        told is not None
        and told > facts.aware_at + NOTICE_TIME
        and not facts.texts.get(BreachText.DELAY_REASON, "").strip()
    ):
        yield BreachText.DELAY_REASON.value, "the authority was told after 72 hours: say why (art. 33(1))"
    if facts.not_told is not None and not facts.texts.get(BreachText.NOT_TOLD_REASON, "").strip():
        yield BreachText.NOT_TOLD_REASON.value, "say why the people concerned need not be told one by one (art. 34(3))"


def _add(breach: Breach, revision: BreachRevision, name: EventName, actor: Actor) -> None:
    revision.breach = breach
    revision.save(force_insert=True)
    _record(name, revision, actor)


def _record(name: EventName, revision: BreachRevision, actor: Actor) -> None:
    project = revision.breach.project
    trail.record(
        name,
        organization=project.organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.PROJECT, project.code)],
        detail={
            "breach": revision.breach.code,
            "revision": revision.number,
            "kinds": list(revision.kinds),
            "risk": revision.risk,
            "aware_at": _time(revision.aware_at),
            "due_at": _time(due_at(revision)),
            "authority_notified_at": _time(revision.authority_notified_at),
            "persons_notified_at": _time(revision.persons_notified_at),
        },
    )


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
