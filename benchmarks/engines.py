"""Every engine alone and all together, beside what a user would pick instead: speed, load time, memory, and what they get right.

Each is a process of its own, so that its memory is its own. What is compared takes turns, so that whatever else the machine does
slows both down; ratios are of medians.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from statistics import median
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.engine_child import GLIDES, SOUNDS, glide, material
from benchmarks.figures import Figure, Say
from benchmarks.raw_whisper import ROOT, word_error_rate

PACKAGES = ("faster-whisper", "ctranslate2", "torch", "transformers", "onnxruntime")
ENGINES: Final = ("activity", "nonverbal", "diarization", "prosody", "disfluency", "emotion", "states")
"""Those that nothing is compared with in speed."""
BESIDE: Final = {
    "faster-whisper": "faster_whisper",
    "faster-whisper-words": "faster_whisper_with_word_times",
    "transformers-pipeline": "transformers_pipeline",
}
"""What transcription is compared with, and what its figures are called."""
SHORT_ROUNDS: Final = 5
ROUNDS: Final = 3
_HOP: Final = 0.01
"""Seconds between two values of the contour of F0."""


class Heard(NamedTuple):
    """What a process answered about some material."""

    seconds: float
    audio: float
    answers: list[Any]
    peak_mb: float


class Child:
    """A process with one way of listening in it."""

    def __init__(self, way: str) -> None:
        self.way = way
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.engine_child", way],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.load_s = float(self._answer()["load_s"])
        self.peak_mb = 0.0

    def hear(self, name: str) -> Heard:
        assert self._process.stdin is not None
        self._process.stdin.write(name + "\n")
        self._process.stdin.flush()
        heard = Heard(**self._answer())
        self.peak_mb = heard.peak_mb
        return heard

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.way} ended with {self._process.wait()}: what it said stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def run(say: Say) -> list[Figure]:
    """`asr_long_over_faster_whisper`, `asr_short_over_faster_whisper`, `all_engines_x_realtime`, `peak_mb`, and the rest."""
    return [*_transcription(say), *_nonverbal(say), *_alone(say), *_together(say)]


def _transcription(say: Say) -> Iterator[Figure]:
    """Ours gives word times always. faster-whisper's default call gives none; the call that does stands beside it, and so does
    the `transformers` pipeline, on the same weights in float32."""
    ways = ("asr", *BESIDE)
    with ExitStack() as children:
        processes = {way: children.enter_context(Child(way)) for way in ways}
        for process in processes.values():
            process.hear("short")  # the first call of each warms caches that are no part of the comparison
        for name, rounds in (("short", SHORT_ROUNDS), ("long", ROUNDS)):
            heard = _in_turns(processes, name, rounds, say)
            seconds = {way: median(each.seconds for each in heard[way]) for way in ways}
            truth = [spoken.words for spoken in material(name)]
            wrong = {way: max(word_error_rate(truth, each.answers) for each in heard[way]) for way in ways}
            audio = heard["asr"][0].audio
            for other, label in BESIDE.items():
                yield Figure(
                    f"asr_{name}_over_{label}",
                    seconds[other] / seconds["asr"],
                    "times its speed",
                    f"{other}, {audio / seconds[other]:.2f} x real time, WER {wrong[other]:.4f}; ours {wrong['asr']:.4f}",
                    seconds[other] / seconds["asr"],
                )
            yield Figure(f"asr_{name}_x_realtime", audio / seconds["asr"], "s of audio per s", _spread(heard["asr"]))
            for way in ways:
                yield Figure(f"{_word(way)}_{name}_wer", wrong[way], "word error rate", "the worst round")
        for process in processes.values():
            yield from _cost(process)


def _nonverbal(say: Say) -> Iterator[Figure]:
    """On clips of sounds: how many are called by their name; on readings, where nobody makes any: how many are heard."""
    with Child("nonverbal") as ours, Child("plain-yamnet") as plain:
        for process in (ours, plain):
            found = process.hear("sounds").answers
            clips = material("sounds")
            hits = sum(
                bool(SOUNDS[clip.words.split("-")[0]] & set(labels)) for clip, labels in zip(clips, found, strict=True)
            )
            name = _word(process.way)
            yield Figure(f"{name}_hits", hits, f"of {len(clips)} sounds")
            invented = sum(len(labels) for labels in process.hear("short").answers)
            yield Figure(f"{name}_invented", invented, f"sounds in {len(material('short'))} readings")
        heard = _in_turns({"nonverbal": ours, "plain-yamnet": plain}, "one", ROUNDS, say)
        speed = {way: each[0].audio / median(one.seconds for one in each) for way, each in heard.items()}
        yield Figure(
            "nonverbal_x_realtime",
            speed["nonverbal"],
            "s of audio per s",
            f"plain YAMNet {speed['plain-yamnet']:.1f}",
            speed["nonverbal"] / speed["plain-yamnet"],
        )
        yield from _cost(ours)


def _alone(say: Say) -> Iterator[Figure]:
    for way in ENGINES:
        if way == "nonverbal":
            continue
        with Child(way) as process:
            heard = _in_turns({way: process}, "one", ROUNDS, say)[way]
            yield Figure(
                f"{way}_x_realtime", heard[0].audio / median(each.seconds for each in heard), "s of audio per s"
            )
            yield from _cost(process)
            if way == "prosody":
                yield _glide_error(process.hear("glides").answers)


def _glide_error(contours: Sequence[Sequence[float | None]]) -> Figure:
    """Of F0 against what the glides were made with, where a pitch was found."""
    errors: list[float] = []
    frames = 0
    for (start, semitones), contour in zip(GLIDES, contours, strict=True):
        truth = glide(start, semitones)
        frames += len(contour)
        for index, value in enumerate(contour):
            sample = round(index * _HOP * 16_000)
            if value is not None and sample < len(truth):
                errors.append(abs(1200 * float(np.log2(value / truth[sample]))))
    return Figure(
        "prosody_f0_error", median(errors), "cents, median", f"pitch found in {len(errors)} of {frames} frames"
    )


def _together(say: Say) -> Iterator[Figure]:
    with Child("all") as process:
        heard = _in_turns({"all": process}, "one", ROUNDS, say)["all"]
        speed = heard[0].audio / median(each.seconds for each in heard)
        yield Figure("all_engines_x_realtime", speed, "s of audio per s", f"{_spread(heard)}; aim 3")
        yield Figure("all_engines_load_s", process.load_s, "s")
        yield Figure("peak_mb", process.peak_mb, "MB", "of the process with every engine; aim 2048")


def _in_turns(processes: dict[str, Child], name: str, rounds: int, say: Say) -> dict[str, list[Heard]]:
    heard: dict[str, list[Heard]] = {way: [] for way in processes}
    for number in range(rounds):
        for way, process in processes.items():
            heard[way].append(process.hear(name))
        say(
            f"{name} round {number + 1}: " + ", ".join(f"{way} {each[-1].seconds:.2f} s" for way, each in heard.items())
        )
    return heard


def _cost(process: Child) -> Iterator[Figure]:
    name = _word(process.way)
    yield Figure(f"{name}_load_s", process.load_s, "s")
    yield Figure(f"{name}_peak_mb", process.peak_mb, "MB")


def _spread(heard: Sequence[Heard]) -> str:
    return f"rounds of {min(each.seconds for each in heard):.2f} to {max(each.seconds for each in heard):.2f} s"


def _word(way: str) -> str:
    return way.replace("-", "_")
