"""Withdrawals and erasures from the journal, put into force again in a database that was restored from before them.

What the person answered after the entry's time stays: a later consent is a later record.
"""

from collections.abc import Sequence
from typing import Final

from audit import trail
from consent.closing import ERASURE, WITHDRAWAL
from consent.models import CurrentGrant, Subject
from consent.vocabulary import GrantState, Scope
from consent.withdrawal import erase, withdraw
from vault.journal import Entry

ACTOR: Final = trail.system("recovery")


def replay(entry: Entry) -> bool:
    """True when something was in force that the journal says had ended. Raises `ValueError` for a kind that nobody here wrote."""
    if entry.kind not in (WITHDRAWAL, ERASURE):
        raise ValueError(f"the journal holds an entry of the unknown kind {entry.kind!r}")
    subject = Subject.objects.filter(
        project__code=entry.body["project"], code=entry.body["subject"], erased_at=None
    ).first()
    if subject is None:
        return False  # not registered yet at the time of the backup, or erased in it
    if entry.kind == ERASURE:
        erase(subject, actor=ACTOR)
        return True
    revived = [row for pair in entry.body["grants"] for row in _revived(subject, pair, entry)]
    for row in revived:
        withdraw(
            subject,
            actor=ACTOR,
            record=row.grant.record,
            purpose=row.purpose,
            scopes=[Scope(row.scope)],
            reason="withdrawn before the restored backup",
        )
    return bool(revived)


def _revived(subject: Subject, pair: Sequence[str], entry: Entry) -> list[CurrentGrant]:
    purpose, scope = pair
    return list(
        CurrentGrant.objects.filter(
            subject=subject,
            purpose__code=purpose,
            scope=scope,
            grant__state=GrantState.GIVEN.value,
            grant__at__lte=entry.at,
        ).select_related("purpose", "grant__record")
    )
