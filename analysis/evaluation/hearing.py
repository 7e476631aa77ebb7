"""Files of a corpus as engines hear recordings: through the same decoder, one clip per channel."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis import decode
from analysis.engines.clip import Clip, Samples


@dataclass(frozen=True, slots=True)
class Heard:
    """All channels of one file, and its seconds."""

    clips: tuple[Clip, ...]
    duration: float

    @property
    def mixed(self) -> Samples:
        """All channels as one."""
        mixed: Samples = np.mean(np.stack([clip.samples for clip in self.clips]), axis=0, dtype=np.float32)
        return mixed


class _File:
    """A file as the decoder reads one."""

    def __init__(self, path: Path) -> None:
        self._bytes = path.read_bytes()
        self.size = len(self._bytes)

    def read(self, offset: int, length: int, /) -> bytes:
        return self._bytes[offset : offset + length]


def hear(path: Path) -> Heard:
    """Raises what decoding raises."""
    decoded = decode.server().decode(_File(path))
    return Heard(tuple(Clip(samples) for samples in decoded.channels), decoded.duration)
