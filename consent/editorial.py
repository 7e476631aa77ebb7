"""Publishing a notice as *editorial*: one asks, a second person approves, and at that commit it is published.

An editorial version leaves every grant under older versions in force, so that calling a material change editorial would carry
consent over to what nobody agreed to. The database lets no editorial notice be published without the approval.
"""

from django.db import IntegrityError, transaction

from accounts.membership import move_policy_epoch
from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import approving, publishing
from consent.errors import InvalidRecord, NoticeImmutable
from consent.models import EditorialPublication, Notice


def ask(notice: Notice, *, actor: Actor) -> EditorialPublication:
    """Raises `InvalidRecord` for a material notice, or while it is asked for already; `NoticeImmutable` for a published one."""
    if notice.material:
        raise InvalidRecord("material", "a material notice is published by whoever may: it ends older consent")
    try:
        with transaction.atomic():
            locked = Notice.objects.select_for_update(no_key=True).get(pk=notice.pk)
            if locked.published_at is not None:
                raise NoticeImmutable("this notice is already published; draft a new version")
            found: EditorialPublication = EditorialPublication.objects.create(
                project=locked.project,
                notice=locked,
                asked_by_kind=actor.kind.value,
                asked_by_code=actor.code,
            )
            _record(EventName.EDITORIAL_ASKED, found, actor)
    except IntegrityError as error:
        raise InvalidRecord("notice", "is waiting for a second person already") from error
    return found


@transaction.atomic
def approve(asked: EditorialPublication, *, actor: Actor) -> Notice:
    """Publishes the notice. Raises `SecondPersonNeeded`, `AlreadyDecided`, and what `publish_notice` raises."""
    move_policy_epoch(asked.project.organization_id)
    row: EditorialPublication = EditorialPublication.objects.select_for_update(no_key=True).get(pk=asked.pk)
    approving.approve(row, actor=actor)
    _record(EventName.EDITORIAL_APPROVED, row, actor)
    return publishing.publish_notice(row.notice, approval=row, actor=actor)


@transaction.atomic
def turn_down(asked: EditorialPublication, *, actor: Actor) -> EditorialPublication:
    """The notice stays a draft, and may be asked for again. Raises `AlreadyDecided`."""
    row: EditorialPublication = EditorialPublication.objects.select_for_update(no_key=True).get(pk=asked.pk)
    approving.turn_down(row, actor=actor)
    _record(EventName.EDITORIAL_TURNED_DOWN, row, actor)
    return row


def _record(name: EventName, row: EditorialPublication, actor: Actor) -> None:
    trail.record(
        name,
        organization=row.project.organization.code,
        actor=actor,
        objects=[Reference(ObjectKind.NOTICE, row.notice.code), Reference(ObjectKind.PROJECT, row.project.code)],
        detail={"version": row.notice.version, "language": row.notice.language, "sha256": row.notice.sha256},
    )
