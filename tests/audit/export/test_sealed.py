"""Sealed bundles: only the auditor's key opens them, damage and cuts are noticed, memory stays flat."""

import io
import os
import tracemalloc

import pytest

from audit.errors import BundleInvalid, KeyInvalid
from audit.export import sealed

SECRET, PUBLIC = sealed.new_key()


def sealed_bytes(content: bytes) -> bytes:
    target = io.BytesIO()
    sealed.seal(io.BytesIO(content), target, PUBLIC)
    return target.getvalue()


def unsealed(data: bytes, secret: str = SECRET) -> bytes:
    target = io.BytesIO()
    sealed.unseal(io.BytesIO(data), target, secret)
    return target.getvalue()


@pytest.mark.parametrize("length", [0, 1, 16_383, 16_384, 16_385, 1 << 20, (1 << 20) + 1])
def test_what_is_sealed_opens(length: int) -> None:
    content = os.urandom(length)
    data = sealed_bytes(content)
    assert sealed.is_sealed(data)
    assert unsealed(data) == content
    assert data != sealed_bytes(content)


def test_only_the_key_that_it_is_sealed_to_opens_it() -> None:
    with pytest.raises(BundleInvalid):
        unsealed(sealed_bytes(b"x"), sealed.new_key()[0])


def test_damage_and_cuts_are_noticed() -> None:
    data = sealed_bytes(b"x" * 40_000)
    header = len(sealed.MAGIC)
    for at in (0, header, header + 31, header + 32, header + 79, header + 80, header + 110, len(data) - 1, 20_000):
        altered = bytearray(data)
        altered[at] ^= 1
        with pytest.raises(BundleInvalid):
            unsealed(bytes(altered))
    for end in (0, 5, header, header + 50, header + 80, header + 130, 16_540, len(data) - 1):
        with pytest.raises(BundleInvalid):
            unsealed(data[:end])
    with pytest.raises(BundleInvalid):
        unsealed(data + b"x")


def test_keys_are_read_strictly() -> None:
    assert sealed.require_public_key(PUBLIC) == PUBLIC
    for public in ("", PUBLIC[:-1], PUBLIC + "A", SECRET, PUBLIC.replace(":", "")):
        with pytest.raises(KeyInvalid):
            sealed.require_public_key(public)
    with pytest.raises(KeyInvalid) as refused:
        unsealed(sealed_bytes(b""), SECRET[:-1])
    assert SECRET[-20:-1] not in str(refused.value)


def test_sealing_takes_flat_memory() -> None:
    class Endless(io.RawIOBase):
        left = 64

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return bytes(1 << 20) if self.left >= 0 else b""

    class Sink(io.RawIOBase):
        def write(self, data: object) -> int:
            return len(data)  # type: ignore[arg-type]  # bytes

    tracemalloc.start()
    sealed.seal(Endless(), Sink(), PUBLIC)  # type: ignore[arg-type]  # they read and write bytes
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000
