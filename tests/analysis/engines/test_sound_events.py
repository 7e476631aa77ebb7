"""Which of several sounds that a network hears at once is reported."""

import numpy as np

from analysis.engines.sound_events import Grid, events, levels
from analysis.engines.sounds import Sound

GRID = Grid(hop=0.1, window=1.0, lead=0.0)
SECONDS = 3.0
THRESHOLDS = {Sound.BREATHING: 0.3, Sound.GASP: 0.3, Sound.WHISPER: 0.3}


def heard(rivalry: dict[Sound, float] | None = None, **scores: float) -> list[Sound]:
    """What is reported of one burst of noise in which the network gives each sound this score."""
    samples = np.zeros(round(SECONDS * 16_000), np.float32)
    samples[16_000:24_000] = np.random.default_rng(1).normal(0.0, 0.1, 8_000)
    places = np.zeros(21, np.float32)
    places[6:10] = 1.0
    given = {Sound(name): places * score for name, score in scores.items()}
    return [event.label for event in events(given, THRESHOLDS, levels(samples), GRID, SECONDS, rivalry=rivalry)]


def test_of_one_family_the_one_further_above_its_threshold_is_reported() -> None:
    assert heard(breathing=0.5, gasp=0.8) == [Sound.GASP]


def test_of_two_families_both_are() -> None:
    assert set(heard(whisper=0.5, gasp=0.8)) == {Sound.GASP, Sound.WHISPER}


def test_a_network_that_prefers_one_sound_is_weighed_against_that() -> None:
    prefers = {**THRESHOLDS, Sound.GASP: 0.8, Sound.BREATHING: 0.2}
    assert heard(prefers, breathing=0.5, gasp=0.8) == [Sound.BREATHING]
    assert heard(prefers, breathing=0.29, gasp=0.8) == [Sound.GASP], "below its threshold it competes with nothing"


def test_certainty_is_compared_and_never_divided_by_zero() -> None:
    assert heard(breathing=1.0, gasp=0.999) == [Sound.BREATHING]
