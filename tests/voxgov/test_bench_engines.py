"""The benchmark of the engines: what counts as right, and each engine in a process of its own. How fast is no test's business."""

import pytest

from benchmarks.engine_child import GLIDES, SOUNDS, glide, material
from benchmarks.engines import Child, _glide_error

STEP = 160
"""Samples between two values of F0."""


@pytest.mark.parametrize(("off_by", "cents"), [(0.0, 0.0), (1.0, 100.0), (-0.5, 50.0)])
def test_the_error_of_f0_is_in_cents_against_what_the_glides_were_made_with(off_by: float, cents: float) -> None:
    contours = [[float(hertz * 2 ** (off_by / 12)) for hertz in glide(*each)[::STEP]] for each in GLIDES]
    assert _glide_error(contours).value == pytest.approx(cents, abs=0.01)


def test_frames_without_a_pitch_are_counted_and_not_judged() -> None:
    contours = [[None, *(float(hertz) for hertz in glide(*each)[STEP::STEP])] for each in GLIDES]
    figure = _glide_error(contours)
    assert figure.value == pytest.approx(0.0, abs=0.01)
    assert figure.baseline == "pitch found in 897 of 900 frames"


def test_the_material_is_what_the_figures_say_it_is() -> None:
    assert all(spoken.clip.duration < 10 and spoken.words for spoken in material("short"))
    assert [spoken.clip.duration > 120 for spoken in material("long")] == [True, True]
    assert material("one")[0].words == material("long")[0].words
    assert {clip.words.split("-")[0] for clip in material("sounds")} == set(SOUNDS)


@pytest.mark.services
@pytest.mark.parametrize("way", ["activity", "emotion"])
def test_an_engine_answers_from_a_process_of_its_own(way: str) -> None:
    with Child(way) as process:
        heard = process.hear("short")
    assert process.load_s > 0
    assert heard.audio == pytest.approx(sum(spoken.clip.duration for spoken in material("short")))
    assert all(count >= 1 for count in heard.answers)
    assert 50 < process.peak_mb < 2048


@pytest.mark.services
def test_a_process_that_ends_is_said_and_not_waited_for() -> None:
    with pytest.raises(RuntimeError, match="no-such-engine ended"):
        Child("no-such-engine")
