"""Clips of several voices as a corpus for `manage.py evaluate DIRECTORY --task speaker`; and reading, spoiling and writing clips.

`python -m benchmarks.corpora.voices DIRECTORY VOICES [--sound telephone]` writes it. VOICES is a directory with one directory of
clips for each voice, as `tests/data/voices` is. A clip is written as it is, with white noise 10 dB below, or as over a telephone.
"""

import argparse
import json
import wave
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import av
import numpy as np

from analysis.engines.clip import SAMPLE_RATE, Clip
from benchmarks.corpora.lines import Sound, telephone, white_noise

_NOISE: Final = -10.0
"""dB, of the noise beside the speech."""

Voices = Mapping[str, Sequence[Clip]]
"""The clips of each voice."""


def noisy(sound: Sound) -> Sound:
    speaking = sound[np.abs(sound) > 0]
    return sound + white_noise(len(sound), 10 * float(np.log10(np.mean(np.square(speaking)))) + _NOISE)


CONDITIONS: Final[Mapping[str, Callable[[Sound], Sound]]] = {
    "clean": lambda sound: sound,
    "noise 10 dB below": noisy,
    "telephone": telephone,
}


def read_voices(directory: Path) -> Voices:
    """The clips in each directory of `directory`, by its name."""
    found = {
        each.name: [clip for path in sorted(each.iterdir()) if (clip := _read(path)) is not None]
        for each in sorted(directory.iterdir())
        if each.is_dir()
    }
    return {name: clips for name, clips in found.items() if clips}


def corpus(directory: Path, voices: Voices, sound: str) -> None:
    """Writes every clip of every voice in one condition, and their manifest."""
    directory.mkdir(parents=True, exist_ok=True)
    items = []
    for name, clips in voices.items():
        for number, clip in enumerate(clips, start=1):
            file = f"{name}-{number}.wav"
            write(directory / file, CONDITIONS[sound](clip.samples.astype(np.float64)))
            items.append({"audio": file, "groups": {"sound": sound}, "truth": {"speaker": name}})
    manifest = {
        "name": f"{len(items)} clips of {len(voices)} voices, {sound}",
        "source": "benchmarks/corpora/voices.py",
        "licence": "that of the clips",
        "items": items,
    }
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _read(path: Path) -> Clip | None:
    """A file as one channel at 16 kHz; None for one that is no audio."""
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
    try:
        with av.open(str(path)) as container:
            frames = [piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
    except (av.FFmpegError, IndexError):
        return None
    frames += resampler.resample(None)
    return Clip(np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32))


def write(path: Path, sound: Sound) -> None:
    """16-bit PCM."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((sound * 32_767).clip(-32_768, 32_767).astype("<i2").tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpora.voices", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("voices", type=Path, help="directory with one directory of clips for each voice")
    parser.add_argument("--sound", choices=sorted(CONDITIONS), default="clean")
    given = parser.parse_args()
    corpus(given.directory, read_voices(given.voices), given.sound)


if __name__ == "__main__":
    main()
