"""What is usual for one speaker within one recording, and how far a piece of speech lies from it, in z-scores.

The baseline is what the same voice did earlier in the same recording: nothing is taken from other recordings and nothing
is kept afterwards. Before it holds `FEWEST` pieces and `SHORTEST` seconds of speech nothing is compared. A measure that
hardly varied would turn a rounding error into many standard deviations: none counts as steadier than it is measured.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

FEWEST: Final = 5
"""Pieces of speech. Fewer give no standard deviation worth the name."""
SHORTEST: Final = 20.0
"""Seconds of speech: with 15 to 30 s the long-term distribution of F0 settles (Arantes and Eriksson 2014)."""

STEADIEST: Final[Mapping[str, float]] = {
    "f0": 0.5,
    "f0_range": 1.0,
    "level": 1.0,
    "articulation_rate": 0.5,
    "jitter": 0.2,
    "harmonics_to_noise": 1.0,
    "tilt": 0.5,
    "pauses": 0.1,
}
"""The smallest standard deviation of each measure: about what measuring it costs. Semitones, semitones, dB, syllables per
second, percentage points, dB, dB per octave, share of the time."""


class Baseline:
    """Collects measures by name and compares others with them."""

    def __init__(self) -> None:
        self._seen: dict[str, list[float]] = {}
        self._count = 0
        self.seconds = 0.0

    @property
    def ready(self) -> bool:
        """Whether it is long enough to compare with."""
        return self._count >= FEWEST and self.seconds >= SHORTEST

    def add(self, measures: Mapping[str, float | None], seconds: float) -> None:
        """One more piece of speech, `seconds` long; None is a measure that could not be taken."""
        self._count += 1
        self.seconds += seconds
        for name, value in measures.items():
            if value is not None:
                self._seen.setdefault(name, []).append(value)

    def compare(self, measures: Mapping[str, float | None]) -> dict[str, float | None]:
        """Standard deviations from the mean for each measure, None where it or its baseline is missing."""
        return {name: self._distance(name, value) for name, value in measures.items()}

    def _distance(self, name: str, value: float | None) -> float | None:
        seen = self._seen.get(name, [])
        if not self.ready or value is None or len(seen) < FEWEST:
            return None
        spread = max(float(np.std(seen, ddof=1)), STEADIEST[name])
        return round((value - float(np.mean(seen))) / spread, 2)
