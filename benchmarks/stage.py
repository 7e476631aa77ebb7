"""What benchmarks of consent and of the pipeline stand on: an organization with a notice and a purpose, people who consent, and
recordings of theirs. Real domain calls only.
"""

import time
import wave
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from accounts import membership
from analysis import submission
from analysis.models import Recording
from audit import trail
from benchmarks.worker import ROOT
from consent import gate, granting, publishing, subjects
from consent.gate import GateRequest
from consent.models import Notice, NoticeSeries, Purpose, Subject
from consent.processing import Party, Processing
from consent.vocabulary import AgeBand, Context, EvidenceMethod, LawfulBasis, ParticipantRole, Scope

ACTOR = trail.system("bench")
LIBRIVOX = ROOT / "tests" / "data" / "librivox"
SERIES = "bench"


class Stage:
    """One project in which people may be recorded for one purpose with these scopes."""

    def __init__(self, scopes: Sequence[Scope]) -> None:
        self.scopes = tuple(scopes)
        organization = membership.create_organization("Benchmark", actor=ACTOR)
        self.project = membership.create_project(organization, f"Benchmark {time.time_ns()}", actor=ACTOR)
        self.notice = self.publish()
        self.purpose = self.make_purpose("bench")

    def draft(self) -> Notice:
        """A further, material version of the notice."""
        return publishing.draft_notice(
            self.project, series=SERIES, language="en", title="Bench", text="Bench.", material=True, actor=ACTOR
        )

    def publish(self) -> Notice:
        return publishing.publish_notice(self.draft(), actor=ACTOR)

    def make_purpose(self, name: str) -> Purpose:
        series: NoticeSeries = self.notice.series
        purpose: Purpose = publishing.create_purpose(
            self.project,
            name=name,
            series=series,
            lawful_basis=LawfulBasis.CONSENT,
            scopes=self.scopes,
            contexts=[Context.SUPPORT],
            processing=Processing(
                parties=[Party("Benchmark", "this machine", "nobody")],
                storage_locations=["unknown"],
                jurisdictions=["unknown"],
                withdrawal_method="None is needed: the voices are in the public domain.",
            ),
            dpia_reference="a benchmark",
            actor=ACTOR,
        )
        return purpose

    def consenting(self) -> Subject:
        """A further person, who consents to all of it."""
        person = subjects.register(self.project, actor=ACTOR)
        granting.record_consent(
            self.project,
            person,
            self.purpose,
            self.notice,
            granting.Answer(
                scopes=self.scopes,
                given=True,
                explicit=True,
                given_at=timezone.now() - timedelta(hours=1),
                evidence_method=EvidenceMethod.API_ATTESTATION,
                evidence_sha256=self.notice.sha256,
                age_band=AgeBand.ADULT,
            ),
            actor=ACTOR,
        )
        return person

    def ask(self, people: Sequence[str], scopes: Sequence[Scope], purpose: str = "") -> GateRequest:
        """A question about a recording of a moment ago, each of the people on a channel of their own."""
        now = timezone.now()
        return GateRequest(
            project=self.project.pk,
            purpose=purpose or self.purpose.code,
            context=Context.SUPPORT,
            jurisdiction="unknown",
            recorded_at=now - timedelta(seconds=1),
            participants=tuple(
                gate.Participant(code, ParticipantRole.CUSTOMER, channel) for channel, code in enumerate(people)
            ),
            scopes=tuple(scopes),
            exposure_notice_shown_at=now - timedelta(minutes=1),
        )

    def upload(self, person: Subject, read: Callable[[int], bytes], size: int) -> Recording:
        """A complete recording of the person, with its job queued."""
        request = self.ask([person.code], self.scopes)
        recording = submission.create_recording(
            self.project,
            submission.Submission(
                purpose=request.purpose,
                context=request.context,
                jurisdiction=request.jurisdiction,
                recorded_at=request.recorded_at,
                participants=(gate.Participant(person.code, ParticipantRole.CUSTOMER),),
                scopes=self.scopes,
                exposure_notice_shown_at=request.exposure_notice_shown_at,
            ),
            actor=ACTOR,
        )
        recording, _ = submission.receive_audio(recording, read, size, actor=ACTOR)
        return recording

    def upload_file(self, person: Subject, path: Path) -> Recording:
        with path.open("rb") as file:
            return self.upload(person, file.read, path.stat().st_size)


def seconds_of(path: Path) -> float:
    with wave.open(str(path)) as file:
        seconds: float = file.getnframes() / file.getframerate()
    return seconds


def joined(clips: Sequence[Path], path: Path, *, rotate: int, at_least: float) -> Path:
    """A recording of at least so many seconds: the clips one after the other, with 0.7 s between them, as often as needed."""
    order = [*clips[rotate:], *clips[:rotate]]
    with wave.open(str(order[0])) as first:
        parameters = first.getparams()
    gap = bytes(int(0.7 * parameters.framerate) * parameters.sampwidth * parameters.nchannels)
    with wave.open(str(path), "wb") as joint:
        joint.setparams(parameters)
        length, number = 0.0, 0
        while length < at_least:
            source = order[number % len(order)]
            with wave.open(str(source)) as file:
                joint.writeframes(file.readframes(file.getnframes()) + gap)
            length += seconds_of(source) + 0.7
            number += 1
    return path
