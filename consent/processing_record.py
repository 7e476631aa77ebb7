"""The record of processing activities (GDPR art. 30(1)): one activity for each purpose, generated from purposes, scopes, the models
that made results, the terms of retention and how the service is configured. Nothing is typed in for it and nothing is kept of it.

Each letter of the article is a field; `missing` says which of them cannot be answered from what is recorded, and how to mend it.
`processing_record_text` is the same for people.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.utils import timezone

from accounts.models import Project
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import inventory, ports, security_measures, terms
from consent.inventory import INSTALLATION_DAYS, Category, PurposeHolder
from consent.iso27560 import KINDS
from consent.law import places
from consent.law.gdpr import SPECIAL_CATEGORIES
from consent.models import Purpose
from consent.ports import ModelUse, Use
from consent.processing import DAYS
from consent.security_measures import Measure
from consent.vocabulary import PartyRole, RetentionClass, Scope
from consent.words import PEOPLE_WORDS

CITATION: Final = "Regulation (EU) 2016/679, art. 30(1)"
ARTICLES: Final[Mapping[str, str]] = {
    "parties": "30(1)(a)",
    "purpose": "30(1)(b)",
    "categories": "30(1)(c)",
    "recipients": "30(1)(d)",
    "transfers": "30(1)(e)",
    "time_limits": "30(1)(f)",
    "security_measures": "30(1)(g)",
}
"""Where in the record each letter of the article is answered."""
_CONTROLLERS: Final = (PartyRole.CONTROLLER, PartyRole.JOINT_CONTROLLER)
_ONLY_WITH: Final[Mapping[Category, Scope]] = {
    Category.KEPT_AUDIO: Scope.AUDIO_STORE,
    Category.VOICEPRINTS: Scope.IDENTIFY,
}
_OF_NO_PURPOSE: Final = frozenset({*INSTALLATION_DAYS, Category.BREACHES})
"""What is kept about others than the people who are recorded."""

PartyBody = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Missing:
    """A part of the article that what is recorded does not answer."""

    field: str
    message: str

    @property
    def article(self) -> str:
        return ARTICLES[self.field]


@dataclass(frozen=True, slots=True)
class Parties:
    """(a) Name, address and contact of each."""

    controllers: Sequence[PartyBody]
    representatives: Sequence[PartyBody]
    protection_officers: Sequence[PartyBody]


@dataclass(frozen=True, slots=True)
class Aim:
    """(b) The purpose, its lawful basis, and its impact assessment where it has one (art. 35)."""

    code: str
    name: str
    description: str
    lawful_basis: str
    high_risk: bool
    impact_assessment: str
    active: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class People:
    """Who is heard in one context, in words."""

    context: str
    description: str


@dataclass(frozen=True, slots=True)
class DataKind:
    """What is made of a voice under one scope."""

    scope: str
    description: str
    special_category: bool


@dataclass(frozen=True, slots=True)
class Categories:
    """(c) Whose data, and which. `roles` and `models` are what was recorded so far, as far as it is held."""

    people: Sequence[People]
    roles: Sequence[str]
    personal_data: Sequence[DataKind]
    models: Sequence[ModelUse]


@dataclass(frozen=True, slots=True)
class Recipients:
    """(d) Who receives it, processors included (art. 4(9)). Both empty: none is named."""

    named: Sequence[str]
    processors: Sequence[PartyBody]


@dataclass(frozen=True, slots=True)
class Transfers:
    """(e) Where data lies and is processed; which of the places are third countries, and the safeguards of the transfer."""

    places: Sequence[str]
    third_countries: Sequence[str]
    safeguards: str


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """(f) Days after which a category of data is erased; None where only the person's erasure ends it."""

    category: str
    days: int | None


@dataclass(frozen=True, slots=True)
class Activity:
    """One purpose, field by field."""

    parties: Parties
    purpose: Aim
    categories: Categories
    recipients: Recipients
    transfers: Transfers
    time_limits: Sequence[TimeLimit]
    missing: Sequence[Missing]


@dataclass(frozen=True, slots=True)
class ProcessingRecord:
    """The record of one project at one moment. `security_measures` is letter (g) and the same for every activity."""

    citation: str
    project: str
    project_name: str
    organization: str
    generated_at: datetime
    security_measures: Sequence[Measure]
    outside: str
    activities: Sequence[Activity]

    @property
    def articles(self) -> Mapping[str, str]:
        return ARTICLES

    @property
    def complete(self) -> bool:
        """Whether every activity answers every letter."""
        return not any(activity.missing for activity in self.activities)


def read(project: Project, *, actor: Actor) -> ProcessingRecord:
    """The record as of now, for somebody who may read it; the look is recorded first."""
    record_look(project, actor=actor)
    return generate(project)


@transaction.atomic
def record_look(project: Project, *, actor: Actor) -> None:
    trail.record(
        EventName.PROCESSING_RECORD_READ,
        organization=project.organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.PROJECT, project.code)],
    )


def generate(project: Project) -> ProcessingRecord:
    """Every purpose of the project, closed ones too: data may be held under them still. Open ones come first."""
    use = ports.use_reader.face(project.pk)
    held = {holder.category for holder in inventory.holders()} - _OF_NO_PURPOSE
    kept = {category: terms.days_for(project, category) for category in Category if category in held}
    purposes = Purpose.objects.filter(project=project).order_by("-active", "name")
    return ProcessingRecord(
        citation=CITATION,
        project=project.code,
        project_name=project.name,
        organization=project.organization.name,
        generated_at=timezone.now(),
        security_measures=security_measures.measures(),
        outside=security_measures.OUTSIDE,
        activities=[_activity(purpose, kept, use.get(purpose.code, Use())) for purpose in purposes],
    )


def _activity(purpose: Purpose, kept: Mapping[Category, int | None], use: Use) -> Activity:
    parties = Parties(
        controllers=_parties(purpose, *_CONTROLLERS),
        representatives=_parties(purpose, PartyRole.REPRESENTATIVE),
        protection_officers=_parties(purpose, PartyRole.PROTECTION_OFFICER),
    )
    recipients = Recipients(list(purpose.recipients), _parties(purpose, PartyRole.PROCESSOR))
    where = sorted({*purpose.storage_locations, *purpose.processing_locations})
    transfers = Transfers(where, [place for place in where if _is_third_country(place)], purpose.transfer_safeguards)
    return Activity(
        parties=parties,
        purpose=Aim(
            code=purpose.code,
            name=purpose.name,
            description=purpose.description,
            lawful_basis=purpose.lawful_basis,
            high_risk=purpose.high_risk,
            impact_assessment=purpose.dpia_reference,
            active=purpose.active,
            created_at=purpose.created_at,
        ),
        categories=Categories(
            people=[People(context, PEOPLE_WORDS[context]) for context in purpose.contexts],
            roles=use.roles,
            personal_data=[
                DataKind(scope, KINDS[Scope(scope)], Scope(scope) in SPECIAL_CATEGORIES) for scope in purpose.scopes
            ],
            models=use.models,
        ),
        recipients=recipients,
        transfers=transfers,
        time_limits=list(_time_limits(kept, purpose)),
        missing=list(_missing(purpose, parties, recipients, transfers)),
    )


def _parties(purpose: Purpose, *roles: PartyRole) -> list[PartyBody]:
    return [party for party in purpose.parties if party["role"] in roles]


def _is_third_country(place: str) -> bool:
    return place != places.UNKNOWN and not places.all_lie_in([place], places.EEA)


def _time_limits(kept: Mapping[Category, int | None], purpose: Purpose) -> Iterator[TimeLimit]:
    """What is derived under a purpose goes by its retention class at the latest."""
    most = DAYS[RetentionClass(purpose.retention_class)]
    derived = {holder.category for holder in inventory.holders() if isinstance(holder, PurposeHolder)}
    for category, days in kept.items():
        if category in _ONLY_WITH and _ONLY_WITH[category].value not in purpose.scopes:
            continue
        capped = most if days is None else min(days, most)
        yield TimeLimit(category.value, capped if category in derived else days)


def _missing(purpose: Purpose, parties: Parties, recipients: Recipients, transfers: Transfers) -> Iterator[Missing]:
    if not parties.controllers:
        yield Missing("parties", "no controller is named: make the purpose anew and name who is responsible")
    if purpose.high_risk and not parties.protection_officers:
        yield Missing(
            "parties",
            "no data protection officer is named, although the purpose is of high risk (art. 37(1)): name one as a party, or keep "
            "beside this record why there is none",
        )
    if Scope.SHARE.value in purpose.scopes and not recipients.named:
        yield Missing("recipients", "results may be shared (data.share) and no recipient is named")
    if not transfers.places or places.UNKNOWN in transfers.places:
        yield Missing(
            "transfers", "where data lies is not known, so that a transfer to a third country cannot be ruled out"
        )
    if transfers.third_countries and not transfers.safeguards:
        yield Missing(
            "transfers",
            f"data lies or is processed in {', '.join(transfers.third_countries)} and no safeguards of the transfer are stated "
            "(art. 44 to 49)",
        )
