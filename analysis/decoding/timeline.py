"""Where decoded sound comes to lie: resampled to 16 kHz, each channel by itself, at the time that its stamps give it.

It works on frames that `media` decoded and on memory that `child` mapped, and knows nothing of containers.
"""

from collections.abc import Iterator

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from analysis.decoding.limits import DecodeLimits
from analysis.decoding.protocol import Refusal, Refused
from analysis.engines.clip import SAMPLE_RATE

# Longer than the default of 32 taps: -1.2 dB at 7.5 kHz and -33 dB at 8.2 kHz, instead of -2.9 and -15.
RESAMPLER = {"sample_rate": str(SAMPLE_RATE), "filter_size": "64", "cutoff": "0.97"}

HOLE = 0.1
"""Seconds. Time stamps that leave more than this open make a hole; they are never off by more than this afterwards."""


class ChannelWriter:
    """Lays interleaved samples down per channel in one flat stretch of zeroed memory, up to what the limits permit."""

    def __init__(self, memory: memoryview, limits: DecodeLimits, channels: int) -> None:
        self._limit = limits.max_frames(channels)
        stride = limits.stride(channels)
        self._channels: list[NDArray[np.float32]] = [
            np.frombuffer(memory, dtype=np.float32, count=self._limit, offset=index * stride)
            for index in range(channels)
        ]
        self.frames = 0

    def write(self, interleaved: NDArray[np.float32]) -> None:
        """Raises `Refused` when the recording grows too long."""
        block = interleaved.reshape(-1, len(self._channels))
        end = self.frames + len(block)
        if end > self._limit:
            raise Refused(Refusal.TOO_LONG)
        if block.any():  # the memory is zero already: silence, however long, touches none of it
            for index, channel in enumerate(self._channels):
                channel[self.frames : end] = block[:, index]
        self.frames = end

    def move_to(self, frame: int) -> None:
        """Leaves silence up to `frame`. Raises `Refused` when the recording grows too long."""
        if frame > self._limit:
            raise Refused(Refusal.TOO_LONG)
        self.frames = max(self.frames, frame)


class Timeline:
    """Puts decoded frames where their time stamps say: a hole in the recording becomes as much silence."""

    def __init__(self, first: av.AudioFrame, memory: memoryview, limits: DecodeLimits) -> None:
        self.rate = first.sample_rate
        self.channels = first.layout.nb_channels
        self.writer = ChannelWriter(memory, limits, self.channels)
        self.filled = 0.0
        """Seconds of silence put into holes."""
        self._shape = _shape(first)
        self._position = 0
        """Samples at the source's rate, holes included."""
        self._start: float | None = None
        self._resampler = _Resampler(first)

    @property
    def seconds(self) -> float:
        return self._position / self.rate

    def add(self, frame: av.AudioFrame) -> None:
        """Raises `Refused` when the recording grows too long, or changes its shape half-way."""
        if _shape(frame) != self._shape:
            raise Refused(Refusal.UNSUPPORTED)
        hole = self._hole_before(frame)
        if hole > HOLE:
            self.finish()
            self._position += round(hole * self.rate)
            self.filled += hole
            self.writer.move_to(round(self.seconds * SAMPLE_RATE))
            self._resampler = _Resampler(frame)
        self._position += frame.samples
        for block in self._resampler.push(frame):
            self.writer.write(block)

    def finish(self) -> None:
        for block in self._resampler.push(None):
            self.writer.write(block)

    def _hole_before(self, frame: av.AudioFrame) -> float:
        """Seconds between where the sound so far ends and where this frame says it starts; 0 without a usable time stamp."""
        if frame.pts is None or frame.time_base is None:
            return 0.0
        stamp = frame.pts * float(frame.time_base)
        if self._start is None or stamp - self._start < self.seconds - HOLE:
            self._start = stamp - self.seconds  # the first frame, or a clock that jumped back and counts anew
        return stamp - self._start - self.seconds


class _Resampler:
    """One libswresample filter for all channels. Its output is interleaved: PyAV reads past the planes of eight planar channels."""

    def __init__(self, first: av.AudioFrame) -> None:
        self._graph = Graph()
        self._graph.threads = 1
        start = self._graph.add(
            "abuffer",
            sample_rate=str(first.sample_rate),
            sample_fmt=first.format.name,
            channel_layout=first.layout.name,
            time_base=f"1/{first.sample_rate}",
        )
        resample = self._graph.add("aresample", **RESAMPLER)
        interleave = self._graph.add("aformat", sample_fmts="flt")
        self._graph.link_nodes(start, resample, interleave, self._graph.add("abuffersink")).configure()
        self._graph.set_audio_frame_size(SAMPLE_RATE)  # a second at a time: fewer and larger steps in Python

    def push(self, frame: av.AudioFrame | None) -> Iterator[NDArray[np.float32]]:
        """Interleaved samples at `SAMPLE_RATE`; `None` gives what is left."""
        self._graph.push(frame)
        while True:
            try:
                yield np.asarray(self._graph.pull().to_ndarray(), dtype=np.float32).ravel()
            except (BlockingIOError, EOFError):
                return


def _shape(frame: av.AudioFrame) -> tuple[int, int, str]:
    return frame.sample_rate, frame.layout.nb_channels, frame.format.name
