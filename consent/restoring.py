"""What the journal says had ended or been closed, put into force again in a database that was restored from before it.

What the person answered after the entry's time stays: a later consent is a later record. Nothing here ever opens anything.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from django.db import transaction

from audit import trail
from consent import representing, subjects
from consent.closing import ERASURE, WITHDRAWAL, note_ended
from consent.models import CurrentGrant, Representation, Subject
from consent.representing import REPRESENTATION
from consent.revising import revise
from consent.vocabulary import LIVE, GrantState, Scope
from consent.withdrawal import erase, withdraw
from vault.journal import Entry

ACTOR: Final = trail.system("recovery")
_REASON: Final = "ended before the restored backup"


def replay(entry: Entry) -> bool:
    """True when something was in force that the journal says had ended. Raises `ValueError` for a kind that nobody here wrote."""
    put_back = _KINDS.get(entry.kind)
    if put_back is None:
        raise ValueError(f"the journal holds an entry of the unknown kind {entry.kind!r}")
    subject = Subject.objects.filter(
        project__code=entry.body["project"], code=entry.body["subject"], erased_at=None
    ).first()
    # None: not registered yet at the time of the backup, or erased in it.
    return subject is not None and put_back(subject, entry)


def _erased(subject: Subject, entry: Entry) -> bool:
    erase(subject, actor=ACTOR)
    return True


def _ended(subject: Subject, entry: Entry) -> bool:
    state = GrantState(entry.body.get("state", GrantState.WITHDRAWN.value))
    revived = [
        row for pair in entry.body["grants"] for row in _revived(subject, pair, entry) if row.grant.state != state
    ]
    if not revived:
        return False
    if state is GrantState.WITHDRAWN:
        for row in revived:
            withdraw(
                subject,
                actor=ACTOR,
                record=row.grant.record,
                purpose=row.purpose,
                scopes=[Scope(row.scope)],
                reason=_REASON,
            )
    else:
        _revised(subject, revived, state)
    return True


def _revised(subject: Subject, rows: Sequence[CurrentGrant], state: GrantState) -> None:
    with transaction.atomic():
        locked = subjects.lock(subject.pk)
        for row in rows:
            revise(row.grant.record, row.scope, state, actor=ACTOR, reason=_REASON)
        note_ended(locked, rows, state)
        subjects.move_consent_epoch(locked)


def _representation_ended(subject: Subject, entry: Entry) -> bool:
    found = Representation.objects.filter(
        subject=subject, code=entry.body["representation"], ended_at=None, began_at__lte=entry.at
    ).first()
    if found is None:
        return False
    representing.end(found, actor=ACTOR)
    return True


def _revived(subject: Subject, pair: Sequence[str], entry: Entry) -> list[CurrentGrant]:
    purpose, scope = pair
    return list(
        CurrentGrant.objects.filter(
            subject=subject,
            purpose__code=purpose,
            scope=scope,
            grant__state__in=[state.value for state in LIVE],
            grant__at__lte=entry.at,
        ).select_related("purpose", "grant__record")
    )


_KINDS: Final[Mapping[str, Callable[[Subject, Entry], bool]]] = {
    WITHDRAWAL: _ended,
    ERASURE: _erased,
    REPRESENTATION: _representation_ended,
}
