"""Prosody on made speech whose levels, pauses, glides and syllables are known, and on real readings."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import SAMPLE_RATE, Clip, Stretch, no_checkpoint
from analysis.engines.intonation import Movement
from analysis.engines.levels import QUIETEST, rms_dbfs, within
from analysis.engines.prosody import Prosody, ProsodyAnalyzer
from tests.analysis.engines.signals import at_level, clip, glide, noise, read, silence, syllables, voice

READINGS = {"0870": 30, "0880": 9, "0890": 20, "0920": 27, "0930": 13}
"""Syllables of each reading, counted in its transcript."""


def measured(sound: np.ndarray, *speech: Stretch) -> Prosody:
    return ProsodyAnalyzer().run(clip(sound), speech, no_checkpoint)


@pytest.mark.parametrize("dbfs", [-40.0, -30.0, -20.0, -10.0, -3.0])
@pytest.mark.parametrize("snr", [None, 20.0, 10.0])
def test_levels_pauses_and_glides_are_found_at_every_level_and_in_noise(dbfs: float, snr: float | None) -> None:
    first, second = voice(glide(120.0, 3.0, 1.2), dbfs), voice(glide(150.0, -6.0, 1.0), dbfs)
    sound = np.concatenate([silence(0.5), first, silence(0.6), second, silence(0.5)])
    if snr is not None:
        sound = sound + noise(len(sound) / SAMPLE_RATE, dbfs - snr)
    found = measured(sound, Stretch(0.45, 1.75), Stretch(2.25, 3.35))
    (pause,) = found.pauses
    assert (pause.start, pause.end) == pytest.approx((1.7, 2.3), abs=0.03)
    assert [utterance.final_semitones for utterance in found.utterances] == pytest.approx([3.0, -6.0], abs=0.5)
    assert [utterance.final_movement for utterance in found.utterances] == [Movement.RISE, Movement.FALL]
    assert [utterance.level_dbfs for utterance in found.utterances] == pytest.approx([dbfs, dbfs], abs=0.5)
    assert found.summary.level_dbfs == pytest.approx(dbfs, abs=0.5)


@pytest.mark.parametrize("seconds", [0.2, 0.25, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("cut", ["one stretch", "two exact", "two wide", "two narrow"])
def test_pauses_are_found_however_speech_was_cut(seconds: float, cut: str) -> None:
    sound = np.concatenate([silence(0.3), voice(glide(120, 2, 1.0)), silence(seconds), voice(glide(140, -2, 1.0))])
    end = 1.3 + seconds
    if cut == "one stretch":
        speech = [Stretch(0.3, end + 1.0)]
    else:
        by = {"two exact": 0.0, "two wide": 0.08, "two narrow": -0.05}[cut]
        speech = [Stretch(0.3, 1.3 + by), Stretch(end - by, end + 1.0)]
    (pause,) = measured(sound, *speech).pauses
    assert (pause.start, pause.end) == pytest.approx((1.3, end), abs=0.03)


def test_a_silence_too_short_for_a_pause_is_none() -> None:
    sound = np.concatenate([voice(glide(120, 2, 1.0)), silence(0.12), voice(glide(140, -2, 1.0))])
    assert measured(sound, Stretch(0.0, 2.12)).pauses == ()


def test_a_noise_between_two_stretches_of_speech_does_not_end_the_pause() -> None:
    gap = silence(1.2)
    gap[8_000:9_600] = noise(0.1, -20.0)
    sound = np.concatenate([voice(glide(120, 2, 1.0)), gap, voice(glide(140, -2, 1.0))])
    (pause,) = measured(sound, Stretch(0.0, 1.0), Stretch(2.2, 3.2)).pauses
    assert (pause.start, pause.end) == pytest.approx((1.0, 2.2), abs=0.03)


@pytest.mark.parametrize("rate", [3.0, 4.0, 5.0, 6.0])
@pytest.mark.parametrize("snr", [None, 10.0])
def test_syllables_are_counted_and_the_rates_tell_pauses_apart(rate: float, snr: float | None) -> None:
    spoken = syllables(12, rate)
    sound = np.concatenate([spoken, silence(1.0), spoken])
    if snr is not None:
        sound = sound + noise(len(sound) / SAMPLE_RATE, -20.0 - snr)
    seconds = 12 / rate
    found = measured(sound, Stretch(0.0, seconds), Stretch(seconds + 1.0, 2 * seconds + 1.0)).summary
    assert found.syllables == pytest.approx(24, abs=1)
    assert found.articulation_rate == pytest.approx(rate, rel=0.08)
    assert found.speech_rate == pytest.approx(24 / (2 * seconds + 1.0), rel=0.08)


@pytest.mark.parametrize(("hertz", "semitones"), [(100.0, 8.0), (200.0, 4.0)])
def test_pitch_is_summed_up_in_hertz_and_semitones(hertz: float, semitones: float) -> None:
    found = measured(voice(glide(hertz, semitones, 2.0)), Stretch(0.0, 2.0)).utterances[0].pitch
    assert found.f0_median_hz == pytest.approx(hertz * 2 ** (semitones / 24), rel=0.01)
    assert found.f0_range_semitones == pytest.approx(0.9 * semitones, abs=0.2)
    assert found.f0_deviation_semitones == pytest.approx(semitones / 12**0.5, abs=0.1)
    assert found.voiced_fraction > 0.97


def test_voiced_fraction_is_the_voiced_part() -> None:
    sound = np.concatenate([voice(glide(120, 0, 1.0)), noise(1.0, -20.0)])
    assert measured(sound, Stretch(0.0, 2.0)).summary.pitch.voiced_fraction == pytest.approx(0.5, abs=0.03)


def test_a_full_scale_sine_reads_three_decibels_below_zero() -> None:
    sine = np.sin(2 * np.pi * 1_000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    assert rms_dbfs(clip(sine).samples) == pytest.approx(-3.01, abs=0.01)
    assert rms_dbfs(clip(silence(1.0)).samples) == QUIETEST
    assert rms_dbfs(clip(silence(0.0)).samples) == QUIETEST


def test_without_speech_nothing_is_said() -> None:
    found = measured(noise(2.0, -30.0))
    assert (found.utterances, found.pauses) == ((), ())
    assert set(found.contour.hertz) == {None}
    assert (found.summary.speech_seconds, found.summary.speech_rate, found.summary.level_dbfs) == (0.0, 0.0, None)


@pytest.mark.parametrize("sound", [silence(0.0), silence(2.0), np.ones(10)], ids=["nothing", "silence", "ten samples"])
def test_speech_claimed_where_nothing_sounds_is_measured_as_nothing(sound: np.ndarray) -> None:
    found = measured(sound, Stretch(0.0, 2.0))
    assert found.summary.pitch.f0_median_hz is None
    assert found.summary.syllables == 0
    assert found.pauses == ()


def test_stretches_outside_or_over_each_other_are_put_right() -> None:
    given = [Stretch(1.5, 9.0), Stretch(0.0, 1.0), Stretch(0.5, 0.8), Stretch(0.9, 1.2), Stretch(7.0, 8.0)]
    assert within(clip(silence(2.0)), given) == (Stretch(0.0, 1.0), Stretch(1.0, 1.2), Stretch(1.5, 2.0))


def test_the_contour_is_there_every_ten_milliseconds_and_the_whole_is_json() -> None:
    found = measured(np.concatenate([voice(glide(120, 0, 1.0)), silence(1.0)]), Stretch(0.0, 1.0))
    body = json.loads(json.dumps(asdict(found), allow_nan=False))
    assert body["contour"]["hop"] == 0.01
    assert len(body["contour"]["hertz"]) == 201
    assert body["contour"]["hertz"][50] == pytest.approx(120.0, abs=0.2)
    assert body["contour"]["hertz"][150] is None
    assert body["utterances"][0]["final_movement"] == "level"
    assert body["model"]["name"] == "prosody"


def test_the_checkpoint_is_asked_often_and_can_stop_the_engine() -> None:
    class Withdrawn(Exception):
        pass

    asked: list[float] = []
    sound = clip(voice(glide(120, 6, 45.0)))
    ProsodyAnalyzer().run(sound, [Stretch(0.0, 20.0), Stretch(21.0, 45.0)], asked.append)
    assert len(asked) >= 5
    assert asked == sorted(asked)
    assert asked[-1] == 1.0

    def refuse(_fraction: float) -> None:
        raise Withdrawn

    with pytest.raises(Withdrawn):
        ProsodyAnalyzer().run(sound, [Stretch(0.0, 45.0)], refuse)


@pytest.fixture(scope="module")
def readings(data: Path) -> dict[str, Clip]:
    named = "sense_and_sensibility_01_austen_64kb-{}.wav"
    return {number: read(data / "librivox" / named.format(number)) for number in READINGS}


def test_syllables_of_real_readings_are_undercounted_by_a_fifth(readings: dict[str, Clip]) -> None:
    """de Jong and Wempe (2009) undercount as well: unstressed syllables have no peak of their own."""
    activity = SpeechActivity.load()
    counted = {}
    for number, reading in readings.items():
        speech = activity.run(reading, no_checkpoint)
        counted[number] = ProsodyAnalyzer().run(reading, speech, no_checkpoint).summary.syllables
    assert sum(counted.values()) == pytest.approx(0.8 * sum(READINGS.values()), abs=4)
    assert np.corrcoef(list(counted.values()), list(READINGS.values()))[0, 1] > 0.98


def test_pitch_of_a_real_reading_holds_in_noise_of_ten_decibels_below_it(readings: dict[str, Clip]) -> None:
    for reading in readings.values():
        whole = Stretch(0.0, reading.duration)
        loud = at_level(reading.samples.astype(np.float64), -20.0)
        clean = measured(loud, whole).summary.pitch
        noisy = measured(loud + noise(len(loud) / SAMPLE_RATE, -30.0), whole).summary.pitch
        assert clean.f0_median_hz is not None
        assert 0.45 < clean.voiced_fraction < 0.7
        assert noisy.voiced_fraction == pytest.approx(clean.voiced_fraction, abs=0.07)
        assert noisy.f0_median_hz == pytest.approx(clean.f0_median_hz, rel=0.03)
