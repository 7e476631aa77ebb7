"""Reading bundles out of directories and archives, hostile ones too."""

import io
import os
import random
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from audit.errors import BundleInvalid, CheckImpossible
from audit.export.container import (
    Container,
    DirectoryContainer,
    ZipContainer,
    checked_chunks,
    checked_lines,
    open_container,
    read_small,
)
from audit.export.manifest import FileDigest


def archive(files: list[tuple[str, bytes]], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as zipped:
        for name, content in files:
            zipped.writestr(name, content)
    return data.getvalue()


def digest(content: bytes) -> FileDigest:
    return FileDigest(len(content), sha256(content).hexdigest())


@pytest.fixture(params=["directory", "zip"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Container]:
    content = {"one": b"first\nsecond\n", "two": b"no newline", "none": b""}
    if request.param == "directory":
        for name, data in content.items():
            (tmp_path / name).write_bytes(data)
        path = tmp_path
    else:
        path = tmp_path / "b.zip"
        path.write_bytes(archive(list(content.items())))
    with closing(open_container(path)) as opened:
        yield opened


def test_files_are_read_as_they_are(files: Container) -> None:
    assert files.sizes == {"one": 13, "two": 10, "none": 0}
    assert read_small(files, "one", 13) == b"first\nsecond\n"
    assert list(checked_lines(files, "one", digest(b"first\nsecond\n"), 10)) == [[b"first", b"second"]]
    assert list(checked_lines(files, "none", digest(b""), 10)) == []


def test_what_is_not_as_listed_is_refused(files: Container) -> None:
    with pytest.raises(BundleInvalid, match="missing"):
        read_small(files, "three", 10)
    with pytest.raises(BundleInvalid, match="missing"):
        list(checked_chunks(files, "three", digest(b"")))
    with pytest.raises(BundleInvalid, match="more than 12"):
        read_small(files, "one", 12)
    for wrong in (FileDigest(12, digest(b"").sha256), FileDigest(14, digest(b"").sha256), FileDigest(13, "0" * 64)):
        with pytest.raises(BundleInvalid, match="is not the file that the manifest lists"):
            list(checked_chunks(files, "one", wrong))
    with pytest.raises(BundleInvalid, match="cut short"):
        list(checked_lines(files, "two", digest(b"no newline"), 100))
    with pytest.raises(BundleInvalid, match="more than 4 bytes"):
        list(checked_lines(files, "one", digest(b"first\nsecond\n"), 4))


def test_only_plain_files_belong_into_a_directory(tmp_path: Path) -> None:
    for name in ("directory", "link", "pipe"):
        inside = tmp_path / name / "x"
        inside.parent.mkdir()
        if name == "directory":
            inside.mkdir()
        elif name == "link":
            inside.symlink_to("/etc/hostname")
        else:
            os.mkfifo(inside)
        with pytest.raises(BundleInvalid, match="does not belong"):
            DirectoryContainer(inside.parent)
    many = tmp_path / "many"
    many.mkdir()
    for number in range(40):
        (many / str(number)).touch()
    with pytest.raises(BundleInvalid):
        DirectoryContainer(many)


def test_what_is_not_there_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(CheckImpossible):
        open_container(tmp_path / "nothing.zip")
    with pytest.raises(CheckImpossible):
        DirectoryContainer(tmp_path / "nothing")


def test_a_file_that_goes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x")
    files = DirectoryContainer(tmp_path)
    (tmp_path / "one").unlink()
    with pytest.raises(BundleInvalid, match="cannot be read"):
        read_small(files, "one", 10)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_of_other_kinds_are_refused() -> None:
    encrypted = bytearray(archive([("one", b"x")]))
    for at in (6, encrypted.find(b"PK\x01\x02") + 8):
        encrypted[at] |= 1
    for data in (
        b"",
        b"not a zip",
        bytes(encrypted),
        archive([("one", b"x"), ("one", b"y")]),
        archive([("one", b"x")], zipfile.ZIP_BZIP2),
        archive([("one", b"x")], zipfile.ZIP_LZMA),
        archive([(str(number), b"") for number in range(40)]),
    ):
        with pytest.raises(BundleInvalid):
            ZipContainer(io.BytesIO(data))


def test_a_file_that_unpacks_to_more_than_it_says_stops_there() -> None:
    bomb = archive([("one", bytes(50_000_000))])
    with closing(ZipContainer(io.BytesIO(bomb))) as files:
        tracemalloc.start()
        with pytest.raises(BundleInvalid):
            read_small(files, "one", 1000)
        with pytest.raises(BundleInvalid):
            list(checked_chunks(files, "one", FileDigest(1000, "0" * 64)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8_000_000


def test_damaged_archives_are_refused_or_read_the_same() -> None:
    random_ = random.Random(9)
    content = bytes(random_.randrange(256) for _ in range(3000))
    whole = archive([("one", content), ("two", b"x" * 3000)])
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(random_.randrange(1, 4)):
            data[random_.randrange(len(data))] = random_.randrange(256)
        if random_.random() < 0.2:
            del data[random_.randrange(len(data)) :]
        try:
            with closing(ZipContainer(io.BytesIO(bytes(data)))) as files:
                found = b"".join(checked_chunks(files, "one", digest(content)))
        except BundleInvalid:
            continue
        assert found == content
