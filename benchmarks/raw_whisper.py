"""Bare faster-whisper, as its README calls it: what the engine and the governed pipeline are compared with. No Django here.

`python -m benchmarks.raw_whisper MODEL_DIRECTORY THREADS` serves: each line of tab-separated paths on standard input is
transcribed, and the seconds it took are the answer. `python -m benchmarks.raw_whisper` alone compares the engine with it
on the LibriVox clips, one by one and joined to recordings over two minutes, in alternating rounds.
"""

import argparse
import json
import statistics
import sys
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
from faster_whisper import WhisperModel

from analysis.engines import transcription_choice
from analysis.engines.activity import SpeechActivity
from analysis.engines.clip import SAMPLE_RATE, Clip, Samples, no_checkpoint
from analysis.engines.manifest import load_manifest
from analysis.engines.transcription import TranscriptionOptions
from analysis.evaluation.words import normalized
from benchmarks.figures import Figure, as_table, machine

ROOT = Path(__file__).resolve().parent.parent
LIBRIVOX = ROOT / "tests" / "data" / "librivox"
BEAM_SIZE = 5
LONG_SECONDS = 130.0
GAPS = (0.4, 1.0, 2.0, 0.7, 3.0)
"""Seconds between the clips of a long recording, in turn."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A clip and the words that are known to be in it."""

    clip: Clip
    words: str


def load(directory: Path, threads: int) -> WhisperModel:
    """The weights as the engine loads them: int8 on a CPU, with so many threads."""
    return WhisperModel(str(directory), device="cpu", compute_type="int8", cpu_threads=threads)


def transcribe(model: WhisperModel, audio: str | Clip, *, word_times: bool = True) -> str:
    """The sequential default: language detected, beam of five, one window after the other. Consumes the generator."""
    segments, _ = model.transcribe(
        audio.samples if isinstance(audio, Clip) else audio, beam_size=BEAM_SIZE, word_timestamps=word_times
    )
    return " ".join(segment.text.strip() for segment in segments)


def word_error_rate(references: Sequence[str], texts: Sequence[str]) -> float:
    """Substituted, left out and invented words over words spoken, after `normalized`."""
    return float(jiwer.wer([normalized(text) for text in references], [normalized(text) for text in texts]))


def librivox(directory: Path = LIBRIVOX) -> tuple[Spoken, ...]:
    """The five public domain readings of 3 to 7 seconds."""
    words = json.loads((directory / "transcripts.json").read_text())
    return tuple(Spoken(Clip(_samples(directory / name)), words[name]) for name in sorted(words))


def joined(spoken: Sequence[Spoken], seconds: float) -> Spoken:
    """The clips one after the other, with `GAPS` of faint noise between them, until `seconds` are reached."""
    noise = np.random.default_rng(0)
    parts: list[Samples] = []
    words: list[str] = []
    while sum(len(part) for part in parts) < seconds * SAMPLE_RATE:
        one, gap = spoken[len(words) % len(spoken)], GAPS[len(words) % len(GAPS)]
        parts += [one.clip.samples, noise.normal(0.0, 1e-4, round(gap * SAMPLE_RATE)).astype(np.float32)]
        words.append(one.words)
    return Spoken(Clip(np.concatenate(parts)), " ".join(words))


def serve(directory: Path, threads: int) -> None:
    """Answers each line of paths with the seconds it took, decoding of the files included."""
    model = load(directory, threads)
    for line in sys.stdin:
        began = time.perf_counter()
        for path in line.rstrip("\n").split("\t"):
            transcribe(model, path)
        print(f"{time.perf_counter() - began:.6f}", flush=True)


def compare(models: Path, name: str, threads: int, rounds: int) -> Iterator[Figure]:
    """Engine and bare in alternating rounds on the same samples; voice activity is part of the engine's time."""
    entry = load_manifest().model(name)
    directory = entry.verified(models)
    bare = load(directory, threads)
    engine = transcription_choice.load(entry, models, device="cpu", threads=threads)
    activity = SpeechActivity.load()

    def plain(clip: Clip, word_times: bool) -> str:
        return transcribe(bare, clip, word_times=word_times)

    def engined(clip: Clip, word_times: bool) -> str:
        options = TranscriptionOptions(beam_size=BEAM_SIZE, word_times=word_times)
        transcript = engine.run(clip, activity.run(clip), options, no_checkpoint)
        return " ".join(utterance.text for utterance in transcript.utterances)

    ways: dict[str, Callable[[Clip, bool], str]] = {"bare": plain, "engine": engined}
    clips = librivox()
    for length, queue in (("short", clips), ("long", (joined(clips, LONG_SECONDS),))):
        for word_times in (False, True):
            times: dict[str, list[float]] = {"bare": [], "engine": []}
            wrong: dict[str, float] = {}
            for _ in range(rounds):
                for way, call in ways.items():
                    began = time.perf_counter()
                    texts = [call(one.clip, word_times) for one in queue]
                    times[way].append(time.perf_counter() - began)
                    wrong[way] = word_error_rate([one.words for one in queue], texts)
            label = f"{length}{'_words' if word_times else ''}"
            ratio = statistics.median(times["bare"]) / statistics.median(times["engine"])
            for way in ways:
                beside = f"{min(times[way]):.2f} to {max(times[way]):.2f}"
                yield Figure(f"{label}_{way}_s", statistics.median(times[way]), "s", beside)
                yield Figure(f"{label}_{way}_wer", wrong[way], "word error rate")
            yield Figure(f"{label}_ratio", ratio, "times", "bare faster-whisper, sequential", ratio)


def _samples(path: Path) -> Samples:
    with wave.open(str(path)) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (SAMPLE_RATE, 1, 2):
            raise ValueError(f"{path} is not 16 kHz, one channel, 16 bits")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.raw_whisper", description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?", help="with THREADS: serve on these weights")
    parser.add_argument("threads", type=int, nargs="?", default=2)
    parser.add_argument("--models", type=Path, default=ROOT / "var" / "models")
    parser.add_argument("--model", default="whisper-base")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    if given.directory is not None:
        serve(given.directory, given.threads)
        return
    figures = []
    for figure in compare(given.models, given.model, given.threads, given.rounds):
        print(f"{figure.name}: {figure.value:.3f}", file=sys.stderr, flush=True)
        figures.append(figure)
    print(as_table(figures, machine(("faster-whisper", "ctranslate2", "onnxruntime"))))


if __name__ == "__main__":
    main()
