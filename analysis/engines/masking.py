"""A channel silenced but for some stretches of it."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from analysis.engines.clip import SAMPLE_RATE, Samples, Stretch

FADE: Final = 0.01
"""Seconds over which a kept stretch swells and dies away, inside itself, so that its ends do not click."""


def masked(samples: Samples, stretches: Sequence[Stretch]) -> Samples:
    """The samples inside the stretches, each faded in and out within itself; zeros everywhere else. As long as they were."""
    found = np.zeros_like(samples)
    for stretch in stretches:
        first, last = max(0, round(stretch.start * SAMPLE_RATE)), min(len(samples), round(stretch.end * SAMPLE_RATE))
        part = samples[first:last].copy()
        fade = min(round(FADE * SAMPLE_RATE), len(part) // 2)
        ramp = np.linspace(0.0, 1.0, fade, endpoint=False, dtype=np.float32)
        part[:fade] *= ramp
        part[len(part) - fade :] *= ramp[::-1]
        found[first:last] = part
    return found
