"""Words put into the clip's time and grouped into utterances, from alignments made by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.engines.clip import SAMPLE_RATE, Clip, Stretch
from analysis.engines.transcription_decoding import TokenTimes
from analysis.engines.transcription_windows import Window, pack
from analysis.engines.transcription_words import PlacedWord, place, utterances

SECONDS = 20.0
CLIP = Clip(np.full(round(SECONDS * SAMPLE_RATE), 0.1, dtype=np.float32))


def aligned(*words: tuple[str, float, float]) -> TokenTimes:
    return TokenTimes(
        words=tuple(word for word, _, _ in words),
        starts=tuple(start for _, start, _ in words),
        ends=tuple(end for _, _, end in words),
        probabilities=(0.5,) * len(words),
    )


def window_over(*speech: Stretch) -> Window:
    (window,) = pack(CLIP, speech)
    return window


def test_punctuation_belongs_to_its_word_and_takes_no_time() -> None:
    times = aligned((' "', 0.2, 0.3), ("Yes", 0.3, 0.6), (",", 0.6, 0.9), (" ill-disposed", 0.9, 1.5), ('."', 1.5, 1.9))

    words = place(times, window_over(Stretch(0.0, 2.0)), CLIP)

    assert [(word.text, round(word.start, 2), round(word.end, 2)) for word in words] == [
        (' "Yes,', 0.3, 0.6),
        (' ill-disposed."', 0.9, 1.5),
    ]


def test_signs_without_a_letter_are_no_words() -> None:
    assert place(aligned((" ♪", 0.1, 0.5), (" ❤️", 0.5, 0.9)), window_over(Stretch(0.0, 2.0)), CLIP) == ()


def test_a_word_that_reaches_into_silence_is_kept_to_its_stretch_of_speech() -> None:
    window = window_over(Stretch(1.0, 3.0), Stretch(3.9, 6.0))
    offset = window.pieces[0].source

    first, second = place(aligned((" one", 0.2, 2.9), (" two", 2.9, 4.0)), window, CLIP)

    assert offset == pytest.approx(0.8)
    assert first.end == pytest.approx(3.1)
    assert second.start == pytest.approx(3.8)


def test_words_after_a_left_out_silence_lie_where_they_were_spoken() -> None:
    window = window_over(Stretch(1.0, 3.0), Stretch(15.0, 17.0))

    first, second = place(aligned((" one", 0.4, 1.0), (" two", 3.0, 3.5)), window, CLIP)

    assert (first.start, first.end) == pytest.approx((1.2, 1.8))
    assert (second.start, second.end) == pytest.approx((15.4, 15.9))


def test_the_first_word_after_a_pause_begins_where_it_sounds() -> None:
    samples = np.random.default_rng(0).normal(0.0, 0.001, 3 * SAMPLE_RATE).astype(np.float32)
    samples[round(1.0 * SAMPLE_RATE) :] *= 100
    clip = Clip(samples)
    (window,) = pack(clip, [Stretch(0.8, 3.0)])

    (word,) = place(aligned((" one", 0.1, 0.9)), window, clip)

    assert word.start == pytest.approx(1.0, abs=0.02)


@given(
    st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(0.0, 3.0)), min_size=1, max_size=60),
    st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(0.1, 2.0)), min_size=1, max_size=4),
)
def test_whatever_the_alignment_says_words_are_in_order_and_inside_the_window(
    spans: list[tuple[float, float]], speech: list[tuple[float, float]]
) -> None:
    moment, stretches = 0.0, []
    for pause, length in speech:
        stretches.append(Stretch(moment + pause, moment + pause + length))
        moment += pause + length
    window = window_over(*stretches)
    times = aligned(*((f" word{index}", start, start + length) for index, (start, length) in enumerate(spans)))

    words = place(times, window, CLIP)

    assert len(words) == len(spans)
    assert all(word.start < word.end for word in words)
    assert all(before.end <= after.start + 1e-9 for before, after in pairwise(words))
    assert words[0].start >= window.extent.start - 1e-9
    assert words[-1].end <= window.extent.end + 1e-9


def test_utterances_end_at_pauses_and_at_sentences_that_are_followed_by_silence() -> None:
    words = [
        PlacedWord(" Mr.", 0.0, 0.3, 0.9),
        PlacedWord(" John", 0.35, 0.6, 0.9),
        PlacedWord(" left.", 0.6, 1.0, 0.9),
        PlacedWord(" He", 1.25, 1.5, 0.9),
        PlacedWord(" said", 1.5, 1.8, 0.9),
        PlacedWord(" no", 2.6, 2.9, 0.9),
    ]

    grouped = [" ".join(word.text.strip() for word in group) for group in utterances(words)]

    assert grouped == ["Mr. John left.", "He said", "no"]
    assert list(utterances([])) == []
