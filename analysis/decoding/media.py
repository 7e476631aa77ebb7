"""Decoding one medium inside the sandbox: which containers and codecs may run, what their headers claim, what came of their
packets. It reads through a file-like object; where the sound comes to lie is in `timeline`. It knows no socket.

Only demuxers and codecs on the list run, and no demuxer can open anything: external references in a playlist, a concatenation or
a QuickTime data reference have nowhere to go. A file that ends early gives what is there and says so (`truncated`). A hole in the
middle (a lost packet, a pause that was not written) becomes silence, so that everything after it stands at its own time; the
seconds so filled are told (`filled`), and a file with much damage is refused.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import av
import av.logging

from analysis.decoding.limits import DecodeLimits
from analysis.decoding.protocol import BLOCK, CONTAINERS, DECODERS, Facts, Refusal, Refused
from analysis.decoding.timeline import Timeline

DECLARED_SLACK = 0.25
"""Seconds by which a container may declare more than it holds before it counts as truncated: codec delay and rounding."""


TOLERATED_DAMAGE = 0.02
"""Share of packets in the middle that may fail to decode. They leave holes, which are filled with silence."""

UNFINISHED = 0x7FFF0000
"""A RIFF header that claims so many bytes was written before its recorder knew, and never corrected."""


@dataclass(frozen=True, slots=True)
class _RiffClaim:
    """Channels in the `fmt ` chunk, and whether the `data` chunk goes on after the end of the file."""

    channels: int
    truncated: bool


class Source(Protocol):
    """What libavformat reads from; as for a binary file."""

    def read(self, length: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


def decode(source: Source, memory: memoryview, limits: DecodeLimits) -> Facts:
    """Decodes `source` into `memory` (zeroed, laid out as `limits` say). Raises `Refused`, `MemoryError`."""
    claim = _riff_claim(source)
    if claim.channels > limits.max_channels:
        raise Refused(Refusal.TOO_MANY_CHANNELS)
    try:
        container = av.open(
            source,
            mode="r",
            options={
                "format_whitelist": ",".join(CONTAINERS),
                "codec_whitelist": ",".join(sorted(DECODERS)),
                "protocol_whitelist": "",
            },
            metadata_errors="replace",
            buffer_size=BLOCK,
            io_open=_refuse_to_open,
        )
    except MemoryError:
        raise
    except (av.FFmpegError, PermissionError, ValueError) as error:
        raise Refused(Refusal.UNSUPPORTED) from error
    with container:
        return _decode_container(container, claim.truncated, memory, limits)


def _refuse_to_open(_url: str, _flags: int, _options: dict[str, str]) -> object:
    raise PermissionError("media may not open anything")


def _decode_container(
    container: av.container.InputContainer, truncated: bool, memory: memoryview, limits: DecodeLimits
) -> Facts:
    name = CONTAINERS.get(container.format.name)
    if name is None or len(container.streams.audio) != 1:
        raise Refused(Refusal.UNSUPPORTED)
    stream = container.streams.audio[0]
    if stream.codec_context.channels > limits.max_channels:
        raise Refused(Refusal.TOO_MANY_CHANNELS)
    if stream.codec_context.name not in DECODERS:
        raise Refused(Refusal.UNSUPPORTED)
    declared = _declared(name, container, stream)
    if declared > limits.max_duration:
        raise Refused(Refusal.TOO_LONG)
    stream.codec_context.thread_count = 1  # the sandbox has no threads to give
    frames = _Frames(container, stream)
    timeline: Timeline | None = None
    for frame in frames:
        if timeline is None:
            _check_shape(frame, limits)
            timeline = Timeline(frame, memory, limits)
        timeline.add(frame)
    if timeline is None:
        raise Refused(Refusal.DAMAGED if frames.ends_damaged else Refusal.EMPTY)
    timeline.finish()
    if timeline.writer.frames == 0:
        raise Refused(Refusal.EMPTY)
    if frames.damage > TOLERATED_DAMAGE:
        raise Refused(Refusal.DAMAGED)
    return Facts(
        container=name,
        codec=stream.codec_context.codec.canonical_name,
        source_rate=timeline.rate,
        channels=timeline.channels,
        frames=timeline.writer.frames,
        filled=timeline.filled,
        truncated=truncated or frames.ends_damaged or declared > timeline.seconds + DECLARED_SLACK,
    )


class _Frames:
    """Decoded frames in order. Packets that cannot be decoded are passed over and counted."""

    def __init__(self, container: av.container.InputContainer, stream: av.AudioStream) -> None:
        self._container = container
        self._stream = stream
        self._packets = 0
        self._lost = 0
        self._lost_at_end = 0

    @property
    def ends_damaged(self) -> bool:
        """Something could not be decoded, and no sound came after it."""
        return self._lost_at_end > 0

    @property
    def damage(self) -> float:
        """Share of the packets that could not be decoded though sound came after them (0.0 to 1.0)."""
        return (self._lost - self._lost_at_end) / max(1, self._packets)

    def __iter__(self) -> Iterator[av.AudioFrame]:
        for packet in self._demuxed():
            self._packets += 1
            try:
                frames = self._stream.codec_context.decode(packet)
            except MemoryError:
                raise
            except av.FFmpegError:
                self._lose()
                continue
            if frames:
                self._lost_at_end = 0
            yield from frames

    def _demuxed(self) -> Iterator["av.Packet[av.AudioStream]"]:
        try:
            yield from self._container.demux(self._stream)
        except MemoryError:
            raise
        except av.FFmpegError:
            self._lose()

    def _lose(self) -> None:
        self._lost += 1
        self._lost_at_end += 1


def _check_shape(frame: av.AudioFrame, limits: DecodeLimits) -> None:
    if frame.layout.nb_channels > limits.max_channels:
        raise Refused(Refusal.TOO_MANY_CHANNELS)
    if not limits.min_source_rate <= frame.sample_rate <= limits.max_source_rate:
        raise Refused(Refusal.RATE)


def _declared(name: str, container: av.container.InputContainer, stream: av.AudioStream) -> float:
    """Seconds that the container says it holds; 0 where it says nothing, or only guesses from sizes and bit rates."""
    if name not in {"flac", "ogg", "mp4", "matroska"} or len(container.streams) != 1:
        return 0.0
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return float(container.duration or 0) / av.time_base


def _riff_claim(source: Source) -> _RiffClaim:
    """What a RIFF header claims; libavformat trusts the file's size instead, and forgets channels that are too many for it."""
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    head = source.read(4096)
    source.seek(0)
    channels, at = 0, 12
    if head[:4] not in {b"RIFF", b"RF64"} or head[8:12] != b"WAVE":
        return _RiffClaim(0, False)
    while at + 12 <= len(head):
        length = int(struct.unpack_from("<I", head, at + 4)[0])
        if head[at : at + 4] == b"fmt ":
            channels = int(struct.unpack_from("<H", head, at + 10)[0])
        if head[at : at + 4] == b"data":
            return _RiffClaim(channels, length < UNFINISHED and at + 8 + length > size)
        at += 8 + length + length % 2
    return _RiffClaim(channels, False)
