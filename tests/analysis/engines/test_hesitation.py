"""Filled pauses, found by their sound: made fillers of known place, synthetic speech, and readings that have none.

`python -m pytest -s tests/analysis/engines/test_hesitation.py` prints the rows that `docs/hearing.md` shows.
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from analysis.engines.clip import SAMPLE_RATE, Clip, Stretch, no_checkpoint
from analysis.engines.hesitation import Ending, FilledPause, filled_pauses
from analysis.engines.pitch import track
from analysis.engines.prosody import ProsodyAnalyzer
from tests.analysis.engines.signals import Hertz, at_level, clip, glide, noise, read, silence, voice

VOICES = ("en-us", "en-gb-f2")


def found_in(sound: Clip) -> tuple[FilledPause, ...]:
    return filled_pauses(sound, [Stretch(0.0, sound.duration)], track(sound.samples, no_checkpoint))


def vowel(hertz: Hertz, first: float, second: float) -> np.ndarray:
    """A held vowel: a flat source through two resonances and a weaker third."""
    time = np.cumsum(hertz) / SAMPLE_RATE
    sound = np.zeros(len(hertz))
    for harmonic in range(1, 60):
        partial = harmonic * hertz
        gain = sum(
            peak / (1 + np.square((partial - formant) / width))
            for formant, width, peak in ((first, 60, 1.0), (second, 90, 0.5), (2_600, 150, 0.15))
        )
        sound += np.where(partial < 7_000, gain / harmonic**0.5, 0.0) * np.sin(2 * np.pi * harmonic * time)
    return at_level(sound, -22.0)


def between_words(filler: np.ndarray, gap: float = 0.3) -> Clip:
    word = np.concatenate(
        [vowel(glide(130.0, 4.0, 0.12), f1, f2) for f1, f2 in pairwise((300, 2_200, 700, 1_100, 400))]
    )
    return clip(np.concatenate([silence(0.3), word, silence(gap), filler, silence(gap), word, silence(0.3)]))


@pytest.mark.parametrize("seconds", [0.35, 0.5, 0.8])
@pytest.mark.parametrize("hertz", [95.0, 180.0])
@pytest.mark.parametrize("fall", [0.0, -1.0])
def test_a_held_central_vowel_between_silences_is_a_filled_pause(seconds: float, hertz: float, fall: float) -> None:
    (found,) = found_in(between_words(vowel(glide(hertz, fall, seconds), 560.0, 1_350.0)))
    assert (found.start, found.end) == pytest.approx((1.08, 1.08 + seconds), abs=0.08)
    assert found.first_formant_hz == pytest.approx(560, abs=120)
    assert found.second_formant_hz == pytest.approx(1_350, abs=150)
    assert found.ending is Ending.VOWEL


@pytest.mark.parametrize(
    "filler",
    [
        vowel(glide(120.0, 0.0, 0.5), 290.0, 2_250.0),
        vowel(glide(120.0, 0.0, 0.5), 450.0, 800.0),
        vowel(glide(120.0, 7.0, 0.5), 560.0, 1_350.0),
        vowel(glide(120.0, -9.0, 0.5), 560.0, 1_350.0),
        vowel(glide(120.0, 0.0, 0.15), 560.0, 1_350.0),
        noise(0.5, -22.0),
    ],
    ids=["ee", "oo", "rising", "falling", "short", "noise"],
)
def test_what_moves_is_short_or_is_no_central_vowel_is_none(filler: np.ndarray) -> None:
    assert found_in(between_words(filler)) == ()


def test_a_vowel_held_inside_speech_is_none() -> None:
    before = np.concatenate(
        [vowel(glide(125.0, 1.0, 0.15), 300.0 + 60 * step, 2_200.0 - 250 * step) for step in range(5)]
    )
    sound = np.concatenate([silence(0.3), before, vowel(glide(130.0, 0.0, 0.4), 560.0, 1_350.0), before, silence(0.3)])
    assert found_in(clip(sound)) == ()


@dataclass
class Score:
    hit: int = 0
    missed: int = 0
    false: int = 0
    ending: int = 0


def score(sound: Clip, truth: list[tuple[float, float, str]]) -> Score:
    found, total = list(found_in(sound)), Score()
    for start, end, kind in truth:
        over = [each for each in found if each.start < end and start < each.end]
        total.hit += bool(over)
        total.missed += not over
        total.ending += any((each.ending is Ending.NASAL) is (kind == "um") for each in over)
        found = [each for each in found if each not in over]
    total.false = len(found)
    return total


def in_noise(sound: Clip, below: float | None) -> Clip:
    loud = at_level(sound.samples.astype(np.float64), -20.0)
    return clip(loud if below is None else loud + noise(sound.duration, -20.0 - below))


@pytest.mark.parametrize("name", VOICES)
@pytest.mark.parametrize("below", [None, 20.0, 10.0])
def test_fillers_of_synthetic_speech_are_found_and_nothing_else_is(data: Path, name: str, below: float | None) -> None:
    """Five fillers among eight sentences for each voice."""
    truth = json.loads((data / "hesitation" / "fillers.json").read_text(encoding="utf-8"))[name]
    total = score(in_noise(read(data / "hesitation" / f"{name}.flac"), below), truth)
    print(
        f"\n| {name} | {'none' if below is None else f'{below:.0f} dB below'} | {total.hit} | {total.missed} "
        f"| {total.false} | {total.ending} |"
    )
    assert total.hit >= (4 if below == 10.0 else 5)
    assert total.false == 0
    assert total.ending >= (5 if below is None else 2)


@pytest.mark.parametrize("below", [None, 10.0])
def test_readings_have_no_filled_pauses(data: Path, below: float | None) -> None:
    for path in sorted((data / "librivox").glob("*.wav")):
        assert found_in(in_noise(read(path), below)) == ()


def test_they_are_part_of_prosody_and_counted(data: Path) -> None:
    sound = read(data / "hesitation" / "en-us.flac")
    found = ProsodyAnalyzer().run(sound, [Stretch(0.0, sound.duration)], no_checkpoint)
    assert found.summary.filled_pauses == len(found.filled_pauses) == 5
    assert found.summary.filled_pause_seconds == pytest.approx(3.4, abs=0.4)


def test_without_voice_there_are_none() -> None:
    assert found_in(clip(silence(2.0))) == ()
    assert found_in(clip(silence(0.0))) == ()
    assert found_in(clip(voice(glide(120.0, 0.0, 0.1)))) == ()
