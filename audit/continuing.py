"""After a backup was restored: what is missing is shown, the journal is replayed, and each log that lost entries goes on under a
new origin, whose first entry names the last checkpoint of the old one. The old log stays as it is; nobody signs over it again.
"""

import base64
from collections.abc import Callable, Iterator
from typing import Final

from django.db import transaction
from django.utils import timezone

from audit import outside, sequencing, signing, standing, stored_tree, trail
from audit.entry import ObjectKind, Reference
from audit.errors import LogInvalid
from audit.events import EventName
from audit.models import Event, Log, Unsequenced
from vault import recovery

Say = Callable[[str], None]
_MOST_SHOWN: Final = 16 * 1024
"""Bytes of the old checkpoint that the first entry repeats: more than any has, and little enough for an entry."""


def describe() -> Iterator[str]:
    """One line for each log: entries in the database, entries that were signed, entries that wait."""
    for known in Log.objects.order_by("code", "generation"):
        kept = _kept(known)
        waiting = Unsequenced.objects.filter(log=known.code).count()
        signed = "nothing signed" if kept is None else f"signed over {kept[0]:,}"
        yield f"{known.origin}  {stored_tree.size_of(known):,} entries, {signed}, {waiting:,} events waiting"


def recover(say: Say) -> None:
    """Raises `ProviderUnavailable`, `StorageUnavailable`, `JournalBroken`; may be run again, also where nothing is wrong."""
    for reason in standing.objections():
        say(f"! {reason}")
    recovery.recover(say)
    for code in sorted({code for code, _ in outside.every()} | set(Log.objects.values_list("code", flat=True))):
        _continue(code, say)
        _retire_older(code)
    left = list(standing.objections())
    for reason in left:
        say(f"! {reason}")
    if not left:
        outside.open_again()
    standing.compare_again()
    standing.require_open()
    say("the service is open")


def _continue(code: str, say: Say) -> None:
    """Begins the next generation of a log that is not what was signed; leaves any other alone."""
    generations = [generation for kept_code, generation in outside.every() if kept_code == code]
    with transaction.atomic():
        sequencing.hold(code, wait=True)
        known = Log.objects.filter(code=code).order_by("-generation").first()
        latest = max([*generations, known.generation if known else 0])
        if known is not None and known.generation == latest and not list(standing.objections_to(known)):
            return
        old = Log.objects.filter(code=code, generation=latest).first()
        fresh = sequencing.begin(code, latest + 1)
        event = _record_continuation(fresh, old, latest)
        sequencing.append(fresh, [(event.pk, bytes(event.entry))])
    signing.sign(fresh)
    say(f"{fresh.origin} goes on from here; its first entry names the last checkpoint of the old log")


def _retire_older(code: str) -> None:
    """What is left of the generations before the newest is history, also where a crash came between."""
    newest = Log.objects.filter(code=code).order_by("-generation").values_list("generation", flat=True).first() or 0
    for kept_code, generation in list(outside.every()):
        if kept_code == code and generation < newest:
            outside.retire(code, generation)


def _record_continuation(fresh: Log, old: Log | None, generation: int) -> Event:
    note = outside.last(fresh.code, generation)
    code = trail.record(
        EventName.LOG_CONTINUED,
        organization=fresh.code,
        actor=trail.system("recovery"),
        objects=[Reference(ObjectKind.LOG, fresh.code)],
        detail={
            "origin": fresh.origin,
            "old_checkpoint": None if note is None else base64.b64encode(note[:_MOST_SHOWN]).decode(),
            "old_entries_left": 0 if old is None else stored_tree.size_of(old),
            "recovered_at": timezone.now().isoformat(),
        },
    )
    return Event.objects.get(code=code)


def _kept(known: Log) -> tuple[int, bytes] | None:
    try:
        opened = signing.last_outside(known)
    except LogInvalid:
        return None
    return None if opened is None else (opened.size, opened.root)
