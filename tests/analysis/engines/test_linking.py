"""Which speaker of the turns a person is, from times alone: made turns, made stretches; and in conversations of real voices.

With `-s` the figures of `docs/hearing.md` are printed.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.engines.clip import Clip, Stretch, no_checkpoint
from analysis.engines.diarization import Diarizer
from analysis.engines.isolation import isolate
from analysis.engines.linking import LEAST_COMPARED, Link, SpeakerLinker, Unlinked, link
from analysis.engines.turns import UNKNOWN, Turn
from benchmarks.corpora.conversations import Conversation
from tests.analysis.engines.test_isolation import activity, encoder, voice_of
from tests.analysis.engines.voices import real_voices, talk
from tests.conftest import ROOT

TALK = (
    Turn(0.0, 5.0, "speaker 1", 0.9),
    Turn(5.5, 9.0, "speaker 2", 0.8),
    Turn(9.0, 10.0, UNKNOWN, 0.0),
    Turn(10.0, 16.0, "speaker 1", 0.9),
    Turn(16.0, 24.0, "speaker 2", 0.9),
)


def of(*stretches: tuple[float, float], turns: tuple[Turn, ...] = TALK, people: int = 2) -> Link:
    (found,) = link(turns, [[Stretch(*each) for each in stretches]], people)
    return found


def test_a_person_is_the_speaker_in_whose_turns_their_voice_lies() -> None:
    found = of((1.0, 4.0), (10.5, 13.5))
    assert (found.speaker, found.share, found.reason) == ("speaker 1", 1.0, None)
    assert (found.voices, found.seconds, found.assigned) == ((0,), 6.0, 6.0)


def test_the_share_is_of_all_that_was_told_apart_unsure_turns_and_silence_included() -> None:
    found = of((6.0, 10.0), (16.0, 20.0))
    assert (found.speaker, found.assigned) == ("speaker 2", 7.0)
    assert found.share == pytest.approx(7.0 / 8.0)


def test_of_less_than_three_seconds_of_voice_nothing_is_said() -> None:
    assert of((1.0, 1.0 + LEAST_COMPARED - 0.01)).reason is Unlinked.TOO_LITTLE_VOICE
    assert of((1.0, 1.0 + LEAST_COMPARED)).speaker == "speaker 1"
    assert of().reason is Unlinked.TOO_LITTLE_VOICE


def test_a_voice_that_lies_in_several_speakers_turns_is_none_of_them() -> None:
    found = of((1.0, 4.0), (6.0, 7.0))
    assert (found.speaker, found.share, found.reason) == (UNKNOWN, None, Unlinked.SEVERAL_SPEAKERS)
    assert of((1.0, 5.0), (6.0, 7.0)).speaker == "speaker 1", "four fifths are enough"


def test_a_voice_in_nobodys_turns_is_nobody() -> None:
    assert of((24.0, 28.0)).reason is Unlinked.NOBODY
    assert of((1.0, 4.0), turns=()).reason is Unlinked.NOBODY
    assert of((3.0, 4.0), (24.0, 27.0)).reason is Unlinked.NOBODY, "a second of it lies in a turn, and three do not"


def test_where_there_are_fewer_speakers_than_people_nobody_is_linked() -> None:
    """Two voices may have been taken for one: whoever was linked would be said to have said what both did."""
    merged = tuple(Turn(turn.start, turn.end, "speaker 1", 0.9) for turn in TALK)
    assert of((1.0, 4.0), (10.5, 13.5), turns=merged).reason is Unlinked.VOICES_NOT_TOLD_APART
    assert of((1.0, 4.0), (10.5, 13.5), people=3).reason is Unlinked.VOICES_NOT_TOLD_APART


def test_two_people_are_two_speakers() -> None:
    first, second = link(TALK, [[Stretch(1.0, 4.5)], [Stretch(17.0, 21.0)]], 2)
    assert [(one.voices, one.speaker) for one in (first, second)] == [((0,), "speaker 1"), ((1,), "speaker 2")]


def test_two_people_who_would_be_one_speaker_are_both_unknown_and_it_is_said_of_them_together() -> None:
    third, both = link(TALK, [[Stretch(1.0, 4.5)], [Stretch(17.0, 21.0)], [Stretch(11.0, 15.0)]], 2)
    assert (third.voices, third.speaker) == ((1,), "speaker 2")
    assert (both.voices, both.speaker, both.share) == ((0, 2), UNKNOWN, None)
    assert both.reason is Unlinked.SAME_SPEAKER_AS_ANOTHER
    assert both.seconds == pytest.approx(7.5)


def test_the_engine_says_which_one_it_is() -> None:
    found = SpeakerLinker().run(TALK, [[Stretch(1.0, 4.5)]], 2)
    assert found.links == link(TALK, [[Stretch(1.0, 4.5)]], 2)
    assert (found.model.name, found.model.validated) == ("linking", False)


@st.composite
def ordered(draw: st.DrawFn, most: int) -> list[tuple[float, float]]:
    """Pieces of time in order, none over another; hundredths of a second."""
    edges = sorted(draw(st.sets(st.integers(0, 6_000), max_size=2 * most)))
    return [(first / 100, after / 100) for first, after in zip(edges[::2], edges[1::2], strict=False)]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Turn], list[list[Stretch]]]:
    labels = st.sampled_from(["speaker 1", "speaker 2", "speaker 3", UNKNOWN])
    turns = [Turn(*each, draw(labels), 0.5) for each in draw(ordered(12))]
    voices = [[Stretch(*each) for each in draw(ordered(6))] for _ in range(draw(st.integers(0, 4)))]
    return turns, voices


@given(conversations())
def test_whatever_was_heard_every_voice_is_answered_once_and_no_speaker_is_two_people(
    heard: tuple[list[Turn], list[list[Stretch]]],
) -> None:
    turns, voices = heard
    found = link(turns, voices, 2)
    assert sorted(position for one in found for position in one.voices) == list(range(len(voices)))
    named = [one.speaker for one in found if one.speaker != UNKNOWN]
    assert len(named) == len(set(named))
    for one in found:
        assert (one.speaker == UNKNOWN) == (one.reason is not None) == (one.share is None)
        assert one.assigned <= one.seconds + 0.01
        if one.share is not None:
            assert one.speaker in {turn.speaker for turn in turns}
            # What is said is what anybody can add up from the times.
            common = sum(
                max(0.0, min(turn.end, stretch.end) - max(turn.start, stretch.start))
                for turn in turns
                for stretch in voices[one.voices[0]]
                if turn.speaker == one.speaker
            )
            assert one.share == pytest.approx(common / sum(each.duration for each in voices[one.voices[0]]), abs=1e-3)
            assert common >= 0.8 * one.assigned - 0.01


@given(conversations())
def test_a_voice_that_nobody_else_claims_is_linked_as_if_it_were_the_only_one(
    heard: tuple[list[Turn], list[list[Stretch]]],
) -> None:
    turns, voices = heard
    for one in link(turns, voices, 2):
        if one.reason is not Unlinked.SAME_SPEAKER_AS_ANOTHER:
            (alone,) = link(turns, [voices[one.voices[0]]], 2)
            assert (alone.speaker, alone.share, alone.reason) == (one.speaker, one.share, one.reason)


def test_it_needs_neither_the_network_of_voices_nor_the_framework() -> None:
    code = "import sys, analysis.engines.linking; print(sorted({'torch', 'django'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def truly(talked: Conversation, turns: tuple[Turn, ...], speaker: str) -> dict[str, float]:
    """Seconds that each voice really speaks in that speaker's turns."""
    found: dict[str, float] = {}
    for turn in turns:
        for said in talked.turns if turn.speaker == speaker else ():
            common = max(0.0, min(turn.end, said.end) - max(turn.start, said.start))
            found[said.speaker] = found.get(said.speaker, 0.0) + common
    return found


@pytest.mark.models
def test_whoever_is_linked_in_a_real_conversation_is_who_speaks_there(data: Path) -> None:
    """Each of four voices beside another, and two times three of them."""
    voices = real_voices(data)
    names = sorted(voices)
    pairs = [[name, other] for name, other in zip(names, [*names[1:], names[0]], strict=True)]
    asked, linked, most = 0, 0, 0.0
    for seed, group in enumerate([*pairs, names[1:], names[:3]]):
        talked = talk(voices, *group, seed=seed, seconds=40.0)
        sound = Clip(talked.sound.astype(np.float32))
        speech = activity().run(sound)
        turns = Diarizer(encoder()).run(sound, speech, no_checkpoint).turns
        templates = {name: voice_of(*voices[name]).mean for name in group}
        isolated = {
            name: isolate(sound, speech, template, encoder()).stretches
            for name, template in templates.items()
            if template is not None
        }
        for name, found in zip(group, link(turns, list(isolated.values()), len(group)), strict=True):
            asked += 1
            if found.reason is not None:
                assert found.reason is Unlinked.TOO_LITTLE_VOICE, (group, name)
                continue
            linked += 1
            spoken = truly(talked, turns, found.speaker)
            others = 1 - spoken[name] / sum(spoken.values())
            assert others < 0.1, (group, name)
            most = max(most, others)
    print(
        f"\n{linked} of {asked} are linked, all rightly; at most {most:.1%} of the speech in their turns is another's"
    )
    assert linked >= 10
