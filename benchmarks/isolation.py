"""What is kept of whom where one voice is told from another on the same channel.

`python -m benchmarks.isolation VOICES [--each 2]`: VOICES is a directory with one directory of clips for each voice. Each voice's
template is made from one half of its clips and told apart in conversations made from the other half, with another voice; then over
another voice that speaks all the time, at the same level and softer. It prints seconds: what is kept of the person, what of the
other alone, what where both speak.
"""

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import Clip, Stretch
from analysis.engines.isolation import isolate
from analysis.engines.levels import rms_dbfs
from analysis.engines.manifest import load_manifest
from analysis.engines.recognition import hear_voice
from analysis.engines.voices import Embedding, VoiceEncoder
from analysis.voice_model import NAME
from benchmarks.corpora.conversations import conversation
from benchmarks.corpora.voices import Voices, read_voices
from voxgov.environment import models_dir

SOFTER: Final = (0.0, 6.0, 12.0, 18.0, 24.0)
"""dB by which the other is softer than the person, where both speak all the time."""
_SECONDS: Final = 40.0
_STEP: Final = 0.01
"""Seconds: how finely it is counted who speaks and what is kept."""
_LEVEL: Final = -23.0
"""dBFS of the person where both speak all the time."""

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
"""One value for each `_STEP`."""


@dataclass
class Kept:
    """Seconds spoken, and of them seconds kept: by the person alone, by the other alone, by both at once."""

    alone: float = 0.0
    alone_kept: float = 0.0
    other: float = 0.0
    other_kept: float = 0.0
    both: float = 0.0
    both_kept: float = 0.0

    def add(self, person: Flags, other: Flags, kept: Flags) -> None:
        self.alone += _seconds(person & ~other)
        self.alone_kept += _seconds(person & ~other & kept)
        self.other += _seconds(other & ~person)
        self.other_kept += _seconds(other & ~person & kept)
        self.both += _seconds(person & other)
        self.both_kept += _seconds(person & other & kept)

    def row(self, name: str) -> str:
        parts = ((self.alone_kept, self.alone), (self.other_kept, self.other), (self.both_kept, self.both))
        return (
            f"| {name} | "
            + " | ".join(f"{kept:.1f} of {spoken:.0f} s" if spoken else "" for kept, spoken in parts)
            + " |"
        )


@dataclass(frozen=True)
class Judge:
    encoder: VoiceEncoder
    activity: SpeechActivity

    def template(self, clips: Sequence[Clip]) -> Embedding | None:
        """None where there is too little voice in them."""
        whole = Clip(np.concatenate([clip.samples for clip in clips]))
        return hear_voice(whole, self.activity.run(whole), self.encoder).mean

    def kept(self, sound: np.ndarray[tuple[int], np.dtype[np.float64]], template: Embedding) -> Flags:
        clip = Clip(sound.astype(np.float32))
        found = isolate(clip, self.activity.run(clip), template, self.encoder)
        return _flags(found.stretches, clip.duration)

    def in_conversations(self, voices: Voices, each: int) -> Kept:
        """Turns of one phrase and up, a tenth of them begun before the other has ended."""
        found = Kept()
        for name, other, template, said in self._pairs(voices):
            for seed in range(each):
                talked = conversation(said, random.Random(f"{name} {other} {seed}"), _SECONDS)
                duration = len(talked.sound) / 16_000
                spoken = {
                    who: _flags([Stretch(t.start, t.end) for t in talked.turns if t.speaker == who], duration)
                    for who in (name, other)
                }
                found.add(spoken[name], spoken[other], self.kept(talked.sound, template))
        return found

    def over(self, voices: Voices, softer: float) -> Kept:
        """Both speak from beginning to end."""
        found = Kept()
        for name, other, template, said in self._pairs(voices):
            first, second = (
                np.concatenate([clip.samples for clip in said[who]]).astype(np.float64) for who in (name, other)
            )
            length = min(len(first), len(second))
            mixed = _at(first[:length], _LEVEL) + _at(second[:length], _LEVEL - softer)
            kept = self.kept(mixed, template)
            found.add(np.ones_like(kept), np.ones_like(kept), kept)
        return found

    def _pairs(self, voices: Voices) -> Iterator[tuple[str, str, Embedding, dict[str, list[Clip]]]]:
        """Each voice and the next, by name: the person, the other, the person's template, and the clips to speak with."""
        names = sorted(voices)
        for name, other in zip(names, [*names[1:], names[0]], strict=True):
            template = self.template(voices[name][::2])
            if template is not None:
                yield name, other, template, {who: list(voices[who][1::2]) for who in (name, other)}


def _flags(stretches: Sequence[Stretch], duration: float) -> Flags:
    flags = np.zeros(round(duration / _STEP), np.bool_)
    for stretch in stretches:
        flags[round(stretch.start / _STEP) : round(stretch.end / _STEP)] = True
    return flags


def _seconds(flags: Flags) -> float:
    return float(flags.sum()) * _STEP


def _at(
    sound: np.ndarray[tuple[int], np.dtype[np.float64]], level: float
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return sound * 10 ** ((level - rms_dbfs(sound.astype(np.float32))) / 20)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolation", description=__doc__)
    parser.add_argument("voices", type=Path)
    parser.add_argument("--each", type=int, default=2, help="conversations of each pair")
    given = parser.parse_args()
    entry = load_manifest().model(NAME)
    judge = Judge(VoiceEncoder.load(entry.verified(models_dir()), entry.identity()), SpeechActivity.load())
    voices = read_voices(given.voices)
    print("| | kept of the person | of the other alone | where both speak |\n|---|---|---|---|")
    print(judge.in_conversations(voices, given.each).row("conversations, a tenth of the turns begun early"))
    for softer in SOFTER:
        print(judge.over(voices, softer).row(f"another voice all the time, {softer:.0f} dB softer"), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
