"""What the end of a grant sets in motion, in the same transaction: orders to destroy what was derived, keys to shred, and a note in
the journal, so that no backup brings the grant back.

A withdrawal and a refusal that replaces a grant both come through here.
"""

from collections.abc import Sequence
from typing import Final

from consent.models import CurrentGrant, DestructionOrder, Subject
from consent.vocabulary import HOLDS, GrantState
from vault import journal, sealing
from vault.models import KeyClass

WITHDRAWAL: Final = "withdrawal"
ERASURE: Final = "erasure"
"""What the journal calls the end of grants, and of a whole person."""


def order_destruction(
    subject: Subject, organization: str, rows: Sequence[CurrentGrant], reason: str
) -> list[DestructionOrder]:
    """One order per purpose; and the scope's key goes too, unless another purpose still holds a grant on that scope."""
    still_granted = set(
        CurrentGrant.objects.filter(subject=subject, grant__state__in=[state.value for state in HOLDS]).values_list(
            "scope", flat=True
        )
    )
    by_purpose: dict[str, list[str]] = {}
    for row in rows:
        by_purpose.setdefault(row.purpose.code, []).append(row.scope)
    orders = [
        DestructionOrder.objects.create(
            organization=organization,
            project=subject.project,
            subject=subject.code,
            purpose=purpose,
            scopes=sorted(scopes),
            reason=reason,
        )
        for purpose, scopes in sorted(by_purpose.items())
    ]
    note_ended(subject, rows)
    for scope in sorted({row.scope for row in rows} - still_granted):
        sealing.shred(organization, owner=subject.code, key_class=KeyClass.SUBJECT, scope=scope, reason=reason)
    return orders


def note_ended(subject: Subject, rows: Sequence[CurrentGrant], state: GrantState = GrantState.WITHDRAWN) -> None:
    """Notes that these grants are in that state now, so that a restored backup does not open the gate on them again."""
    body: dict[str, object] = {
        "project": subject.project.code,
        "subject": subject.code,
        "grants": sorted([row.purpose.code, row.scope] for row in rows),
    }
    journal.note(WITHDRAWAL, body if state is GrantState.WITHDRAWN else {**body, "state": state.value})
