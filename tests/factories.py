"""Named actors and things for tests: an organization with a project, its clients, a subject. Real domain calls only."""

import hashlib
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts import membership
from accounts.models import ApiClient, Organization, Project, User
from accounts.roles import Role
from analysis import submission
from analysis.models import Recording
from audit import sequencing, signing, trail
from audit.entry import Actor, ActorKind
from audit.models import Log
from consent import editorial, gate, granting, publishing, representing, subjects
from consent.models import ConsentRecord, Notice, Purpose, Representation, Subject
from consent.processing import Party, Processing
from consent.vocabulary import (
    AgeBand,
    Context,
    EvidenceMethod,
    LawfulBasis,
    ParticipantRole,
    RepresentativeRelation,
    Scope,
)

ACTOR = trail.system("tests")
SECOND_PERSON = Actor(ActorKind.USER, "a second person")
"""Who approves what ACTOR asks for."""
ALL_SCOPES = tuple(Scope)
_numbers = itertools.count(1)


def make_organization(name: str = "") -> Organization:
    return membership.create_organization(name or f"Organization {next(_numbers)}", actor=ACTOR)


def make_project(organization: Organization | None = None) -> Project:
    return membership.create_project(organization or make_organization(), f"Project {next(_numbers)}", actor=ACTOR)


def make_client(project: Project, *roles: Role) -> tuple[ApiClient, str]:
    """An API client and the secret of a fresh token."""
    client = membership.create_client(project, f"client {next(_numbers)}", roles, actor=ACTOR)
    return client, membership.issue_token(client, actor=ACTOR).secret


def make_member(project: Project, *roles: Role, password: str = "correct horse battery") -> User:
    """A person who may sign in to the admin."""
    user = User(username=f"person{next(_numbers)}", organization=project.organization, is_staff=True)
    user.set_password(password)
    user.save()
    for role in roles:
        membership.add_member(user, project, role, actor=ACTOR)
    return user


def publish(notice: Notice) -> Notice:
    """Publishes a draft; an editorial one as it must be, by two people."""
    if notice.material:
        return publishing.publish_notice(notice, actor=ACTOR)
    return editorial.approve(editorial.ask(notice, actor=ACTOR), actor=SECOND_PERSON)


PROCESSING = Processing(
    parties=[Party("Example Ltd", "1 Example Street, Dublin", "privacy@example.com")],
    storage_locations=["DE"],
    jurisdictions=["unknown"],
    withdrawal_method="Say so to anybody here, or write to privacy@example.com.",
)
"""How data is processed under the purposes of the tests."""


@dataclass(frozen=True)
class World:
    """One project ready for recordings: a published notice, a purpose, one subject without any consent yet."""

    organization: Organization
    project: Project
    notice: Notice
    purpose: Purpose
    subject: Subject

    def another_subject(self, reference: str = "") -> Subject:
        return subjects.register(self.project, external_reference=reference, actor=ACTOR)

    def under_another_purpose(self, *scopes: Scope) -> "World":
        """The same people and notice, asked for these scopes for something else."""
        purpose = publishing.create_purpose(
            self.project,
            name="training",
            series=self.notice.series,
            lawful_basis=LawfulBasis.CONSENT,
            scopes=scopes,
            contexts=[Context.SUPPORT],
            processing=PROCESSING,
            dpia_reference="DPIA 2026/7",
            actor=ACTOR,
        )
        return replace(self, purpose=purpose)

    def consent(
        self,
        *scopes: Scope,
        subject: Subject | None = None,
        given: bool = True,
        explicit: bool = True,
        given_at: datetime | None = None,
        expires_at: datetime | None = None,
        covers_recorded_from: datetime | None = None,
        **more: Any,
    ) -> ConsentRecord:
        return granting.record_consent(
            self.project,
            subject or self.subject,
            self.purpose,
            self.notice,
            granting.Answer(
                scopes=tuple(scopes),
                given=given,
                explicit=explicit,
                given_at=given_at or timezone.now(),
                evidence_sha256=self.notice.sha256,
                expires_at=expires_at,
                covers_recorded_from=covers_recorded_from,
                **{"evidence_method": EvidenceMethod.WEB_FORM, "age_band": AgeBand.ADULT, **more},
            ),
            actor=ACTOR,
        )

    def ask(
        self,
        *scopes: Scope,
        people: Sequence[gate.Participant] | None = None,
        role: ParticipantRole = ParticipantRole.CUSTOMER,
        context: Context = Context.SUPPORT,
        recorded_at: datetime | None = None,
        jurisdiction: str = "unknown",
        **more: Any,
    ) -> gate.GateRequest:
        """A question about a recording of now, before which people were told what would be used on them."""
        recorded_at = recorded_at or timezone.now()
        return gate.GateRequest(
            project=self.project.pk,
            purpose=self.purpose.code,
            context=context,
            jurisdiction=jurisdiction,
            recorded_at=recorded_at,
            participants=tuple(people or [gate.Participant(self.subject.code, role)]),
            scopes=tuple(scopes),
            **{"exposure_notice_shown_at": recorded_at - timedelta(minutes=1), **more},
        )

    def submission(self, *scopes: Scope, people: Sequence[gate.Participant] | None = None) -> submission.Submission:
        request = self.ask(*scopes, people=people)
        return submission.Submission(
            purpose=request.purpose,
            context=request.context,
            jurisdiction=request.jurisdiction,
            recorded_at=request.recorded_at,
            participants=request.participants,
            scopes=request.scopes,
            exposure_notice_shown_at=request.exposure_notice_shown_at,
        )

    def upload(self, audio: bytes, *scopes: Scope, people: Sequence[gate.Participant] | None = None) -> Recording:
        """A complete recording with its job queued."""
        recording = submission.create_recording(self.project, self.submission(*scopes, people=people), actor=ACTOR)
        recording, _ = submission.receive_audio(recording, io.BytesIO(audio).read, len(audio), actor=ACTOR)
        return recording


def make_world(
    scopes: Sequence[Scope] = ALL_SCOPES,
    contexts: Sequence[Context] = (Context.SUPPORT,),
    project: Project | None = None,
    **more: Any,
) -> World:
    processing = {name: more.pop(name) for name in list(more) if name in Processing.__dataclass_fields__}
    project = project or make_project()
    notice = publishing.draft_notice(
        project,
        series="voice",
        language="en",
        title="How we use your voice",
        text="We transcribe this call.",
        material=True,
        actor=ACTOR,
    )
    notice = publishing.publish_notice(notice, actor=ACTOR)
    purpose = publishing.create_purpose(
        project,
        name="support quality",
        series=notice.series,
        lawful_basis=LawfulBasis.CONSENT,
        scopes=scopes,
        contexts=contexts,
        **{"dpia_reference": "DPIA 2026/7", "processing": replace(PROCESSING, **processing), **more},
        actor=ACTOR,
    )
    return World(project.organization, project, notice, purpose, subjects.register(project, actor=ACTOR))


def make_representative(
    subject: Subject, *, of_child: bool = True, ends_at: datetime | None = None, identity: str = "their mother"
) -> Representation:
    """Somebody who acts for the subject; for a child until it comes of age."""
    return representing.register(
        subject,
        relation=RepresentativeRelation.PARENT if of_child else RepresentativeRelation.MANDATE,
        identity=identity,
        proof_sha256=sha256(b"a birth certificate"),
        proof_reference="file 7-12",
        of_child=of_child,
        ends_at=ends_at or (timezone.now() + timedelta(days=2000) if of_child else None),
        actor=ACTOR,
    )


def sign_log(organization: Organization) -> Log:
    """What the sequencer does: every event gets its place, and the log is signed."""
    while sequencing.sequence(organization.code):
        pass
    signing.sign_newest(organization.code)
    log = Log.objects.filter(code=organization.code).order_by("-generation").first()
    assert log is not None
    return log


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def utc(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)
