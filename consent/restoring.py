"""What the journal says had ended or been closed, put into force again in a database that was restored from before it.

What the person answered after the entry's time stays: a later consent is a later record. Nothing here ever opens anything.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from django.db import transaction

from audit import trail
from consent import publishing, representing, restricting, rule_sets, subjects, using
from consent.answering import FINAL
from consent.closing import ERASURE, WITHDRAWAL, end_grants
from consent.models import ConsentRecord, CurrentGrant, Grant, LostEnding, Representation, Subject
from consent.publishing import NOTICE, PURPOSE
from consent.representing import REPRESENTATION
from consent.restricting import RESTRICTION
from consent.rule_sets import RULES
from consent.using import USE
from consent.vocabulary import LIVE, EndCause, GrantState, RestrictionGround
from consent.withdrawal import erase
from vault.journal import Entry

ACTOR: Final = trail.system("recovery")
_REASON: Final = "ended before the restored backup"
_IN_ONE_TRANSACTION: Final = timedelta(seconds=5)
"""Between the revision and the note of one withdrawal. Longer, and an end that is known is kept twice, which changes nothing."""


def replay(entry: Entry) -> bool:
    """True when something was in force that the journal says had ended. Raises `ValueError` for a kind that nobody here wrote."""
    if entry.kind == NOTICE:
        return publishing.supersede_again(entry.body["project"], entry.body["series"], entry.body["version"])
    if entry.kind == PURPOSE:
        return publishing.close_again(entry.body["project"], entry.body["purpose"], entry.at, actor=ACTOR)
    if entry.kind == RULES:
        return rule_sets.choose_again(entry.body["project"], entry.body["rules"], entry.at, actor=ACTOR)
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
    with transaction.atomic():
        locked = subjects.lock(subject.pk)
        if state in FINAL:
            _remember_lost(locked, entry)
        revived = [
            row for pair in entry.body["grants"] for row in _revived(locked, pair, entry) if row.grant.state != state
        ]
        if not revived:
            return False
        if state is GrantState.SUPERSEDED:
            # What superseded it went with the backup. Nothing was asked to be destroyed, so nothing is: it waits to be renewed.
            state = GrantState.RENEWAL_DUE
            revived = [row for row in revived if row.grant.state != state]
        if revived:
            end_grants(locked, revived, state=state, cause=_CAUSES[state], actor=ACTOR, reason=_REASON)
    return bool(revived)


def _remember_lost(subject: Subject, entry: Entry) -> None:
    """A grant that was given and ended after the backup is in no row here, nor is its end: that is kept, so that the old answer,
    recorded once more from wherever it lies, does not open what the person closed."""
    known = Grant.objects.filter(
        record__subject=subject, state__in=[state.value for state in FINAL], at__gte=entry.at - _IN_ONE_TRANSACTION
    )
    for purpose, scope in entry.body["grants"]:
        if not known.filter(record__purpose__code=purpose, scope=scope).exists():
            LostEnding.objects.get_or_create(subject=subject, purpose=purpose, scope=scope, at=entry.at)


def _representation_ended(subject: Subject, entry: Entry) -> bool:
    found = Representation.objects.filter(
        subject=subject, code=entry.body["representation"], ended_at=None, began_at__lte=entry.at
    ).first()
    if found is None:
        return False
    representing.end(found, actor=ACTOR)
    return True


def _restricted(subject: Subject, entry: Entry) -> bool:
    """That it was lifted later is in no entry, because nothing here opens anything: somebody lifts it once more."""
    lifted = subject.restriction_lifted_at
    if subject.restricted_at is not None or (lifted is not None and lifted >= entry.at):
        return False
    restricting.restrict(subject, RestrictionGround(entry.body["ground"]), ACTOR)
    return True


def _used(subject: Subject, entry: Entry) -> bool:
    """A use that was taken stays taken: a consent for one recording is not one for two because a backup was restored."""
    record = ConsentRecord.objects.filter(subject=subject, code=entry.body["consent"]).first()
    if record is None or record.uses is None:
        return False
    return using.take_again(record.pk, record.uses, entry.body["recording"])


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


_CAUSES: Final = {
    GrantState.WITHDRAWN: EndCause.WITHDRAWAL,
    GrantState.EXPIRED: EndCause.EVENT,
    GrantState.INVALIDATED: EndCause.INVALIDATION,
    GrantState.RENEWAL_DUE: EndCause.NOTICE,
}
_KINDS: Final[Mapping[str, Callable[[Subject, Entry], bool]]] = {
    WITHDRAWAL: _ended,
    ERASURE: _erased,
    REPRESENTATION: _representation_ended,
    RESTRICTION: _restricted,
    USE: _used,
}
