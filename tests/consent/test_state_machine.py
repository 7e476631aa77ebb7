"""Consent as a whole, step by step at random, on the real database against the plain model of `reference`.

After every step the gate's answer for every person, purpose and scope is the model's; submissions, jobs and reads go through
exactly when the model says so; and of what was written nothing ever changes. Ten `VOXGOV_DRILL_ROUNDS` run as much again.
"""

import io
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from analysis import pipeline, reading, submission
from analysis.models import Analysis, Recording, Result
from analysis.states import AnalysisState
from audit.entry import Actor, ActorKind
from audit.models import Event
from consent import (
    destruction,
    expiring,
    gate,
    granting,
    publishing,
    relabelling,
    renewing,
    representing,
    restricting,
    withdrawal,
)
from consent.errors import ConsentDenied, ConsentError
from consent.models import (
    ConsentRecord,
    CurrentGrant,
    Decision,
    DestructionOrder,
    Grant,
    Notice,
    Representation,
    Subject,
)
from consent.vocabulary import (
    Action,
    AgeBand,
    Context,
    EvidenceMethod,
    LawfulBasis,
    ParticipantRole,
    RepresentativeRelation,
    RestrictionGround,
    Scope,
)
from tests.conftest import VAR
from tests.consent.reference import CUSTOMER, EMOTION, EMPLOYEE, SCOPES, Answer, Model, Part, Refused, Representative
from tests.factories import ACTOR, PROCESSING, make_world, publish, sha256
from tests.quick_engines import quick_audio, quick_engines
from voxgov import database_roles, embedded

ROUNDS = max(1, int(os.environ.get("VOXGOV_DRILL_ROUNDS", "1")) // 10)
PEOPLE, PURPOSES = 3, 2
HOURS = [timedelta(hours=hours) for hours in (1, 30, 24 * 8)]
"""How far the clock is moved. Terms end in the middle of such a stretch, never at its ends."""
people, purposes = st.integers(0, PEOPLE - 1), st.integers(0, PURPOSES - 1)
scopes = st.sets(st.sampled_from(SCOPES), min_size=1)


@dataclass
class Job:
    """A recording with its job."""

    recording: Recording
    purpose: int
    parts: list[Part]
    scopes: list[str]
    recorded_at: datetime
    queued: bool = True
    results: dict[tuple[int, str], bool] = field(default_factory=dict)
    """By person and scope: whether it may ever be opened again."""


class Consent(RuleBasedStateMachine):
    """Times are the model's: the clock's, and everything by which it was moved. The database is moved the other way."""

    @initialize(with_=st.sampled_from(["nothing", "consent", "results", "results"]))
    def begin(self, with_: str) -> None:
        self.cleanup = ExitStack()
        self.cleanup.enter_context(quick_engines())
        self.world = make_world(scopes=[Scope(scope) for scope in SCOPES])
        world = self.world
        self.purposes = [
            world.purpose,
            publishing.create_purpose(
                world.project,
                name="training",
                series=world.notice.series,
                lawful_basis=LawfulBasis.CONSENT,
                scopes=[Scope(scope) for scope in SCOPES],
                contexts=[Context.SUPPORT],
                processing=PROCESSING,
                dpia_reference="DPIA 2026/8",
                actor=ACTOR,
            ),
        ]
        self.subjects: list[Subject] = [world.another_subject() for _ in range(PEOPLE)]
        self.notices: list[Notice] = [world.notice]
        self.model = Model(PEOPLE, PURPOSES)
        self.moved = timedelta(0)
        self.answers: list[tuple[int, Answer, ConsentRecord]] = []
        self.representatives: list[tuple[int, Representative, Representation]] = []
        self.jobs: list[Job] = []
        self.seen: dict[int, tuple[object, ...]] = {}
        self.epochs = [0] * PEOPLE
        if with_ != "nothing":
            for purpose in range(PURPOSES):
                self.everybody_consents(purpose)
        if with_ == "results":
            for person in range(PEOPLE):
                self.submit(person % PURPOSES, [person, (person + 1) % PEOPLE], set(SCOPES), 0, True, True)

    def teardown(self) -> None:
        if hasattr(self, "cleanup"):
            self.cleanup.close()
            self.everything_left_its_trace()

    # What people do

    @rule(person=people, purpose=purposes, named=scopes)
    def consent(self, person: int, purpose: int, named: set[str]) -> None:
        """As most people do: explicitly, as an adult, under the newest notice, also for what was recorded before."""
        self.answer_with(person, purpose, named, covers=True)

    @rule(purpose=purposes)
    def everybody_consents(self, purpose: int) -> None:
        for person in range(PEOPLE):
            self.answer_with(person, purpose, set(SCOPES), covers=True)

    @rule(
        person=people,
        purpose=purposes,
        named=scopes,
        state=st.sampled_from(["given", "given", "given", "given", "refused", "requested"]),
        explicit=st.sampled_from([True, True, True, False]),
        given_before=st.sampled_from([0, 0, 0, 2]),
        covers=st.booleans(),
        term=st.sampled_from([None, None, 12, 24 * 5]),
        duration=st.sampled_from(["open", "open", "open", "event", "one", "two"]),
        older_notice=st.sampled_from([0, 0, 0, 1]),
        represented=st.booleans(),
        child=st.sampled_from([False, False, True]),
    )
    def answer(self, person: int, purpose: int, named: set[str], **how: Any) -> None:
        self.answer_with(person, purpose, named, **how)

    def answer_with(
        self,
        person: int,
        purpose: int,
        named: set[str],
        state: str = "given",
        explicit: bool = True,
        given_before: int = 0,
        covers: bool = False,
        term: int | None = None,
        duration: str = "open",
        older_notice: int = 0,
        represented: bool = False,
        child: bool = False,
    ) -> None:
        notice = self.notices[max(0, len(self.notices) - 1 - older_notice)]
        acting = [(model, row) for number, model, row in self.representatives if number == person]
        representative, representation = acting[-1] if acting and represented and state != "requested" else (None, None)
        given_at = self.now() - timedelta(hours=given_before)
        known = Answer(
            purpose=purpose,
            version=notice.version,
            given_at=given_at,
            explicit=explicit and state == "given",
            covers_from=given_at - timedelta(days=3) if covers else None,
            expires_at=None if term is None else self.now() + timedelta(hours=term),
            until_event=duration == "event",
            uses={"one": 1, "two": 2}.get(duration),
            representative=representative,
            child=child,
        )
        told = granting.Answer(
            scopes=tuple(Scope(scope) for scope in sorted(named)),
            given=state == "given",
            explicit=known.explicit,
            given_at=self.real(given_at),
            evidence_method=EvidenceMethod.WEB_FORM,
            evidence_sha256=notice.sha256,
            age_band=AgeBand.UNDER_13 if child else AgeBand.ADULT,
            representation=representation,
            jurisdiction="DE",
            expires_at=None if known.expires_at is None else self.real(known.expires_at),
            until_event="contract_ended" if known.until_event else "",
            uses=known.uses,
            covers_recorded_from=None if known.covers_from is None else self.real(known.covers_from),
        )
        record = granting.record_request if state == "requested" else granting.record_consent
        made = self.both(
            lambda: self.model.answer(person, known, sorted(named), state, self.now()),
            lambda: record(
                self.world.project, self.subjects[person], self.purposes[purpose], notice, told, actor=ACTOR
            ),
        )
        if made is not None:
            self.answers.append((person, known, made))

    @precondition(lambda self: self.answers)
    @rule(which=st.integers(0, 99), whole=st.booleans())
    def withdraw_an_answer(self, which: int, whole: bool) -> None:
        person, known, _ = self.answers[which % len(self.answers)]
        self.withdraw(person, known.purpose, None if whole else {SCOPES[which % len(SCOPES)]})

    @rule(person=people, purpose=st.none() | purposes, named=st.none() | scopes)
    def withdraw(self, person: int, purpose: int | None, named: set[str] | None) -> None:
        self.both(
            lambda: self.model.withdraw(person, self.now(), purpose, named),
            lambda: withdrawal.withdraw(
                self.subjects[person],
                purpose=None if purpose is None else self.purposes[purpose],
                scopes=None if named is None else [Scope(scope) for scope in named],
                actor=ACTOR,
            ),
        )

    @precondition(lambda self: self.answers)
    @rule(which=st.integers(0, 99))
    def invalidate(self, which: int) -> None:
        person, known, record = self.answers[which % len(self.answers)]
        self.both(
            lambda: self.model.invalidate(person, known, self.now()),
            lambda: withdrawal.invalidate(record, actor=ACTOR),
        )

    @precondition(lambda self: any(known.until_event for _, known, _ in self.answers))
    @rule(person=people)
    def report_an_event(self, person: int) -> None:
        self.both(
            lambda: self.model.happened(person, self.now()),
            lambda: withdrawal.report_event(self.subjects[person], "contract_ended", actor=ACTOR),
        )

    @precondition(lambda self: len(self.representatives) < PEOPLE)
    @rule(person=people, majority=st.sampled_from([20, 24 * 30]))
    def name_a_representative(self, person: int, majority: int) -> None:
        known = Representative(majority=self.now() + timedelta(hours=majority))
        made = self.both(
            lambda: self.model._alive(person),
            lambda: representing.register(
                self.subjects[person],
                relation=RepresentativeRelation.PARENT,
                identity="their mother",
                proof_sha256=sha256(b"a birth certificate"),
                of_child=True,
                ends_at=self.real(known.majority),
                actor=ACTOR,
            ),
        )
        if made is not None:
            self.representatives.append((person, known, made))

    @precondition(lambda self: self.representatives)
    @rule(which=st.integers(0, 99))
    def end_a_representation(self, which: int) -> None:
        person, known, row = self.representatives[which % len(self.representatives)]
        self.both(
            lambda: self.model.end_representation(person, known),
            lambda: representing.end(row, actor=ACTOR),
        )

    @precondition(lambda self: sum(person.erased for person in self.model.people) < PEOPLE - 1)
    @rule(person=people, sure=st.integers(0, 5))
    def erase(self, person: int, sure: int) -> None:
        if sure == 0:
            self.both(lambda: self.model.erase(person), lambda: withdrawal.erase(self.subjects[person], actor=ACTOR))

    # What the organization does

    @rule(material=st.booleans())
    def publish_a_notice(self, material: bool) -> None:
        draft = publishing.draft_notice(
            self.world.project, series="voice", language="en", title="t", text="new", material=material, actor=ACTOR
        )
        self.notices.append(publish(draft))
        self.model.publish(draft.version, material=material)

    @rule()
    def write_down_renewals(self) -> None:
        renewing.carry_out()
        self.model.write_down_renewals()

    @rule(purpose=purposes)
    def open_or_close_a_purpose(self, purpose: int) -> None:
        self.model.open[purpose] = not self.model.open[purpose]
        publishing.set_purpose_active(self.purposes[purpose], self.model.open[purpose], actor=ACTOR)

    @rule(person=people)
    def come_as_an_employee(self, person: int) -> None:
        """Emotion asked for somebody at work: denied, and remembered."""
        with pytest.raises(ConsentDenied):
            gate.require(
                self.ask(0, [Part(person, EMPLOYEE)], [EMOTION], self.now()), action=Action.SUBMIT, actor=ACTOR
            )
        if not self.model.people[person].erased:
            self.model.people[person].denied_roles.add(EMPLOYEE)

    @rule(person=people)
    def restrict_or_lift(self, person: int) -> None:
        known = self.model.people[person]
        if known.restricted:
            self.both(lambda: self.model.lift(person), lambda: restricting.lift(self.subjects[person], actor=ACTOR))
        else:
            self.both(
                lambda: self.model.restrict(person),
                lambda: restricting.restrict(self.subjects[person], RestrictionGround.ACCURACY_CONTESTED, actor=ACTOR),
            )

    @rule(person=people)
    def approve_that_they_are_a_customer(self, person: int) -> None:
        known = self.model.people[person]

        def approve() -> None:
            if known.erased or not known.denied_roles:
                raise Refused("subject_erased" if known.erased else "invalid_record")
            known.approved_roles.add(CUSTOMER)

        def really_approve() -> None:
            change = relabelling.ask(self.subjects[person], ParticipantRole.CUSTOMER, actor=ACTOR)
            relabelling.approve(change, actor=Actor(ActorKind.USER, "a second person"))

        self.both(approve, really_approve)

    # What passes

    @rule(by=st.sampled_from(HOURS))
    def time_passes(self, by: timedelta) -> None:
        move_clock(self.world.project.pk, by)
        self.moved += by

    @rule()
    def write_down_what_is_over(self) -> None:
        expiring.sweep(limit=100_000)
        self.model.write_down_what_is_over(self.now())

    @rule()
    def destroy_what_was_ordered(self) -> None:
        self.apply_orders()
        for row in DestructionOrder.objects.filter(project=self.world.project, done_at=None).order_by("id"):
            destruction.carry_out(row.code)
        for number, order in self.model.schedule:
            for job in list(self.jobs):
                if number not in {part.person for part in job.parts} or order.purpose not in (None, job.purpose):
                    continue
                if order.purpose is None:
                    self.jobs.remove(job)
                elif job.queued and not self.permitted(job, job.scopes) and not self.waits_for_a_lifting(job):
                    job.queued = False
        self.model.schedule.clear()

    # What is done with recordings

    @rule(
        purpose=purposes,
        who=st.lists(people, min_size=1, max_size=2, unique=True),
        named=scopes,
        recorded_before=st.sampled_from([0, 0, 1, 40]),
        only_what_is_permitted=st.sampled_from([True, True, False]),
        at_once=st.booleans(),
    )
    def submit(
        self,
        purpose: int,
        who: list[int],
        named: set[str],
        recorded_before: int,
        only_what_is_permitted: bool,
        at_once: bool,
    ) -> None:
        parts = [Part(person) for person in who]
        recorded_at = self.now() - timedelta(hours=recorded_before)
        if only_what_is_permitted:
            open_ = self.model.permitted(purpose, parts, SCOPES, self.now(), recorded_at, "")
            named = {scope for scope in SCOPES if all((part.person, scope) in open_ for part in parts)} or named
        request = self.ask(purpose, parts, sorted(named), recorded_at)
        expected = self.model.permitted(purpose, parts, named, self.now(), recorded_at, "")
        audio = quick_audio(len(parts))
        try:
            recording = submission.create_recording(
                self.world.project,
                submission.Submission(
                    purpose=request.purpose,
                    context=request.context,
                    jurisdiction=request.jurisdiction,
                    recorded_at=request.recorded_at,
                    participants=request.participants,
                    scopes=request.scopes,
                    exposure_notice_shown_at=request.exposure_notice_shown_at,
                ),
                actor=ACTOR,
            )
            recording, _ = submission.receive_audio(recording, io.BytesIO(audio).read, len(audio), actor=ACTOR)
        except ConsentDenied:
            assert len(expected) < len(parts) * len(named)
        else:
            assert len(expected) == len(parts) * len(named)
            job = Job(recording, purpose, parts, sorted(named), recorded_at)
            self.take_uses(job, expected)
            self.jobs.append(job)
            if at_once:
                self.analyse(job)

    @precondition(lambda self: any(job.queued for job in self.jobs))
    @rule(which=st.integers(0, 99))
    def work(self, which: int) -> None:
        waiting = [job for job in self.jobs if job.queued]
        self.analyse(waiting[which % len(waiting)])

    def analyse(self, job: Job) -> None:
        expected = self.permitted(job, job.scopes)
        row = Analysis.objects.get(recording=job.recording)
        pipeline.run(row.code)
        row.refresh_from_db()
        if any(self.model.people[part.person].restricted for part in job.parts):
            assert row.state == AnalysisState.QUEUED
            return
        job.queued = False
        assert row.state == (AnalysisState.DONE if expected else AnalysisState.DENIED), row.error_code
        self.take_uses(job, expected)
        job.results = {pair: True for pair in expected if pair[1] != Scope.AUDIO_STORE}
        found = {
            (self.number_of(subject), scope)
            for scope, subject in Result.objects.filter(analysis=row).values_list(
                "scope", "participants__subject__code"
            )
        }
        assert found == set(job.results)

    @precondition(lambda self: any(job.results for job in self.jobs))
    @rule(which=st.integers(0, 99))
    def read(self, which: int) -> None:
        done = [job for job in self.jobs if job.results]
        job = done[which % len(done)]
        permitted = self.permitted(job, job.scopes)
        try:
            view = reading.read_results(Analysis.objects.get(recording=job.recording), actor=ACTOR)
        except ConsentDenied:
            assert not permitted
        else:
            assert permitted
            self.take_uses(job, permitted)
            opened = {(self.number_of(one.subjects[0]), one.scope) for one in view.results}
            assert opened == {pair for pair, alive in job.results.items() if alive} & permitted

    # What always holds

    @invariant()
    def the_gate_says_what_the_model_says(self) -> None:
        if not hasattr(self, "world"):
            return
        now = self.now()
        for person in range(PEOPLE):
            for purpose in range(PURPOSES):
                for role in (CUSTOMER, EMPLOYEE) if purpose == 0 else (CUSTOMER,):
                    part = Part(person, role)
                    verdict = gate.evaluate(self.ask(purpose, [part], SCOPES, now))
                    granted = {pair.scope.value for pair in verdict.granted}
                    for scope in SCOPES:
                        expected = self.model.against(purpose, [part], scope, now, now)[0]
                        said = {denial.reason.value for denial in verdict.denials if denial.scope == scope}
                        assert (scope in granted) == (not expected), (person, purpose, role, scope, expected, said)
                        assert said <= expected, (person, purpose, role, scope, expected, said)

    @invariant()
    def what_was_written_never_changes(self) -> None:
        if not hasattr(self, "world"):
            return
        rows = Grant.objects.filter(record__project=self.world.project).values_list(
            "pk", "code", "record", "scope", "revision", "state", "ending", "superseded_by"
        )
        now = {row[0]: row[1:] for row in rows}
        assert {number: now.get(number) for number in self.seen} == self.seen
        self.seen = now
        people = Subject.objects.filter(pk__in=[subject.pk for subject in self.subjects]).order_by("pk")
        epochs = list(people.values_list("consent_epoch", flat=True))
        assert all(after >= before for before, after in zip(self.epochs, epochs, strict=True))
        self.epochs = epochs

    def everything_left_its_trace(self) -> None:
        """Revisions count up by one, each current row names the newest revision of its record and scope, and every decision
        has its event."""
        newest: dict[tuple[int, str], int] = {}
        for grant in Grant.objects.filter(record__project=self.world.project).order_by("pk"):
            assert grant.revision == newest.get((grant.record_id, grant.scope), 0) + 1
            newest[grant.record_id, grant.scope] = grant.revision
        for row in CurrentGrant.objects.filter(subject__project=self.world.project).select_related("grant__record"):
            assert row.grant.revision == newest[row.grant.record_id, row.scope]
            assert (row.grant.record.subject_id, row.grant.record.purpose_id) == (row.subject_id, row.purpose_id)
        decided = Event.objects.filter(log=self.world.organization.code, name__startswith="consent:decision:").count()
        gone = any(person.erased for person in self.model.people)
        assert decided >= Decision.objects.filter(project=self.world.project).count()
        assert gone or decided == Decision.objects.filter(project=self.world.project).count()

    # Between the model and the database

    def now(self) -> datetime:
        return timezone.now() + self.moved

    def real(self, time: datetime) -> datetime:
        return time - self.moved

    def ask(self, purpose: int, parts: Sequence[Part], named: Sequence[str], recorded_at: datetime) -> gate.GateRequest:
        real = self.real(recorded_at)
        return gate.GateRequest(
            project=self.world.project.pk,
            purpose=self.purposes[purpose].code,
            context=Context.SUPPORT,
            jurisdiction="DE",
            recorded_at=real,
            participants=tuple(
                gate.Participant(
                    self.subjects[part.person].code, ParticipantRole(part.role), None if len(parts) == 1 else channel
                )
                for channel, part in enumerate(parts)
            ),
            scopes=tuple(Scope(scope) for scope in named),
            exposure_notice_shown_at=real - timedelta(minutes=1),
        )

    def permitted(self, job: Job, named: Sequence[str]) -> set[tuple[int, str]]:
        return self.model.permitted(job.purpose, job.parts, named, self.now(), job.recorded_at, job.recording.code)

    def waits_for_a_lifting(self, job: Job) -> bool:
        """Whether it would still be needed if nobody's data were restricted."""
        return any(
            self.model.people[part.person].restricted and self.model.keeps(part.person, job.purpose, job.scopes)
            for part in job.parts
        )

    def take_uses(self, job: Job, pairs: set[tuple[int, str]]) -> None:
        for person, scope in pairs:
            answer = self.model.people[person].standing[job.purpose, scope].answer
            if answer.uses is not None:
                answer.used.add(job.recording.code)

    def apply_orders(self) -> None:
        """From the moment of an order on, nothing opens that it is about."""
        for number, order in self.model.schedule:
            for job in self.jobs:
                for person, scope in job.results:
                    ordered = order.purpose is None or (order.purpose == job.purpose and scope in order.scopes)
                    if person == number and ordered:
                        job.results[person, scope] = False

    def number_of(self, code: str) -> int:
        return [subject.code for subject in self.subjects].index(code)

    def both(self, modelled: Callable[[], object], real: Callable[[], Any]) -> Any:
        """Does it in the model and in the database; what came of it there, None where both refuse."""
        refused: set[str] = set()
        try:
            modelled()
        except Refused as refusal:
            refused = refusal.codes
        try:
            made = real()
        except ConsentError as error:
            assert error.code in refused, f"{error.code}: {error}"
            return None
        assert not refused, f"was not refused: {refused}"
        self.apply_orders()
        return made


TIMES = {
    "consent_consentrecord": ("project_id", ["given_at", "registered_at", "expires_at", "covers_recorded_from"]),
    "consent_representation": ("project_id", ["began_at", "ends_at", "ended_at"]),
    "consent_ending": ("project_id", ["at"]),
    "consent_destructionorder": ("project_id", ["ordered_at"]),
    "analysis_recording": ("project_id", ["recorded_at", "exposure_notice_shown_at", "created_at", "completed_at"]),
}
_GRANTS = """UPDATE consent_grant SET at = at - interval '{by}'
WHERE record_id IN (SELECT id FROM consent_consentrecord WHERE project_id = {project})"""
_RESULTS = """UPDATE analysis_result SET created_at = created_at - interval '{by}' WHERE analysis_id IN
(SELECT job.id FROM analysis_analysis AS job JOIN analysis_recording AS home ON home.id = job.recording_id
 WHERE home.project_id = {project})"""


def move_clock(project: int, by: timedelta) -> None:
    """Nobody can move the database's clock; as its superuser, everything that lies in the project is moved into the past."""
    seconds = f"{by.total_seconds()} seconds"
    statements = ["SET session_replication_role = replica"]
    for table, (home, columns) in TIMES.items():
        moved = ", ".join(f"{column} = {column} - interval '{seconds}'" for column in columns)
        statements.append(f"UPDATE {table} SET {moved} WHERE {home} = {project}")
    statements += [statement.format(by=seconds, project=project) for statement in (_GRANTS, _RESULTS)]
    with embedded.EmbeddedPostgres(VAR, durable=False).server.connect(database_roles.DATABASE) as superuser:
        superuser.execute("; ".join(statements).encode())


TestConsent = pytest.mark.drill(Consent.TestCase)
TestConsent.settings = settings(
    max_examples=15 * ROUNDS,
    stateful_step_count=25,
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
