"""Locks: what changes policy, what changes a person's consent and what commits results may meet in any order, and none dies."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection, connections, transaction

from analysis import claiming, deletion
from analysis.models import Analysis, Recording
from analysis.states import AnalysisState, RecordingState
from audit.events import EventName
from consent import destruction, locking, publishing, subjects, withdrawal
from consent.models import Notice, Purpose
from consent.vocabulary import Context, LawfulBasis, Scope
from tests.factories import ACTOR, PROCESSING, World
from tests.quick_engines import quick_audio

PATIENCE = 20.0


class Aside:
    """Something done on a connection of its own, meanwhile."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.problem: BaseException | None = None
        self._act = act
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._act()
        except BaseException as error:
            self.problem = error
        finally:
            connections.close_all()

    def finished(self) -> bool:
        self._thread.join(PATIENCE)
        return not self._thread.is_alive()


def await_waiting(number: int) -> None:
    """Until so many transactions wait for a lock."""
    began = time.monotonic()
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone() == (number,):
                return
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.01)


@contextmanager
def nobody_dies() -> Iterator[list[Aside]]:
    meanwhile: list[Aside] = []
    yield meanwhile
    assert all(aside.finished() for aside in meanwhile)
    assert [aside.problem for aside in meanwhile] == [None] * len(meanwhile)


def test_an_answer_a_commit_of_results_and_a_purpose_that_closes_meet_without_deadlock(world: World) -> None:
    def commit() -> None:
        with transaction.atomic():
            locking.hold(world.project.pk, [world.subject.code])

    with nobody_dies() as meanwhile, transaction.atomic():
        world.consent(Scope.PROSODY)
        meanwhile.append(Aside(commit))
        await_waiting(1)
        meanwhile.append(Aside(lambda: publishing.set_purpose_active(world.purpose, False, actor=ACTOR)))
        await_waiting(2)
    assert not Purpose.objects.get(pk=world.purpose.pk).active


def test_a_notice_is_published_while_a_purpose_is_made_on_its_series(world: World) -> None:
    notice = publishing.draft_notice(
        world.project, series="voice", language="en", title="t", text="new", material=True, actor=ACTOR
    )
    with nobody_dies() as meanwhile, transaction.atomic():
        publishing.create_purpose(
            world.project,
            name="coaching",
            series=world.notice.series,
            lawful_basis=LawfulBasis.CONSENT,
            scopes=[Scope.PROSODY],
            contexts=[Context.SUPPORT],
            processing=PROCESSING,
            actor=ACTOR,
        )
        meanwhile.append(Aside(lambda: publishing.publish_notice(notice, actor=ACTOR)))
        await_waiting(1)
    assert Notice.objects.get(pk=notice.pk).published_at is not None


def test_an_order_that_is_carried_out_holds_up_nothing_else_in_the_project(world: World) -> None:
    order = withdrawal.erase(world.subject, actor=ACTOR)
    with transaction.atomic():
        destruction.carry_out(order.code)
        other = Aside(lambda: subjects.register(world.project, actor=ACTOR))
        assert other.finished()
    assert other.problem is None


def test_people_are_referred_to_while_their_consent_changes(world: World) -> None:
    """The lock on a person leaves their key free: a row that only refers to them waits for nobody."""
    with transaction.atomic():
        subjects.lock(world.subject.pk)

        def refer() -> None:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM consent_subject WHERE id = %s FOR KEY SHARE NOWAIT", [world.subject.pk])

        other = Aside(refer)
        assert other.finished()
    assert other.problem is None


def test_a_job_that_is_denied_at_its_claim_and_audio_that_is_destroyed_meet_without_deadlock(world: World) -> None:
    """A row that is written twice in one transaction has its references checked: the recording is looked at with the job held."""
    world.consent(Scope.PROSODY)
    recording = world.upload(quick_audio(), Scope.PROSODY)
    job = Analysis.objects.get(recording=recording)
    with nobody_dies() as meanwhile, transaction.atomic():
        held = claiming.claim(job.code)
        assert held is not None
        meanwhile.append(Aside(lambda: deletion.delete_recording(recording, actor=ACTOR)))
        await_waiting(1)
        claiming.finish(held, AnalysisState.DENIED, EventName.ANALYSIS_DENIED)
    assert Recording.objects.get(pk=recording.pk).state == RecordingState.DELETED
