"""One voice out of a conversation: nothing of anybody else is kept, and some of the person's own is.

With `-s` the figures of `docs/hearing.md` are printed.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings

from analysis import voice_model
from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import SAMPLE_RATE, Clip, Stretch
from analysis.engines.isolation import Isolation, isolate
from analysis.engines.manifest import load_manifest
from analysis.engines.masking import FADE, masked
from analysis.engines.recognition import Match, NotEnrolled, Voice, compare, enrol, hear_voice
from analysis.engines.voices import VoiceEncoder
from benchmarks.corpora.conversations import Conversation, Turn
from tests.analysis.engines.voices import real_voices, talk

pytestmark = pytest.mark.models


@cache
def encoder() -> VoiceEncoder:
    entry = load_manifest().model(voice_model.NAME)
    return VoiceEncoder.load(entry.verified(settings.VOXGOV_MODELS_DIR), entry.identity())


@cache
def activity() -> SpeechActivity:
    return SpeechActivity.load()


def voice_of(*clips: Clip) -> Voice:
    whole = Clip(np.concatenate([clip.samples for clip in clips]))
    return hear_voice(whole, activity().run(whole), encoder())


def told_apart(voice: Voice, talked: Conversation) -> Isolation:
    clip = Clip(talked.sound.astype(np.float32))
    assert voice.mean is not None
    return isolate(clip, activity().run(clip), voice.mean, encoder())


def shared(stretches: Sequence[Stretch], turns: Sequence[Turn]) -> float:
    """Seconds in which both are."""
    return sum(max(0.0, min(one.end, turn.end) - max(one.start, turn.start)) for one in stretches for turn in turns)


def test_of_two_voices_in_a_conversation_nothing_of_the_other_is_kept(data: Path) -> None:
    """Each voice beside another; turns of one phrase and up, a tenth of them begun before the other has ended."""
    voices = real_voices(data)
    names = sorted(voices)
    theirs = others = own = 0.0
    for seed, (name, other) in enumerate(zip(names, [*names[1:], names[0]], strict=True)):
        talked = talk(voices, name, other, seed=seed, seconds=25.0)
        found = told_apart(voice_of(*voices[name]), talked)
        assert shared(found.stretches, [turn for turn in talked.turns if turn.speaker == other]) == 0.0, (name, other)
        others += sum(turn.end - turn.start for turn in talked.turns if turn.speaker == other)
        own += sum(turn.end - turn.start for turn in talked.turns if turn.speaker == name)
        theirs += found.seconds
    print(
        f"\n{others:.0f} s of the others: 0.0 s kept; {own:.0f} s of the person: {theirs:.0f} s kept ({theirs / own:.0%})"
    )
    assert theirs / own > 0.25


def test_somebody_who_does_not_speak_there_is_found_nowhere(data: Path) -> None:
    voices = real_voices(data)
    talked = talk(voices, "allison-smith", "carlo-flora", seed=3, seconds=20.0)
    for name in ("reader", "june-wallack"):
        found = told_apart(voice_of(*voices[name]), talked)
        assert (found.stretches, found.similarity, found.seconds) == ((), None, 0.0), name


def test_two_voices_at_once_are_nobodys(data: Path) -> None:
    voices = real_voices(data)
    first, second = voices["reader"][0], voices["allison-smith"][0]
    length = min(len(first.samples), len(second.samples))
    both = Conversation((first.samples[:length] + second.samples[:length]).astype(np.float64), ())
    for name in ("reader", "allison-smith"):
        assert told_apart(voice_of(*voices[name]), both).seconds == 0.0, name


def test_what_is_silenced_is_zeros_and_what_is_kept_is_as_it_was() -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, 3 * SAMPLE_RATE).astype(np.float32)
    found = masked(samples, [Stretch(0.5, 1.5), Stretch(2.0, 2.5)])
    assert found.shape == samples.shape
    fade = round(FADE * SAMPLE_RATE)
    kept = np.zeros(len(samples), np.bool_)
    for first, last in ((8_000, 24_000), (32_000, 40_000)):
        kept[first:last] = True
        assert (found[first + fade : last - fade] == samples[first + fade : last - fade]).all()
        assert (np.abs(found[first:last]) <= np.abs(samples[first:last])).all()
    assert not found[~kept].any()
    assert not masked(samples, []).any()


def test_a_voice_is_enrolled_and_known_again_and_another_is_not(data: Path) -> None:
    voices = real_voices(data)
    for name, clips in voices.items():
        template = enrol(voice_of(*clips[:-1]))
        if isinstance(template, NotEnrolled):
            # One clip of eight seconds may hold too little voice.
            template = enrol(voice_of(*clips))
        assert not isinstance(template, NotEnrolled), (name, template)
        again = compare(voice_of(clips[-1]), template)
        assert again.matches is not Match.NO, (name, again)
        for other in voices:
            if other != name:
                found = compare(voice_of(*voices[other]), template)
                assert found.matches is not Match.YES, (name, other, found)


def test_too_little_voice_and_two_voices_are_not_enrolled(data: Path) -> None:
    voices = real_voices(data)
    assert enrol(voice_of(voices["reader"][0].cut(0.0, 3.0))) is NotEnrolled.TOO_LITTLE_VOICE
    assert enrol(voice_of(Clip(np.zeros(SAMPLE_RATE * 10, np.float32)))) is NotEnrolled.TOO_LITTLE_VOICE
    mixed = (voices["reader"][0], voices["carlo-flora"][0])
    assert enrol(voice_of(*mixed)) is NotEnrolled.SEVERAL_VOICES
    template = voice_of(*voices["reader"]).mean
    assert template is not None
    assert compare(voice_of(voices["reader"][0].cut(0.0, 2.0)), template).matches is Match.UNKNOWN
