"""Reading the files of a bundle out of a directory or a .zip, in flat memory, and none but those that belong to it.

Nothing is unpacked and no name from a bundle becomes a path. What the files mean is not known here.
"""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, Protocol

from audit.errors import BundleInvalid, CheckImpossible
from audit.export.manifest import FileDigest
from audit.export.visible import visible

CHUNK: Final = 1 << 20
MAX_FILES: Final = 32
# Everything that reading a hostile archive was seen to raise.
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


class Container(Protocol):
    """The files of a bundle: their names with their lengths in bytes, and their content as a stream."""

    @property
    def sizes(self) -> Mapping[str, int]: ...
    def chunks(self, name: str) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class DirectoryContainer:
    """A bundle as a directory of plain files."""

    def __init__(self, path: Path) -> None:
        """Raises `BundleInvalid` if anything but plain files lies there, `CheckImpossible` if it cannot be read."""
        self._path = path
        self.sizes: dict[str, int] = {}
        try:
            for number, file in enumerate(path.iterdir(), 1):
                status = file.lstat()
                if number > MAX_FILES or not stat.S_ISREG(status.st_mode):
                    raise BundleInvalid(f"{visible(file.name)!a} does not belong into a bundle")
                self.sizes[file.name] = status.st_size
        except OSError as error:
            raise CheckImpossible(f"{path}: {error.strerror}") from error

    def chunks(self, name: str) -> Iterator[bytes]:
        """Raises `BundleInvalid`."""
        try:
            with (self._path / name).open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk
        except OSError as error:
            raise BundleInvalid(f"{name} cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Nothing is kept open."""


class ZipContainer:
    """A bundle as a .zip: stored or deflated, not encrypted, no name twice."""

    def __init__(self, file: Path | IO[bytes]) -> None:
        """Raises `BundleInvalid` for what is no such archive, `CheckImpossible` if it cannot be read."""
        try:
            self._file = file.open("rb") if isinstance(file, Path) else file
        except OSError as error:
            raise CheckImpossible(f"{file}: {error.strerror}") from error
        try:
            self._archive = zipfile.ZipFile(self._file)
            members = self._archive.infolist()
        except _BROKEN as error:
            self._file.close()
            raise BundleInvalid(f"not a readable .zip: {_said(error)}") from error
        try:
            _require_plain(members)
        except BundleInvalid:
            self.close()
            raise
        self.sizes: Mapping[str, int] = {member.filename: member.file_size for member in members}

    def chunks(self, name: str) -> Iterator[bytes]:
        """Raises `BundleInvalid`."""
        try:
            with self._archive.open(name) as file:
                while chunk := file.read(CHUNK):
                    yield chunk
        except _BROKEN as error:
            raise BundleInvalid(f"{name} cannot be unpacked: {_said(error)}") from error

    def close(self) -> None:
        with suppress(*_BROKEN):
            self._archive.close()
        self._file.close()


def open_container(path: Path) -> Container:
    """A directory or a .zip. Raises `BundleInvalid`, `CheckImpossible`."""
    return DirectoryContainer(path) if path.is_dir() else ZipContainer(path)


def read_small(container: Container, name: str, limit: int) -> bytes:
    """A whole file of at most `limit` bytes. Raises `BundleInvalid`."""
    if name not in container.sizes:
        raise BundleInvalid(f"{name} is missing")
    data = b""
    for chunk in container.chunks(name):
        data += chunk
        if len(data) > limit:
            raise BundleInvalid(f"{name} has more than {limit} bytes")
    return data


def checked_chunks(container: Container, name: str, digest: FileDigest) -> Iterator[bytes]:
    """The content of a file as the manifest has it: raises `BundleInvalid` at the end at the latest, if it is another."""
    if name not in container.sizes:
        raise BundleInvalid(f"{name} is missing")
    left, hashed = digest.bytes, sha256()
    for chunk in container.chunks(name):
        left -= len(chunk)
        if left < 0:
            break
        hashed.update(chunk)
        yield chunk
    if left or hashed.hexdigest() != digest.sha256:
        raise BundleInvalid(f"{name} is not the file that the manifest lists: another length or another SHA-256")


def checked_lines(container: Container, name: str, digest: FileDigest, limit: int) -> Iterator[list[bytes]]:
    """The same as batches of whole lines without their newlines; no line has more than `limit` bytes."""
    rest = b""
    for chunk in checked_chunks(container, name, digest):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        if len(rest) > limit or max(map(len, lines), default=0) > limit:
            raise BundleInvalid(f"{name} has a line of more than {limit} bytes")
        yield lines
    if rest:
        raise BundleInvalid(f"the last line of {name} is cut short")


def _require_plain(members: Sequence[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_FILES or len({member.filename for member in members}) != len(members):
        raise BundleInvalid("the .zip holds more files than a bundle, or one of them twice")
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
            raise BundleInvalid(f"{visible(member.filename)!a} is packed in a way that is not read here")


def _said(error: BaseException) -> str:
    return visible(str(error))[:200] or type(error).__name__
