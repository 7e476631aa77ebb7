"""What the end of grants sets in motion, in the same transaction: orders to destroy what was derived, keys to shred, and a note in
the journal, so that no backup brings the grants back.

Withdrawals and everything else that ends grants come through `end_grants`; a refusal that replaces a grant, which is an answer,
orders its destruction by itself.
"""

from collections.abc import Sequence
from typing import Final

from audit import trail
from audit.entry import Actor, ObjectKind, Reference
from audit.events import EventName
from consent import subjects
from consent.models import CurrentGrant, DestructionOrder, Ending, Subject
from consent.revising import revise
from consent.vocabulary import HOLDS, EndCause, GrantState
from vault import journal, sealing
from vault.models import KeyClass

WITHDRAWAL: Final = "withdrawal"
ERASURE: Final = "erasure"
"""What the journal calls the end of grants, and of a whole person."""

_EVENTS: Final = {
    GrantState.WITHDRAWN: EventName.GRANT_WITHDRAWN,
    GrantState.EXPIRED: EventName.GRANT_EXPIRED,
    GrantState.INVALIDATED: EventName.GRANT_INVALIDATED,
    GrantState.RENEWAL_DUE: EventName.GRANT_RENEWAL_DUE,
}


def end_grants(
    subject: Subject,
    rows: Sequence[CurrentGrant],
    *,
    state: GrantState,
    cause: EndCause,
    actor: Actor,
    reason: str = "",
    noted: bool = True,
) -> tuple[Ending, list[DestructionOrder]]:
    """Ends these grants of the subject, whose lock the caller holds: effective at the commit. What was derived under them is
    ordered destroyed, unless the state says that it waits for renewal.

    `noted=False` is for what a restored backup knows by itself, such as the passing of time. `rows` come with purpose and record.
    """
    organization = subject.project.organization.code
    epoch = subjects.move_consent_epoch(subject)
    ending = Ending.objects.create(
        project=subject.project,
        subject=subject,
        cause=cause.value,
        state=state.value,
        consent_epoch=epoch,
        actor_kind=actor.kind.value,
        actor_code=actor.code,
    )
    for row in rows:
        revise(row.grant.record, row.scope, state, actor=actor, reason=reason, ending=ending)
    orders = [] if state in HOLDS else order_destruction(subject, rows, cause.value, ending)
    if noted:
        note_ended(subject, rows, state)
    trail.record(
        _EVENTS[state],
        organization=organization,
        actor=actor,
        objects=[
            *[Reference(ObjectKind.CONSENT, code) for code in sorted({row.grant.record.code for row in rows})],
            Reference(ObjectKind.SUBJECT, subject.code, epoch),
            *[Reference(ObjectKind.PURPOSE, code) for code in sorted({row.purpose.code for row in rows})],
        ],
        reason=cause.value,
        detail={"scopes": sorted({row.scope for row in rows}), "destruction_ordered": len(orders)},
    )
    return ending, orders


def order_destruction(
    subject: Subject, rows: Sequence[CurrentGrant], reason: str, ending: Ending | None = None
) -> list[DestructionOrder]:
    """One order per purpose; and the scope's key goes too, unless another purpose still holds a grant on that scope."""
    organization = subject.project.organization.code
    still_held = set(
        CurrentGrant.objects.filter(subject=subject, grant__state__in=[state.value for state in HOLDS]).values_list(
            "scope", flat=True
        )
    )
    by_purpose: dict[str, list[str]] = {}
    for row in rows:
        by_purpose.setdefault(row.purpose.code, []).append(row.scope)
    shreds = {
        scope: sealing.shred(
            organization, owner=subject.code, key_class=KeyClass.SUBJECT, scope=scope, reason=reason
        ).code
        for scope in sorted({row.scope for row in rows} - still_held)
    }
    return [
        DestructionOrder.objects.create(
            organization=organization,
            project=subject.project,
            subject=subject.code,
            purpose=purpose,
            scopes=sorted(scopes),
            reason=reason,
            ending=ending,
            shreds=[shreds[scope] for scope in sorted(scopes) if scope in shreds],
        )
        for purpose, scopes in sorted(by_purpose.items())
    ]


def note_ended(subject: Subject, rows: Sequence[CurrentGrant], state: GrantState = GrantState.WITHDRAWN) -> None:
    """Notes that these grants are in that state now, so that a restored backup does not open the gate on them again."""
    body: dict[str, object] = {
        "project": subject.project.code,
        "subject": subject.code,
        "grants": sorted([row.purpose.code, row.scope] for row in rows),
    }
    journal.note(WITHDRAWAL, body if state is GrantState.WITHDRAWN else {**body, "state": state.value})
