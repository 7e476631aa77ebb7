"""Reads the float tensors of a TensorFlow checkpoint (a "tensor bundle") without TensorFlow.

A bundle is an index, which is a sorted table of name to place (tensorflow/core/lib/io/table_format.txt, the format of
LevelDB), and data files that hold the tensors' bytes (tensorflow/core/protobuf/tensor_bundle.proto). Only what YAMNet's
checkpoint needs is read: one data file, little-endian, uncompressed blocks, float32. That the files are the ones we know
is checked against the model manifest before; here every length and the index's own checksums are checked, so that a
damaged file is an error and never wrong weights.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[np.float32]]
"""Tensors by their name in the checkpoint, each in its own shape, in TensorFlow's order of axes."""

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_TRAILER = 5
"""One byte of compression type and four of checksum after each block."""
_FLOAT = 1
"""DT_FLOAT in tensorflow/core/framework/types.proto."""
_CASTAGNOLI = 0x82F63B78
"""The reversed polynomial of CRC-32C (RFC 3720, appendix B.4)."""
_MASK_DELTA = 0xA282EAD8
"""Checksums are stored rotated and shifted (leveldb/util/crc32c.h)."""


class CheckpointUnreadable(Exception):
    """The files are no checkpoint of the kind that is read here, or are damaged."""

    code: ClassVar[str] = "model_checkpoint_unreadable"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor's bytes lie in the data file."""

    shape: tuple[int, ...]
    offset: int
    size: int


def read_tensors(index: Path, data: Path) -> Tensors:
    """All float32 tensors of the checkpoint; others (counters, the object graph) are passed over.

    Raises:
        CheckpointUnreadable: a file is missing, damaged, compressed, big-endian or in several parts.
    """
    try:
        table, values = index.read_bytes(), data.read_bytes()
    except OSError as problem:
        raise CheckpointUnreadable(f"{problem.filename} cannot be read") from problem
    try:
        places = _places(table)
    except (IndexError, struct.error, UnicodeDecodeError) as problem:
        raise CheckpointUnreadable(f"{index.name} is damaged") from problem
    return MappingProxyType({name: _tensor(name, place, values) for name, place in places.items()})


def _tensor(name: str, place: _Place, values: bytes) -> NDArray[np.float32]:
    if place.offset < 0 or place.offset + place.size > len(values) or place.size != 4 * int(np.prod(place.shape)):
        raise CheckpointUnreadable(f"{name} does not fit the data file")
    count = place.size // 4
    return np.frombuffer(values, dtype="<f4", count=count, offset=place.offset).astype(np.float32).reshape(place.shape)


def _places(table: bytes) -> dict[str, _Place]:
    if len(table) < _FOOTER or struct.unpack_from("<Q", table, len(table) - 8)[0] != _MAGIC:
        raise CheckpointUnreadable("the index is no table")
    footer = table[-_FOOTER:]
    _, at = _handle(footer, 0)
    top, _ = _handle(footer, at)
    places: dict[str, _Place] = {}
    for _, value in _entries(_block(table, *top)):
        block, _ = _handle(value, 0)
        for key, entry in _entries(_block(table, *block)):
            if key == b"":
                _check_header(entry)
            elif (place := _place(entry)) is not None:
                places[key.decode()] = place
    return places


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _block(table: bytes, offset: int, size: int) -> bytes:
    end = offset + size
    if end + _TRAILER > len(table):
        raise CheckpointUnreadable("a block of the index reaches past its end")
    if table[end] != 0:
        raise CheckpointUnreadable("the index is compressed")
    (stored,) = struct.unpack_from("<I", table, end + 1)
    checksum = _crc32c(table[offset : end + 1])
    if stored != ((checksum >> 15 | checksum << 17) + _MASK_DELTA) & 0xFFFFFFFF:
        raise CheckpointUnreadable("a block of the index has the wrong checksum")
    return table[offset:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys share a prefix with the one before; the block ends with its restart points, which are not needed here."""
    (restarts,) = struct.unpack_from("<I", block, len(block) - 4)
    end = len(block) - 4 - 4 * restarts
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _check_header(entry: bytes) -> None:
    """BundleHeaderProto: num_shards = 1, endianness = 2 (0 is little)."""
    fields = dict(_fields(entry))
    if fields.get(1) != 1 or fields.get(2, 0) != 0:
        raise CheckpointUnreadable("the checkpoint is big-endian or in several parts")


def _place(entry: bytes) -> _Place | None:
    """BundleEntryProto: dtype = 1, shape = 2, shard_id = 3, offset = 4, size = 5. None for what is not float32."""
    fields = dict(_fields(entry))
    if fields.get(1) != _FLOAT:
        return None
    shape, offset, size = fields.get(2, b""), fields.get(4, 0), fields.get(5, 0)
    if not isinstance(shape, bytes) or not isinstance(offset, int) or not isinstance(size, int):
        raise CheckpointUnreadable("an entry of the index has fields of the wrong type")
    return _Place(tuple(_dimensions(shape)), offset, size)


def _dimensions(shape: bytes) -> Iterator[int]:
    """TensorShapeProto: repeated dim = 2, each with size = 1."""
    for number, value in _fields(shape):
        if number == 2 and isinstance(value, bytes):
            size = dict(_fields(value)).get(1, 0)
            if not isinstance(size, int):
                raise CheckpointUnreadable("a dimension has the wrong type")
            yield size


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a protocol buffer message (wire types 0, 1, 2 and 5)."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
                yield tag >> 3, value
            case 1:
                yield tag >> 3, struct.unpack_from("<Q", message, at)[0]
                at += 8
            case 2:
                length, at = _varint(message, at)
                yield tag >> 3, message[at : at + length]
                at += length
            case 5:
                yield tag >> 3, struct.unpack_from("<I", message, at)[0]
                at += 4
            case _:
                raise CheckpointUnreadable("an entry of the index has an unknown wire type")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        remainder = byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (_CASTAGNOLI if remainder & 1 else 0)
        table.append(remainder)
    return tuple(table)


_CRC_TABLE = _crc_table()


def _crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC_TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
