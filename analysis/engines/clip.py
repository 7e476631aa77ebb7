"""What every engine hears and how it reports while it works: one channel of audio, and the callback between batches.

Decoding lives in `analysis/decode.py`; what an engine finds is declared beside that engine.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Hz. Every engine hears this rate."""

Samples = NDArray[np.float32]
"""Shape (frames,), float32, full scale is ±1.0."""

Checkpoint = Callable[[float], None]
"""Called between batches with the fraction done (0.0 to 1.0). It may raise to stop the engine: consent is checked there."""


def no_checkpoint(_fraction: float) -> None:
    """For callers with nothing to check between batches (tests, benchmarks)."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One channel of one recording at `SAMPLE_RATE`."""

    samples: Samples

    def __post_init__(self) -> None:
        if self.samples.dtype != np.float32 or self.samples.ndim != 1:
            raise ValueError(f"a clip is one-dimensional float32, not {self.samples.dtype} of {self.samples.ndim} dims")

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / SAMPLE_RATE

    def cut(self, start: float, end: float) -> "Clip":
        """The stretch from `start` to `end` (seconds), clamped to the clip; shares memory."""
        first, last = max(0, round(start * SAMPLE_RATE)), min(len(self.samples), round(end * SAMPLE_RATE))
        return Clip(self.samples[first : max(first, last)])


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time in seconds from the start of the recording, `start` < `end`."""

    start: float
    end: float

    @property
    def duration(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model made a result, as every result names it. `digest` is SHA-256 (hex) over what was loaded."""

    name: str
    version: str
    digest: str
    licence: str
    licence_class: str
    validated: bool
