"""Uses of consent that was given for a number of recordings: each is taken exactly once, whoever races for it.

A use is one recording, however many jobs and reads follow on it. It is taken with the first permit for that recording, in the
permit's own transaction, and noted in the journal, so that no restored backup gives it back.
"""

from collections.abc import Mapping

from django.db import transaction

from consent.models import ConsentRecord, GrantUse
from consent.verdicts import Verdict
from vault import journal
from vault.codes import new_code

USE = "use"
"""What the journal calls one."""


def take(verdict: Verdict) -> bool:
    """Takes the uses that the verdict's grants need, all or none. False when one is gone: judge again."""
    wanted = {pair.record: pair.uses for pair in verdict.granted if pair.uses is not None}
    if not wanted:
        return True
    # A permit about nothing that has a code yet is one recording, too.
    recording = verdict.request.recording or new_code()
    with transaction.atomic():
        savepoint = transaction.savepoint()
        for record, uses in sorted(wanted.items()):
            if not _take_one(record, uses, recording):
                transaction.savepoint_rollback(savepoint)
                return False
        _note(wanted, recording)
    return True


def take_again(record: int, uses: int, recording: str) -> bool:
    """For a restored backup: takes the use of that recording if it is not there. True when it was not."""
    with transaction.atomic():
        if GrantUse.objects.filter(record=record, object_code=recording).exists():
            return False
        return _take_one(record, uses, recording)


def _take_one(record: int, uses: int, recording: str) -> bool:
    """Uniqueness decides: an insert of the same number waits for the other's commit, and then inserts nothing."""
    while True:
        taken = GrantUse.objects.filter(record=record).count()
        if GrantUse.objects.filter(record=record, object_code=recording).exists():
            return True
        if taken >= uses:
            return False
        GrantUse.objects.bulk_create(
            [GrantUse(record_id=record, number=taken + 1, object_code=recording)], ignore_conflicts=True
        )
        if GrantUse.objects.filter(record=record, object_code=recording).exists():
            return True


def _note(wanted: Mapping[int, int | None], recording: str) -> None:
    for record in ConsentRecord.objects.filter(pk__in=wanted).select_related("project", "subject").order_by("pk"):
        journal.note(
            USE,
            {
                "project": record.project.code,
                "subject": record.subject.code,
                "consent": record.code,
                "recording": recording,
            },
        )
