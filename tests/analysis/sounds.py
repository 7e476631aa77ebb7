"""Media made on the spot for the decoder's tests: sound ones in each format, and hostile ones built byte by byte."""

import io
import struct
import wave
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Media:
    """Bytes as the decoder reads them: by range, counted."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reads: list[tuple[int, int]] = []

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int, /) -> bytes:
        self.reads.append((offset, length))
        return self.data[offset : offset + length]


def tone(frequency: float, seconds: float = 1.0, rate: int = 16_000, peak: float = 0.5) -> Floats:
    return (peak * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def pitch(samples: Floats, rate: int = 16_000) -> float:
    """Hz of the strongest partial."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def wav(channels: Sequence[Floats], rate: int = 16_000) -> bytes:
    """16-bit PCM."""
    made = io.BytesIO()
    with wave.open(made, "wb") as writer:
        writer.setnchannels(len(channels))
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes((np.stack(channels, axis=1) * 32_768).clip(-32_768, 32_767).astype("<i2").tobytes())
    return made.getvalue()


def wav_header(channels: int, rate: int, data_size: int, *, tag: int = 1, bits: int = 16) -> bytes:
    """A RIFF header that may say anything."""
    frame = channels * bits // 8
    shape = struct.pack("<HHIIHH", tag, channels, rate, (rate * frame) & 0xFFFFFFFF, frame & 0xFFFF, bits)
    riff_size = min(data_size + 36, 0xFFFFFFFF)
    return (
        b"RIFF"
        + struct.pack("<I", riff_size)
        + b"WAVEfmt "
        + struct.pack("<I", len(shape))
        + shape
        + b"data"
        + struct.pack("<I", data_size)
    )


def float_wav(samples: Sequence[float], rate: int = 16_000) -> bytes:
    body = np.asarray(samples, dtype="<f4").tobytes()
    return wav_header(1, rate, len(body), tag=3, bits=32) + body


def encoded(
    container: str,
    codec: str,
    channels: Sequence[Floats],
    rate: int,
    sample_format: str,
    *,
    tracks: int = 1,
    hole: float = 0.0,
) -> bytes:
    """`channels` in that container and codec, as PyAV writes them; every track the same. Time stamps jump by `hole` half-way."""
    made = io.BytesIO()
    layout = {1: "mono", 2: "stereo", 8: "7.1"}[len(channels)]
    planar = np.stack(channels)
    frames = planar.shape[1]
    with av.open(made, mode="w", format=container) as out:
        streams = [out.add_stream(codec, rate=rate, layout=layout) for _ in range(tracks)]
        for stream in streams:
            assert isinstance(stream, av.AudioStream)
            stream.format = av.AudioFormat(sample_format)
        for start in range(0, frames, 1_024):
            stamp = start + (round(hole * rate) if start >= frames // 2 else 0)
            for stream in streams:
                assert isinstance(stream, av.AudioStream)
                frame = _frame(planar[:, start : start + 1_024], sample_format, layout)
                frame.sample_rate, frame.pts, frame.time_base = rate, stamp, Fraction(1, rate)
                out.mux(stream.encode(frame))
        for stream in streams:
            assert isinstance(stream, av.AudioStream)
            out.mux(stream.encode(None))
    return made.getvalue()


def _frame(planar: Floats, sample_format: str, layout: str) -> av.AudioFrame:
    part = planar if sample_format.endswith("p") else planar.T.reshape(1, -1)
    if sample_format.startswith("s16"):
        return av.AudioFrame.from_ndarray(
            np.ascontiguousarray(part * 32_767).astype(np.int16), format=sample_format, layout=layout
        )
    return av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format=sample_format, layout=layout)


def video_only() -> bytes:
    made = io.BytesIO()
    with av.open(made, mode="w", format="matroska") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode(None))
    return made.getvalue()


def silent_flac(seconds: float, *, declared: int, channels: int = 1, rate: int = 16_000) -> bytes:
    """Silence in constant subframes (RFC 9639, sections 8.2 and 9): an hour takes 13 kB. `declared` samples, 0 for unknown."""
    block = 65_535
    facts = (rate << 44) | ((channels - 1) << 41) | ((16 - 1) << 36) | declared
    made = [b"fLaC\x80\x00\x00\x22", struct.pack(">HH", block, block), bytes(6), facts.to_bytes(8, "big"), bytes(16)]
    for number in range(-(-round(seconds * rate) // block)):
        header = bytes((0xFF, 0xF8, 0x70, (channels - 1) << 4 | 0x08)) + _coded(number) + struct.pack(">H", block - 1)
        header += bytes((_crc(header, 8, 0x07),))
        frame = header + b"\x00\x00\x00" * channels
        made.append(frame + struct.pack(">H", _crc(frame, 16, 0x8005)))
    return b"".join(made)


def _coded(number: int) -> bytes:
    """A frame number as FLAC codes it: as UTF-8 codes a character."""
    if number < 0x80:
        return bytes((number,))
    if number < 0x800:
        return bytes((0xC0 | number >> 6, 0x80 | number & 0x3F))
    return bytes((0xE0 | number >> 12, 0x80 | number >> 6 & 0x3F, 0x80 | number & 0x3F))


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    value, top, mask = 0, 1 << bits - 1, (1 << bits) - 1
    for byte in data:
        value ^= byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
    return value


def referring_mp4(own: bytes, path: str) -> bytes:
    """An MP4 file (media first, `moov` last) whose sound is declared to lie in another file (a QuickTime alias)."""
    name = path.encode()
    alias = (
        bytearray(150)
        + b"\x00\x12"
        + struct.pack(">H", len(name))
        + name
        + b"\x00" * (len(name) % 2)
        + b"\xff\xff\x00\x00"
    )
    entry = struct.pack(">I", 12 + len(alias)) + b"alis" + bytes(4) + bytes(alias)
    old = own.index(b"url \x00\x00\x00\x01") - 4
    made = bytearray(own[:old] + entry + own[old + 12 :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        at = own.rindex(box, 0, old) - 4
        made[at : at + 4] = struct.pack(">I", struct.unpack_from(">I", own, at)[0] + len(entry) - 12)
    return bytes(made)
