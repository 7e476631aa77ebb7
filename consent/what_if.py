"""What would follow from a change of policy, before it is made: how many people, grants and unfinished jobs it would close.

Nothing is changed and nothing recorded. Grants are counted law and circumstances aside: those that are in force now, and would open
nothing any more whatever the role or context. Jobs are counted exactly, by the gate's own judgement of each, once as things are and
once as they would be.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from typing import Any, Final

from django.db.models import BooleanField, Case, F, Q, QuerySet, When
from django.utils import timezone

from accounts.models import Project
from consent import facts, judging, law, rule_sets
from consent.facts import Facts
from consent.law import Consent, Prohibition
from consent.law.terms import Case as LawCase
from consent.models import CurrentGrant, Notice, Purpose
from consent.ports import work_counter
from consent.verdicts import GateRequest
from consent.vocabulary import AgeBand, Context, EvidenceMethod, GrantState, Ground, ParticipantRole, Scope

MOST_JOBS: Final = 5000
"""Unfinished jobs that are looked at; beyond, the count says that it is not the whole."""

Change = Callable[[GateRequest, Facts], Facts]
"""The facts of a question as they would be."""


@dataclass(frozen=True, slots=True)
class Consequences:
    """What would be closed. `all_jobs`: whether every unfinished job was looked at."""

    subjects: int
    grants: int
    jobs: int
    all_jobs: bool


def of_publishing(notice: Notice) -> Consequences:
    """What publishing this draft would close; nothing where it is editorial, or published already."""
    series = notice.series
    closes = notice.published_at is None and notice.material and notice.version > series.least_valid_version
    if not closes:
        return Consequences(0, 0, 0, True)
    version = notice.version
    closing = in_force(notice.project).filter(purpose__series=series, grant__record__notice__version__lt=version)
    purposes = frozenset(Purpose.objects.filter(series=series).values_list("code", flat=True))

    def change(request: GateRequest, now: Facts) -> Facts:
        if now.purpose is None or request.purpose not in purposes:
            return now
        return replace(now, purpose=replace(now.purpose, least_valid_version=version))

    return _counted(notice.project, closing, change, purposes)


def of_choosing(project: Project, own: list[str]) -> Consequences:
    """What these own rules would close, instead of those in force. Raises `InvalidRecord`."""
    wanted = tuple(rule_sets.require_known(own))
    before = rule_sets.of(project).own
    closing = _closed_by(project, before, wanted)
    purposes = frozenset(Purpose.objects.filter(project=project).values_list("code", flat=True))
    return _counted(project, closing, lambda _, now: replace(now, own_rules=wanted), purposes)


def in_force(project: Project) -> QuerySet[CurrentGrant]:
    """The grants that open something now, law and circumstances aside."""
    now = timezone.now()
    record = "grant__record__"
    lasting = Q(**{f"{record}expires_at": None}) | Q(**{f"{record}expires_at__gt": now})
    represented = Q(**{f"{record}representation": None}) | (
        Q(**{f"{record}representation__ended_at": None})
        & (Q(**{f"{record}representation__ends_at": None}) | Q(**{f"{record}representation__ends_at__gt": now}))
    )
    return CurrentGrant.objects.filter(
        lasting,
        represented,
        subject__project=project,
        subject__erased_at=None,
        purpose__active=True,
        grant__state=GrantState.GIVEN.value,
        grant__record__notice__series=F("purpose__series"),
        grant__record__notice__version__gte=F("purpose__series__least_valid_version"),
    )


def _counted(
    project: Project, closing: QuerySet[CurrentGrant], change: Change, purposes: frozenset[str]
) -> Consequences:
    def would_close(request: GateRequest) -> bool:
        now = facts.gather(
            request.project,
            request.purpose,
            [person.subject for person in request.participants],
            [scope.value for scope in request.scopes],
            request.recording,
        )
        open_now = {(pair.subject, pair.scope) for pair in judging.judge(request, now).granted}
        then = judging.judge(request, change(request, now))
        return not open_now <= {(pair.subject, pair.scope) for pair in then.granted}

    work = work_counter.face(project.pk, purposes, would_close, MOST_JOBS)
    return Consequences(
        subjects=closing.values("subject").distinct().count(),
        grants=closing.count(),
        jobs=work.closed,
        all_jobs=work.complete,
    )


_KIND: Final = (
    *("purpose", "scope", "grant__record__explicit", "grant__record__evidence_method", "grant__record__age_band"),
    *("grant__record__jurisdiction", "represented", "open_ended"),
)
"""What a rule may know of a grant: however many grants there are, there are few kinds of them."""


def _closed_by(project: Project, before: tuple[str, ...], wanted: tuple[str, ...]) -> QuerySet[CurrentGrant]:
    rows = in_force(project).annotate(
        represented=_is(Q(grant__record__representation__isnull=False)),
        open_ended=_is(Q(grant__record__expires_at=None, grant__record__until_event="", grant__record__uses=None)),
    )
    purposes = {purpose.pk: purpose for purpose in Purpose.objects.filter(project=project)}
    closing = Q(pk__in=[])
    for kind in rows.values(*_KIND).distinct():
        purpose = purposes[kind["purpose"]]
        cases = list(_cases(kind, purpose))
        if _opens(cases, before) and not _opens(cases, wanted):
            closing |= Q(**kind)
    return rows.filter(closing)


def _is(condition: Q) -> Case:
    return Case(When(condition, then=True), default=False, output_field=BooleanField())


def _opens(cases: list[LawCase], own: tuple[str, ...]) -> bool:
    """Whether any of these cases is one in which no rule says no."""
    rules = law.with_own(own)
    return any(not any(isinstance(verdict, Prohibition) for verdict in law.judge(case, rules)) for case in cases)


def _cases(kind: Mapping[str, Any], purpose: Purpose) -> Iterator[LawCase]:
    """Every role and context in which such a grant could be used, with everything else as it should be."""
    now = timezone.now()
    consent = Consent(
        explicit=kind["grant__record__explicit"],
        method=EvidenceMethod(kind["grant__record__evidence_method"]),
        age_band=AgeBand(kind["grant__record__age_band"]),
        represented=kind["represented"],
        open_ended=kind["open_ended"],
    )
    for role, context in product(ParticipantRole, map(Context, purpose.contexts)):
        yield LawCase(
            scope=Scope(kind["scope"]),
            role=role,
            context=context,
            places=frozenset({kind["grant__record__jurisdiction"]}),
            consent=consent,
            recorded_at=now,
            exposure_notice_shown_at=now - timedelta(minutes=1),
            ground=Ground(purpose.ground),
            deidentified=purpose.deidentified,
            schedule_published=True,
        )
