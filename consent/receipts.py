"""Receipts of consent records and of what ended them, as they stand now, signed for the person; each one given is on the trail. How
a receipt is made up and checked is in `receipt`; whoever has the key's id from elsewhere needs nothing of this service for it.
"""

from typing import Any

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import iso27560, receipt, records
from consent.models import ConsentRecord, DestructionOrder, Ending
from vault.keyring import RECEIPTS
from vault.keys import provider


def of_consent(record: ConsentRecord, *, actor: Actor) -> bytes:
    """The signed copy of a record. Raises `ProviderUnavailable`."""
    whole = records.readable(ConsentRecord.objects.filter(pk=record.pk))
    body = {
        "type": "consent",
        "receipt_id": iso27560.receipt_id(record.code),
        "issued_at": _now(),
        "record": iso27560.as_json(records.describe(list(whole))[0]),
    }
    return _issued(body, Reference(ObjectKind.CONSENT, record.code), record, actor)


def of_ending(ending: Ending, *, actor: Actor) -> bytes:
    """What ended, what of it is destroyed by now, and when backups open nothing of it any more. Raises `ProviderUnavailable`."""
    body = {
        "type": "ending",
        "receipt_id": iso27560.receipt_id(ending.code),
        "issued_at": _now(),
        **describe(ending),
    }
    return _issued(body, Reference(ObjectKind.CONSENT, ending.code), ending, actor)


def describe(ending: Ending) -> dict[str, Any]:
    """An ending with what follows from it, as JSON values."""
    closed = ending.grants.select_related("record__purpose").order_by("id")
    return {
        "ending_id": ending.code,
        "subject_id": ending.subject.code,
        "cause": ending.cause,
        "at": _time(ending.at),
        "closed": [
            {
                "record_id": grant.record.code,
                "purpose": grant.record.purpose.code,
                "scope": grant.scope,
                "state": grant.state,
            }
            for grant in closed
        ],
        "destruction": [_destroyed(order) for order in ending.orders.order_by("id")],
    }


@require_safe
def published_keys(request: HttpRequest) -> JsonResponse:
    """`/.well-known/voxgov-receipts.json`: the keys that receipts are signed with, for anyone."""
    return JsonResponse(receipt.key_set([provider().public_key(RECEIPTS)]), content_type="application/jwk-set+json")


def _destroyed(order: DestructionOrder) -> dict[str, Any]:
    return {
        "order": order.code,
        "purpose": order.purpose or None,
        "scopes": list(order.scopes),
        "ordered_at": _time(order.ordered_at),
        "done_at": _time(order.done_at),
        "destroyed": dict(order.destroyed),
        "keys_destroyed": bool(order.shreds) and order.done_at is not None,
        "unrecoverable_from": _time(order.unrecoverable_from),
    }


def _issued(body: dict[str, Any], about: Reference, row: ConsentRecord | Ending, actor: Actor) -> bytes:
    keys = provider()
    file = receipt.signed(body, keys.public_key(RECEIPTS), lambda message: keys.sign(RECEIPTS, message))
    with transaction.atomic():
        trail.record(
            EventName.RECEIPT_ISSUED,
            organization=row.project.organization.code,
            actor=actor,
            objects=[
                about,
                # An erased person is not named again: nothing would ever take that name away.
                *(
                    [Reference(ObjectKind.SUBJECT, row.subject.code, row.subject.consent_epoch)]
                    if row.subject.erased_at is None
                    else []
                ),
                Reference(ObjectKind.PROJECT, row.project.code),
            ],
            detail={"type": body["type"]},
        )
    return file


def _now() -> str:
    return str(_time(timezone.now()))


def _time(moment: Any) -> str | None:
    return None if moment is None else str(moment.isoformat()).replace("+00:00", "Z")
