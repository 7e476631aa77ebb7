"""The Whisper weights at work through CTranslate2: encode once, detect the language, decode with fallback, align words.

Each window is encoded once, and language, text and word times all come from that one encoding. On a CPU, one decoder
step is too small to be shared among threads (two threads took a third longer than one on the same clips), so the
encoder uses all threads on one window, and decoding runs windows side by side, one thread each. Whether a text may be
believed is `transcription_judging`; what the windows are and what becomes of the words is decided elsewhere.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any, ClassVar, Literal

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.audio import pad_or_trim
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer

from analysis.engines.clip import Parameter, Samples
from analysis.engines.transcription_judging import (
    COMPRESSION_LIMIT,
    LOGPROB_LIMIT,
    NO_SPEECH_LIMIT,
    TEMPERATURES,
    Hypothesis,
    before_loop,
)

Device = Literal["auto", "cpu", "cuda"]

_SAMPLED = 5
"""Candidates drawn at each temperature above zero, the best of which is kept."""
_LONGEST = 224
"""Tokens of text that CTranslate2 decodes at most: half of the decoder's positions (src/models/whisper.cc)."""
_TOKENS_PER_SECOND = 50
"""No script needs more for the fastest speech; a loop is stopped there instead of at `_LONGEST`."""
_PULSE = 0.5
"""Seconds between two looks at whether the work is still wanted."""
_FRAMES_PER_SECOND = 100
_TIMES_PER_SECOND = 50
_WINDOW_FRAMES = 3000
_INSIDE_WORDS = "-'’‐"
_SHARED_ABOVE = 300_000_000
"""Bytes of weights above which encoder and decoder share one copy and one set of threads, to save memory."""


class ModelUnloadable(Exception):
    """The directory holds no Whisper model in CTranslate2's format that this machine can load."""

    code: ClassVar[str] = "transcription_model_unloadable"


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One window after the encoder: float array (1, 1500, width) on the CPU, and the seconds of sound in it."""

    states: np.ndarray[Any, np.dtype[np.floating[Any]]]
    duration: float

    @property
    def frames(self) -> int:
        """Frames of the spectrogram that are not padding."""
        return max(1, min(_WINDOW_FRAMES, ceil(self.duration * _FRAMES_PER_SECOND)))

    @property
    def longest(self) -> int:
        """Text tokens that may come out of it."""
        return min(_LONGEST, ceil(self.duration * _TOKENS_PER_SECOND) + 30)


@dataclass(frozen=True, slots=True)
class TokenTimes:
    """The text of one window cut into words: `words[i]` lasts from `starts[i]` to `ends[i]`, seconds in the window."""

    words: tuple[str, ...]
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    probabilities: tuple[float, ...]


class WhisperRuntime:
    """One set of loaded weights. Calls from several threads are allowed; those of one run need not wait for another's."""

    def __init__(self, encoder: Any, decoder: Any, tokenizer: tokenizers.Tokenizer, lanes: int) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._lanes = lanes
        self._features = FeatureExtractor(feature_size=encoder.n_mels)
        self._speaking: dict[str, Tokenizer] = {}
        self.parameters: Mapping[str, Parameter] = {
            "device": encoder.device,
            "compute_type": encoder.compute_type,
            "logprob_limit": LOGPROB_LIMIT,
            "no_speech_limit": NO_SPEECH_LIMIT,
            "compression_limit": COMPRESSION_LIMIT,
        }
        """What decides, beside the weights, what comes out of them."""

    @classmethod
    def load(cls, directory: Path, *, device: Device, threads: int) -> "WhisperRuntime":
        """Loads int8 weights on a CPU and float16 on a GPU. Raises `ModelUnloadable`."""
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        try:
            tokenizer = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
            apart = device == "cpu" and threads > 1 and (directory / "model.bin").stat().st_size <= _SHARED_ABOVE
            encoder = _weights(directory, device, threads, 1)
            decoder = _weights(directory, device, 1, threads) if apart else encoder
        except Exception as error:  # tokenizers raises bare Exception, CTranslate2 RuntimeError and ValueError
            raise ModelUnloadable(f"{directory} holds no Whisper model that can be loaded here: {error}") from error
        return cls(encoder, decoder, tokenizer, threads if apart else 1)

    @property
    def multilingual(self) -> bool:
        return bool(self._encoder.is_multilingual)

    def knows(self, language: str) -> bool:
        """Whether the weights have a token for `language`, a code like "en"."""
        if not self.multilingual:
            return language == "en"
        token = self._tokenizer.token_to_id(f"<|{language}|>")
        first, after = (self._tokenizer.token_to_id(mark) for mark in ("<|startoftranscript|>", "<|translate|>"))
        if token is None or first is None or after is None:
            return False
        return bool(first < token < after)

    def encode(self, samples: Samples) -> Encoded:
        """`samples` are at most thirty seconds at 16 kHz."""
        features = pad_or_trim(self._features(samples)[:, :-1], _WINDOW_FRAMES)
        states = self._encoder.encode(_view(features[np.newaxis]), to_cpu=True)
        return Encoded(np.asarray(states), len(samples) / self._features.sampling_rate)

    def languages(self, encoded: Encoded) -> dict[str, float]:
        """The probability of each language, from the encoding alone."""
        if not self.multilingual:
            return {"en": 1.0}
        (found,) = self._encoder.detect_language(_view(encoded.states))
        return {token[2:-2]: float(probability) for token, probability in found}

    def decode(
        self, windows: Sequence[Encoded], language: str, beam_size: int, pulse: Callable[[], None] = lambda: None
    ) -> list[tuple[Hypothesis, TokenTimes | None]]:
        """Text and word times of each window, in order; no times where there is no text.

        A batch whose texts fail one temperature after another takes minutes on a busy machine. `pulse` is called every
        `_PULSE` seconds meanwhile, in the caller's thread; what it raises ends this at once, and nothing that is not under
        way by then is begun.
        """
        count = max(1, min(self._lanes, len(windows)))
        groups = [windows[lane::count] for lane in range(count)]
        stopped = threading.Event()
        pool = ThreadPoolExecutor(count)
        try:
            lanes = [pool.submit(self._decode, group, language, beam_size, stopped) for group in groups]
            while wait(lanes, timeout=_PULSE, return_when=FIRST_EXCEPTION).not_done:
                for failed in (lane for lane in lanes if lane.done()):
                    failed.result()
                pulse()
            decoded = [lane.result() for lane in lanes]
        finally:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
        return [decoded[index % count][index // count] for index in range(len(windows))]

    def _decode(
        self, windows: Sequence[Encoded], language: str, beam_size: int, stopped: threading.Event
    ) -> list[tuple[Hypothesis, TokenTimes | None]]:
        tokenizer = self._tokenizer_for(language)
        hypotheses = self._generate(windows, tokenizer, beam_size, 0.0)
        for index, window in enumerate(windows):
            if hypotheses[index].failed:
                hypotheses[index] = self.fall_back(window, language, hypotheses[index], stopped)
        if stopped.is_set():
            return []  # nobody waits for it any more
        spoken = [index for index, hypothesis in enumerate(hypotheses) if hypothesis.is_text]
        times = self._align([windows[index] for index in spoken], tokenizer, [hypotheses[index] for index in spoken])
        placed = dict(zip(spoken, times, strict=True))
        return [(hypothesis, placed.get(index)) for index, hypothesis in enumerate(hypotheses)]

    def fall_back(
        self, window: Encoded, language: str, first: Hypothesis, stopped: threading.Event | None = None
    ) -> Hypothesis:
        """The first success at a rising temperature; where there is none, `first` up to where it ran into a loop."""
        tokenizer = self._tokenizer_for(language)
        for temperature in TEMPERATURES:
            if stopped is not None and stopped.is_set():
                return first
            (found,) = self._generate([window], tokenizer, 1, temperature)
            if not found.failed and found.is_text:
                return found
        if not first.endless or first.doubted:
            return first
        tokens = before_loop(first.tokens)
        return replace(first, tokens=tokens, text=tokenizer.decode(list(tokens)).strip(), endless=False)

    def _generate(
        self, windows: Sequence[Encoded], tokenizer: Tokenizer, beam_size: int, temperature: float
    ) -> list[Hypothesis]:
        prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        searching: dict[str, Any] = {"beam_size": beam_size}
        if temperature:
            searching = {
                "beam_size": 1,
                "num_hypotheses": _SAMPLED,
                "sampling_topk": 0,
                "sampling_temperature": temperature,
            }
        longest = max(window.longest for window in windows)
        results = self._decoder.generate(
            _joined(windows),
            [prompt] * len(windows),
            max_length=2 * longest,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=_unspeakable(tokenizer),
            **searching,
        )
        return [
            _hypothesis(result, window, longest, tokenizer, temperature)
            for result, window in zip(results, windows, strict=True)
        ]

    def _align(
        self, windows: Sequence[Encoded], tokenizer: Tokenizer, hypotheses: Sequence[Hypothesis]
    ) -> list[TokenTimes]:
        if not windows:
            return []
        aligned = self._decoder.align(
            _joined(windows),
            tokenizer.sot_sequence,
            [list(hypothesis.tokens) for hypothesis in hypotheses],
            [window.frames for window in windows],
        )
        return [
            _token_times(result, hypothesis, tokenizer) for result, hypothesis in zip(aligned, hypotheses, strict=True)
        ]

    def _tokenizer_for(self, language: str) -> Tokenizer:
        if language not in self._speaking:
            self._speaking[language] = Tokenizer(
                self._tokenizer, self.multilingual, task="transcribe", language=language
            )
        return self._speaking[language]


def _weights(directory: Path, device: Device, intra_threads: int, inter_threads: int) -> Any:
    return ctranslate2.models.Whisper(
        str(directory),
        device=device,
        compute_type="int8" if device == "cpu" else "float16",
        intra_threads=intra_threads,
        inter_threads=inter_threads,
    )


def _view(array: np.ndarray[Any, Any]) -> Any:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))


def _joined(windows: Sequence[Encoded]) -> Any:
    return _view(np.concatenate([window.states for window in windows]))


def _unspeakable(tokenizer: Tokenizer) -> list[int]:
    """Tokens that are no speech: brackets and musical notes, and the prompt's own marks (openai/whisper decoding.py)."""
    marks = (
        tokenizer.transcribe,
        tokenizer.translate,
        tokenizer.sot,
        tokenizer.sot_prev,
        tokenizer.sot_lm,
        tokenizer.no_speech,
    )
    return sorted({*tokenizer.non_speech_tokens, *(mark for mark in marks if mark is not None)})


def _hypothesis(result: Any, window: Encoded, longest: int, tokenizer: Tokenizer, temperature: float) -> Hypothesis:
    sequence = result.sequences_ids[0]
    tokens = tuple(token for token in sequence if token < tokenizer.eot)
    return Hypothesis(
        tokens=tokens,
        text=tokenizer.decode(list(tokens)).strip(),
        seconds=window.duration,
        # The score is divided by the length; the end token, which counts, is not in the sequence.
        avg_logprob=float(result.scores[0]) * len(sequence) / (len(sequence) + 1),
        no_speech_probability=float(result.no_speech_prob),
        temperature=temperature,
        endless=len(sequence) >= longest,
    )


def _token_times(result: Any, hypothesis: Hypothesis, tokenizer: Tokenizer) -> TokenTimes:
    """Word times from the path of dynamic time warping over cross-attention (openai/whisper timing.py)."""
    text_steps, time_steps = np.array(result.alignments).T
    begins = time_steps[np.diff(text_steps, prepend=-1) > 0] / _TIMES_PER_SECOND
    words, sizes = _words(hypothesis.tokens, tokenizer)
    edges = np.cumsum([0, *sizes])
    return TokenTimes(
        words=words,
        starts=tuple(begins[edges[:-1]].tolist()),
        ends=tuple(begins[edges[1:]].tolist()),
        probabilities=tuple(
            float(np.mean(result.text_token_probs[first:last])) for first, last in pairwise(edges.tolist())
        ),
    )


def _words(tokens: Sequence[int], tokenizer: Tokenizer) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The words with their white space, and how many tokens each has; what follows a hyphen inside a word is part of it."""
    words: list[str] = []
    sizes: list[int] = []
    for word, piece in zip(*tokenizer.split_to_word_tokens([*tokens, tokenizer.eot]), strict=True):
        if piece[0] == tokenizer.eot:
            break
        if words and len(word) > 1 and word[0] in _INSIDE_WORDS:
            words[-1] += word
            sizes[-1] += len(piece)
        else:
            words.append(word)
            sizes.append(len(piece))
    return tuple(words), tuple(sizes)
