"""F0 on made voices whose pitch is known: glides, noise, levels, telephone bands; and none where nothing is voiced."""

import time

import numpy as np
import pytest

from analysis.engines import pitch
from analysis.engines.clip import SAMPLE_RATE, Samples, no_checkpoint
from analysis.engines.intonation import Movement, final_movement
from tests.analysis.engines.signals import Hertz, glide, noise, silence, voice


def tracked(sound: np.ndarray) -> pitch.Track:
    samples: Samples = sound.astype(np.float32)
    return pitch.track(samples, no_checkpoint)


def inner_errors(track: pitch.Track, truth: Hertz) -> np.ndarray:
    """Semitones between the track and the truth, without the first and last 50 ms; NaN where unvoiced."""
    at = np.minimum(np.arange(len(track)) * pitch.HOP_SAMPLES, len(truth) - 1)
    return np.asarray(12 * np.log2(track / truth[at]))[5:-5]


@pytest.mark.parametrize("start", [70.0, 100.0, 150.0, 220.0, 350.0])
@pytest.mark.parametrize("semitones", [6.0, -2.0, 0.0])
@pytest.mark.parametrize("snr", [None, 20.0, 10.0, 5.0])
def test_glides_are_followed_within_a_fifth_of_a_semitone(start: float, semitones: float, snr: float | None) -> None:
    truth = glide(start, semitones, 1.0)
    sound = voice(truth, -20.0)
    if snr is not None:
        sound = sound + noise(1.0, -20.0 - snr)
    errors = inner_errors(tracked(sound), truth)
    assert not np.isnan(errors).any()
    assert np.abs(errors).max() < 0.2


@pytest.mark.parametrize("dbfs", [-3.0, -20.0, -40.0, -60.0])
def test_level_does_not_matter(dbfs: float) -> None:
    truth = glide(120.0, 5.0, 1.0)
    errors = inner_errors(tracked(voice(truth, dbfs)), truth)
    assert not np.isnan(errors).any()
    assert np.abs(errors).max() < 0.1


def test_clipping_does_not_matter() -> None:
    truth = glide(120.0, 5.0, 1.0)
    errors = inner_errors(tracked(np.clip(voice(truth, -3.0), -0.5, 0.5)), truth)
    assert not np.isnan(errors).any()
    assert np.abs(errors).max() < 0.2


@pytest.mark.parametrize("hertz", [110.0, 180.0, 250.0])
def test_a_telephone_that_cuts_off_the_fundamental_does_not_matter(hertz: float) -> None:
    sound = voice(np.full(SAMPLE_RATE, hertz))
    spectrum = np.fft.rfft(sound)
    frequencies = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    spectrum[(frequencies < 300) | (frequencies > 3_400)] = 0
    errors = inner_errors(tracked(np.fft.irfft(spectrum)), np.full(SAMPLE_RATE, hertz))
    assert np.isnan(errors).mean() < 0.05
    assert np.nanmax(np.abs(errors)) < 0.2


@pytest.mark.parametrize(
    "sound",
    [silence(1.0), noise(3.0, -20.0), noise(3.0, -60.0), np.convolve(noise(3.0, -20.0), 0.9 ** np.arange(60), "same")],
    ids=["silence", "noise", "faint noise", "dull noise"],
)
def test_silence_and_noise_are_unvoiced(sound: np.ndarray) -> None:
    assert np.isnan(tracked(sound)).all()


def test_voice_begins_and_ends_where_it_does() -> None:
    track = tracked(np.concatenate([silence(0.5), voice(np.full(SAMPLE_RATE, 150.0)), silence(0.5)]))
    voiced = np.flatnonzero(~np.isnan(track)) * pitch.HOP_SECONDS
    assert (voiced[0], voiced[-1]) == pytest.approx((0.5, 1.5), abs=0.03)


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (159, 1), (160, 2), (16_000, 101)])
def test_there_is_a_frame_every_ten_milliseconds(samples: int, frames: int) -> None:
    assert len(tracked(np.zeros(samples))) == frames


def test_batches_leave_no_seam() -> None:
    truth = glide(120.0, 6.0, 45.0)
    asked: list[float] = []
    track = pitch.track(voice(truth).astype(np.float32), asked.append)
    assert np.abs(inner_errors(track, truth)).max() < 0.05
    assert len(asked) >= 3
    assert asked == sorted(asked)
    assert asked[-1] == 1.0


def test_pitch_takes_less_than_a_twentieth_of_the_time_of_the_sound() -> None:
    sound = voice(glide(120.0, 6.0, 20.0)).astype(np.float32)
    before = time.process_time()
    pitch.track(sound, no_checkpoint)
    assert time.process_time() - before < 1.0


def contour(*pieces: tuple[float, float]) -> pitch.Track:
    """From (seconds, semitones) pieces, joined, starting at 120 Hz."""
    values = [np.zeros(1)]
    for seconds, change in pieces:
        values.append(values[-1][-1] + np.linspace(0, change, round(seconds * 100) + 1)[1:])
    return np.asarray(120 * 2 ** (np.concatenate(values) / 12))


@pytest.mark.parametrize(
    ("pieces", "semitones", "movement"),
    [
        ([(1.0, 0.0), (0.3, 6.0)], 6.0, Movement.RISE),
        ([(1.0, 0.0), (0.3, -6.0)], -6.0, Movement.FALL),
        ([(0.5, 4.0), (0.4, -7.0)], -7.0, Movement.FALL),
        ([(0.5, -4.0), (0.2, 3.0)], 3.0, Movement.RISE),
        ([(0.9, 5.0)], 5.0, Movement.RISE),
        ([(0.8, 0.3)], 0.3, Movement.LEVEL),
    ],
)
def test_the_last_movement_is_the_last_straight_piece(
    pieces: list[tuple[float, float]], semitones: float, movement: Movement
) -> None:
    found = final_movement(contour(*pieces))
    assert found.semitones == pytest.approx(semitones, abs=0.3)
    assert found.movement is movement


def test_one_octave_mistake_of_the_tracker_does_not_turn_a_fall_into_a_rise() -> None:
    track = contour((0.6, 0.0), (0.3, -4.0))
    track[-3:] *= 2
    found = final_movement(track)
    assert found.movement is Movement.FALL
    assert found.semitones == pytest.approx(-4.0, abs=0.5)


@pytest.mark.parametrize(
    "track",
    [
        np.zeros(0),
        np.full(100, np.nan),
        np.concatenate([np.full(5, 120.0), np.full(5, np.nan)]),
        np.concatenate([np.full(50, 120.0), np.full(60, np.nan)]),
    ],
    ids=["nothing", "unvoiced", "too short", "unvoiced end"],
)
def test_an_end_without_pitch_is_unknown(track: pitch.Track) -> None:
    found = final_movement(track)
    assert (found.movement, found.semitones, found.seconds) == (Movement.UNKNOWN, None, None)
