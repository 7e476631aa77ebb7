"""Redacted audio: nothing of the words is left, and every other sample is the one that was there."""

import io
import math
import struct
import tracemalloc
import wave
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.redaction import waves
from analysis.redaction.blanking import MARGIN, TONE_HZ, Fill, Layout, blanked, stretches
from analysis.redaction.spans import DataType, Span

LAYOUTS = [
    Layout(1, 8000, 1),
    Layout(1, 16000, 2),
    Layout(2, 8000, 2),
    Layout(2, 8000, 3),
    Layout(1, 8000, 4),
    Layout(2, 8000, 4, floating=True),
    Layout(1, 8000, 8, floating=True),
]


def span(start: float, end: float) -> Span:
    return Span(DataType.NAME, start, end, range(1), 1.0, "test")


def cut(data: bytes, layout: Layout, frames: int) -> Iterator[bytes]:
    step = frames * layout.frame
    yield from (data[at : at + step] for at in range(0, len(data), step))


def noise(layout: Layout, seconds: float, seed: int = 1) -> bytes:
    generator = np.random.default_rng(seed)
    frames = int(seconds * layout.rate) * layout.channels
    if layout.floating:
        return generator.uniform(-1, 1, frames).astype(f"<f{layout.width}").tobytes()
    return generator.bytes(frames * layout.width)


def frames_of(data: bytes, layout: Layout) -> list[bytes]:
    return [data[at : at + layout.frame] for at in range(0, len(data), layout.frame)]


def near(one: bytes, other: bytes, layout: Layout) -> bool:
    """The same but for the last bit of rounding."""
    if layout.floating:
        return bool(np.allclose(np.frombuffer(one, f"<f{layout.width}"), np.frombuffer(other, f"<f{layout.width}")))
    signed = layout.width > 1
    a, b = (int.from_bytes(frame[: layout.width], "little", signed=signed) for frame in (one, other))
    return abs(a - b) <= 1


times = st.floats(0, 3, allow_nan=False)
spans = st.lists(st.tuples(times, st.floats(0, 1)).map(lambda t: span(t[0], t[0] + t[1])), max_size=5)


@settings(max_examples=60, deadline=None)
@given(layout=st.sampled_from(LAYOUTS), spans=spans, piece=st.integers(1, 5000), fill=st.sampled_from(Fill))
def test_the_words_are_gone_and_every_other_frame_is_bit_by_bit_as_it_was(
    layout: Layout, spans: list[Span], piece: int, fill: Fill
) -> None:
    data = noise(layout, 2.5)
    taken = stretches(spans)
    result = b"".join(blanked(cut(data, layout, piece), layout, taken, fill))
    assert len(result) == len(data)
    silence = layout.encoded(0.0)
    tone = [
        layout.encoded(0.1 * math.sin(2 * math.pi * TONE_HZ * at / layout.rate)) for at in range(int(2.5 * layout.rate))
    ]
    for place, (before, after) in enumerate(zip(frames_of(data, layout), frames_of(result, layout), strict=True)):
        at, until = place / layout.rate, (place + 1) / layout.rate
        inside = any(start - 1e-9 < at and until < end + 1e-9 for start, end in taken)
        touched = any(start < until and at < end for start, end in taken)
        if inside:
            assert after == silence if fill is Fill.SILENCE else near(after, tone[place], layout)
        elif not touched:
            assert after == before


@given(spans)
def test_the_margin_lies_on_both_sides_and_stretches_never_meet(spans: list[Span]) -> None:
    taken = stretches(spans)
    for one in spans:
        assert any(start <= max(0.0, one.start - MARGIN) and one.end + MARGIN <= end for start, end in taken)
    assert all(before[1] < after[0] for before, after in pairwise(taken))


def test_redacting_twice_changes_nothing_more() -> None:
    layout = Layout(2, 16000, 2)
    taken = [(0.5, 1.0)]
    for fill in Fill:
        once = b"".join(blanked(cut(noise(layout, 2), layout, 999), layout, taken, fill))
        assert b"".join(blanked(cut(once, layout, 1234), layout, taken, fill)) == once


def test_a_piece_that_is_not_whole_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="whole frames"):
        list(blanked([b"123"], Layout(1, 8000, 2), [], Fill.TONE))


class File:
    """A file in memory, or one that is all zeros and as long as it is said to be."""

    def __init__(self, data: bytes, zeros: int = 0) -> None:
        self._data = data
        self.size = len(data) + zeros

    def read(self, offset: int, length: int, /) -> bytes:
        length = max(0, min(length, self.size - offset))
        known = self._data[offset : offset + length]
        return known + bytes(length - len(known))


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def form(code: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16) -> bytes:
    frame = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", code, channels, rate, rate * frame, frame, bits))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_header_that_we_write_we_read(layout: Layout) -> None:
    data = noise(layout, 0.1)
    found = waves.parse(File(waves.header(layout, len(data)) + data))
    assert found is not None
    assert (found.layout, b"".join(found.pieces(File(waves.header(layout, len(data)) + data)))) == (layout, data)


def test_other_software_reads_what_we_write() -> None:
    layout = Layout(2, 16000, 2)
    data = noise(layout, 0.5)
    with wave.open(io.BytesIO(waves.header(layout, len(data)) + data)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 16000, 2)
        assert file.readframes(file.getnframes()) == data


def test_what_a_file_says_besides_its_sound_is_passed_over() -> None:
    title = chunk(b"LIST", b"INFOINAM" + struct.pack("<I", 12) + b"Anna Miller\0")
    found = waves.parse(File(riff(title, form(), chunk(b"data", b"abcd"), title)))
    assert found is not None
    assert found.length == 4


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"OggS" + bytes(100),
        b"RF64" + riff(form(), chunk(b"data", b"abcd"))[4:],
        riff(form()),
        riff(chunk(b"data", b"abcd")),
        riff(form(), form(), chunk(b"data", b"abcd")),
        riff(form(), chunk(b"data", b"abcd"), chunk(b"data", b"efgh")),
        riff(form(code=7, bits=8), chunk(b"data", b"abcd")),
        riff(form(code=0x55), chunk(b"data", b"abcd")),
        riff(form(bits=12), chunk(b"data", b"abcd")),
        riff(form(), chunk(b"data", b"abc")),
        riff(form(), b"data" + struct.pack("<I", 1000) + b"abcd"),
        riff(form(), b"data" + struct.pack("<I", 0xFFFFFFFF) + b"abcd"),
        riff(form(), chunk(b"data", b"")),
        riff(*[chunk(b"junk", b"")] * 100, form(), chunk(b"data", b"abcd")),
    ],
)
def test_anything_but_a_plain_wav_file_is_left_to_the_decoder(data: bytes) -> None:
    assert waves.parse(File(data)) is None


def test_memory_does_not_grow_with_the_recording() -> None:
    layout = Layout(1, 16000, 2)
    frames = 4 * 3600 * layout.rate
    head = waves.header(layout, frames * layout.frame)
    source = File(head, zeros=frames * layout.frame)
    found = waves.parse(source)
    assert found is not None
    tracemalloc.start()
    sent = sum(map(len, blanked(found.pieces(source), layout, [(10.0, 5000.0)], Fill.TONE)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent == frames * layout.frame
    assert peak < 8 * 1024 * 1024
