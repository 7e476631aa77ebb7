"""Packing speech into windows: nothing spoken is lost or heard twice, and every moment finds its way back."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.engines.clip import SAMPLE_RATE, Clip, Stretch
from analysis.engines.transcription_windows import WINDOW_SECONDS, Window, pack


@st.composite
def clips_with_speech(draw: st.DrawFn) -> tuple[Clip, list[Stretch]]:
    """Up to thirty stretches of 0.05 to 70 seconds with silences of 0 to 10 seconds."""
    lengths = st.floats(0.05, 6.0) | st.floats(6.0, 70.0)
    steps = draw(st.lists(st.tuples(st.floats(0.0, 10.0), lengths), max_size=30))
    moment, speech = 0.0, []
    for pause, length in steps:
        speech.append(Stretch(moment + pause, moment + pause + length))
        moment += pause + length
    rest = draw(st.floats(0.0, 3.0))
    return Clip(np.zeros(round((moment + rest) * SAMPLE_RATE) + 1, dtype=np.float32)), speech


def seconds_of(speech: list[Stretch]) -> float:
    return sum(stretch.duration for stretch in speech)


@given(clips_with_speech())
def test_every_second_of_speech_is_in_exactly_one_window_and_windows_follow_each_other(
    given_clip: tuple[Clip, list[Stretch]],
) -> None:
    clip, speech = given_clip

    windows = pack(clip, speech)

    assert sum(window.spoken for window in windows) == pytest.approx(seconds_of(speech), abs=0.01)
    pieces = [piece for window in windows for piece in window.pieces]
    assert all(before.source + before.duration <= after.source + 1e-9 for before, after in pairwise(pieces))
    assert all(piece.source >= 0.0 and piece.source + piece.duration <= clip.duration + 1e-9 for piece in pieces)


@given(clips_with_speech())
def test_no_window_is_longer_than_the_model_looks(given_clip: tuple[Clip, list[Stretch]]) -> None:
    clip, speech = given_clip
    for window in pack(clip, speech):
        assert window.duration <= WINDOW_SECONDS + 1e-6
        assert len(window.samples(clip)) <= round(WINDOW_SECONDS * SAMPLE_RATE) + len(window.pieces)


@given(clips_with_speech(), st.floats(0.0, 0.99))  # at 1.0 the span is empty and lies in the next piece as well
def test_a_moment_in_a_window_is_the_same_moment_in_the_clip(
    given_clip: tuple[Clip, list[Stretch]], share: float
) -> None:
    clip, speech = given_clip
    for window in pack(clip, speech):
        for piece in window.pieces:
            inside = share * piece.duration
            start, end = window.in_clip(piece.offset + inside, piece.offset + piece.duration)
            assert start == pytest.approx(piece.source + inside, abs=1e-6)
            assert end == pytest.approx(piece.source + piece.duration, abs=1e-6)


def test_no_speech_is_no_window_and_speech_outside_the_clip_is_cut_off() -> None:
    clip = Clip(np.zeros(2 * SAMPLE_RATE, dtype=np.float32))

    assert pack(clip, []) == ()
    assert pack(clip, [Stretch(2.5, 3.0)]) == ()
    (window,) = pack(clip, [Stretch(1.5, 9.0)])
    assert window.speech == (Stretch(1.5, 2.0),)


def test_a_long_silence_is_left_out_and_a_short_pause_stays() -> None:
    clip = Clip(np.zeros(40 * SAMPLE_RATE, dtype=np.float32))

    (window,) = pack(clip, [Stretch(1.0, 3.0), Stretch(3.8, 5.0), Stretch(35.0, 37.0)])

    assert [(round(piece.source, 3), round(piece.duration, 3)) for piece in window.pieces] == [(0.8, 4.4), (34.8, 2.4)]


def test_a_cut_between_windows_falls_in_the_widest_pause_near_the_end() -> None:
    clip = Clip(np.zeros(60 * SAMPLE_RATE, dtype=np.float32))
    speech = [Stretch(0.5, 12.0), Stretch(12.2, 24.0), Stretch(24.9, 28.0), Stretch(28.2, 45.0)]

    first, second = pack(clip, speech)

    assert first.speech == tuple(speech[:2])
    assert second.speech == tuple(speech[2:])


def test_speech_that_never_pauses_is_cut_where_it_is_quietest() -> None:
    samples = np.random.default_rng(0).normal(0.0, 0.1, 50 * SAMPLE_RATE).astype(np.float32)
    samples[round(24.9 * SAMPLE_RATE) : round(25.1 * SAMPLE_RATE)] *= 0.01

    first, second = pack(Clip(samples), [Stretch(0.0, 50.0)])

    assert first.speech[0].end == pytest.approx(25.0, abs=0.1)
    assert second.speech[0] == Stretch(first.speech[0].end, 50.0)


def test_a_quiet_stretch_is_lifted_and_a_loud_one_beside_it_left_alone() -> None:
    loud = np.random.default_rng(0).normal(0.0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)
    clip = Clip(np.concatenate([loud, np.zeros(SAMPLE_RATE // 2, dtype=np.float32), loud * np.float32(0.005)]))

    (window,) = pack(clip, [Stretch(0.0, 2.0), Stretch(2.5, 4.5)])
    lifted = window.samples(clip)

    assert level(lifted[: 2 * SAMPLE_RATE]) == pytest.approx(-20.0, abs=0.2)
    assert level(lifted[round(2.5 * SAMPLE_RATE) :]) == pytest.approx(-25.0, abs=0.2)
    assert level(clip.samples[round(2.5 * SAMPLE_RATE) :]) == pytest.approx(-66.0, abs=0.2)  # the clip is untouched


def test_a_clip_shorter_than_a_frame_of_the_spectrogram_still_makes_a_window() -> None:
    clip = Clip(np.full(40, 0.1, dtype=np.float32))

    (window,) = pack(clip, [Stretch(0.0, clip.duration)])

    assert len(window.samples(clip)) == SAMPLE_RATE // 2


def test_what_is_spoken_after_a_moment_keeps_to_the_window_and_drops_the_rest_of_a_word() -> None:
    clip = Clip(np.zeros(20 * SAMPLE_RATE, dtype=np.float32))
    (window,) = pack(clip, [Stretch(1.0, 5.0), Stretch(6.0, 9.0)])

    (rest,) = window.after(4.8, clip)

    assert isinstance(rest, Window)
    assert rest.speech == (Stretch(6.0, 9.0),)
    assert rest.extent.start >= 4.8
    assert rest.extent.end <= window.extent.end
    assert window.after(9.0, clip) == ()


def level(samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))
