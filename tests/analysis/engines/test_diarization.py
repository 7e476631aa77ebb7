"""Who spoke when, on conversations put together from real voices: how many voices, whose turns, and what is left unsaid.

`python -m pytest -s tests/analysis/engines/test_diarization.py` prints a row for each conversation.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import Clip, Stretch, no_checkpoint
from analysis.engines.diarization import Diarizer
from analysis.engines.manifest import load_manifest
from analysis.engines.turns import UNKNOWN, Basis, Diarization, by_declaration
from analysis.engines.voices import VoiceEncoder
from analysis.evaluation.speaking import Errors, Spoken, errors
from benchmarks.corpora.conversations import Conversation
from benchmarks.corpora.voices import CONDITIONS
from tests.analysis.engines.signals import clip, noise
from tests.analysis.engines.voices import real_voices, talk
from voxgov.environment import models_dir

pytestmark = pytest.mark.models
TAKEN_FOR_ONE = {
    (("allison-smith", "carlo-flora", "june-wallack"), condition) for condition in ("noise 10 dB below", "telephone")
}
"""Where two of three voices, alike already in good sound, are counted as one."""
VOICES = ("allison-smith", "carlo-flora", "june-wallack", "reader")


@pytest.fixture(scope="module")
def diarizer() -> Diarizer:
    entry = load_manifest().model("resemblyzer")
    return Diarizer(VoiceEncoder.load(entry.verified(models_dir()), entry.identity()))


@pytest.fixture(scope="module")
def voices(data: Path) -> dict[str, list[Clip]]:
    return real_voices(data)


def wrong(talked: Conversation, found: Diarization, collar: float = 0.25) -> Errors:
    turns = [Spoken(turn.start, turn.end, None if turn.speaker == UNKNOWN else turn.speaker) for turn in found.turns]
    return errors([Spoken(turn.start, turn.end, turn.speaker) for turn in talked.turns], turns, collar)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("names", [VOICES[:1], VOICES[1:3], VOICES[2:], VOICES[:3], VOICES[1:]], ids=" ".join)
def test_turns_are_told_apart(
    diarizer: Diarizer,
    activity: SpeechActivity,
    voices: dict[str, list[Clip]],
    names: tuple[str, ...],
    condition: str,
) -> None:
    talked = talk(voices, *names)
    sound = clip(CONDITIONS[condition](talked.sound))
    found = diarizer.run(sound, activity.run(sound), no_checkpoint)
    answer, strict = wrong(talked, found), wrong(talked, found, 0.0)
    rate = answer.total / answer.speech
    print(
        f"\n| {', '.join(names)} | {condition} | {found.summary.speakers} | {strict.total / strict.speech:.3f} | {rate:.3f} |",
        end="",
    )
    assert found.summary.speakers == (2 if (names, condition) in TAKEN_FOR_ONE else len(names))
    assert rate <= (0.25 if (names, condition) in TAKEN_FOR_ONE else 0.05)


def test_voices_are_numbered_as_they_appear_and_totals_add_up(
    diarizer: Diarizer, activity: SpeechActivity, voices: dict[str, list[Clip]]
) -> None:
    sound = clip(talk(voices, *VOICES[:3]).sound)
    found = diarizer.run(sound, activity.run(sound), no_checkpoint)
    assert list(dict.fromkeys(turn.speaker for turn in found.turns if turn.speaker != UNKNOWN)) == [
        "speaker 1",
        "speaker 2",
        "speaker 3",
    ]
    totals = {total.speaker: total for total in found.summary.totals}
    for name, total in totals.items():
        own = [turn for turn in found.turns if turn.speaker == name]
        assert total.turns == len(own)
        assert total.speech == pytest.approx(sum(turn.end - turn.start for turn in own), abs=0.01)
    assert all(one.end <= other.start for one, other in zip(found.turns, found.turns[1:], strict=False))
    assert all(0.0 <= turn.start < turn.end <= sound.duration for turn in found.turns)
    assert all(turn.confidence is not None and 0.0 <= turn.confidence <= 1.0 for turn in found.turns)


def test_where_two_speak_at_once_one_of_the_two_is_heard_and_no_third(
    diarizer: Diarizer, activity: SpeechActivity, voices: dict[str, list[Clip]]
) -> None:
    """Overlap is not found: it goes to the louder voice."""
    one, other = voices["carlo-flora"][0].samples[:112_000], voices["june-wallack"][0].samples[:112_000]
    sound = Clip(np.concatenate([one, other, (one + other) / 2]))
    found = diarizer.run(sound, activity.run(sound), no_checkpoint)
    assert found.summary.speakers == 2
    together = [turn.speaker for turn in found.turns if turn.start > 14.0]
    assert together
    assert set(together) <= {"speaker 1", "speaker 2", UNKNOWN}


@pytest.mark.parametrize(
    "sound", [np.zeros(0), np.zeros(160_000), noise(10.0, -30.0)], ids=["nothing", "silence", "noise"]
)
def test_without_speech_there_are_no_turns(
    diarizer: Diarizer, activity: SpeechActivity, sound: np.ndarray[Any, np.dtype[np.float64]]
) -> None:
    found = diarizer.run(clip(sound), activity.run(clip(sound)), no_checkpoint)
    assert (found.turns, found.summary.speakers, found.summary.unassigned) == ((), 0, 0.0)


def test_speech_too_short_to_know_a_voice_by_is_nobodys(diarizer: Diarizer, voices: dict[str, list[Clip]]) -> None:
    found = diarizer.run(voices["reader"][0], [Stretch(1.0, 1.3)], no_checkpoint)
    assert [(turn.start, turn.end, turn.speaker) for turn in found.turns] == [(1.0, 1.3, UNKNOWN)]
    assert (found.summary.speakers, found.summary.unassigned) == (0, 0.3)


def test_what_is_declared_is_not_heard(activity: SpeechActivity, voices: dict[str, list[Clip]]) -> None:
    sound = voices["reader"][0]
    speech = activity.run(sound)
    found = by_declaration(sound, speech, activity.model)
    assert [(turn.start, turn.end) for turn in found.turns] == [
        (round(one.start, 3), round(one.end, 3)) for one in speech
    ]
    assert {turn.speaker for turn in found.turns} == {"speaker 1"}
    assert {turn.confidence for turn in found.turns} == {None}
    assert (found.summary.speakers, found.summary.basis, found.model.name) == (1, Basis.DECLARATION, "silero-vad")


def members(value: object) -> Iterator[tuple[str, object]]:
    """Names and values of everything in a JSON document that is no list and no object."""
    match value:
        case dict():
            for name, inner in value.items():
                yield from (members(inner) if isinstance(inner, dict | list) else [(str(name), inner)])
        case list():
            for inner in value:
                yield from members(inner) if isinstance(inner, dict | list) else [("", inner)]


def test_no_embedding_is_in_the_answer(
    diarizer: Diarizer, activity: SpeechActivity, voices: dict[str, list[Clip]]
) -> None:
    sound = clip(talk(voices, *VOICES[:2]).sound)
    body = json.loads(json.dumps(asdict(diarizer.run(sound, activity.run(sound), no_checkpoint))))
    body.pop("model")
    numbers = {name for name, value in members(body) if isinstance(value, float | int)}
    assert numbers == {"start", "end", "confidence", "speech", "turns", "speakers", "unassigned"}
    # A list of numbers has no names.
    assert "" not in {name for name, _ in members(body)}


class Stop(Exception):
    """Consent is gone."""


def test_it_can_be_stopped_between_batches(
    diarizer: Diarizer, activity: SpeechActivity, voices: dict[str, list[Clip]]
) -> None:
    sound = clip(talk(voices, *VOICES[:2], seconds=120.0).sound)
    told: list[float] = []
    diarizer.run(sound, activity.run(sound), told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) >= 3

    def stop(_fraction: float) -> None:
        raise Stop

    with pytest.raises(Stop):
        diarizer.run(sound, activity.run(sound), stop)
