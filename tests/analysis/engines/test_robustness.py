"""What every measured quantity reads in bad sound: telephone, clipping, noise, and levels from -40 to -3 dBFS.

`python -m pytest -s tests/analysis/engines/test_robustness.py` prints the table that `docs/hearing.md` shows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from analysis.engines.clip import SAMPLE_RATE, Stretch, no_checkpoint
from analysis.engines.prosody import Prosody, ProsodyAnalyzer
from benchmarks.corpora.lines import Sound, telephone
from tests.analysis.engines.signals import at_level, clip, glide, noise, perturbed, pulses, silence, syllables, voice


def clipped(sound: Sound) -> Sound:
    """Cut off at a quarter of its peak."""
    limit = np.abs(sound).max() / 4
    return np.clip(sound, -limit, limit)


def noisy(sound: Sound) -> Sound:
    return sound + noise(len(sound) / SAMPLE_RATE, -30.0)


def level(dbfs: float) -> Callable[[Sound], Sound]:
    return lambda sound: np.clip(sound * 10 ** ((dbfs + 20.0) / 20), -1.0, 1.0)


CONDITIONS: dict[str, Callable[[Sound], Sound]] = {
    "clean, -20 dBFS": lambda sound: sound,
    "telephone, 8 kHz mu-law": telephone,
    "clipped at a quarter of the peak": clipped,
    "white noise 10 dB below": noisy,
    "-40 dBFS": level(-40.0),
    "-3 dBFS, what exceeds full scale clipped": level(-3.0),
}


@dataclass(frozen=True)
class Quantity:
    """Something with a known value: what is made, how it is read, and the error allowed in each condition."""

    name: str
    made: Callable[[], Sound]
    read: Callable[[Prosody], float | None]
    truth: float
    clean: float
    worst: float
    unsaid: tuple[str, ...] = ()


def gliding() -> Sound:
    return np.concatenate(
        [silence(0.4), voice(glide(150.0, -5.0, 1.2)), silence(0.6), voice(glide(120.0, 4.0, 1.2)), silence(0.4)]
    )


def trembling() -> Sound:
    return at_level(pulses(perturbed(300, 1 / 150, 1.5)), -20.0)


def shimmering() -> Sound:
    return at_level(pulses(np.full(300, 1 / 150), perturbed(301, 1.0, 6.0)), -20.0)


def hoarse() -> Sound:
    return voice(glide(140.0, 0.0, 2.0)) + noise(2.0, -38.0, seed=5)


def counted() -> Sound:
    return syllables(16, 4.0)


NOISE, CLIPPED, LOUD = (
    "white noise 10 dB below",
    "clipped at a quarter of the peak",
    "-3 dBFS, what exceeds full scale clipped",
)
QUANTITIES = [
    Quantity("F0 median, Hz", trembling, lambda p: p.summary.pitch.f0_median_hz, 150.0, 1.0, 2.0),
    Quantity("final movement, semitones", gliding, lambda p: p.utterances[0].final_semitones, 4.0, 0.4, 0.6),
    Quantity("pause, s", gliding, lambda p: p.summary.pause_seconds, 0.6, 0.03, 0.05),
    Quantity("articulation rate, /s", counted, lambda p: p.summary.articulation_rate, 16 / 4.0, 0.5, 0.6),
    Quantity("jitter, %", trembling, lambda p: p.summary.phonation.jitter_local_percent, 1.5, 0.2, 0.4),
    Quantity(
        "shimmer, %",
        shimmering,
        lambda p: p.summary.phonation.shimmer_local_percent,
        6.0,
        1.2,
        2.5,
        unsaid=(NOISE, CLIPPED, LOUD),
    ),
    Quantity("harmonics to noise, dB", hoarse, lambda p: p.summary.phonation.harmonics_to_noise_db, 18.0, 1.5, 9.0),
    Quantity("tilt, dB per octave", hoarse, lambda p: p.summary.phonation.tilt_db_per_octave, -6.0, 0.5, 1.2),
]


def reading(quantity: Quantity, condition: str) -> float | None:
    sound = CONDITIONS[condition](quantity.made())
    return quantity.read(ProsodyAnalyzer().run(clip(sound), [Stretch(0.0, len(sound) / SAMPLE_RATE)], no_checkpoint))


@pytest.fixture(scope="module")
def table() -> Iterator[dict[tuple[str, str], float | None]]:
    found = {(q.name, name): reading(q, name) for q in QUANTITIES for name in CONDITIONS}
    yield found
    print(f"\n| sound | {' | '.join(q.name for q in QUANTITIES)} |\n|---{'|---' * len(QUANTITIES)}|")
    print(f"| made with | {' | '.join(f'{q.truth:g}' for q in QUANTITIES)} |")
    for name in CONDITIONS:
        cells = [found[q.name, name] for q in QUANTITIES]
        print(f"| {name} | {' | '.join('not said' if cell is None else f'{cell:g}' for cell in cells)} |")


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("quantity", QUANTITIES, ids=[quantity.name for quantity in QUANTITIES])
def test_what_is_measured_in_bad_sound_is_near_the_truth_or_not_said(
    table: dict[tuple[str, str], float | None], quantity: Quantity, condition: str
) -> None:
    found = table[quantity.name, condition]
    if condition in quantity.unsaid:
        assert found is None
    else:
        error = quantity.clean if condition.startswith(("clean", "-40")) else quantity.worst
        assert found == pytest.approx(quantity.truth, abs=error)
