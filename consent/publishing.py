"""Notices and purposes: drafting, publishing, changing. Each change that can close the gate moves the policy epoch.

Locks are taken in one order: the organization's policy row, then series, notice, purpose. None of them locks a key, so that rows
which only refer to these (grants, recordings) wait for nobody.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import rfc8785
from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from accounts.membership import move_policy_epoch
from accounts.models import Organization, Project
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import matching, renewing
from consent.errors import InvalidRecord, NoticeImmutable, NoticeNotPublished, SecondPersonNeeded
from consent.law import purposes
from consent.law.purposes import Plan
from consent.models import EditorialPublication, Notice, NoticeSeries, Purpose
from consent.processing import Processing, columns, problems
from consent.vocabulary import Context, Ground, LawfulBasis, Scope
from vault import journal

NOTICE: Final = "notice"
PURPOSE: Final = "purpose"
"""What the journal calls a material version, and a purpose that was closed."""


def canonical_notice(
    *, series: str, version: int, language: str, title: str, text: str, required_phrase: str = ""
) -> bytes:
    """What the hash of a notice is taken over: canonical JSON (RFC 8785) of exactly what is shown and its version. A phrase that is
    to be said belongs to it; notices without one hash as they did before there were any."""
    shown: dict[str, str | int] = {
        "series": series,
        "version": version,
        "language": language,
        "title": title,
        "text": text,
    }
    if required_phrase:
        shown["required_phrase"] = required_phrase
    return rfc8785.dumps(shown)


@transaction.atomic
def draft_notice(
    project: Project,
    *,
    series: str,
    language: str,
    title: str,
    text: str,
    material: bool,
    required_phrase: str = "",
    actor: Actor,
) -> Notice:
    """A new version of the series in one language, not yet shown to anyone. Versions count up from 1."""
    for name, value in (("series", series), ("language", language), ("title", title), ("text", text)):
        if not value.strip():
            raise InvalidRecord(name, "must not be empty")
    phrase = required_phrase.strip()
    if phrase and len(matching.words(phrase)) < matching.FEWEST_WORDS:
        raise InvalidRecord("required_phrase", f"at least {matching.FEWEST_WORDS} words: fewer are said by chance")
    home, _ = NoticeSeries.objects.get_or_create(project=project, name=series)
    NoticeSeries.objects.select_for_update(no_key=True).get(pk=home.pk)
    latest = Notice.objects.filter(series=home).aggregate(latest=Max("version"))["latest"] or 0
    # A translation joins the newest version as long as nobody has been shown that version yet.
    open_version = (
        latest > 0
        and not Notice.objects.filter(series=home, version=latest, published_at__isnull=False).exists()
        and not Notice.objects.filter(series=home, version=latest, language=language).exists()
    )
    version = latest if open_version else latest + 1
    notice = Notice.objects.create(
        project=project,
        series=home,
        version=version,
        language=language,
        title=title,
        text=text,
        material=material,
        required_phrase=phrase,
        sha256=hashlib.sha256(
            canonical_notice(
                series=home.code,
                version=version,
                language=language,
                title=title,
                text=text,
                required_phrase=phrase,
            )
        ).hexdigest(),
    )
    _record(EventName.NOTICE_DRAFTED, project, notice, actor)
    return notice


@transaction.atomic
def publish_notice(notice: Notice, *, approval: EditorialPublication | None = None, actor: Actor) -> Notice:
    """Makes the notice public and fixed. A material version closes the gate for every grant on an older one at this commit,
    by one row. An editorial one needs a second person's approval (`editorial`).

    Raises `NoticeImmutable` when it is published already, `InvalidRecord` when a newer version is out, `SecondPersonNeeded`.
    """
    move_policy_epoch(notice.project.organization_id)
    series = NoticeSeries.objects.select_for_update(no_key=True).get(pk=notice.series_id)
    notice = Notice.objects.select_for_update(no_key=True).get(pk=notice.pk)
    if notice.published_at is not None:
        raise NoticeImmutable("this notice is already published; draft a new version")
    if notice.version < series.least_valid_version:
        raise InvalidRecord("version", "a newer material version is already published")
    if not notice.material and (approval is None or approval.notice_id != notice.pk or approval.approved_at is None):
        raise SecondPersonNeeded("an editorial notice keeps older consent in force: a second person must approve that")
    notice.published_at = timezone.now()
    notice.save(update_fields=["published_at"])
    if notice.material and notice.version > series.least_valid_version:
        series.least_valid_version = notice.version
        series.save(update_fields=["least_valid_version"])
        renewing.begin(series, notice.version)
        journal.note(NOTICE, {"project": notice.project.code, "series": series.code, "version": notice.version})
    _record(EventName.NOTICE_PUBLISHED, notice.project, notice, actor)
    return notice


def require_valid(notice: Notice) -> None:
    """Raises `NoticeNotPublished` unless consent may be given under this version now, and holds that still for the rest of the
    caller's transaction: a publication comes wholly before the answer or wholly after it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT least_valid_version FROM consent_noticeseries WHERE id = %s FOR SHARE", [notice.series_id]
        )
        row = cursor.fetchone()
    if row is None or notice.version < row[0]:
        raise NoticeNotPublished("a newer material version of this notice is in force")


@transaction.atomic
def create_purpose(
    project: Project,
    *,
    name: str,
    series: NoticeSeries,
    lawful_basis: LawfulBasis,
    scopes: Sequence[Scope],
    contexts: Sequence[Context],
    processing: Processing,
    description: str = "",
    recipients: Sequence[str] = (),
    ground: Ground = Ground.NONE,
    deidentified: bool = False,
    dpia_reference: str = "",
    active: bool = True,
    actor: Actor,
) -> Purpose:
    """A purpose and the scopes and contexts it may use, each named: there is no "all"; and how data is processed under it.

    Raises `InvalidRecord`, also where the law forbids to open it; with `active=False` an impact assessment may come later.
    """
    found = []
    if series.project_id != project.pk:
        found.append(("notice_series", "belongs to another project"))
    if not scopes:
        found.append(("scopes", "name at least one scope"))
    if not contexts:
        found.append(("contexts", "name at least one context"))
    if Context.UNKNOWN in contexts:
        found.append(("contexts", "a purpose cannot be for an unknown context"))
    found.extend(problems(processing, scopes))
    if found:
        raise InvalidRecord(*found[0], also=found[1:])
    plan = Plan(frozenset(scopes), frozenset(contexts), ground, deidentified, dpia_reference.strip())
    for objection in purposes.objections(plan):
        if active or objection.field != "dpia_reference":
            raise InvalidRecord(objection.field, f"{objection.message} ({objection.citation})")
    if Purpose.objects.filter(project=project, name=name).exists():
        raise InvalidRecord("name", "another purpose of this project has this name")
    move_policy_epoch(project.organization_id)
    purpose = Purpose.objects.create(
        project=project,
        series=series,
        name=name,
        description=description,
        lawful_basis=lawful_basis.value,
        scopes=sorted({scope.value for scope in scopes}),
        contexts=sorted({context.value for context in contexts}),
        recipients=list(recipients),
        **columns(processing),
        ground=ground.value,
        deidentified=deidentified,
        high_risk=purposes.is_high_risk(plan.scopes, plan.contexts),
        dpia_reference=plan.dpia_reference,
        active=active,
    )
    _record_purpose(EventName.PURPOSE_CREATED, purpose, actor)
    return purpose


@transaction.atomic
def set_purpose_active(purpose: Purpose, active: bool, *, dpia_reference: str = "", actor: Actor) -> Purpose:
    """Opens or closes a purpose. Closing it closes the gate for everything that rests on it, at this commit.

    An impact assessment may be named where there was none yet. Raises `InvalidRecord` where the law forbids to open it.
    """
    Organization.objects.select_for_update(no_key=True).get(pk=purpose.project.organization_id)
    purpose = Purpose.objects.select_for_update(no_key=True).get(pk=purpose.pk)
    reference = dpia_reference.strip()
    if reference and purpose.dpia_reference not in ("", reference):
        raise InvalidRecord("dpia_reference", "is named already; another assessment is for another purpose")
    if purpose.active != active or (reference and not purpose.dpia_reference):
        purpose.dpia_reference = reference or purpose.dpia_reference
        plan = Plan(
            frozenset(map(Scope, purpose.scopes)),
            frozenset(map(Context, purpose.contexts)),
            Ground(purpose.ground),
            purpose.deidentified,
            purpose.dpia_reference,
        )
        if active and (found := purposes.objections(plan)):
            raise InvalidRecord(found[0].field, f"{found[0].message} ({found[0].citation})")
        purpose.active = active
        purpose.changed_at = timezone.now()
        purpose.save(update_fields=["active", "changed_at", "dpia_reference"])
        if not active:
            journal.note(PURPOSE, {"project": purpose.project.code, "purpose": purpose.code})
        move_policy_epoch(purpose.project.organization_id)
        _record_purpose(EventName.PURPOSE_CHANGED, purpose, actor)
    return purpose


@transaction.atomic
def supersede_again(project: str, series: str, version: int) -> bool:
    """For a restored backup: closes the gate for what is older than a material version that it does not know. True when it had
    been open."""
    found = NoticeSeries.objects.select_related("project").filter(project__code=project, code=series).first()
    if found is None or found.least_valid_version >= version:
        return False
    move_policy_epoch(found.project.organization_id)
    NoticeSeries.objects.filter(pk=found.pk, least_valid_version__lt=version).update(least_valid_version=version)
    renewing.begin(found, version)
    return True


@transaction.atomic
def close_again(project: str, purpose: str, at: datetime, *, actor: Actor) -> bool:
    """For a restored backup: closes a purpose that was closed at that time, unless it was opened since. True when it was open."""
    found = Purpose.objects.filter(project__code=project, code=purpose, active=True).exclude(changed_at__gt=at).first()
    if found is None or found.created_at > at:
        return False
    set_purpose_active(found, False, actor=actor)
    return True


def _record(name: EventName, project: Project, notice: Notice, actor: Actor) -> None:
    trail.record(
        name,
        organization=project.organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.NOTICE, notice.code), Reference(ObjectKind.PROJECT, project.code)],
        detail={
            "version": notice.version,
            "language": notice.language,
            "sha256": notice.sha256,
            "material": notice.material,
        },
    )


def _record_purpose(name: EventName, purpose: Purpose, actor: Actor) -> None:
    trail.record(
        name,
        organization=purpose.project.organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.PURPOSE, purpose.code), Reference(ObjectKind.PROJECT, purpose.project.code)],
        detail={
            "scopes": purpose.scopes,
            "contexts": purpose.contexts,
            "active": purpose.active,
            "ground": purpose.ground,
            "dpia_reference": purpose.dpia_reference,
        },
    )
