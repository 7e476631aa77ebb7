"""A database that was restored from before a withdrawal: the journal closes again what the backup opened."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import ProgrammingError, transaction
from django.utils import timezone

from consent import restoring, withdrawal
from consent.closing import ERASURE, WITHDRAWAL
from consent.errors import InvalidRecord
from consent.models import CurrentGrant, DestructionOrder, LostEnding, Subject
from consent.vocabulary import Scope
from tests.factories import ACTOR, World
from vault import journal, recovery
from vault.journal import Entry
from vault.models import ShredOrder


def state(world: World, scope: Scope) -> str:
    return str(CurrentGrant.objects.get(subject=world.subject, scope=scope.value).grant.state)


def entry(world: World, *scopes: Scope, kind: str = WITHDRAWAL, ago: timedelta = timedelta(0)) -> Entry:
    grants = [[world.purpose.code, scope.value] for scope in scopes]
    body = {"project": world.project.code, "subject": world.subject.code, "grants": grants}
    return Entry(1, timezone.now() - ago, kind, body)


def test_a_withdrawal_a_refusal_and_an_erasure_are_in_the_journal_when_they_are_acknowledged(world: World) -> None:
    before = journal.last_number()
    world.consent(Scope.TRANSCRIBE, Scope.PROSODY, Scope.EMOTION)
    withdrawal.withdraw(world.subject, scopes=[Scope.TRANSCRIBE], actor=ACTOR)
    world.consent(Scope.PROSODY, given=False)
    withdrawal.erase(world.subject, actor=ACTOR)
    noted = [
        (one.kind, one.body.get("grants"))
        for one in journal.entries()
        if one.number > before and one.body.get("subject") == world.subject.code
    ]
    assert noted == [
        (WITHDRAWAL, [[world.purpose.code, "speech.transcribe"]]),
        (WITHDRAWAL, [[world.purpose.code, "speech.prosody"]]),
        (ERASURE, None),
    ]


def test_a_grant_that_the_backup_brought_back_is_withdrawn_and_its_data_ordered_destroyed(world: World) -> None:
    world.consent(Scope.TRANSCRIBE, Scope.PROSODY)
    epoch = world.subject.consent_epoch
    assert restoring.replay(entry(world, Scope.TRANSCRIBE))
    assert (state(world, Scope.TRANSCRIBE), state(world, Scope.PROSODY)) == ("withdrawn", "given")
    assert Subject.objects.get(pk=world.subject.pk).consent_epoch > epoch
    assert DestructionOrder.objects.filter(subject=world.subject.code, scopes=["speech.transcribe"]).exists()
    assert ShredOrder.objects.filter(owner=world.subject.code, scope="speech.transcribe").exists()
    assert not restoring.replay(entry(world, Scope.TRANSCRIBE)), "once"


def test_a_consent_given_after_the_entry_stays(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    assert not restoring.replay(entry(world, Scope.TRANSCRIBE, ago=timedelta(minutes=1)))
    assert state(world, Scope.TRANSCRIBE) == "given"


def test_an_answer_that_was_withdrawn_after_the_backup_is_not_accepted_once_more(world: World) -> None:
    """The backup knows the person and nothing of the grant: it was given and withdrawn since."""
    given = timezone.now() - timedelta(hours=2)
    assert not restoring.replay(entry(world, Scope.TRANSCRIBE, ago=timedelta(hours=1)))
    assert not restoring.replay(entry(world, Scope.TRANSCRIBE, ago=timedelta(hours=1))), "nothing is in force"
    with pytest.raises(InvalidRecord, match="earlier than a refusal"):
        world.consent(Scope.TRANSCRIBE, given_at=given)
    world.consent(Scope.PROSODY, given_at=given)
    assert state(world, Scope.PROSODY) == "given", "another scope"
    world.consent(Scope.TRANSCRIBE)
    assert state(world, Scope.TRANSCRIBE) == "given", "what the person answers now counts"


def test_an_end_that_the_database_knows_is_not_kept_twice(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    withdrawal.withdraw(world.subject, actor=ACTOR)
    restoring.replay(entry(world, Scope.TRANSCRIBE))
    assert not LostEnding.objects.filter(subject=world.subject).exists()


def test_what_ended_for_the_backups_sake_cannot_be_taken_away(world: World) -> None:
    restoring.replay(entry(world, Scope.TRANSCRIBE))
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        LostEnding.objects.all().delete()


def test_an_erased_person_is_erased_again(world: World) -> None:
    world.consent(Scope.TRANSCRIBE)
    assert restoring.replay(entry(world, kind=ERASURE))
    assert Subject.objects.get(pk=world.subject.pk).erased_at is not None
    assert not restoring.replay(entry(world, kind=ERASURE))


def test_somebody_whom_the_backup_does_not_know_needs_nothing(world: World) -> None:
    unknown = entry(world, Scope.TRANSCRIBE)
    assert not restoring.replay(Entry(1, unknown.at, WITHDRAWAL, {**unknown.body, "subject": "nobody"}))


def test_a_kind_that_nobody_wrote_stops_the_recovery(world: World) -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        restoring.replay(Entry(1, timezone.now(), "surprise", {}))


def test_recovery_over_a_database_that_needs_none_changes_nothing(
    world: World, superuser: Callable[[str], list[tuple[object, ...]]]
) -> None:
    world.consent(Scope.TRANSCRIBE)
    withdrawal.withdraw(world.subject, actor=ACTOR)
    recovery.recover()
    revisions = superuser("SELECT count(*) FROM consent_grant")
    orders = ShredOrder.objects.count()
    done = recovery.recover()
    assert done.replayed == 0
    assert done.entries >= 2
    assert superuser("SELECT count(*) FROM consent_grant") == revisions
    assert ShredOrder.objects.count() == orders
