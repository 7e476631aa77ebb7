"""Whose voice a diarized speaker is: said of whoever was enrolled and lets it be said, of nobody else, gone with what it rests on.

Real voices, real models: a conversation of two people on one channel, both of whom let it be told who speaks when.
"""

import dataclasses
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from analysis import reading
from analysis.models import Analysis, Result
from analysis.sealed_results import result_context, result_keys
from analysis.states import AnalysisState
from analysis.timeline import Span, SpanType, Timeline, assemble
from benchmarks.corpora.conversations import Conversation
from consent import destruction, withdrawal
from consent.models import Subject
from consent.vocabulary import Scope
from tests.analysis.engines.voices import real_voices, talk
from tests.analysis.sounds import wav
from tests.analysis.voiceprinted import run, submit, two
from tests.factories import ACTOR, World, make_world
from vault import sealing, shredding
from vault.errors import KeyMissing

pytestmark = pytest.mark.models
BOTH = (Scope.DIARIZE, Scope.IDENTIFY)
READER, OTHER = "reader", "allison-smith"


@cache
def conversation(data: Path) -> Conversation:
    return talk(real_voices(data), READER, OTHER, seed=2, seconds=40.0)


def finished(job: Analysis) -> Analysis:
    assert (job.state, job.error_code) == (AnalysisState.DONE, "")
    return job


def enrol(world: World, subject: Subject, data: Path, name: str) -> None:
    """Makes that voice's voiceprint the subject's."""
    readings = np.concatenate([clip.samples for clip in real_voices(data)[name]])
    finished(run(submit(dataclasses.replace(world, subject=subject), wav([readings]), Scope.IDENTIFY, enrol=True)))


@dataclass(frozen=True)
class Call:
    """The reader, who is enrolled, and another on one channel; the job that heard them."""

    world: World
    other: Subject
    job: Analysis

    @property
    def timeline(self) -> Timeline:
        return reading.read_timeline(self.job, actor=ACTOR)

    @property
    def links(self) -> list[reading.OpenedResult]:
        return [one for one in reading.read_results(self.job, actor=ACTOR).results if one.made_from]

    def kept(self, scope: Scope) -> int:
        return Result.objects.filter(analysis=self.job, rests_on__contains=[scope.value]).count()


def call(data: Path, *, others_voiceprint: str = "") -> Call:
    """`others_voiceprint` names the voice that the other is enrolled with, who lets theirs be recognized too then."""
    world = make_world()
    other = world.another_subject()
    world.consent(*BOTH)
    world.consent(Scope.DIARIZE, subject=other)
    enrol(world, world.subject, data, READER)
    if others_voiceprint:
        world.consent(Scope.IDENTIFY, subject=other)
        enrol(world, other, data, others_voiceprint)
    sound = wav([conversation(data).sound.astype(np.float32)])
    return Call(world, other, finished(run(submit(world, sound, *BOTH, people=two(world, other)))))


def turns(timeline: Timeline) -> list[Span]:
    return [span for span in timeline.spans if span.type is SpanType.SPEAKER_TURN]


def spoken(data: Path, span: Span, name: str) -> float:
    """Seconds of the span in which that voice speaks in truth."""
    return sum(
        max(0.0, min(span.end, turn.end) - max(span.start, turn.start))
        for turn in conversation(data).turns
        if turn.speaker == name
    )


def destroy() -> None:
    destruction.carry_out_orders()
    shredding.carry_out_orders()


def test_the_turns_of_whoever_is_enrolled_say_so_and_nobody_elses_do(data: Path) -> None:
    heard = call(data)
    timeline = heard.timeline
    (link,) = heard.links

    assert (link.scope, set(link.rests_on), link.subjects) == (Scope.IDENTIFY, set(BOTH), (heard.world.subject.code,))
    assert link.model["name"] == "linking"
    assert link.body["summary"]["reason"] is None
    named = [span for span in turns(timeline) if span.details]
    assert {span.label for span in named} == {link.body["summary"]["speaker"]}
    assert {span.result for span in named} == {link.made_from}
    for span in named:
        assert span.details == {
            "subject": heard.world.subject.code,
            "share": link.body["summary"]["share"],
            "link": link.code,
        }
    # Against the truth: all but a little of what is said to be the reader's is, and of what is not, hardly anything.
    unnamed = [span for span in turns(timeline) if not span.details]
    assert sum(spoken(data, span, READER) for span in named) > 10.0
    assert sum(spoken(data, span, OTHER) for span in named) < 1.0
    assert sum(spoken(data, span, OTHER) for span in unnamed) > 10.0
    assert sum(spoken(data, span, READER) for span in unnamed) < 1.0
    (told,) = [summary for summary in timeline.summaries if summary["scope"] == Scope.DIARIZE]
    assert {total["speaker"]: total.get("subject") for total in told["totals"]} == {
        span.label: heard.world.subject.code if span in named else None
        for span in turns(timeline)
        if span.label != "unknown"
    }


def test_without_the_link_a_read_says_of_nobody_who_they_are(data: Path) -> None:
    heard = call(data)
    view = reading.read_results(heard.job, actor=ACTOR, only={Scope.DIARIZE})
    timeline = assemble(view)
    assert turns(timeline)
    assert all(span.details == {} for span in timeline.spans)
    assert "link" not in str(timeline.as_json())

    # Nor does whoever may no longer have the voice recognized, while the turns stay.
    withdrawal.withdraw(heard.world.subject, scopes=[Scope.IDENTIFY], actor=ACTOR)
    after = heard.timeline
    assert [(span.start, span.end, span.label) for span in turns(after)] == [
        (span.start, span.end, span.label) for span in turns(timeline)
    ]
    assert all(span.details == {} for span in turns(after))
    assert {(item["scope"], item["reason"]) for item in after.withheld} == {(Scope.IDENTIFY, "not_permitted")}
    destroy()
    assert heard.kept(Scope.IDENTIFY) == 0
    assert len(turns(heard.timeline)) == len(turns(timeline))


@pytest.mark.parametrize("whose", ["the enrolled one's", "the other's"])
def test_a_link_goes_with_anybodys_consent_to_the_turns_that_it_names_a_speaker_of(data: Path, whose: str) -> None:
    heard = call(data)
    (link,) = heard.links
    row = Result.objects.get(code=link.code)
    own = result_keys(heard.world.organization.code, link.subjects, frozenset(BOTH))
    with pytest.raises(KeyMissing):
        sealing.open(
            result_context(heard.world.organization.code, link.subjects, Scope.IDENTIFY, link.code),
            own,
            bytes(row.sealed),
        )

    who = heard.world.subject if whose == "the enrolled one's" else heard.other
    withdrawal.withdraw(who, scopes=[Scope.DIARIZE], actor=ACTOR)

    left = reading.read_results(heard.job, actor=ACTOR)
    assert {(one.scope, one.made_from) for one in left.results} == {(Scope.IDENTIFY, "")}
    assert {(item.scope, item.reason) for item in left.withheld} == {
        (Scope.DIARIZE, "not_permitted"),
        (Scope.IDENTIFY, "not_permitted"),
    }
    destroy()
    assert heard.kept(Scope.DIARIZE) == 0
    assert heard.kept(Scope.IDENTIFY) == 1, "that the enrolled one was heard rests on nobody's turns"


def test_two_who_are_enrolled_are_two_speakers(data: Path) -> None:
    heard = call(data, others_voiceprint=OTHER)
    assert {link.subjects for link in heard.links} == {(heard.world.subject.code,), (heard.other.code,)}
    for code, name, another in (
        (heard.world.subject.code, READER, OTHER),
        (heard.other.code, OTHER, READER),
    ):
        theirs = [span for span in turns(heard.timeline) if span.details.get("subject") == code]
        assert sum(spoken(data, span, name) for span in theirs) > 10.0
        assert sum(spoken(data, span, another) for span in theirs) < 1.0

    withdrawal.withdraw(heard.other, scopes=[Scope.IDENTIFY], actor=ACTOR)
    assert {span.details.get("subject") for span in turns(heard.timeline)} == {heard.world.subject.code, None}


def test_two_who_would_be_one_speaker_are_both_unknown_and_it_goes_with_either(data: Path) -> None:
    """The other was enrolled with the reader's voice, as somebody who deceives might be."""
    heard = call(data, others_voiceprint=READER)
    (link,) = heard.links
    assert set(link.subjects) == {heard.world.subject.code, heard.other.code}
    summary = link.body["summary"]
    assert (summary["speaker"], summary["share"], summary["reason"]) == ("unknown", None, "same_speaker_as_another")
    assert all(span.details == {} for span in turns(heard.timeline))

    withdrawal.withdraw(heard.other, scopes=[Scope.IDENTIFY], actor=ACTOR)
    assert heard.links == []
    destroy()
    assert not Result.objects.filter(analysis=heard.job, made_from__isnull=False).exists()
    assert turns(heard.timeline)
