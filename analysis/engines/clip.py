"""What every engine hears and how it reports while it works: one channel of audio, and the callback between batches.

Decoding lives in `analysis/decode.py`; what an engine finds is declared beside that engine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

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


Parameter = str | int | float | bool | None
"""What an engine is told beside the sound: a number, a name or a switch."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model made a result, as every result names it. `digest` is SHA-256 (hex) over what was loaded; `parameters` are
    what the engine ran with, as far as its digest does not cover them: two results with equal identities were made alike.
    """

    name: str
    version: str
    digest: str
    licence: str
    licence_class: str
    validated: bool
    parameters: Mapping[str, Parameter] = field(default_factory=dict, hash=False)

    def ran_with(self, **parameters: Parameter) -> "ModelIdentity":
        """The same model with these parameters beside those that it had.

        They are kept in the clear, beside a sealed result: nothing of what was said, or of who said it, may be among them.
        """
        return replace(self, parameters={**self.parameters, **parameters})
