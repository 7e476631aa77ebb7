"""Rhythm of syllables at known intervals, and the running baseline of one speaker."""

from itertools import pairwise

import numpy as np
import pytest

from analysis.engines.baseline import FEWEST, SHORTEST, STEADIEST, Baseline
from analysis.engines.clip import SAMPLE_RATE, Stretch, no_checkpoint
from analysis.engines.prosody import Prosody, ProsodyAnalyzer
from analysis.engines.rhythm import FEWEST_INTERVALS, chains, rhythm
from tests.analysis.engines.signals import at_level, clip, glide, silence, syllables, voice


def prosody(sound: np.ndarray, *speech: Stretch, one_voice: bool = True) -> Prosody:
    return ProsodyAnalyzer().run(clip(sound), speech, no_checkpoint, one_voice=one_voice)


def spoken(intervals: list[float]) -> np.ndarray:
    """One syllable per interval, its peak in the middle."""
    return np.concatenate([syllables(1, 1 / interval) for interval in intervals])


def expected(intervals: list[float]) -> tuple[float, float]:
    """nPVI and Varco of the distances between the peaks of such syllables, by their definitions."""
    gaps = np.array([(a + b) / 2 for a, b in pairwise(intervals)])
    pairs = np.abs(np.diff(gaps)) / ((gaps[1:] + gaps[:-1]) / 2)
    return float(100 * pairs.mean()), float(100 * gaps.std() / gaps.mean())


@pytest.mark.parametrize(
    "intervals",
    [[0.25] * 12, [0.2, 0.2, 0.4, 0.4] * 4, [0.15, 0.3, 0.45, 0.3] * 4],
    ids=["even", "pairs", "waves"],
)
def test_rhythm_is_that_of_the_syllables(intervals: list[float]) -> None:
    sound = spoken(intervals)
    found = prosody(sound, Stretch(0.0, len(sound) / SAMPLE_RATE)).utterances[0].rhythm
    npvi, varco = expected(intervals)
    assert found.intervals == pytest.approx(len(intervals) - 1, abs=1)
    assert found.npvi == pytest.approx(npvi, abs=6.0)
    assert found.varco == pytest.approx(varco, abs=5.0)


def test_a_change_of_rate_is_variation_but_no_pairwise_variability() -> None:
    chain = [0.2] * 6 + [0.4] * 6
    found = rhythm([chain])
    assert found.varco == pytest.approx(33.3, abs=0.1)
    assert found.npvi == pytest.approx(100 * (0.2 / 0.3) / 11, abs=0.1)


def test_a_pause_is_no_interval() -> None:
    before, after = chains([0.1, 0.3, 0.5, 1.5, 1.7], [Stretch(0.7, 1.3)])
    assert before == pytest.approx((0.2, 0.2))
    assert after == pytest.approx((0.2,))
    assert rhythm([[0.2] * (FEWEST_INTERVALS - 1)]).npvi is None
    assert rhythm([]).varco is None


def utterances(pitches: list[float], levels: list[float], seconds: float = 3.0) -> tuple[np.ndarray, list[Stretch]]:
    pieces, speech, at = [], [], 0.0
    for hertz, level in zip(pitches, levels, strict=True):
        pieces += [voice(glide(hertz, -2.0, seconds), level), silence(0.5)]
        speech.append(Stretch(at, at + seconds))
        at += seconds + 0.5
    return np.concatenate(pieces), speech


def test_an_utterance_is_compared_with_the_speakers_own_earlier_ones() -> None:
    sound, speech = utterances([120.0] * 8 + [150.0], [-20.0] * 8 + [-14.0])
    found = prosody(sound, *speech)
    changes = [utterance.change for utterance in found.utterances]
    ready = int(np.ceil(SHORTEST / 3.0))
    assert changes[:ready] == [None] * ready
    assert found.summary.compared == len(speech) - ready
    usual, last = changes[ready], changes[-1]
    assert usual is not None and last is not None
    assert (usual.f0, usual.level) == pytest.approx((0.0, 0.0), abs=0.1)
    # An evenly spoken baseline counts as varying by as much as measuring costs: 0.5 semitones, 1 dB.
    assert last.f0 == pytest.approx(12 * np.log2(150 / 120) / STEADIEST["f0"], rel=0.02)
    assert last.level == pytest.approx(6.0 / STEADIEST["level"], rel=0.02)
    assert last.baseline_seconds == pytest.approx(24.0, abs=0.3)


def test_two_voices_have_no_baseline_of_their_own() -> None:
    sound, speech = utterances([120.0] * 9, [-20.0] * 9)
    found = prosody(sound, *speech, one_voice=False)
    assert (found.summary.compared, {utterance.change for utterance in found.utterances}) == (0, {None})


def test_a_baseline_abstains_until_it_is_long_enough_and_where_a_measure_is_missing() -> None:
    usual = Baseline()
    for index in range(FEWEST + 3):
        usual.add({"f0": 10.0 + index % 2, "jitter": None}, 2.0)
        assert not usual.ready, "seconds are missing"
    assert usual.compare({"f0": 12.0}) == {"f0": None}
    usual.add({"f0": 10.0, "jitter": 1.0}, 4.0)
    assert usual.ready
    found = usual.compare({"f0": 12.0, "jitter": 1.0, "level": None})
    assert found["f0"] == pytest.approx(
        (12.0 - np.mean([10, 11] * 4 + [10])) / np.std([10, 11] * 4 + [10], ddof=1), abs=0.01
    )
    assert (found["jitter"], found["level"]) == (None, None)


def test_short_utterances_do_not_count() -> None:
    sound, speech = utterances([120.0] * 30, [-20.0] * 30, seconds=0.8)
    assert prosody(at_level(sound, -20.0), *speech).summary.compared == 0
