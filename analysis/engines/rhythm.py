"""How evenly syllables follow one another: two published measures over the intervals between syllable nuclei.

The normalized pairwise variability index (Grabe and Low 2002) compares each interval with the next, so that a change of
rate does not count; Varco (Dellwo 2006) is the coefficient of variation. Both are usually taken over vowels or consonants
that a person has marked; here the intervals are those between nuclei found in the sound (`levels`), and a pause ends a
chain of them, so that figures of other studies are no yardstick. What rhythm means is not said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from analysis.engines.clip import Stretch

FEWEST_INTERVALS = 6
"""Intervals below which nothing is said."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """`npvi` and `varco` are percentages, 0.0 for perfectly even syllables; None with fewer than `FEWEST_INTERVALS`."""

    intervals: int
    npvi: float | None
    varco: float | None


def chains(nuclei: Sequence[float], silences: Sequence[Stretch]) -> tuple[tuple[float, ...], ...]:
    """Intervals (seconds) between neighbouring nuclei (times in seconds), a new chain after each silence."""
    found: list[list[float]] = [[]]
    for before, after in pairwise(nuclei):
        if any(before <= silence.start and silence.end <= after for silence in silences):
            found.append([])
        else:
            found[-1].append(after - before)
    return tuple(tuple(chain) for chain in found if chain)


def rhythm(intervals: Sequence[Sequence[float]]) -> Rhythm:
    """Both measures over chains of intervals; pairs never reach from one chain into the next."""
    every = np.concatenate([np.asarray(chain) for chain in intervals]) if intervals else np.zeros(0)
    pairs = np.array([pair for chain in intervals for pair in pairwise(chain)]).reshape(-1, 2)
    if len(every) < FEWEST_INTERVALS or not len(pairs):
        return Rhythm(len(every), None, None)
    variability = np.abs(np.diff(pairs, axis=1))[:, 0] / pairs.mean(axis=1)
    return Rhythm(
        intervals=len(every),
        npvi=round(100 * float(variability.mean()), 1),
        varco=round(100 * float(every.std() / every.mean()), 1),
    )
