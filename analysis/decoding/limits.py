"""How much one recording may cost, and where each decoded channel lies in the shared memory. Both sides of the socket use it."""

import mmap
from dataclasses import dataclass

from analysis.engines.clip import SAMPLE_RATE

SAMPLE_BYTES = 4
RESAMPLER_CHANNELS = 64
"""libswresample takes no more."""


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What one decode may use and give. Going past `max_*` refuses the media; the rest ends the child."""

    max_duration: float = 4 * 3600.0
    """Seconds of audio."""
    max_channels: int = 8
    max_channel_seconds: float = 8 * 3600.0
    """Seconds times channels, which is what memory pays for: 64 kB a second; 1.8 GB by default, if all of it is used."""
    min_source_rate: int = 4_000
    """Hz."""
    max_source_rate: int = 384_000
    """Hz."""
    cpu_seconds: int = 600
    wall_clock: float = 900.0
    """Seconds that the parent waits for the child; its own reading and its checkpoints do not count."""
    address_space: int = 512 * 1024 * 1024
    """Bytes beyond what the warm server maps and beyond the result."""
    open_files: int = 0
    """RLIMIT_NOFILE: 0 leaves the child the socket it has and no way to another descriptor."""

    def __post_init__(self) -> None:
        positive = (
            self.max_duration,
            self.max_channel_seconds,
            self.min_source_rate,
            self.cpu_seconds,
            self.wall_clock,
            self.address_space,
        )
        if min(positive) <= 0 or self.open_files < 0 or self.max_source_rate < self.min_source_rate:
            raise ValueError("decode limits must be positive and the source rates in order")
        if not 1 <= self.max_channels <= RESAMPLER_CHANNELS:
            raise ValueError(f"a decode gives 1 to {RESAMPLER_CHANNELS} channels")

    @property
    def capacity(self) -> int:
        """Bytes of shared memory: room for the longest permitted result, a page to spare for each channel."""
        frames = min(self.max_channel_seconds, self.max_duration * self.max_channels) * SAMPLE_RATE
        return _pages(int(frames) * SAMPLE_BYTES) + self.max_channels * mmap.ALLOCATIONGRANULARITY

    def max_frames(self, channels: int) -> int:
        """Frames at `SAMPLE_RATE` that a recording with so many channels may have."""
        return int(min(self.max_duration, self.max_channel_seconds / channels) * SAMPLE_RATE)

    def stride(self, channels: int) -> int:
        """Bytes from the start of one channel to the start of the next: whole pages, so that each can be mapped alone."""
        return _pages(self.max_frames(channels) * SAMPLE_BYTES)


def _pages(size: int) -> int:
    page = mmap.ALLOCATIONGRANULARITY
    return -(-size // page) * page
