"""Jitter, shimmer, harmonics-to-noise ratio and tilt of made voices whose values are known, and what is left unsaid."""

from pathlib import Path

import numpy as np
import pytest

from analysis.engines.clip import SAMPLE_RATE, no_checkpoint
from analysis.engines.phonation import Phonation, Tally, tally
from analysis.engines.pitch import track
from tests.analysis.engines.signals import at_level, glide, noise, perturbed, pulses, read, silence, tilted, voice


def phonation(sound: np.ndarray) -> Phonation:
    samples = sound.astype(np.float32)
    return tally(samples, track(samples, no_checkpoint)).phonation()


def rap(periods: np.ndarray) -> float:
    return float(100 * np.abs(periods[1:-1] - (periods[:-2] + periods[1:-1] + periods[2:]) / 3).mean() / periods.mean())


@pytest.mark.parametrize("hertz", [100, 150, 220])
@pytest.mark.parametrize("percent", [0.5, 1.0, 2.0])
def test_jitter_is_that_of_the_periods(hertz: int, percent: float) -> None:
    periods = perturbed(2 * hertz, 1 / hertz, percent)
    found = phonation(at_level(pulses(periods), -20.0))
    assert found.jitter_local_percent == pytest.approx(percent, rel=0.1, abs=0.1)
    assert found.jitter_rap_percent == pytest.approx(rap(periods), rel=0.12, abs=0.1)
    assert found.cycles > 1.7 * hertz


@pytest.mark.parametrize("hertz", [100, 150, 220])
@pytest.mark.parametrize("percent", [2.0, 5.0, 10.0])
def test_shimmer_is_that_of_the_cycles(hertz: int, percent: float) -> None:
    found = phonation(at_level(pulses(np.full(2 * hertz, 1 / hertz), perturbed(2 * hertz + 1, 1.0, percent)), -20.0))
    assert found.shimmer_local_percent == pytest.approx(percent, rel=0.25, abs=0.3)
    assert found.jitter_local_percent == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("hertz", [90.0, 150.0, 230.0])
def test_a_voice_that_repeats_itself_has_neither(hertz: float) -> None:
    found = phonation(voice(np.full(2 * SAMPLE_RATE, hertz)))
    assert found.jitter_local_percent == pytest.approx(0.0, abs=0.1)
    assert found.shimmer_local_percent == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize("semitones", [0.0, 4.0])
@pytest.mark.parametrize("decibels", [5.0, 10.0, 20.0, 28.0])
def test_harmonics_to_noise_is_the_noise_that_was_added(decibels: float, semitones: float) -> None:
    sound = voice(glide(140.0, semitones, 2.0)) + noise(2.0, -20.0 - decibels)
    assert phonation(sound).harmonics_to_noise_db == pytest.approx(decibels, abs=2.0)


def test_a_clean_voice_reads_nearly_the_most_that_the_method_tells() -> None:
    found = phonation(voice(glide(140.0, 0.0, 2.0))).harmonics_to_noise_db
    assert found is not None
    assert found >= 26.0


@pytest.mark.parametrize("hertz", [90.0, 140.0, 230.0])
@pytest.mark.parametrize("tilt", [-3.0, -6.0, -12.0])
def test_tilt_is_the_fall_of_the_harmonics(hertz: float, tilt: float) -> None:
    assert phonation(tilted(hertz, tilt, 2.0)).tilt_db_per_octave == pytest.approx(tilt, abs=0.5)


def test_in_noise_jitter_and_shimmer_are_not_said() -> None:
    clean = voice(np.full(2 * SAMPLE_RATE, 140.0))
    some = phonation(clean + noise(2.0, -30.0))
    assert some.jitter_local_percent == pytest.approx(0.0, abs=0.4)
    assert some.shimmer_local_percent is None
    much = phonation(clean + noise(2.0, -25.0))
    assert (much.jitter_local_percent, much.jitter_rap_percent, much.shimmer_local_percent) == (None, None, None)
    assert much.harmonics_to_noise_db is not None


def test_cycles_that_do_not_follow_one_another_are_no_jitter() -> None:
    assert phonation(at_level(pulses(perturbed(200, 1 / 100, 6.0)), -20.0)).jitter_local_percent is None


@pytest.mark.parametrize("sound", [silence(0.0), silence(1.0), noise(1.0, -20.0), voice(glide(120, 0, 0.06))])
def test_without_a_voice_nothing_is_said(sound: np.ndarray) -> None:
    found = phonation(sound)
    assert (found.jitter_local_percent, found.jitter_rap_percent, found.shimmer_local_percent) == (None, None, None)


def test_pieces_add_up_to_the_whole() -> None:
    """But for the cycles at the cut."""
    sound = at_level(pulses(perturbed(450, 1 / 150, 1.0)), -20.0).astype(np.float32)[:48_000]
    hertz = track(sound, no_checkpoint)
    whole = tally(sound, hertz).phonation()
    halves = sum((tally(sound[first : first + 24_000], hertz[first // 160 :][:150]) for first in (0, 24_000)), Tally())
    assert halves.phonation().jitter_local_percent == pytest.approx(whole.jitter_local_percent, abs=0.06)
    assert halves.phonation().harmonics_to_noise_db == pytest.approx(whole.harmonics_to_noise_db, abs=1.0)


def test_a_real_reading_reads_like_running_speech(data: Path) -> None:
    """Bounds of running speech with all its consonants, not of a held vowel (Baken and Orlikoff 2000 give those)."""
    clip = read(data / "librivox" / "sense_and_sensibility_01_austen_64kb-0920.wav")
    found = phonation(clip.samples)
    assert found.jitter_local_percent is not None and 0.5 < found.jitter_local_percent < 3.0
    assert found.shimmer_local_percent is not None and 3.0 < found.shimmer_local_percent < 20.0
    assert found.harmonics_to_noise_db is not None and 6.0 < found.harmonics_to_noise_db < 16.0
    assert found.tilt_db_per_octave is not None and -15.0 < found.tilt_db_per_octave < -6.0
