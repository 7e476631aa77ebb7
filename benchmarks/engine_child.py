"""A process with one engine in it, so that its memory is its own: `python -m benchmarks.engine_child WAY`.

It loads the way, answers one line of JSON with what that took, and then one line for each line on its standard input: the name
of some material, all of which it listens to.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from faster_whisper.audio import decode_audio

from analysis.engines.clip import SAMPLE_RATE, Clip, Stretch, no_checkpoint
from benchmarks.raw_whisper import LIBRIVOX, LONG_SECONDS, Spoken, joined, librivox
from benchmarks.rounds import highest_memory
from benchmarks.whisper_checkpoint import rebuilt
from voxgov.environment import models_dir

HUMAN: Final = LIBRIVOX.parent / "human"
SOUNDS: Final = {
    "laugh": {"laughter", "giggle"},
    "cough": {"cough"},
    "sneeze": {"sneeze"},
    "scream": {"scream"},
    "baby": {"crying"},
}
"""What a clip of sounds is named after, and the labels that are right for it."""
GLIDES: Final = ((100.0, 12.0), (220.0, -12.0), (150.0, 4.0))
"""Hz at the start, and semitones that F0 moves by in `GLIDE_SECONDS`."""
GLIDE_SECONDS: Final = 3.0
_HARMONICS: Final = 24
WINDOW_SECONDS: Final = 30.0
"""What Whisper hears at once."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What an engine is given beside the clip, made before the clock starts."""

    spoken: Spoken
    speech: tuple[Stretch, ...]
    words: tuple[Any, ...]


@cache
def material(name: str) -> tuple[Spoken, ...]:
    """`one`: a recording over two minutes; `long`: two; `short`: readings under ten seconds; `sounds`; `glides`."""
    readings = librivox()
    if name == "sounds":
        clips = sorted(path for path in HUMAN.iterdir() if path.stem.split("-")[0] in SOUNDS)
        return tuple(Spoken(Clip(decode_audio(str(path))), path.stem) for path in clips)
    if name == "glides":
        return tuple(Spoken(Clip(_voice(glide(*each))), "") for each in GLIDES)
    long = (joined(readings, LONG_SECONDS), joined([*readings[2:], *readings[:2]], LONG_SECONDS + 20))
    return {"short": readings, "long": long, "one": long[:1]}[name]


def glide(start: float, semitones: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Hz at each sample of a voice that moves evenly on the scale of semitones."""
    share = np.linspace(0.0, 1.0, round(GLIDE_SECONDS * SAMPLE_RATE))
    return np.asarray(start * 2 ** (semitones * share / 12))


def _voice(hertz: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Harmonics that fall by 6 dB an octave, at -20 dBFS."""
    phase = 2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE
    sound = sum(np.sin(number * phase) / number for number in range(1, _HARMONICS + 1))
    return np.asarray(sound / np.sqrt(np.mean(np.square(sound))) * 0.1, dtype=np.float32)


def ours(way: str) -> Callable[[Prepared], Any]:
    """An engine of the box, as a worker loads it: its digests checked, its settings the worker's. `all` is every engine."""
    from analysis.engine_box import Engines, engines  # noqa: PLC0415
    from analysis.engines.diarization import Diarizer  # noqa: PLC0415
    from analysis.engines.transcription import TranscriptionOptions  # noqa: PLC0415
    from analysis.listening import listen  # noqa: PLC0415
    from analysis.plan import Hearing  # noqa: PLC0415
    from analysis.transcription_hints import NO_HINTS  # noqa: PLC0415
    from consent.gate import Participant  # noqa: PLC0415
    from consent.vocabulary import ParticipantRole, Scope  # noqa: PLC0415

    box = engines()
    # Accents are nobody's unless a model was chosen for them; finding where somebody speaks is for them, too.
    served = frozenset(scope for slot in Engines.slots().values() for scope in slot.serves) - {Scope.ACCENT}
    person = Participant("anna", ParticipantRole.CUSTOMER, 0)

    def asr(given: Prepared) -> str:
        clip = given.spoken.clip
        transcript = box.transcriber.run(clip, box.activity.run(clip), TranscriptionOptions(), no_checkpoint)
        return " ".join(utterance.text for utterance in transcript.utterances)

    def diarization(given: Prepared) -> int:
        with box.voices.held() as encoder:
            return Diarizer(encoder).run(given.spoken.clip, given.speech, no_checkpoint).summary.speakers

    def every(given: Prepared) -> int:
        hearing = Hearing((0,), (person,), served)
        return len(listen([given.spoken.clip.samples], [hearing], lambda *_: no_checkpoint, NO_HINTS))

    ways: dict[str, tuple[Sequence[str], Callable[[Prepared], Any]]] = {
        "activity": (["activity"], lambda given: len(box.activity.run(given.spoken.clip))),
        "asr": (["activity", "transcriber"], asr),
        "nonverbal": (["nonverbal"], lambda given: _labels(box.nonverbal.run(given.spoken.clip, no_checkpoint).events)),
        "diarization": (["voices"], diarization),
        "prosody": (
            ["prosody"],
            lambda given: box.prosody.run(given.spoken.clip, given.speech, no_checkpoint).contour.hertz,
        ),
        "disfluency": (["disfluency"], lambda given: len(box.disfluency.run(given.words).disfluencies)),
        "emotion": (
            ["emotion"],
            lambda given: len(box.emotion.run(given.spoken.clip, given.speech, no_checkpoint).windows),
        ),
        "states": (
            ["states"],
            lambda given: len(box.states.run(given.spoken.clip, given.speech, no_checkpoint).stress),
        ),
        "all": (list(Engines.slots()), every),
    }
    names, run = ways[way]
    for name in names:
        getattr(box, name).warm()
    return run


def faster_whisper(*, word_times: bool) -> Callable[[Prepared], str]:
    """Its default call: one window after the other, a beam of five, on the weights that ours runs, in their precision."""
    from benchmarks import raw_whisper  # noqa: PLC0415

    model = raw_whisper.load(models_dir() / "whisper-base", threads=2)
    return lambda given: raw_whisper.transcribe(model, given.spoken.clip, word_times=word_times)


def transformers_pipeline() -> Callable[[Prepared], str]:
    """The library's own pipeline on the same weights in float32, as its documentation calls it: what does not fit a window is
    decoded window after window, for which it needs times. It is told the language: as called without, it repeats one word."""
    import torch  # noqa: PLC0415
    from transformers import (  # noqa: PLC0415
        AutomaticSpeechRecognitionPipeline,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizer,
    )

    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as scratch:
        files = rebuilt(models_dir() / "whisper-base", Path(scratch))
        model = WhisperForConditionalGeneration.from_pretrained(files, dtype=torch.float32)
        end = "<|endoftext|>"
        tokenizer: Any = WhisperTokenizer(
            tokenizer_file=str(files / "tokenizer.json"), bos_token=end, eos_token=end, unk_token=end
        )
    recognize = AutomaticSpeechRecognitionPipeline(
        model=model,
        tokenizer=tokenizer,
        feature_extractor=WhisperFeatureExtractor(),  # type: ignore[no-untyped-call]
    )

    def run(given: Prepared) -> str:
        clip = given.spoken.clip
        sound = {"raw": clip.samples, "sampling_rate": SAMPLE_RATE}
        long = clip.duration > WINDOW_SECONDS
        heard: Any = recognize(sound, return_timestamps=long, generate_kwargs={"language": "en"})
        return str(heard["text"])

    return run


def plain_yamnet() -> Callable[[Prepared], list[str]]:
    """The network as it was published: every 0.48 s, one threshold for every sound."""
    from analysis.engines.yamnet import Yamnet  # noqa: PLC0415
    from analysis.evaluation import plain_yamnet as plain  # noqa: PLC0415

    network = Yamnet.load(models_dir() / "yamnet")
    return lambda given: _labels(plain.events(network, given.spoken.clip))


OTHERS: Final[Mapping[str, Callable[[], Callable[[Prepared], Any]]]] = {
    "faster-whisper": lambda: faster_whisper(word_times=False),
    "faster-whisper-words": lambda: faster_whisper(word_times=True),
    "transformers-pipeline": transformers_pipeline,
    "plain-yamnet": plain_yamnet,
}
"""What a user would pick instead."""


def prepared(spoken: Spoken) -> Prepared:
    """The whole clip as speech, and the words that are known to be in it, evenly over the clip."""
    from analysis.engines.transcription import Word  # noqa: PLC0415

    texts = spoken.words.split()
    step = spoken.clip.duration / max(1, len(texts))
    words = tuple(Word(text, index * step, (index + 0.9) * step, 1.0) for index, text in enumerate(texts))
    return Prepared(spoken, (Stretch(0.0, spoken.clip.duration),), words)


def _labels(events: Sequence[Any]) -> list[str]:
    return sorted({event.label.value for event in events})


def serve(way: str) -> None:
    # Standard output is for answers alone; what engines log goes where errors go.
    sys.stdout = sys.stderr
    if way not in OTHERS:
        import django  # noqa: PLC0415 (only ours need it)

        django.setup()
    began = time.perf_counter()
    run = OTHERS[way]() if way in OTHERS else ours(way)
    _say({"load_s": time.perf_counter() - began})
    for line in sys.stdin:
        given = [prepared(spoken) for spoken in material(line.strip())]
        began = time.perf_counter()
        answers = [run(each) for each in given]
        seconds = time.perf_counter() - began
        audio = sum(each.spoken.clip.duration for each in given)
        _say({"seconds": seconds, "audio": audio, "answers": answers, "peak_mb": highest_memory() / 1e6})


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
