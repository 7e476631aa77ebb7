"""Everything at once: threads that grant, withdraw, submit, analyse, read, restrict, erase, relabel and publish on the real
database, and over the history of what was committed the invariant *no committed result whose consent was invalid at commit*.

Ten `VOXGOV_DRILL_ROUNDS` run one history more; `VOXGOV_HISTORY_SEED` repeats one.
"""

import io
import os
import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from analysis import pipeline, reading, submission
from analysis.errors import AnalysisError
from analysis.models import Analysis
from analysis.states import AnalysisState
from audit.events import EventName
from audit.models import Event
from consent import destruction, expiring, gate, publishing, relabelling, renewing, representing, restricting
from consent import withdrawal as withdrawals
from consent.errors import ConsentDenied, ConsentError
from consent.models import ConsentRecord, DestructionOrder, Ending, Notice, Representation
from consent.vocabulary import Action, AgeBand, ParticipantRole, RestrictionGround, Scope
from tests.consent.commits import Superuser, violations, witnessed
from tests.factories import ACTOR, SECOND_PERSON, World, make_representative, make_world, publish
from tests.quick_engines import quick_audio, quick_engines
from vault.errors import KeyShredded

ROUNDS = max(1, int(os.environ.get("VOXGOV_DRILL_ROUNDS", "1")) // 10)
OPERATIONS = 2000
THREADS = 6
PEOPLE = 6
SCOPES = (Scope.TRANSCRIBE, Scope.PROSODY, Scope.NONVERBAL, Scope.EMOTION)


class History:
    """One world, what may happen in it, and what did. Each act takes its own chances and must end well or with a typed refusal."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.world: World = make_world(scopes=SCOPES)
        self.people = [self.world.another_subject() for _ in range(PEOPLE)]
        self.representatives: list[Representation] = []
        self.notice: Notice = self.world.notice
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.broken: list[str] = []
        self.acknowledged: dict[type, list[str]] = {ConsentRecord: [], Ending: []}
        self._left = iter(range(OPERATIONS))
        self._lock = threading.Lock()
        self._acts: list[tuple[int, Callable[[random.Random], object]]] = [
            (50, self.grant),
            (18, self.withdraw),
            (40, self.submit),
            (50, self.analyse),
            (14, self.read),
            (6, self.restrict_or_lift),
            (6, self.destroy),
            (4, self.come_as_an_employee),
            (5, self.approve_a_role),
            (4, self.end_a_representation),
            (2, self.close_and_open),
            (2, self.publish),
            (2, self.sweep),
            (1, self.erase),
        ]

    def run(self) -> None:
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, number: int) -> None:
        chance = random.Random(self.seed * 1000 + number)
        weights = [weight for weight, _ in self._acts]
        try:
            while self._next():
                act = chance.choices(self._acts, weights)[0][1]
                try:
                    act(chance)
                except (ConsentError, AnalysisError, KeyShredded) as refusal:
                    self.refused[type(refusal).__name__] += 1
                except Exception as error:
                    self.broken.append(
                        f"{act.__name__}: {type(error).__name__}: {error}\n{traceback.format_exc(limit=-12)}"
                    )
                self.done[act.__name__] += 1
        finally:
            connections.close_all()

    def _next(self) -> bool:
        with self._lock:
            return next(self._left, None) is not None

    # What happens

    def grant(self, chance: random.Random) -> None:
        person = chance.choice(self.people)
        child = chance.random() < 0.15
        acting = None
        if child:
            acting = make_representative(person)
            self.representatives.append(acting)
        made = self.world_now().consent(
            *(SCOPES if chance.random() < 0.5 else chance.sample(SCOPES, chance.randint(1, len(SCOPES)))),
            subject=person,
            given=chance.random() < 0.93,
            uses=chance.choice([None, None, None, 1, 2]),
            expires_at=chance.choice([None, None, None, timezone.now() + timedelta(seconds=chance.uniform(0.5, 5))]),
            covers_recorded_from=chance.choice([None, *[timezone.now() - timedelta(hours=1)] * 3]),
            age_band=AgeBand.UNDER_13 if child else AgeBand.ADULT,
            representation=acting,
            jurisdiction="DE",
        )
        self.acknowledged[ConsentRecord].append(made.code)

    def withdraw(self, chance: random.Random) -> None:
        scopes = None if chance.random() < 0.4 else chance.sample(SCOPES, 1)
        done = withdrawals.withdraw(chance.choice(self.people), scopes=scopes, actor=ACTOR)
        self.acknowledged[Ending].append(done.code)

    def submit(self, chance: random.Random) -> None:
        """One or two people, each on a channel of their own; for what is granted now, as a client would who asks first."""
        people = chance.sample(self.people, chance.choice([1, 1, 2]))
        parts = [
            gate.Participant(
                person.code, ParticipantRole.CUSTOMER, channel if len(people) > 1 else None, jurisdiction="DE"
            )
            for channel, person in enumerate(people)
        ]
        world = self.world_now()
        granted = gate.evaluate(world.ask(*SCOPES, people=parts, jurisdiction="DE")).granted
        scopes = [
            scope for scope in SCOPES if all((p.code, scope) in {(g.subject, g.scope) for g in granted} for p in people)
        ]
        audio = quick_audio(len(people))
        recording = submission.create_recording(
            world.project, world.submission(*(scopes or SCOPES[:1]), people=parts), actor=ACTOR
        )
        submission.receive_audio(recording, io.BytesIO(audio).read, len(audio), actor=ACTOR)

    def analyse(self, chance: random.Random) -> None:
        """Now and then by two workers at once."""
        waiting = Analysis.objects.filter(
            recording__project=self.world.project, state__in=[AnalysisState.QUEUED.value, AnalysisState.RUNNING.value]
        )
        codes = list(waiting.values_list("code", flat=True)[:20])
        if codes:
            pipeline.run(chance.choice(codes))

    def read(self, chance: random.Random) -> None:
        done = Analysis.objects.filter(recording__project=self.world.project, state=AnalysisState.DONE.value)
        codes = list(done.order_by("-id").values_list("code", flat=True)[:20])
        if codes:
            found = Analysis.objects.select_related("recording__project__organization").filter(
                code=chance.choice(codes)
            )
            if job := found.first():  # somebody in it may have been erased meanwhile
                reading.read_results(job, actor=ACTOR)

    def restrict_or_lift(self, chance: random.Random) -> None:
        person = chance.choice(self.people)
        if chance.random() < 0.3:
            restricting.restrict(person, RestrictionGround.OBJECTION, ACTOR)
        else:
            restricting.lift(person, ACTOR)

    def destroy(self, chance: random.Random) -> None:
        for order in DestructionOrder.objects.filter(project=self.world.project, done_at=None)[:5]:
            destruction.carry_out(order.code)

    def come_as_an_employee(self, chance: random.Random) -> None:
        parts = [gate.Participant(chance.choice(self.people).code, ParticipantRole.EMPLOYEE)]
        gate.require(self.world.ask(Scope.EMOTION, people=parts), action=Action.SUBMIT, actor=ACTOR)

    def approve_a_role(self, chance: random.Random) -> None:
        change = relabelling.ask(chance.choice(self.people), ParticipantRole.CUSTOMER, actor=ACTOR)
        relabelling.approve(change, actor=SECOND_PERSON)

    def end_a_representation(self, chance: random.Random) -> None:
        if self.representatives:
            representing.end(chance.choice(self.representatives), actor=ACTOR)

    def close_and_open(self, chance: random.Random) -> None:
        publishing.set_purpose_active(self.world.purpose, False, actor=ACTOR)
        time.sleep(chance.uniform(0, 0.2))
        publishing.set_purpose_active(self.world.purpose, True, actor=ACTOR)

    def publish(self, chance: random.Random) -> None:
        draft = publishing.draft_notice(
            self.world.project, series="voice", language="en", title="t", text="new", material=chance.random() < 0.4,
            actor=ACTOR,
        )  # fmt: skip
        self.notice = publish(draft)

    def sweep(self, chance: random.Random) -> None:
        expiring.sweep()
        renewing.carry_out()

    def erase(self, chance: random.Random) -> None:
        """The person goes, and another one comes, so that there is always somebody."""
        number = chance.randrange(PEOPLE)
        gone, self.people[number] = self.people[number], self.world.another_subject()
        withdrawals.erase(gone, actor=ACTOR)

    def world_now(self) -> World:
        """With the notice that is shown now."""
        world = self.world
        return World(world.organization, world.project, self.notice, world.purpose, world.subject)


def seeds() -> list[int]:
    given = os.environ.get("VOXGOV_HISTORY_SEED")
    return [int(given)] if given else [random.randrange(10**6) for _ in range(ROUNDS)]


def note_what_stands(superuser: Superuser, world: World) -> None:
    """An update that changes nothing, so that it is among the commits."""
    for table in ("consent_noticeseries", "consent_purpose", "consent_subject"):
        superuser(f"UPDATE {table} SET project_id = project_id WHERE project_id = {world.project.pk}")


def _some_time() -> None:
    time.sleep(random.uniform(0, 0.02))


@pytest.mark.drill
def test_no_result_is_committed_whose_consent_was_invalid_at_commit(
    superuser: Superuser, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in seeds():
        history = History(seed)
        with witnessed(superuser) as commits, quick_engines(_some_time):
            note_what_stands(superuser, history.world)
            history.run()
            noted = commits()
        kinds = Counter(commit.kind for commit in noted)
        stopped = Event.objects.filter(
            log=history.world.organization.code, name=EventName.ANALYSIS_REQUEUED.value
        ).count()
        with capsys.disabled():
            print(f"\n  seed {seed}: did {dict(history.done)}, refused {dict(history.refused)}", end="")
            print(f"\n  committed {dict(kinds)}; {stopped} jobs stopped on their way", end="")
        assert "\n".join(history.broken) == "", f"seed {seed}"
        assert violations(noted) == [], f"seed {seed}"
        assert sum(history.done.values()) == OPERATIONS
        assert kinds["analysis_result"] > 40 and stopped > 2, (
            "the history says nothing where hardly anything was committed"
        )
        for model, codes in history.acknowledged.items():
            assert model.objects.filter(code__in=codes).count() == len(codes)  # type: ignore[attr-defined]


def test_the_judge_finds_a_result_that_is_committed_without_the_gate(
    superuser: Superuser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline whose last look is taken away commits what was withdrawn meanwhile, and the judge says so."""
    world = make_world(scopes=SCOPES)
    with witnessed(superuser) as commits, quick_engines():
        note_what_stands(superuser, world)
        world.consent(Scope.TRANSCRIBE)
        job = Analysis.objects.get(recording=world.upload(quick_audio(), Scope.TRANSCRIBE))
        original, require = pipeline._commit, gate.require

        def withdrawn_at_the_last_moment(*args: object) -> None:
            held = args[0]
            withdrawals.withdraw(world.subject, actor=ACTOR)
            monkeypatch.setattr(gate, "require", lambda *a, **k: held.permit)  # type: ignore[attr-defined]
            original(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(pipeline, "_commit", withdrawn_at_the_last_moment)
        pipeline.run(job.code)
        monkeypatch.setattr(gate, "require", require)
        job.refresh_from_db()
        assert job.state == AnalysisState.DONE
        noted = commits()
    assert [violation.split(": ", 1)[1] for violation in violations(noted)] == [
        f"speech.transcribe of subject {world.subject.pk}: withdrawn"
    ]


def test_the_judge_finds_every_kind_of_violation_in_an_honest_history_that_is_told_in_another_order(
    superuser: Superuser,
) -> None:
    """One job that ran, and then everything that would have forbidden it: moved before its result, each of them is found."""
    changes: dict[str, Callable[[World], object]] = {
        "withdrawn": lambda world: withdrawals.withdraw(world.subject, actor=ACTOR),
        "refused": lambda world: world.consent(Scope.EMOTION, given=False),
        "erased": lambda world: withdrawals.erase(world.subject, actor=ACTOR),
        "restricted": lambda world: restricting.restrict(world.subject, RestrictionGround.OBJECTION, ACTOR),
        "the purpose is closed": lambda world: publishing.set_purpose_active(world.purpose, False, actor=ACTOR),
        "an older notice": lambda world: publishing.publish_notice(
            publishing.draft_notice(
                world.project, series="voice", language="en", title="t", text="x", material=True, actor=ACTOR
            ),
            actor=ACTOR,
        ),
        "relabelled": _denied_as_an_employee,
    }
    for reason, change in changes.items():
        world = make_world(scopes=SCOPES)
        with witnessed(superuser) as commits, quick_engines():
            note_what_stands(superuser, world)
            world.consent(Scope.EMOTION)
            pipeline.run(Analysis.objects.get(recording=world.upload(quick_audio(), Scope.EMOTION)).code)
            before = len(commits())
            change(world)
            noted = commits()
        assert violations(noted) == []
        result = next(number for number, commit in enumerate(noted) if commit.kind == "analysis_result")
        told = [*noted[:result], *noted[before:], *noted[result:before]]
        assert any(violation.endswith(f": {reason}") for violation in violations(told)), reason


def _denied_as_an_employee(world: World) -> None:
    parts = [gate.Participant(world.subject.code, ParticipantRole.EMPLOYEE)]
    with suppress(ConsentDenied):
        gate.require(world.ask(Scope.EMOTION, people=parts), action=Action.SUBMIT, actor=ACTOR)
